"""An account's SQLite file: opened, upgraded, copied, and told apart from other files."""

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
"""Stands in the header of every ledger (https://sqlite.org/pragma.html#pragma_application_id)."""


class FileKind(StrEnum):
    """What lies where a ledger should."""

    NOTHING = "nothing"
    """No file, an empty one, or a database without any table, as a first run that was killed leaves it."""
    LEDGER = "ledger"
    FOREIGN = "foreign"
    """Somebody else's file."""


def look(path: Path) -> FileKind:
    """Whose file this is; nothing is changed by looking.

    SQLite itself opens it: a file that is opened and closed beside SQLite, anywhere in the process, takes the locks
    with it by which this process holds the state (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks).

    Raises:
        OSError: it cannot be read.
        sqlite3.DatabaseError: it is damaged, or locked.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if path.stat().st_size == 0:
            return FileKind.NOTHING
    except FileNotFoundError:
        return FileKind.NOTHING
    try:
        with closing(read_only(path)) as connection:
            return _whose(connection)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            return FileKind.FOREIGN
        raise


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, and makes no file beside one that has no log of its own."""
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro{'' if has_log else '&immutable=1'}", uri=True)


def _whose(connection: sqlite3.Connection) -> FileKind:
    (number,) = connection.execute("PRAGMA application_id").fetchone()
    if number:
        return FileKind.LEDGER if number == APPLICATION_ID else FileKind.FOREIGN
    (has_tables,) = connection.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table')").fetchone()
    return FileKind.FOREIGN if has_tables else FileKind.NOTHING


def open_privately(path: Path, mode: str) -> IO[Any]:
    """Open a file that is its owner's alone where it is made here, whatever the umask; never through a symlink.

    SQLite gives a ledger's side files the ledger's own rights.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open(path, mode, encoding=None if "b" in mode else "utf-8", opener=_privately)


def _privately(name: str, flags: int) -> int:
    try:
        made = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(name, flags | os.O_NOFOLLOW, 0o600)
    os.fchmod(made, 0o600)
    return made


MIGRATIONS = Path(__file__).parent / "migrations"
_ALEMBIC = Lock()
"""It keeps what it works on in variables of the whole process, and accounts are opened side by side."""
_VERSION = table("alembic_version", column("version_num"))


class CannotUpgradeError(Exception):
    """The state stays as it is; the message says why, and what to do."""


def head() -> str:
    """The newest revision: the files of the migrations begin with theirs, in order."""
    return max(file.name for file in (MIGRATIONS / "versions").glob("*.py")).partition("_")[0]


def bring_up_to_date(connection: Connection, *, may_change: bool) -> None:
    """Upgrade the state where it is older and may be changed.

    Raises:
        CannotUpgradeError: it is older and may not be changed, from a newer version, or an upgrade failed.
    """
    with connection.execution_options(read_only=True).begin():
        found = _stored(connection)
    # Nearly every opening ends here: alembic takes longer to load than all else it takes to open a state.
    if found != [head()]:
        _upgrade(connection, found, may_change=may_change)


def _stored(connection: Connection) -> list[str]:
    if not inspect(connection).has_table(_VERSION.name):
        return []
    return list(connection.scalars(select(_VERSION.c.version_num)))


def _upgrade(connection: Connection, found: list[str], *, may_change: bool) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    for revision in found:
        if revision not in known:
            raise CannotUpgradeError(
                f"this state was written by a newer oplead-sync (revision {revision}); nothing was changed. "
                "Run the version that wrote it, or upgrade this one."
            )
    if not may_change:
        raise CannotUpgradeError("this state is from an older version; the next `oplead-sync run` brings it up to date")
    connection = connection.execution_options(read_only=False)
    config.attributes["connection"] = connection
    try:
        with _ALEMBIC, connection.begin():
            command.upgrade(config, "head")
    except CommandError as error:
        raise CannotUpgradeError(f"the state could not be brought up to date: {error}") from None


BUSY_MS = 5_000
"""How long a statement waits for another process's write to end."""
_LET_WRITE = "give this user write access to the file and its folder"
_MAKE_ROOM = "make room and run again: what was committed is safe"
_DAMAGED = "it is damaged; restore it from a backup (keep the damaged file: it may hold receipts)"
_UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""What comes of bytes that are not what was written."""
_BY_SYSTEM = {
    errno.EACCES: _LET_WRITE,
    errno.EPERM: _LET_WRITE,
    errno.EROFS: _LET_WRITE,
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
}
"""What to do about what the system says."""


class LedgerError(Exception):
    """The state cannot be used; the message says what to do, and nothing was lost."""


class NoStateError(LedgerError):
    """There is no state where one should be; the message says how to get it back, or how to begin."""


def open_engine(path: Path, *, for_writing: bool) -> Engine:
    """Open the state at `path`; for writing it is brought up to date where needed. It is never made by this.

    Raises:
        NoStateError: there is none.
        LedgerError: it is somebody else's file, outdated (for reading only), corrupt, locked, read-only, on a full
            disk, or from a newer version.
    """
    if not has_state(path):
        raise missing(path)
    return _up_to_date(path, may_change=for_writing)


def create_state(path: Path) -> None:
    """Make an account's state where there is none.

    Raises:
        LedgerError: something lies there, or it cannot be made.
    """
    if has_state(path):
        raise LedgerError(f"{path}: this account has its state already; leave --first-run out")
    with explained(path):
        open_privately(path, "ab").close()
    _up_to_date(path, may_change=True).dispose()


def has_state(path: Path) -> bool:
    """Whether the account's state lies there, of whatever version.

    Raises:
        LedgerError: somebody else's file does, or it cannot be read.
    """
    with explained(path):
        found = look(path)
    if found is FileKind.FOREIGN:
        raise LedgerError(
            f"{path}: the state cannot be used: it is not a state of oplead-sync; check `state:` in the settings"
        )
    return found is FileKind.LEDGER


def missing(path: Path) -> NoStateError:
    """What to do where there is no state."""
    return NoStateError(
        f"{path}: there is no state here. If there was one, bring it back first (mount its volume, or restore its "
        "backup): without it nobody knows what was sent. Only if this account never ran before, make it by "
        "`oplead-sync run --first-run`."
    )


def copy_state(source: Path, target: Path) -> None:
    """A consistent copy of a state another process may be writing; a new one where there is none.

    Raises:
        LedgerError: somebody else's file lies there, or it cannot be read.
    """
    if not has_state(source):
        create_state(target)
        return
    with explained(source):
        open_privately(target, "ab").close()
        address = f"{source.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system say into sentences an operator can act on."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        # The driver's own: SQLAlchemy's words would print the statement and its values.
        raise LedgerError(_advice(path, getattr(error, "orig", None) or error)) from None
    except OSError as error:
        advice = _BY_SYSTEM.get(error.errno or 0, "check `state:` in the settings")
        raise LedgerError(f"{path}: cannot use the state: {error.strerror or type(error).__name__}; {advice}") from None
    except _UNREADABLE as error:
        if not _is_of_a_row(error):
            raise
        raise LedgerError(f"{path}: something in the state cannot be read ({_where(error)}): {_DAMAGED}") from None


def _up_to_date(path: Path, *, may_change: bool) -> Engine:
    with explained(path):
        engine = _engine(path)
        try:
            with engine.connect() as connection:
                bring_up_to_date(connection, may_change=may_change)
                if may_change and _forget_statistics(connection):
                    # A connection keeps what it has read of them.
                    connection.invalidate()
        except CannotUpgradeError as error:
            engine.dispose()
            raise LedgerError(f"{path}: {error}") from None
        except BaseException:
            engine.dispose()
            raise
    return engine


# One engine a path: what SQLAlchemy compiles is kept for each engine's dialect, also after the engine is gone.
@lru_cache(maxsize=1024)
def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_MS / 1000}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        # SQLAlchemy begins transactions itself: the driver's own would begin too late, and let updates be lost.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=wal")
        # With `normal` a power cut could forget a receipt that was committed.
        connection.execute("PRAGMA synchronous=full")
        connection.execute("PRAGMA foreign_keys=on")
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        connection.execute("PRAGMA secure_delete=on")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        mode = "DEFERRED" if connection.get_execution_options().get("read_only") else "IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


# Statistics that somebody's ANALYZE left while a state was small mislead SQLite for good. Without any, its plans are
# the same in every state, and they are those whose growth is tested.
def _forget_statistics(connection: Connection) -> bool:
    """Drop what SQLite was told of how the tables are filled; whether there was anything."""
    found = "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4')"
    with connection.execution_options(read_only=True).begin():
        tables = list(connection.exec_driver_sql(found).scalars())
    if tables:
        with connection.execution_options(read_only=False).begin():
            for table in tables:
                connection.exec_driver_sql(f"DROP TABLE {table}")
    return bool(tables)


_AROUND = (__name__, "jobs.ledger.runs")
"""They stand around whatever is done in a transaction."""


def _is_of_a_row(error: BaseException) -> bool:
    """Whether it broke where rows are read: what we keep, we can read, so what cannot be read is damaged."""
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [number for number, name in enumerate(modules) if name.startswith(("jobs.", "connectors."))]
    last = modules[ours[-1]] if ours else ""
    is_ledgers = last.startswith("jobs.ledger.") and last not in _AROUND
    return is_ledgers or modules[-1].startswith(("sqlalchemy.", "sqlmodel."))


def _where(error: BaseException) -> str:
    """The kind of an error and its place in the code; its words may repeat what stands in the row."""
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    return f"{type(error).__name__}, {Path(frame.f_code.co_filename).name}:{line}"


def _advice(path: Path, error: object) -> str:
    """What to do about what SQLite says; its own words may quote a row, so only their kind is told."""
    said = str(error).lower()
    known = {
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
    advice = next(
        (text for sign, text in known.items() if sign in said),
        "this is unexpected; nothing of this transaction was kept",
    )
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return f"{path}: the state cannot be used ({name}): {advice}"


_PREFIX = "oplead-sync-copy-"


@contextmanager
def throwaway(source: Path | None = None) -> Iterator[Path]:
    """A copy of a state, or an empty one where there is none, that is gone with the block.

    Whoever is killed meanwhile leaves it to the next `sweep`; until then only its owner can read it.

    Raises:
        LedgerError: the state cannot be read.
    """
    sweep()
    with ExitStack() as stack:
        copy = stack.enter_context(_folder()) / "state.db"
        if source is None:
            create_state(copy)
        else:
            copy_state(source, copy)
        yield copy


def sweep() -> None:
    """Remove the copies of processes that died; those in use, and other users', stay."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            if folder.lstat().st_uid == os.getuid():
                shutil.rmtree(folder)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that is locked as long as its process lives: the system lets go of it, whatever that dies of."""
    with ExitStack() as stack:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            # Somebody who sweeps may have been faster than the lock.
            with suppress(FileNotFoundError):
                stack.enter_context(_locked(folder, fcntl.LOCK_EX))
                if folder.exists():
                    break
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Raises OSError where it is no folder, or another process has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
