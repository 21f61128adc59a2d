"""A planted fault takes exactly the requests it was planted for."""

import http.client
import json
import selectors
import socket
from datetime import UTC, datetime
from time import monotonic
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from connectors.sandbox import server as http_server
from connectors.sandbox.platform import FaultKind, Faults, PlannedFault, parsed
from connectors.sandbox.server import Server, json_response

NOW = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)


class Platform:
    """Counts its requests, and answers with the number."""

    def __init__(self):
        self.asked = []
        self.faults = Faults()
        self.server = Server("platform", self.handle, self.faults, lambda: NOW)

    def handle(self, request):
        """Answer with what was asked."""
        self.asked.append(request)
        return json_response(200, {"method": request.method, "body": request.body.decode()})

    def plant(self, kind, **fields):
        """Plant one fault on this server."""
        self.faults.plant(PlannedFault("platform", kind, **fields))


@pytest.fixture
def platform():
    """A platform that serves."""
    platform = Platform()
    with platform.server:
        yield platform


@pytest.fixture
def url(platform):
    """Its address."""
    return platform.server.url


def test_without_faults_the_handler_answers(ask, platform, url):
    """The request arrives as it was sent, and the answer as it was made."""
    answer = ask(url, "POST /path/%41?a=1&a=2&b=", b"body", {"X-Name": "value"})
    request = platform.asked[0]

    assert answer.json() == {"method": "POST", "body": "body"}
    assert (request.path, request.query) == ("/path/%41", {"a": ("1", "2"), "b": ("",)})
    assert request.headers["x-name"] == "value"


def test_one_connection_carries_many_requests(platform, url):
    """HTTP/1.1 keeps the connection alive between requests."""
    wire = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    for _ in range(3):
        wire.request("GET", "/")
        wire.getresponse().read()
    wire.close()

    assert len({request.connection.fileno() for request in platform.asked}) == 1
    assert len({id(request.connection) for request in platform.asked}) == 1


def test_status_answers_in_place_of_the_platform(ask, platform, url):
    """Any status, with a Retry-After and a body where asked for; then the platform answers again."""
    platform.plant(FaultKind.STATUS, status=429, retry_after=7, body='{"error": "slow"}')
    answer = ask(url, "GET /")

    assert (answer.status, answer.headers["retry-after"], answer.json()) == (429, "7", {"error": "slow"})
    assert platform.asked == []
    assert ask(url, "GET /").status == 200


def test_status_is_503_without_a_body_by_default(ask, platform, url):
    """An unnamed status is an outage without a word."""
    platform.plant(FaultKind.STATUS)
    answer = ask(url, "GET /")

    assert (answer.status, answer.body, answer.headers.get("retry-after")) == (503, b"", None)


@pytest.mark.parametrize(("status", "expected"), [(None, 200), (502, 502)])
def test_html_is_a_page_instead_of_an_answer(ask, platform, url, status, expected):
    """A proxy answers in HTML, with a good status or a bad one."""
    platform.plant(FaultKind.HTML, status=status)
    answer = ask(url, "GET /")

    assert (expected, "text/html") == (answer.status, answer.headers["content-type"])
    assert answer.body.startswith(b"<!DOCTYPE html>")
    assert platform.asked == []


def test_hang_holds_the_request_then_closes(ask, platform, url):
    """No answer comes for the seconds named, and none afterwards."""
    platform.plant(FaultKind.HANG, seconds=0.2)
    began = monotonic()
    with pytest.raises(http.client.RemoteDisconnected):
        ask(url, "GET /")

    assert monotonic() - began >= 0.2
    assert platform.asked == []


def test_stopping_ends_a_hang():
    """A server that stops does not wait for its own fault."""
    platform = Platform()
    platform.plant(FaultKind.HANG, seconds=60)
    platform.server.start()
    with socket.create_connection(("127.0.0.1", platform.server.port), timeout=10) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while platform.faults.dump():
            pass
        began = monotonic()
        platform.server.stop()

    assert monotonic() - began < 5


def test_an_idle_server_sleeps_until_it_is_asked_or_stopped(ask, monkeypatch):
    """It never looks again by itself, so that stopping one need not wait for its next look."""
    waits = []

    class Noted(selectors.DefaultSelector):
        def select(self, timeout=None):
            waits.append(timeout)
            return super().select(timeout)

    monkeypatch.setattr(http_server, "selectors", SimpleNamespace(DefaultSelector=Noted, EVENT_READ=1))
    platform = Platform()
    port = platform.server.port
    with platform.server:
        ask(platform.server.url, "GET /")

    assert waits == [None, None]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_server_that_never_served_stops_too():
    """And stopping it twice is no mistake."""
    platform = Platform()
    port = platform.server.port
    platform.server.stop()
    platform.server.stop()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_cut_before_keeps_the_request_from_the_platform(ask, platform, url):
    """The connection closes and nothing was done."""
    platform.plant(FaultKind.CUT_BEFORE)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(url, "POST /", b"body")

    assert platform.asked == []


def test_cut_after_lets_the_platform_accept(ask, platform, url):
    """The work is done, and the answer lost."""
    platform.plant(FaultKind.CUT_AFTER)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(url, "POST /", b"body")

    assert [request.body for request in platform.asked] == [b"body"]


def test_failed_after_lets_the_platform_accept_and_answers_that_it_failed(ask, platform, url):
    """The work is done; the answer is an error, with the status, the delay and the words asked for."""
    platform.plant(FaultKind.FAILED_AFTER)
    platform.plant(FaultKind.FAILED_AFTER, status=503, retry_after=7, body='{"error": "busy"}')
    first, second = ask(url, "POST /", b"a"), ask(url, "POST /", b"b")

    assert [b"a", b"b"] == [request.body for request in platform.asked]
    assert (500, {"error": "internal error"}) == (first.status, first.json())
    assert (503, {"error": "busy"}, "7") == (second.status, second.json(), second.headers["retry-after"])


def test_truncated_is_half_of_the_body(ask, platform, url):
    """The work is done, and the JSON does not end."""
    platform.plant(FaultKind.TRUNCATED)
    answer = ask(url, "GET /")
    whole = ask(url, "GET /").body

    assert (200, whole[: len(whole) // 2]) == (answer.status, answer.body)
    assert len(platform.asked) == 2
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_latency_is_slow_and_right(ask, platform, url):
    """The answer comes late and is the platform's own."""
    platform.plant(FaultKind.LATENCY, seconds=0.2)
    began = monotonic()

    assert ask(url, "GET /").status == 200
    assert monotonic() - began >= 0.2


def test_count_and_after_choose_the_requests(ask, platform, url):
    """`after` lets requests pass first, `count` is how many are taken."""
    platform.plant(FaultKind.STATUS, after=1, count=2)

    assert [ask(url, "GET /").status for _ in range(4)] == [200, 503, 503, 200]


def test_path_chooses_the_requests(ask, platform, url):
    """Only paths that begin so are taken, and only they count."""
    platform.plant(FaultKind.STATUS, path="/v1/leads")

    assert ask(url, "GET /v1/other").status == 200
    assert ask(url, "GET /v1/leads/L-1").status == 503


def test_faults_of_another_server_pass_by(ask, platform, url):
    """A fault concerns one server."""
    platform.faults.plant(PlannedFault("another", FaultKind.STATUS))

    assert ask(url, "GET /").status == 200


def test_faults_queue_up(ask, platform, url):
    """The first planted is the first met."""
    platform.plant(FaultKind.STATUS, status=500)
    platform.plant(FaultKind.STATUS, status=502)

    assert [ask(url, "GET /").status for _ in range(3)] == [500, 502, 200]


def test_clearing_takes_them_away(ask, platform, url):
    """After `clear` nothing fails."""
    platform.plant(FaultKind.STATUS, count=9)
    platform.faults.clear()

    assert ask(url, "GET /").status == 200


def test_the_log_holds_each_request(ask, platform, url):
    """Method, path, clock time, status and fault; None where the platform saw nothing."""
    platform.plant(FaultKind.CUT_AFTER, path="/lost")
    platform.plant(FaultKind.CUT_BEFORE, path="/gone")
    ask(url, "GET /here?page=2")
    for path in ("/lost", "/gone"):
        with pytest.raises(http.client.RemoteDisconnected):
            ask(url, f"POST {path}")
    logged = platform.server.log.dump()

    assert logged["count"] == 3
    assert [(entry["method"], entry["path"], entry["status"], entry["fault"]) for entry in logged["log"]] == [
        ("GET", "/here", 200, None),
        ("POST", "/lost", 200, "cut_after"),
        ("POST", "/gone", None, "cut_before"),
    ]
    assert {entry["at"] for entry in logged["log"]} == {"2026-09-01T03:30:00+00:00"}
    assert logged["log"][0]["query"] == {"page": ("2",)}


def test_the_log_keeps_no_query_of_a_refused_request(ask, platform, url):
    """A token put in the wrong place is not written down."""
    platform.plant(FaultKind.STATUS, status=400)
    ask(url, "GET /?token=secret")

    assert platform.server.log.dump()["log"][0]["query"] == {}


def test_date_is_the_sandbox_clock(ask, url):
    """The Date header is never the machine's time."""
    assert ask(url, "GET /").headers["date"] == "Tue, 01 Sep 2026 03:30:00 GMT"


def test_a_body_without_a_length_is_refused(ask, url):
    """Chunked bodies are answered 411, since no caller sends them."""
    answer = ask(url, "POST /", b"0\r\n\r\n", {"Transfer-Encoding": "chunked"})

    assert answer.status == 411


def test_a_bug_of_the_sandbox_is_a_500(ask, url, platform, caplog):
    """A handler that fails does not look like a cut connection, and the log has the cause."""
    platform.server.handler = lambda _: 1 / 0
    answer = ask(url, "GET /")

    assert (answer.status, "sandbox itself" in answer.json()["error"]) == (500, True)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "status"},
        {"server": "oplead"},
        {"server": "oplead", "kind": "explode"},
        {"server": "oplead", "kind": "status", "times": 3},
        {"server": "oplead", "kind": "status", "count": 0},
        {"server": "oplead", "kind": "status", "count": "3"},
        {"server": "oplead", "kind": "status", "count": True},
        {"server": "oplead", "kind": "status", "after": -1},
        {"server": "oplead", "kind": "status", "status": 99},
        {"server": "oplead", "kind": "hang", "seconds": 61},
        {"server": "oplead", "kind": "hang", "seconds": -1},
    ],
)
def test_what_cannot_be_planted_is_refused(document):
    """Unknown kinds, fields and values are errors."""
    with pytest.raises(ValueError, match=r"\w"):
        parsed(PlannedFault, document)


def test_a_fault_is_read_from_json():
    """Every field of the control API reaches the fault."""
    document = {
        "server": "oplead",
        "kind": "status",
        "count": 2,
        "after": 1,
        "path": "/v1",
        "status": 429,
        "retry_after": 30,
        "seconds": 0.5,
        "body": "{}",
    }
    expected = PlannedFault("oplead", FaultKind.STATUS, 2, 1, "/v1", 429, 30, 0.5, "{}")

    assert expected == parsed(PlannedFault, document)
