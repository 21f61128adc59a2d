"""Google simulated on this machine: a token server and both APIs, with the answers a test sets."""

import json
import threading
from base64 import urlsafe_b64decode
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.google_ads.ads_api.sink import AdsApiSink
from connectors.google_ads.data_manager.sink import DataManagerSink
from connectors.google_ads.options import GoogleOptions
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
    Resolution,
    Target,
)
from tests.contract.google_ads.ads_api_server import AdsApiServer


@dataclass(frozen=True, slots=True)
class Call:
    """One request as received."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class Server:
    """A loopback server that gives every call the same answer and records the calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._over = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = False  # so that closing waits for answers in progress
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def say(self, payload: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answer in JSON from now on."""
        self.say_bytes(json.dumps(payload).encode(), status, headers)

    def say_bytes(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answer with these bytes from now on."""
        self._answer = lambda handler: _write(handler, body, status, headers or {})

    def shut_down_socket(self) -> None:
        """Close the connection without an answer from now on."""
        self._answer = lambda _handler: None

    def stay_silent(self) -> None:
        """Keep the caller waiting from now on."""
        self._answer = lambda _handler: self._over.wait(10)

    def drip(self, *, chunked: bool) -> None:
        """Send the body slowly, byte by byte, for some seconds from now on."""
        self._answer = lambda handler: _drip(handler, self._over, chunked=chunked)

    def close(self) -> None:
        """Stop, and release waiting callers."""
        self._over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server._take(self)

            do_POST = do_GET  # noqa: N815 - http.server's own name

            def log_message(self, *_args: object) -> None:
                """Stay silent."""

        return Handler

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        query, headers = parse_qs(parts.query), dict(handler.headers)
        self.calls.append(Call(handler.command, parts.path, query, headers, body))
        handler.close_connection = True
        self._answer(handler)


def _write(handler: BaseHTTPRequestHandler, body: bytes, status: int, headers: dict[str, str]) -> None:
    handler.send_response_only(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    with suppress(ConnectionError):
        handler.end_headers()
        handler.wfile.write(body)


def _drip(handler: BaseHTTPRequestHandler, over: threading.Event, *, chunked: bool) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response_only(200)
    name, value = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", "1000")
    handler.send_header(name, value)
    with suppress(ConnectionError):
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"1\r\n \r\n" if chunked else b" ")
            if over.wait(0.05):
                return


class Google:
    """A token server, the Data Manager API, and a sink that uses them."""

    target = Target("data_manager", "1234567890", "987654321", "WEB")

    def __init__(self, folder: Path, private_key: str) -> None:
        self.tokens, self.api = Server(), Server()
        self.tokens.say({"access_token": "ya29.invented", "expires_in": 3600, "token_type": "Bearer"})
        self.api.say({"requestId": "req-1"})
        self._folder, self._private_key = folder, private_key
        self.options = GoogleOptions(
            customer_id="1234567890",
            login_customer_id="1112223333",
            key_file=self.key_file(f"{self.tokens.url}/token"),
            data_manager_endpoint=self.api.url,
            timeout=5.0,
        )
        self.sink = DataManagerSink(self.options)

    def key_file(self, token_uri: object, **changed: object) -> Path:
        """Write a service account key file with this token server."""
        return _key_file(
            self._folder / "key.json", {"private_key": self._private_key, "token_uri": token_uri, **changed}
        )

    def use(self, **changed: object) -> None:
        """Switch to a new sink with these options changed."""
        self.options = replace(self.options, **changed)
        self.sink = DataManagerSink(self.options)

    def event(self, key: str = "key-0") -> ConversionEvent:
        """A sale after an invented click."""
        return ConversionEvent(
            key=DeliveryKey(key),
            target=self.target,
            at=datetime(2026, 11, 1, 10, 30, tzinfo=UTC),
            click_id=ClickId(ClickIdKind.GCLID, "Cj0KCQ-Invented_Click"),
            identifiers=(),
            value=Money(Decimal("1250.50"), "EUR"),
            consent=Consent(ConsentSignalValue.GRANTED, ConsentSignalValue.DENIED),
        )

    def submit(self, rows: int = 1) -> Receipt:
        """Send that many sales."""
        keys = [f"key-{row}" for row in range(rows)]
        batch = [EncodedEvent(DeliveryKey(key), self.sink.encode(self.event(key))) for key in keys]
        return self.sink.submit(self.target, batch)

    def resolve(self, rows: int = 1) -> Resolution:
        """Resolve a request of that many sales."""
        return self.sink.fetch_request_outcomes("req-1", rows=rows)

    def refuse(
        self,
        http: int,
        status: str,
        *details: dict[str, object],
        headers: dict[str, str] | None = None,
        reason: str | None = None,
    ) -> None:
        """Answer with an error in the API's own format from now on."""
        info = [_detail("ErrorInfo", reason=reason, domain="datamanager.googleapis.com")] if reason else []
        error = {"code": http, "message": "invented words", "status": status, "details": [*info, *details]}
        self.api.say({"error": error}, http, headers)

    def violations(self, *fields: tuple[str, str | None]) -> dict[str, object]:
        """The error detail that blames fields, each a path and a reason."""
        each = [{"field": path, "description": "jean@example.fr is bad", "reason": why} for path, why in fields]
        return _detail("BadRequest", fieldViolations=each)

    def retry_info(self, delay: str) -> dict[str, object]:
        """The error detail with a retry delay."""
        return _detail("RetryInfo", retryDelay=delay)

    def request_info(self, request_id: str) -> dict[str, object]:
        """The error detail with the request id."""
        return _detail("RequestInfo", requestId=request_id)

    def claims(self) -> dict[str, object]:
        """The claims of the last token request, unverified."""
        return _claims(self.tokens)

    def close(self) -> None:
        """Stop both servers."""
        self.tokens.close()
        self.api.close()


class AdsApi:
    """A token server, the Google Ads API, and a sink that uses them."""

    target = Target("google_ads_api", "1234567890", "987654321", "WEB")

    def __init__(self, folder: Path, private_key: str) -> None:
        self.tokens, self.api = Server(), AdsApiServer()
        self.tokens.say({"access_token": "ya29.invented", "expires_in": 3600, "token_type": "Bearer"})
        self.options = GoogleOptions(
            customer_id="1234567890",
            login_customer_id="1112223333",
            key_file=_key_file(
                folder / "ads-key.json", {"private_key": private_key, "token_uri": f"{self.tokens.url}/token"}
            ),
            ads_api_endpoint=self.api.url,
            timeout=5.0,
        )
        self.sink = AdsApiSink(self.options)

    def use(self, **changed: object) -> None:
        """Switch to a new sink with these options changed."""
        self.options = replace(self.options, **changed)
        self.sink = AdsApiSink(self.options)

    def event(self, key: str = "key-0", gclid: str = "Cj0KCQ-Invented_Click") -> ConversionEvent:
        """A sale after an invented click."""
        return ConversionEvent(
            key=DeliveryKey(key),
            target=self.target,
            at=datetime(2026, 11, 1, 10, 30, tzinfo=UTC),
            click_id=ClickId(ClickIdKind.GCLID, gclid),
            identifiers=(),
            value=Money(Decimal("1250.50"), "EUR"),
            consent=Consent(ConsentSignalValue.GRANTED, ConsentSignalValue.DENIED),
        )

    def submit(self, rows: int = 1) -> Receipt:
        """Send that many sales, all of one click."""
        keys = [f"key-{row}" for row in range(rows)]
        batch = [EncodedEvent(DeliveryKey(key), self.sink.encode(self.event(key))) for key in keys]
        return self.sink.submit(self.target, batch)

    def claims(self) -> dict[str, object]:
        """The claims of the last token request, unverified."""
        return _claims(self.tokens)

    def close(self) -> None:
        """Stop both servers."""
        self.tokens.close()
        self.api.close()


def _claims(tokens: Server) -> dict[str, object]:
    assertion = parse_qs(tokens.calls[-1].body.decode())["assertion"][0]
    payload = assertion.split(".")[1]
    return json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def _key_file(path: Path, fields: dict[str, object]) -> Path:
    account = {"type": "service_account", "client_email": "sync@invented.iam.gserviceaccount.com"}
    path.write_text(json.dumps(account | fields))
    return path


def _detail(kind: str, **fields: object) -> dict[str, object]:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **fields}


@pytest.fixture(scope="session")
def private_key() -> str:
    """A throw-away RSA key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - quick to load, guards nothing
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


@pytest.fixture
def google(tmp_path: Path, private_key: str):
    """Google on loopback, answering successfully unless a test changes it."""
    played = Google(tmp_path, private_key)
    yield played
    played.close()


@pytest.fixture
def ads(tmp_path: Path, private_key: str):
    """The Google Ads API on loopback, accepting everything unless a test changes it."""
    played = AdsApi(tmp_path, private_key)
    yield played
    played.close()
