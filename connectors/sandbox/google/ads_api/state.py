"""The Google Ads API between calls: its state, and the messages that encode calls and errors."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from google.protobuf import any_pb2, message  # type: ignore[import-untyped]  # the vendor ships no types
from google.rpc import status_pb2  # type: ignore[import-untyped]  # the vendor ships no types
from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from connectors.sandbox.google.platform import GoogleAccount, SandboxGoogleApi, SandboxGoogleState
from connectors.sandbox.platform import STRICT, Positions, from_json, to_json
from connectors.sandbox.rules import AdsApiRule, broken_rules
from connectors.sandbox.rules import ads_api_rules as rules

FAILURE = "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure"
_INVALID_ARGUMENT = 3
_INTERNAL = 13

Place = tuple[tuple[str, int | None], ...]
"""A path from the request to a field: names, each with an index if the field is a list."""


@dataclass(frozen=True, slots=True)
class GrpcCall:
    """One call as received."""

    path: str
    metadata: Mapping[str, str] = field(repr=False)
    """By lower-case name, without binary values."""
    message: bytes = field(repr=False)
    id: str
    """The request id, which every answer carries."""


@dataclass(frozen=True, slots=True)
class RowError:
    """One error: its family (a field of `ErrorCode`), its name or bare number there, and the offending field."""

    family: str
    code: str | int
    message: str
    place: Place = ()
    retry_seconds: int | None = None

    @classmethod
    def from_broken_rule(cls, rule: AdsApiRule, *place: tuple[str, int | None] | str) -> "RowError":
        """Return the error of a broken rule; it never quotes the value, which may be personal data."""
        path = tuple((each, None) if isinstance(each, str) else each for each in place)
        return cls(rule.family, rule.answer, rule.rule, path)


@dataclass(frozen=True, slots=True)
class CallRefusal:
    """A call that fails as a whole: a gRPC status, and the errors of its GoogleAdsFailure, if it has one."""

    status: str
    message: str
    problems: tuple[RowError, ...] = ()

    @classmethod
    def from_broken_rule(cls, rule: AdsApiRule, *place: tuple[str, int | None] | str) -> "CallRefusal":
        """Return the refusal of a request that breaks this rule."""
        problem = RowError.from_broken_rule(rule, *place)
        return cls(rule.status, rule.rule, (problem,) if rule.family else ())


class UnreadableCallError(ValueError):
    """The message isn't a valid request of the method."""


def parse(kind: Any, body: bytes) -> Any:
    """Parse a message of this kind; raise `UnreadableCallError` if it is unreadable or has unknown fields."""
    try:
        request = kind.FromString(body)
    except message.DecodeError:
        raise UnreadableCallError("not a message") from None
    size = request.ByteSize()
    request.DiscardUnknownFields()
    if request.ByteSize() != size:
        raise UnreadableCallError("unknown fields")
    return request


def build_partial_failure_status(problems: Mapping[int, Sequence[RowError]], request_id: str) -> Any:
    """Return the Status of a request in which some rows failed, with each distinct error once."""
    unique = list(dict.fromkeys(each for row in sorted(problems) for each in problems[row]))
    first = unique[0].message
    text = first if len(unique) == 1 else f"Multiple errors in ‘details’. First error: {first}"
    return _status(_INVALID_ARGUMENT, text, google_ads_failure_bytes(unique, request_id))


def undecodable_failure_status() -> Any:
    """Return a Status whose detail can't be decoded."""
    return _status(_INTERNAL, "Internal error encountered.", b"\xff")


def _status(code: int, text: str, detail: bytes) -> Any:
    return status_pb2.Status(code=code, message=text, details=[any_pb2.Any(type_url=FAILURE, value=detail)])


def google_ads_failure_bytes(problems: Iterable[RowError], request_id: str) -> bytes:
    """Return a serialized GoogleAdsFailure."""
    written = _errors().GoogleAdsFailure.pb()(request_id=request_id)
    for problem in problems:
        error = written.errors.add(message=problem.message)
        setattr(error.error_code, problem.family, error_number_from_name(problem.family, problem.code))
        for name, index in problem.place:
            error.location.field_path_elements.add(field_name=name, index=index)
        if problem.retry_seconds is not None:
            error.details.quota_error_details.retry_delay.FromSeconds(problem.retry_seconds)
    return bytes(written.SerializeToString())


def error_number_from_name(family: str, code: str | int) -> int:
    """Return an error's number, even one unknown to the library; raise ValueError for an unknown family or name."""
    known = _errors().ErrorCode.pb().DESCRIPTOR.fields_by_name.get(family)
    if known is None:
        raise ValueError(f"there is no family of errors {family!r}")
    if isinstance(code, int):
        return code
    value = known.enum_type.values_by_name.get(code)
    if value is None:
        raise ValueError(f"{family} has no error {code!r}")
    return int(value.number)


def _errors() -> Any:
    """Import the vendor's error messages on demand, because they load slowly."""
    from google.ads.googleads.v26.errors.types import errors  # noqa: PLC0415

    return errors


SWITCHES: Positions = {
    "ads_api_allowlisted": (True, False),
    "ads_api_enhanced": ("on", "off", "terms_not_accepted", "prohibited"),
    "ads_api_cross_dedup": (False, True),
    "ads_api_click_dedup": ("without_order_id", "always"),
    "ads_api_duplicates": ("later", "all"),
    "ads_api_echo": (False, True),
    "ads_api_lost": (0, int),
    "adjustments_allowlisted": (True, False),
    "adjustments_unknown": ("never", "unreadable", "internal"),
    "cross_api_adjustments": (True, False),
}
"""Positions of the account's settings, and of uncertain behaviour that could change a state; the default first.

`ads_api_lost` loses that many of the next conversions: they are answered as taken, and fail afterwards.
"""
ROW_LISTS = {"submit": "conversions", "adjust": "conversion_adjustments"}
"""The request field with the rows, by the upload's name in rulings."""

_FAMILIES = {"submit": "conversion_upload_error", "adjust": "conversion_adjustment_upload_error"}
_CUSTOMER_ID = re.compile(r"\d{10}", re.ASCII)


@pydantic_dataclass(frozen=True, slots=True, config=STRICT)
class PlantedAdsApiErrors:
    """Errors planted on conversions (submit) or adjustments (adjust)."""

    when: Literal["submit", "adjust"] = "submit"
    family: str | None = None
    """The field of `ErrorCode`; by default that of the upload."""
    reason: str | list[str] = ""
    """One or more names in the family."""
    number: int | None = Field(default=None, gt=0)
    """An error number unknown to the family, in place of a name."""
    index: bool = True
    """Whether the errors identify their row."""

    def __post_init__(self) -> None:
        """Raise ValueError unless it identifies an existing error."""
        if bool(self.reason) == bool(self.number):
            raise ValueError("a ruling has either a reason or a number")
        for each in self.errors_of_row(0):
            error_number_from_name(each.family, each.code)

    def errors_of_row(self, row: int) -> list[RowError]:
        """Return the errors of the row at this index."""
        codes = [self.reason] if isinstance(self.reason, str) else self.reason
        family = self.family or _FAMILIES[self.when]
        place = ((ROW_LISTS[self.when], row),) if self.index else ()
        return [RowError(family, self.number or code, "Planted by hand.", place) for code in codes or [""]]


@dataclass(frozen=True, slots=True)
class UploadJob:
    """One upload to one action: row counts by error (`family.NAME` or `family.number`), empty for successes."""

    id: int
    at: datetime
    customer: str
    action: str
    rows: Mapping[str, int]


class AdsApiState(SandboxGoogleApi):
    """The Google Ads API's switches, jobs, refusals and access control."""

    ruling_type = Annotated[
        list[PlantedAdsApiErrors],
        BeforeValidator(lambda each: each if isinstance(each, list) else [each]),
        Field(min_length=1),
    ]
    """One or more `PlantedAdsApiErrors`, under an order id or click id."""

    def __init__(self, now: Callable[[], datetime], google: SandboxGoogleState | None) -> None:
        super().__init__(now, google, SWITCHES)
        self.jobs: list[UploadJob] = []

    def planted_errors(self, names: Iterable[str], when: str, row: int) -> list[RowError]:
        """Return the errors planted on a row under the first of its names that has any: order id, then click ids."""
        for name in names:
            rulings = [each for each in self.rulings.get(name, ()) if each.when == when]
            if rulings:
                return [error for each in rulings for error in each.errors_of_row(row)]
        return []

    def set_switch(self, name: str, value: object) -> None:
        """Set one switch; raise ValueError if it has no such position."""
        super().set_switch(name, value)
        self.google.book.across_apis = bool(self.switches["ads_api_cross_dedup"])

    def enhanced_conversions(self, account: GoogleAccount) -> str:
        """Return the account's setting of enhanced conversions for leads, as a position of `ads_api_enhanced`."""
        return str(self.switches["ads_api_enhanced"]) if account.enhanced_conversions else "off"

    def access_refusal(self, call: GrpcCall, customer: str) -> CallRefusal | None:
        """Return the refusal of a caller without access to this customer; None if it has access.

        https://developers.google.com/google-ads/api/docs/concepts/call-structure
        """
        accounts = self.google.accounts
        account = accounts.get(customer)
        login = call.metadata.get("login-customer-id", "")
        is_manager = any(customer in each.managers for each in accounts.values())
        checks = broken_rules(
            (login and not _CUSTOMER_ID.fullmatch(login), rules.LOGIN_NUMBER, ()),
            (not _CUSTOMER_ID.fullmatch(customer), rules.CUSTOMER_NUMBER, ("customer_id",)),
            (not (account or is_manager), rules.CUSTOMER_KNOWN, ()),
            (login in accounts and login != customer, rules.LOGIN_IS_MANAGER, ()),
            (login not in (account.managers if account else ("", customer)), rules.ACCESS, ()),
            (account and not account.enabled, rules.CUSTOMER_ENABLED, ()),
        )
        return next((CallRefusal.from_broken_rule(rule, *place) for rule, place in checks), None)

    def note_errors(self, errors: Sequence[RowError], at: datetime, **where: str) -> None:
        """Record errors for the control page."""
        for each in errors:
            field = ".".join(name for name, _ in each.place if name not in ROW_LISTS.values())
            self.record_refusal(at, when="submit", reason=str(each.code), field=field, **where)

    def dump(self) -> dict[str, Any]:
        """Return the API's own state as JSON; the Data Manager dumps clicks and book."""
        with self.lock:
            return {**super().dump(), "jobs": to_json(self.jobs)}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        with self.lock:
            super().load(saved)
            self.jobs = from_json(list[UploadJob], saved["jobs"])
