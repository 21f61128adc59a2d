"""Judge the answer to a write: what became of it, the new id, and a reason without personal data. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from urllib.parse import unquote

from connectors.crm import WriteAccepted, WriteReceipt, WriteRefusalReason, WriteRefused
from connectors.language import _
from connectors.oplead.answers import RawWriteResponse
from connectors.oplead.options import Paths
from connectors.oplead.parsing.fields import first_value_at_paths, read_json
from connectors.oplead.parsing.lead_parser import as_lead_id, candidate_lead_objects
from connectors.records import AnswerLost
from connectors.text import strip_control_characters

_LOST = frozenset({408})
"""Statuses below 500 with which nobody knows: the server, or a proxy before it, gave up on the request."""
_FAULTS: Mapping[int, WriteRefusalReason] = {
    401: WriteRefusalReason.ACCESS,
    402: WriteRefusalReason.ACCESS,
    403: WriteRefusalReason.ACCESS,
    405: WriteRefusalReason.PATH,
    410: WriteRefusalReason.MISSING,
    429: WriteRefusalReason.PACE,
    501: WriteRefusalReason.PATH,
}
_SUCCESSES, _REFUSALS, _FAILURES = range(200, 300), range(400, 500), range(500, 600)
_MOVED = frozenset({301, 307, 308})
"""Redirects that ask for the same request elsewhere; after any other one, 303 above all, the write may be done."""
_ERRORS = frozenset({"error", "errors"})
_FAILED = frozenset({"error", "failed", "failure", "fail", "ko"})
"""What a body's `status` says where nothing was made."""
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
    answer: RawWriteResponse, *, ids: Paths, names_lead: bool, path: str = "", sent: Iterable[str] = ()
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
        return AnswerLost(_("Oplead answered {status}", status=status), answer.retry_after)
    if status in _MOVED:
        return WriteRefused(status, WriteRefusalReason.PATH, _("it leads elsewhere, where the key must not go"))
    if status in _REFUSALS or status in _FAILURES:
        missing = WriteRefusalReason.MISSING if names_lead else WriteRefusalReason.PATH
        fault = missing if status == 404 else _FAULTS.get(status, WriteRefusalReason.DATA)  # noqa: PLR2004 - not found
        return WriteRefused(status, fault, safe_reason(_json(answer.body), sent))
    if status not in _SUCCESSES:
        return AnswerLost(_("Oplead answered {status}, which does not say what became of it", status=status))
    if answer.body.lstrip()[:1] == b"<":
        return AnswerLost(_("Oplead answered {status} with a web page, as no API does", status=status))
    return _receipt_of_creation(answer, ids, path) if ids else WriteAccepted()


def _receipt_of_creation(answer: RawWriteResponse, ids: Paths, path: str) -> WriteAccepted | AnswerLost:
    """Return what a 2xx says of something new: it is there only if nothing in the body says otherwise."""
    there = _id_in(answer.location, path)
    try:
        body = read_json(answer.body) if answer.body.strip() else None
    except ValueError:
        if there:
            return WriteAccepted(there)
        return AnswerLost(_("Oplead answered {status} with a body that is no JSON", status=answer.status))
    if _tells_of_failure(body):
        return AnswerLost(_("Oplead answered {status} with an error", status=answer.status))
    return WriteAccepted(_new_id(body, ids) or there)


def _tells_of_failure(body: object) -> bool:
    """Whether a body, or what it wraps, says that nothing was made, whatever the status."""
    if isinstance(body, list):
        return any(map(_tells_of_failure, body))
    return body is False or isinstance(body, str) or any(map(_is_failure, candidate_lead_objects(body)))


def _is_failure(one: Mapping[str, object]) -> bool:
    status = one.get("status")
    return (
        any(one.get(name) for name in _ERRORS)
        or any(name in one and _is_negative_answer(one[name]) for name in ("success", "ok"))
        or (isinstance(status, str) and status.strip().casefold() in _FAILED)
        or (isinstance(status, Decimal) and 400 <= status < 600)  # noqa: PLR2004 - an HTTP error
    )


def _is_negative_answer(value: object) -> bool:
    return value is False or value == 0 or (isinstance(value, str) and value.strip().casefold() in {"false", "no", "0"})


def _json(body: bytes) -> object:
    try:
        return read_json(body)
    except ValueError:
        return None


def _new_id(body: object, ids: Paths) -> str | None:
    values = (first_value_at_paths(one, ids) for one in candidate_lead_objects(body))
    return next((text for value in values if (text := as_lead_id(value)) is not None), None)


def _id_in(location: str | None, path: str) -> str | None:
    """Return the last part of a new lead's address, if it lies below the path it was sent to."""
    before, _slash, last = (location or "").partition("?")[0].rstrip("/").rpartition("/")
    return as_lead_id(unquote(last)) if before.endswith(path.rstrip("/")) else None


# ── reasons ──────────────────────────────────────────────────────────────────────────────────────


def safe_reason(body: object, sent: Iterable[str]) -> str:
    """Return what a JSON refusal says, at most 200 characters, without what was sent or what may be somebody's data.

    Every word of a text that was sent is masked, whatever its case and accents; so are e-mail addresses, long numbers
    and names, which begin with a capital. Empty if nothing remains.
    """
    known = {word for text in sent for word in _WORD.findall(_folded(text))}
    said = dict.fromkeys(_masked(strip_control_characters(text), known) for text in _reasons(body, _DEEPEST))
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
