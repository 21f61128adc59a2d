"""A simulated Google Ads API on a local gRPC server, with the answers a test sets.

https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionUploadService
"""

import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass
from datetime import timedelta

import grpc
from google.ads.googleads.v26.errors.types import ErrorCode, ErrorLocation, GoogleAdsError, GoogleAdsFailure
from google.ads.googleads.v26.services.types import (
    ClickConversionResult,
    GoogleAdsRow,
    SearchGoogleAdsStreamRequest,
    SearchGoogleAdsStreamResponse,
    UploadClickConversionsRequest,
    UploadClickConversionsResponse,
)
from google.protobuf import any_pb2
from google.rpc import status_pb2

API = "google.ads.googleads.v26"
FAILURE_KEY = f"{API}.errors.googleadsfailure-bin"


@dataclass(frozen=True, slots=True)
class AdsCall:
    """One call as received."""

    method: str
    headers: dict[str, str]
    request: UploadClickConversionsRequest | SearchGoogleAdsStreamRequest


def error(
    family: str, number: int, *, row: int | None = None, delay: timedelta | None = None, path: Sequence[str] = ()
) -> GoogleAdsError:
    """One error of a family by its number, with a row if given and further path elements."""
    code = ErrorCode.pb(ErrorCode())
    setattr(code, family, number)
    made = GoogleAdsError(error_code=ErrorCode.wrap(code), message="jean@example.fr is bad")
    steps = [] if row is None else [ErrorLocation.FieldPathElement(field_name="conversions", index=row)]
    steps += [ErrorLocation.FieldPathElement(field_name=name) for name in path]
    made.location = ErrorLocation(field_path_elements=steps)
    if delay is not None:
        made.details.quota_error_details.retry_delay = delay
    return made


def upload_error(number: int, *, row: int | None = None) -> GoogleAdsError:
    """One conversion upload error."""
    return error("conversion_upload_error", number, row=row)


def failure(*errors: GoogleAdsError) -> bytes:
    """A serialised failure with these errors."""
    return GoogleAdsFailure.serialize(GoogleAdsFailure(errors=errors, request_id="req-1"))


class AdsApiServer:
    """A loopback server that gives every call the same answer and records the calls."""

    def __init__(self) -> None:
        self.calls: list[AdsCall] = []
        self._over = threading.Event()
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers((self._uploads(), self._searches()))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.accept()
        self.rows: dict[str, Sequence[GoogleAdsRow]] = {}

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def accept(self) -> None:
        """Accept every conversion from now on."""
        self._answer = lambda request, _context: _response(request)

    def refuse_rows(self, *errors: GoogleAdsError, echo: bool = False) -> None:
        """Answer with a partial failure from now on, with `echo` including refused rows in the results."""
        detail = any_pb2.Any(type_url=f"type.googleapis.com/{API}.errors.GoogleAdsFailure", value=failure(*errors))
        self.partly_fail(status_pb2.Status(code=3, message=errors[0].message, details=[detail]), errors, echo=echo)

    def partly_fail(
        self, status: status_pb2.Status, errors: Sequence[GoogleAdsError] = (), *, echo: bool = False
    ) -> None:
        """Answer with this partial failure status from now on."""
        rows = {step.index for each in errors for step in each.location.field_path_elements if "index" in step}
        refused = set() if echo else rows

        def answer(request: UploadClickConversionsRequest, _context: grpc.ServicerContext) -> object:
            response = _response(request, refused)
            response.partial_failure_error = status
            return response

        self._answer = answer

    def say_nothing_of_rows(self) -> None:
        """Answer with an empty message from now on."""
        self._answer = lambda _request, _context: UploadClickConversionsResponse()

    def fail(self, status: grpc.StatusCode, *errors: GoogleAdsError, request_id: str = "req-1") -> None:
        """End every call with a status from now on, and with an API failure if errors are given."""
        metadata = ((FAILURE_KEY, failure(*errors)), ("request-id", request_id)) if errors else ()
        self.fail_with(status, metadata)

    def fail_with(self, status: grpc.StatusCode, metadata: Sequence[tuple[str, str | bytes]]) -> None:
        """End every call with a status and this trailing metadata from now on."""

        def answer(_request: object, context: grpc.ServicerContext) -> object:
            context.set_trailing_metadata(metadata)
            context.abort(status, "jean@example.fr is bad")

        self._answer = answer

    def stay_silent(self) -> None:
        """Keep the caller waiting from now on."""
        self._answer = lambda request, _context: (self._over.wait(10), _response(request))[1]

    def shut_down_socket(self) -> None:
        """Accept conversions but break the connection before answering, from now on."""

        def answer(request: UploadClickConversionsRequest, _context: grpc.ServicerContext) -> object:
            self._server.stop(None)
            self._over.wait(10)
            return _response(request)

        self._answer = answer

    def close(self) -> None:
        """Stop, and release waiting callers."""
        self._over.set()
        self._server.stop(None).wait(10)

    def _uploads(self) -> grpc.GenericRpcHandler:
        handler = grpc.unary_unary_rpc_method_handler(
            lambda request, context: (self._note("upload", request, context), self._answer(request, context))[1],
            request_deserializer=UploadClickConversionsRequest.deserialize,
            response_serializer=UploadClickConversionsResponse.serialize,
        )
        methods = {"UploadClickConversions": handler}
        return grpc.method_handlers_generic_handler(f"{API}.services.ConversionUploadService", methods)

    def _searches(self) -> grpc.GenericRpcHandler:
        handler = grpc.unary_stream_rpc_method_handler(
            self._search,
            request_deserializer=SearchGoogleAdsStreamRequest.deserialize,
            response_serializer=SearchGoogleAdsStreamResponse.serialize,
        )
        return grpc.method_handlers_generic_handler(f"{API}.services.GoogleAdsService", {"SearchStream": handler})

    def _search(self, request: SearchGoogleAdsStreamRequest, context: grpc.ServicerContext) -> object:
        """Stream each row of the queried resource in a message of its own."""
        self._note("search", request, context)
        resource = request.query.partition(" FROM ")[2].partition(" ")[0]
        found = self.rows.get(resource)
        if found is None:
            self._answer(request, context)
        for row in found or ():
            yield SearchGoogleAdsStreamResponse(results=[row])

    def _note(self, method: str, request: object, context: grpc.ServicerContext) -> None:
        headers = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        self.calls.append(AdsCall(method, headers, request))


Answer = Callable[[UploadClickConversionsRequest, grpc.ServicerContext], object]


def _response(
    request: UploadClickConversionsRequest, refused: Sequence[int] | set[int] = ()
) -> UploadClickConversionsResponse:
    """A result for each row, empty for a refused one; none at all under validate_only."""
    results = [
        ClickConversionResult() if row in refused else ClickConversionResult(conversion_action=each.conversion_action)
        for row, each in enumerate(request.conversions)
    ]
    return UploadClickConversionsResponse(results=[] if request.validate_only else results, job_id=2**31 + 1)
