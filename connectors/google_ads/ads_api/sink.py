"""`ConversionSink` for the Google Ads API: upload conversions and corrections, answered row by row.

https://developers.google.com/google-ads/api/docs/conversions/upload-offline
"""

from collections.abc import Sequence
from dataclasses import replace

from connectors.errors import Misconfigured
from connectors.google_ads import platform
from connectors.google_ads.ads_api import encode as encoder
from connectors.google_ads.ads_api.client import AdsClient, CallFailedError, NotConnectedError, UploadRequest
from connectors.google_ads.ads_api.outcomes import AdsApiError, UploadAnswer, errors_in, gravest
from connectors.google_ads.auth import ADS_API_SCOPE, GoogleOptions, ServiceAccount
from connectors.http import CancelToken
from connectors.records import (
    UNREADABLE_EVENT,
    Answered,
    Contact,
    EncodedEvent,
    Identifier,
    Lost,
    NotSent,
    Outcome,
    OutcomeClass,
    Receipt,
    Refused,
    Resolution,
    Target,
)
from connectors.text import counted

_GATEWAY_REFUSALS = {
    "PERMISSION_DENIED": "Google refuses this Cloud project: is the Google Ads API enabled in it?",
    "UNAUTHENTICATED": "Google refuses the token",
    "UNIMPLEMENTED": "no Google Ads API of this version answers there",
}
"""Refusals by the gateway, before a request reaches the API."""
_INTERNAL = {"INTERNAL_ERROR", "TRANSIENT_ERROR", "DEADLINE_EXCEEDED", "CONCURRENT_MODIFICATION"}
"""Internal Google errors, which leave open what was recorded; a replay finds out."""


class AdsApiSink:
    """`ConversionSink` and `Adjusts` for the Google Ads API; every call opens its own connection."""

    limits = platform.ADS_API
    encode = staticmethod(encoder.encode)
    encode_adjustment = staticmethod(encoder.encode_adjustment)

    def __init__(self, options: GoogleOptions, *, cancel_token: CancelToken | None = None) -> None:
        """Read the key file; calls end soon after `cancel_token` raises.

        Raises Misconfigured if the key file, its token server's address or the endpoint is unusable.
        """
        self._is_validating = options.validate_only
        self._client = AdsClient(
            options.ads_api_endpoint, options.login_customer_id, timeout=options.timeout, cancel_token=cancel_token
        )
        self._account = ServiceAccount(
            options.key_file, ADS_API_SCOPE, timeout=options.timeout, cancel_token=cancel_token
        )

    def identify(self, contact: Contact) -> tuple[Identifier, ...]:
        """Hash the contact's e-mails and phones by Google's rules, dropping invalid ones and any after the fifth."""
        return platform.identify(contact)[: encoder.MOST_IDENTIFIERS]

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Upload frozen events for one conversion action in one request.

        Unreadable frozen bytes and a refused token give a `Refused` without a request. UNAUTHENTICATED asks for a retry
        if the token was cached, and is a configuration error if the token was new.
        """
        try:
            request = encoder.upload_request(target, batch, validate_only=self._is_validating)
        except ValueError:
            return UNREADABLE_EVENT
        return self._send(request, len(batch))

    def adjust(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Upload frozen corrections for one conversion action in one request; otherwise like `submit`."""
        try:
            request = encoder.adjustments_request(target, batch, validate_only=self._is_validating)
        except ValueError:
            return UNREADABLE_EVENT
        return encoder.reread(self._send(request, len(batch)), request)

    def resolve(self, ticket: str, *, rows: int) -> Resolution:
        """Always raise Misconfigured: uploads are answered in full, so a ticket must come from another transport."""
        raise Misconfigured(f"request {ticket} ({counted(rows, 'row')}): the Google Ads API gives no tickets")

    def _send(self, request: UploadRequest, sent: int) -> Receipt:
        token = self._account.token_or_receipt()
        if not isinstance(token, str):
            return token
        try:
            answer = self._client.upload(request, token)
        except NotConnectedError as error:
            return NotSent(str(error), error.unreachable)
        except CallFailedError as error:
            return self._failed(error, sent)
        return _read_answer(answer, sent, platform.VALIDATED if self._is_validating else platform.DONE)

    def _failed(self, error: CallFailedError, sent: int) -> Receipt:
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
        return Lost("a partial failure that cannot be read")
    by_row: dict[int, list[Outcome]] = {}
    for error in errors:
        if error.row is None or error.row >= sent:
            return _refusal(errors, sent)
        by_row.setdefault(error.row, []).append(error.outcome)
    if done is platform.DONE and len(by_row) < sent and len(answer.results) != sent:
        return Lost("an answer without a result for each row")
    return Answered(tuple(gravest(by_row[row]) if row in by_row else done for row in range(sent)))


def _read_failure(error: CallFailedError, sent: int) -> Receipt:
    """Return a refusal if the API or its gateway reports one; otherwise the request is lost.

    Only a refusing status with the API's own error details proves that nothing was processed: a bare status may come
    from anywhere on the way, after processing. The exceptions are the `_GATEWAY_REFUSALS`.
    """
    if error.errors:
        refusal = _refusal(error.errors, sent)
        if refusal.outcome.code in _INTERNAL or error.status in platform.INCONCLUSIVE_STATUSES:
            return Lost(refusal.outcome.code)
        return replace(refusal, outcome=_with_id(refusal.outcome, error.request_id))
    if words := _GATEWAY_REFUSALS.get(error.status):
        return Refused(Outcome(OutcomeClass.FIX_CONFIG, error.status, words))
    return Lost(error.status)


def _refusal(errors: Sequence[AdsApiError], sent: int) -> Refused:
    """Return the gravest request-level error, or failing that the gravest row error with its suspect rows."""
    of_request = [error for error in errors if error.row is None or error.row >= sent]
    outcome = gravest(error.outcome for error in of_request or errors)
    rows = {error.row for error in errors if error.row is not None and error.outcome.code == outcome.code}
    return Refused(outcome, () if of_request else tuple(sorted(rows)))


def _with_id(outcome: Outcome, request_id: str | None) -> Outcome:
    """Append the request id, which Google support needs to find the request."""
    if request_id is None or not platform.REQUEST_ID.fullmatch(request_id):
        return outcome
    return replace(outcome, message=", ".join(filter(None, (outcome.message, f"request {request_id}"))))
