"""Google's Data Manager API: encode events, ingest them and resolve their outcomes.

https://developers.google.com/data-manager/api/devguides/events/send-events
https://developers.google.com/data-manager/api/reference/rest/v1/events/ingest
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any

import requests
from google.ads import datamanager_v1 as dm
from google.ads.datamanager_v1.services.ingestion_service.transports import IngestionServiceRestTransport
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.protobuf import json_format  # type: ignore[import-untyped]
from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]
from pydantic import SecretStr

from connectors.errors import Misconfigured, Transient
from connectors.google_ads import platform
from connectors.google_ads.auth import (
    DATA_MANAGER_SCOPE,
    ServiceAccount,
    TokenRefusedError,
    open_session,
)
from connectors.google_ads.data_manager.outcomes import code_name, read_error, read_request_outcome
from connectors.google_ads.options import GoogleOptions, endpoint
from connectors.google_ads.quota import quota_turn
from connectors.language import _
from connectors.one_call import UPLOAD_GRACE, before_any_byte, receipt_of, run_call, silence_vendor_logging
from connectors.records import (
    UNREADABLE_EVENT,
    Adjustment,
    AdjustmentKind,
    AnswerLost,
    ClickIdKind,
    ConsentSignalValue,
    ContactIdentifierKind,
    ConversionEvent,
    EncodedEvent,
    ForgottenRequest,
    Outcome,
    OutcomeClass,
    Receipt,
    ReceivedForProcessing,
    Refused,
    Resolution,
    RowOutcomes,
    Target,
    utc,
)

_CLICK_IDS = {ClickIdKind.GCLID: "gclid", ClickIdKind.GBRAID: "gbraid", ClickIdKind.WBRAID: "wbraid"}
_IDENTIFIERS = {ContactIdentifierKind.EMAIL: "emailAddress", ContactIdentifierKind.PHONE: "phoneNumber"}
_SOURCES: Mapping[str, int] = {name: int(source) for name, source in dm.EventSource.__members__.items() if source}
_CONSENT = {
    ConsentSignalValue.GRANTED: int(dm.ConsentStatus.CONSENT_GRANTED),
    ConsentSignalValue.DENIED: int(dm.ConsentStatus.CONSENT_DENIED),
}
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def encode_event(event: ConversionEvent) -> bytes:
    """Return the event as canonical ProtoJSON: sorted keys, no spaces, enums as numbers.

    Equal events give equal bytes, whatever the order of their identifiers. IP addresses are never sent.

    Raises KeyError for a kind of click id or identifier that Google doesn't accept, or an event source it doesn't know.
    """
    fields: dict[str, object] = {
        "transactionId": event.key,
        "eventTimestamp": _timestamp(event.at),
        "eventSource": _SOURCES[event.target.source],
    }
    if event.value is not None:
        fields |= {"conversionValue": float(event.value.amount), "currency": event.value.currency}
    if event.click_id is not None:
        fields["adIdentifiers"] = {_CLICK_IDS[event.click_id.kind]: event.click_id.value}
    # One message per hash: e-mail and phone share a oneof.
    if hashes := [{_IDENTIFIERS[each.kind]: each.sha256} for each in sorted(set(event.identifiers))]:
        fields["userData"] = {"userIdentifiers": hashes}
    signals = {"adUserData": event.consent.ad_user_data, "adPersonalization": event.consent.ad_personalization}
    if given := {name: _CONSENT[signal] for name, signal in signals.items() if signal}:
        fields["consent"] = given
    return _canonical(fields).encode()


def _timestamp(moment: datetime) -> str:
    """Return a time as ProtoJSON writes it: in UTC, with no, 3 or 6 decimals of a second.

    https://protobuf.dev/programming-guides/json/
    """
    moment = utc(moment)
    precision = "seconds" if not moment.microsecond else "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def encode_correction(adjustment: Adjustment) -> bytes:
    """Encode the whole event with its new value: resending a transaction id restates the value and keeps the count.

    Raises ValueError for a retraction, or if the original event is no longer fully known.
    https://developers.google.com/data-manager/api/devguides/events/google-ads/offline/upgrade
    """
    event = adjustment.event
    if adjustment.kind is not AdjustmentKind.RESTATEMENT or adjustment.value is None:
        raise ValueError("the Data Manager API only restates, to a value")
    if event is None or not (event.click_id or event.identifiers):
        raise ValueError("the Data Manager API restates by the whole event, with its click id or contact data")
    if (event.key, event.target) != (adjustment.key, adjustment.target) or event.target.transport != "data_manager":
        raise ValueError("this event is not the one that is corrected, or not the Data Manager API's")
    return encode_event(replace(event, value=adjustment.value))


def ingest_request(target: Target, *, login_customer_id: str | None, validate_only: bool) -> dm.IngestEventsRequest:
    """Build one request for one conversion action, without its events."""
    destination = {
        "operatingAccount": _google_ads(target.owner),
        "productDestinationId": target.action,  # the bare number: a resource name is refused
        **({"loginAccount": _google_ads(login_customer_id)} if login_customer_id else {}),
    }
    fields = {"destinations": [destination], "encoding": "HEX", "validateOnly": validate_only}
    request = dm.IngestEventsRequest()
    json_format.ParseDict(fields, dm.IngestEventsRequest.pb(request))
    return request


def check_events(batch: Sequence[EncodedEvent]) -> None:
    """Raise ValueError or json_format.ParseError for bytes that aren't an event of this library's API version.

    The library reads the first event of each shape: reading every one takes longer than all the rest of a delivery.
    """
    shapes: set[object] = set()
    for event in batch:
        fields = json.loads(event.body.decode())
        if not isinstance(fields, dict) or fields.get("transactionId") != event.key:
            raise ValueError("these bytes are another event's, or another API's")
        if (shape := _shape(fields)) not in shapes:
            json_format.ParseDict(fields, dm.Event.pb(dm.Event()))
            shapes.add(shape)


def _shape(part: object) -> object:
    """Return what decides whether the library can read it: names, types, and whole numbers, which may be enums."""
    if isinstance(part, dict):
        return tuple([(name, _shape(each)) for name, each in part.items()])
    if isinstance(part, list):
        return tuple([_shape(each) for each in part])
    return part if type(part) is int else type(part)


def _google_ads(customer_id: str) -> dict[str, str]:
    return {"accountType": "GOOGLE_ADS", "accountId": customer_id}


_FORGOTTEN = {"REQUEST_TOO_OLD", "INVALID_REQUEST_ID"}
"""Reasons that mean a request's status is gone for good; the API keeps it for about 50 days.

A plain NOT_FOUND is not enough: it may come from an address that doesn't serve the API.
"""


class DataManagerSink:
    """Sends conversions and corrections to the Data Manager API; every call opens its own connection."""

    encode = staticmethod(encode_event)
    encode_adjustment = staticmethod(encode_correction)

    def __init__(self, options: GoogleOptions) -> None:
        """Read the key file.

        Raises Misconfigured if the key file, its token server's address or the endpoint is unusable.
        """
        silence_vendor_logging(
            "google.ads.datamanager_v1", "google.auth"
        )  # they log whole requests and tokens at DEBUG
        self._options, self._customer = options, options.customer_id
        self._endpoint = endpoint(options, "data_manager")
        self._account = ServiceAccount(options, DATA_MANAGER_SCOPE)

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send frozen events to one conversion action in one request.

        Unreadable frozen bytes and a refused token give a `Refused` without a request. A 401 asks for a retry if the
        token was cached, and is a configuration error if the token was new.
        """
        with before_any_byte():
            try:
                check_events(batch)
            except (ParseError, ValueError, RecursionError):
                return UNREADABLE_EVENT
            token = self._account.access_token_or_receipt()
        return self._send(target, batch, token) if isinstance(token, SecretStr) else token

    def adjust(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send frozen corrections like events, since this API restates by resending."""
        return self.submit(target, batch)

    def fetch_request_outcomes(self, ticket: str, *, rows: int) -> Resolution:
        """Return the outcomes of a request, if the API has them yet.

        Raises:
            Transient: the status is unavailable, or the quota for asking is full; retry later.
            Misconfigured: the status or the token is refused, which says nothing about uploads.
        """
        try:
            with (
                quota_turn(self._options.read_quota),
                closing(open_session(self._endpoint, self._account.token())) as session,
            ):
                address, timeout = f"{self._endpoint}/v1/requestStatus:retrieve", self._options.timeout
                ask = partial(session.get, address, params={"requestId": ticket}, timeout=timeout)
                response = run_call(session, ask, timeout, cancel_token=self._options.cancel_token)
        except TokenRefusedError as error:
            raise Misconfigured(
                _("Google refuses the key file of customer {customer}: {error}", customer=self._customer, error=error)
            ) from None
        except requests.RequestException as error:
            raise Transient(_("a request's status could not be asked: {name}", name=type(error).__name__)) from error
        return self._read(response, rows)

    def _send(self, target: Target, batch: Sequence[EncodedEvent], token: SecretStr) -> Receipt:
        sent = len(batch)
        try:
            return self._receipt(self._ingest(target, batch, token), sent)
        except _UnauthorizedError:
            kind = OutcomeClass.FIX_CONFIG if self._account.forget_token() else OutcomeClass.RETRY
            return Refused(Outcome(kind, "UNAUTHENTICATED", "HTTP 401"))
        except GoogleAPICallError as error:
            refusal = read_error(error.response)
            status = error.response.status_code
            return (
                refusal.receipt(sent)
                if refusal
                else AnswerLost(_("HTTP {status} without an error of the API's", status=status))
            )
        except OSError as error:
            return receipt_of(error, self._endpoint)
        except (ParseError, AttributeError, TypeError, ValueError, RecursionError):
            # Raised by the library for an answer it can't parse: HTML, empty, JSON of another shape.
            return AnswerLost(_("an answer that cannot be read"))

    def _ingest(self, target: Target, batch: Sequence[EncodedEvent], token: SecretStr) -> dm.IngestEventsResponse:
        """Make the one call through the transport's method, since the client on top of it would add retries."""
        options, timeout = self._options, self._options.timeout
        session = open_session(self._endpoint, token)
        session.hooks["response"].append(_expect_authorized)
        request = ingest_request(
            target, login_customer_id=options.login_customer_id, validate_only=options.validate_only
        )
        with closing(_Transport(self._endpoint, _SessionWithEvents(session, batch))) as transport:
            ingest = partial(transport.ingest_events, request, retry=None, timeout=timeout)  # type: ignore[call-arg]
            with before_any_byte(session):
                return run_call(session, ingest, timeout, cancel_token=options.cancel_token, grace=UPLOAD_GRACE)

    def _receipt(self, answer: dm.IngestEventsResponse, sent: int) -> Receipt:
        if not answer.request_id:
            if self._options.validate_only:  # the API issues no request id for these
                return RowOutcomes((platform.VALIDATED,) * sent)
            return AnswerLost(_("an answer without a request id"))
        if not platform.REQUEST_ID.fullmatch(answer.request_id):  # stored, displayed and used to poll
            return AnswerLost(_("an answer whose request id is none"))
        message = dm.IngestEventsResponse.pb(answer)
        warnings = {code_name(warning.reason, dm.WarningReason) for warning in message.field_warnings}
        return ReceivedForProcessing(answer.request_id, tuple(sorted(name for name in warnings if name)))

    def _read(self, response: requests.Response, rows: int) -> Resolution:
        if response.status_code == HTTPStatus.OK:
            try:
                return read_request_outcome(response.json(), rows)
            except (ValueError, RecursionError) as error:
                raise Transient(_("a request's status cannot be read")) from error
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            if not self._account.forget_token():
                raise Transient(_("the token is no longer good"))
            raise Misconfigured(
                _("Google refuses the token of customer {customer}: UNAUTHENTICATED", customer=self._customer)
            )
        refusal = read_error(response)
        if refusal is None:
            raise Transient(
                _("a request's status could not be asked: HTTP {status_code}", status_code=response.status_code)
            )
        if not refusal.is_inconclusive:
            if reason := next((reason for reason in refusal.error_reasons if reason in _FORGOTTEN), None):
                return ForgottenRequest(reason)
            if refusal.outcome.kind is OutcomeClass.FIX_CONFIG:
                why = f"{refusal.code} ({refusal.outcome.message})"
                raise Misconfigured(_("Google refuses to tell a request's status: {why}", why=why))
        raise Transient(
            _("Google cannot give a request's status: {code}", code=refusal.code), retry_after=refusal.retry_after
        )


class _UnauthorizedError(Exception):
    """The API refuses the token."""


def _expect_authorized(response: requests.Response, *_: object, **__: object) -> None:
    """Raise on a 401 before the library reads its body, which may be one it can't parse."""
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        response.close()
        raise _UnauthorizedError


class _Transport(IngestionServiceRestTransport):
    """The vendor's REST transport on our own session."""

    def __init__(self, endpoint: str, session: "_SessionWithEvents") -> None:
        super().__init__(host=endpoint, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
        self._session.close()  # type: ignore[no-untyped-call]
        self._session = session  # type: ignore[assignment]  # it only makes requests


class _SessionWithEvents:
    """A session that adds the frozen events to the vendor's request as they are."""

    def __init__(self, session: requests.Session, events: Sequence[EncodedEvent]) -> None:
        self._session, self._events = session, events
        self.close = session.close

    def post(self, url: str, *, data: str, **options: Any) -> requests.Response:
        """Make the vendor's request, whose JSON object has no events yet but always a destination."""
        head, events = data.rstrip().removesuffix("}").encode(), b",".join(event.body for event in self._events)
        return self._session.post(url, data=b'%b,"events":[%b]}' % (head, events), **options)
