"""A strict Google Ads API v26 over gRPC, in plain text or over TLS with a self-signed certificate.

It accepts conversion uploads, conversion adjustments and GAQL queries.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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

from connectors.sandbox.google.ads_api.state import (
    AdsApiState,
    CallRefusal,
    GrpcCall,
    RowError,
    UnreadableCallError,
    google_ads_failure_bytes,
)
from connectors.sandbox.google.oauth import ADWORDS
from connectors.sandbox.google.platform import STATUS_CODES, SandboxGoogleState
from connectors.sandbox.platform import FaultKind, Faults, PlannedFault
from connectors.sandbox.rules import ads_api_rules as rules
from connectors.sandbox.server import RequestLog


class Certificate(NamedTuple):
    """A self-signed certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def self_signed_certificate() -> Certificate:
    """Generate a certificate for `localhost` and `127.0.0.1`, valid from yesterday by the machine's clock."""
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
        .not_valid_after(now + timedelta(days=365))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _planted_http_refusal(http_status: int, retry_after: int | None) -> CallRefusal:
    """Return the refusal for a planted HTTP status; only a quota error has a GoogleAdsFailure.

    https://developers.google.com/google-ads/api/docs/best-practices/quotas
    """
    status = STATUS_CODES.get(http_status, "UNKNOWN")
    if status != "RESOURCE_EXHAUSTED":
        return CallRefusal(status, f"Planted by hand: {http_status}.")
    problem = RowError("quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED", "Too many requests.", (), retry_after)
    return CallRefusal(status, "Resource has been exhausted (e.g. check quota).", (problem,))


_HTTP = {code: status for status, code in STATUS_CODES.items()} | {"UNKNOWN": 520}
"""The HTTP status by which the log shows a gRPC code; UNKNOWN differs from INTERNAL."""
NAME = "google_ads"
"""The server's name in planted faults, for both ports."""
CALLS_AT_ONCE = 16
_FAILURE = "google.ads.googleads.v26.errors.googleadsfailure-bin"
_OPTIONS = [("grpc.so_reuseport", 0)]  # otherwise two sandboxes could silently share a port
_BROKEN = CallRefusal("UNAVAILABLE", "Socket closed")
_INTERNAL = CallRefusal("INTERNAL", "the sandbox itself failed; its log says how")
_log = logging.getLogger(__name__)


Handler = Callable[[GrpcCall], bytes | CallRefusal]


class GoogleAdsServer:
    """One gRPC port of the Google Ads API.

    Planted faults map from HTTP: a status becomes the equivalent gRPC code, a cut connection UNAVAILABLE, a truncated
    response INTERNAL, an HTML page UNKNOWN. A 429 and a `failed_after` carry a GoogleAdsFailure.
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
        """Bind this port, or any free one if it is taken, without serving yet; plain text without a certificate.

        The handler is called from several threads at once.
        """
        self.log = RequestLog()
        self.handler = handler
        self.faults = faults
        self._now = now
        self._secure = certificate is not None
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="sandbox-google-ads")
        self._server = grpc.server(self._pool, handlers=(_Calls(self._respond),), options=_OPTIONS)
        self.port = self._listen(certificate, port)
        """The bound port."""

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash; over TLS, with the certificate's host name."""
        return f"https://localhost:{self.port}" if self._secure else f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start serving."""
        self._server.start()

    def stop(self) -> None:
        """Abort every call and wait for their threads; idempotent."""
        self._server.stop(grace=None).wait(5)
        self._pool.shutdown(wait=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listen(self, certificate: Certificate | None, port: int) -> int:
        address = f"127.0.0.1:{port}"
        try:
            if certificate is None:
                return int(self._server.add_insecure_port(address))
            credentials = grpc.ssl_server_credentials([(certificate.key, certificate.certificate)])
            return int(self._server.add_secure_port(address, credentials))
        except RuntimeError:  # the port is taken
            return self._listen(certificate, 0)

    def _respond(self, path: str, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Answer one call, or fail it as planted; each call is logged once."""
        fault = self.faults.take_matching_fault(NAME, path)
        metadata = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        call = GrpcCall(path, metadata, message, uuid4().hex[:22])
        unseen = self._refusal_before_handling(fault, context) if fault else None
        answer = unseen or self._handle(call)
        status = None if unseen else _HTTP[answer.status] if isinstance(answer, CallRefusal) else 200
        self.log.record_request(
            {"method": "POST", "path": path, "query": {}}, self._now(), status, fault.kind if fault else None
        )
        answer = (_refusal_after_handling(fault) if fault else None) or answer
        problems = answer.problems if isinstance(answer, CallRefusal) else ()
        packed = ((_FAILURE, google_ads_failure_bytes(problems, call.id)),) if problems else ()
        context.set_trailing_metadata((("request-id", call.id), *packed))
        if isinstance(answer, CallRefusal):
            context.abort(grpc.StatusCode[answer.status], answer.message)
        else:
            yield answer

    def _refusal_before_handling(self, fault: PlannedFault, context: grpc.ServicerContext) -> CallRefusal | None:
        """Return the refusal of a call that the fault keeps from the platform; None if the call reaches it."""
        if fault.kind in (FaultKind.HANG, FaultKind.LATENCY):
            over = Event()
            if context.add_callback(over.set):  # until the caller gives up or the server stops, at the latest
                over.wait(fault.seconds)
        match fault.kind:
            case FaultKind.HANG | FaultKind.CUT_BEFORE | FaultKind.FINISHED_LATE:
                return _BROKEN
            case FaultKind.STATUS:
                return _planted_http_refusal(503 if fault.status is None else fault.status, fault.retry_after)
            case FaultKind.HTML:
                return CallRefusal("UNKNOWN", "invalid content-type text/html")
            case _:
                return None

    def _handle(self, call: GrpcCall) -> bytes | CallRefusal:
        try:
            return self.handler(call)
        except Exception:  # noqa: BLE001 - a bug here must not look like a cut connection
            _log.exception("the sandbox's Google Ads API failed on %s", call.path)
            return _INTERNAL


def _refusal_after_handling(fault: PlannedFault) -> CallRefusal | None:
    """Return the refusal that replaces the platform's answer; None if the fault leaves it unchanged."""
    match fault.kind:
        case FaultKind.CUT_AFTER:
            return _BROKEN
        case FaultKind.TRUNCATED:
            return CallRefusal("INTERNAL", "The answer was cut short.")
        case FaultKind.FAILED_AFTER:
            status = STATUS_CODES.get(500 if fault.status is None else fault.status, "UNKNOWN")
            return CallRefusal(status, rules.FAILING.rule, (RowError.from_broken_rule(rules.FAILING),))
        case _:
            return None


class _Calls(grpc.GenericRpcHandler):  # type: ignore[misc]  # an untyped base
    """Routes every path to one function; on the wire, a unary response and a stream of one are the same."""

    def __init__(self, respond: Callable[[str, bytes, grpc.ServicerContext], Iterator[bytes]]) -> None:
        self._respond = respond

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_stream_rpc_method_handler(partial(self._respond, handler_call_details.method))


_SERVICES = "/google.ads.googleads.v26.services."


class SandboxGoogleAdsApi(AdsApiState):
    """The platform behind a `GoogleAdsServer`.

    `scopes` maps an Authorization header to its token's scopes, or None if that is unknown, expired or revoked.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        scopes: Callable[[str], frozenset[str] | None],
        google: SandboxGoogleState | None = None,
    ) -> None:
        super().__init__(now, google)
        self._scopes = scopes

    def handle(self, call: GrpcCall) -> bytes | CallRefusal:
        """Answer one call with the method's response or a refusal."""
        with self.lock:
            now = self.process_due_work()
            answer = self._token_refusal(call) or self._answer(call, now)
            if isinstance(answer, CallRefusal):
                self.counts["refused"] += 1
                self.note_errors(answer.problems or (RowError("", answer.status, answer.message),), now)
            return answer

    def _token_refusal(self, call: GrpcCall) -> CallRefusal | None:
        authorization = call.metadata.get("authorization", "")
        if not authorization.startswith("Bearer "):
            return CallRefusal.from_broken_rule(rules.TOKEN_SENT)
        granted = self._scopes(authorization)
        if granted is None:
            return CallRefusal.from_broken_rule(rules.TOKEN_LIVES)
        return None if ADWORDS in granted else CallRefusal.from_broken_rule(rules.SCOPE)

    def _answer(self, call: GrpcCall, now: datetime) -> bytes | CallRefusal:
        """Answer a call with a valid token."""
        # imported at the first call: the vendor's messages load slowly, and most sandboxes never need them
        from connectors.sandbox.google.ads_api.adjustments import AdjustmentUploadCall  # noqa: PLC0415
        from connectors.sandbox.google.ads_api.conversions import ConversionUploadCall  # noqa: PLC0415
        from connectors.sandbox.google.ads_api.queries import search  # noqa: PLC0415

        try:
            match call.path.removeprefix(_SERVICES):
                case "ConversionUploadService/UploadClickConversions":
                    return ConversionUploadCall(call, self, now).answer()
                case "ConversionAdjustmentUploadService/UploadConversionAdjustments":
                    return AdjustmentUploadCall(call, self, now).answer()
                case "GoogleAdsService/SearchStream":
                    return search(call, self, now)
                case _:
                    return CallRefusal.from_broken_rule(rules.METHOD)
        except UnreadableCallError:
            return CallRefusal.from_broken_rule(rules.READABLE)
