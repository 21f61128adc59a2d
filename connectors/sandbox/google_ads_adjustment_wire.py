"""UploadConversionAdjustments by the vendor's own messages, as plain records; and the way back.

Like `google_ads_wire`, it loads slowly: import it late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.ads.googleads.v26.enums.types import conversion_adjustment_type
from google.ads.googleads.v26.services.types import conversion_adjustment_upload_service as adjustment_service
from google.protobuf import any_pb2  # type: ignore[import-untyped]  # the vendor ships no types
from google.rpc import status_pb2  # type: ignore[import-untyped]  # the vendor ships no types

from connectors.sandbox.google_ads_errors import Problem
from connectors.sandbox.google_ads_wire import FAILURE, parsed, partial_failure

_Type: Any = conversion_adjustment_type.ConversionAdjustmentTypeEnum.ConversionAdjustmentType
_TYPES: Mapping[int, str] = {int(each): each.name for each in _Type}
_INTERNAL = 13

_Request = adjustment_service.UploadConversionAdjustmentsRequest.pb()
_Response = adjustment_service.UploadConversionAdjustmentsResponse.pb()
_Result = adjustment_service.ConversionAdjustmentResult.pb()


@dataclass(frozen=True, slots=True)
class Pair:
    """A conversion by its click and time, as sent."""

    gclid: str
    time: str


@dataclass(frozen=True, slots=True)
class Adjustment:
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
    rows: tuple[Adjustment, ...]


def read_adjustments(body: bytes) -> Adjustments:
    """Read an UploadConversionAdjustmentsRequest, or raise `UnreadableError`."""
    request = parsed(_Request, body)
    return Adjustments(
        customer=request.customer_id,
        partial_failure=request.partial_failure,
        validate_only=request.validate_only,
        job_id=request.job_id if request.HasField("job_id") else None,
        rows=tuple(_adjustment(each) for each in request.conversion_adjustments),
    )


def _adjustment(row: Any) -> Adjustment:
    pair, restated = row.gclid_date_time_pair, row.restatement_value
    return Adjustment(
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
    request: Adjustments, problems: Mapping[int, Sequence[Problem]], job_id: int, request_id: str
) -> bytes:
    """An UploadConversionAdjustmentsResponse; `problems` are each failed row's errors."""
    response = _Response(job_id=job_id)
    if not request.validate_only:
        response.results.extend(
            _Result() if index in problems else _result(row) for index, row in enumerate(request.rows)
        )
    if problems:
        told = list(dict.fromkeys(each for row in sorted(problems) for each in problems[row]))
        response.partial_failure_error.CopyFrom(partial_failure(told, request_id))
    return bytes(response.SerializeToString())


def unreadable_answer(job_id: int) -> bytes:
    """A partial failure whose only detail is no message."""
    packed = any_pb2.Any(type_url=FAILURE, value=b"\xff")
    failure = status_pb2.Status(code=_INTERNAL, message="Internal error encountered.", details=[packed])
    return bytes(_Response(job_id=job_id, partial_failure_error=failure).SerializeToString())


def _result(row: Adjustment) -> Any:
    pair = {"gclid": row.pair.gclid, "conversion_date_time": row.pair.time} if row.pair else None
    return _Result(
        order_id=row.order_id,
        gclid_date_time_pair=pair,
        conversion_action=row.action,
        adjustment_date_time=row.time,
        adjustment_type=row.number,
    )
