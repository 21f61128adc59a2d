"""The sandbox clock moves only while every registered caller sleeps."""

import http.client
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic, sleep
from urllib.parse import urlsplit

import pytest

from connectors.sandbox.clock import VirtualClock
from connectors.sandbox.platform import Faults
from connectors.sandbox.server import Server

START = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)


class Caller:
    """One kept-alive connection to the clock."""

    def __init__(self, url):
        self.wire = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)

    def ask(self, line, body=None):
        """Send a request and return the status and JSON of its answer."""
        method, path = line.split()
        self.wire.request(method, path, json.dumps(body) if body is not None else None)
        response = self.wire.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None

    def send(self, line, body):
        """Send a request without waiting for the answer."""
        method, path = line.split()
        self.wire.request(method, path, json.dumps(body))

    def answer(self):
        """Return the answer to the request sent before."""
        response = self.wire.getresponse()
        return response.status, json.loads(response.read())


@pytest.fixture
def clock():
    """A clock set to START."""
    return VirtualClock(START)


@pytest.fixture
def url(clock):
    """The clock's address."""
    with Server("clock", clock.handle, Faults(), clock.now, closed=clock.unregister_client_connection) as server:
        yield server.url


@pytest.fixture
def call(url):
    """Open connections to the clock; `call()` registers one, `call(registered=False)` does not."""
    opened = []

    def open_one(*, registered=True):
        caller = Caller(url)
        opened.append(caller)
        if registered:
            assert caller.ask("POST /register") == (204, None)
        return caller

    yield open_one
    for caller in opened:
        caller.wire.close()


def until(hour, minute=0):
    """A sleep until this time on the first day."""
    return {"until": f"2026-09-01T{hour:02}:{minute:02}:00+00:00"}


def time_of(hour, minute=0):
    """The clock's answer at this time on the first day."""
    return 200, {"now": f"2026-09-01T{hour:02}:{minute:02}:00+00:00"}


def eventually(condition):
    """Wait, at most five seconds, until another thread makes the condition true."""
    end = monotonic() + 5
    while not condition():
        assert monotonic() < end
        sleep(0.005)


def asleep(clock, count):
    """Wait until this many callers sleep."""
    eventually(lambda: count == sum(caller.until is not None for caller in clock._callers.values()))


def test_now_and_date_header_show_the_clock_time(call):
    """The clock starts at the time it was created with."""
    caller = call(registered=False)

    assert time_of(3, 30) == caller.ask("GET /now")
    caller.wire.request("GET", "/now")
    response = caller.wire.getresponse()
    response.read()

    assert response.headers["Date"] == "Tue, 01 Sep 2026 03:30:00 GMT"


def test_clock_stands_still_without_sleepers(call):
    """Reading it moves nothing, whether or not the reader is registered."""
    caller = call()
    call()

    assert time_of(3, 30) == caller.ask("GET /now")
    assert time_of(3, 30) == caller.ask("GET /now")


def test_lone_sleeper_moves_the_clock_at_once(call):
    """The only registered caller sleeps, so nothing holds the clock back."""
    assert time_of(9) == call().ask("POST /sleep", until(9))


def test_sleep_until_a_past_time_returns_at_once(call):
    """The clock does not go back."""
    caller = call()
    call()

    assert time_of(3, 30) == caller.ask("POST /sleep", until(3))


def test_clock_moves_to_the_earliest_wake_time(call, clock):
    """Only the earlier of two sleepers wakes, and sleeps never add up."""
    late, early = call(), call()
    late.send("POST /sleep", until(12))
    asleep(clock, 1)

    assert time_of(9) == early.ask("POST /sleep", until(9))
    assert time_of(9) == early.ask("GET /now")
    asleep(clock, 1)

    assert time_of(12) == early.ask("POST /sleep", until(12))
    assert time_of(12) == late.answer()


def test_sleepers_with_the_same_wake_time_wake_together(call, clock):
    """One move of the clock wakes both."""
    one, two = call(), call()
    one.send("POST /sleep", until(9))
    asleep(clock, 1)

    assert time_of(9) == two.ask("POST /sleep", until(9))
    assert time_of(9) == one.answer()


def test_awake_caller_holds_the_clock(call, clock):
    """A sleeper does not move the clock while another registered caller works."""
    worker, sleeper = call(), call()
    sleeper.send("POST /sleep", until(9))
    asleep(clock, 1)

    assert time_of(3, 30) == worker.ask("GET /now")


def test_unregistered_caller_does_not_hold_the_clock(call):
    """A connection that only reads the time delays no sleeper."""
    call(registered=False).ask("GET /now")

    assert time_of(9) == call().ask("POST /sleep", until(9))


def test_unregistered_caller_cannot_sleep(call):
    """The answer is 409."""
    status, _ = call(registered=False).ask("POST /sleep", until(9))

    assert status == 409


def test_registering_twice_counts_once(call):
    """A connection is one caller, however often it registers."""
    caller = call()

    assert caller.ask("POST /register") == (204, None)
    assert time_of(9) == caller.ask("POST /sleep", until(9))


def test_closing_an_awake_connection_releases_the_clock(call, clock):
    """The remaining caller sleeps, so the clock moves on."""
    worker, sleeper = call(), call()
    sleeper.send("POST /sleep", until(9))
    asleep(clock, 1)
    worker.wire.close()

    assert time_of(9) == sleeper.answer()


def test_closing_a_sleeping_connection_drops_its_wake_time(call, clock):
    """The clock no longer stops at the earlier time."""
    gone, worker, sleeper = call(), call(), call()
    gone.send("POST /sleep", until(6))
    asleep(clock, 1)
    gone.wire.close()
    eventually(lambda: len(clock._callers) == 2)
    sleeper.send("POST /sleep", until(9))
    asleep(clock, 1)

    assert time_of(9) == worker.ask("POST /sleep", until(9))
    assert time_of(9) == sleeper.answer()


KILLED = """
import http.client, sys
wire = http.client.HTTPConnection(sys.argv[1], timeout=60)
wire.request("POST", "/register")
wire.getresponse().read()
if sys.argv[2] == "asleep":
    wire.request("POST", "/sleep", '{"until": "2026-09-01T06:00:00+00:00"}')
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["awake", "asleep"])
def test_killed_process_no_longer_holds_the_clock(call, clock, url, state):
    """A process killed awake or asleep delays no sleeper."""
    sleeper = call()
    arguments = [sys.executable, "-c", KILLED, urlsplit(url).netloc, state]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        asleep(clock, 1 if state == "asleep" else 0)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    eventually(lambda: len(clock._callers) == 1)

    assert time_of(9) == sleeper.ask("POST /sleep", until(9))


def test_advance_wakes_sleepers_up_to_the_new_time(call, clock):
    """They see the time the clock was advanced to, not their own."""
    worker, sleeper, later = call(), call(), call()
    sleeper.send("POST /sleep", until(9))
    later.send("POST /sleep", until(23))
    asleep(clock, 2)

    assert time_of(12) == worker.ask("POST /advance", {"to": "2026-09-01T14:00:00+02:00"})
    assert time_of(12) == sleeper.answer()
    asleep(clock, 1)


def test_advance_by_seconds_counts_from_now(call):
    """No registration is needed."""
    assert time_of(3, 31) == call(registered=False).ask("POST /advance", {"by": 60})


def test_advance_leaves_later_sleepers_asleep(call, clock):
    """A sleeper wakes only once its own time is reached."""
    worker, sleeper = call(), call()
    sleeper.send("POST /sleep", until(9))
    asleep(clock, 1)
    worker.ask("POST /advance", {"by": 60})
    asleep(clock, 1)


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("POST /advance", {"to": "2026-09-01T03:29:59+00:00"}),
        ("POST /advance", {"by": -1}),
        ("POST /advance", {"by": 1e300}),
        ("POST /advance", {"to": "2026-09-01T09:00:00"}),
        ("POST /advance", {"to": "tomorrow"}),
        ("POST /advance", {"by": 1, "to": "2026-09-02T09:00:00+00:00"}),
        ("POST /advance", []),
        ("POST /sleep", {"until": 9}),
        ("POST /sleep", {"by": 9}),
    ],
)
def test_invalid_or_past_times_are_refused(call, line, body):
    """Times must lie ahead and carry a zone, and a refusal moves nothing."""
    caller = call()

    assert caller.ask(line, body)[0] == 400
    assert time_of(3, 30) == caller.ask("GET /now")


@pytest.mark.parametrize(("line", "status"), [("GET /sleep", 405), ("POST /now", 405), ("GET /later", 404)])
def test_unknown_paths_and_methods_are_refused(call, line, status):
    """A wrong method is 405, a wrong path 404."""
    assert call(registered=False).ask(line)[0] == status


def test_sleep_fails_after_bounded_real_time():
    """A sleeper held back for longer than the clock's patience gets 503."""
    clock = VirtualClock(START, patience=0.05)
    with Server("clock", clock.handle, Faults(), clock.now, closed=clock.unregister_client_connection) as server:
        worker, sleeper = Caller(server.url), Caller(server.url)
        worker.ask("POST /register")
        sleeper.ask("POST /register")
        status, _ = sleeper.ask("POST /sleep", until(9))
        worker.wire.close()
        sleeper.wire.close()

    assert status == 503


def test_stopping_the_server_ends_every_sleep():
    """No sleeper's thread is left behind."""
    clock = VirtualClock(START)
    server = Server("clock", clock.handle, Faults(), clock.now, closed=clock.unregister_client_connection)
    server.start()
    worker, sleeper = Caller(server.url), Caller(server.url)
    worker.ask("POST /register")
    sleeper.ask("POST /register")
    sleeper.send("POST /sleep", until(9))
    asleep(clock, 1)
    began = monotonic()
    server.stop()
    worker.wire.close()
    sleeper.wire.close()

    assert monotonic() - began < 5
    assert clock._callers == {}


def test_concurrent_sleepers_each_wake_at_their_own_time(call, clock):
    """Eight callers sleep in turns, and none ever overshoots its wake time."""

    def work(step):
        caller = call()
        barrier_passed.append(step)
        eventually(lambda: len(barrier_passed) == 8)
        for number in range(1, 13):
            target = START.timestamp() + 60 * step * number
            status, body = caller.ask("POST /sleep", {"until": datetime.fromtimestamp(target, UTC).isoformat()})
            assert (200, target) == (status, datetime.fromisoformat(body["now"]).timestamp())
        caller.wire.close()

    barrier_passed = []
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(1, 9)))

    assert clock.now().timestamp() == START.timestamp() + 60 * 8 * 12


def test_clock_resumes_from_its_saved_state(clock):
    """The state goes through JSON."""
    clock.advance(datetime(2026, 9, 3, 3, 30, tzinfo=UTC))
    resumed = VirtualClock(START)
    resumed.load(json.loads(json.dumps(clock.dump())))

    assert clock.now() == resumed.now()


def test_bounded_sleep_returns_early_and_counts_as_awake(call):
    """After `within` real seconds the caller learns the time and holds the clock until it sleeps again."""
    awake, looking = call(), call()

    assert time_of(3, 30) == looking.ask("POST /sleep", until(5) | {"within": 0.05})

    looking.send("POST /sleep", until(5) | {"within": 9})
    awake.send("POST /sleep", until(6))

    assert time_of(5) == looking.answer()


@pytest.mark.parametrize("within", [0, -1, 601, True, "soon"])
def test_bounded_sleep_rejects_invalid_bounds(call, within):
    """`within` is in real seconds, ten minutes at most."""
    status, time_of = call().ask("POST /sleep", until(5) | {"within": within})

    assert 400 == status
    assert "within" in time_of["error"]
