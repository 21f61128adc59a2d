"""The errors inside a `GoogleAdsFailure`: what each means, and which row it is about.

https://developers.google.com/google-ads/api/docs/best-practices/error-types
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from google.ads.googleads.v26.errors.types import ErrorCode, GoogleAdsError, GoogleAdsFailure
from google.ads.googleads.v26.services.types import (
    UploadClickConversionsResponse,
    UploadConversionAdjustmentsResponse,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from connectors.google_ads.ads_api.outcomes import outcome_of
from connectors.records import Outcome

FAILURE_KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"
"""Where a refused call carries its failure."""

UploadAnswer = UploadClickConversionsResponse | UploadConversionAdjustmentsResponse
"""What answers row by row; both have the same fields for it."""

_ROWS = ("conversions", "conversion_adjustments")
"""What the lists of rows are called in a request."""
_FAMILIES = ErrorCode.pb(ErrorCode()).DESCRIPTOR.fields_by_name


@dataclass(frozen=True, slots=True)
class Fault:
    """One error of the API's, reduced to what it means: its sentence may quote what we sent."""

    outcome: Outcome
    row: int | None
    """The conversion or correction it is about, from 0; None where it concerns the request."""


def faults_of(failure: GoogleAdsFailure) -> tuple[Fault, ...]:
    """Every error of a failure, in its order."""
    return tuple(Fault(_outcome(error), _row(error)) for error in failure.errors)


def faults_in(answer: UploadAnswer) -> tuple[Fault, ...]:
    """Every error of a partial failure; none where it holds no failure that can be read."""
    details = [each for each in answer.partial_failure_error.details if each.type_url.endswith(".GoogleAdsFailure")]
    failures = [_decoded(detail.value) for detail in details]
    return tuple(fault for failure in failures if failure for fault in faults_of(failure))


def faults_in_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[Fault, ...]:
    """Every error of a call's trailing metadata, where the library itself leaves them for two statuses."""
    carried = (_decoded(value) for key, value in metadata if key == FAILURE_KEY and isinstance(value, bytes))
    return tuple(fault for failure in carried if failure for fault in faults_of(failure))


def codes_of(faults: Sequence[Fault]) -> tuple[str, ...]:
    """The codes of errors, each once."""
    return tuple(dict.fromkeys(fault.outcome.code for fault in faults))


def _decoded(value: bytes) -> GoogleAdsFailure | None:
    try:
        failure: GoogleAdsFailure = GoogleAdsFailure.deserialize(value)
    except DecodeError:
        return None
    return failure if failure.errors else None


def _outcome(error: GoogleAdsError) -> Outcome:
    code = GoogleAdsError.pb(error).error_code
    family = code.WhichOneof("error_code")
    if family is None:
        return outcome_of("", "ERROR_OF_A_NEWER_API")
    number = getattr(code, family)
    member = _FAMILIES[family].enum_type.values_by_number.get(number)
    # The library's own enums give a number without a name where the API is newer than they are.
    name = member.name if member else f"{family.upper()}_{number}"
    return outcome_of(family, name, retry_after=_retry_delay(error))


def _row(error: GoogleAdsError) -> int | None:
    """The index beside the list of rows: it reads 0 where it is absent, and other fields have indices of their own."""
    return next(_indices(error), None)


def _indices(error: GoogleAdsError) -> Iterator[int]:
    for element in error.location.field_path_elements:
        if element.field_name in _ROWS and "index" in element:
            yield element.index


def _retry_delay(error: GoogleAdsError) -> timedelta | None:
    delay = GoogleAdsError.pb(error).details.quota_error_details.retry_delay
    seconds = timedelta(seconds=delay.seconds, microseconds=delay.nanos // 1000)
    return seconds if seconds > timedelta(0) else None
