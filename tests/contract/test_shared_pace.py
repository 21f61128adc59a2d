"""One pace for all machines that use one token, through the database of their accounts' states."""

import subprocess
import sys
from contextlib import closing

import pytest
from pydantic import SecretStr

from connectors.rate_limit import LONGEST_REQUEST, WINDOW
from jobs.settings.oplead_schema import OpleadSettings
from jobs.settings.types import StateDatabase
from jobs.wiring.oplead import pacer_for
from tests import postgresql
from tests.fakes import FakeClock, slot

TAKE_ALL = """
import sys, threading
from pathlib import Path
from pydantic import SecretStr
from jobs.settings.oplead_schema import OpleadSettings
from jobs.settings.types import StateDatabase
from jobs.wiring.oplead import pacer_for
from tests.fakes import FakeClock

oplead = OpleadSettings(rate=60, base_url="https://crm.example.org", token="tok-1")
pacer = pacer_for(oplead, FakeClock(), state=StateDatabase(SecretStr(sys.argv[1]), Path("/")))
taken = []
print("ready", flush=True)
sys.stdin.readline()
def work():
    while pacer.take() is None:
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
    """Makes the pacer of another machine on the same clock."""
    made = []

    def make(clock, *, rate=2, mark=1):
        oplead = OpleadSettings(rate=rate, base_url="https://crm.example.org", token=f"tok-{mark}")
        state = StateDatabase(SecretStr(postgresql.server().url(database)), tmp_path)
        made.append(pacer_for(oplead, clock, state=state))
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
        assert None is other.take()
        assert clock.now() < one.take()
    assert None is machine(clock, mark=2).take()
    clock.time += LONGEST_REQUEST + WINDOW
    one.halve_pace_after_throttling()
    with slot(machine(clock)):
        assert clock.now() < one.take()


def test_an_unreadable_row_stops_all_requests_for_a_minute(machine, database):
    """Nobody knows what it counted."""
    clock = FakeClock()
    with slot(machine(clock)):
        pass
    with closing(postgresql.server().connect(database)) as connection:
        connection.execute("UPDATE pace SET history = '{'")

    assert clock.now() + WINDOW == machine(clock).take()


def test_an_outage_does_not_stop_reading(machine, database, caplog):
    """The process paces itself alone from then on, and says so once."""
    clock = FakeClock()
    pacer = machine(clock)
    with slot(pacer):
        postgresql.server().execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        ours = f"FROM pg_stat_activity WHERE datname = '{database}'"
        postgresql.server().execute(f"SELECT pg_terminate_backend(pid, 10000) {ours}")
    with slot(pacer):
        pass

    assert clock.now() < pacer.take()
    assert 1 == caplog.text.count("no pace is shared with other processes: postgresql://")
