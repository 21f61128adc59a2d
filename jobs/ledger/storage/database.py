"""Open, upgrade and copy an account's SQLite file."""

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, Dialect, Engine, column, create_engine, event, inspect, select, table
from sqlalchemy.engine import Compiled
from sqlalchemy.util import LRUCache

from connectors.language import _
from jobs.ledger.storage.revisions import REVISIONS, alembic_config
from jobs.ledger.storage.state import disposing
from jobs.ledger.storage.state_file import (
    LedgerError,
    NoStateError,
    explaining_errors,
    has_state,
    hold_folder,
    open_privately,
    open_read_only,
    too_old,
)

BUSY_MS = 5_000
"""How long a statement waits for another process's write lock."""
ALEMBIC = Lock()
"""Serialises upgrades: Alembic keeps its context in globals, and accounts are opened concurrently."""
_DIALECT = Lock()
"""Lets accounts that are opened at once make one dialect, not several."""
_COMPILED: LRUCache[object, Compiled] = LRUCache(500)
VERSION = table("alembic_version", column("version_num"))


def open_engine(path: Path, *, for_writing: bool) -> Engine:
    """Open the existing state at `path`, upgrading it first if opened for writing.

    Raises:
        NoStateError: there is no state.
        LedgerError: the file is not a ledger, outdated (when opened for reading), corrupt, locked, read-only, on a full
            disk, or from a newer version.
    """
    if not has_state(path):
        raise NoStateError(path)
    return _open_upgraded_engine(path, may_change=for_writing)


def create_state(path: Path) -> None:
    """Create an account's state.

    Raises:
        LedgerError: a state or another file already exists, or the state cannot be created.
    """
    if has_state(path):
        raise LedgerError(_("{path}: this account has its state already; leave --first-run out", path=path))
    with explaining_errors(path):
        open_privately(path, "ab").close()
    _open_upgraded_engine(path, may_change=True).dispose()


def copy_state(source: Path, target: Path) -> None:
    """Copy a consistent snapshot of a state, even while another process writes; without a source, create a new state.

    Raises:
        LedgerError: the source is not a ledger, or cannot be read.
    """
    if not has_state(source):
        create_state(target)
        return
    with explaining_errors(source):
        address = f"{source.resolve().as_uri()}?mode=ro"
        _back_up(sqlite3.connect(address, uri=True), target)


def _back_up(source: sqlite3.Connection, target: Path) -> None:
    """Copy what a connection has open, and close it."""
    with closing(source):
        open_privately(target, "ab").close()
        with closing(sqlite3.connect(target)) as new:
            source.backup(new)


def _open_upgraded_engine(path: Path, *, may_change: bool) -> Engine:
    with explaining_errors(path):
        engine = _engine(path)
        try:
            with engine.connect() as connection:
                _bring_up_to_date(path, connection, may_change=may_change)
                if may_change and _forget_statistics(connection):
                    # The connection caches statistics.
                    connection.invalidate()
        except BaseException:
            engine.dispose()
            raise
    return engine


def open_state_being_moved(path: Path) -> Engine:
    """Open a state that `seal` has closed to runs, to read what is to be moved."""
    return _engine(path)


@contextmanager
def opened_for_erasure(path: Path, *, on_copy: bool) -> Iterator[Engine]:
    """Yield a state that `seal` has closed to runs, brought up to date; it stays closed.

    Args:
        path: the state.
        on_copy: whether to leave it as it is, and yield a temporary copy.

    Raises:
        LedgerError: it is damaged, locked, read-only, or of a newer version.
    """
    with (
        _copy_of_sealed(path) if on_copy else nullcontext(path) as chosen,
        disposing(_open_upgraded_engine(chosen, may_change=True)) as engine,
        explaining_errors(path),
    ):
        yield engine


def _bring_up_to_date(path: Path, connection: Connection, *, may_change: bool) -> None:
    """Upgrade an older state if `may_change`, else raise `LedgerError`; a failed upgrade leaves it unchanged."""
    with connection.execution_options(read_only=True).begin():
        has_versions = inspect(connection).has_table(VERSION.name)
        found = list(connection.scalars(select(VERSION.c.version_num))) if has_versions else []
    # The usual case returns before importing Alembic, which takes longer to load than everything else.
    if found == [REVISIONS[-1]]:
        return
    from alembic import command  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    for revision in set(found) - set(REVISIONS):
        if revision < REVISIONS[-1]:
            raise too_old(path, revision)
        raise LedgerError(
            _(
                "{path}: this state was written by a newer oplead-sync (revision {revision}); nothing was "
                "changed. Run the version that wrote it, or upgrade this one.",
                path=path,
                revision=revision,
            )
        )
    if not may_change:
        raise LedgerError(
            _(
                "{path}: this state is from an older version (revision {revision}); the next `oplead-sync run` brings "
                "it up to date",
                path=path,
                revision=max(found, default="0"),
            )
        )
    writable = connection.execution_options(read_only=False)
    try:
        with ALEMBIC, writable.begin():
            command.upgrade(alembic_config(writable), REVISIONS[-1])
    except CommandError as error:
        raise LedgerError(
            _("{path}: the state could not be brought up to date: {error}", path=path, error=error)
        ) from None


@cache
def _make_dialect() -> Dialect:
    engine = create_engine("sqlite://")
    engine.connect().close()
    engine.dispose()
    return engine.dialect


def _shared_dialect() -> Dialect:
    """Return the dialect that all engines share, completed by a first connection."""
    with _DIALECT:
        return _make_dialect()


# Compiling statements takes longer than using them for a night of a few leads, so all engines share what one of them
# has compiled: a cache, and the dialect that its keys name.
def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_MS / 1000},
        hide_parameters=True,
        execution_options={"compiled_cache": _COMPILED},
    )
    engine.dialect = _shared_dialect()

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        # SQLAlchemy issues BEGIN itself: the driver's implicit BEGIN comes too late and would lose updates.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=wal")
        # With `normal`, a power cut could lose a committed receipt.
        connection.execute("PRAGMA synchronous=full")
        connection.execute("PRAGMA foreign_keys=on")
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        connection.execute("PRAGMA secure_delete=on")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        mode = "DEFERRED" if connection.get_execution_options().get("read_only") else "IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


# Statistics from an ANALYZE of a small state mislead the query planner for good. Without statistics, plans are the same
# in every state, and tests check how they scale.
def _forget_statistics(connection: Connection) -> bool:
    """Drop SQLite's planner statistics and return whether any existed."""
    found = "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4')"
    with connection.execution_options(read_only=True).begin():
        tables = list(connection.exec_driver_sql(found).scalars())
    if tables:
        with connection.execution_options(read_only=False).begin():
            for table in tables:
                connection.exec_driver_sql(f"DROP TABLE {table}")
    return bool(tables)


_PREFIX = "oplead-sync-copy-"


@contextmanager
def temporary_copy(source: Path | None = None) -> Iterator[Path]:
    """Yield a temporary copy of a state (a new state if `source` is None or missing) and delete it afterwards.

    If the process is killed, the copy remains, readable only by its owner, until the next `remove_stale_copies`.

    Raises:
        LedgerError: the state cannot be read.
    """
    with _temporary_folder() as folder:
        copy = folder / "state.db"
        if source is None:
            create_state(copy)
        else:
            copy_state(source, copy)
        yield copy


@contextmanager
def _copy_of_sealed(source: Path) -> Iterator[Path]:
    with _temporary_folder() as folder:
        copy = folder / "state.db"
        with explaining_errors(source):
            # Nothing is left beside it, and its medium may be read-only.
            _back_up(open_read_only(source), copy)
        yield copy


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    remove_stale_copies()
    with ExitStack() as stack:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            # Another process may have swept the folder before it was locked.
            with suppress(FileNotFoundError):
                stack.enter_context(hold_folder(folder, fcntl.LOCK_EX))
                if folder.exists():
                    break
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def remove_stale_copies() -> None:
    """Remove the copies left by dead processes, but not those in use or owned by other users."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), hold_folder(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            if folder.lstat().st_uid == os.getuid():
                shutil.rmtree(folder)
