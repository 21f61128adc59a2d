"""The state file: commits persist, and an unusable file yields advice."""

import contextlib
import gc
import sqlite3
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Dialect, Engine, text
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlmodel import Session, SQLModel

from jobs.ledger.runs import finish_run, open_snapshot
from jobs.ledger.schema import ConfigDigest
from jobs.ledger.storage import database as engine_module
from jobs.ledger.storage.database import copy_state, create_state, open_engine
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.ledger.storage.state_file import LedgerError, explaining_errors, has_state
from tests import quick
from tests.builders import hold


@contextlib.contextmanager
def opened(path, *, for_writing=True):
    """An engine for an existing state, closed at the end."""
    engine = open_engine(quick.with_state(path), for_writing=for_writing)
    try:
        yield engine
    finally:
        engine.dispose()


@contextlib.contextmanager
def raw(path):
    """The file opened by plain SQLite."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def refused(path, *, for_writing=True):
    """The message an operator sees."""
    with pytest.raises(LedgerError) as caught:
        open_engine(path, for_writing=for_writing)
    return str(caught.value)


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000), ("secure_delete", 1)],
)
def test_every_connection_sets_its_pragmas(path, pragma, expected):
    """WAL with full synchronisation keeps every receipt through a power cut (https://sqlite.org/pragma.html)."""
    with opened(path) as engine, engine.connect() as connection:
        found = connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()

    assert expected == found


def test_opening_for_writing_drops_stale_statistics(path):
    """ANALYZE results from when the state was small would mislead SQLite once it is large."""
    with opened(path):
        pass
    with raw(path) as connection:
        connection.execute(
            "INSERT INTO lease (account, epoch, pid, started_at) VALUES ('a', 1, 1, '2026-09-10 03:30:00.000000')"
        )
        connection.execute("ANALYZE")
    with opened(path) as engine, engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE name LIKE 'sqlite_stat%'").all()

    assert [] == found


def test_no_update_is_lost_between_threads(path):
    """Four threads add one twenty times each, reading before they write, which gives eighty."""
    failures = []

    def count(engine):
        try:
            for _ in range(20):
                with Session(engine) as session, session.begin():
                    row = session.get(ConfigDigest, ("a", "count"))
                    row.digest = str(int(row.digest) + 1)
                    session.add(row)
        except Exception as error:  # noqa: BLE001 -- whatever a thread dies of must fail the test
            failures.append(error)

    with opened(path) as engine:
        with Session(engine) as session, session.begin():
            session.add(ConfigDigest(account="a", kind="count", digest="0"))
        threads = [threading.Thread(target=count, args=(engine,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        with Session(engine) as session, session.begin():
            total = session.get(ConfigDigest, ("a", "count")).digest

    assert ([], "80") == (failures, total)


def test_write_transaction_locks_from_its_start(path):
    """BEGIN IMMEDIATE refuses another writer even before the first statement."""
    with opened(path) as engine, raw(path) as other:
        other.execute("PRAGMA busy_timeout=0")
        with (
            engine.connect() as connection,
            connection.begin(),
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")


def test_open_read_does_not_block_a_writer(path):
    """The view stays as it was while another process commits."""
    with opened(path) as engine, raw(path) as other, open_snapshot(engine, SqliteState(path)) as session:
        before = session.get(ConfigDigest, ("a", "b"))
        other.execute("INSERT INTO config_digest VALUES ('a', 'b', 'c')")
        session.expire_all()

        assert [None, None] == [before, session.get(ConfigDigest, ("a", "b"))]


def test_migrations_create_exactly_the_declared_tables(path):
    """From an empty file to the head, no column, index or key is missing or extra."""
    with opened(path) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, SQLModel.metadata)

    assert [] == found


def test_reopening_an_up_to_date_state_changes_nothing(path):
    """The schema stays the same."""
    with opened(path), raw(path) as connection:
        before = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    with opened(path), raw(path) as connection:
        after = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()

    assert before == after


def test_creates_a_missing_folder(tmp_path):
    """`state/` beside the settings need not exist."""
    path = tmp_path / "state" / "deeper" / "account.db"
    create_state(path)

    assert path.exists()


def test_state_from_a_newer_version_is_refused_unchanged(path):
    """Continuing could lose what only the newer version knows."""
    with opened(path), raw(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    message = refused(path)

    assert str(path) in message
    assert "newer oplead-sync (revision 9999); nothing was changed. Run the version that wrote it" in message
    assert before == path.read_bytes()


def test_reading_does_not_create_a_missing_state(path):
    """This is `status` before the first run."""
    assert "make it by `oplead-sync run --first-run --config FILE`" in refused(path, for_writing=False)
    assert not path.exists()


def test_refuses_a_file_that_is_no_database(path):
    """`state:` may name the wrong file, or something overwrote it."""
    path.write_bytes(b"this is no database, it is a letter to grandmother" * 100)

    assert "it is not a state of oplead-sync; check `state:` in the settings" in refused(path)


def test_refuses_a_damaged_state(path):
    """It may hold receipts, so it is to be kept, and restored from a backup."""
    with opened(path), raw(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    told = refused(path)

    assert "it is damaged; restore it from a backup" in told
    assert "`oplead-sync state restored`" in told


def test_refuses_a_folder_in_place_of_the_state(tmp_path):
    """The message says that it is a directory."""
    assert "cannot use the state: Is a directory" in refused(tmp_path)


def test_refuses_a_file_in_place_of_the_folder(tmp_path):
    """The folder cannot be created."""
    (tmp_path / "state").write_text("a file")
    message = refused(tmp_path / "state" / "account.db")

    assert "cannot use the state" in message


def test_state_locked_by_another_writer_says_to_wait(path, monkeypatch):
    """The message names no statement and no value."""
    monkeypatch.setattr(engine_module, "BUSY_MS", 50)
    with opened(path) as engine, raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with (
            pytest.raises(LedgerError) as caught,
            explaining_errors(path),
            engine.connect() as connection,
        ):
            connection.execute(text("SELECT 1"))

    assert "another program is writing to it; try again when that has ended" in str(caught.value)
    assert "SELECT" not in str(caught.value)


def add_secret(engine):
    """Add a row with a value that must stay hidden."""
    with Session(engine) as session, session.begin():
        session.add(ConfigDigest(account="secret-value", kind="b", digest="c"))


def test_constraint_error_does_not_reveal_values(path):
    """The values may be personal data."""
    with opened(path) as engine:
        add_secret(engine)
        with pytest.raises(LedgerError) as caught, explaining_errors(path):
            add_secret(engine)

    assert "this is unexpected; nothing of this transaction was kept" in str(caught.value)
    assert "secret-value" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_deleted_rows_are_overwritten(path):
    """Erased data cannot be read out of the file (https://sqlite.org/pragma.html#pragma_secure_delete)."""
    with opened(path) as engine:
        with engine.connect() as connection, connection.begin():
            connection.execute(text("INSERT INTO config_digest VALUES ('a', 'b', 'hash-of-somebody')"))
        with engine.connect() as connection, connection.begin():
            connection.execute(text("DELETE FROM config_digest"))
    with raw(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert b"hash-of-somebody" not in path.read_bytes()


def test_copy_during_a_write_holds_only_committed_rows(path, tmp_path):
    """The transaction under way is left out."""
    target = tmp_path / "copy.db"
    with opened(path) as engine, engine.connect() as connection:
        with connection.begin():
            connection.execute(text("INSERT INTO config_digest VALUES ('a', 'kept', 'x')"))
        with connection.begin():
            connection.execute(text("INSERT INTO config_digest VALUES ('a', 'under way', 'x')"))
            copy_state(path, target)
    with raw(target) as connection:
        found = connection.execute("SELECT kind FROM config_digest").fetchall()

    assert [("kept",)] == found


def test_copying_a_missing_state_gives_an_empty_one(path, tmp_path):
    """A rehearsal before the first run begins with a state of its own and creates none."""
    copy_state(path, tmp_path / "copy.db")

    assert has_state(tmp_path / "copy.db")
    assert not path.exists()


def fill_the_disk(engine):
    """Write more than there is room for."""
    with engine.connect() as connection, connection.begin():
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        connection.execute(text("INSERT INTO config_digest VALUES ('a', 'lost', :much)"), {"much": "x" * 100_000})


def test_full_disk_is_reported_and_loses_nothing(path):
    """SQLite's page limit stands in for the disk; committed rows stay, and the rest is rolled back."""
    with opened(path) as engine:
        with engine.connect() as connection, connection.begin():
            connection.execute(text("INSERT INTO config_digest VALUES ('a', 'kept', 'x')"))
        with (
            pytest.raises(LedgerError, match="the disk is full; make room and run again"),
            explaining_errors(path),
        ):
            fill_the_disk(engine)
    with raw(path) as connection:
        kinds = [kind for (kind,) in connection.execute("SELECT kind FROM config_digest")]

    assert ["kept"] == kinds


def test_states_can_be_created_concurrently(tmp_path):
    """Alembic's variables are process-wide, so accounts that begin together must not mix."""
    paths = [tmp_path / f"{number}.db" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(create_state, paths))

    for path in paths:
        open_engine(path, for_writing=False).dispose()


@pytest.mark.parametrize("threads", [1, 4])
def test_statements_compile_once_for_all_states(tmp_path, clock, monkeypatch, threads):
    """Many small accounts in one process would otherwise spend their nights compiling."""
    compiled = []

    class Counting(SQLiteDialect.statement_compiler):
        def __init__(self, *args, **kwargs):
            compiled.append(args)
            super().__init__(*args, **kwargs)

    def night(name):
        with hold(tmp_path / name, clock) as ledger:
            finish_run(ledger, 0, now=clock.now())

    monkeypatch.setattr(SQLiteDialect, "statement_compiler", Counting)
    engine_module._COMPILED.clear()
    night("first.db")
    first = len(compiled)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(night, [f"{number}.db" for number in range(8)]))

    assert 0 < first == len(compiled)


def test_engines_and_dialects_do_not_accumulate_over_nights(path, clock):
    """SQLAlchemy keeps what it compiles per dialect for good, so all engines have the same one."""

    def alive(nights):
        for _ in range(nights):
            with hold(path, clock) as ledger:
                with ledger.write_transaction() as session:
                    session.merge(ConfigDigest(account="a", kind="count", digest=str(ledger.run)))
                finish_run(ledger, 0, now=clock.now())
        gc.collect()
        return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, (Engine, Dialect)))

    first = alive(2)

    assert first == alive(10)
