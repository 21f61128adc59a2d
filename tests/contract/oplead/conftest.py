"""A scripted HTTP server on a real socket, a clock that only moves on sleep, and an Oplead source connected to both."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors.oplead.client import OpleadClient
from connectors.oplead.options import OpleadOptions
from connectors.oplead.source import OpleadSource
from connectors.rate_limit import Pacer

TOKEN = "tok-0123456789"


@dataclass
class Reply:
    """One scripted answer; `seconds` delays it, `cut` closes the connection instead."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0
    cut: bool = False

    def content(self) -> bytes:
        """Return the body's bytes, serialised as JSON unless they already are bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Platform:
    """Serves scripted replies by path and query, in order; the last reply of a list repeats."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply]] = {}
        self.asked: list[str] = []
        self.methods: set[str] = set()
        self.headers: list[Mapping[str, str]] = []
        self.url = ""

    def serve(self, target: str, *replies: object) -> None:
        """Script the replies to `target`, in order."""
        self.replies[target] = [one if isinstance(one, Reply) else Reply(one) for one in replies]

    def reply(self, target: str) -> Reply:
        """Return the next reply for a target."""
        self.asked.append(target)
        replies = self.replies.get(target) or [Reply({"error": "not found"}, 404)]
        return replies.pop(0) if len(replies) > 1 else replies[0]


class StillClock:
    """A clock that moves only on sleep."""

    def __init__(self) -> None:
        self.time = datetime(2026, 7, 21, 3, 30, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the current instant."""
        return self.time

    def sleep_until(self, moment: datetime) -> None:
        """Jump to that instant immediately."""
        self.slept.append((moment - self.time).total_seconds())
        self.time = max(self.time, moment)


@pytest.fixture
def clock() -> StillClock:
    """A clock that moves only on sleep."""
    return StillClock()


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A scripted platform on a free loopback port."""
    scripted = Platform()
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # send each answer in one packet: a second would wait for the first's acknowledgement

        def do_GET(self) -> None:
            scripted.methods.add(self.command)
            scripted.headers.append(dict(self.headers))
            reply = scripted.reply(self.path)
            if reply.cut or (reply.seconds and done.wait(reply.seconds)):
                self.close_connection = True
                return
            content = reply.content()
            self.send_response_only(reply.status)
            for name, value in {"Date": "Tue, 21 Jul 2026 03:30:00 GMT", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Ignore clients that disconnect: some tests are about them."""

    server = Server(("127.0.0.1", 0), Handler)
    scripted.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield scripted
    done.set()
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


Open = Callable[..., OpleadSource]


@pytest.fixture
def open_source(platform: Platform, clock: StillClock) -> Iterator[Open]:
    """Open a source on the platform with the given options; it is closed after the test."""
    opened: list[OpleadSource] = []

    def open_one(
        *,
        wanted: frozenset[str] = frozenset(),
        per_minute: int = 90,
        clocks_within: timedelta | None = None,
        newest_within: int | None = None,
        **options: object,
    ) -> OpleadSource:
        given = {"token": TOKEN, "zone": ZoneInfo("Europe/Paris"), "base_url": platform.url, **options}
        client = OpleadClient(
            OpleadOptions(**given),
            clock=clock,
            pacer=Pacer(clock, per_minute),
            timeout=httpx.Timeout(0.6),  # a busy machine answers late
            jitter=lambda: 1.0,
            clocks_within=clocks_within,
        )
        source = OpleadSource(client, wanted_fields=wanted, newest_within=newest_within)
        opened.append(source)
        return source

    yield open_one
    for source in opened:
        source.close()


@pytest.fixture
def lead() -> Callable[..., dict[str, object]]:
    """Build a lead as the platform lists it."""

    def make(number: int, **more: object) -> dict[str, object]:
        return {
            "id": f"L-{number}",
            "createdAt": "2026-07-01 09:12:44",
            "status": "Nouveau",
            "leadData": {"externalID": f"gclid=Cj0KCQjw-{number:06d}"},
            **more,
        }

    return make


@pytest.fixture
def reply() -> type[Reply]:
    """The class of scripted answers."""
    return Reply
