"""The clock moves only when all who count on it sleep."""

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
        """Ask and take the answer: its status and JSON."""
        method, path = line.split()
        self.wire.request(method, path, json.dumps(body) if body is not None else None)
        response = self.wire.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None

    def send(self, line, body):
        """Ask without waiting for the answer."""
        method, path = line.split()
        self.wire.request(method, path, json.dumps(body))

    def answer(self):
        """The answer to what was sent."""
        response = self.wire.getresponse()
        return response.status, json.loads(response.read())


@pytest.fixture
def clock():
    """A clock standing at START."""
    return VirtualClock(START)


@pytest.fixture
def url(clock):
    """The clock's address."""
    with Server("clock", clock.handle, Faults(), clock.now, closed=clock.closed) as server:
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
    """What the clock answers at this time on the first day."""
    return 200, {"now": f"2026-09-01T{hour:02}:{minute:02}:00+00:00"}


def eventually(condition):
    """Wait, at most five seconds, for another thread to get there."""
    end = monotonic() + 5
    while not condition():
        assert monotonic() < end
        sleep(0.005)


def asleep(clock, count):
    """Wait until so many callers sleep."""
    eventually(lambda: count == sum(caller.until is not None for caller in clock._callers.values()))


def test_it_returns_the_time(call):
    """The clock starts where it was set, and Date agrees."""
    caller = call(registered=False)

    assert time_of(3, 30) == caller.ask("GET /now")
    caller.wire.request("GET", "/now")
    response = caller.wire.getresponse()
    response.read()

    assert response.headers["Date"] == "Tue, 01 Sep 2026 03:30:00 GMT"


def test_it_stands_still_without_sleepers(call):
    """Asking again, registered or not, moves nothing."""
    caller = call()
    call()

    assert time_of(3, 30) == caller.ask("GET /now")
    assert time_of(3, 30) == caller.ask("GET /now")


def test_a_lone_sleeper_is_there_at_once(call):
    """One registered caller who sleeps takes the clock along."""
    assert time_of(9) == call().ask("POST /sleep", until(9))


def test_a_sleep_into_the_past_ends_at_once(call):
    """Nobody waits for a time that has passed, and the clock does not go back."""
    caller = call()
    call()

    assert time_of(3, 30) == caller.ask("POST /sleep", until(3))


def test_it_goes_to_the_earliest_time_and_never_by_the_sum(call, clock):
    """Of two sleepers the earlier one wakes, at its own time; the other sleeps on."""
    late, early = call(), call()
    late.send("POST /sleep", until(12))
    asleep(clock, 1)

    assert time_of(9) == early.ask("POST /sleep", until(9))
    assert time_of(9) == early.ask("GET /now")
    asleep(clock, 1)

    assert time_of(12) == early.ask("POST /sleep", until(12))
    assert time_of(12) == late.answer()


def test_sleepers_until_one_time_wake_together(call, clock):
    """Two who sleep until the same instant are both woken by one move."""
    one, two = call(), call()
    one.send("POST /sleep", until(9))
    asleep(clock, 1)

    assert time_of(9) == two.ask("POST /sleep", until(9))
    assert time_of(9) == one.answer()


def test_someone_awake_holds_the_clock(call, clock):
    """While one registered caller works, another's sleep does not move the clock."""
    worker, sleeper = call(), call()
    sleeper.send("POST /sleep", until(9))
    asleep(clock, 1)

    assert time_of(3, 30) == worker.ask("GET /now")


def test_who_never_registered_does_not_count(call):
    """A connection that only reads the time delays no sleeper."""
    call(registered=False).ask("GET /now")

    assert time_of(9) == call().ask("POST /sleep", until(9))


def test_who_never_registered_cannot_sleep(call):
    """Sleep without registration is answered 409."""
    status, _ = call(registered=False).ask("POST /sleep", until(9))

    assert status == 409


def test_registering_twice_counts_once(call):
    """A connection is one caller however often it registers."""
    caller = call()

    assert caller.ask("POST /register") == (204, None)
    assert time_of(9) == caller.ask("POST /sleep", until(9))


def test_a_closed_connection_no_longer_counts(call, clock):
    """When the one awake goes, the sleepers move on."""
    worker, sleeper = call(), call()
    sleeper.send("POST /sleep", until(9))
    asleep(clock, 1)
    worker.wire.close()

    assert time_of(9) == sleeper.answer()


def test_a_connection_closed_asleep_no_longer_counts(call, clock):
    """A sleeper that goes away takes its own early time with it."""
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
def test_a_killed_process_no_longer_counts(call, clock, url, state):
    """A process that dies, awake or asleep, delays no sleeper."""
    sleeper = call()
    arguments = [sys.executable, "-c", KILLED, urlsplit(url).netloc, state]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        asleep(clock, 1 if state == "asleep" else 0)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    eventually(lambda: len(clock._callers) == 1)

    assert time_of(9) == sleeper.ask("POST /sleep", until(9))


def test_advancing_wakes_whoever_slept_until_then(call, clock):
    """Advancing moves the clock past sleepers, who see the time it was moved to."""
    worker, sleeper, later = call(), call(), call()
    sleeper.send("POST /sleep", until(9))
    later.send("POST /sleep", until(23))
    asleep(clock, 2)

    assert time_of(12) == worker.ask("POST /advance", {"to": "2026-09-01T14:00:00+02:00"})
    assert time_of(12) == sleeper.answer()
    asleep(clock, 1)


def test_advancing_by_seconds(call):
    """`by` counts from now."""
    assert time_of(3, 31) == call(registered=False).ask("POST /advance", {"by": 60})


def test_advancing_by_hand_does_not_wake_the_others(call, clock):
    """A sleeper whose time has not come sleeps on."""
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
def test_what_is_no_time_to_come_is_refused(call, line, body):
    """Times lie ahead and carry a zone; the clock never goes back."""
    caller = call()

    assert caller.ask(line, body)[0] == 400
    assert time_of(3, 30) == caller.ask("GET /now")


@pytest.mark.parametrize(("line", "status"), [("GET /sleep", 405), ("POST /now", 405), ("GET /later", 404)])
def test_other_pages_are_refused(call, line, status):
    """A wrong method is 405, a wrong path 404."""
    assert call(registered=False).ask(line)[0] == status


def test_nobody_sleeps_for_ever():
    """A sleeper whose time never comes gets an error after a bounded real time."""
    clock = VirtualClock(START, patience=0.05)
    with Server("clock", clock.handle, Faults(), clock.now, closed=clock.closed) as server:
        worker, sleeper = Caller(server.url), Caller(server.url)
        worker.ask("POST /register")
        sleeper.ask("POST /register")
        status, _ = sleeper.ask("POST /sleep", until(9))
        worker.wire.close()
        sleeper.wire.close()

    assert status == 503


def test_stopping_ends_every_sleep():
    """A server that stops does not leave a sleeper's thread behind."""
    clock = VirtualClock(START)
    server = Server("clock", clock.handle, Faults(), clock.now, closed=clock.closed)
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


def test_many_callers_keep_one_order(call, clock):
    """Eight workers sleeping in turns see a time that never goes back and never overshoots their own."""

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


def test_it_goes_on_where_it_was_saved(clock):
    """A dumped clock loads into a new one."""
    clock.advance(datetime(2026, 9, 3, 3, 30, tzinfo=UTC))
    resumed = VirtualClock(START)
    resumed.load(json.loads(json.dumps(clock.dump())))

    assert clock.now() == resumed.now()


def test_a_sleeper_may_look_up_before_its_time(call):
    """It learns that the time has not come, and counts as awake until it sleeps again."""
    awake, looking = call(), call()

    assert time_of(3, 30) == looking.ask("POST /sleep", until(5) | {"within": 0.05})

    looking.send("POST /sleep", until(5) | {"within": 9})
    awake.send("POST /sleep", until(6))

    assert time_of(5) == looking.answer()


@pytest.mark.parametrize("within", [0, -1, 601, True, "soon"])
def test_a_look_up_has_its_bounds(call, within):
    """Real seconds, ten minutes at most."""
    status, time_of = call().ask("POST /sleep", until(5) | {"within": within})

    assert 400 == status
    assert "within" in time_of["error"]
