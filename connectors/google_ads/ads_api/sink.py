"""Google Ads API: encode and upload conversions and corrections, answered row by row.

https://developers.google.com/google-ads/api/docs/conversions/upload-offline
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from google.ads.googleads.v26.enums.types.conversion_adjustment_type import ConversionAdjustmentTypeEnum
from google.ads.googleads.v26.services.types.conversion_adjustment_upload_service import (
    ConversionAdjustment,
    UploadConversionAdjustmentsRequest,
)
from google.ads.googleads.v26.services.types.conversion_upload_service import (
    ClickConversion,
    UploadClickConversionsRequest,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from pydantic import SecretStr

from connectors.google_ads import platform
from connectors.google_ads.ads_api.client import AdsClient, CallFailedError, ConnectionFailedError, UploadRequest
from connectors.google_ads.ads_api.outcomes import WORDS, AdsApiError, UploadAnswer, errors_in, most_severe_outcome
from connectors.google_ads.auth import ADS_API_SCOPE, ServiceAccount
from connectors.google_ads.options import GoogleOptions
from connectors.language import N_, _
from connectors.one_call import before_any_byte
from connectors.records import (
    UNREADABLE_EVENT,
    Adjustment,
    AdjustmentKind,
    AnswerLost,
    ClickIdKind,
    ContactIdentifierKind,
    ConversionEvent,
    EncodedEvent,
    Outcome,
    OutcomeClass,
    Receipt,
    Refused,
    RequestNotSent,
    RowOutcomes,
    Target,
    utc,
)

_MOST_IDENTIFIERS = platform.MOST_IDENTIFIERS["google_ads_api"]

_CLICK_IDS = {ClickIdKind.GCLID: "gclid", ClickIdKind.GBRAID: "gbraid", ClickIdKind.WBRAID: "wbraid"}
_IDENTIFIERS = {ContactIdentifierKind.EMAIL: "hashed_email", ContactIdentifierKind.PHONE: "hashed_phone_number"}
_ENVIRONMENTS = {"APP", "WEB"}
_CONVERSION: Any = ClickConversion.pb()
"""The bare message, which is built several times as fast as the class around it."""


def encode_event(event: ConversionEvent) -> bytes:
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
            {_IDENTIFIERS[identifier.kind]: identifier.sha256}
            for identifier in sorted(set(event.identifiers))[:_MOST_IDENTIFIERS]
        ],
    }
    if event.click_id is not None:
        fields[_CLICK_IDS[event.click_id.kind]] = event.click_id.value
    if event.value is not None:
        fields |= {"conversion_value": float(event.value.amount), "currency_code": event.value.currency}
    signals = {"ad_user_data": event.consent.ad_user_data, "ad_personalization": event.consent.ad_personalization}
    if given := {name: signal.name for name, signal in signals.items() if signal}:
        fields["consent"] = given
    if event.target.source in _ENVIRONMENTS:
        fields["conversion_environment"] = event.target.source
    return _serialised(_CONVERSION(**fields))


def _serialised(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))


def upload_request(
    target: Target, batch: Sequence[EncodedEvent], *, validate_only: bool
) -> UploadClickConversionsRequest:
    """Build one request of frozen events for the account that owns their conversion action.

    Raises ValueError for bytes that aren't an event of this library's API version.
    """
    request = UploadClickConversionsRequest(_head(target, validate_only=validate_only))
    _add(batch, UploadClickConversionsRequest.pb(request).conversions)
    return request


def _head(target: Target, *, validate_only: bool) -> dict[str, object]:
    # Without partial failure, one bad row would fail the whole request.
    return {"customer_id": target.owner, "partial_failure": True, "validate_only": validate_only}


def _add(batch: Sequence[EncodedEvent], rows: Any) -> None:
    for event in batch:
        row = rows.add()
        try:
            row.ParseFromString(event.body)
        except DecodeError:
            raise ValueError("these bytes are no message") from None
        if row.order_id != event.key:
            raise ValueError("these bytes are another event's, or another API's")


_Type = ConversionAdjustmentTypeEnum.ConversionAdjustmentType
_NOT_ALLOWLISTED = "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"
_NOT_OPEN = N_(
    "this Cloud project may not correct conversions by the Google Ads API: take undo_via: "
    "google_ads_api out, and correct these in Google Ads"
)


def encode_correction(adjustment: Adjustment) -> bytes:
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
        "adjustment_type": adjustment.kind.name,
    }
    if (adjustment.value is None) is not (adjustment.kind is AdjustmentKind.RETRACTION):
        raise ValueError("a retraction has no value, and a restatement needs one")
    if adjustment.value is not None:
        amount, currency = float(adjustment.value.amount), adjustment.value.currency
        fields["restatement_value"] = {"adjusted_value": amount, "currency_code": currency}
    return _serialised(ConversionAdjustment.pb(ConversionAdjustment(fields)))


def adjustments_request(
    target: Target, batch: Sequence[EncodedEvent], *, validate_only: bool
) -> UploadConversionAdjustmentsRequest:
    """Build one request of frozen corrections for the account that owns their conversion action.

    Raises ValueError for bytes that aren't a correction of this library's API version.
    """
    request = UploadConversionAdjustmentsRequest(_head(target, validate_only=validate_only))
    _add(batch, UploadConversionAdjustmentsRequest.pb(request).conversion_adjustments)
    if any(row.adjustment_type not in {_Type.RETRACTION, _Type.RESTATEMENT} for row in request.conversion_adjustments):
        raise ValueError("these bytes are no retraction or restatement")
    return request


def reclassify_correction_codes(receipt: Receipt, request: UploadConversionAdjustmentsRequest) -> Receipt:
    """Adjust a receipt where a code means something else for corrections.

    "Already retracted" means done for a replayed retraction, but drops a restatement. "Not allowlisted" gets advice on
    `undo_via`.
    """
    match receipt:
        case RowOutcomes(outcomes):
            rows = zip(outcomes, request.conversion_adjustments, strict=True)
            return RowOutcomes(tuple(_reclassify_retraction_error(outcome, row) for outcome, row in rows))
        case Refused(Outcome(code=code)) if code == _NOT_ALLOWLISTED:
            said = receipt.outcome.message
            request_id = None if said == _(WORDS[code]) else said.rpartition(" ")[2]
            message = _with_request(_(_NOT_OPEN), request_id)
            return replace(receipt, outcome=replace(receipt.outcome, message=message))
        case _:
            return receipt


def _reclassify_retraction_error(outcome: Outcome, row: ConversionAdjustment) -> Outcome:
    if outcome.code == "CONVERSION_ALREADY_RETRACTED" and row.adjustment_type is not _Type.RETRACTION:
        return replace(outcome, kind=OutcomeClass.DROP)
    return outcome


_GATEWAY_REFUSALS = {
    "PERMISSION_DENIED": N_("Google refuses this Cloud project: is the Google Ads API enabled in it?"),
    "UNAUTHENTICATED": N_("Google refuses the token"),
    "UNIMPLEMENTED": N_("no Google Ads API of this version answers there"),
}
"""Refusals by the gateway, before a request reaches the API."""
_INTERNAL = {"INTERNAL_ERROR", "TRANSIENT_ERROR", "DEADLINE_EXCEEDED", "CONCURRENT_MODIFICATION"}
"""Internal Google errors, which leave open what was recorded; a replay finds out."""


class AdsApiSink:
    """Sends conversions and corrections to the Google Ads API; every call opens its own connection."""

    encode = staticmethod(encode_event)
    encode_adjustment = staticmethod(encode_correction)

    def __init__(self, options: GoogleOptions) -> None:
        """Read the key file.

        Raises Misconfigured if the key file, its token server's address or the endpoint is unusable.
        """
        self._is_validating = options.validate_only
        self._client = AdsClient(options)
        self._account = ServiceAccount(options, ADS_API_SCOPE)

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Upload frozen events for one conversion action in one request.

        Unreadable frozen bytes and a refused token give a `Refused` without a request. UNAUTHENTICATED asks for a retry
        if the token was cached, and is a configuration error if the token was new.
        """
        with before_any_byte():
            try:
                request = upload_request(target, batch, validate_only=self._is_validating)
            except ValueError:
                return UNREADABLE_EVENT
        return self._send(request, len(batch))

    def adjust(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Upload frozen corrections for one conversion action in one request; otherwise like `submit`."""
        with before_any_byte():
            try:
                request = adjustments_request(target, batch, validate_only=self._is_validating)
            except ValueError:
                return UNREADABLE_EVENT
        return reclassify_correction_codes(self._send(request, len(batch)), request)

    def _send(self, request: UploadRequest, sent: int) -> Receipt:
        with before_any_byte():
            token = self._account.access_token_or_receipt()
        if not isinstance(token, SecretStr):
            return token
        try:
            answer = self._client.upload(request, token.get_secret_value())
        except ConnectionFailedError as error:
            return RequestNotSent(str(error), error.unreachable)
        except CallFailedError as error:
            return self._receipt_of_failed_call(error, sent)
        return _read_answer(answer, sent, platform.VALIDATED if self._is_validating else platform.DONE)

    def _receipt_of_failed_call(self, error: CallFailedError, sent: int) -> Receipt:
        receipt = _read_failure(error, sent)
        if error.status == "UNAUTHENTICATED" and isinstance(receipt, Refused) and not self._account.forget_token():
            return replace(receipt, outcome=replace(receipt.outcome, kind=OutcomeClass.RETRY))
        return receipt


def _read_answer(answer: UploadAnswer, sent: int, done: Outcome) -> Receipt:
    """Return each row's outcome from the partial failure alone, since results may echo refused rows too.

    An error that names none of our rows refuses the whole request.
    https://developers.google.com/google-ads/api/docs/best-practices/partial-failures
    """
    is_partial = answer.partial_failure_error.code != 0  # the message is truthy even when unset
    errors = errors_in(answer) if is_partial else ()
    if is_partial and not errors:
        return AnswerLost(_("a partial failure that cannot be read"))
    by_row: dict[int, list[Outcome]] = {}
    for error in errors:
        if error.row is None or error.row >= sent:
            return _refusal(errors, sent)
        by_row.setdefault(error.row, []).append(error.outcome)
    if done is platform.DONE and len(by_row) < sent and len(answer.results) != sent:
        return AnswerLost(_("an answer without a result for each row"))
    return RowOutcomes(tuple(most_severe_outcome(by_row[row]) if row in by_row else done for row in range(sent)))


def _read_failure(error: CallFailedError, sent: int) -> Receipt:
    """Return a refusal if the API or its gateway reports one; otherwise the request is lost.

    Only a refusing status with the API's own error details proves that nothing was processed: a bare status may come
    from anywhere on the way, after processing. The exceptions are the `_GATEWAY_REFUSALS`.
    """
    if error.errors:
        refusal = _refusal(error.errors, sent)
        if refusal.outcome.code in _INTERNAL or error.status in platform.INCONCLUSIVE_STATUSES:
            return AnswerLost(refusal.outcome.code)
        request_id = error.request_id if platform.REQUEST_ID.fullmatch(error.request_id or "") else None
        message = _with_request(refusal.outcome.message, request_id)
        return replace(refusal, outcome=replace(refusal.outcome, message=message))
    if words := _GATEWAY_REFUSALS.get(error.status):
        return Refused(Outcome(OutcomeClass.FIX_CONFIG, error.status, _(words)))
    return AnswerLost(error.status)


def _with_request(words: str, request_id: str | None) -> str:
    """Return a message with the request's id, by which Google support finds it."""
    if not request_id:
        return words
    if not words:
        return _("request {id}", id=request_id)
    return _("{words}, request {id}", words=words, id=request_id)


def _refusal(errors: Sequence[AdsApiError], sent: int) -> Refused:
    """Return the gravest request-level error, or failing that the gravest row error with its suspect rows."""
    of_request = [error for error in errors if error.row is None or error.row >= sent]
    outcome = most_severe_outcome(error.outcome for error in of_request or errors)
    rows = {error.row for error in errors if error.row is not None and error.outcome.code == outcome.code}
    return Refused(outcome, () if of_request else tuple(sorted(rows)))
