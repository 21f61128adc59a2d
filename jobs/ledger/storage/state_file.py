"""An account's SQLite file: what it is, how it is opened, and what is wrong with it."""

import errno
import fcntl
import os
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from connectors.language import N_, _
from connectors.private_folder import make_private_folder
from jobs.exit_codes import CommandError, Exit
from jobs.ledger.storage.postgresql_errors import UNEXPECTED, diagnose_error, is_drivers

APPLICATION_ID = 0x4F504C53  # "OPLS"
"""Written to the header of every ledger (https://sqlite.org/pragma.html#pragma_application_id)."""
SEALED_ID = 0x4F504C4D  # "OPLM"
"""Replaces it in a ledger that was moved, so that no version of this program uses the file again."""


class LedgerFileKind(StrEnum):
    """What exists at a ledger's path."""

    NOTHING = "nothing"
    """No file, an empty file, or a database without tables (left by a killed first run)."""
    LEDGER = "ledger"
    SEALED = "sealed"
    """A ledger that was moved elsewhere, or is being moved."""
    OUTDATED = "outdated"
    """A ledger of a version from before ledgers were marked in their header; none since can read it."""
    FOREIGN = "foreign"


_OUR_TABLES = {"alembic_version", "config_digest", "lease"}
"""What every ledger has had, marked in its header or not."""
_KINDS = {APPLICATION_ID: LedgerFileKind.LEDGER, SEALED_ID: LedgerFileKind.SEALED}


def state_file_kind(path: Path) -> LedgerFileKind:
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
            return LedgerFileKind.NOTHING
    except FileNotFoundError:
        return LedgerFileKind.NOTHING
    try:
        with closing(open_read_only(path)) as connection:
            (number,) = connection.execute("PRAGMA application_id").fetchone()
            if number:
                return _KINDS.get(number, LedgerFileKind.FOREIGN)
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if tables >= _OUR_TABLES:
                return LedgerFileKind.OUTDATED
            return LedgerFileKind.FOREIGN if tables else LedgerFileKind.NOTHING
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            return LedgerFileKind.FOREIGN
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
    make_private_folder(path.parent)
    return open(path, mode, encoding=None if "b" in mode else "utf-8", opener=_open_for_owner_only)


def replace_durably(path: Path, draft: Path, text: str) -> None:
    """Write a whole file by way of a draft in its folder: after a power cut it is there as before, or as it is now."""
    draft.unlink(missing_ok=True)
    with open_privately(draft, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open_for_owner_only(name: str, flags: int) -> int:
    try:
        made = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(name, flags | os.O_NOFOLLOW, 0o600)
    os.fchmod(made, 0o600)
    return made


@contextmanager
def hold_folder(folder: Path, how: int) -> Iterator[None]:
    """Hold a lock on a folder; raise OSError if it is not a folder or, with LOCK_NB, another process has locked it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


class LedgerError(CommandError):
    """The state cannot be used; nothing was lost, and the message says what to do."""


class StateAwayError(LedgerError):
    """The database that holds the state is away; the message says what to do, and it may be tried again."""

    exit_code = Exit.HELD


class OtherSchemaError(LedgerError):
    """The database that holds the state is of another version; the message says what to do."""


class NoStateError(LedgerError):
    """The expected state is missing; the message says how to restore or create it."""

    def __init__(self, path: object) -> None:
        super().__init__(
            _(
                "{path}: there is no state here. If there was one, bring it back first (mount its volume, or "
                "restore its backup): without it nobody knows what was sent. Only if this account never ran "
                "before, make it by `oplead-sync run --first-run --config FILE`; if it did, and there is no backup, "
                "write today as `since:` of every conversion first, else everything goes out again.",
                path=path,
            )
        )


def has_state(path: Path) -> bool:
    """Return whether a state of any version exists at `path`.

    Raises:
        LedgerError: the file is not a ledger, or cannot be read.
    """
    with explaining_errors(path):
        found = state_file_kind(path)
    if found is LedgerFileKind.FOREIGN:
        raise LedgerError(
            _(
                "{path}: the state cannot be used: it is not a state of oplead-sync; check `state:` in the settings",
                path=path,
            )
        )
    if found is LedgerFileKind.SEALED:
        raise LedgerError(_where_it_is(path))
    if found is LedgerFileKind.OUTDATED:
        raise too_old(path, _recorded_revision(path))
    return found is LedgerFileKind.LEDGER


def _recorded_revision(path: Path) -> str:
    with explaining_errors(path), closing(open_read_only(path)) as connection:
        (found,) = connection.execute("SELECT max(version_num) FROM alembic_version").fetchone()
        return str(found)


def too_old(path: Path, revision: str) -> LedgerError:
    """Return the refusal of a state that an older version wrote and none since can read."""
    return LedgerError(
        _(
            "{path}: this state was written by an older oplead-sync (revision {revision}), and this one cannot bring "
            "it up to date; nothing was changed. Run the version that wrote it; move it away only to begin anew. "
            "{anew}",
            path=path,
            revision=revision,
            anew=how_to_begin_anew(),
        )
    )


def how_to_begin_anew() -> str:
    """Return what keeps a new state from sending again what one that is of no use any more has sent."""
    return _(
        "To begin anew, write today as `since:` of every conversion before `oplead-sync run --first-run`: else "
        "everything goes out again. What is older goes out by `oplead-sync backfill`, with `--already-sent FILE` for "
        "what has been sent."
    )


def _where_it_is(path: Path) -> str:
    seal = read_state_move(path)
    if seal.is_moved:
        return _(
            "{path}: this state was moved to {place}: write that place under `state:`", path=path, place=seal.place
        )
    return _(
        "{path}: this state is being moved to {place}, and that was interrupted: repeat `oplead-sync state move`",
        path=path,
        place=seal.place,
    )


@dataclass(frozen=True, slots=True)
class StateMove:
    """What a sealed state says of its move."""

    place: str
    is_moved: bool
    """Whether the other place is known to have it."""


def read_state_move(path: Path) -> StateMove:
    """Return what a sealed state says of its move."""
    with explaining_errors(path), closing(open_read_only(path)) as connection:
        place, is_moved = connection.execute("SELECT place, is_moved FROM moved").fetchone()
        return StateMove(str(place), bool(is_moved))


def seal(path: Path, place: str) -> None:
    """Keep every run from using a state that is to be moved to another place."""
    with _changing(path) as connection:
        connection.execute("CREATE TABLE moved (place TEXT NOT NULL, is_moved INTEGER NOT NULL)")
        connection.execute("INSERT INTO moved VALUES (?, 0)", (place,))
        connection.execute(f"PRAGMA application_id = {SEALED_ID}")


def mark_moved(path: Path) -> None:
    """Record in a sealed state that the other place has it."""
    with _changing(path) as connection:
        connection.execute("UPDATE moved SET is_moved = 1")


def unseal_state(path: Path) -> None:
    """Let runs use a sealed state again; only if the other place has nothing of it."""
    with _changing(path) as connection:
        connection.execute("DROP TABLE moved")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@contextmanager
def _changing(path: Path) -> Iterator[sqlite3.Connection]:
    with explaining_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")


def refuse_damaged(path: Path) -> None:
    """Read a whole state, and refuse it if any of it is damaged.

    Raises:
        LedgerError: it is damaged, or cannot be read.
    """
    with explaining_errors(path), closing(open_read_only(path)) as connection:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise LedgerError(_cannot_use(path, "SQLITE_CORRUPT", _DAMAGED))


_CHECK_STATE = N_("check `state:` in the settings")
_LET_WRITE = N_("give this user write access to the file and its folder")
_READ_ONLY = N_("it cannot be written; give this user write access to the file and its folder")
_MAKE_ROOM = N_("make room and run again: what was committed is safe")
_DAMAGED = N_(
    "it is damaged; restore it from a backup (keep the damaged file: it may hold receipts), and declare that by "
    "`oplead-sync state restored`"
)
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
    "locked": N_("another program is writing to it; try again when that has ended"),
    "readonly": _READ_ONLY,
    "read-only": _READ_ONLY,
    "disk is full": N_("the disk is full; make room and run again: what was committed is safe"),
    "malformed": _DAMAGED,
    "decode": _DAMAGED,
    "no such": _DAMAGED,
    "not a database": N_("it is not a state of oplead-sync; check `state:` in the settings"),
    "unable to open": N_("it cannot be opened; give this user read and write access to the file and its folder"),
    "disk i/o error": N_("the disk does not take or give its data; check the disk, then run again"),
}
"""Advice by a substring of SQLite's error message."""


@contextmanager
def explaining_errors(path: Path | str) -> Iterator[None]:
    """Turn errors of the database or its files into a `LedgerError` whose message an operator can act on."""
    try:
        yield
    except OSError as error:
        advice = _(_BY_SYSTEM.get(error.errno or 0, _CHECK_STATE))
        raise LedgerError(
            _(
                "{path}: cannot use the state: {problem}; {advice}",
                path=path,
                problem=error.strerror or type(error).__name__,
                advice=advice,
            )
        ) from None
    except _UNREADABLE as error:
        if (where := _describe_unreadable_row(error)) is None:
            raise
        raise LedgerError(
            _(
                "{path}: something in the state cannot be read ({where}): {damaged}",
                path=path,
                where=where,
                damaged=_(_DAMAGED),
            )
        ) from None
    except Exception as error:
        # SQLAlchemy's errors carry SQLite's; their own messages include the statement and its values.
        cause = getattr(error, "orig", error)
        if is_drivers(cause):
            found = diagnose_error(cause)
            kind = StateAwayError if found.is_away else OtherSchemaError if found.is_other_schema else LedgerError
            raise kind(_cannot_use(path, found.name, found.advice)) from None
        if not isinstance(cause, sqlite3.DatabaseError):
            raise
        raise LedgerError(_advice(path, cause)) from None


_READERS = ("sqlalchemy.", "sqlmodel.", "jobs.ledger.")
"""Where an error is raised that SQLite's driver, or whatever decodes a column, raises of what it read."""
_WRAPPERS = (__name__, "jobs.ledger.storage.database", "jobs.ledger.runs")
"""Modules whose frames appear in the traceback of any error raised inside a transaction."""


def _describe_unreadable_row(error: BaseException) -> str | None:
    """Return an error's type and source location if reading a row raised it: everything we write is readable.

    The error's message is omitted because it may quote the row.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in frames]
    ours = [name for name in modules if name.startswith(("jobs.", "connectors."))]
    is_ledgers = bool(ours) and ours[-1].startswith("jobs.ledger.") and ours[-1] not in _WRAPPERS
    if not is_ledgers and not modules[-1].startswith(_READERS):
        return None
    frame, line = frames[-1]
    return f"{type(error).__name__}, {Path(frame.f_code.co_filename).name}:{line}"


def _advice(path: Path | str, error: object) -> str:
    """Return advice for a SQLite error, omitting its message, which may quote a row."""
    text = str(error).lower()
    advice = next((advice for part, advice in _BY_SQLITE.items() if part in text), UNEXPECTED)
    return _cannot_use(path, getattr(error, "sqlite_errorname", None) or type(error).__name__, advice)


def _cannot_use(path: Path | str, name: str, advice: str) -> str:
    return _("{path}: the state cannot be used ({name}): {advice}", path=path, name=name, advice=_(advice))
