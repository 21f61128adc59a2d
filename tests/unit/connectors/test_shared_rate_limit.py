"""One request limit for all processes that ask the same platform."""

import fcntl
import json
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import FileIO
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.errors import Transient
from connectors.rate_limit import LONGEST_REQUEST, WINDOW, Pacer, SharedRequestHistory, pace_file
from tests.fakes import Crash, FakeClock, slot

MINUTE = timedelta(seconds=60)
FAR_FROM_NOW = datetime(2031, 1, 1, tzinfo=UTC)
TAKE_ALL = """
import sys, threading
from connectors.rate_limit import Pacer, SharedRequestHistory
from pathlib import Path
from tests.fakes import FakeClock

pacer = Pacer(FakeClock(), int(sys.argv[2]), shared=SharedRequestHistory(Path(sys.argv[1])))
taken = []
print("ready", flush=True)
sys.stdin.readline()
def work():
    while pacer.take_request_slot() is None:
        taken.append(1)
        pacer.release_request_slot()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(taken))
"""


@pytest.fixture
def path(tmp_path):
    """The path of the shared pace file."""
    return tmp_path / "state" / "oplead-0.pace"


@pytest.fixture
def process(path):
    """Make the pacer of another process on the same clock."""

    def make(clock, per_minute=2, **more):
        return Pacer(clock, per_minute, shared=SharedRequestHistory(path, **more))

    return make


def ask(pacer, clock, took=timedelta(0)):
    """Make one request; return when it went out."""
    with slot(pacer):
        sent = clock.time
        clock.time += took
    return sent


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 90)), min_size=1, max_size=40))
def test_no_minute_exceeds_the_limit_across_processes(path, asked):
    """This holds for any order of processes and any duration of requests."""
    path.unlink(missing_ok=True)
    clock = FakeClock()
    pacers = [Pacer(clock, 5, shared=SharedRequestHistory(path)) for _ in range(3)]
    sent = []
    for who, took in asked:
        sent.append(ask(pacers[who], clock, timedelta(seconds=took % 7)))
        clock.time += timedelta(seconds=took // 7)

    assert 5 >= max(sum(start <= at <= start + MINUTE for at in sent) for start in sent)


def test_concurrent_processes_take_each_slot_once(path):
    """Three real processes with four threads each find exactly the available slots together."""
    command = [sys.executable, "-c", TAKE_ALL, str(path), "70"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    asking = [subprocess.Popen(command, **pipes) for _ in range(3)]
    assert ["ready\n"] * 3 == [one.stdout.readline() for one in asking]
    for one in asking:
        one.stdin.write("go\n")
        one.stdin.flush()
    taken = [one.communicate(timeout=60)[0] for one in asking]

    assert 70 == sum(map(int, taken))


def test_a_429_slows_every_process(process):
    """It does not matter which process received it."""
    clock = FakeClock()
    one, other = process(clock, 4), process(clock, 4)
    one.halve_pace_after_throttling()
    sent = [ask(other, clock) for _ in range(4)]

    assert 2 == len([at for at in sent if at - sent[0] <= MINUTE])


def test_another_processs_running_request_holds_its_slot(process):
    """The pacer checks again after a while, since nothing signals the end of another process's request."""
    clock = FakeClock()
    one, other = process(clock, 1), process(clock, 1)
    with slot(one):
        assert clock.now() < other.take_request_slot() < clock.now() + MINUTE

    assert WINDOW == other.take_request_slot() - clock.now()


def test_a_dead_process_frees_its_slot_after_the_longest_request(process):
    """A minute is added: the platform may have counted the request at its very end."""
    clock = FakeClock()
    began = clock.now()
    process(clock, 1).take_request_slot()

    assert LONGEST_REQUEST + WINDOW == ask(process(clock, 1), clock) - began


def test_a_processs_own_request_never_counts_as_dead(process):
    """It may take any length of time."""
    clock = FakeClock()
    pacer = process(clock, 2)
    with slot(pacer):
        clock.time += 3 * LONGEST_REQUEST
        ask(pacer, clock)

        assert 1 == len(pacer._own.running)
        assert clock.now() < pacer.take_request_slot()


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"a": 1}', b'{"a": {"running": ["x"]}}', b"\xff", b"[" * 9000, b'{"a":{}}garbage']
)
def test_an_unreadable_pace_file_stops_all_requests_for_a_minute(process, path, content):
    """Earlier requests are unknown, so no process sends any; then the file is rewritten."""
    clock = FakeClock()
    path.parent.mkdir()
    path.write_bytes(content)
    one, other = process(clock), process(clock)
    began = clock.now()

    assert [WINDOW, WINDOW] == [one.take_request_slot() - began, other.take_request_slot() - began]
    assert WINDOW == ask(other, clock) - began
    assert isinstance(json.loads(path.read_bytes()), dict)


@pytest.mark.parametrize("dies", ["before", "in the middle", "after"])
def test_a_crash_while_writing_never_frees_slots(process, monkeypatch, dies):
    """The file left behind holds its old content or is unreadable; it never says that no request was made."""

    class Dying(FileIO):
        def write(self, data):
            super().write({"before": b"", "in the middle": data[: len(data) // 2], "after": data}[dies])
            raise Crash

    clock = FakeClock()
    ask(process(clock, 1), clock)
    clock.time += MINUTE / 2
    with monkeypatch.context() as patch:
        patch.setattr("connectors.rate_limit.FileIO", Dying)
        with pytest.raises(Crash):
            process(clock, 9).take_request_slot()

    assert clock.now() < process(clock, 1).take_request_slot()


def test_the_remains_of_a_longer_file_are_unreadable(process, path):
    """A process that dies before truncating the file leaves the tail of its old content."""
    clock = FakeClock()
    for _ in range(2):
        ask(process(clock, 9), clock)
    long = path.read_bytes()
    clock.time += 2 * MINUTE
    ask(process(clock, 9), clock)
    short = path.read_bytes()
    path.write_bytes(short + long[len(short) :])

    assert len(short) < len(long)
    assert clock.now() + WINDOW == process(clock, 9).take_request_slot()


def test_a_clock_set_back_does_not_stop_other_processes(process):
    """Entries that another process dated in what is now the future count as made now."""
    clock = FakeClock(FAR_FROM_NOW)
    other = process(clock, 1)
    other.halve_pace_after_throttling()
    ask(other, clock)
    back = FakeClock()
    began = back.now()

    assert WINDOW == ask(process(back, 1), back) - began


def test_without_a_pace_file_each_process_limits_itself(tmp_path, caplog):
    """A folder that takes no file costs the sharing, logged once, and nothing else."""
    (tmp_path / "no folder").write_text("a file")
    clock = FakeClock()
    pacer = Pacer(clock, 1, shared=SharedRequestHistory(tmp_path / "no folder" / "oplead-0.pace"))
    sent = [ask(pacer, clock) for _ in range(3)]

    assert [WINDOW, WINDOW] == [later - sooner for sooner, later in pairwise(sent)]
    assert 1 == len(caplog.records)
    assert "no pace is shared" in caplog.text


def test_a_full_disk_costs_only_the_sharing(caplog):
    """It is logged once, and requests go out."""
    clock = FakeClock()
    pacer = Pacer(clock, 1, shared=SharedRequestHistory(Path("/dev/full")))
    sent = [ask(pacer, clock) for _ in range(2)]

    assert WINDOW == sent[1] - sent[0]
    assert 1 == len(caplog.records)


def test_a_lock_that_is_never_released_does_not_block(process, path):
    """A stopped process keeps its lock: the request is put off, and the end of a running one is recorded later."""
    clock = FakeClock()
    pacer, began = process(clock, 3, patience=0.05), clock.now()
    pacer.take_request_slot()
    with path.open("rb") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        with pytest.raises(Transient, match="another process holds"), slot(pacer):
            pass
        pacer.release_request_slot()
    clock.time += LONGEST_REQUEST
    ask(pacer, clock)

    assert LONGEST_REQUEST + WINDOW == process(clock, 1).take_request_slot() - began


def test_the_clock_is_never_read_while_holding_the_lock(path):
    """A sandbox's clock may stand still until the very process that waits for the file sleeps."""

    class Watched(FakeClock):
        def now(self):
            with path.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError while anyone holds it
            return super().now()

    path.parent.mkdir()
    clock = Watched()
    pacer = Pacer(clock, 1, shared=SharedRequestHistory(path))
    pacer.halve_pace_after_throttling()

    assert WINDOW == -(ask(pacer, clock) - ask(pacer, clock))


def test_the_pace_file_reveals_no_key(process, path):
    """It names the platform by a digest, holds only request times, and is readable by its owner only."""
    clock = FakeClock()
    ask(process(clock), clock)
    name = pace_file(path.parent, "https://api.example.org", "tok-0123456789").name

    assert "tok" not in name
    assert "example" not in name
    assert name != pace_file(path.parent, "https://api.example.org", "tok-other").name
    assert name != pace_file(path.parent, "https://other.example.org", "tok-0123456789").name
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert {"running", "answered", "throttled_until", "closed_until", "per_hour"} == {
        name for trace in json.loads(path.read_bytes()).values() for name in trace
    }
