"""Conversions and corrections of them uploaded by the Google Ads API, which answers row by row.

https://developers.google.com/google-ads/api/docs/conversions/upload-offline
"""

from collections.abc import Sequence
from dataclasses import replace

from connectors.errors import Misconfigured
from connectors.google_ads import identity, limits
from connectors.google_ads.ads_api import encode
from connectors.google_ads.ads_api.client import AdsClient, CallFailedError, NotConnectedError, UploadRequest
from connectors.google_ads.ads_api.outcomes import AdsApiError, UploadAnswer, errors_in, gravest
from connectors.google_ads.auth import ADS_API, GoogleOptions, ServiceAccount, Token
from connectors.http import CancelToken
from connectors.records import (
    UNREADABLE_EVENT,
    Adjustment,
    Answered,
    Contact,
    EncodedEvent,
    Event,
    Identifier,
    Limits,
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
"""Refusals by what stands before the API, which therefore has seen nothing."""
_INTERNAL = {"INTERNAL_ERROR", "TRANSIENT_ERROR", "DEADLINE_EXCEEDED", "CONCURRENT_MODIFICATION"}
"""Google's own troubles, after which nobody knows what was recorded: asked again, they say so."""


class AdsApiSink:
    """The `ConversionSink` of the Google Ads API, which also `Adjusts`; each call stands on its own connection."""

    def __init__(self, options: GoogleOptions, *, cancel_token: CancelToken | None = None) -> None:
        """Read the key file. A call ends soon after `cancel_token` raises.

        Raises Misconfigured where it, the endpoint or its token server's address cannot be used.
        """
        self._is_validating = options.validate_only
        self._client = AdsClient(
            options.ads_api_endpoint, options.login_customer_id, timeout=options.timeout, cancel_token=cancel_token
        )
        self._account = ServiceAccount(options.key_file, ADS_API, timeout=options.timeout, cancel_token=cancel_token)

    @property
    def limits(self) -> Limits:
        """What the API takes."""
        return limits.ADS_API

    def identify(self, contact: Contact) -> tuple[Identifier, ...]:
        """The contact's e-mails and phones by Google's rules, five at most; invalid ones are dropped."""
        return identity.identify(contact)[: encode.MOST_IDENTIFIERS]

    def encode(self, event: Event) -> bytes:
        """The event's bytes, the same for the same event."""
        return encode.encode(event)

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Upload frozen events of one conversion action in one request.

        Frozen bytes that this library's API does not take, and a refused token, are refusals of nothing sent.
        A refusal of a token kept from an earlier call is to be retried, with a new one; of a new one it is the
        configuration's fault.
        """
        try:
            request = encode.upload_request(target, batch, validate_only=self._is_validating)
        except ValueError:
            return UNREADABLE_EVENT
        return self._send(request, len(batch))

    def encode_adjustment(self, adjustment: Adjustment) -> bytes:
        """The correction's bytes, the same for the same correction.

        Raises ValueError for a correction that this API cannot carry.
        """
        return encode.encode_adjustment(adjustment)

    def adjust(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Upload frozen corrections of one conversion action's conversions in one request; else as `submit`."""
        try:
            request = encode.adjustments_request(target, batch, validate_only=self._is_validating)
        except ValueError:
            return UNREADABLE_EVENT
        return encode.reread(self._send(request, len(batch)), request)

    def resolve(self, ticket: str, *, rows: int) -> Resolution:
        """Nothing is left to ask: an upload's own answer has every outcome.

        Raises Misconfigured, as what is asked was sent by another interface.
        """
        raise Misconfigured(f"request {ticket} ({counted(rows, 'row')}): the Google Ads API gives no tickets")

    def _send(self, request: UploadRequest, sent: int) -> Receipt:
        token = self._account.token_or_receipt()
        if not isinstance(token, Token):
            return token
        try:
            answer = self._client.upload(request, token.value)
        except NotConnectedError as error:
            return NotSent(str(error), error.unreachable)
        except CallFailedError as error:
            return self._failed(error, token, sent)
        return _read_answer(answer, sent, limits.VALIDATED if self._is_validating else limits.DONE)

    def _failed(self, error: CallFailedError, token: Token, sent: int) -> Receipt:
        receipt = _read_failure(error, sent)
        if error.status == "UNAUTHENTICATED" and isinstance(receipt, Refused):
            self._account.forget_token()
            if not token.is_new:
                return replace(receipt, outcome=replace(receipt.outcome, kind=OutcomeClass.RETRY))
        return receipt


def _read_answer(answer: UploadAnswer, sent: int, done: Outcome) -> Receipt:
    """The outcome of each of `sent` rows, by the partial failure alone: results may echo refused rows too.

    An error that names no row of ours refuses the whole request.
    https://developers.google.com/google-ads/api/docs/best-practices/partial-failures
    """
    is_partial = answer.partial_failure_error.code != 0  # the message itself is always true, set or not
    errors = errors_in(answer) if is_partial else ()
    if is_partial and not errors:
        return Lost("a partial failure that cannot be read")
    by_row: dict[int, list[Outcome]] = {}
    for error in errors:
        if error.row is None or error.row >= sent:
            return _refusal(errors, sent)
        by_row.setdefault(error.row, []).append(error.outcome)
    if done is limits.DONE and len(by_row) < sent and len(answer.results) != sent:
        return Lost("an answer without a result for each row")
    return Answered(tuple(gravest(by_row[row]) if row in by_row else done for row in range(sent)))


def _read_failure(error: CallFailedError, sent: int) -> Receipt:
    """Why nothing was processed, where the API or what stands before it says so; else nobody knows what was.

    Only an error the API itself explains, by a status that refuses, returns rows to where they were: a status alone
    may come from anywhere on the way, after the request was processed.
    """
    if error.errors:
        refusal = _refusal(error.errors, sent)
        if refusal.outcome.code in _INTERNAL or error.status in limits.INCONCLUSIVE_STATUSES:
            return Lost(refusal.outcome.code)
        return replace(refusal, outcome=_with_id(refusal.outcome, error.request_id))
    if words := _GATEWAY_REFUSALS.get(error.status):
        return Refused(Outcome(OutcomeClass.FIX_CONFIG, error.status, words))
    return Lost(error.status)


def _refusal(errors: Sequence[AdsApiError], sent: int) -> Refused:
    """The gravest error of the request, or of its rows where no error concerns the request; and the rows it blames."""
    of_request = [error for error in errors if error.row is None or error.row >= sent]
    outcome = gravest(error.outcome for error in of_request or errors)
    rows = {error.row for error in errors if error.row is not None and error.outcome.code == outcome.code}
    return Refused(outcome, () if of_request else tuple(sorted(rows)))


def _with_id(outcome: Outcome, request_id: str | None) -> Outcome:
    """The outcome with the request's id, by which Google's support finds it."""
    if request_id is None or not limits.REQUEST_ID.fullmatch(request_id):
        return outcome
    return replace(outcome, message=", ".join(filter(None, (outcome.message, f"request {request_id}"))))
