"""A ledger is moved whole or not at all, and never are two of them live."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import timedelta
from textwrap import dedent

import pytest

from jobs.ledger.runs import open_locked_ledger
from jobs.ledger.storage import move
from jobs.ledger.storage.lock import LeaseHeldError, lock_path
from jobs.ledger.storage.move import _opened, move_state
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.ledger.storage.state_file import LedgerError, state_file_kind
from tests import quick
from tests.builders import ACCOUNT, hold
from tests.fakes import NIGHT
from tests.unit.ledger.retention.test_erasure import fill
from tests.unit.ledger.storage.test_migrations import contents

KILLED = """
    import os, signal, sys
    from pathlib import Path
    from sqlalchemy import Engine, event
    from jobs.ledger.storage.move import move_state
    from jobs.ledger.storage.sqlite_state import SqliteState
    from tests.fakes import NIGHT

    left = int(sys.argv[3])

    def die(*_args):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", die)
    event.listen(Engine, "commit", die)
    move_state(SqliteState(Path(sys.argv[1])), SqliteState(Path(sys.argv[2])), "maison-test", now=NIGHT)
"""


@pytest.fixture
def filled(tmp_path, clock):
    """A state with rows in every table about leads."""
    path = quick.with_state(tmp_path / "here" / "state.db")
    with hold(path, clock) as ledger, ledger.write_transaction() as session:
        fill(session)
    return SqliteState(path)


@pytest.fixture
def elsewhere(tmp_path):
    """Where it is moved."""
    (tmp_path / "there").mkdir()
    return SqliteState(tmp_path / "there" / "state.db")


def moved(source, target, account=ACCOUNT, inboxes=None):
    """Move it."""
    return move_state(source, target, account, now=NIGHT, inboxes=inboxes)


def arrived(source, target):
    """What came there; beside it, the new place remembers only which file it came from."""
    found = contents(target.path)
    expected = [{"account": ACCOUNT, "path": str(source.path), "is_state": 1, "identity": None}]
    assert expected == found["former_file"]
    return found | {"former_file": []}


def test_every_row_is_there_and_the_old_state_is_sealed(filled, elsewhere, clock):
    """The next run begins there where the last one ended here, and none begins here."""
    before = contents(filled.path)

    assert sum(map(len, before.values())) == moved(filled, elsewhere)
    assert before == arrived(filled, elsewhere)
    with pytest.raises(LedgerError, match=f"was moved to {elsewhere}: write that place"):
        hold(filled.path, clock).__enter__()
    with hold(elsewhere.path, clock) as ledger:
        assert before["lease"][0]["epoch"] + 1 == ledger.epoch


def test_moving_again_changes_nothing(filled, elsewhere, clock):
    """What has run there since stays."""
    moved(filled, elsewhere)
    with hold(elsewhere.path, clock):
        pass
    after = contents(elsewhere.path)

    assert 0 == moved(filled, elsewhere)
    assert after == contents(elsewhere.path)


def test_moving_again_remembers_files_that_were_not_remembered(filled, elsewhere):
    """One moved by a version that remembered none; an inbox named or made since; what is gone by now stays known."""
    moved(filled, elsewhere)
    with closing(sqlite3.connect(elsewhere.path)) as connection, connection:
        connection.execute("DELETE FROM former_file")
    inbox = filled.path.with_name("inbox.db")
    for identity in (None, "a1", None):
        assert 0 == moved(filled, elsewhere, inboxes={inbox: identity})

    assert {(str(inbox), 0, "a1"), (str(filled.path), 1, None)} == {
        (row["path"], row["is_state"], row["identity"]) for row in contents(elsewhere.path)["former_file"]
    }


@pytest.mark.parametrize("statement", [1, 3, 10, 25, 40, 70, 75])
def test_a_killed_move_can_be_repeated(filled, elsewhere, clock, statement):
    """Wherever it dies, at most one state is live, and repeated it ends the same."""
    before = contents(filled.path)
    arguments = [str(filled.path), str(elsewhere.path), str(statement)]
    died = subprocess.run([sys.executable, "-c", dedent(KILLED), *arguments], check=False, timeout=60)

    assert -signal.SIGKILL == died.returncode
    assert 1 >= can_run(filled, clock) + can_run_with_rows(elsewhere)
    moved(filled, elsewhere)
    assert before == arrived(filled, elsewhere)
    assert not can_run(filled, clock)


def can_run(state, clock):
    """Whether a run could begin there."""
    try:
        with state.lock_account(now=clock.now()):
            return state.exists()
    except LedgerError:
        return False


def can_run_with_rows(state):
    """Whether a run there would find what is on record."""
    return state.path.exists() and state.exists() and bool(contents(state.path).get("lease"))


# ── repeated ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def interrupted(filled, elsewhere, monkeypatch):
    """How to begin a move that ends at a step of it, as if killed there."""

    def interrupting(step):
        with monkeypatch.context() as patched:
            patched.setattr(move, step, fail_with(KeyboardInterrupt()))
            with pytest.raises(KeyboardInterrupt):
                moved(filled, elsewhere)

    return interrupting


def test_a_state_that_is_being_moved_says_to_repeat_it(filled, clock, interrupted):
    """Its new place may have nothing yet, and a first run there would send everything again."""
    interrupted("_copy")
    with pytest.raises(LedgerError, match="that was interrupted: repeat `oplead-sync state move`"):
        hold(filled.path, clock).__enter__()


def test_a_move_that_was_kept_and_not_marked_is_found_so(filled, elsewhere, clock, interrupted):
    """Also where a run has gone on there since."""
    interrupted("mark_moved")
    with hold(elsewhere.path, clock):
        pass
    after = contents(elsewhere.path)

    assert 0 == moved(filled, elsewhere)
    assert after == contents(elsewhere.path)
    with pytest.raises(LedgerError, match=f"was moved to {elsewhere}: write that place"):
        hold(filled.path, clock).__enter__()


@pytest.mark.parametrize("step", ["_copy", "mark_moved"])
def test_a_ledger_that_was_begun_there_is_not_taken_for_the_one_moved(filled, elsewhere, clock, interrupted, step):
    """A worker whose settings named the new place too early would seem to have all that was sent."""
    interrupted(step)
    elsewhere.path.unlink(missing_ok=True)
    lock_path(elsewhere.path).unlink(missing_ok=True)
    clock.time += timedelta(hours=1)
    with hold(elsewhere.path, clock):
        pass
    with pytest.raises(LedgerError, match=f"{elsewhere}: this account's state there does not go on from {filled}"):
        moved(filled, elsewhere)

    assert not can_run(filled, clock)


def test_a_ledger_without_the_last_request_is_not_the_one_moved(filled, elsewhere, interrupted):
    """Both begin with the same run: what it sent is what matters."""
    interrupted("mark_moved")
    with closing(sqlite3.connect(elsewhere.path)) as connection, connection:
        connection.execute("UPDATE request SET sent_at = '2020-01-01 00:00:00.000000'")
    with pytest.raises(LedgerError, match="does not go on from"):
        moved(filled, elsewhere)


def test_a_ledger_that_is_gone_from_there_is_not_moved_again(filled, elsewhere, clock):
    """What was sent from there is not in the file."""
    moved(filled, elsewhere)
    elsewhere.path.unlink()
    with pytest.raises(LedgerError, match="has no state there any more: restore it from a backup from after the move"):
        moved(filled, elsewhere)

    assert not can_run(filled, clock)


def test_a_move_begun_to_one_place_does_not_end_in_another(filled, elsewhere, tmp_path):
    """Two places would each have the whole ledger."""
    moved(filled, elsewhere)
    with pytest.raises(LedgerError, match=f"was moved to {elsewhere}, or is being moved: name that place"):
        moved(filled, SqliteState(tmp_path / "other.db"))


# ── refused before anything is changed ───────────────────────────────────────────────────────────


def refused(source, target, account=ACCOUNT):
    """Why it is not moved; its file is as it was, and nothing is there."""
    before = [source.path.stat().st_size, state_file_kind(source.path)]
    with pytest.raises(LedgerError) as caught:
        moved(source, target, account)
    assert before == [source.path.stat().st_size, state_file_kind(source.path)]
    assert not target.path.exists()
    return str(caught.value)


def test_another_ledger_there_is_left_alone(filled, elsewhere, clock):
    """Nothing is moved, and the state here goes on."""
    quick.with_state(elsewhere.path)
    with pytest.raises(LedgerError, match="has a state there already, so nothing was moved"):
        moved(filled, elsewhere)

    assert can_run(filled, clock)


def test_another_accounts_state_is_not_moved(filled, elsewhere):
    """Its rows would be nobody's there."""
    assert f"this state holds account '{ACCOUNT}', not 'another'" in refused(filled, elsewhere, "another")


def test_a_state_that_no_run_used_is_not_moved(tmp_path, elsewhere):
    """There, nobody could tell it from none."""
    unused = SqliteState(quick.with_state(tmp_path / "here" / "state.db"))

    assert "no run has used this state, so there is nothing to move" in refused(unused, elsewhere)


def test_a_damaged_state_is_not_moved(filled, elsewhere):
    """It stays where its backup is restored to."""
    with closing(sqlite3.connect(filled.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'status_change'").fetchone()
    damaged = bytearray(filled.path.read_bytes())
    damaged[(page - 1) * size : page * size] = b"\xff" * size
    filled.path.write_bytes(damaged)

    assert "it is damaged; restore it from a backup" in refused(filled, elsewhere)


def test_a_state_of_a_newer_version_is_not_moved(filled, elsewhere):
    """This version does not know what it holds."""
    with closing(sqlite3.connect(filled.path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    assert "was written by a newer oplead-sync" in refused(filled, elsewhere)


def test_an_outdated_copy_is_not_moved(filled, elsewhere):
    """Beside it lies what remembers; in the new place nothing would."""
    with filled.lock_account(now=NIGHT) as lock:
        lock.record_ledger_progress(lock.epoch + 1, lock.last_request_id)

    assert "this state is older than what was done here" in refused(filled, elsewhere)


# ── failed ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["first", "repeated"])
def attempt(request, interrupted):
    """Whether it was tried before."""
    if request.param == "repeated":
        interrupted("_copy")


@pytest.mark.usefixtures("attempt")
def test_a_copy_that_differs_is_not_kept(filled, elsewhere, clock, monkeypatch):
    """It is compared before it is committed, and runs go on with the file."""
    monkeypatch.setattr("jobs.ledger.storage.move.copy_rows", lambda _source, _target: 0)
    with pytest.raises(
        LedgerError, match=r"differs from the file; please report this. Nothing was moved, and runs use"
    ):
        moved(filled, elsewhere)

    assert not can_run_with_rows(elsewhere)
    assert can_run(filled, clock)
    with hold(filled.path, clock):
        pass


def test_a_copy_that_may_have_been_kept_leaves_the_file_closed(filled, elsewhere, clock, monkeypatch):
    """The answer to a commit may get lost; repeated, it ends."""
    before = contents(filled.path)
    with monkeypatch.context() as patched:
        patched.setattr(move, "_opened", uncommitted)
        with pytest.raises(LedgerError, match=r"Nobody knows whether .* has kept the copy, so .* stays closed to runs"):
            moved(filled, elsewhere)
    assert not can_run(filled, clock)

    assert sum(map(len, before.values())) == moved(filled, elsewhere)
    assert before == arrived(filled, elsewhere)


def test_a_place_that_cannot_be_made_leaves_the_file_in_use(filled, elsewhere, clock, monkeypatch):
    """It is closed for no longer than something is tried."""
    monkeypatch.setattr(SqliteState, "create", fail_with(LedgerError("there is no room")))
    with pytest.raises(LedgerError, match=r"there is no room\. Nothing was moved"):
        moved(filled, elsewhere)

    assert can_run(filled, clock)


@contextmanager
def uncommitted(target, *, for_writing):
    """A transaction that is cut while it commits."""
    with _opened(target, for_writing=for_writing) as there:
        yield there
        if for_writing:
            raise LedgerError("the server ended the connection")


def fail_with(error):
    """What fails with it."""

    def failing(*_args, **_options):
        raise error

    return failing


def test_a_state_that_a_run_holds_is_not_moved(filled, elsewhere, clock):
    """The run goes on."""
    with hold(filled.path, clock), pytest.raises(LeaseHeldError):
        moved(filled, elsewhere)

    with open_locked_ledger(filled, ACCOUNT, "run", now=clock.now()) as ledger, ledger.read_transaction():
        pass
