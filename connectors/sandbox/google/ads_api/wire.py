"""The Google Ads API's messages, of conversions and of adjustments."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.ads.googleads.v26.common.types import offline_user_data
from google.ads.googleads.v26.enums.types import (
    consent_status,
    conversion_adjustment_type,
    conversion_customer_type,
    conversion_environment_enum,
)
from google.ads.googleads.v26.errors.types import errors
from google.ads.googleads.v26.services.types import conversion_adjustment_upload_service as adjustment_service
from google.ads.googleads.v26.services.types import conversion_upload_service as service
from google.protobuf import any_pb2, message  # type: ignore[import-untyped]  # the vendor ships no types
from google.rpc import status_pb2  # type: ignore[import-untyped]  # the vendor ships no types

from connectors.sandbox.google.ads_api.refusals import RowError

HASHED = ("hashed_email", "hashed_phone_number")
"""The only kinds of user identifier that an upload may have."""
_ALLOWLISTED = ("user_ip_address", "session_attributes_encoded", "session_attributes_key_value_pairs")
_UNKNOWN = 1
"""Every enum's UNKNOWN, which is for answers only."""
FAILURE = "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure"
_INVALID_ARGUMENT = 3

_Request = service.UploadClickConversionsRequest.pb()
_Response = service.UploadClickConversionsResponse.pb()
_Result = service.ClickConversionResult.pb()
_Identifier = offline_user_data.UserIdentifier.pb()
_Failure = errors.GoogleAdsFailure.pb()


def _sendable(enum: Any) -> frozenset[int]:
    return frozenset(int(member) for member in enum) - {_UNKNOWN}


_ENUMS: Mapping[str, frozenset[int]] = {
    "ad_user_data": _sendable(consent_status.ConsentStatusEnum.ConsentStatus),
    "ad_personalization": _sendable(consent_status.ConsentStatusEnum.ConsentStatus),
    "conversion_environment": _sendable(conversion_environment_enum.ConversionEnvironmentEnum.ConversionEnvironment),
    "customer_type": _sendable(conversion_customer_type.ConversionCustomerTypeEnum.ConversionCustomerType),
}


class UnreadableCallError(ValueError):
    """The message is not the method's own."""


@dataclass(frozen=True, slots=True)
class ConversionRow:
    """One row of an upload, as sent.

    `identifiers` are (kind, hash) pairs, the kind empty where none is set; `foreign_enums` names fields whose
    number the API does not know; `allowlisted` names the fields that only some callers may set.
    """

    action: str
    clicks: Mapping[str, str]
    """The click ids that are set, by kind."""
    time: str
    value: float | None
    currency: str
    order_id: str
    identifiers: tuple[tuple[str, str], ...] = field(repr=False)
    foreign_enums: tuple[str, ...]
    allowlisted: tuple[str, ...]
    attributed: bool
    variables: int
    digest: str
    """SHA-256 of the row's message, serialised deterministically."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One UploadClickConversions request."""

    customer: str
    partial_failure: bool
    validate_only: bool
    job_id: int | None
    conversions: tuple[ConversionRow, ...]


def read_upload(body: bytes) -> Upload:
    """Read an UploadClickConversionsRequest, or raise `UnreadableCallError`."""
    request = parsed(_Request, body)
    return Upload(
        customer=request.customer_id,
        partial_failure=request.partial_failure,
        validate_only=request.validate_only,
        job_id=request.job_id if request.HasField("job_id") else None,
        conversions=tuple(_conversion(each) for each in request.conversions),
    )


def parsed(kind: Any, body: bytes) -> Any:
    """The message of this kind, or `UnreadableCallError`, also where it has fields of which the kind knows nothing."""
    try:
        request = kind.FromString(body)
    except message.DecodeError:
        raise UnreadableCallError("not a message") from None
    size = request.ByteSize()
    request.DiscardUnknownFields()
    if request.ByteSize() != size:
        raise UnreadableCallError("unknown fields")
    return request


def _conversion(row: Any) -> ConversionRow:
    numbers = {
        "ad_user_data": row.consent.ad_user_data,
        "ad_personalization": row.consent.ad_personalization,
        "conversion_environment": row.conversion_environment,
        "customer_type": row.customer_type,
    }
    return ConversionRow(
        action=row.conversion_action,
        clicks={kind: each for kind in ("gclid", "gbraid", "wbraid") if (each := getattr(row, kind))},
        time=row.conversion_date_time,
        value=row.conversion_value if row.HasField("conversion_value") else None,
        currency=row.currency_code,
        order_id=row.order_id,
        identifiers=tuple(_identifier(each) for each in row.user_identifiers),
        foreign_enums=tuple(name for name, number in numbers.items() if number not in _ENUMS[name]),
        allowlisted=tuple(name for name in _ALLOWLISTED if row.HasField(name)),
        attributed=row.HasField("external_attribution_data"),
        variables=len(row.custom_variables),
        digest=hashlib.sha256(row.SerializeToString(deterministic=True)).hexdigest(),
    )


def _identifier(each: Any) -> tuple[str, str]:
    kind = each.WhichOneof("identifier") or ""
    return kind, getattr(each, kind) if kind in HASHED else ""


def upload_answer(
    upload: Upload, problems: Mapping[int, Sequence[RowError]], job_id: int, request_id: str, *, echo: bool
) -> bytes:
    """An UploadClickConversionsResponse.

    Args:
        upload: what it answers.
        problems: each failed row's errors; where an error has no row, every row is listed with it.
        job_id: the upload's job.
        request_id: named in the failure.
        echo: whether the results of failed rows still have their identifiers.
    """
    response = _Response(job_id=job_id)
    if not upload.validate_only:
        response.results.extend(
            _result(row, failed=index in problems, echo=echo) for index, row in enumerate(upload.conversions)
        )
    if problems:
        told = list(dict.fromkeys(each for row in sorted(problems) for each in problems[row]))
        response.partial_failure_error.CopyFrom(partial_failure(told, request_id))
    return bytes(response.SerializeToString())


def _result(row: ConversionRow, *, failed: bool, echo: bool) -> Any:
    if failed and not echo:
        return _Result()
    identifiers = [_Identifier(**{kind: value}) for kind, value in row.identifiers if kind in HASHED]
    told = _Result(**row.clicks, user_identifiers=identifiers)
    if not failed:
        told.conversion_action, told.conversion_date_time = row.action, row.time
    return told


def partial_failure(problems: Sequence[RowError], request_id: str) -> Any:
    """The Status of a request of which some rows failed."""
    first = problems[0].message
    text = first if len(problems) == 1 else f"Multiple errors in ‘details’. First error: {first}"
    packed = any_pb2.Any(type_url=FAILURE, value=failure(problems, request_id))
    return status_pb2.Status(code=_INVALID_ARGUMENT, message=text, details=[packed])


def failure(problems: Iterable[RowError], request_id: str) -> bytes:
    """A GoogleAdsFailure."""
    told = _Failure(request_id=request_id)
    for problem in problems:
        error = told.errors.add(message=problem.message)
        setattr(error.error_code, problem.family, error_number(problem.family, problem.code))
        for name, index in problem.place:
            step = error.location.field_path_elements.add(field_name=name)
            if index is not None:
                step.index = index
        if problem.retry_seconds is not None:
            error.details.quota_error_details.retry_delay.FromSeconds(problem.retry_seconds)
    return bytes(told.SerializeToString())


def error_number(family: str, code: str | int) -> int:
    """The number of an error, which may be one that the library does not know; ValueError where no name fits."""
    known = errors.ErrorCode.pb().DESCRIPTOR.fields_by_name.get(family)
    if known is None:
        raise ValueError(f"there is no family of errors {family!r}")
    if isinstance(code, int):
        return code
    value = known.enum_type.values_by_name.get(code)
    if value is None:
        raise ValueError(f"{family} has no error {code!r}")
    return int(value.number)


_Type: Any = conversion_adjustment_type.ConversionAdjustmentTypeEnum.ConversionAdjustmentType
_TYPES: Mapping[int, str] = {int(each): each.name for each in _Type}
_INTERNAL = 13

_AdjustmentRequest = adjustment_service.UploadConversionAdjustmentsRequest.pb()
_AdjustmentResponse = adjustment_service.UploadConversionAdjustmentsResponse.pb()
_AdjustmentResult = adjustment_service.ConversionAdjustmentResult.pb()


@dataclass(frozen=True, slots=True)
class Pair:
    """A conversion by its click and time, as sent."""

    gclid: str
    time: str


@dataclass(frozen=True, slots=True)
class AdjustmentRow:
    """One row, as sent; absent texts are empty."""

    kind: str
    """The type's name, or a number without one."""
    number: int
    order_id: str
    pair: Pair | None
    action: str
    time: str
    has_value: bool
    """Whether it has a restatement_value, with or without an amount."""
    value: float | None
    currency: str
    identifiers: int
    has_agent: bool


@dataclass(frozen=True, slots=True)
class Adjustments:
    """One UploadConversionAdjustments request."""

    customer: str
    partial_failure: bool
    validate_only: bool
    job_id: int | None
    rows: tuple[AdjustmentRow, ...]


def read_adjustments(body: bytes) -> Adjustments:
    """Read an UploadConversionAdjustmentsRequest, or raise `UnreadableCallError`."""
    request = parsed(_AdjustmentRequest, body)
    return Adjustments(
        customer=request.customer_id,
        partial_failure=request.partial_failure,
        validate_only=request.validate_only,
        job_id=request.job_id if request.HasField("job_id") else None,
        rows=tuple(_adjustment(each) for each in request.conversion_adjustments),
    )


def _adjustment(row: Any) -> AdjustmentRow:
    pair, restated = row.gclid_date_time_pair, row.restatement_value
    return AdjustmentRow(
        kind=_TYPES.get(row.adjustment_type, str(row.adjustment_type)),
        number=row.adjustment_type,
        order_id=row.order_id,
        pair=Pair(pair.gclid, pair.conversion_date_time) if row.HasField("gclid_date_time_pair") else None,
        action=row.conversion_action,
        time=row.adjustment_date_time,
        has_value=row.HasField("restatement_value"),
        value=restated.adjusted_value if restated.HasField("adjusted_value") else None,
        currency=restated.currency_code,
        identifiers=len(row.user_identifiers),
        has_agent=row.HasField("user_agent"),
    )


def adjustments_answer(
    request: Adjustments, problems: Mapping[int, Sequence[RowError]], job_id: int, request_id: str
) -> bytes:
    """An UploadConversionAdjustmentsResponse; `problems` are each failed row's errors."""
    response = _AdjustmentResponse(job_id=job_id)
    if not request.validate_only:
        response.results.extend(
            _AdjustmentResult() if index in problems else _adjustment_result(row)
            for index, row in enumerate(request.rows)
        )
    if problems:
        told = list(dict.fromkeys(each for row in sorted(problems) for each in problems[row]))
        response.partial_failure_error.CopyFrom(partial_failure(told, request_id))
    return bytes(response.SerializeToString())


def unreadable_answer(job_id: int) -> bytes:
    """A partial failure whose only detail is no message."""
    packed = any_pb2.Any(type_url=FAILURE, value=b"\xff")
    failure = status_pb2.Status(code=_INTERNAL, message="Internal error encountered.", details=[packed])
    return bytes(_AdjustmentResponse(job_id=job_id, partial_failure_error=failure).SerializeToString())


def _adjustment_result(row: AdjustmentRow) -> Any:
    pair = {"gclid": row.pair.gclid, "conversion_date_time": row.pair.time} if row.pair else None
    return _AdjustmentResult(
        order_id=row.order_id,
        gclid_date_time_pair=pair,
        conversion_action=row.action,
        adjustment_date_time=row.time,
        adjustment_type=row.number,
    )
