"""One writer at a time, whoever dies."""

import os
import subprocess
import sys
import textwrap

import pytest

from jobs.ledger.database import LedgerError
from jobs.ledger.runs import LeaseHeldError, LeaseLostError, finish, lock_of
from jobs.ledger.schema import ConfigDigest, Lease, Run
from tests import quick
from tests.builders import ACCOUNT, hold
from tests.fakes import NIGHT

HOLDER = """
    import sys, time
    from datetime import datetime, UTC
    from pathlib import Path
    from jobs.ledger.runs import held

    with held(Path(sys.argv[1]), "maison-test", "run", now=datetime(2026, 9, 10, 3, 30, tzinfo=UTC)):
        print("held", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def holder(path):
    """Another process that holds the account; killed at the end."""
    quick.with_state(path)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert "held" == process.stdout.readline().strip()
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)
        process.stdout.close()


def test_a_second_run_is_refused_and_told_who_holds_the_account(holder, path, clock):
    """It waits for nobody and changes nothing."""
    with pytest.raises(LeaseHeldError) as caught, hold(path, clock):
        pass

    assert f"{path}: another run holds this account (process {holder.pid}, since 2026-09-10T03:30:00+00:00)" == str(
        caught.value
    )


def test_being_refused_does_not_wipe_who_holds_it(holder, path, clock):
    """The third run gets the same message as the second."""
    for _ in range(2):
        with pytest.raises(LeaseHeldError, match=f"process {holder.pid}"), hold(path, clock):
            pass


def test_a_killed_holder_holds_nothing(holder, path, clock):
    """The system lets go of its lock; the next run goes on."""
    holder.kill()
    holder.wait(timeout=10)
    with hold(path, clock) as ledger:
        assert 2 == ledger.epoch


@pytest.mark.usefixtures("ledger")
def test_within_one_process_a_second_run_is_refused_too(path, clock):
    """`schedule` cannot run an account twice at once."""
    with pytest.raises(LeaseHeldError, match=f"process {os.getpid()}"), hold(path, clock):
        pass


@pytest.mark.usefixtures("ledger")
def test_a_lock_file_without_sense_still_locks(path, clock):
    """The message does not say who holds it."""
    lock_of(path).write_text("{")
    with pytest.raises(LeaseHeldError, match=r"another run holds this account$"), hold(path, clock):
        pass


def test_every_run_has_an_epoch_of_its_own(path, clock):
    """One more than the last."""
    epochs = []
    for _ in range(3):
        with hold(path, clock) as ledger:
            epochs.append(ledger.epoch)

    assert [1, 2, 3] == epochs


def test_a_run_that_was_overtaken_writes_nothing_more(ledger):
    """Whoever took the lease over may have sent already what this one is about to."""
    with ledger.writing() as session:
        session.get(Lease, ACCOUNT).epoch += 1
    with pytest.raises(LeaseLostError, match="another run has taken this account over"), ledger.writing() as session:
        session.add(ConfigDigest(account=ACCOUNT, kind="late", digest="x"))
    with ledger.reading() as session:
        assert session.get(ConfigDigest, (ACCOUNT, "late")) is None


def test_a_lease_that_vanished_is_lost(ledger):
    """Somebody put another file there."""
    with ledger.writing() as session:
        session.delete(session.get(Lease, ACCOUNT))
    with pytest.raises(LeaseLostError), ledger.writing():
        pass


def test_losing_the_lease_is_told_apart_from_a_broken_state():
    """Both are the ledger's errors: a caller may catch the one without the other."""
    assert issubclass(LeaseLostError, LedgerError)
    assert not issubclass(LeaseHeldError, LedgerError)


def half_written(ledger):
    """A transaction that breaks off after its first statement."""
    with ledger.writing() as session:
        session.add(ConfigDigest(account=ACCOUNT, kind="half", digest="x"))
        session.flush()
        raise ZeroDivisionError


def test_an_error_in_a_transaction_keeps_nothing_of_it(ledger):
    """All or nothing."""
    with pytest.raises(ZeroDivisionError):
        half_written(ledger)
    with ledger.reading() as session:
        assert session.get(ConfigDigest, (ACCOUNT, "half")) is None


def test_a_run_is_on_record_from_its_start_to_its_end(ledger, clock):
    """With its command, its epoch and its exit code."""
    finish(ledger, 3, now=clock.now())
    with ledger.reading() as session:
        run = session.get(Run, ledger.run)

    assert ("test", 1, NIGHT, NIGHT, 3) == (run.command, run.epoch, run.started_at, run.ended_at, run.exit_code)
