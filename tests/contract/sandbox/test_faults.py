"""A planted fault affects exactly the requests it was planted for."""

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
from connectors.sandbox.platform import FaultKind, Faults, PlannedFault, from_json
from connectors.sandbox.server import Server, json_response

NOW = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)


class Platform:
    """Record every request, and answer with what was sent."""

    def __init__(self):
        self.asked = []
        self.faults = Faults()
        self.server = Server("platform", self.handle, self.faults, lambda: NOW)

    def handle(self, request):
        """Answer with the method and the body."""
        self.asked.append(request)
        return json_response(200, {"method": request.method, "body": request.body.decode()})

    def plant(self, kind, **fields):
        """Plant one fault on this server."""
        self.faults.plant(PlannedFault("platform", kind, **fields))


@pytest.fixture
def platform():
    """A platform that is serving."""
    platform = Platform()
    with platform.server:
        yield platform


@pytest.fixture
def url(platform):
    """The platform's address."""
    return platform.server.url


def test_request_reaches_the_handler_unchanged_without_faults(ask, platform, url):
    """The handler's answer arrives unchanged too."""
    answer = ask(url, "POST /path/%41?a=1&a=2&b=", b"body", {"X-Name": "value"})
    request = platform.asked[0]

    assert answer.json() == {"method": "POST", "body": "body"}
    assert (request.path, request.query) == ("/path/%41", {"a": ("1", "2"), "b": ("",)})
    assert request.headers["x-name"] == "value"


def test_connection_is_kept_alive_between_requests(platform, url):
    """HTTP/1.1 allows several requests per connection."""
    wire = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    for _ in range(3):
        wire.request("GET", "/")
        wire.getresponse().read()
    wire.close()

    assert len({request.connection.fileno() for request in platform.asked}) == 1
    assert len({id(request.connection) for request in platform.asked}) == 1


def test_status_fault_answers_in_place_of_the_platform(ask, platform, url):
    """Status, Retry-After and body are configurable, and the next request passes."""
    platform.plant(FaultKind.STATUS, status=429, retry_after=7, body='{"error": "slow"}')
    answer = ask(url, "GET /")

    assert (answer.status, answer.headers["retry-after"], answer.json()) == (429, "7", {"error": "slow"})
    assert platform.asked == []
    assert ask(url, "GET /").status == 200


def test_status_fault_defaults_to_an_empty_503(ask, platform, url):
    """It has no Retry-After either."""
    platform.plant(FaultKind.STATUS)
    answer = ask(url, "GET /")

    assert (answer.status, answer.body, answer.headers.get("retry-after")) == (503, b"", None)


@pytest.mark.parametrize(("status", "expected"), [(None, 200), (502, 502)])
def test_html_fault_answers_with_a_proxy_page(ask, platform, url, status, expected):
    """A proxy may send its page with a good status or a bad one."""
    platform.plant(FaultKind.HTML, status=status)
    answer = ask(url, "GET /")

    assert (expected, "text/html") == (answer.status, answer.headers["content-type"])
    assert answer.body.startswith(b"<!DOCTYPE html>")
    assert platform.asked == []


def test_hang_fault_holds_the_request_then_disconnects(ask, platform, url):
    """No answer comes during the named seconds, nor afterwards."""
    platform.plant(FaultKind.HANG, seconds=0.2)
    began = monotonic()
    with pytest.raises(http.client.RemoteDisconnected):
        ask(url, "GET /")

    assert monotonic() - began >= 0.2
    assert platform.asked == []


def test_stopping_the_server_ends_a_hang():
    """A server does not wait for its own fault."""
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


def test_idle_server_waits_without_polling(ask, monkeypatch):
    """Without a polling interval, stopping need not wait for the next poll."""
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


def test_server_that_never_served_can_be_stopped_twice():
    """Its port is free afterwards."""
    platform = Platform()
    port = platform.server.port
    platform.server.stop()
    platform.server.stop()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_cut_before_fault_keeps_the_request_from_the_platform(ask, platform, url):
    """The connection closes, and nothing was done."""
    platform.plant(FaultKind.CUT_BEFORE)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(url, "POST /", b"body")

    assert platform.asked == []


def test_cut_after_fault_loses_only_the_answer(ask, platform, url):
    """The platform has accepted the request."""
    platform.plant(FaultKind.CUT_AFTER)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(url, "POST /", b"body")

    assert [request.body for request in platform.asked] == [b"body"]


def test_failed_after_fault_accepts_but_answers_with_an_error(ask, platform, url):
    """Status, Retry-After and body of the error are configurable."""
    platform.plant(FaultKind.FAILED_AFTER)
    platform.plant(FaultKind.FAILED_AFTER, status=503, retry_after=7, body='{"error": "busy"}')
    first, second = ask(url, "POST /", b"a"), ask(url, "POST /", b"b")

    assert [b"a", b"b"] == [request.body for request in platform.asked]
    assert (500, {"error": "internal error"}) == (first.status, first.json())
    assert (503, {"error": "busy"}, "7") == (second.status, second.json(), second.headers["retry-after"])


def test_truncated_fault_returns_half_of_the_body(ask, platform, url):
    """The platform has done the work, but the JSON does not end."""
    platform.plant(FaultKind.TRUNCATED)
    answer = ask(url, "GET /")
    whole = ask(url, "GET /").body

    assert (200, whole[: len(whole) // 2]) == (answer.status, answer.body)
    assert len(platform.asked) == 2
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_latency_fault_delays_the_correct_answer(ask, platform, url):
    """The answer is the platform's own."""
    platform.plant(FaultKind.LATENCY, seconds=0.2)
    began = monotonic()

    assert ask(url, "GET /").status == 200
    assert monotonic() - began >= 0.2


def test_count_and_after_select_the_requests(ask, platform, url):
    """`after` requests pass first, then `count` requests meet the fault."""
    platform.plant(FaultKind.STATUS, after=1, count=2)

    assert [ask(url, "GET /").status for _ in range(4)] == [200, 503, 503, 200]


def test_path_prefix_selects_the_requests(ask, platform, url):
    """Requests for other paths pass and do not count."""
    platform.plant(FaultKind.STATUS, path="/v1/leads")

    assert ask(url, "GET /v1/other").status == 200
    assert ask(url, "GET /v1/leads/L-1").status == 503


def test_fault_of_another_server_is_ignored(ask, platform, url):
    """A fault concerns one server."""
    platform.faults.plant(PlannedFault("another", FaultKind.STATUS))

    assert ask(url, "GET /").status == 200


def test_faults_apply_in_the_order_planted(ask, platform, url):
    """Each is used up before the next applies."""
    platform.plant(FaultKind.STATUS, status=500)
    platform.plant(FaultKind.STATUS, status=502)

    assert [ask(url, "GET /").status for _ in range(3)] == [500, 502, 200]


def test_clear_removes_planted_faults(ask, platform, url):
    """No request fails after `clear`."""
    platform.plant(FaultKind.STATUS, count=9)
    platform.faults.clear()

    assert ask(url, "GET /").status == 200


def test_log_records_each_request_with_status_and_fault(ask, platform, url):
    """The status is None where the platform did not see the request."""
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


def test_log_omits_the_query_of_a_refused_request(ask, platform, url):
    """A token put in the wrong place must not be logged."""
    platform.plant(FaultKind.STATUS, status=400)
    ask(url, "GET /?token=secret")

    assert platform.server.log.dump()["log"][0]["query"] == {}


def test_date_header_is_the_sandbox_time(ask, url):
    """It is never the machine's time."""
    assert ask(url, "GET /").headers["date"] == "Tue, 01 Sep 2026 03:30:00 GMT"


def test_chunked_body_is_refused(ask, url):
    """The answer is 411, since no caller sends chunked bodies."""
    answer = ask(url, "POST /", b"0\r\n\r\n", {"Transfer-Encoding": "chunked"})

    assert answer.status == 411


def test_handler_exception_is_a_logged_500(ask, url, platform, caplog):
    """A bug in the sandbox must not look like a cut connection."""
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
        {"server": "oplead", "kind": "hang", "seconds": 3601},
        {"server": "oplead", "kind": "hang", "seconds": -1},
    ],
)
def test_invalid_fault_raises_value_error(document):
    """Unknown kinds and fields and values out of range are refused."""
    with pytest.raises(ValueError, match=r"\w"):
        from_json(PlannedFault, document)


def test_fault_is_parsed_from_json():
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

    assert expected == from_json(PlannedFault, document)
