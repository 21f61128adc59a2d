"""An inbox in a SQLite file: one receiver writes to it."""

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from connectors.language import _
from connectors.private_folder import make_private_folder
from connectors.records import LeadId
from jobs.exit_codes import CommandError
from jobs.webhooks.inbox import COLUMNS, Dialect, Inbox, InboxContents, StatementResult, Values

# SQLite's autoincrement gives no id twice, whatever is deleted.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at TEXT NOT NULL,
    kind TEXT,
    lead TEXT,
    label TEXT,
    at TEXT,
    appointment_at TEXT,
    structure TEXT NOT NULL,
    digest TEXT NOT NULL,
    is_unique INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS ix_event_digest ON event (digest) WHERE is_unique;
CREATE INDEX IF NOT EXISTS ix_event_lead ON event (lead, id);
CREATE INDEX IF NOT EXISTS ix_event_not_understood ON event (id) WHERE kind IS NULL;
CREATE TABLE IF NOT EXISTS identity (id TEXT NOT NULL);
INSERT INTO identity SELECT lower(hex(randomblob(16))) WHERE NOT EXISTS (SELECT 1 FROM identity);
CREATE TABLE IF NOT EXISTS salt (salt BLOB NOT NULL);
INSERT INTO salt SELECT randomblob(32) WHERE NOT EXISTS (SELECT 1 FROM salt);
"""
_BUSY_SECONDS = 5.0
_ATTEMPTS = 3
_MOVED = ".moved"


@dataclass(frozen=True, slots=True)
class _FileTransaction:
    connection: sqlite3.Connection

    def run(self, statement: str, values: Values | Sequence[Values]) -> StatementResult:
        """Run a statement."""
        if isinstance(values, Sequence):
            return self.connection.executemany(statement, values)
        return self.connection.execute(statement, values)

    def leads_parameter(self, leads: Collection[LeadId]) -> str:
        """Return leads as one value."""
        return json.dumps(list(leads))

    def salt(self) -> bytes:
        """Return the file's salt."""
        (salt,) = self.connection.execute("SELECT salt FROM salt").fetchone()
        return bytes(salt)


class FileInbox(Inbox):
    """One account's inbox in a file; use each instance from one thread at a time."""

    _dialect: ClassVar[Dialect] = Dialect(
        table="event",
        new_id="NULL",
        same_lead="lead IS :lead",
        among="lead IN (SELECT value FROM json_each(:leads))",
        unique="digest",
    )

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Use an open connection to a file; see `WebhookInboxFile`."""
        super().__init__()
        self._connection = connection
        self._path = path
        self._file = _identity(path)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def identity(self) -> str:
        """Return what tells this inbox from another that was made in its place."""
        (found,) = self._connection.execute("SELECT id FROM identity").fetchone() or ("",)
        return str(found)

    @contextmanager
    def _reading(self) -> Iterator[_FileTransaction]:
        yield _FileTransaction(self._connection)

    @contextmanager
    def _writing(self) -> Iterator[_FileTransaction]:
        """Hold the file for the block; what was written to one that no reader would find is not kept.

        Raises:
            OSError: the file was deleted or replaced.
            sqlite3.Error: the file cannot be written.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield _FileTransaction(self._connection)
            self._refuse_if_replaced()
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite has rolled back by itself after some errors
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def set_aside(self) -> Iterator[InboxContents]:
        """Yield what is stored, and after the block rename the file, unless that failed; no receiver adds to it.

        Raises:
            CommandError: its journal cannot be emptied while somebody reads it.
            sqlite3.Error, OSError: the file cannot be used.
        """
        self._hold_with_empty_journal()
        try:
            names = ("id", *COLUMNS.split(", "))
            rows = self._connection.execute(f"SELECT id, {COLUMNS} FROM event ORDER BY id")  # noqa: S608 - our columns
            stored = [dict(zip(names, row, strict=True)) for row in rows]
            yield InboxContents(_FileTransaction(self._connection).salt(), stored)
            self._path.rename(set_aside_name(self._path))
        finally:
            self._connection.execute("ROLLBACK")

    def _hold_with_empty_journal(self) -> None:
        """Hold the file against every writer, with all that it stores in itself: its journal is not renamed with it."""
        for _attempt in range(_ATTEMPTS):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.execute("BEGIN IMMEDIATE")
            if not has_journal(self._path):  # a receiver may have written in between
                return
            self._connection.execute("ROLLBACK")
        raise CommandError(
            _(
                "{path}: another program is using it, so no event was moved: repeat this once it has ended",
                path=self._path,
            )
        )

    def _refuse_if_replaced(self) -> None:
        if _identity(self._path) != self._file:
            said = _("{path} was replaced by another file; start the receiver again", path=self._path)
            raise OSError(said)


@dataclass(frozen=True, slots=True)
class WebhookInboxFile:
    """An inbox's place: a file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """Return whether a receiver has ever made the file."""
        return self.path.exists() and self.path.stat().st_size > 0

    def open_inbox_for_writing(self) -> FileInbox:
        """Open the file for the receiver, creating it if it is missing; only its owner may read it."""
        make_private_folder(self.path.parent)
        self.path.touch(mode=0o600)
        self.path.chmod(0o600)  # an existing file may be open to others
        connection = self._connect()
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return FileInbox(connection, self.path)

    def open_inbox_for_reading(self) -> FileInbox | None:
        """Open the file for a reader; None if no receiver has ever made one."""
        if not self.exists():
            return None
        connection = self._connect()
        connection.execute("PRAGMA query_only = TRUE")
        return FileInbox(connection, self.path)

    @property
    def storage_files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def has_journal(path: Path) -> bool:
    """Return whether the journal of a SQLite file, which need not be there itself, has anything in it."""
    journal = path.with_name(f"{path.name}-wal")
    return journal.exists() and journal.stat().st_size > 0


def set_aside_name(path: Path) -> Path:
    """Return what an inbox's file is called once its events were moved."""
    return path.with_name(f"{path.name}{_MOVED}")


def is_moved_inbox_file(path: Path) -> bool:
    """Return whether that is what a file is called."""
    return path.name.endswith(_MOVED)


def _identity(path: Path) -> tuple[int, int]:
    """Return what tells a file from another one of the same name."""
    status = path.stat()
    return status.st_dev, status.st_ino
