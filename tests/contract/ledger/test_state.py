"""What every place of a state promises, whether it is a file or a database."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from textwrap import dedent

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, event
from sqlmodel import select

from jobs.fleet.worker import WorkerIntervals
from jobs.ledger.runs import LeaseLostError, finish_run, open_for_reading, open_locked_ledger
from jobs.ledger.schema import Run
from jobs.ledger.storage import move
from jobs.ledger.storage import postgresql as postgresql_storage
from jobs.ledger.storage.lock import LeaseHeldError
from jobs.ledger.storage.move import move_state
from jobs.ledger.storage.postgresql_state import PostgresqlState
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.ledger.storage.state_file import LedgerError, NoStateError
from tests import postgresql
from tests.builders import ACCOUNT
from tests.fakes import NIGHT
from tests.unit.ledger.storage.test_move import fail_with

HOLDER = """
    import sys, time
    from pathlib import Path
    from pydantic import SecretStr
    from jobs.ledger.storage.postgresql_state import PostgresqlState
    from jobs.ledger.storage.sqlite_state import SqliteState
    from tests.fakes import NIGHT

    kind, where, account = sys.argv[1:]
    state = SqliteState(Path(where)) if kind == "file" else PostgresqlState(SecretStr(where), account)
    with state.lock_account(now=NIGHT):
        print("held", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def database():
    """The address of a new database."""
    postgresql.needed()
    name = postgresql.server().create()
    yield postgresql.server().url(name)
    postgresql.server().drop(name)


@pytest.fixture(params=["file", "database"])
def state(request, tmp_path):
    """Where nothing is yet."""
    if request.param == "file":
        return SqliteState(tmp_path / "state.db")
    return PostgresqlState(SecretStr(request.getfixturevalue("database")), ACCOUNT)


def run(state, *, first_run=False, now=NIGHT):
    """Begin a run."""
    return open_locked_ledger(state, ACCOUNT, "run", now=now, first_run=first_run)


def runs_in(state):
    """The epochs of the runs on record."""
    with open_for_reading(state) as session:
        return [each.epoch for each in session.exec(select(Run).order_by(Run.id))]


def test_only_a_first_run_creates_a_state(state):
    """A state that is missing may be lost, and one that exists is not begun anew."""
    assert not state.exists()
    with pytest.raises(NoStateError), run(state):
        pass
    with pytest.raises(NoStateError), open_for_reading(state):
        pass
    with run(state, first_run=True) as ledger:
        finish_run(ledger, 0, now=NIGHT)

    assert state.exists()
    with pytest.raises(LedgerError, match="this account has its state already"), run(state, first_run=True):
        pass
    with run(state):
        pass
    assert [1, 2] == runs_in(state)


def test_one_run_holds_an_account(state):
    """The second one is told who does."""
    with run(state, first_run=True), pytest.raises(LeaseHeldError, match=r"another run holds this account \(process"):
        run(state).__enter__()
    with run(state):
        pass


def test_a_killed_holder_holds_nothing(state):
    """The lock ends with its process."""
    with run(state, first_run=True):
        pass
    where = ("file", state.path) if isinstance(state, SqliteState) else ("database", state.url.get_secret_value())
    holder = subprocess.Popen(
        [sys.executable, "-c", dedent(HOLDER), *map(str, where), ACCOUNT], stdout=subprocess.PIPE, text=True
    )
    try:
        assert "held\n" == holder.stdout.readline()
        with pytest.raises(LeaseHeldError):
            run(state).__enter__()
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        holder.stdout.close()
    with run(state):
        pass


def test_a_run_that_was_taken_over_writes_no_more(state):
    """It lost its lock without noticing, as a process that was paused and cut off does."""
    with run(state, first_run=True) as ledger:
        engine = state.open_engine(for_writing=True)
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE lease SET epoch = epoch + 1")
        engine.dispose()
        with pytest.raises(LeaseLostError), ledger.write_transaction():
            pass


def test_what_is_tried_on_a_copy_stays_there(state):
    """A rehearsal begins where the account stands, and leaves nothing."""
    with state.open_temporary_copy() as copy, run(copy, first_run=False):
        assert [1] == runs_in(copy)
    assert not state.exists()
    with run(state, first_run=True):
        pass
    with state.open_temporary_copy() as copy, run(copy):
        assert [1, 2] == runs_in(copy)

    assert [1] == runs_in(state)


def test_errors_of_a_block_that_holds_a_state_are_its_own(state):
    """Only the state's own errors are explained as such."""
    with pytest.raises(ConnectionResetError), state.lock_account(now=NIGHT):
        raise ConnectionResetError


def test_a_ledger_moved_to_a_database_goes_on_there(tmp_path, database):
    """With the next epoch, and closed where it was."""
    file, target = SqliteState(tmp_path / "state.db"), PostgresqlState(SecretStr(database), ACCOUNT)
    with run(file, first_run=True) as ledger:
        finish_run(ledger, 0, now=NIGHT)

    assert 0 < move_state(file, target, ACCOUNT, now=NIGHT)
    assert 0 == move_state(file, target, ACCOUNT, now=NIGHT)
    with run(target):
        pass
    assert [1, 2] == runs_in(target)
    with pytest.raises(LedgerError, match="was moved to postgresql://"), run(file):
        pass


@pytest.fixture
def file(tmp_path):
    """A ledger in a file."""
    made = SqliteState(tmp_path / "state.db")
    with run(made, first_run=True) as ledger:
        finish_run(ledger, 0, now=NIGHT)
    return made


def move_to(target, file):
    """Move it, and return how many rows were moved now."""
    return move_state(file, target, ACCOUNT, now=NIGHT)


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from pydantic import SecretStr
    from jobs.ledger.storage import move
    from jobs.ledger.storage.postgresql_state import PostgresqlState
    from jobs.ledger.storage.sqlite_state import SqliteState
    from tests.fakes import NIGHT

    file, where, account = sys.argv[1:]
    move.mark_moved = lambda _path: os.kill(os.getpid(), signal.SIGKILL)
    move.move_state(SqliteState(Path(file)), PostgresqlState(SecretStr(where), account), account, now=NIGHT)
"""


def test_a_move_to_a_database_that_is_killed_once_it_is_committed_is_found_done(file, database):
    """Between the two, neither has a run but the database."""
    died = subprocess.run([sys.executable, "-c", dedent(KILLED), file.path, database, ACCOUNT], check=False, timeout=60)
    assert -signal.SIGKILL == died.returncode
    target = PostgresqlState(SecretStr(database), ACCOUNT)
    with pytest.raises(LedgerError, match="repeat `oplead-sync state move`"), run(file):
        pass
    with run(target):
        pass

    assert 0 == move_to(target, file)
    with pytest.raises(LedgerError, match="was moved to postgresql://"), run(file):
        pass
    assert [1, 2] == runs_in(target)


def test_a_file_stays_closed_while_an_earlier_commit_may_still_land(file, database, monkeypatch):
    """The server may be busy with it when nobody listens any more, and shows nothing of it meanwhile."""
    target, opened, landing = PostgresqlState(SecretStr(database), ACCOUNT), move._opened, ExitStack()

    @contextmanager
    def unanswered(target, *, for_writing):
        yield landing.enter_context(opened(target, for_writing=for_writing))
        if for_writing:
            raise LedgerError("the server ended the connection")

    monkeypatch.setattr(postgresql_storage, "_LOCK_SECONDS", 1)
    with landing:
        monkeypatch.setattr(move, "_opened", unanswered)
        with pytest.raises(LedgerError, match="stays closed to runs: repeat this"):
            move_to(target, file)
        monkeypatch.setattr(move, "_opened", opened)
        with pytest.raises(LedgerError, match="stays closed to runs: repeat this"):
            move_to(target, file)
        with pytest.raises(LedgerError, match="repeat `oplead-sync state move`"), run(file):
            pass

    assert 0 == move_to(target, file)
    assert [1] == runs_in(target)


def test_a_file_is_opened_where_nothing_of_an_earlier_copy_can_land(file, database, monkeypatch):
    """What was begun before has ended, and nothing is there."""
    target, copy = PostgresqlState(SecretStr(database), ACCOUNT), move._copy
    monkeypatch.setattr(move, "_copy", fail_with(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        move_to(target, file)
    monkeypatch.setattr(move, "_copy", copy)
    monkeypatch.setattr(move, "copy_rows", lambda _source, _target: 0)
    with pytest.raises(LedgerError, match="Nothing was moved, and runs use"):
        move_to(target, file)

    with run(file):
        pass


def test_accounts_of_a_database_see_nothing_of_each_other(database):
    """Each has runs of its own, and its lock keeps nobody else out."""
    one, other = (PostgresqlState(SecretStr(database), name) for name in (ACCOUNT, "maison-autre"))
    with run(one, first_run=True), open_locked_ledger(other, "maison-autre", "run", now=NIGHT, first_run=True):
        assert [1] == runs_in(one)
        assert [1] == runs_in(other)


def test_a_held_account_does_not_keep_the_server_from_cleaning_up(database):
    """A night may last for hours, and hundreds do at a time: what a transaction still sees is kept for it."""
    with (
        PostgresqlState(SecretStr(database), ACCOUNT).lock_account(now=NIGHT),
        postgresql.server().connect() as connection,
    ):
        held = "SELECT backend_xid, backend_xmin FROM pg_stat_activity WHERE state = 'idle in transaction'"
        assert [(None, None)] == connection.execute(held).fetchall()


@pytest.fixture
def networked():
    """The account's state in a new database that is reached over the network."""
    postgresql.needed()
    name = postgresql.server().create()
    yield PostgresqlState(SecretStr(postgresql.server().url(name, over_network=True)), ACCOUNT)
    postgresql.server().drop(name)


@pytest.fixture
def used():
    """The connections that were used, the last one last."""
    connections = []

    def note(connection, *_statement):
        connections.append(connection)

    event.listen(Engine, "before_cursor_execute", note)
    yield connections
    event.remove(Engine, "before_cursor_execute", note)


def test_account_of_a_machine_that_is_gone_is_free_before_a_fleet_gives_it_to_another(networked, used):
    """Nobody ends its connection; the server has to ask. The last heartbeat may be older than the last answer."""
    with networked.lock_account(now=NIGHT):
        names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
        idle, interval, count = (int(used[-1].exec_driver_sql(f"SHOW {name}").scalar()) for name in names)

        pace = WorkerIntervals()
        assert idle + interval * count <= pace.dead_after - 2 * pace.heartbeat


def test_a_server_that_is_gone_is_noticed_within_a_minute(networked, used):
    """Whether it owes an answer or a night goes by without a word."""
    with (
        networked.lock_account(now=NIGHT),
        socket.socket(fileno=os.dup(used[-1].connection.driver_connection.fileno())) as connected,
    ):
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        idle, interval, count, unanswered = (connected.getsockopt(socket.IPPROTO_TCP, name) for name in names)

        assert 60 >= idle + interval * count
        assert 60_000 == unanswered


def test_no_timeout_of_the_server_ends_a_lease(networked, used):
    """A night says nothing over its connection for as long as it takes."""
    with networked.lock_account(now=NIGHT):
        limits = "SELECT name, setting FROM pg_settings WHERE name ~ 'transaction(_session)?_timeout'"

        assert {"0"} == {row.setting for row in used[-1].exec_driver_sql(limits)}
