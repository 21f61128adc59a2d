"""The inbox: a file of received events, written by the receiver alone and read by the nightly job.

It holds ids, labels, times and hashes with a salt of its own; never contact data. SQLite's autoincrement gives every
event a higher id than all before it, so that a reader's place is a single number.
"""

import hmac
import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Self

from connectors.crm import EventKind, ReceivedEvent, WebhookEvent
from connectors.language import _
from connectors.records import LeadId, Moment

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
_COLUMNS = "received_at, kind, lead, label, at, appointment_at, structure, digest, is_unique"
# An event without an id or time of its own is a redelivery only of its lead's latest one: a lead may return to a
# status it had, and then the same body is news.
_APPEND = """
INSERT OR IGNORE INTO event (received_at, kind, lead, label, at, appointment_at, structure, digest, is_unique)
SELECT :received_at, :kind, :lead, :label, :at, :appointment_at, :structure, :digest, :is_unique
WHERE :is_unique OR :digest IS NOT (SELECT digest FROM event WHERE lead IS :lead ORDER BY id DESC LIMIT 1)
"""
# The latest event stays, whatever its age: its id is the place up to which a reader has read. While no event of another
# day is young, the clock may have jumped ahead: then nothing is old.
_DELETE_OLD = """
DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY id LIMIT 100)
AND received_at < :before AND id < (SELECT max(id) FROM event)
AND EXISTS (SELECT 1 FROM event WHERE received_at BETWEEN :before AND :yesterday)
"""
_BLANK_LATEST = """
UPDATE event SET lead = NULL, label = NULL, at = NULL, appointment_at = NULL, structure = '', digest = '', is_unique = 0
WHERE lead IN (SELECT value FROM json_each(?)) AND id = (SELECT max(id) FROM event)
"""
_ERASE = "DELETE FROM event WHERE lead IN (SELECT value FROM json_each(?))"
KEPT = timedelta(days=400)
"""How long an event is kept: longer than any click counts, so that what no run has read by then is too late."""
_DAY = timedelta(days=1)
_BUSY_SECONDS = 5.0
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class WaitingEvents:
    """The events that the next run will take up."""

    count: int
    received_at: datetime | None
    """When the latest event arrived, waiting or not; None if there never was one."""


class Inbox:
    """One account's inbox; use each instance from one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Use an open connection to a file; see `open_for_writing` and `open_for_reading`."""
        self._connection = connection
        self._path = path
        self._file = _identity(path)
        self.damaged: set[int] = set()
        """The ids of the rows that could not be read and were left out."""

    @classmethod
    def open_for_writing(cls, path: Path) -> Self:
        """Open the inbox for the receiver, creating it if it is missing; only its owner may read it."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)  # an existing file may be open to others
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return cls(connection, path)

    @classmethod
    def open_for_reading(cls, path: Path) -> Self | None:
        """Open the inbox for a reader; None if no receiver has ever made one."""
        if not path.exists() or not path.stat().st_size:
            return None
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only = TRUE")
        return cls(connection, path)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    # ── the receiver's side ──

    def append(self, events: Sequence[ReceivedEvent]) -> int:
        """Add events in one durable transaction, without redeliveries, and return how many were new.

        A few of the oldest events are deleted with it, if they are older than `KEPT` and the clock seems right.

        Raises:
            OSError: the file was deleted or replaced, so that no reader would find them.
            sqlite3.Error: the file cannot be written. Nothing was stored.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            before = self._connection.total_changes
            (salt,) = self._connection.execute("SELECT salt FROM salt").fetchone()
            self._connection.executemany(_APPEND, [_row(event, salt) for event in events])
            new = self._connection.total_changes - before
            if events:
                now = events[-1].received_at
                times = {"before": (now - KEPT).isoformat(), "yesterday": (now - _DAY).isoformat()}
                self._connection.execute(_DELETE_OLD, times)
            self._refuse_if_replaced()
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite has rolled back by itself after some errors
                self._connection.execute("ROLLBACK")
            raise
        return new

    def erase(self, leads: Collection[LeadId]) -> int:
        """Erase all events of these leads, and return how many there were.

        The latest event of all stays without saying whose it is, since readers go on from its id.
        """
        ids = json.dumps(list(leads))
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            erased = sum(self._connection.execute(each, (ids,)).rowcount for each in (_BLANK_LATEST, _ERASE))
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return erased

    def _refuse_if_replaced(self) -> None:
        if _identity(self._path) != self._file:
            said = _("{path} was replaced by another file; start the receiver again", path=self._path)
            raise OSError(said)

    # ── the readers' side ──

    def identity(self) -> str:
        """Return what tells this inbox from another that was made in its place."""
        (found,) = self._connection.execute("SELECT id FROM identity").fetchone() or ("",)
        return str(found)

    def latest_event_id(self) -> int:
        """Return the id of the latest event; 0 if there is none."""
        (latest,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()
        return int(latest)

    def count_waiting_events(self, *, after: int) -> WaitingEvents:
        """Return how many events came after a place, and when the latest of all arrived."""
        count, latest = self._connection.execute(
            "SELECT (SELECT count(*) FROM event WHERE id > ?), "
            "(SELECT received_at FROM event ORDER BY id DESC LIMIT 1)",
            (after,),
        ).fetchone()
        return WaitingEvents(count, datetime.fromisoformat(latest) if latest else None)

    def leads_with_events(self, *, after: int, to: int) -> list[LeadId]:
        """Return the leads with events after one place and up to another, in the order of their first one."""
        rows = self._connection.execute(
            "SELECT lead FROM event WHERE id > ? AND id <= ? AND lead IS NOT NULL GROUP BY lead ORDER BY min(id)",
            (after, to),
        )
        return [LeadId(lead) for (lead,) in rows]

    def events_of(self, leads: Collection[LeadId], *, to: int | None = None) -> dict[LeadId, list[ReceivedEvent]]:
        """Return these leads' events up to a place, or all of them, by lead and in the order of arrival.

        A damaged row is left out, and noted in `damaged`.
        """
        found: dict[LeadId, list[ReceivedEvent]] = {}
        rows = self._connection.execute(
            f"SELECT id, {_COLUMNS} FROM event "  # noqa: S608 - our own columns
            "WHERE lead IN (SELECT value FROM json_each(?)) AND id <= ? ORDER BY id",
            (json.dumps([*leads]), _LAST if to is None else to),
        )
        for id_, *row in rows:
            try:
                received = _event(row)
            except (ValueError, TypeError):  # some value is not the time, text or kind that it should be
                self.damaged.add(id_)
                continue
            found.setdefault(received.event.lead or LeadId(""), []).append(received)
        return found

    def count_unknown_structures(self, *, after: int, to: int) -> dict[str, int]:
        """Return the structures of the events that were not understood between two places, and how often each came."""
        rows = self._connection.execute(
            "SELECT structure, count(*) FROM event WHERE id > ? AND id <= ? AND kind IS NULL GROUP BY structure",
            (after, to),
        )
        return dict(rows.fetchall())


def _identity(path: Path) -> tuple[int, int]:
    """Return what tells a file from another one of the same name."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _row(received: ReceivedEvent, salt: bytes) -> dict[str, object]:
    event = received.event
    return {
        "received_at": received.received_at.isoformat(),
        "kind": event.kind,
        "lead": event.lead,
        "label": event.label,
        "at": _text(event.at),
        "appointment_at": _text(event.appointment_at),
        "structure": event.structure,
        "digest": hmac.digest(salt, received.digest.encode(), "sha256").hex(),
        "is_unique": received.is_unique,
    }


def _event(row: Sequence[str | None]) -> ReceivedEvent:
    received_at, kind, lead, label, at, appointment_at, structure, digest, is_unique = row
    event = WebhookEvent(
        kind=EventKind(kind) if kind else None,
        lead=LeadId(lead) if lead else None,
        label=label,
        at=_moment(at),
        appointment_at=_moment(appointment_at),
        structure=structure or "",
    )
    return ReceivedEvent(event, datetime.fromisoformat(received_at or ""), digest or "", bool(is_unique))


def _text(moment: Moment | None) -> str | None:
    return None if moment is None else moment.at.isoformat()


def _moment(text: str | None) -> Moment | None:
    if text is None:
        return None
    return Moment(datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text))
