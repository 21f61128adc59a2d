"""`ConversionSink` for Google's Data Manager API: ingest events and resolve their outcomes.

https://developers.google.com/data-manager/api/devguides/events/send-events
"""

import logging
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from http import HTTPStatus

import requests
from google.ads import datamanager_v1 as dm
from google.ads.datamanager_v1.services.ingestion_service.transports import IngestionServiceRestTransport
from google.api_core.exceptions import GoogleAPICallError, Unauthorized
from google.auth.credentials import AnonymousCredentials
from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]

from connectors.errors import Misconfigured, Transient
from connectors.google_ads import platform
from connectors.google_ads.auth import (
    DATA_MANAGER_SCOPE,
    GoogleOptions,
    ServiceAccount,
    TokenRefusedError,
    open_session,
)
from connectors.google_ads.data_manager import encode as encoder
from connectors.google_ads.data_manager.outcomes import code_name, read_error, read_status
from connectors.http import CancelToken
from connectors.one_call import UPLOAD_GRACE, checked_address, exchange, receipt_of
from connectors.records import (
    UNREADABLE_EVENT,
    Answered,
    EncodedEvent,
    Forgotten,
    Lost,
    Outcome,
    OutcomeClass,
    Receipt,
    Received,
    Refused,
    Resolution,
    Target,
)

_FORGOTTEN = {"REQUEST_TOO_OLD", "INVALID_REQUEST_ID"}
"""Reasons that mean a request's status is gone for good; the API keeps it for about 50 days.

A plain NOT_FOUND is not enough: it may come from an address that doesn't serve the API.
"""


class DataManagerSink:
    """`ConversionSink` and `Adjusts` for the Data Manager API; every call opens its own connection."""

    limits = platform.DATA_MANAGER
    identify = staticmethod(platform.identify)
    encode = staticmethod(encoder.encode)
    encode_adjustment = staticmethod(encoder.encode_adjustment)

    def __init__(self, options: GoogleOptions, *, cancel_token: CancelToken | None = None) -> None:
        """Read the key file; calls end soon after `cancel_token` raises.

        Raises Misconfigured if the key file, its token server's address or the endpoint is unusable.
        """
        _keep_bodies_out_of_logs()
        self._options, self._customer = options, options.customer_id
        self._endpoint = checked_address(options.data_manager_endpoint, "the Data Manager endpoint")
        self._account = ServiceAccount(
            options.key_file, DATA_MANAGER_SCOPE, timeout=options.timeout, cancel_token=cancel_token
        )
        self._cancel_token = cancel_token

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send frozen events to one conversion action in one request.

        Unreadable frozen bytes and a refused token give a `Refused` without a request. A 401 asks for a retry if the
        token was cached, and is a configuration error if the token was new.
        """
        try:
            request = encoder.ingest_request(
                target,
                batch,
                login_customer_id=self._options.login_customer_id,
                validate_only=self._options.validate_only,
            )
        except (ParseError, ValueError):
            return UNREADABLE_EVENT
        token = self._account.token_or_receipt()
        return self._send(request, token, len(batch)) if isinstance(token, str) else token

    def adjust(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send frozen corrections like events, since this API restates by resending."""
        return self.submit(target, batch)

    def resolve(self, ticket: str, *, rows: int) -> Resolution:
        """Return the outcomes of a request, if the API has them yet.

        Raises:
            Transient: the status is unavailable; retry later.
            Misconfigured: the account or its token is refused.
        """
        try:
            with closing(open_session(self._endpoint, self._account.token())) as session:
                return self._read(self._retrieve(session, ticket), rows)
        except TokenRefusedError as error:
            raise Misconfigured(f"Google refuses the key file of customer {self._customer}: {error}") from None
        except requests.RequestException as error:
            raise Transient(f"a request's status could not be asked: {type(error).__name__}") from error

    def _send(self, request: dm.IngestEventsRequest, token: str, sent: int) -> Receipt:
        try:
            return _receipt(self._ingest(request, token), request)
        except Unauthorized:
            kind = OutcomeClass.FIX_CONFIG if self._account.forget_token() else OutcomeClass.RETRY
            return Refused(Outcome(kind, "UNAUTHENTICATED", "HTTP 401"))
        except GoogleAPICallError as error:
            refusal = read_error(error.response)
            status = error.response.status_code
            return refusal.receipt(sent) if refusal else Lost(f"HTTP {status} without an error of the API's")
        except OSError as error:
            return receipt_of(error, self._endpoint)
        except (ParseError, AttributeError, TypeError, ValueError, RecursionError):
            # Raised by the library for an answer it can't parse: HTML, empty, JSON of another shape.
            return Lost("an answer that cannot be read")

    def _ingest(self, request: dm.IngestEventsRequest, token: str) -> dm.IngestEventsResponse:
        """Make the one call through the transport's method, since the client on top of it would add retries."""
        session = open_session(self._endpoint, token)
        with closing(_Transport(self._endpoint, session)) as transport:
            timeout = self._options.timeout
            ingest = partial(transport.ingest_events, request, retry=None, timeout=timeout)  # type: ignore[call-arg]
            return exchange(session, ingest, timeout, cancel_token=self._cancel_token, grace=UPLOAD_GRACE)

    def _retrieve(self, session: requests.Session, ticket: str) -> requests.Response:
        address, timeout = f"{self._endpoint}/v1/requestStatus:retrieve", self._options.timeout
        retrieve = partial(session.get, address, params={"requestId": ticket}, timeout=timeout)
        return exchange(session, retrieve, timeout, cancel_token=self._cancel_token)

    def _read(self, response: requests.Response, rows: int) -> Resolution:
        if response.status_code == HTTPStatus.OK:
            try:
                return read_status(response.json(), rows)
            except (ValueError, RecursionError) as error:
                raise Transient("a request's status cannot be read") from error
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            if not self._account.forget_token():
                raise Transient("the token is no longer good")
            raise Misconfigured(f"Google refuses the token of customer {self._customer}: UNAUTHENTICATED")
        refusal = read_error(response)
        if refusal is None:
            raise Transient(f"a request's status could not be asked: HTTP {response.status_code}")
        if not refusal.is_inconclusive:
            if reason := next((reason for reason in refusal.reasons if reason in _FORGOTTEN), None):
                return Forgotten(reason)
            if refusal.outcome.kind is OutcomeClass.FIX_CONFIG:
                why = f"{refusal.code} ({refusal.outcome.message})"
                raise Misconfigured(f"Google refuses customer {self._customer}: {why}")
        raise Transient(f"Google cannot give a request's status: {refusal.code}", retry_after=refusal.retry_after)


class _Transport(IngestionServiceRestTransport):
    """The vendor's REST transport on our own session."""

    def __init__(self, endpoint: str, session: requests.Session) -> None:
        super().__init__(host=endpoint, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
        self._session.close()  # type: ignore[no-untyped-call]
        self._session = session  # type: ignore[assignment]  # it only makes requests


def _receipt(answer: dm.IngestEventsResponse, request: dm.IngestEventsRequest) -> Receipt:
    if not answer.request_id:
        if request.validate_only:  # the API issues no request id for these
            return Answered((platform.VALIDATED,) * len(request.events))
        return Lost("an answer without a request id")
    if not platform.REQUEST_ID.fullmatch(answer.request_id):  # stored, displayed and used to poll
        return Lost("an answer whose request id is none")
    message = dm.IngestEventsResponse.pb(answer)
    warnings = {code_name(warning.reason, dm.WarningReason) for warning in message.field_warnings}
    return Received(answer.request_id, tuple(sorted(name for name in warnings if name)))


def _keep_bodies_out_of_logs() -> None:
    """Silence the vendor libraries, which log whole requests and tokens at DEBUG."""
    for name in ("google.ads.datamanager_v1", "google.auth"):
        logging.getLogger(name).setLevel(logging.WARNING)
