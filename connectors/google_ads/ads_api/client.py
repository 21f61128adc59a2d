"""Google Ads API calls, each with its own connection, a single attempt and bounded waits.

https://developers.google.com/google-ads/api/docs/client-libs/python
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]
from google.ads.googleads.client import _CLIENT_INFO, _GRPC_CHANNEL_OPTIONS, GoogleAdsClient
from google.ads.googleads.errors import GoogleAdsException
from google.ads.googleads.interceptors import ExceptionInterceptor, LoggingInterceptor, MetadataInterceptor
from google.ads.googleads.v26.services.services.conversion_adjustment_upload_service import (
    ConversionAdjustmentUploadServiceClient,
)
from google.ads.googleads.v26.services.services.conversion_upload_service import ConversionUploadServiceClient
from google.ads.googleads.v26.services.types.conversion_adjustment_upload_service import (
    UploadConversionAdjustmentsRequest,
)
from google.ads.googleads.v26.services.types.conversion_upload_service import UploadClickConversionsRequest
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import Credentials

from connectors.errors import NothingSent
from connectors.google_ads.ads_api.outcomes import (
    AdsApiError,
    UploadAnswer,
    codes_of,
    errors_in_metadata,
    errors_of_failure,
)
from connectors.google_ads.options import GoogleOptions, endpoint
from connectors.http import CancelToken, run_with_timeout
from connectors.language import _
from connectors.one_call import UPLOAD_GRACE, before_any_byte, silence_vendor_logging

if TYPE_CHECKING:
    from google.ads.googleads.v26.services.types.google_ads_service import GoogleAdsRow

VERSION = "v26"
"""API version, pinned because the default changes with the library."""

_CONNECTING = 20.0  # seconds; gRPC's limit for one connection attempt
_BEYOND_DEADLINE = 10.0  # seconds past gRPC's own deadline
_MOST_ROWS = 10_000  # rows per query; ours return a few dozen
_LOGGER = "google.ads.googleads"

UploadRequest = UploadClickConversionsRequest | UploadConversionAdjustmentsRequest
_UPLOADS = {
    UploadClickConversionsRequest: (ConversionUploadServiceClient, "upload_click_conversions"),
    UploadConversionAdjustmentsRequest: (ConversionAdjustmentUploadServiceClient, "upload_conversion_adjustments"),
}
"""Service and method of each upload."""


class ConnectionFailedError(NothingSent):
    """No connection was established, so nothing can have arrived."""

    def __init__(self, message: str, unreachable: str = "") -> None:
        """Keep the address if it cannot be reached at all."""
        super().__init__(message)
        self.unreachable = unreachable


class CallFailedError(Exception):
    """A call failed, in the API or on the way to it; messages hold codes only, never the vendor's text."""

    def __init__(self, status: str, errors: tuple[AdsApiError, ...], request_id: str | None) -> None:
        """Keep the gRPC status name, and the API's errors and request id if it gave any."""
        super().__init__(": ".join(filter(None, (status, ", ".join(codes_of(errors))))))
        self.status = status
        self.errors = errors
        self.request_id = request_id


class Bearer(Credentials):
    """Credentials for a fixed token; Google's own for one add a header and may look up a region."""

    def __init__(self, token: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = token

    def refresh(self, request: object) -> None:
        """Do nothing: the token counts as valid, and an answer that refuses it ends the call."""


class AdsClient:
    """The API calls this project makes.

    Each raises ConnectionFailedError if nothing was sent and CallFailedError if it ended with an error.
    """

    def __init__(self, options: GoogleOptions) -> None:
        """Set up the calls; raise Misconfigured unless the endpoint is https, or http to this machine."""
        silence_vendor_logging("google.auth", "grpc")
        silence_vendor_logging(
            _LOGGER, below=logging.CRITICAL
        )  # it logs requests, and text that may quote them at WARNING
        self._address = urlsplit(endpoint(options, "google_ads_api"))
        self._is_plain = self._address.scheme == "http"
        self._login_customer_id = options.login_customer_id
        self._timeout, self._cancel_token = options.timeout, options.cancel_token

    def upload(self, request: UploadRequest, token: str) -> UploadAnswer:
        """Upload conversions or corrections; CallFailedError if cancelled, since gRPC knows no cancel token."""
        with ExitStack() as opened:
            with before_any_byte():
                kind, method = _UPLOADS[type(request)]
                service = opened.enter_context(self._service(kind, token))
                call: Callable[..., UploadAnswer] = getattr(service, method)
                metadata, timeout = self._metadata(token), self._timeout + _BEYOND_DEADLINE
            upload = partial(call, request=request, retry=None, timeout=self._timeout, metadata=metadata)
            abort = service.transport.grpc_channel.close
            try:
                return run_with_timeout(
                    upload, timeout, cancel_token=self._cancel_token, grace=UPLOAD_GRACE, abort=abort
                )
            except TimeoutError:
                raise CallFailedError("CANCELLED", (), None) from None

    def search(self, customer_id: str, query: str, token: str) -> "list[GoogleAdsRow]":
        """Return the rows of a GAQL query."""
        # Loads every resource of the API, so not for uploads.
        from google.ads.googleads.v26.services.services.google_ads_service import GoogleAdsServiceClient  # noqa: PLC0415
        from google.ads.googleads.v26.services.types.google_ads_service import SearchGoogleAdsStreamRequest  # noqa: PLC0415

        request = SearchGoogleAdsStreamRequest(customer_id=customer_id, query=query)
        with self._service(GoogleAdsServiceClient, token) as service:
            parts = service.search_stream(
                request=request, retry=None, timeout=self._timeout, metadata=self._metadata(token)
            )
            return list(islice((row for part in parts for row in part.results), _MOST_ROWS))

    def _metadata(self, token: str) -> tuple[tuple[str, str], ...]:
        """Return the token as metadata on plain channels, since gRPC sends credentials over TLS channels only."""
        return (("authorization", f"Bearer {token}"),) if self._is_plain else ()

    @contextmanager
    def _service(self, kind: type[Any], token: str) -> Iterator[Any]:
        """Yield a connected service on its own channel, closed on exit."""
        client = GoogleAdsClient(
            Bearer(token),  # type: ignore[arg-type]  # the library's own annotation is wrong
            endpoint=self._address.netloc,
            login_customer_id=self._login_customer_id,
            version=VERSION,
            use_proto_plus=True,
        )
        service = client.get_service(kind.__name__.removesuffix("Client"))
        if self._is_plain:
            service = _service_without_tls(service, kind, client)
        channel: grpc.Channel = service.transport.grpc_channel
        try:
            _connect(channel, min(self._timeout, _CONNECTING), self._address.geturl(), self._cancel_token)
            yield service
        except GoogleAdsException as error:  # map the library's two exception types to ours, without their text
            raise CallFailedError(error.error.code().name, errors_of_failure(error.failure), error.request_id) from None
        except GoogleAPICallError as error:
            raise _call_failed(error) from None
        finally:
            channel.close()


def _service_without_tls(service: Any, kind: type[Any], client: GoogleAdsClient) -> Any:
    """Rebuild the service on a channel without TLS, which the library's client cannot open.

    Keeps the library's interceptors so that headers and errors match production. Ignores environment proxies, as plain
    text goes only to this machine.
    """
    transport = type(service.transport)
    service.transport.close()
    channel = grpc.intercept_channel(
        grpc.insecure_channel(client.endpoint, options=[*_GRPC_CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0)]),
        MetadataInterceptor(client.developer_token, client.login_customer_id, client.linked_customer_id),
        LoggingInterceptor(logging.getLogger(_LOGGER), VERSION, client.endpoint),
        ExceptionInterceptor(VERSION, use_proto_plus=client.use_proto_plus),
    )
    return kind(transport=transport(channel=channel, client_info=_CLIENT_INFO))


def _connect(channel: grpc.Channel, seconds: float, address: str, cancel_token: CancelToken | None) -> None:
    """Wait until the channel is ready for a call.

    Only a failure here proves that nothing was sent: once connected, no status shows whether a request left.
    """
    states: SimpleQueue[grpc.ChannelConnectivity] = SimpleQueue()
    note, give_up = states.put, partial(states.put, grpc.ChannelConnectivity.SHUTDOWN)
    channel.subscribe(note, try_to_connect=True)
    try:
        run_with_timeout(partial(_await_ready, states, address), seconds, cancel_token=cancel_token, abort=give_up)
    except TimeoutError:
        raise ConnectionFailedError(
            _("no connection to the Google Ads API in {seconds:g} s", seconds=seconds)
        ) from None
    finally:
        channel.unsubscribe(note)


def _await_ready(states: "SimpleQueue[grpc.ChannelConnectivity]", address: str) -> None:
    while (state := states.get()) is not grpc.ChannelConnectivity.READY:
        if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            raise ConnectionFailedError(_("no connection to the Google Ads API"), address)


def _call_failed(error: GoogleAPICallError) -> CallFailedError:
    """Convert an error, including INTERNAL and RESOURCE_EXHAUSTED, whose failure is left in the metadata."""
    status = error.grpc_status_code or grpc.StatusCode.UNKNOWN
    metadata = (error.response.trailing_metadata() if isinstance(error.response, grpc.Call) else None) or ()
    request_id = next((value for key, value in metadata if key == "request-id"), None)
    return CallFailedError(status.name, errors_in_metadata(metadata), request_id)
