"""Two runs at once: one works and the other exits, and a run that lost its lease writes nothing more."""

import json
import re
import signal
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from jobs.ledger.runs import LeaseLostError
from jobs.ledger.storage.lock import LeaseHeldError

PATIENCE_SECONDS = 30
HELD = 75


class Gate:
    """Blocks every request to Oplead until it is opened: a run that waits there is midway."""

    def __init__(self, company):
        self.reached = threading.Event()
        self.opened = threading.Event()
        company.before("oplead", "/v1/leads", self._pass)

    def _pass(self, _):
        self.reached.set()
        self.opened.wait(PATIENCE_SECONDS)


@pytest.fixture
def gate(company):
    """A gate before Oplead, always opened at the end."""
    made = Gate(company)
    yield made
    made.opened.set()


def sold(company, number=1):
    """A lead with two conversions to send."""
    return company.lead(number, ("Gagné", company.CREATED))


def first_to_end(processes):
    """The process that ends first, and the other one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for one, other in (processes, processes[::-1]):
            if one.poll() is not None:
                return one, other
        time.sleep(0.02)
    raise AssertionError("neither of two runs ended")


def epoch_taken(company):
    """Take the account's lease, as a run on a machine that does not see our lock would."""
    with closing(sqlite3.connect(company.state)) as connection, connection:
        connection.execute("UPDATE lease SET epoch = epoch + 1")


def test_second_of_two_runs_exits_with_75(company, gate):
    """It exits at once, names the process that holds the account, and contacts no platform."""
    company.serve(sold(company))
    with company.ended(company.start_command("run")) as one, company.ended(company.start_command("run")) as other:
        loser, winner = first_to_end((one, other))
        _, complaint = loser.communicate(timeout=PATIENCE_SECONDS)

        assert HELD == loser.returncode
        assert f"process {winner.pid}" in complaint
        assert "2026-09-10T03:30" in complaint
        assert [] == company.asked("oplead")  # the winner's first request is still being answered

        gate.opened.set()
        winner.communicate(timeout=PATIENCE_SECONDS)

        assert 0 == winner.returncode
    company.later()

    assert {"accepted"} == set(company.states().values())
    assert [] == company.disagreements()
    assert 2 == len(company.ingests)


def test_lease_error_names_the_holder_and_its_start(company, gate):
    """The error gives the process id and the start time."""
    with company.ended(company.start_command("run")) as holder:
        assert gate.reached.wait(PATIENCE_SECONDS)

        with pytest.raises(LeaseHeldError, match=re.escape(f"process {holder.pid}, since 2026-09-10T03:30:00+00:00")):
            company.night()

        gate.opened.set()
        holder.communicate(timeout=PATIENCE_SECONDS)

        assert 0 == holder.returncode


def test_killed_holder_frees_the_account(company, gate):
    """The system releases the lock with the process, so it is never removed by hand."""
    company.serve(sold(company))
    with company.ended(company.start_command("run")) as holder:
        assert gate.reached.wait(PATIENCE_SECONDS)
        assert holder.pid == json.loads(company.lock.read_text())["pid"]

        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=PATIENCE_SECONDS)
    gate.opened.set()

    assert 0 == company.night().exit_code

    company.later()

    assert {"accepted"} == set(company.states().values())
    assert [] == company.disagreements()


def test_run_that_lost_its_lease_sends_nothing(company):
    """It stops at its next write: the intent, without which no call is made."""
    company.serve(sold(company))
    company.before("oplead", "/v1/leads", lambda _: epoch_taken(company))

    code, _, complaint = company.command("run")

    assert HELD == code
    assert "another run has taken this account over" in complaint
    assert [] == company.ingests
    assert {} == company.states()


def test_run_losing_its_lease_while_sending_writes_no_receipt(company):
    """Its upload is in doubt for the next run, which replays the same bytes."""
    company.serve(sold(company))
    taking = iter([lambda: epoch_taken(company)])
    company.before("data_manager", "/v1/events:ingest", lambda _: next(taking, lambda: None)())

    with pytest.raises(LeaseLostError):
        company.night()

    assert {"appointment": "in_flight", "sale": "pending"} == {
        conversion: state for (_, conversion), state in company.states().items()
    }

    summary = company.night()

    assert 1 == summary.recovered

    company.later()

    assert {"accepted"} == set(company.states().values())
    assert [] == company.disagreements()
