"""The API's error answers read: why, which rows, and when to come back.

https://developers.google.com/data-manager/api/devguides/concepts/understand-errors
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests

from connectors.google_ads.auth import REQUEST_ID, SAYING_NOTHING
from connectors.google_ads.data_manager.outcomes import TROUBLES, class_of, outcome_of
from connectors.records import Lost, Outcome, OutcomeClass, Refused

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,119}")
_PATH = re.compile(r"[\w./\[\]]{1,200}")
_ROW = re.compile(r"\bevents[\[./](\d+)")
"""`events[3].user_data`, `events.events[3]`, `events.3`: how a path names a row is not documented."""
_EVENTS = re.compile(r"\bevents\b")
_ACTION = re.compile(r"product_?destination|conversion_?action", re.IGNORECASE)
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?")

_GENERIC = {"INVALID_ARGUMENT", "ERROR_REASON_UNSPECIFIED"}
_STATUSES = {
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
        """The event it is about, from 0, where the path tells."""
        match = _ROW.search(self.path)
        return int(match[1]) if match else None

    @property
    def in_events(self) -> bool:
        """Whether it is about an event, even where the path does not tell which."""
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
        whole = [reason for reason in own if class_of(reason) in {OutcomeClass.FIX_CONFIG, OutcomeClass.BUG}]
        return next(iter(whole + own), None) or self.reason or self.status

    @property
    def outcome(self) -> Outcome:
        """What it means for the whole request, or for the rows it blames."""
        outcome = outcome_of(self.code, self._summary(), retry_after=self.retry_after)
        if class_of(self.code) is None or self.code in _GENERIC:
            outcome = replace(outcome, kind=self._kind_without_reason())
        blamed = self._blamed()
        if outcome.kind is OutcomeClass.FIX_DATA and blamed and not any(each.in_events for each in blamed):
            # What is wrong stands beside the events: sending fewer of them would not help.
            of_target = all(_ACTION.search(each.path) for each in blamed)
            return replace(outcome, kind=OutcomeClass.FIX_CONFIG, of_target=of_target)
        return outcome

    @property
    def says_nothing(self) -> bool:
        """Whether nobody can tell what was done: a server that fails may have taken the events before it failed."""
        has_failed = self.http >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status in SAYING_NOTHING
        return has_failed or self.outcome.code in TROUBLES

    def receipt(self, sent: int) -> Refused | Lost:
        """The answer to a request of `sent` events; a refusal blames only rows that share its code."""
        if self.says_nothing:
            return Lost(f"HTTP {self.http} {self.code}", self.retry_after)
        rows = {each.row for each in self._blamed()}
        return Refused(self.outcome, tuple(sorted(row for row in rows if row is not None and row < sent)))

    def _blamed(self) -> tuple[FieldViolation, ...]:
        """The violations the code is about."""
        return tuple(each for each in self.violations if each.reason in {self.code, None, *_GENERIC})

    def _kind_without_reason(self) -> OutcomeClass:
        """What it means where no reason we know says so.

        A request that is refused is refused whole, so nothing is in doubt: a bad argument may be any row's.
        """
        if kind := _STATUSES.get(self.status):
            return kind
        if self.http < HTTPStatus.BAD_REQUEST:
            return OutcomeClass.UNKNOWN
        is_plain = self.status == "INVALID_ARGUMENT" and self.code in _GENERIC
        if is_plain or any(each.in_events for each in self._blamed()):
            return OutcomeClass.FIX_DATA
        return OutcomeClass.FIX_CONFIG

    def _summary(self) -> str:
        paths = [each.path for each in self.violations[:3]]
        about = [f"HTTP {self.http} {self.status}", *paths]
        return ", ".join([*about, f"request {self.request_id}"] if self.request_id else about)


def read_error(response: requests.Response) -> VendorError | None:
    """The error the API itself gave; None where the answer is not its own (HTML, empty, another shape)."""
    try:
        payload = response.json()
    except (ValueError, RecursionError):
        return None
    error = payload.get("error") if isinstance(payload, dict) else None
    status = _text(error.get("status"), _CODE) if isinstance(error, dict) else None
    if not isinstance(error, dict) or status is None:
        return None
    details = _details(error)
    return VendorError(
        http=response.status_code,
        status=status,
        reason=_text(details.get("ErrorInfo", {}).get("reason"), _CODE),
        violations=tuple(_violations(details.get("BadRequest", {}))),
        request_id=_text(details.get("RequestInfo", {}).get("requestId"), REQUEST_ID),
        retry_after=_delay(details.get("RetryInfo", {})) or _header_delay(response.headers),
    )


def _details(error: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """The detail messages by the last part of their type, such as `ErrorInfo`."""
    listed = error.get("details")
    messages = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return {str(each.get("@type")).rpartition(".")[2]: each for each in messages}


def _violations(bad_request: Mapping[str, object]) -> Iterator[FieldViolation]:
    listed = bad_request.get("fieldViolations")
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and (path := _text(each.get("field"), _PATH)):
            yield FieldViolation(path, _text(each.get("reason"), _CODE))


def _delay(retry_info: Mapping[str, object]) -> timedelta | None:
    """A protobuf Duration in JSON: `12.5s`."""
    return _seconds(str(retry_info.get("retryDelay", "")).removesuffix("s"))


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
