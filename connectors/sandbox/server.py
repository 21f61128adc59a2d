"""A small loopback HTTP server with routes, a log, planted faults and a same-origin guard."""

import json
import logging
import selectors
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Event, Lock, Thread
from typing import Self, cast
from urllib.parse import parse_qs, urlsplit

from connectors.sandbox.platform import FaultKind, Faults, PlannedFault

REMEMBERED = 10_000
"""How many recent requests a server's log keeps."""
FIRST_ERROR = 400


class RequestLog:
    """A server's recent requests, without their headers and bodies, and the count of all requests."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.count = 0
        self._entries: deque[dict[str, object]] = deque(maxlen=REMEMBERED)

    def record_request(
        self, request: Mapping[str, object], at: datetime, status: int | None, fault: FaultKind | None
    ) -> None:
        """Add one request, given by `method`, `path` and `query`.

        Its query is kept only if it succeeded: an unknown parameter may be a misplaced token. Over HTTP, the status
        is the response's, planted or real, even if it was cut off; None if there was none. Over gRPC, it is the
        platform's, even if a fault replaced it; None if the platform never saw the call.
        """
        query = {} if status is None or status >= FIRST_ERROR else request["query"]
        with self._lock:
            self.count += 1
            self._entries.append({**request, "query": query, "at": at.isoformat(), "status": status, "fault": fault})

    def dump(self) -> dict[str, object]:
        """Return `count` and `log` (oldest first) as JSON."""
        with self._lock:
            return {"count": self.count, "log": list(self._entries)}


BODY_BYTES = 32 * 1024 * 1024
"""The largest request body accepted."""
IDLE_SECONDS = 3600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One request as received."""

    method: str
    path: str
    """Without the query string, still percent-encoded."""
    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str] = field(repr=False)
    """By lower-case name; a repeated header's values are joined by commas."""
    body: bytes = field(repr=False)
    connection: socket.socket | None = field(default=None, repr=False, compare=False)
    """The keep-alive connection it arrived on; the clock registers connections."""

    def json(self) -> object:
        """Parse the body as JSON; raise ValueError if it isn't."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class WireResponse:
    """One response; the server adds Date, Content-Length and Connection."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(status: int, body: object, headers: Mapping[str, str] | None = None) -> WireResponse:
    """Return a response with a JSON body."""
    text = json.dumps(body, ensure_ascii=False)
    return WireResponse(status, text.encode(), {"Content-Type": "application/json; charset=UTF-8", **(headers or {})})


Handler = Callable[[WireRequest], WireResponse]


def generic_failure(status: int) -> WireResponse:
    """Return the error of a server without an error format of its own."""
    return json_response(status, {"error": "internal error"})


def dispatch(
    routes: Mapping[tuple[str, str], Callable[[WireRequest], object]], request: WireRequest, path: str
) -> WireResponse:
    """Call the route for this method and path, and turn its result into a response.

    A `WireResponse` is returned unchanged, None becomes 204, anything else JSON. The answer is 404 or 405 if there
    is no such route, 400 if it raises ValueError or OverflowError.
    """
    route = routes.get((request.method, path))
    if route is None:
        known = any(path == each for _, each in routes)
        return json_response(405 if known else 404, {"error": "no such page"})
    try:
        result = route(request)
    except (ValueError, OverflowError) as error:
        return json_response(400, {"error": str(error)})
    if isinstance(result, WireResponse):
        return result
    return WireResponse(204) if result is None else json_response(200, result)


class Server:
    """A loopback HTTP/1.1 keep-alive server with one thread per connection."""

    def __init__(
        self,
        name: str,
        handler: Handler,
        faults: Faults,
        now: Callable[[], datetime],
        *,
        closed: Callable[[socket.socket], None] = lambda _: None,
        failed: Callable[[int], WireResponse] = generic_failure,
        port: int = 0,
    ) -> None:
        """Bind this port, or any free one if it is taken, without serving yet; port 0 means any.

        The handler is called from several threads at once. `now` is the sandbox clock, for the Date header and the
        log; `closed` is called with each connection as it closes; `failed` builds the platform's own error.
        """
        self.name = name
        self.handler = handler
        self.faults = faults
        self.now = now
        self.closed = closed
        self.failed = failed
        self.stopping = Event()
        self.late: deque[tuple[datetime, WireRequest]] = deque()
        """Requests that nobody waits for any more, and when they are processed."""
        self.log = RequestLog()
        try:
            self._listener = _Listener(self, port)
        except OSError:
            self._listener = _Listener(self, 0)
        self._woken, self._waker = socket.socketpair()
        self._thread = Thread(
            target=self._listener.serve_until, args=(self._woken,), name=f"sandbox-{name}", daemon=True
        )

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The bound port."""
        return int(self._listener.server_address[1])

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and wait for its thread; idempotent."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self._waker.close()
        if self._thread.is_alive():
            self._thread.join(5)
        self._woken.close()
        self._listener.close_connections()
        self._listener.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Listener(ThreadingTCPServer):
    """Accepts connections and tracks them so that they can be closed."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64
    timeout = 0  # don't wait for a client that disconnected before accept()

    def __init__(self, server: Server, port: int) -> None:
        self.sandbox_server = server
        self._lock = Lock()
        self._open: dict[socket.socket, Thread] = {}
        super().__init__(("127.0.0.1", port), _Connection)

    def serve_until(self, woken: socket.socket) -> None:
        """Accept connections until the other end of `woken` closes, without polling as `serve_forever` would."""
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while all(key.fileobj is not woken for key, _ in selector.select()):
                self.handle_request()

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        thread = Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._lock:
            self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self.sandbox_server.closed(request)
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """Log a bug; ignore a client that disconnects."""
        if not isinstance(sys.exception(), OSError):
            _log.exception("the sandbox's %s broke off a connection", self.sandbox_server.name)

    def close_connections(self) -> None:
        """Shut down every connection and wait for its thread to end."""
        with self._lock:
            connections = list(self._open.items())
        for connection, _ in connections:
            with suppress(OSError):  # the client closed it first
                connection.shutdown(socket.SHUT_RDWR)
        for _, thread in connections:
            thread.join(5)


class _Connection(BaseHTTPRequestHandler):
    """Reads requests from one connection and writes the response of the fault or the handler."""

    protocol_version = "HTTP/1.1"
    server_version = "oplead-sync-sandbox"
    timeout = IDLE_SECONDS
    wbufsize = -1  # one packet per response
    disable_nagle_algorithm = True

    @property
    def _server(self) -> Server:
        return cast(_Listener, self.server).sandbox_server

    def _answer(self) -> None:
        request = self._read()
        if request is None:
            return
        server = self._server
        fault = server.faults.take_matching_fault(server.name, request.path)
        response = self._respond(request, fault)
        status = response.status if response else None
        kind = fault.kind if fault else None
        shown = {"method": request.method, "path": request.path, "query": request.query}
        server.log.record_request(shown, server.now(), status, kind)
        if response is None or kind is FaultKind.CUT_AFTER:
            self.close_connection = True
        else:
            self._write(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - names set by the parent class

    def _read(self) -> WireRequest | None:
        """Read the request; return None if it is unreadable and has been answered."""
        length = self.headers.get("Content-Length", "0")
        unsized = "Transfer-Encoding" in self.headers or not length.isdecimal()
        if unsized or int(length) > BODY_BYTES:
            self.close_connection = True
            self._write(WireResponse(411 if unsized else 413))
            return None
        parts = urlsplit(self.path)
        query = {name: tuple(values) for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {name.lower(): ", ".join(self.headers.get_all(name, ())) for name in self.headers}
        body = self.rfile.read(int(length))
        return WireRequest(self.command, parts.path, query, headers, body, self.connection)

    def _respond(self, request: WireRequest, fault: PlannedFault | None) -> WireResponse | None:
        """Return the response; None if the connection closes before the platform sees the request."""
        while self._server.late and self._server.late[0][0] <= self._server.now():
            self._handle(self._server.late.popleft()[1])
        if fault is None:
            return self._handle(request)
        if fault.kind in (FaultKind.HANG, FaultKind.LATENCY):
            self._server.stopping.wait(fault.seconds)
        if fault.kind is FaultKind.FINISHED_LATE:
            self._server.late.append((self._server.now() + timedelta(seconds=fault.seconds), request))
        if fault.kind in (FaultKind.HANG, FaultKind.CUT_BEFORE, FaultKind.FINISHED_LATE):
            return None
        if fault.kind in (FaultKind.STATUS, FaultKind.HTML):
            return _planted_fault_response(fault, self._server.failed)
        response = self._handle(request)
        if fault.kind is FaultKind.FAILED_AFTER:
            return _planted_fault_response(fault, self._server.failed)
        if fault.kind is FaultKind.TRUNCATED:
            return replace(response, body=response.body[: len(response.body) // 2])
        return response

    def _handle(self, request: WireRequest) -> WireResponse:
        try:
            return self._server.handler(request)
        except Exception:  # noqa: BLE001 - a bug here must not look like a cut connection
            _log.exception("the sandbox's %s failed on %s %s", self._server.name, request.method, request.path)
            return json_response(500, {"error": "the sandbox itself failed; its log says how"})

    def _write(self, response: WireResponse) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != 204:  # noqa: PLR2004 - RFC 9110: a 204 has no Content-Length
            self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()

    def version_string(self) -> str:
        return self.server_version

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return sandbox time: callers derive their next sync window from it."""
        del timestamp
        return format_datetime(self._server.now(), usegmt=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the parent class
        """Do nothing: the server has its own log."""


def _planted_fault_response(fault: PlannedFault, failed: Callable[[int], WireResponse]) -> WireResponse:
    """Return the response of a `status`, `html` or `failed_after` fault."""
    body = fault.body.encode()
    match fault.kind:
        case FaultKind.FAILED_AFTER:
            response = failed(fault.status or 500)
            response = replace(response, body=body or response.body)
        case FaultKind.HTML:
            page = b"<!DOCTYPE html><html><body><h1>Service unavailable</h1></body></html>"
            response = WireResponse(fault.status or 200, page, {"Content-Type": "text/html"})
        case _:
            response = WireResponse(fault.status or 503, body, {"Content-Type": "application/json"})
    delay = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return replace(response, headers={**response.headers, **delay})


def refuse_cross_origin_requests(handler: Handler) -> Handler:
    """Wrap a handler so that only its own page and non-browser clients reach it; others get 403.

    A foreign Host header reveals DNS rebinding; the browser itself sets Origin and Sec-Fetch-Site
    (https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site).
    """
    foreign = json_response(403, {"error": "only the sandbox's own page, and what is no browser, may ask this"})
    return lambda request: handler(request) if _is_own_page_request(request) else foreign


def _is_own_page_request(request: WireRequest) -> bool:
    host = request.headers.get("host", "localhost")
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return (
        name in ("127.0.0.1", "localhost", "::1")
        and request.headers.get("origin", f"http://{host}") == f"http://{host}"
        and request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    )
