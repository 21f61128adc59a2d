"""Encode conversions and adjustments for the Google Ads API."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from google.ads.googleads.v26.common.types import Consent, UserIdentifier
from google.ads.googleads.v26.enums import types as enums
from google.ads.googleads.v26.services.types import (
    ClickConversion,
    ConversionAdjustment,
    RestatementValue,
    UploadClickConversionsRequest,
    UploadConversionAdjustmentsRequest,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from connectors.records import (
    Adjustment,
    AdjustmentKind,
    Answered,
    ClickIdKind,
    EncodedEvent,
    Event,
    IdentifierKind,
    Outcome,
    OutcomeClass,
    Receipt,
    Refused,
    Signal,
    Target,
    utc,
)

MOST_IDENTIFIERS = 5
"""Maximum per conversion, in `ClickConversion.user_identifiers`."""

_CLICK_IDS = {ClickIdKind.GCLID: "gclid", ClickIdKind.GBRAID: "gbraid", ClickIdKind.WBRAID: "wbraid"}
_IDENTIFIERS = {IdentifierKind.EMAIL: "hashed_email", IdentifierKind.PHONE: "hashed_phone_number"}
_SIGNALS = {
    Signal.GRANTED: enums.ConsentStatusEnum.ConsentStatus.GRANTED,
    Signal.DENIED: enums.ConsentStatusEnum.ConsentStatus.DENIED,
}
_ENVIRONMENTS = {
    "APP": enums.ConversionEnvironmentEnum.ConversionEnvironment.APP,
    "WEB": enums.ConversionEnvironmentEnum.ConversionEnvironment.WEB,
}


def encode(event: Event) -> bytes:
    """Return the event as a serialised `ClickConversion`.

    Equal events give equal bytes, whatever the order of their identifiers. Times are UTC in whole seconds, the API's
    resolution. IP addresses and session attributes are never sent.

    Raises KeyError for a kind of click id or identifier that Google doesn't accept.
    """
    fields: dict[str, object] = {
        "conversion_action": f"customers/{event.target.owner}/conversionActions/{event.target.action}",
        "conversion_date_time": utc(event.at).isoformat(sep=" ", timespec="seconds"),
        "order_id": event.key,
        # One message per hash, since e-mail and phone share a oneof; e-mails first.
        "user_identifiers": [
            UserIdentifier({_IDENTIFIERS[identifier.kind]: identifier.sha256})
            for identifier in sorted(set(event.identifiers))[:MOST_IDENTIFIERS]
        ],
    }
    if event.click_id is not None:
        fields[_CLICK_IDS[event.click_id.kind]] = event.click_id.value
    if event.value is not None:
        fields |= {"conversion_value": float(event.value.amount), "currency_code": event.value.currency}
    signals = {"ad_user_data": event.consent.ad_user_data, "ad_personalization": event.consent.ad_personalization}
    if given := {name: _SIGNALS[signal] for name, signal in signals.items() if signal}:
        fields["consent"] = Consent(given)
    if environment := _ENVIRONMENTS.get(event.target.source):
        fields["conversion_environment"] = environment
    return _serialised(ClickConversion.pb(ClickConversion(fields)))


def _serialised(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))


def upload_request(
    target: Target, batch: Sequence[EncodedEvent], *, validate_only: bool
) -> UploadClickConversionsRequest:
    """Build one request of frozen events for the account that owns their conversion action.

    Raises ValueError for bytes that aren't an event of this library's API version.
    """
    request = UploadClickConversionsRequest()
    message = UploadClickConversionsRequest.pb(request)
    _fill(message, message.conversions, target, batch, validate_only=validate_only)
    return request


def _fill(request: Any, rows: Any, target: Target, batch: Sequence[EncodedEvent], *, validate_only: bool) -> None:
    request.customer_id = target.owner
    request.partial_failure = True  # False would fail the whole request for one bad row
    request.validate_only = validate_only
    for event in batch:
        row = rows.add()
        try:
            row.ParseFromString(event.body)
        except DecodeError:
            raise ValueError("these bytes are no message") from None
        if row.order_id != event.key:
            raise ValueError("these bytes are another event's, or another API's")


_Type = enums.ConversionAdjustmentTypeEnum.ConversionAdjustmentType
_TYPES = {AdjustmentKind.RETRACTION: _Type.RETRACTION, AdjustmentKind.RESTATEMENT: _Type.RESTATEMENT}
_NOT_ALLOWLISTED = "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"
_NOT_OPEN = (
    "this Cloud project may not correct conversions by the Google Ads API: take undo_via: google_ads_api out, "
    "and correct these in Google Ads"
)


def encode_adjustment(adjustment: Adjustment) -> bytes:
    """Return the correction as a serialised `ConversionAdjustment`; equal corrections give equal bytes.

    Identifies the conversion by order id alone, since all are sent with one. Times are UTC in whole seconds.

    Raises ValueError if this API cannot carry the correction.
    """
    if adjustment.target.transport != "google_ads_api":
        raise ValueError(f"a correction for {adjustment.target.transport}")
    target = adjustment.target
    fields: dict[str, object] = {
        "order_id": adjustment.key,
        "conversion_action": f"customers/{target.owner}/conversionActions/{target.action}",
        "adjustment_date_time": utc(adjustment.at).isoformat(sep=" ", timespec="seconds"),
        "adjustment_type": _TYPES[adjustment.kind],
    }
    if (adjustment.value is None) is not (adjustment.kind is AdjustmentKind.RETRACTION):
        raise ValueError("a retraction has no value, and a restatement needs one")
    if adjustment.value is not None:
        amount, currency = float(adjustment.value.amount), adjustment.value.currency
        fields["restatement_value"] = RestatementValue({"adjusted_value": amount, "currency_code": currency})
    return _serialised(ConversionAdjustment.pb(ConversionAdjustment(fields)))


def adjustments_request(
    target: Target, batch: Sequence[EncodedEvent], *, validate_only: bool
) -> UploadConversionAdjustmentsRequest:
    """Build one request of frozen corrections for the account that owns their conversion action.

    Raises ValueError for bytes that aren't a correction of this library's API version.
    """
    request = UploadConversionAdjustmentsRequest()
    message = UploadConversionAdjustmentsRequest.pb(request)
    _fill(message, message.conversion_adjustments, target, batch, validate_only=validate_only)
    if any(row.adjustment_type not in _TYPES.values() for row in message.conversion_adjustments):
        raise ValueError("these bytes are no retraction or restatement")
    return request


def reread(receipt: Receipt, request: UploadConversionAdjustmentsRequest) -> Receipt:
    """Adjust a receipt where a code means something else for corrections.

    "Already retracted" means done for a replayed retraction, but drops a restatement. "Not allowlisted" gets advice on
    `undo_via`.
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
