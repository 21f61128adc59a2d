"""The lease allows one writer at a time, whichever process dies."""

import os
import subprocess
import sys
import textwrap
from datetime import timedelta

import pytest

from jobs.ledger.runs import LeaseLostError, finish_run
from jobs.ledger.schema import ConfigDigest, Lease, Run
from jobs.ledger.storage.lock import LeaseHeldError, lock_path
from jobs.ledger.storage.state_file import LedgerError
from tests import quick
from tests.builders import ACCOUNT, hold
from tests.fakes import NIGHT

HOLDER = """
    import sys, time
    from datetime import datetime, UTC
    from pathlib import Path
    from jobs.ledger.runs import open_locked_ledger
    from jobs.ledger.storage.sqlite_state import SqliteState

    now = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
    with open_locked_ledger(SqliteState(Path(sys.argv[1])), "maison-test", "run", now=now):
        print("held", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def holder(path):
    """Another process that holds the lease and is killed at the end."""
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


def test_second_run_is_refused_with_the_holder_named(holder, path, clock):
    """It does not wait, and changes nothing."""
    with pytest.raises(LeaseHeldError) as caught, hold(path, clock):
        pass

    assert f"{path}: another run holds this account (process {holder.pid}, since 2026-09-10T03:30:00+00:00)" == str(
        caught.value
    )


def test_refusal_keeps_the_holder_on_record(holder, path, clock):
    """A third run gets the same message as the second."""
    for _ in range(2):
        with pytest.raises(LeaseHeldError, match=f"process {holder.pid}"), hold(path, clock):
            pass


def test_lease_of_a_killed_holder_is_released(holder, path, clock):
    """The system releases its lock, and the next run continues with the next epoch."""
    holder.kill()
    holder.wait(timeout=10)
    with hold(path, clock) as ledger:
        assert 2 == ledger.epoch


@pytest.mark.usefixtures("ledger")
def test_second_run_in_the_same_process_is_refused(hold_again):
    """`schedule` cannot run an account twice at once."""
    with pytest.raises(LeaseHeldError, match=f"process {os.getpid()}"), hold_again():
        pass


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("database", ["sqlite"])
def test_unreadable_lock_file_still_locks(path, clock):
    """The message then names no holder."""
    lock_path(path).write_text("{")
    with pytest.raises(LeaseHeldError, match=r"another run holds this account$"), hold(path, clock):
        pass


def test_each_run_increments_the_epoch(hold_again):
    """The first run has epoch 1."""
    epochs = []
    for _ in range(3):
        with hold_again() as ledger:
            epochs.append(ledger.epoch)

    assert [1, 2, 3] == epochs


def test_overtaken_run_writes_nothing_more(ledger):
    """The new lease holder may already have sent what this run is about to send."""
    with ledger.write_transaction() as session:
        session.get(Lease, ACCOUNT).epoch += 1
    with (
        pytest.raises(LeaseLostError, match="another run has taken this account over"),
        ledger.write_transaction() as session,
    ):
        session.add(ConfigDigest(account=ACCOUNT, kind="late", digest="x"))
    with ledger.read_transaction() as session:
        assert session.get(ConfigDigest, (ACCOUNT, "late")) is None


@pytest.mark.parametrize("other", [{"pid": 1}, {"started_at": NIGHT + timedelta(microseconds=1)}])
def test_a_run_of_a_restored_state_has_the_same_epoch_and_another_holder(ledger, other):
    """The backup was one run behind, so its next run counted up to this run's own epoch."""
    with ledger.write_transaction() as session:
        session.get(Lease, ACCOUNT).sqlmodel_update(other)
    with pytest.raises(LeaseLostError), ledger.write_transaction():
        pass


def test_deleted_lease_row_counts_as_lost(ledger):
    """Another file may have replaced the state."""
    with ledger.write_transaction() as session:
        session.delete(session.get(Lease, ACCOUNT))
    with pytest.raises(LeaseLostError), ledger.write_transaction():
        pass


def test_only_a_lost_lease_is_a_ledger_error():
    """A caller may catch a lost lease and a held one separately."""
    assert issubclass(LeaseLostError, LedgerError)
    assert not issubclass(LeaseHeldError, LedgerError)


def half_written(ledger):
    """Begin a transaction that fails after its first statement."""
    with ledger.write_transaction() as session:
        session.add(ConfigDigest(account=ACCOUNT, kind="half", digest="x"))
        session.flush()
        raise ZeroDivisionError


def test_failed_transaction_is_rolled_back(ledger):
    """A transaction is all or nothing."""
    with pytest.raises(ZeroDivisionError):
        half_written(ledger)
    with ledger.read_transaction() as session:
        assert session.get(ConfigDigest, (ACCOUNT, "half")) is None


def test_run_is_recorded_from_start_to_end(ledger, clock):
    """The record holds its command, its epoch and its exit code."""
    finish_run(ledger, 3, now=clock.now())
    with ledger.read_transaction() as session:
        run = session.get(Run, ledger.run)

    assert ("test", 1, NIGHT, NIGHT, 3) == (run.command, run.epoch, run.started_at, run.ended_at, run.exit_code)
