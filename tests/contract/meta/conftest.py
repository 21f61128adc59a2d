"""A Graph API on loopback that answers as each test instructs it."""

import json
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.meta.preflight import MetaInspector
from connectors.meta.sink import MetaOptions, MetaSink
from connectors.records import (
    ClickId,
    ClickIdKind,
    Consent,
    ConsentSignalValue,
    ConversionEvent,
    DeliveryKey,
    EncodedEvent,
    Money,
    Receipt,
    Target,
)

TOKEN = "EAAGinventedTOKEN0123456789"
DATASET = "1234567890"


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it was received."""

    method: str
    address: str
    """Path and query, as on the request line."""
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.address).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The address's parameters."""
        return parse_qs(urlsplit(self.address).query)

    @property
    def form(self) -> dict[str, list[str]]:
        """The body's parameters."""
        return parse_qs(self.body.decode())

    @property
    def texts(self) -> list[str]:
        """The events, each as the JSON text it was sent as."""
        return json.loads(self.form["data"][0])


class Meta:
    """The Graph API on loopback, the sink and the inspector of one dataset."""

    target = Target("conversions_api", DATASET, "Purchase", "system_generated")

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._over = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = False  # closing then waits for answers in progress
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.options = MetaOptions(DATASET, TOKEN, graph_url=self.url, timeout=(2.0, 2.0))
        self.say({"events_received": 1, "messages": [], "fbtrace_id": "AbC-1_x"})

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def inspector(self) -> MetaInspector:
        """The inspector of this dataset."""
        return MetaInspector(self.options)

    def use(self, **changed: object) -> None:
        """Apply these changes to the options from now on."""
        self.options = replace(self.options, **changed)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────

    def say(self, payload: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answer in JSON."""
        self.say_bytes(json.dumps(payload).encode(), status, headers)

    def say_bytes(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answer with these bytes."""
        self._answer = lambda handler: _write(handler, body, status, headers or {})

    def say_by_path(self, answers: dict[str, object]) -> None:
        """Answer in JSON by the last part of the path, and `{}` where none is given."""
        self._answer = lambda handler: _write(
            handler, json.dumps(answers.get(urlsplit(handler.path).path.rpartition("/")[2], {})).encode(), 200, {}
        )

    def refuse(
        self,
        code: int,
        subcode: int | None = None,
        *,
        http: int = 400,
        headers: dict[str, str] | None = None,
        **more: object,
    ) -> None:
        """Answer with an error of Meta's own shape."""
        error = {
            "message": "(#100) jean@example.fr n’est pas valide",
            "type": "OAuthException",
            "code": code,
            **({"error_subcode": subcode} if subcode else {}),
            "fbtrace_id": "AbC-1_x",
            **more,
        }
        self.say({"error": error}, http, headers)

    def shut_down_socket(self) -> None:
        """Close the connection without an answer."""
        self._answer = lambda _handler: None

    def stay_silent(self) -> None:
        """Keep the caller waiting."""
        self._answer = lambda _handler: self._over.wait(10)

    def cut(self, body: bytes) -> None:
        """Promise a longer body than comes."""
        self._answer = lambda handler: _write(handler, body, 200, {"Content-Length": "1000"})

    def drip(self) -> None:
        """Send a byte of the body every now and then."""
        self._answer = lambda handler: _drip(handler, self._over)

    # ── events ───────────────────────────────────────────────────────────────────────────────────

    def event(self, key: str = "key-0") -> ConversionEvent:
        """A sale after an invented click."""
        return ConversionEvent(
            key=DeliveryKey(key),
            target=self.target,
            at=datetime(2026, 11, 20, 10, 30, tzinfo=UTC),
            click_id=ClickId(ClickIdKind.FBC, "fb.1.1795000000000.IwAR-Invented_Click"),
            identifiers=(),
            value=Money(Decimal("1250.50"), "EUR"),
            consent=Consent(ConsentSignalValue.GRANTED, ConsentSignalValue.GRANTED),
        )

    def batch(self, rows: int) -> list[EncodedEvent]:
        """So many sales, frozen."""
        sink = MetaSink(self.options)
        keys = [DeliveryKey(f"key-{row}") for row in range(rows)]
        return [EncodedEvent(key, sink.encode(self.event(key))) for key in keys]

    def submit(self, rows: int = 1) -> Receipt:
        """Send so many sales."""
        return MetaSink(self.options).submit(self.target, self.batch(rows))

    def submit_fields(self, *events: dict[str, object]) -> Receipt:
        """Send events with these fields."""
        batch = [
            EncodedEvent(DeliveryKey(f"key-{row}"), json.dumps(event).encode()) for row, event in enumerate(events)
        ]
        return MetaSink(self.options).submit(self.target, batch)

    def close(self) -> None:
        """Stop, and release every waiting caller."""
        self._over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        meta = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                meta._take(self)

            do_POST = do_GET  # noqa: N815 - http.server's own name

            def log_message(self, *_args: object) -> None:
                """Keep quiet."""

        return Handler

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.calls.append(Call(handler.command, handler.path, dict(handler.headers), body, handler.client_address))
        handler.close_connection = True
        self._answer(handler)


def _write(handler: BaseHTTPRequestHandler, body: bytes, status: int, headers: dict[str, str]) -> None:
    handler.send_response_only(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    with suppress(ConnectionError):
        handler.end_headers()
        handler.wfile.write(body)


def _drip(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    handler.send_response_only(200)
    handler.send_header("Content-Length", "1000")
    with suppress(ConnectionError):
        handler.end_headers()
        for _ in range(200):
            handler.wfile.write(b" ")
            if over.wait(0.02):
                return


@pytest.fixture
def meta():
    """Meta on loopback, accepting everything until a test changes its answer."""
    played = Meta()
    yield played
    played.close()


@pytest.fixture
def second_meta():
    """A second one, with a socket of its own."""
    played = Meta()
    yield played
    played.close()
