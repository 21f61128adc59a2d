"""Opens an account's SQLite file so that what is committed stays committed."""

import errno
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from jobs.ledger.files import Found, look, open_privately
from jobs.ledger.upgrade import CannotUpgradeError, bring_up_to_date

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
    if found is Found.FOREIGN:
        raise LedgerError(
            f"{path}: the state cannot be used: it is not a state of oplead-sync; check `state:` in the settings"
        )
    return found is Found.LEDGER


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


_AROUND = (__name__, "jobs.ledger.ledger")
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
