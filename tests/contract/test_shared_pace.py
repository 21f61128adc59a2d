"""One pace for all machines that use one token, through the database of their accounts' states."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import event, text

from connectors.rate_limit import HISTORY, LONGEST_REQUEST, THROTTLED_FOR, WINDOW, pace_key
from jobs.settings.oplead_schema import OpleadSettings
from jobs.settings.types import StateDatabaseAddress
from jobs.wiring import pace
from jobs.wiring.oplead import pacer_for
from tests import postgresql
from tests.fakes import NIGHT, FakeClock, slot

HOUR = timedelta(hours=1)
TAKE_ALL = """
import sys, threading
from pathlib import Path
from pydantic import SecretStr
from jobs.settings.oplead_schema import OpleadSettings
from jobs.settings.types import StateDatabaseAddress
from jobs.wiring.oplead import pacer_for
from tests.fakes import FakeClock

oplead = OpleadSettings(rate=60, base_url="https://crm.example.org", token="tok-1")
pacer = pacer_for(oplead, FakeClock(), state=StateDatabaseAddress(SecretStr(sys.argv[1]), Path("/")), is_sandbox=True)
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
pacer.close()
"""


@pytest.fixture
def database():
    """The name of a new database that has the tables."""
    name = postgresql.server().create()
    yield name
    postgresql.server().drop(name)


@pytest.fixture
def machine(database, tmp_path):
    """Makes the pacer of another machine; a sandbox's clock is one for all, otherwise the server's counts."""
    made = []

    def make(clock, *, rate=2, mark=1, is_sandbox=True):
        oplead = OpleadSettings(rate=rate, base_url="https://crm.example.org", token=f"tok-{mark}")
        state = StateDatabaseAddress(SecretStr(postgresql.server().url(database)), tmp_path)
        made.append(pacer_for(oplead, clock, state=state, is_sandbox=is_sandbox))
        return made[-1]

    yield make
    for pacer in made:
        pacer.close()


def test_two_processes_take_each_slot_once(database):
    """With four threads each, they find exactly the available slots together."""
    command = [sys.executable, "-c", TAKE_ALL, postgresql.server().url(database)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    asking = [subprocess.Popen(command, **pipes) for _ in range(2)]
    assert ["ready\n"] * 2 == [one.stdout.readline() for one in asking]
    for one in asking:
        one.stdin.write("go\n")
        one.stdin.flush()
    taken = [int(one.communicate(timeout=60)[0]) for one in asking]

    assert 60 == sum(taken)
    with closing(postgresql.server().connect(database)) as connection:
        assert not [row for row in connection.execute("TABLE pace") if "tok-1" in "".join(row)]


def test_machines_with_one_token_share_its_minute(machine):
    """Another token has a pace of its own, a 429 slows all, and a dead machine's request counts no longer than any."""
    clock = FakeClock()
    one, other = machine(clock), machine(clock)
    with slot(one):
        assert None is other.take_request_slot()
        assert clock.now() < one.take_request_slot()
    assert None is machine(clock, mark=2).take_request_slot()
    clock.time += LONGEST_REQUEST + WINDOW
    one.halve_pace_after_throttling()
    with slot(machine(clock)):
        assert clock.now() < one.take_request_slot()


def test_an_unreadable_row_stops_all_requests_for_a_minute(machine, database):
    """Nobody knows what it counted."""
    clock = FakeClock()
    with slot(machine(clock)):
        pass
    with closing(postgresql.server().connect(database)) as connection:
        connection.execute("UPDATE pace SET history = '{'")

    assert clock.now() + WINDOW == machine(clock).take_request_slot()
    clock.time += WINDOW
    assert machine(clock).take_request_slot() is None


def go_away(database, *, back=False):
    """Have a database refuse connections, and cut those it has; or take them again."""
    postgresql.server().execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS {back}")
    ours = f"FROM pg_stat_activity WHERE datname = '{database}'"
    postgresql.server().execute(f"SELECT pg_terminate_backend(pid, 10000) {ours}")


def taken(pacer):
    """Take all that there is without a wait, and return how much that was."""
    count = 0
    while pacer.take_request_slot() is None:
        count += 1
        pacer.release_request_slot()
    return count


class Machines:
    """Two machines whose clocks disagree, and the server's clock, which is right."""

    def __init__(self, machine, database, skew, rate):
        self.database = database
        self.clocks = [FakeClock(NIGHT + skew), FakeClock()]
        self.server = FakeClock()
        self.pass_time(timedelta())
        self.pacers = [machine(clock, rate=rate, is_sandbox=False) for clock in self.clocks]

    def pass_time(self, span):
        """Have time pass on all clocks."""
        for clock in (*self.clocks, self.server):
            clock.time += span
        postgresql.server().set_clock(self.database, self.server.time)

    def waits(self):
        """For how long each machine has to wait now."""
        return [pacer.take_request_slot() - clock.now() for pacer, clock in zip(self.pacers, self.clocks, strict=True)]

    def rows(self):
        """What the database has about their requests."""
        with closing(postgresql.server().connect(self.database)) as connection:
            return [HISTORY.validate_json(one) for (one,) in connection.execute("SELECT history FROM pace")]


@pytest.fixture
def machines(machine, database):
    """Makes two machines; the clock of the first is ahead of the other's, which agrees with the server's."""
    return lambda skew, *, rate=2: Machines(machine, database, skew, rate)


SKEWS = pytest.mark.parametrize("skew", [timedelta(seconds=s) for s in (-7200, -20, 61, 1e8)])


@SKEWS
@pytest.mark.parametrize("first", [0, 1])
def test_no_minute_exceeds_the_limit_whatever_the_machines_clocks_say(machines, skew, first):
    """A wait is as long for all of them, and nobody's slot comes back sooner."""
    both = machines(skew, rate=4)
    early, late = both.pacers[first], both.pacers[1 - first]
    assert [3, 1] == [sum(early.take_request_slot() is None for _ in range(3)), taken(late)]
    for _ in range(3):
        early.release_request_slot()
    both.pass_time(WINDOW / 2)

    assert [WINDOW / 2] * 2 == both.waits()
    both.pass_time(WINDOW / 2)
    assert 4 == taken(late) + taken(early)
    assert {both.server.now()} == {at for row in both.rows() for at in row.answered}


@SKEWS
def test_a_429_slows_all_for_as_long_whatever_their_clocks_say(machines, skew):
    """Whoever received it."""
    both = machines(skew)
    both.pacers[0].halve_pace_after_throttling()
    counts = [taken(both.pacers[1])]
    for span in (THROTTLED_FOR - WINDOW, WINDOW):
        both.pass_time(span)
        counts.append(sum(map(taken, both.pacers)))

    assert [1, 1, 2] == counts


@SKEWS
def test_a_clock_that_is_set_gives_nobody_more(machines, skew):
    """Neither while a request is running nor after it, and it costs no wait either."""
    both = machines(timedelta())
    with slot(both.pacers[0]):
        both.clocks[0].time += skew
    with slot(both.pacers[0]):
        both.clocks[0].time += skew

    assert [WINDOW] * 2 == both.waits()


def test_a_row_is_deleted_once_it_counts_for_nothing_by_the_servers_clock(machines):
    """A machine whose clock is ahead would delete what the others go by."""
    both = machines(1000 * HOUR, rate=4)
    with slot(both.pacers[1]), slot(both.pacers[0]):
        pass
    assert 2 == len(both.rows())
    both.clocks[0].time += 1000 * HOUR
    assert 3 == 1 + taken(both.pacers[0])
    assert 2 == len(both.rows())
    both.pass_time(WINDOW)
    taken(both.pacers[0])
    assert 1 == len(both.rows())


def test_the_time_is_taken_once_the_lock_is_held(machine, database):
    """It would be earlier by the wait for it otherwise, and so would the slot's return."""
    pacer, key = machine(FakeClock(), is_sandbox=False), pace_key("https://crm.example.org/", "tok-1")
    with ThreadPoolExecutor(1) as threads, closing(postgresql.server().connect(database)) as holder:
        holder.execute("SELECT pg_advisory_lock(hashtextextended(%s, %s))", [key, pace._PACES])
        asking = threads.submit(pacer.take_request_slot)
        waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        postgresql.wait_until(lambda: holder.execute(waiting).fetchone() is not None)
        (released,) = holder.execute("SELECT clock_timestamp(), pg_advisory_unlock_all()").fetchone()[:1]
        assert asking.result(30) is None

    assert released <= pacer._own.running[0]


@SKEWS
def test_a_machine_whose_clock_is_wrong_keeps_its_pace_while_the_database_is_away(machines, database, skew):
    """Nobody tells it the time: it goes on from when it last knew it."""
    both = machines(skew)
    assert [None, None] == [pacer.take_request_slot() for pacer in both.pacers]
    for pacer in both.pacers:
        pacer.release_request_slot()
    go_away(database)

    assert [WINDOW] * 2 == both.waits()


def test_a_clock_that_is_set_back_while_the_database_is_away_stops_no_requests(machines, database):
    """What the others had asked counts for a minute more, and not until its time has come again."""
    both = machines(timedelta())
    assert [2, 0] == [taken(both.pacers[1]), taken(both.pacers[0])]
    go_away(database)
    both.clocks[0].time -= 24 * HOUR
    assert WINDOW == both.pacers[0].take_request_slot() - both.clocks[0].now()
    both.clocks[0].time += WINDOW

    assert 1 == taken(both.pacers[0])  # its part


def test_an_outage_does_not_stop_reading_and_ends(machine, database, caplog):
    """The process paces itself alone for a while, and says so once, and once that it shares again."""
    clock = FakeClock()
    pacer, other = machine(clock), machine(clock)
    with slot(pacer):
        go_away(database)
    with slot(pacer):
        pass
    assert clock.now() < pacer.take_request_slot()
    clock.time += WINDOW
    assert 2 == taken(pacer)
    go_away(database, back=True)
    assert clock.now() < pacer.take_request_slot()
    assert 1 == taken(other)  # the end of the first request is not on record yet
    clock.time += WINDOW

    assert 2 == taken(pacer) + taken(other)
    assert 1 == caplog.text.count("no pace is shared with other processes: postgresql://")
    assert 1 == caplog.text.count("the pace is shared with other processes again: postgresql://")


def test_processes_that_shared_a_pace_stay_within_it_while_the_database_is_away(machine, database):
    """Each presumes that those it has seen ask as often as it does itself."""
    clock = FakeClock()
    both = [machine(clock, rate=6) for _ in range(2)]
    assert [None, None] == [each.take_request_slot() for each in both]
    for each in both:
        each.release_request_slot()
    clock.time += WINDOW / 2
    with slot(both[0]), slot(both[1]):
        go_away(database)
    minutes = []
    for _ in range(3):
        minutes.append([taken(each) for each in both])
        clock.time += WINDOW

    assert [3, 3] == minutes[2]
    assert 6 >= max(map(sum, minutes))


@pytest.fixture
def contended(database, monkeypatch):
    """Holds the lock of every pace; a wait for it is short."""
    monkeypatch.setattr(pace, "_HOLD", text(pace._HOLD.text.replace("'1s'", "'20ms'")))
    with closing(postgresql.server().connect(database)) as holder:
        key = pace_key("https://crm.example.org/", "tok-1")
        holder.execute("SELECT pg_advisory_lock(hashtextextended(%s, %s))", [key, pace._PACES])
        yield holder


def test_a_slow_moment_costs_no_sharing(machine, contended, caplog):
    """What another process holds for a while is waited for."""
    clock = FakeClock()
    pacer, waits = machine(clock), []
    shared = pacer._shared._database
    shared.engine_for_account("", for_writing=True)

    @event.listens_for(shared._engine, "handle_error")
    def _on_error(context):
        waits.append(context.original_exception.sqlstate)
        contended.execute("SELECT pg_advisory_unlock_all()")

    with slot(pacer):
        assert None is machine(clock).take_request_slot()
        assert clock.now() < machine(clock).take_request_slot()

    assert ["55P03"] == waits
    assert not caplog.text


def test_a_lock_that_is_never_released_blocks_nobody(machine, contended, caplog):
    """The process goes on alone, and with the others once the lock is free."""
    clock = FakeClock()
    pacer = machine(clock)
    pacer._shared._patience = 0.05
    assert 2 == taken(pacer)
    contended.execute("SELECT pg_advisory_unlock_all()")
    clock.time += WINDOW
    with slot(machine(clock)):
        assert 1 == taken(pacer)

    assert ["no pace", "the pace"] == [each.getMessage()[:8].strip() for each in caplog.records]


def test_a_serialization_failure_is_tried_again(machine, database, caplog):
    """Everything of that transaction is done anew."""
    with closing(postgresql.server().connect(database, postgresql.OWNER)) as connection:
        connection.execute("""
            CREATE SEQUENCE tried;
            CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('tried') = 1 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF;
                RETURN new;
            END $$;
            CREATE TRIGGER fail_once BEFORE INSERT ON pace FOR EACH ROW EXECUTE FUNCTION fail_once()
        """)
    clock = FakeClock()
    with slot(machine(clock)):
        assert 1 == taken(machine(clock))

    assert not caplog.text
