"""What the Data Manager's answers mean: its reasons by class, its refusals, and the status of a request row by row.

https://developers.google.com/data-manager/api/devguides/concepts/understand-errors
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from enum import IntEnum
from http import HTTPStatus

import requests
from google.ads.datamanager_v1 import ErrorReason, ProcessingErrorReason, RequestStatusPerDestination

from connectors.google_ads.limits import DONE, INCONCLUSIVE_STATUSES, REQUEST_ID, SHORTEST_DEFERRAL
from connectors.records import Answered, Lost, Miscounted, Outcome, OutcomeClass, PartlyRefused, Refused, StillPending

# https://developers.google.com/data-manager/api/reference/rest/v1/ErrorReason
# https://developers.google.com/data-manager/api/reference/rest/v1/requestStatus/retrieve
REASONS: Mapping[OutcomeClass, tuple[str, ...]] = {
    OutcomeClass.FIX_CONFIG: (
        "DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS",
        "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED",
        "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
        "DESTINATION_ACCOUNT_TYPE_MISMATCH",
        "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED",
        "EVENT_SOURCE_AND_DESTINATION_MISMATCH",
        "INVALID_CONVERSION_ACTION_ID",
        "INVALID_CONVERSION_ACTION_TYPE",
        "INVALID_DESTINATION",
        "NOT_ALLOWLISTED",
        "NOT_FOUND",  # all we name in a request are the accounts and the action
        "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH",
        "PERMISSION_DENIED",
        "TERMS_AND_CONDITIONS_NOT_SIGNED",
        "PROCESSING_ERROR_REASON_DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED",
        "PROCESSING_ERROR_REASON_EXTERNAL_ATTRIBUTION_DATA_MISSING",
        # The advertiser has not consented to Google's core platform services: an account setting, no row's.
        "PROCESSING_ERROR_REASON_NO_CONSENT",
        "PROCESSING_ERROR_REASON_ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
    ),
    OutcomeClass.RETRY: (
        "RESOURCE_EXHAUSTED",
        "PROCESSING_ERROR_REASON_INTERNAL_ERROR",
    ),
    OutcomeClass.DEFER: (
        "CONVERSION_ACTION_TOO_RECENTLY_CREATED",
        "PROCESSING_ERROR_REASON_TOO_RECENT_CLICK",
    ),
    OutcomeClass.DUPLICATE: (
        "PROCESSING_ERROR_REASON_DUPLICATE_GCLID",
        "PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID",
    ),
    OutcomeClass.EXPIRED: ("PROCESSING_ERROR_REASON_EVENT_TOO_OLD",),
    OutcomeClass.FIX_DATA: (
        "EVENT_TIME_INVALID",  # too old or in the future: it does not say which
        "FIELD_VALUE_TOO_LONG",
        "FIELD_VALUE_TOO_SHORT",
        "INVALID_AD_IDENTIFIER_FOR_ACCOUNT",
        "INVALID_CURRENCY_CODE",
        "INVALID_EVENT",
        "INVALID_FORMAT",
        "INVALID_HEX_ENCODING",
        "INVALID_NUMBER_FORMAT",
        "INVALID_SHA256_FORMAT",
        "NO_IDENTIFIERS_PROVIDED",
        "REQUIRED_FIELD_MISSING",
        "TOO_MANY_USER_IDENTIFIERS",
        "PROCESSING_ERROR_REASON_CONVERSION_PRECEDES_CLICK",
        "PROCESSING_ERROR_REASON_INVALID_AD_IDENTIFIERS",
        "PROCESSING_ERROR_REASON_INVALID_EVENT",
        "PROCESSING_ERROR_REASON_INVALID_FORMAT",
        "PROCESSING_ERROR_REASON_INVALID_GBRAID",
        "PROCESSING_ERROR_REASON_INVALID_GCLID",
        "PROCESSING_ERROR_REASON_INVALID_WBRAID",
        # One lead's click was on another account's ad: no reason to stop the whole destination for it.
        "PROCESSING_ERROR_REASON_INVALID_OPERATING_ACCOUNT_FOR_CLICK",
        "PROCESSING_ERROR_OPERATING_ACCOUNT_MISMATCH_FOR_AD_IDENTIFIER",
    ),
    OutcomeClass.DROP: (
        "PROCESSING_ERROR_REASON_DENIED_CONSENT",
        "PROCESSING_ERROR_REASON_INVALID_CLICK",
        "PROCESSING_ERROR_REASON_UNKNOWN_CONSENT",
    ),
    OutcomeClass.DROP_EXPECTED: (
        "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND",
        "PROCESSING_ERROR_REASON_MATCH_ID_NOT_FOUND",
        "PROCESSING_ERROR_REASON_USER_ID_NOT_FOUND",
        "PROCESSING_ERROR_REASON_USER_ID_NOT_FOUND_FOR_DCLID",
        "PROCESSING_ERROR_REASON_USER_ID_NOT_FOUND_FOR_GCLID",
        "PROCESSING_ERROR_REASON_USER_ID_NOT_FOUND_FOR_IMPRESSION_ID",
        "PROCESSING_ERROR_REASON_USER_ID_NOT_FOUND_FOR_MATCH_ID",
    ),
    OutcomeClass.UNKNOWN: (
        "DEADLINE_EXCEEDED",
        "ERROR_REASON_UNSPECIFIED",
        "INTERNAL_ERROR",
        "INVALID_ARGUMENT",  # the generic one, beside which a field violation may say more
        "PROCESSING_ERROR_REASON_UNSPECIFIED",
    ),
}
"""Why a request was refused whole, and (`PROCESSING_ERROR_…`) a row after its request was taken in.

Every other reason of the library's is about what is never sent or asked: audiences, licences, partners, Analytics,
store sales, encryption. To meet one is a bug of ours.
"""

ACTION_REASONS = frozenset(
    {
        "CONVERSION_ACTION_TOO_RECENTLY_CREATED",
        "INVALID_CONVERSION_ACTION_ID",
        "INVALID_CONVERSION_ACTION_TYPE",
        "PROCESSING_ERROR_REASON_EXTERNAL_ATTRIBUTION_DATA_MISSING",
        "PROCESSING_ERROR_REASON_ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
    }
)
"""Reasons that blame the conversion action: others of the same account may go on."""

WORDS: Mapping[str, str] = {
    "PROCESSING_ERROR_REASON_NO_CONSENT": "the advertiser has not consented to Google's core platform services: "
    "whoever manages the Google Ads account gives that consent in its settings",
}
"""What to say of a code to a human; the API's own sentences may quote what was sent."""

_GENERIC = {"INVALID_ARGUMENT", "ERROR_REASON_UNSPECIFIED"}
_INTERNAL = {"DEADLINE_EXCEEDED", "INTERNAL_ERROR"}
"""Reasons after which nobody knows whether the request was processed."""

_CLASSES = {
    **{reason.name: OutcomeClass.BUG for reason in (*ErrorReason, *ProcessingErrorReason)},  # they share no name
    **{reason: kind for kind, reasons in REASONS.items() for reason in reasons},
}


def outcome_class(code: str) -> OutcomeClass | None:
    """The class of a reason by its name; None for one this library does not know."""
    return _CLASSES.get(code)


def outcome_of(code: str, message: str = "", *, retry_after: timedelta | None = None) -> Outcome:
    """The outcome of a reason by its name, unknown where the API is newer than this library."""
    kind = outcome_class(code) or OutcomeClass.UNKNOWN
    if kind is OutcomeClass.DEFER:
        retry_after = max(SHORTEST_DEFERRAL, retry_after or SHORTEST_DEFERRAL)
    return Outcome(kind, code, message or WORDS.get(code, ""), retry_after, of_target=code in ACTION_REASONS)


def code_name(value: object, codes: type[IntEnum]) -> str | None:
    """A code's name, which an answer may give as its number instead; None for what is neither."""
    if isinstance(value, int):
        return next((code.name for code in codes if code == value), f"{codes.__name__}_{value}")
    return value if isinstance(value, str) and value.isidentifier() and len(value) <= 120 else None  # noqa: PLR2004 - longer than any


# ── a request refused ────────────────────────────────────────────────────────────────────────────

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,119}")
_PATH = re.compile(r"[\w./\[\]]{1,200}")
_ROW = re.compile(r"\bevents[\[./](\d+)")
"""`events[3].user_data`, `events.events[3]`, `events.3`: how a path names a row is not documented."""
_EVENTS = re.compile(r"\bevents\b")
_ACTION = re.compile(r"product_?destination|conversion_?action", re.IGNORECASE)
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?")

_STATUS_CLASSES = {
    "UNAUTHENTICATED": OutcomeClass.FIX_CONFIG,
    "PERMISSION_DENIED": OutcomeClass.FIX_CONFIG,
    "NOT_FOUND": OutcomeClass.FIX_CONFIG,
    "RESOURCE_EXHAUSTED": OutcomeClass.RETRY,
    "ABORTED": OutcomeClass.RETRY,  # a conflict with another call: nothing of this one stands
}
"""The canonical status, where Google's front door names a reason of its own (SERVICE_DISABLED).

https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
"""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field the answer finds fault with."""

    path: str
    reason: str | None

    @property
    def row(self) -> int | None:
        """The event it is about, from 0, where the path says."""
        match = _ROW.search(self.path)
        return int(match[1]) if match else None

    @property
    def in_events(self) -> bool:
        """Whether it is about an event, even where the path does not say which."""
        return _EVENTS.search(self.path) is not None


@dataclass(frozen=True, slots=True)
class VendorError:
    """A `google.rpc.Status`, reduced to codes, paths and ids: its sentences may quote what we sent."""

    http: int
    status: str
    reason: str | None
    violations: tuple[FieldViolation, ...]
    request_id: str | None
    retry_after: timedelta | None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every reason it gives, its own first."""
        return tuple(filter(None, (self.reason, *(each.reason for each in self.violations))))

    @property
    def code(self) -> str:
        """The most telling reason: a field's own, else the answer's, else its status."""
        own = [each.reason for each in self.violations if each.reason and each.reason not in _GENERIC]
        of_request = [reason for reason in own if outcome_class(reason) in {OutcomeClass.FIX_CONFIG, OutcomeClass.BUG}]
        return next(iter(of_request + own), None) or self.reason or self.status

    @property
    def outcome(self) -> Outcome:
        """What it means for the whole request, or for the rows it blames."""
        outcome = outcome_of(self.code, self._summary, retry_after=self.retry_after)
        if outcome_class(self.code) is None or self.code in _GENERIC:
            outcome = replace(outcome, kind=self._class_without_reason)
        blamed = self._blamed
        if outcome.kind is OutcomeClass.FIX_DATA and blamed and not any(each.in_events for each in blamed):
            # What is wrong stands beside the events: sending fewer of them would not help.
            of_target = all(_ACTION.search(each.path) for each in blamed)
            return replace(outcome, kind=OutcomeClass.FIX_CONFIG, of_target=of_target)
        return outcome

    @property
    def is_inconclusive(self) -> bool:
        """Whether nobody knows what was done: a server that fails may have taken the events before it failed."""
        has_failed = self.http >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status in INCONCLUSIVE_STATUSES
        return has_failed or self.outcome.code in _INTERNAL

    def receipt(self, sent: int) -> Refused | Lost:
        """The answer to a request of `sent` events; a refusal blames only rows that share its code."""
        if self.is_inconclusive:
            return Lost(f"HTTP {self.http} {self.code}", self.retry_after)
        rows = {each.row for each in self._blamed}
        return Refused(self.outcome, tuple(sorted(row for row in rows if row is not None and row < sent)))

    @property
    def _blamed(self) -> tuple[FieldViolation, ...]:
        """The violations the code is about."""
        return tuple(each for each in self.violations if each.reason in {self.code, None, *_GENERIC})

    @property
    def _class_without_reason(self) -> OutcomeClass:
        """Its class where no reason we know says so.

        A request that is refused is refused whole, so nothing is in doubt: a bad argument may be any row's.
        """
        if kind := _STATUS_CLASSES.get(self.status):
            return kind
        if self.http < HTTPStatus.BAD_REQUEST:
            return OutcomeClass.UNKNOWN
        is_plain = self.status == "INVALID_ARGUMENT" and self.code in _GENERIC
        is_of_a_row = is_plain or any(each.in_events for each in self._blamed)
        return OutcomeClass.FIX_DATA if is_of_a_row else OutcomeClass.FIX_CONFIG

    @property
    def _summary(self) -> str:
        request = [f"request {self.request_id}"] if self.request_id else []
        return ", ".join([f"HTTP {self.http} {self.status}", *(each.path for each in self.violations[:3]), *request])


def read_error(response: requests.Response) -> VendorError | None:
    """The error the API itself gave; None where the answer is not its own (HTML, empty, another shape)."""
    try:
        payload = response.json()
    except (ValueError, RecursionError):
        return None
    match payload:
        case {"error": {"status": str() as status, **error}} if _CODE.fullmatch(status):
            details = _details(error.get("details"))
        case _:
            return None
    return VendorError(
        http=response.status_code,
        status=status,
        reason=_text(details.get("ErrorInfo", {}).get("reason"), _CODE),
        violations=tuple(_violations(details.get("BadRequest", {}).get("fieldViolations"))),
        request_id=_text(details.get("RequestInfo", {}).get("requestId"), REQUEST_ID),
        retry_after=_seconds(str(details.get("RetryInfo", {}).get("retryDelay")).removesuffix("s"))
        or _header_delay(response.headers),
    )


def _details(listed: object) -> dict[str, dict[str, object]]:
    """The detail messages by the last part of their type, such as `ErrorInfo`."""
    messages = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return {str(each.get("@type")).rpartition(".")[2]: each for each in messages}


def _violations(listed: object) -> Iterator[FieldViolation]:
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and (path := _text(each.get("field"), _PATH)):
            yield FieldViolation(path, _text(each.get("reason"), _CODE))


def _header_delay(headers: Mapping[str, str]) -> timedelta | None:
    """Retry-After in seconds, or as a date, read against the answer's own clock (RFC 9110, 10.2.3)."""
    value = headers.get("Retry-After", "")
    try:
        until = parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return _seconds(value)
    return max(until, timedelta(0))


def _seconds(text: str) -> timedelta | None:
    return timedelta(seconds=float(text)) if _SECONDS.fullmatch(text) else None


def _text(value: object, pattern: re.Pattern[str]) -> str | None:
    """The value where it is text of the expected form: whatever else stands there is not repeated."""
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


# ── the status of a request taken in ─────────────────────────────────────────────────────────────

_UNSPECIFIED = "PROCESSING_ERROR_REASON_UNSPECIFIED"
_STATUSES = {"SUCCESS": "SUCCESS", "PARTIAL_SUCCESS": "PARTIAL_SUCCESS", "FAILED": "FAILED", "FAILURE": "FAILED"}
"""The final statuses: FAILED by the enum, FAILURE by https://developers.google.com/data-manager/api/devguides/diagnostics."""
_REJECTED = (OutcomeClass.FIX_CONFIG, OutcomeClass.FIX_DATA, OutcomeClass.DROP, OutcomeClass.DROP_EXPECTED)
"""The classes that refuse a row, or hold it back for a setting; first the one a human should hear of."""


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """How many records were refused for one reason, and which, where the answer says."""

    reason: str
    count: int
    indices: tuple[int, ...] | None

    def is_sound(self, rows: int) -> bool:
        """Whether the indices, where given, agree with the count and the request."""
        if self.indices is None:
            return True
        in_range = all(0 <= index < rows for index in self.indices)
        return in_range and len(set(self.indices)) == len(self.indices) == self.count


def read_status(payload: object, rows: int) -> Answered | StillPending | PartlyRefused | Miscounted:
    """The outcome of a request of `rows` events to one destination.

    It counts every event it was sent, however each fared; where it counts others than we sent, it speaks of none.
    Raises ValueError for an answer of another shape.
    """
    match payload:
        case {"requestStatusPerDestination": [dict() as destination]}:
            pass
        case _:
            raise ValueError("not the status of a request to one destination")
    name = code_name(destination.get("requestStatus"), RequestStatusPerDestination.RequestStatus)
    status = _STATUSES.get(name or "")
    counts = [count for count in _error_counts(destination) if count.count]
    if status is None:
        return StillPending()
    counted = _counted(destination)
    if status != "FAILED" and counted is not None and counted != rows:
        return Miscounted(counted, rows)
    if status == "SUCCESS" and not counts:
        return Answered((DONE,) * rows)
    return _by_row(status, counts, rows) or _as_a_whole(status, counts, rows)


def _by_row(status: str, counts: Sequence[ErrorCount], rows: int) -> Answered | None:
    """Each row's outcome by the record indices; None where they are missing or contradict the rest."""
    if not all(count.indices is not None and count.is_sound(rows) for count in counts):
        return None
    # A row refused for several reasons keeps the first.
    codes = {index: count.reason for count in reversed(counts) for index in count.indices or ()}
    is_proven = {"FAILED": len(codes) == rows, "PARTIAL_SUCCESS": 0 < len(codes) < rows}
    if not is_proven.get(status):
        return None
    return Answered(tuple(outcome_of(codes[row]) if row in codes else DONE for row in range(rows)))


def _as_a_whole(status: str, counts: Sequence[ErrorCount], rows: int) -> Answered | PartlyRefused:
    """All refused where the answer says so and nothing in it says otherwise; else nobody knows which."""
    refused = sum(count.count for count in counts)
    reasons = tuple(dict.fromkeys(count.reason for count in counts))
    agrees = refused >= rows or not counts  # counts "may not be populated in all cases"
    if status == "FAILED" and agrees and all(count.is_sound(rows) for count in counts):
        return Answered((_shared(reasons),) * rows)
    return PartlyRefused(min(max(refused, 1), rows), rows, reasons)


def _shared(reasons: Sequence[str]) -> Outcome:
    """One outcome for rows all refused, when several reasons are given without their rows."""
    if len(reasons) == 1:
        return outcome_of(reasons[0])
    kinds = {outcome_of(reason).kind for reason in reasons}
    # None was taken, so all may wait for a setting that is wrong for some.
    kind = next((kind for kind in _REJECTED if kind in kinds and kinds <= set(_REJECTED)), OutcomeClass.UNKNOWN)
    return Outcome(kind, " + ".join(reasons) or "FAILED")


def _counted(destination: dict[str, object]) -> int | None:
    """How many events the platform says it was sent; None where it does not say."""
    match destination.get("eventsIngestionStatus"):
        case dict() as ingestion:
            return _whole(ingestion.get("recordCount", 0))  # JSON leaves a count of none out
        case _:
            return None


def _error_counts(destination: dict[str, object]) -> list[ErrorCount]:
    match destination.get("errorInfo"):
        case {"errorCounts": list() as listed}:
            return [_error_count(each) for each in listed]
        case _:
            return []


def _error_count(fields: object) -> ErrorCount:
    if not isinstance(fields, dict):
        raise ValueError("an error count of another shape")  # noqa: TRY004 - it is the answer that is wrong, not a type of ours
    indices = fields.get("recordIndices")
    return ErrorCount(
        reason=code_name(fields.get("reason"), ProcessingErrorReason) or _UNSPECIFIED,
        count=_whole(fields.get("recordCount", 0)),
        indices=tuple(map(_whole, indices)) if isinstance(indices, list) and indices else None,
    )


def _whole(value: object) -> int:
    """An int64, which JSON writes as text."""
    if isinstance(value, int | str):
        return int(value)
    raise ValueError("a count that is no number")
