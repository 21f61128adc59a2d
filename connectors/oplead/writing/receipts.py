"""Judge the answer to a write: what became of it, the new id, and a reason without personal data. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from urllib.parse import unquote

from connectors.crm import WriteAccepted, WriteReceipt, WriteRefusalReason, WriteRefused
from connectors.language import _
from connectors.oplead.answers import RawWriteResponse
from connectors.oplead.options import CreationAnswers, Paths
from connectors.oplead.parsing.field_tree import normalise
from connectors.oplead.parsing.fields import first_value_at_paths, read_json
from connectors.oplead.parsing.lead_parser import as_lead_id, candidate_lead_objects
from connectors.oplead.parsing.synonyms import with_french
from connectors.records import AnswerLost
from connectors.text import strip_control_characters

_LOST = frozenset({408})
"""Statuses below 500 with which nobody knows: the server, or a proxy before it, gave up on the request."""
_MAYBE_MADE = frozenset({409})
"""With which something new may be there: the one that it conflicts with may be what this very request has made."""
_TOO_MANY = 429
_A_MINUTE = timedelta(minutes=1)
_FAULTS: Mapping[int, WriteRefusalReason] = {
    401: WriteRefusalReason.ACCESS,
    402: WriteRefusalReason.ACCESS,
    403: WriteRefusalReason.ACCESS,
    405: WriteRefusalReason.PATH,
    410: WriteRefusalReason.MISSING,
    _TOO_MANY: WriteRefusalReason.PACE,
}
_SUCCESSES, _REFUSALS, _FAILURES = range(200, 300), range(400, 500), range(500, 600)
_MOVED = frozenset({301, 307, 308})
"""Redirects that ask for the same request elsewhere; after any other one, 303 above all, the write may be done."""
_ENVELOPES = ("data", "lead", "result", "resultat", "response", "reponse", "meta")
"""What may wrap what an answer says, in names as `normalise` writes them."""
_ERRORS = ("error", "erreur", "exception", "violation", "echec", "failure", "anomalie")
"""What the name of a value holds that says what went wrong."""
_FAILURES_BY_NAME = frozenset({"failed", "rejected", "refused", "rejete", "refuse", "invalid", "invalide"})
_SUCCEEDED = frozenset({"success", "succes", "successful", "issuccess", "ok", "isok", "reussi", "reussite"})
_SUCCESSES_BY_NAME = _SUCCEEDED | {"valid", "valide", "isvalid", "accepted", "accepte", "created", "cree"}
_STATUSES_BY_NAME = frozenset(
    {"status", "statut", "state", "etat", "result", "resultat", "response", "reponse", "outcome", "code", "type"}
    | {"statuscode", "httpcode", "httpstatus", "codehttp", "codestatut", "coderetour", "returncode", "responsecode"}
)
_FAILED = frozenset({"failed", "fail", "ko", "nok", "echoue", "refused", "rejected", "invalid", "invalide", "denied"})
"""What a body's status says where nothing was made, beside the words of `_ERRORS`."""
_NO = frozenset({"", "0", "false", "faux", "no", "non", "none", "null", "aucun", "aucune", "n", "f"})
_FAILING = range(400, 600)
_NO_IDS = frozenset({"0", "-1"})
"""What stands in place of an id where nothing has one."""
_NOTHING_KNOWN = CreationAnswers()
_LONGEST_REASON = 200
_REASONS = (
    *with_french("message", "detail", "title", "error"),
    *("error_description", *with_french("errors", "violations", "reason", "code")),
)
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
    answer: RawWriteResponse,
    *,
    ids: Paths,
    names_lead: bool,
    path: str = "",
    sent: Iterable[str] = (),
    answers: CreationAnswers = _NOTHING_KNOWN,
) -> WriteReceipt:
    """Return what became of a write that was answered.

    Args:
        answer: the answer.
        ids: where a new id may be in it; none if nothing new is made.
        names_lead: whether the path names a lead, which a 404 then says is missing.
        path: the request's path, which a new address begins with.
        sent: every text of the request, none of which the reason repeats.
        answers: what is known of how something new is answered.
    """
    status = answer.status
    may_be_made = status in _MAYBE_MADE or (status == _TOO_MANY and not answers.refuses_early)
    if status in _LOST or status in _FAILURES or (ids and may_be_made):
        # A pace counts a minute, where it names none.
        delay = _A_MINUTE if status == _TOO_MANY and answer.retry_after is None else answer.retry_after
        return AnswerLost(_("Oplead answered {status}", status=status), delay)
    if status in _MOVED:
        return WriteRefused(status, WriteRefusalReason.PATH, _("it leads elsewhere, where the key must not go"))
    if status in _REFUSALS:
        missing = WriteRefusalReason.MISSING if names_lead else WriteRefusalReason.PATH
        fault = missing if status == 404 else _FAULTS.get(status, WriteRefusalReason.DATA)  # noqa: PLR2004 - not found
        return WriteRefused(status, fault, safe_reason(_json(answer.body), sent))
    if status not in _SUCCESSES:
        return AnswerLost(_("Oplead answered {status}, which does not say what became of it", status=status))
    return _receipt_of_success(answer, ids, path, answers)


def _receipt_of_success(answer: RawWriteResponse, ids: Paths, path: str, answers: CreationAnswers) -> WriteReceipt:
    """Return what a 2xx says: nothing is done if it tells of an error, and nothing new is there for sure without id."""
    status = answer.status
    if answer.body.lstrip()[:1] == b"<":
        return AnswerLost(_("Oplead answered {status} with a web page, as no API does", status=status))
    there = _id_in(answer.location, path) if ids else None
    try:
        body = read_json(answer.body) if answer.body.strip() else None
    except ValueError:
        if ids and not there:
            return AnswerLost(_("Oplead answered {status} with a body that is no JSON", status=status))
        body = None
    if _tells_of_failure(body, ids):
        return AnswerLost(_("Oplead answered {status} with an error", status=status))
    if not ids:
        return WriteAccepted()
    new = _new_id(body, ids) or there
    if new is None and not answers.created_without_id:
        reason = _(
            "Oplead answered {status} without an id (where that is usual, write oplead.write.created_without_id: true)",
            status=status,
        )
        return AnswerLost(reason)
    return WriteAccepted(new)


def _tells_of_failure(body: object, ids: Paths) -> bool:
    """Whether a body, or what it wraps, says that nothing was done, in any spelling and whatever the status."""
    match body:
        case list():
            return any(_tells_of_failure(one, ids) for one in body)
        case Mapping():
            is_new = any(_is_id(body.get(path.rpartition(".")[2])) for path in ids)
            return any(_says_failure(normalise(name), value, ids, is_new=is_new) for name, value in body.items())
    return body is False or _is_failed_status(body)


def _says_failure(name: str, value: object, ids: Paths, *, is_new: bool) -> bool:
    """Whether one value of an answer, by its normalised name, says that nothing was done.

    What stands beside a new id (`is_new`) may be a field of the lead, such as its status, unless its name says more.
    """
    if name in _ENVELOPES and isinstance(value, Mapping | list):
        return _tells_of_failure(value, ids)
    if _speaks_of_errors(name):
        return not (_is_negative(value) or (isinstance(value, str) and normalise(value) in _SUCCESSES_BY_NAME))
    if is_new:
        is_error = isinstance(value, str) and _speaks_of_errors(normalise(value))
        return (name in _SUCCEEDED and _is_negative(value)) or (name in _STATUSES_BY_NAME and is_error)
    if name in _FAILURES_BY_NAME:
        return not _is_negative(value)
    if name in _SUCCESSES_BY_NAME:
        return _is_negative(value) or _is_failed_status(value)
    return name in _STATUSES_BY_NAME and _is_failed_status(value)


def _is_failed_status(value: object) -> bool:
    if isinstance(value, Decimal):
        return value in _FAILING
    if not isinstance(value, str):
        return False
    said = normalise(value)
    if said.isdecimal():
        return int(said) in _FAILING
    return said in _FAILED or _speaks_of_errors(said)


def _speaks_of_errors(normalised: str) -> bool:
    return any(word in normalised for word in _ERRORS)


def _is_negative(value: object) -> bool:
    return normalise(value) in _NO if isinstance(value, str) else not value


def _json(body: bytes) -> object:
    try:
        return read_json(body)
    except ValueError:
        return None


def _new_id(body: object, ids: Paths) -> str | None:
    values = (first_value_at_paths(one, ids) for one in candidate_lead_objects(body))
    return next((as_lead_id(value) for value in values if _is_id(value)), None)


def _is_id(value: object) -> bool:
    return (as_lead_id(value) or "0") not in _NO_IDS


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
