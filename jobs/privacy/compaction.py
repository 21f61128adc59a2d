"""Rewrites a SQLite file without the pages that erased rows have left, in it and in its journal."""

import sqlite3
from contextlib import closing
from pathlib import Path

_PATIENCE = 5.0  # seconds


def compact(path: Path, *, patience: float = _PATIENCE) -> bool:
    """Rewrite a file, empty its journal, and return whether that succeeded: a reader at work keeps the journal.

    Raises:
        sqlite3.Error: the file cannot be written.
    """
    with closing(sqlite3.connect(path, timeout=patience, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("VACUUM")
        (is_busy, _pages, _moved) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not is_busy
