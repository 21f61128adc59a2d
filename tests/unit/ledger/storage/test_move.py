"""A ledger is moved whole or not at all, and never are two of them live."""

import signal
import subprocess
import sys
from textwrap import dedent

import pytest

from jobs.ledger.runs import open_locked_ledger
from jobs.ledger.storage.lock import LeaseHeldError
from jobs.ledger.storage.move import move_state
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.ledger.storage.state_file import LedgerError
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
    move_state(SqliteState(Path(sys.argv[1])), SqliteState(Path(sys.argv[2])), now=NIGHT)
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


def test_every_row_is_there_and_the_old_state_is_sealed(filled, elsewhere, clock):
    """The next run begins there where the last one ended here, and none begins here."""
    before = contents(filled.path)

    assert sum(map(len, before.values())) == move_state(filled, elsewhere, now=NIGHT)
    assert before == contents(elsewhere.path)
    with pytest.raises(LedgerError, match=f"was moved to {elsewhere}, or is being moved: write that place"):
        hold(filled.path, clock).__enter__()
    with hold(elsewhere.path, clock) as ledger:
        assert before["lease"][0]["epoch"] + 1 == ledger.epoch


def test_moving_again_changes_nothing(filled, elsewhere, clock):
    """What has run there since stays."""
    move_state(filled, elsewhere, now=NIGHT)
    with hold(elsewhere.path, clock):
        pass
    after = contents(elsewhere.path)

    assert 0 == move_state(filled, elsewhere, now=NIGHT)
    assert after == contents(elsewhere.path)


@pytest.mark.parametrize("statement", [1, 3, 10, 25, 40, 70, 75])
def test_a_killed_move_can_be_repeated(filled, elsewhere, clock, statement):
    """Wherever it dies, at most one state is live, and repeated it ends the same."""
    before = contents(filled.path)
    arguments = [str(filled.path), str(elsewhere.path), str(statement)]
    died = subprocess.run([sys.executable, "-c", dedent(KILLED), *arguments], check=False, timeout=60)

    assert -signal.SIGKILL == died.returncode
    assert 1 >= can_run(filled, clock) + can_run_with_rows(elsewhere)
    move_state(filled, elsewhere, now=NIGHT)
    assert before == contents(elsewhere.path)
    assert not can_run(filled, clock)


def can_run(state, clock):
    """Whether a run could begin there."""
    try:
        with state.hold(now=clock.now()):
            return state.exists()
    except LedgerError:
        return False


def can_run_with_rows(state):
    """Whether a run there would find what is on record."""
    return state.path.exists() and state.exists() and bool(contents(state.path).get("lease"))


def test_another_ledger_there_is_left_alone(filled, elsewhere, clock):
    """Nothing is moved, and the state here goes on."""
    quick.with_state(elsewhere.path)
    with pytest.raises(LedgerError, match="has a state there already, so nothing was moved"):
        move_state(filled, elsewhere, now=NIGHT)

    assert can_run(filled, clock)


def test_a_move_begun_to_one_place_does_not_end_in_another(filled, elsewhere, tmp_path):
    """Two places would each have the whole ledger."""
    move_state(filled, elsewhere, now=NIGHT)
    with pytest.raises(LedgerError, match=f"was moved to {elsewhere}, or is being moved: name that place"):
        move_state(filled, SqliteState(tmp_path / "other.db"), now=NIGHT)


def test_a_copy_that_differs_is_not_kept(filled, elsewhere, monkeypatch):
    """It is compared before it is committed."""
    monkeypatch.setattr("jobs.ledger.storage.move.copy_rows", lambda _source, _target: 0)
    with pytest.raises(LedgerError, match="differs from the file, so nothing was kept of it"):
        move_state(filled, elsewhere, now=NIGHT)

    assert not can_run_with_rows(elsewhere)


def test_a_state_that_a_run_holds_is_not_moved(filled, elsewhere, clock):
    """The run goes on."""
    with hold(filled.path, clock), pytest.raises(LeaseHeldError):
        move_state(filled, elsewhere, now=NIGHT)

    with open_locked_ledger(filled, ACCOUNT, "run", now=clock.now()) as ledger, ledger.read_transaction():
        pass
