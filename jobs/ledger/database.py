"""Open, upgrade, copy and identify an account's SQLite file."""

import errno
import fcntl
import os
import shutil
import sqlite3
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import IO, Any

from sqlalchemy import Connection, Engine, column, create_engine, event, inspect, select, table
from sqlalchemy.exc import DatabaseError

APPLICATION_ID = 0x4F504C53  # "OPLS"
"""Written to the header of every ledger (https://sqlite.org/pragma.html#pragma_application_id)."""


class FileKind(StrEnum):
    """What exists at a ledger's path."""

    NOTHING = "nothing"
    """No file, an empty file, or a database without tables (left by a killed first run)."""
    LEDGER = "ledger"
    FOREIGN = "foreign"


def file_kind(path: Path) -> FileKind:
    """Return the kind of file at `path`, without changing it.

    The header is read through SQLite: opening and closing the file directly, anywhere in the process, would release the
    process's locks on the state (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks).

    Raises:
        OSError: the file cannot be read.
        sqlite3.DatabaseError: the file is damaged or locked.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if path.stat().st_size == 0:
            return FileKind.NOTHING
    except FileNotFoundError:
        return FileKind.NOTHING
    try:
        with closing(open_read_only(path)) as connection:
            (number,) = connection.execute("PRAGMA application_id").fetchone()
            if number:
                return FileKind.LEDGER if number == APPLICATION_ID else FileKind.FOREIGN
            tables = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' LIMIT 1").fetchall()
            return FileKind.FOREIGN if tables else FileKind.NOTHING
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            return FileKind.FOREIGN
        raise


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a read-only connection, which creates no side files unless the database already has a WAL."""
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro{'' if has_log else '&immutable=1'}", uri=True)


def open_privately(path: Path, mode: str) -> IO[Any]:
    """Open a file without following symlinks; a new file is accessible only to its owner, whatever the umask.

    SQLite creates a ledger's side files with the ledger's own permissions.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open(path, mode, encoding=None if "b" in mode else "utf-8", opener=_open_for_owner_only)


def _open_for_owner_only(name: str, flags: int) -> int:
    try:
        made = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(name, flags | os.O_NOFOLLOW, 0o600)
    os.fchmod(made, 0o600)
    return made


BUSY_MS = 5_000
"""How long a statement waits for another process's write lock."""
_LET_WRITE = "give this user write access to the file and its folder"
_MAKE_ROOM = "make room and run again: what was committed is safe"
_DAMAGED = "it is damaged; restore it from a backup (keep the damaged file: it may hold receipts)"
_UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""Exceptions that reading damaged data may raise."""
_BY_SYSTEM = {
    errno.EACCES: _LET_WRITE,
    errno.EPERM: _LET_WRITE,
    errno.EROFS: _LET_WRITE,
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
}
"""Advice by `errno`."""
_BY_SQLITE = {
    "locked": "another program is writing to it; try again when that has ended",
    "readonly": f"it cannot be written; {_LET_WRITE}",
    "read-only": f"it cannot be written; {_LET_WRITE}",
    "disk is full": f"the disk is full; {_MAKE_ROOM}",
    "malformed": _DAMAGED,
    "decode": _DAMAGED,
    "not a database": "it is not a state of oplead-sync; check `state:` in the settings",
    "unable to open": "it cannot be opened; check that the folder exists and is writable",
    "disk i/o error": "the disk does not take or give its data; check the disk, then run again",
}
"""Advice by a substring of SQLite's error message."""
MIGRATIONS = Path(__file__).parent / "migrations"
_ALEMBIC = Lock()
"""Serialises upgrades: Alembic keeps its context in globals, and accounts are opened concurrently."""
_VERSION = table("alembic_version", column("version_num"))


class LedgerError(Exception):
    """The state cannot be used; nothing was lost, and the message says what to do."""


class NoStateError(LedgerError):
    """The expected state is missing; the message says how to restore or create it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: there is no state here. If there was one, bring it back first (mount its volume, or restore its "
            "backup): without it nobody knows what was sent. Only if this account never ran before, make it by "
            "`oplead-sync run --first-run --config FILE`."
        )


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
        raise LedgerError(f"{path}: this account has its state already; leave --first-run out")
    with explaining_errors(path):
        open_privately(path, "ab").close()
    _open_upgraded_engine(path, may_change=True).dispose()


def has_state(path: Path) -> bool:
    """Return whether a state of any version exists at `path`.

    Raises:
        LedgerError: the file is not a ledger, or cannot be read.
    """
    with explaining_errors(path):
        found = file_kind(path)
    if found is FileKind.FOREIGN:
        raise LedgerError(
            f"{path}: the state cannot be used: it is not a state of oplead-sync; check `state:` in the settings"
        )
    return found is FileKind.LEDGER


def copy_state(source: Path, target: Path) -> None:
    """Copy a consistent snapshot of a state, even while another process writes; without a source, create a new state.

    Raises:
        LedgerError: the source is not a ledger, or cannot be read.
    """
    if not has_state(source):
        create_state(target)
        return
    with explaining_errors(source):
        open_privately(target, "ab").close()
        address = f"{source.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)


@contextmanager
def explaining_errors(path: Path) -> Iterator[None]:
    """Turn SQLite and file-system errors into a `LedgerError` whose message an operator can act on."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        # Use the driver's error: SQLAlchemy's message includes the statement and its values.
        raise LedgerError(_advice(path, getattr(error, "orig", None) or error)) from None
    except OSError as error:
        advice = _BY_SYSTEM.get(error.errno or 0, "check `state:` in the settings")
        raise LedgerError(f"{path}: cannot use the state: {error.strerror or type(error).__name__}; {advice}") from None
    except _UNREADABLE as error:
        if (where := _describe_unreadable_row(error)) is None:
            raise
        raise LedgerError(f"{path}: something in the state cannot be read ({where}): {_DAMAGED}") from None


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


def newest_schema_revision() -> str:
    """Return the newest revision, read from the ordered file-name prefixes of the migrations."""
    return max(file.name for file in (MIGRATIONS / "versions").glob("*.py")).partition("_")[0]


def _bring_up_to_date(path: Path, connection: Connection, *, may_change: bool) -> None:
    """Upgrade an older state if `may_change`, else raise `LedgerError`; a failed upgrade leaves it unchanged."""
    with connection.execution_options(read_only=True).begin():
        has_versions = inspect(connection).has_table(_VERSION.name)
        found = list(connection.scalars(select(_VERSION.c.version_num))) if has_versions else []
    # The usual case returns before importing Alembic, which takes longer to load than everything else.
    if found == [newest_schema_revision()]:
        return
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    for revision in set(found) - known:
        raise LedgerError(
            f"{path}: this state was written by a newer oplead-sync (revision {revision}); nothing was changed. "
            "Run the version that wrote it, or upgrade this one."
        )
    if not may_change:
        raise LedgerError(
            f"{path}: this state is from an older version; the next `oplead-sync run` brings it up to date"
        )
    config.attributes["connection"] = writable = connection.execution_options(read_only=False)
    try:
        with _ALEMBIC, writable.begin():
            command.upgrade(config, "head")
    except CommandError as error:
        raise LedgerError(f"{path}: the state could not be brought up to date: {error}") from None


# One engine per path: SQLAlchemy keeps compiled statements per engine dialect, even after the engine is disposed of.
@lru_cache(maxsize=1024)
def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_MS / 1000}, hide_parameters=True)

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


_WRAPPERS = (__name__, "jobs.ledger.runs")
"""Modules whose frames appear in the traceback of any error raised inside a transaction."""


def _describe_unreadable_row(error: BaseException) -> str | None:
    """Return an error's type and source location if reading a row raised it: everything we write is readable.

    The error's message is omitted because it may quote the row.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in frames]
    ours = [name for name in modules if name.startswith(("jobs.", "connectors."))]
    is_ledgers = bool(ours) and ours[-1].startswith("jobs.ledger.") and ours[-1] not in _WRAPPERS
    if not is_ledgers and not modules[-1].startswith(("sqlalchemy.", "sqlmodel.")):
        return None
    frame, line = frames[-1]
    return f"{type(error).__name__}, {Path(frame.f_code.co_filename).name}:{line}"


def _advice(path: Path, error: object) -> str:
    """Return advice for a SQLite error, omitting its message, which may quote a row."""
    text = str(error).lower()
    unexpected = "this is unexpected; nothing of this transaction was kept"
    advice = next((advice for part, advice in _BY_SQLITE.items() if part in text), unexpected)
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return f"{path}: the state cannot be used ({name}): {advice}"


_PREFIX = "oplead-sync-copy-"


@contextmanager
def temporary_copy(source: Path | None = None) -> Iterator[Path]:
    """Yield a temporary copy of a state (a new state if `source` is None or missing) and delete it afterwards.

    If the process is killed, the copy remains, readable only by its owner, until the next `remove_stale_copies`.

    Raises:
        LedgerError: the state cannot be read.
    """
    remove_stale_copies()
    with ExitStack() as stack:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            # Another process may have swept the folder before it was locked.
            with suppress(FileNotFoundError):
                stack.enter_context(_locked(folder, fcntl.LOCK_EX))
                if folder.exists():
                    break
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        copy = folder / "state.db"
        if source is None:
            create_state(copy)
        else:
            copy_state(source, copy)
        yield copy


def remove_stale_copies() -> None:
    """Remove the copies left by dead processes, but not those in use or owned by other users."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            if folder.lstat().st_uid == os.getuid():
                shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold a lock on a folder; raise OSError if it is not a folder or, with LOCK_NB, another process has locked it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
