"""Interpret Data Manager API answers: classify reasons, read errors, and resolve a request's status row by row.

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
from google.ads.datamanager_v1 import (
    ErrorReason,
    ProcessingErrorReason,
    ProcessingWarningReason,
    RequestStatusPerDestination,
)
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel

from connectors.google_ads.platform import DONE, INCONCLUSIVE_STATUSES, REQUEST_ID, SHORTEST_DEFERRAL
from connectors.language import N_, _
from connectors.records import (
    AnswerLost,
    Outcome,
    OutcomeClass,
    PartlyRefused,
    Refused,
    RowCountMismatch,
    RowOutcomes,
    StillPending,
)

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
        "NOT_FOUND",  # a request refers only to the accounts and the action
        "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH",
        "PERMISSION_DENIED",
        "TERMS_AND_CONDITIONS_NOT_SIGNED",
        "PROCESSING_ERROR_REASON_DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED",
        "PROCESSING_ERROR_REASON_EXTERNAL_ATTRIBUTION_DATA_MISSING",
        # The advertiser hasn't consented to Google's core platform services: an account setting, not a row's.
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
        "EVENT_TIME_INVALID",  # either too old or in the future
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
        # One lead clicked another account's ad, which must not stop the whole destination.
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
        "INVALID_ARGUMENT",  # generic; a field violation may be more specific
        "PROCESSING_ERROR_REASON_UNSPECIFIED",
    ),
}
"""Classes of the reasons for refusing a whole request, or (`PROCESSING_ERROR_…`) a row of an accepted one.

The library's other reasons concern features we never use (audiences, licences, partners, Analytics, store sales,
encryption), so receiving one is our bug.
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
"""Reasons that fault the conversion action, so that the account's other actions can continue."""

WORDS: Mapping[str, str] = {
    "PROCESSING_ERROR_REASON_NO_CONSENT": N_(
        "the advertiser has not consented to Google's core platform services: "
        "whoever manages the "
        "Google Ads account gives that consent in its settings"
    ),
}
"""Human-readable messages by code; the API's own may quote what was sent."""

_GENERIC = {"INVALID_ARGUMENT", "ERROR_REASON_UNSPECIFIED"}
_INTERNAL = {"DEADLINE_EXCEEDED", "INTERNAL_ERROR"}
"""Reasons that leave open whether the request was processed."""

CLASSES: Mapping[str, OutcomeClass] = {
    **{reason.name: OutcomeClass.BUG for reason in (*ErrorReason, *ProcessingErrorReason)},  # no name is in both
    **{reason: kind for kind, reasons in REASONS.items() for reason in reasons},
}
"""Class of every reason this library knows, by name."""


def outcome_of_error(code: str, message: str = "", *, retry_after: timedelta | None = None) -> Outcome:
    """Return the outcome of a reason by name, UNKNOWN if the API is newer than this library."""
    kind = CLASSES.get(code, OutcomeClass.UNKNOWN)
    if kind is OutcomeClass.DEFER:
        retry_after = max(SHORTEST_DEFERRAL, retry_after or SHORTEST_DEFERRAL)
    return Outcome(kind, code, message or _(WORDS.get(code, "")), retry_after, of_target=code in ACTION_REASONS)


def code_name(value: object, codes: type[IntEnum]) -> str | None:
    """Return a code's name from its name or number; None if the value is neither."""
    if isinstance(value, int):
        return next((code.name for code in codes if code == value), f"{codes.__name__}_{value}")
    return value if isinstance(value, str) and value.isidentifier() and len(value) <= 120 else None  # noqa: PLR2004 - longer than any code


# ── refused requests ─────────────────────────────────────────────────────────────────────────────

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,119}")
_PATH = re.compile(r"[\w./\[\]]{1,200}")
_ROW = re.compile(r"\bevents[\[./](\d+)")
"""Matches `events[3].user_data`, `events.events[3]` and `events.3`; the path format is undocumented."""
_EVENTS = re.compile(r"\bevents\b")
_ACTION = re.compile(r"product_?destination|conversion_?action", re.IGNORECASE)
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?")

_STATUS_CLASSES = {
    "UNAUTHENTICATED": OutcomeClass.FIX_CONFIG,
    "PERMISSION_DENIED": OutcomeClass.FIX_CONFIG,
    "NOT_FOUND": OutcomeClass.FIX_CONFIG,
    "RESOURCE_EXHAUSTED": OutcomeClass.RETRY,
    "ABORTED": OutcomeClass.RETRY,  # conflicted with another call; nothing was recorded
}
"""Classes by canonical status, used when Google's front end gives a reason of its own (SERVICE_DISABLED).

https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
"""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field violation in an error answer."""

    path: str
    reason: str | None

    @property
    def row_index(self) -> int | None:
        """Zero-based index of the suspect row, if the path gives one."""
        match = _ROW.search(self.path)
        return int(match[1]) if match else None

    @property
    def is_about_event(self) -> bool:
        """Whether it concerns an event, even if the path doesn't identify which."""
        return _EVENTS.search(self.path) is not None


@dataclass(frozen=True, slots=True)
class DataManagerError:
    """A `google.rpc.Status` reduced to codes, paths and ids, since its messages may quote what we sent."""

    http: int
    status: str
    reason: str | None
    violations: tuple[FieldViolation, ...]
    request_id: str | None
    retry_after: timedelta | None

    @property
    def error_reasons(self) -> tuple[str, ...]:
        """All reasons: the error's own, then those of its violations."""
        return tuple(filter(None, (self.reason, *(each.reason for each in self.violations))))

    @property
    def code(self) -> str:
        """The most specific reason: a violation's, else the error's, else the status."""
        own = [each.reason for each in self.violations if each.reason and each.reason not in _GENERIC]
        of_request = [reason for reason in own if CLASSES.get(reason) in {OutcomeClass.FIX_CONFIG, OutcomeClass.BUG}]
        return next(iter(of_request + own), None) or self.reason or self.status

    @property
    def outcome(self) -> Outcome:
        """Outcome for the whole request, or for its suspect rows."""
        outcome = outcome_of_error(self.code, self._summary, retry_after=self.retry_after)
        if self.code not in CLASSES or self.code in _GENERIC:
            outcome = replace(outcome, kind=self._class_without_reason)
        blamed = self._violations_behind_code
        if outcome.kind is OutcomeClass.FIX_DATA and blamed and not any(each.is_about_event for each in blamed):
            # The fault lies outside the events, so bisecting them wouldn't help.
            of_target = all(_ACTION.search(each.path) for each in blamed)
            return replace(outcome, kind=OutcomeClass.FIX_CONFIG, of_target=of_target)
        return outcome

    @property
    def is_inconclusive(self) -> bool:
        """Whether the events may have been processed: a failing server may have recorded them first."""
        has_failed = self.http >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status in INCONCLUSIVE_STATUSES
        return has_failed or self.outcome.code in _INTERNAL

    def receipt(self, sent: int) -> Refused | AnswerLost:
        """Return the receipt of a request of `sent` events; suspect rows are those that share the refusal's code."""
        if self.is_inconclusive:
            return AnswerLost(f"HTTP {self.http} {self.code}", self.retry_after)
        rows = {each.row_index for each in self._violations_behind_code}
        return Refused(self.outcome, tuple(sorted(row for row in rows if row is not None and row < sent)))

    @property
    def _violations_behind_code(self) -> tuple[FieldViolation, ...]:
        """The violations that `code` applies to."""
        return tuple(each for each in self.violations if each.reason in {self.code, None, *_GENERIC})

    @property
    def _class_without_reason(self) -> OutcomeClass:
        """Class of an error without a known reason.

        A refusal covers the whole request, so nothing was processed; a bad argument may be in any row.
        """
        if kind := _STATUS_CLASSES.get(self.status):
            return kind
        if self.http < HTTPStatus.BAD_REQUEST:
            return OutcomeClass.UNKNOWN
        is_plain = self.status == "INVALID_ARGUMENT" and self.code in _GENERIC
        is_of_a_row = is_plain or any(each.is_about_event for each in self._violations_behind_code)
        return OutcomeClass.FIX_DATA if is_of_a_row else OutcomeClass.FIX_CONFIG

    @property
    def _summary(self) -> str:
        words = ", ".join([f"HTTP {self.http} {self.status}", *(each.path for each in self.violations[:3])])
        return _("{words}, request {id}", words=words, id=self.request_id) if self.request_id else words


def read_error(response: requests.Response) -> DataManagerError | None:
    """Return the API's own error; None if the answer isn't one (HTML, empty, another shape)."""
    try:
        payload = response.json()
    except (ValueError, RecursionError):
        return None
    match payload:
        case {"error": {"status": str() as status, **error}} if _CODE.fullmatch(status):
            details = _details(error.get("details"))
        case _:
            return None
    return DataManagerError(
        http=response.status_code,
        status=status,
        reason=_text_of_expected_form(details.get("ErrorInfo", {}).get("reason"), _CODE),
        violations=tuple(_violations(details.get("BadRequest", {}).get("fieldViolations"))),
        request_id=_text_of_expected_form(details.get("RequestInfo", {}).get("requestId"), REQUEST_ID),
        retry_after=_seconds(str(details.get("RetryInfo", {}).get("retryDelay")).removesuffix("s"))
        or _header_delay(response.headers),
    )


def _details(listed: object) -> dict[str, dict[str, object]]:
    """Index the detail messages by the last part of their type, such as `ErrorInfo`."""
    messages = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return {str(each.get("@type")).rpartition(".")[2]: each for each in messages}


def _violations(listed: object) -> Iterator[FieldViolation]:
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and (path := _text_of_expected_form(each.get("field"), _PATH)):
            yield FieldViolation(path, _text_of_expected_form(each.get("reason"), _CODE))


def _header_delay(headers: Mapping[str, str]) -> timedelta | None:
    """Parse Retry-After as seconds or as a date relative to the answer's own Date (RFC 9110, 10.2.3)."""
    value = headers.get("Retry-After", "")
    try:
        until = parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return _seconds(value)
    return max(until, timedelta(0))


def _seconds(text: str) -> timedelta | None:
    return timedelta(seconds=float(text)) if _SECONDS.fullmatch(text) else None


def _text_of_expected_form(value: object, pattern: re.Pattern[str]) -> str | None:
    """Return the value if it is text of the expected form; anything else must not be echoed."""
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


# ── status of an accepted request ────────────────────────────────────────────────────────────────

_UNSPECIFIED = "PROCESSING_ERROR_REASON_UNSPECIFIED"
_STATUSES = {"SUCCESS": "SUCCESS", "PARTIAL_SUCCESS": "PARTIAL_SUCCESS", "FAILED": "FAILED", "FAILURE": "FAILED"}
"""Final statuses: FAILED in the enum, FAILURE in "
"https://developers.google.com/data-manager/api/devguides/diagnostics."""
_REJECTED = (OutcomeClass.FIX_CONFIG, OutcomeClass.FIX_DATA, OutcomeClass.DROP, OutcomeClass.DROP_EXPECTED)
"""Classes that refuse a row or withhold it for a setting, most in need of a human first."""


class _Json(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _drop_null_parts(cls, value: object) -> object:
        """Return an object without parts that are null, which ProtoJSON takes for not given; a count must be one."""
        if not isinstance(value, dict):
            return value
        return {key: each for key, each in value.items() if each is not None or key == "recordCount"}


class _ErrorCount(_Json):
    """Number of records refused for one reason, with their indices if given."""

    reason: object = None
    record_count: int = 0  # JSON omits a count of 0
    record_indices: tuple[int, ...] = ()

    @property
    def code(self) -> str:
        return code_name(self.reason, ProcessingErrorReason) or _UNSPECIFIED

    def has_consistent_indices(self, rows: int) -> bool:
        """Return whether the indices, if given, are consistent with the count and the request."""
        indices = set(self.record_indices)
        return not indices or (
            indices <= set(range(rows)) and len(indices) == len(self.record_indices) == self.record_count
        )


class _ErrorInfo(_Json):
    error_counts: tuple[_ErrorCount, ...] = ()


class _WarningInfo(_Json):
    warning_counts: tuple[_ErrorCount, ...] = ()


class _Ingestion(_Json):
    record_count: int = 0


class _Destination(_Json):
    request_status: object = None
    events_ingestion_status: _Ingestion | None = None
    error_info: _ErrorInfo = _ErrorInfo()
    warning_info: _WarningInfo = _WarningInfo()


class _RequestStatus(_Json):
    """`RetrieveRequestStatusResponse`, which the library reads without record indices."""

    request_status_per_destination: tuple[_Destination]


def read_request_outcome(payload: object, rows: int) -> RowOutcomes | StillPending | PartlyRefused | RowCountMismatch:
    """Return the outcome of a request of `rows` events to one destination.

    The platform's record count includes refused events, so unless the request FAILED, a count other than `rows` leaves
    every outcome unknown. Raises ValueError for an answer of another shape.
    """
    (destination,) = _RequestStatus.model_validate(payload).request_status_per_destination
    name = code_name(destination.request_status, RequestStatusPerDestination.RequestStatus)
    status = _STATUSES.get(name or "")
    if status is None:
        return StillPending(name or _("a status that cannot be read"))
    counts = [count for count in destination.error_info.error_counts if count.record_count]
    received = destination.events_ingestion_status
    if status != "FAILED" and received is not None and received.record_count != rows:
        return RowCountMismatch(received.record_count, rows)
    if status == "SUCCESS" and not counts:
        return RowOutcomes((DONE,) * rows)
    return _row_outcomes_by_index(status, counts, rows) or _outcomes_without_indices(status, counts, rows)


@dataclass(frozen=True, slots=True)
class RequestRecordCounts:
    """How many records of a request the platform took, as far as it says."""

    accepted: int
    undecided: int
    """How many more it may still have taken, or take."""
    warnings: Mapping[str, int]
    """Records by the reason of a warning."""


def parse_request_counts(payload: object, rows: int) -> RequestRecordCounts:
    """Return the counts in a status of a request of `rows` events; raise ValueError for an answer of another shape."""
    (destination,) = _RequestStatus.model_validate(payload).request_status_per_destination
    name = code_name(destination.request_status, RequestStatusPerDestination.RequestStatus)
    status = _STATUSES.get(name or "")
    warnings = {
        code_name(each.reason, ProcessingWarningReason) or "WARNING": each.record_count
        for each in destination.warning_info.warning_counts
    }
    received = destination.events_ingestion_status
    records = rows if received is None else received.record_count
    refused = sum(each.record_count for each in destination.error_info.error_counts)
    match status:
        case "FAILED":
            return RequestRecordCounts(0, 0, warnings)
        case "SUCCESS" | "PARTIAL_SUCCESS" if refused or status == "SUCCESS":
            return RequestRecordCounts(max(records - refused, 0), 0, warnings)
        case _:  # still processing, or partly refused without a count
            return RequestRecordCounts(0, records, warnings)


def _row_outcomes_by_index(status: str, counts: Sequence[_ErrorCount], rows: int) -> RowOutcomes | None:
    """Return each row's outcome from the record indices; None if they are missing or inconsistent."""
    if not all(count.record_indices and count.has_consistent_indices(rows) for count in counts):
        return None
    # The first reason wins for a row refused for several.
    codes = {index: count.code for count in reversed(counts) for index in count.record_indices}
    if not {"FAILED": len(codes) == rows, "PARTIAL_SUCCESS": 0 < len(codes) < rows}.get(status):
        return None
    return RowOutcomes(tuple(outcome_of_error(codes[row]) if row in codes else DONE for row in range(rows)))


def _outcomes_without_indices(status: str, counts: Sequence[_ErrorCount], rows: int) -> RowOutcomes | PartlyRefused:
    """Return all rows refused if the answer consistently says so; otherwise the refused rows are unknown."""
    refused = sum(count.record_count for count in counts)
    reasons = tuple(dict.fromkeys(count.code for count in counts))
    agrees = refused >= rows or not counts  # counts "may not be populated in all cases"
    if status == "FAILED" and agrees and all(count.has_consistent_indices(rows) for count in counts):
        return RowOutcomes((_common_refusal_outcome(reasons),) * rows)
    return PartlyRefused(min(max(refused, 1), rows), rows, reasons)


def _common_refusal_outcome(reasons: Sequence[str]) -> Outcome:
    """Return a common outcome for rows that were all refused, when the reasons aren't attributed to rows."""
    if len(reasons) == 1:
        return outcome_of_error(reasons[0])
    kinds = {outcome_of_error(reason).kind for reason in reasons}
    # None was accepted, so all may wait for a setting that is wrong for some.
    kind = next((kind for kind in _REJECTED if kind in kinds and kinds <= set(_REJECTED)), OutcomeClass.UNKNOWN)
    return Outcome(kind, " + ".join(reasons) or "FAILED")
