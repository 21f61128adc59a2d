"""Two runs at once: one works, the other leaves; and a run that lost its account writes nothing more."""

import json
import re
import signal
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from jobs.ledger.runs import LeaseHeldError, LeaseLostError

PATIENCE_SECONDS = 30
HELD = 75


class Gate:
    """Holds up every request to Oplead until it is opened: whoever waits there is in the middle of its night."""

    def __init__(self, company):
        self.reached = threading.Event()
        self.opened = threading.Event()
        company.before("oplead", "/v1/leads", self._pass)

    def _pass(self, _):
        self.reached.set()
        self.opened.wait(PATIENCE_SECONDS)


@pytest.fixture
def gate(company):
    """A gate before Oplead, open at the end whatever happens."""
    made = Gate(company)
    yield made
    made.opened.set()


def sold(company, number=1):
    """A lead with two conversions to be told."""
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
    """Another run takes the account, as one on a machine that does not see our lock would."""
    with closing(sqlite3.connect(company.state)) as connection, connection:
        connection.execute("UPDATE lease SET epoch = epoch + 1")


def test_of_two_runs_started_together_one_works(company, gate):
    """The other leaves at once with exit code 75, names the process that holds the account, and asks no platform."""
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


def test_a_run_in_this_process_is_told_who_holds_the_account(company, gate):
    """The error names the holder's process and since when it runs."""
    with company.ended(company.start_command("run")) as holder:
        assert gate.reached.wait(PATIENCE_SECONDS)

        with pytest.raises(LeaseHeldError, match=re.escape(f"process {holder.pid}, since 2026-09-10T03:30:00+00:00")):
            company.night()

        gate.opened.set()
        holder.communicate(timeout=PATIENCE_SECONDS)

        assert 0 == holder.returncode


def test_a_killed_holder_leaves_the_account_to_the_next_run(company, gate):
    """Nobody has to take a lock away by hand: the system lets go of it when its process dies."""
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


def test_a_run_whose_account_was_taken_sends_nothing(company):
    """It stops at its next write: the intent, without which no call is made."""
    company.serve(sold(company))
    company.before("oplead", "/v1/leads", lambda _: epoch_taken(company))

    code, _, complaint = company.command("run")

    assert HELD == code
    assert "another run has taken this account over" in complaint
    assert [] == company.ingests
    assert {} == company.states()


def test_a_run_whose_account_was_taken_while_it_sends_writes_no_receipt(company):
    """What it sent is in doubt for whoever comes next, who sends the same bytes again."""
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
