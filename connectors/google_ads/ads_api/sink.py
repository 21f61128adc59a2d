"""Conversions and corrections of them uploaded by the Google Ads API, which answers row by row.

https://developers.google.com/google-ads/api/docs/conversions/upload-offline
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from google.ads.googleads.v26.services.types import UploadClickConversionsRequest, UploadConversionAdjustmentsRequest

from connectors.errors import Misconfigured
from connectors.google_ads import identity, limits
from connectors.google_ads.ads_api import encode
from connectors.google_ads.ads_api.client import AdsClient, CallFailedError, NotConnectedError
from connectors.google_ads.ads_api.outcomes import UploadAnswer
from connectors.google_ads.ads_api.receipts import read_answer, read_failure
from connectors.google_ads.auth import ADS_API, ServiceAccount, Token, TokenRefusedError, TokenUnavailableError
from connectors.google_ads.options import GoogleOptions
from connectors.http import CancelToken, is_unknown_host
from connectors.records import (
    Adjustment,
    Contact,
    EncodedEvent,
    Event,
    Identifier,
    Limits,
    NotSent,
    Outcome,
    OutcomeClass,
    Receipt,
    Refused,
    Resolution,
    Target,
)
from connectors.text import counted

_UNREADABLE = Outcome(OutcomeClass.BUG, "EVENT_CANNOT_BE_READ", "its frozen bytes are no event of this version")

Request = TypeVar("Request", UploadClickConversionsRequest, UploadConversionAdjustmentsRequest)


class AdsApiSink:
    """The `ConversionSink` of the Google Ads API, which also `Adjusts`; each call stands on its own connection."""

    def __init__(self, options: GoogleOptions, *, cancel_token: CancelToken | None = None) -> None:
        """Read the key file. A call ends soon after `cancel_token` raises.

        Raises Misconfigured where it, the endpoint or its token server's address cannot be used.
        """
        self._options = options
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
            request = encode.upload_request(target, batch, validate_only=self._options.validate_only)
        except ValueError:
            return Refused(_UNREADABLE, unasked=True)
        return self._send(request, self._client.upload, len(batch))

    def encode_adjustment(self, adjustment: Adjustment) -> bytes:
        """The correction's bytes, the same for the same correction.

        Raises ValueError for a correction that this API cannot carry.
        """
        return encode.encode_adjustment(adjustment)

    def adjust(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Upload frozen corrections of one conversion action's conversions in one request; else as `submit`."""
        try:
            request = encode.adjustments_request(target, batch, validate_only=self._options.validate_only)
        except ValueError:
            return Refused(_UNREADABLE, unasked=True)
        return encode.reread(self._send(request, self._client.adjust, len(batch)), request)

    def resolve(self, ticket: str, *, rows: int) -> Resolution:
        """Nothing is left to ask: an upload's own answer tells every outcome.

        Raises Misconfigured, as what is asked was sent by another interface.
        """
        raise Misconfigured(f"request {ticket} ({counted(rows, 'row')}): the Google Ads API gives no tickets")

    def _send(self, request: Request, call: Callable[[Request, str], UploadAnswer], sent: int) -> Receipt:
        try:
            token = self._account.token()
        except TokenRefusedError as error:
            refused = Outcome(OutcomeClass.FIX_CONFIG, str(error), "the token server refuses the key file")
            return Refused(refused, unasked=True)
        except TokenUnavailableError as error:
            return NotSent(str(error), is_unknown_host=is_unknown_host(error))
        try:
            answer = call(request, token.value)
        except NotConnectedError as error:
            return NotSent(str(error), error.unreachable)
        except CallFailedError as error:
            return self._failed(error, token, sent)
        return read_answer(answer, sent, validate_only=self._options.validate_only)

    def _failed(self, error: CallFailedError, token: Token, sent: int) -> Receipt:
        receipt = read_failure(error, sent)
        if error.status == "UNAUTHENTICATED" and isinstance(receipt, Refused):
            self._account.forget_token()
            if not token.is_new:
                return replace(receipt, outcome=replace(receipt.outcome, kind=OutcomeClass.RETRY))
        return receipt
