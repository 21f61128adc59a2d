"""Google Ads API calls, their errors, and the messages that encode both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import any_pb2, message  # type: ignore[import-untyped]  # the vendor ships no types
from google.rpc import status_pb2  # type: ignore[import-untyped]  # the vendor ships no types

from connectors.sandbox.rules import AdsApiRule

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
    def of(cls, rule: AdsApiRule, *place: tuple[str, int | None] | str) -> "RowError":
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
    def of(cls, rule: AdsApiRule, *place: tuple[str, int | None] | str) -> "CallRefusal":
        """Return the refusal of a request that breaks this rule."""
        problem = RowError.of(rule, *place)
        return cls(rule.status, rule.rule, (problem,) if rule.family else ())


class UnreadableCallError(ValueError):
    """The message isn't a valid request of the method."""


def parsed(kind: Any, body: bytes) -> Any:
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


def partial_failure(problems: Mapping[int, Sequence[RowError]], request_id: str) -> Any:
    """Return the Status of a request in which some rows failed, with each distinct error once."""
    unique = list(dict.fromkeys(each for row in sorted(problems) for each in problems[row]))
    first = unique[0].message
    text = first if len(unique) == 1 else f"Multiple errors in ‘details’. First error: {first}"
    return _status(_INVALID_ARGUMENT, text, failure(unique, request_id))


def unreadable_failure() -> Any:
    """Return a Status whose detail can't be decoded."""
    return _status(_INTERNAL, "Internal error encountered.", b"\xff")


def _status(code: int, text: str, detail: bytes) -> Any:
    return status_pb2.Status(code=code, message=text, details=[any_pb2.Any(type_url=FAILURE, value=detail)])


def failure(problems: Iterable[RowError], request_id: str) -> bytes:
    """Return a serialized GoogleAdsFailure."""
    written = _errors().GoogleAdsFailure.pb()(request_id=request_id)
    for problem in problems:
        error = written.errors.add(message=problem.message)
        setattr(error.error_code, problem.family, error_number(problem.family, problem.code))
        for name, index in problem.place:
            error.location.field_path_elements.add(field_name=name, index=index)
        if problem.retry_seconds is not None:
            error.details.quota_error_details.retry_delay.FromSeconds(problem.retry_seconds)
    return bytes(written.SerializeToString())


def error_number(family: str, code: str | int) -> int:
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
