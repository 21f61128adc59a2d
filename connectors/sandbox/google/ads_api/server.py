"""The Google Ads API over gRPC, plain or by TLS with a certificate of its own."""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Address
from threading import Event
from typing import NamedTuple, Self
from uuid import uuid4

import grpc  # type: ignore[import-untyped]  # it ships no types
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.sandbox.faults import FaultKind, Faults, PlannedFault
from connectors.sandbox.google.ads_api.refusals import CODES, CallRefusal, failed, planted
from connectors.sandbox.server import Log, LogEntry

LIFETIME = timedelta(days=365)


class Certificate(NamedTuple):
    """A certificate that is its own authority, and its private key; both PEM."""

    certificate: bytes
    key: bytes


def self_signed() -> Certificate:
    """A new certificate for `localhost` and `127.0.0.1`, valid now by the machine's own clock."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "oplead-sync sandbox")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


NAME = "google_ads"
"""What faults call this server, by whichever of its ports."""
CALLS_AT_ONCE = 16
_FAILURE = "google.ads.googleads.v26.errors.googleadsfailure-bin"
_OPTIONS = [("grpc.so_reuseport", 0)]  # else two sandboxes would quietly share a port
_BROKEN = CallRefusal("UNAVAILABLE", "Socket closed")
_INTERNAL = CallRefusal("INTERNAL", "the sandbox itself failed; its log says how")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GrpcCall:
    """One call as it came in."""

    path: str
    metadata: Mapping[str, str] = field(repr=False)
    """Names in lower case; binary values are left out."""
    message: bytes = field(repr=False)
    id: str
    """The request id, which every answer names."""


Handler = Callable[[GrpcCall], bytes | CallRefusal]


class GoogleAdsServer:
    """One gRPC port of the Google Ads API.

    Planted faults read as over HTTP: a status becomes the gRPC code of the same sense, a cut connection UNAVAILABLE,
    a truncated answer INTERNAL, an HTML page UNKNOWN. A 429 comes with a GoogleAdsFailure, and so does what fails
    after its work.
    """

    def __init__(
        self,
        handler: Handler,
        faults: Faults,
        now: Callable[[], datetime],
        *,
        certificate: Certificate | None = None,
        port: int = 0,
    ) -> None:
        """Bind the port, without serving yet.

        Args:
            handler: answers each call; called from several threads at once.
            faults: asked before each call.
            now: the sandbox clock, for the log.
            certificate: what TLS shows; plain text without one.
            port: tried first; any free one where it is taken.
        """
        self.log = Log()
        self.handler = handler
        self.faults = faults
        self._now = now
        self._stopping = Event()
        self._secure = certificate is not None
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="sandbox-google-ads")
        self._server = grpc.server(self._pool, handlers=(_Calls(self._respond),), options=_OPTIONS)
        self.port = self._bind(certificate, port)
        """The port it is bound to."""

    @property
    def url(self) -> str:
        """Its address, without a trailing slash: by the certificate's name where it has one."""
        return f"https://localhost:{self.port}" if self._secure else f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to serve."""
        self._server.start()

    def stop(self) -> None:
        """Break off every call and wait for their threads; may be called twice."""
        self._stopping.set()
        self._server.stop(grace=None).wait(5)
        self._pool.shutdown(wait=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _bind(self, certificate: Certificate | None, port: int) -> int:
        try:
            return self._listen(certificate, port)
        except RuntimeError:  # taken
            return self._listen(certificate, 0)

    def _listen(self, certificate: Certificate | None, port: int) -> int:
        address = f"127.0.0.1:{port}"
        if certificate is None:
            return int(self._server.add_insecure_port(address))
        credentials = grpc.ssl_server_credentials([(certificate.key, certificate.certificate)])
        return int(self._server.add_secure_port(address, credentials))

    def _respond(self, path: str, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Answer one call, or let it fail as planted; each call is logged once."""
        fault = self.faults.take(NAME, path)
        metadata = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        call = GrpcCall(path, metadata, message, uuid4().hex[:22])
        answer = self._answer(call, context, fault)
        status = CODES[answer.status] if isinstance(answer, CallRefusal) else CODES["OK"]
        if fault is not None and fault.kind in _BROKEN_OFF:
            answer = (
                _BROKEN if fault.kind is FaultKind.CUT_AFTER else CallRefusal("INTERNAL", "The answer was cut short.")
            )
        if fault is not None and fault.kind is FaultKind.FAILED_AFTER:
            answer = failed(fault.status)
        unseen = fault is not None and fault.kind in _UNSEEN
        name = None if fault is None else fault.kind.value
        self.log.record(LogEntry("POST", path, {}, self._now().isoformat(), None if unseen else status, name))
        context.set_trailing_metadata((("request-id", call.id),))
        if isinstance(answer, CallRefusal):
            self._abort(context, answer, call.id)
        else:
            yield answer

    def _answer(self, call: GrpcCall, context: grpc.ServicerContext, fault: PlannedFault | None) -> bytes | CallRefusal:
        if fault is not None and fault.kind in (FaultKind.HANG, FaultKind.LATENCY):
            self._wait(fault.seconds, context)
        if fault is not None and fault.kind in (FaultKind.HANG, FaultKind.CUT_BEFORE):
            return _BROKEN
        if fault is not None and fault.kind is FaultKind.STATUS:
            return planted(fault.status, fault.retry_after)
        if fault is not None and fault.kind is FaultKind.HTML:
            return CallRefusal("UNKNOWN", "invalid content-type text/html")
        try:
            return self.handler(call)
        except Exception:  # noqa: BLE001 - a bug here must not look like a cut connection
            _log.exception("the sandbox's Google Ads API failed on %s", call.path)
            return _INTERNAL

    def _wait(self, seconds: float, context: grpc.ServicerContext) -> None:
        """Wait, but no longer than the caller does."""
        over = Event()
        if context.add_callback(over.set):
            step = 0.05
            for _ in range(int(seconds / step)):
                if over.wait(step) or self._stopping.is_set():
                    return

    def _abort(self, context: grpc.ServicerContext, refusal: CallRefusal, request_id: str) -> None:
        if refusal.problems:
            from connectors.sandbox.google.ads_api.wire import failure  # noqa: PLC0415 - the vendor's messages load slowly

            told = failure(refusal.problems, request_id)
            context.set_trailing_metadata((("request-id", request_id), (_FAILURE, told)))
        context.abort(grpc.StatusCode[refusal.status], refusal.message)


_UNSEEN = frozenset({FaultKind.STATUS, FaultKind.HTML, FaultKind.HANG, FaultKind.CUT_BEFORE})
"""Faults that keep the call from the platform."""
_BROKEN_OFF = frozenset({FaultKind.CUT_AFTER, FaultKind.TRUNCATED})
"""Faults that keep its answer from the caller."""


class _Calls(grpc.GenericRpcHandler):  # type: ignore[misc]  # an untyped base
    """Every path is answered by the same function; on the wire one answer and a stream of one are the same."""

    def __init__(self, respond: Callable[[str, bytes, grpc.ServicerContext], Iterator[bytes]]) -> None:
        self._respond = respond

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_stream_rpc_method_handler(partial(self._respond, handler_call_details.method))
