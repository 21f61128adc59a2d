"""Judge the answer to a write: what became of it, the new id, and a reason without personal data. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from urllib.parse import unquote

from connectors.crm import WriteFault, WriteReceipt, WriteRefused, Written
from connectors.oplead.client import WriteAnswer
from connectors.oplead.fields import first, read_json, text_of
from connectors.oplead.lead_parser import objects_in
from connectors.oplead.options import Paths
from connectors.records import Lost
from connectors.text import plain

_LOST = frozenset({408})
"""Statuses below 500 with which nobody knows: the server, or a proxy before it, gave up on the request."""
_FAULTS: Mapping[int, WriteFault] = {
    401: WriteFault.ACCESS,
    402: WriteFault.ACCESS,
    403: WriteFault.ACCESS,
    405: WriteFault.PATH,
    410: WriteFault.MISSING,
    429: WriteFault.PACE,
    501: WriteFault.PATH,
}
_REDIRECTS, _REFUSALS, _FAILURES = range(300, 400), range(400, 500), range(500, 600)
_LONGEST_ID = 200
_LONGEST_REASON = 200
_REASONS = ("message", "detail", "title", "error", "error_description", "errors", "violations", "reason", "code")
_DEEPEST = 4
_GIVEAWAY = re.compile(r"\S*@\S*|\d(?:[\s.,/()-]*\d){4,}|%[0-9a-f]{2}\S*|\bfb\.\d\.\S+", re.IGNORECASE)
"""What may be somebody's e-mail address, phone number, id or click id, whoever sent it."""
_CAPITAL = r"[A-ZÀ-ÖØ-Þ][\w'’-]*"
_NAMES = re.compile(rf"(?<!^)\b{_CAPITAL}|^{_CAPITAL}(?=\s+{_CAPITAL})")
"""Words in capitals within a text, or at its start before another one, as names stand there."""
_WORD = re.compile(r"[^\W_]+")
_MASK = "…"
_MASKS = re.compile(rf"{_MASK}(?:[\s_.,-]*{_MASK})+")


def receipt_of(
    answer: WriteAnswer, *, ids: Paths, names_lead: bool, path: str = "", sent: Iterable[str] = ()
) -> WriteReceipt:
    """Return what became of a write that was answered.

    Args:
        answer: the answer.
        ids: where a new id may be in it; none if nothing new is made.
        names_lead: whether the path names a lead, which a 404 then says is missing.
        path: the request's path, which a new address begins with.
        sent: every text of the request, none of which the reason repeats.
    """
    status = answer.status
    if status in _LOST or (status in _FAILURES and status not in _FAULTS):
        return Lost(f"Oplead answered {status}", answer.retry_after)
    if status in _REDIRECTS:
        return WriteRefused(status, WriteFault.PATH, "it leads elsewhere, where the key must not go")
    if status in _REFUSALS or status in _FAILURES:
        missing = WriteFault.MISSING if names_lead else WriteFault.PATH
        fault = missing if status == 404 else _FAULTS.get(status, WriteFault.DATA)  # noqa: PLR2004 - not found
        return WriteRefused(status, fault, safe_reason(_json(answer.body), sent))
    if answer.body.lstrip()[:1] == b"<":
        return Lost(f"Oplead answered {status} with a web page, as no API does")
    return Written(_new_id(_json(answer.body), ids) or _id_in(answer.location, path) if ids else None)


def _json(body: bytes) -> object:
    try:
        return read_json(body)
    except ValueError:
        return None


def _new_id(body: object, ids: Paths) -> str | None:
    values = (first(one, ids) for one in objects_in(body))
    return next((text for value in values if (text := usable_id(value)) is not None), None)


def _id_in(location: str | None, path: str) -> str | None:
    """Return the last part of a new lead's address, if it lies below the path it was sent to."""
    before, _, last = (location or "").partition("?")[0].rstrip("/").rpartition("/")
    return usable_id(unquote(last)) if before.endswith(path.rstrip("/")) else None


def usable_id(value: object) -> str | None:
    """Return an id as opaque text; None if it is none."""
    text = text_of(value) if isinstance(value, str | Decimal) else None
    return text if text and len(text) <= _LONGEST_ID and text.isprintable() and text not in {".", ".."} else None


# ── reasons ──────────────────────────────────────────────────────────────────────────────────────


def safe_reason(body: object, sent: Iterable[str]) -> str:
    """Return what a JSON refusal says, at most 200 characters, without what was sent or what may be somebody's data.

    Every word of a text that was sent is masked, whatever its case and accents; so are e-mail addresses, long numbers
    and names, which begin with a capital. Empty if nothing remains.
    """
    known = {word for text in sent for word in _WORD.findall(_folded(text))}
    said = dict.fromkeys(_masked(plain(text), known) for text in _reasons(body, _DEEPEST))
    text = "; ".join(one for one in said if any(map(str.isalpha, one)))
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}{_MASK}"


def _reasons(body: object, depth: int) -> Iterator[str]:
    if not isinstance(body, Mapping) or not depth:
        return
    for name in _REASONS:
        yield from _texts(body.get(name), depth - 1)


def _texts(value: object, depth: int) -> Iterator[str]:
    """Yield the texts of an error: itself, a list of them, or texts by field, whose name says which is wrong."""
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _texts(one, depth)
        case dict() if depth and not any(name in value for name in _REASONS):
            for name, inner in value.items():
                yield from (f"{name}: {text}" for text in _texts(inner, depth - 1))
        case dict():
            yield from _reasons(value, depth)


def _masked(text: str, known: set[str]) -> str:
    text = _NAMES.sub(_MASK, _GIVEAWAY.sub(_MASK, text))
    text = _WORD.sub(lambda word: _MASK if _folded(word[0]) in known else word[0], text)
    return _MASKS.sub(_MASK, text).strip()


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold()
