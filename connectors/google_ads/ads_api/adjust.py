"""Corrections of conversions as the Google Ads API's own message: frozen bytes, and the request that carries them.

https://developers.google.com/google-ads/api/docs/conversions/upload-adjustments
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from google.ads.googleads.v26.enums.types import ConversionAdjustmentTypeEnum
from google.ads.googleads.v26.services.types import (
    ConversionAdjustment,
    RestatementValue,
    UploadConversionAdjustmentsRequest,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from connectors.records import (
    Adjustment,
    AdjustmentKind,
    Answered,
    EncodedEvent,
    Outcome,
    OutcomeClass,
    Receipt,
    Refused,
    Target,
    utc,
)

TRANSPORT = "google_ads_api"

_Type = ConversionAdjustmentTypeEnum.ConversionAdjustmentType
_NOT_ALLOWLISTED = "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"
_NOT_OPEN = (
    "this Cloud project may not correct conversions by the Google Ads API: take undo_via: google_ads_api out, "
    "and correct these in Google Ads"
)


def encode(adjustment: Adjustment) -> bytes:
    """The correction as one serialised `ConversionAdjustment`: the same bytes for the same correction.

    The conversion is named by its order id alone, as each was sent with one. Times are in UTC and whole seconds.

    Raises ValueError for a correction that this API cannot carry.
    """
    if adjustment.target.transport != TRANSPORT:
        raise ValueError(f"a correction for {adjustment.target.transport}")
    target = adjustment.target
    fields: dict[str, object] = {
        "order_id": adjustment.key,
        "conversion_action": f"customers/{target.owner}/conversionActions/{target.action}",
        "adjustment_date_time": utc(adjustment.at).isoformat(sep=" ", timespec="seconds"),
        **_change(adjustment),
    }
    message = ConversionAdjustment.pb(ConversionAdjustment(fields))
    serialised: bytes = message.SerializeToString(deterministic=True)
    return serialised


def adjustments_request(
    target: Target, batch: Sequence[EncodedEvent], *, validate_only: bool
) -> UploadConversionAdjustmentsRequest:
    """One request of frozen corrections to the account that owns their conversion action.

    Raises ValueError for bytes that are no correction of this library's API.
    """
    request = UploadConversionAdjustmentsRequest.pb(UploadConversionAdjustmentsRequest())
    request.customer_id = target.owner
    request.partial_failure = True  # anything else fails the whole request
    request.validate_only = validate_only
    for event in batch:
        _parse(event, request.conversion_adjustments.add())
    whole: UploadConversionAdjustmentsRequest = UploadConversionAdjustmentsRequest.wrap(request)
    return whole


def reread(receipt: Receipt, request: UploadConversionAdjustmentsRequest) -> Receipt:
    """What an answer means for corrections, where that is more than its codes say.

    That a conversion was retracted before is a retraction's own doing, but leaves nothing for a restatement to do.
    """
    match receipt:
        case Answered(outcomes):
            rows = zip(outcomes, request.conversion_adjustments, strict=True)
            return Answered(tuple(_reread(outcome, row) for outcome, row in rows))
        case Refused(Outcome(code=code)) if code == _NOT_ALLOWLISTED:
            _, _, named = receipt.outcome.message.partition(", request ")
            message = ", request ".join(filter(None, (_NOT_OPEN, named)))
            return replace(receipt, outcome=replace(receipt.outcome, message=message))
        case _:
            return receipt


def _reread(outcome: Outcome, row: ConversionAdjustment) -> Outcome:
    if outcome.code == "CONVERSION_ALREADY_RETRACTED" and row.adjustment_type is not _Type.RETRACTION:
        return replace(outcome, kind=OutcomeClass.DROP)
    return outcome


def _change(adjustment: Adjustment) -> dict[str, object]:
    match adjustment.kind:
        case AdjustmentKind.RETRACTION:
            if adjustment.value is not None:
                raise ValueError("a retraction has no value")
            return {"adjustment_type": _Type.RETRACTION}
        case AdjustmentKind.RESTATEMENT:
            if adjustment.value is None:
                raise ValueError("a restatement needs its value")
            amount, currency = float(adjustment.value.amount), adjustment.value.currency
            restated = RestatementValue({"adjusted_value": amount, "currency_code": currency})
            return {"adjustment_type": _Type.RESTATEMENT, "restatement_value": restated}
    assert_never(adjustment.kind)


def _parse(event: EncodedEvent, row: object) -> None:
    """Fill a row from frozen bytes."""
    message = ConversionAdjustment.pb(ConversionAdjustment())
    try:
        message.ParseFromString(event.body)
    except DecodeError:
        raise ValueError("these bytes are no message") from None
    if message.order_id != event.key or message.adjustment_type not in (_Type.RETRACTION, _Type.RESTATEMENT):
        raise ValueError("these bytes are another correction's, or another API's")
    row.CopyFrom(message)  # type: ignore[attr-defined]  # the vendor ships no types
