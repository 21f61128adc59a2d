"""The files beside and behind a ledger: whose a file is, told without touching it, and how ours are opened."""

import os
import sqlite3
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

APPLICATION_ID = 0x4F504C53  # "OPLS"
"""Stands in the header of every ledger (https://sqlite.org/pragma.html#pragma_application_id)."""
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_ID_AT = slice(68, 72)
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

    Raises:
        OSError: it cannot be read.
        sqlite3.DatabaseError: it is damaged, or locked.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return Found.NOTHING
    if not header:
        return Found.NOTHING
    if not header.startswith(_MAGIC):
        return Found.FOREIGN
    number = int.from_bytes(header[_ID_AT], "big")
    if number == 0:
        return _by_tables(path)
    return Found.LEDGER if number == APPLICATION_ID else Found.FOREIGN


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, and makes no file beside one that has no log of its own."""
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro{'' if has_log else '&immutable=1'}", uri=True)


def _by_tables(path: Path) -> Found:
    with closing(read_only(path)) as connection:
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
        return os.open(name, flags | os.O_NOFOLLOW)
    os.fchmod(made, 0o600)
    return made
