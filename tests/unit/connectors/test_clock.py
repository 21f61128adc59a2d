"""The machine's clock and a sandbox's."""

import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.clock import MachineClock
from connectors.errors import Misconfigured
from connectors.sandbox_clock import SandboxClock

START = datetime(2026, 7, 21, 3, 30, tzinfo=UTC)


class Sandbox:
    """A clock server written for these tests: it jumps to the moment it is asked to sleep until."""

    def __init__(self):
        self.time = START
        self.registered = set()
        self.connections = set()
        self.forget_once = False
        self.hang = threading.Event()
        self.hangs = False
        self.body = None


@pytest.fixture
def sandbox():
    """A clock server on a free port."""
    state = Sandbox()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, body=None):
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response_only(status)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self):
            state.connections.add(self.client_address)
            self.answer(200, state.body or {"now": state.time.isoformat()})

        def do_POST(self):
            state.connections.add(self.client_address)
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path == "/register":
                state.registered.add(self.client_address)
                self.answer(204)
            elif state.hangs:
                state.hang.wait(5)
                self.close_connection = True
            elif state.forget_once or self.client_address not in state.registered:
                state.forget_once = False
                state.registered.discard(self.client_address)
                self.answer(409, {"error": "not registered"})
            else:
                state.time = max(state.time, datetime.fromisoformat(json.loads(content)["until"]))
                self.answer(200, {"now": state.time.isoformat()})

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.hang.set()
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


def test_the_machine_clock_is_in_utc_and_never_wakes_early():
    """A sleep ends at its moment, not before."""
    clock = MachineClock()
    until = clock.now() + timedelta(milliseconds=20)
    clock.sleep_until(until)

    assert UTC is until.tzinfo
    assert until <= clock.now()


def test_the_machine_clock_does_not_sleep_for_a_past_moment():
    """The call returns at once."""
    started = time.monotonic()
    MachineClock().sleep_until(datetime(2020, 1, 1, tzinfo=UTC))

    assert time.monotonic() - started < 1


def test_a_clock_stepped_back_does_not_lengthen_a_sleep():
    """An hour back in the middle of a wait does not add an hour to it."""

    class SteppedBack(MachineClock):
        back = timedelta(0)

        def now(self):
            moment, self.back = super().now() - self.back, timedelta(hours=1)
            return moment

    clock = SteppedBack()
    until = datetime.now(UTC) + timedelta(milliseconds=20)
    sleeper = threading.Thread(target=clock.sleep_until, args=(until,), daemon=True)
    sleeper.start()
    sleeper.join(timeout=5)

    assert not sleeper.is_alive()


def test_the_sandbox_clock_gives_the_sandboxs_time(sandbox):
    """It is aware UTC, whatever the machine's clock says."""
    with SandboxClock(sandbox.url) as clock:
        assert START == clock.now()


def test_sleeping_advances_the_sandbox_without_waiting(sandbox):
    """An hour there is an instant here, and one connection serves all calls."""
    started = time.monotonic()
    with SandboxClock(sandbox.url) as clock:
        clock.sleep_until(START + timedelta(hours=1))

        assert START + timedelta(hours=1) == clock.now()

    assert time.monotonic() - started < 5
    assert sandbox.connections == sandbox.registered
    assert 1 == len(sandbox.connections)


def test_nothing_is_registered_before_the_first_use(sandbox):
    """An unused clock must not hold the sandbox's time still."""
    with SandboxClock(sandbox.url):
        assert not sandbox.registered


def test_a_forgotten_connection_registers_again(sandbox):
    """A replaced connection becomes a registered caller again, once."""
    with SandboxClock(sandbox.url) as clock:
        clock.now()
        sandbox.forget_once = True
        clock.sleep_until(START + timedelta(minutes=1))

    assert START + timedelta(minutes=1) == sandbox.time


def test_a_sleep_that_never_ends_raises_a_clear_error(sandbox):
    """The time limit is in real seconds, and the message says what may be wrong."""
    sandbox.hangs = True
    with (
        SandboxClock(sandbox.url, patience=0.1) as clock,
        pytest.raises(Misconfigured, match=r"did not move within 0\.1 s"),
    ):
        clock.sleep_until(START + timedelta(hours=1))


def test_an_unreachable_sandbox_clock_raises_a_clear_error():
    """The message names the setting."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with SandboxClock(url) as clock, pytest.raises(Misconfigured, match="clock: no sandbox clock"):
            clock.now()


@pytest.mark.parametrize("body", [{"time": 1}, {"now": "noon"}, {"now": "2026-07-21T03:30:00"}, [1]])
def test_an_answer_that_is_no_time_is_refused(sandbox, body):
    """Another server at a wrong address is not taken for a clock."""
    sandbox.body = body
    with SandboxClock(sandbox.url) as clock, pytest.raises(Misconfigured, match="clock: the"):
        clock.now()


def test_threads_take_turns_on_one_connection(sandbox):
    """Each request waits for the one before."""
    with SandboxClock(sandbox.url) as clock:
        threads = [
            threading.Thread(target=clock.sleep_until, args=(START + timedelta(minutes=number),)) for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=5)

        assert START + timedelta(minutes=3) == clock.now()

    assert 1 == len(sandbox.connections)
