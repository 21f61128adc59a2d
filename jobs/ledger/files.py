"""The files beside and behind a ledger: whose a file is, told without touching it, and how ours are opened."""

import errno
import os
import sqlite3
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

APPLICATION_ID = 0x4F504C53  # "OPLS"
"""Stands in the header of every ledger (https://sqlite.org/pragma.html#pragma_application_id)."""
_OURS = frozenset({"alembic_version", "lease", "run", "delivery"})
"""Tables that every ledger has, also one from before the application id."""


class Found(StrEnum):
    """What lies where a ledger should."""

    NOTHING = "nothing"
    """No file, an empty one, or a database without any table, as a first run that was killed leaves it."""
    LEDGER = "ledger"
    FOREIGN = "foreign"
    """Somebody else's file."""


def look(path: Path) -> Found:
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
            return Found.NOTHING
    except FileNotFoundError:
        return Found.NOTHING
    try:
        with closing(read_only(path)) as connection:
            return _whose(connection)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            return Found.FOREIGN
        raise


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, and makes no file beside one that has no log of its own."""
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro{'' if has_log else '&immutable=1'}", uri=True)


def _whose(connection: sqlite3.Connection) -> Found:
    (number,) = connection.execute("PRAGMA application_id").fetchone()
    if number:
        return Found.LEDGER if number == APPLICATION_ID else Found.FOREIGN
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return Found.NOTHING
    return Found.LEDGER if tables >= _OURS else Found.FOREIGN


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
