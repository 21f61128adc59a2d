"""Interpret Meta's answers, for a request and its rows."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus

import requests

from connectors.language import N_, _
from connectors.records import AnswerLost, Outcome, OutcomeClass, Receipt, Refused, RowOutcomes


@dataclass(frozen=True, slots=True)
class MetaErrorMeaning:
    """Our class and wording for an error, since Meta's messages are localised and may quote what was sent."""

    kind: OutcomeClass
    words: str
    advice: str = ""
    """What to do about it, if that is always the same."""


_INVALID_PARAMETER = 100
TOKEN = 190

_SLOW_DOWN = MetaErrorMeaning(OutcomeClass.RETRY, N_("Meta asks for fewer calls"))
_FOR_A_WHILE = MetaErrorMeaning(OutcomeClass.RETRY, N_("Meta has a passing trouble"))
_TROUBLE = MetaErrorMeaning(
    OutcomeClass.UNKNOWN, N_("Meta has a trouble of its own and does not say what it had taken before")
)
NO_PERMISSION = MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("the access token may not do this"))
NO_DATASET = MetaErrorMeaning(
    OutcomeClass.FIX_CONFIG,
    N_("the dataset does not exist or the access token has no access to it"),
    N_("compare meta.dataset_id with Events Manager, and make the access token there, for this dataset"),
)
_SESSION_OVER = MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("Meta does not take the access token"))
WRONG_SECRET = MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("the app secret is not that of the access token's app"))
_UNKNOWN_REFUSAL = MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("Meta refuses for a reason this version does not know"))
_OF_MESSAGING = MetaErrorMeaning(OutcomeClass.BUG, N_("an error about messaging, which is never sent"))

CODES: Mapping[int, MetaErrorMeaning] = {
    1: _TROUBLE,
    2: _TROUBLE,
    # "Unknown error code": https://github.com/rudderlabs/rudder-transformer
    5000: _TROUBLE,
    21009: MetaErrorMeaning(OutcomeClass.RETRY, N_("what was asked for is not ready yet")),
    # https://developers.facebook.com/docs/graph-api/overview/rate-limiting
    4: _SLOW_DOWN,
    17: _SLOW_DOWN,
    32: _SLOW_DOWN,
    341: _SLOW_DOWN,
    613: _SLOW_DOWN,
    **dict.fromkeys(range(80000, 80015), _SLOW_DOWN),
    3: NO_PERMISSION,
    10: NO_PERMISSION,
    **dict.fromkeys(range(200, 300), NO_PERMISSION),
    102: _SESSION_OVER,
    368: MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("Meta has blocked this for a breach of its policies")),
    803: NO_DATASET,
    2635: MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("this version of the Graph API is no longer served")),
    TOKEN: _SESSION_OVER,
    _INVALID_PARAMETER: MetaErrorMeaning(OutcomeClass.FIX_DATA, N_("Meta finds something in the request invalid")),
}
"""Meanings by code."""

_TOKEN_SUBCODES = {
    458: MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("the access token's app was removed")),
    459: MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("the access token's user must log in to Facebook")),
    460: MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("the access token's user changed the password")),
    463: MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("the access token has expired")),
    464: MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("the access token's user is not confirmed")),
    467: MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("the access token is invalid")),
    492: MetaErrorMeaning(OutcomeClass.FIX_CONFIG, N_("the access token's user has lost a role the token needs")),
}
_PARAMETER_SUBCODES = {
    33: NO_DATASET,
    # https://github.com/Adsmurai-Google-Tag-Manager-Templates/adsmurai-facebook-conversions-api-client/issues/6
    2804001: MetaErrorMeaning(OutcomeClass.FIX_DATA, N_("a click id is not in Meta's form")),
    2804003: MetaErrorMeaning(OutcomeClass.EXPIRED, N_("an event is older than 7 days")),
    2804004: MetaErrorMeaning(OutcomeClass.FIX_DATA, N_("an event's time lies ahead or is in milliseconds")),
    2804008: MetaErrorMeaning(OutcomeClass.FIX_DATA, N_("an article has no id")),
    # https://github.com/Adsmurai-Google-Tag-Manager-Templates/adsmurai-facebook-conversions-api-client/issues/7
    2804009: MetaErrorMeaning(OutcomeClass.FIX_DATA, N_("a Purchase has no value")),
    2804010: MetaErrorMeaning(OutcomeClass.FIX_DATA, N_("a Purchase has no currency")),
    2804011: MetaErrorMeaning(OutcomeClass.FIX_DATA, N_("a currency is none")),
    # https://github.com/facebook/facebook-java-business-sdk/issues/421
    2804016: MetaErrorMeaning(OutcomeClass.BUG, N_("contact data is not hashed")),
    # https://github.com/facebook/facebook-nodejs-business-sdk/issues/258
    2804019: MetaErrorMeaning(OutcomeClass.FIX_DATA, N_("a field is unknown or has the wrong shape")),
    2804023: MetaErrorMeaning(OutcomeClass.FIX_DATA, N_("a value has no currency")),
    2804036: MetaErrorMeaning(OutcomeClass.FIX_DATA, N_("a lead_id is invalid")),
    2804050: MetaErrorMeaning(OutcomeClass.FIX_DATA, N_("too little is known of a person")),
    **dict.fromkeys((2804064, 2804066, 2804072, 2804087, 2804116, 2804131, 2804132), _OF_MESSAGING),
}
SUBCODES = {TOKEN: _TOKEN_SUBCODES, _INVALID_PARAMETER: _PARAMETER_SUBCODES}
"""Meanings by subcode of the codes that have subcodes; without one, the code's own holds."""


def meta_error_meaning(code: int, subcode: int | None, *, passing: bool, blames_secret: bool) -> MetaErrorMeaning:
    """Return the meaning of an error with a status below 500; unknown codes need a human, never a guess.

    Args:
        code: the error's code.
        subcode: the error's subcode, if any.
        passing: whether Meta calls it transient, which leaves open whether the events were recorded. A known refusal
            becomes a retry; an unknown code leaves the outcome lost.
        blames_secret: whether it mentions `appsecret_proof`, which has no code of its own:
            https://github.com/facebook/facebook-python-business-sdk/issues/528
    """
    meaning = SUBCODES.get(code, {}).get(subcode or 0) or CODES.get(code, _UNKNOWN_REFUSAL)
    if code == _INVALID_PARAMETER and blames_secret:
        meaning = WRONG_SECRET
    if not passing or meaning.kind in (OutcomeClass.RETRY, OutcomeClass.UNKNOWN):
        return meaning
    return _TROUBLE if meaning is _UNKNOWN_REFUSAL else _FOR_A_WHILE


_ROW = re.compile(r"\$\[\\?['\"]data\\?['\"]\]\[([0-9]{1,4})\]")
"""Matches `$['data'][3]['user_data']`, the path by which an answer identifies an event.

https://github.com/facebookincubator/ConversionsAPI-Tag-for-GoogleTagManager/issues/20
"""
_TRACE = re.compile(r"[A-Za-z0-9_-]{1,40}")
_USAGE = ("X-Business-Use-Case-Usage", "X-Business-Use-Case")
"""Header with the time until calls are allowed again; Meta's docs give it under two names."""
_LONGEST_WAIT = timedelta(days=7)
NEAR_ITS_END = N_("Meta warns that the version of its API that is spoken here is over or near its end")
INSTALL_A_NEWER = N_(
    "Install a newer oplead-sync, or write a newer version as meta.api_version, before Meta ends it: afterwards every "
    "event is refused, and waits."
)


@dataclass(frozen=True, slots=True)
class GraphError:
    """A Meta error, reduced to codes and numbers."""

    http: int
    code: int
    subcode: int | None
    meaning: MetaErrorMeaning
    rows: tuple[int, ...]
    """Zero-based indices of the suspect rows."""
    trace: str | None
    """`fbtrace_id`, by which Meta support can find the call for a while."""
    retry_after: timedelta | None

    @property
    def codes(self) -> str:
        """The code, with the subcode if there is one: `100/33`."""
        return f"{self.code}/{self.subcode}" if self.subcode else str(self.code)

    @property
    def outcome(self) -> Outcome:
        """Outcome for the whole request, or for its suspect rows."""
        kind = self.meaning.kind
        wait = self.retry_after if kind is OutcomeClass.RETRY else None
        words = ": ".join(filter(None, (_(self.meaning.words), _(self.meaning.advice))))
        return Outcome(kind, self.codes, _message(words, self.trace), wait)

    def receipt(self, sent: int) -> Refused | AnswerLost:
        """Return the receipt of a request of `sent` events."""
        if self.is_inconclusive:
            return AnswerLost(
                _("HTTP {http} with Meta's error {codes}", http=self.http, codes=self.codes), self.retry_after
            )
        of_rows = self.meaning.kind in {OutcomeClass.FIX_DATA, OutcomeClass.EXPIRED}
        return Refused(self.outcome, tuple(row for row in self.rows if row < sent) if of_rows else ())

    @property
    def is_inconclusive(self) -> bool:
        """Whether the events may have been processed: a failing server may have recorded them first."""
        return self.http >= HTTPStatus.INTERNAL_SERVER_ERROR or self.meaning.kind is OutcomeClass.UNKNOWN


def receipt(response: requests.Response, sent: int) -> Receipt:
    """Return the receipt of a request of `sent` events.

    Meta only confirms that events were received, not that they matched a person or were attributed to an ad.
    """
    found = _receipt(response, sent)
    if isinstance(found, AnswerLost) or not warns_of_version_sunset(response):
        return found
    return replace(
        found,
        warnings=(
            _(
                "{problem}: install a newer oplead-sync, or write a newer version as meta.api_version",
                problem=_(NEAR_ITS_END),
            ),
        ),
    )


def _receipt(response: requests.Response, sent: int) -> RowOutcomes | Refused | AnswerLost:
    if error := read_error(response):
        return error.receipt(sent)
    answer = read_object(response)
    if answer is None:
        return AnswerLost(_("HTTP {status} with an answer that cannot be read", status=response.status_code))
    received, trace = answer.get("events_received"), _trace(answer.get("fbtrace_id"))
    if not response.ok or isinstance(received, bool) or not isinstance(received, int):
        return AnswerLost(
            _("HTTP {status} without a count of events or an error of Meta's", status=response.status_code)
        )
    if received != sent:
        words = _message(_("{received} of {sent} received", received=received, sent=sent), trace)
        return RowOutcomes((Outcome(OutcomeClass.UNKNOWN, "EVENTS_RECEIVED_MISMATCH", words),) * sent)
    words = _("received with a remark of Meta's: see Diagnostics in Events Manager") if answer.get("messages") else ""
    return RowOutcomes((Outcome(OutcomeClass.DONE, "received", _message(words, trace)),) * sent)


def warns_of_version_sunset(response: requests.Response) -> bool:
    """Return whether Meta warns that this API version ends soon, or has ended although the call was still served.

    https://developers.facebook.com/docs/marketing-api/overview/versioning
    """
    return "X-Ad-Api-Version-Warning" in response.headers


def read_object(response: requests.Response) -> Mapping[str, object] | None:
    """Parse an answer as a JSON object; None if it is anything else."""
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def read_error(response: requests.Response) -> GraphError | None:
    """Return Meta's own error, whatever the HTTP status; None if there is none with a code."""
    match read_object(response):
        case {"error": {"code": int() as code, **error}} if not isinstance(code, bool):
            subcode = error.get("error_subcode")
        case _:
            return None
    subcode = subcode if isinstance(subcode, int) and not isinstance(subcode, bool) else None
    texts = [text for key in ("message", "error_user_msg", "error_data") if (text := _text(error.get(key)))]
    return GraphError(
        http=response.status_code,
        code=code,
        subcode=subcode,
        meaning=meta_error_meaning(
            code,
            subcode,
            passing=error.get("is_transient") is True,
            blames_secret=any("appsecret_proof" in text for text in texts),
        ),
        rows=tuple(sorted({int(row) for text in texts for row in _ROW.findall(text)})),
        trace=_trace(error.get("fbtrace_id")),
        retry_after=_throttling_wait_time(response.headers),
    )


def _throttling_wait_time(headers: Mapping[str, str]) -> timedelta | None:
    """Return the longest `estimated_time_to_regain_access` (in minutes) of any business.

    https://developers.facebook.com/documentation/ads-commerce/marketing-api/overview/rate-limiting
    """
    minutes = max((each for name in _USAGE for each in _minutes(headers.get(name, ""))), default=0.0)
    return min(timedelta(minutes=minutes), _LONGEST_WAIT) if minutes else None


def _minutes(header: str) -> Iterator[float]:
    try:
        usage = json.loads(header)
    except (ValueError, RecursionError):
        return
    for uses in usage.values() if isinstance(usage, dict) else ():
        for use in uses if isinstance(uses, list) else ():
            minutes = use.get("estimated_time_to_regain_access") if isinstance(use, dict) else None
            if isinstance(minutes, int | float) and math.isfinite(minutes) and minutes > 0:
                yield min(float(minutes), _LONGEST_WAIT / timedelta(minutes=1))


def _message(words: str, trace: str | None) -> str:
    return ", ".join(filter(None, (words, f"fbtrace_id {trace}" if trace else "")))


def _trace(trace: object) -> str | None:
    return trace if isinstance(trace, str) and _TRACE.fullmatch(trace) else None


def _text(value: object) -> str:
    """Return a value as searchable text; `error_data` may be an object or a string."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
