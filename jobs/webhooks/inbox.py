"""The inbox: what an account's webhooks have reported, written by receivers and read by the nightly job.

It holds ids, labels, times and hashes with a salt of its own; never contact data. Every event has a higher id than all
that were there before it, so that a reader's place is a single number. In a file or in a database, its rows are the
same, and so is nearly all that is asked of them.
"""

import hmac
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId, Moment
from jobs.exit_codes import CommandError

KEPT = timedelta(days=400)
"""How long an event is kept: longer than any click counts, so that what no run has read by then is too late."""
INBOX_ERRORS = (sqlite3.Error, OSError, CommandError)
"""What an inbox raises if it cannot be used; nothing was stored or erased."""
COLUMNS = "received_at, kind, lead, label, at, appointment_at, structure, digest, is_unique"
# An event without an id or time of its own is a redelivery only of its lead's latest one: a lead may return to a
# status it had, and then the same body is news.
APPEND = """
INSERT INTO {table} (id, received_at, kind, lead, label, at, appointment_at, structure, digest, is_unique)
SELECT {new_id}, :received_at, :kind, :lead, :label, :at, :appointment_at, :structure, :digest, :is_unique
WHERE :is_unique OR :digest <> coalesce((SELECT digest FROM {table} WHERE {same_lead} ORDER BY id DESC LIMIT 1), '')
ON CONFLICT ({unique}) WHERE is_unique DO NOTHING
"""
# The latest event stays, whatever its age: its id is the place up to which a reader has read. While no event of another
# day is young, the clock may have jumped ahead: then nothing is old.
_DELETE_OLD = """
DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY id LIMIT 100)
AND received_at < :before AND id < (SELECT max(id) FROM {table})
AND EXISTS (SELECT 1 FROM {table} WHERE received_at BETWEEN :before AND :yesterday)
"""
_BLANK_LATEST = """
UPDATE {table} SET lead = NULL, label = NULL, at = NULL, appointment_at = NULL, structure = '', digest = '',
is_unique = false WHERE {among} AND id = (SELECT max(id) FROM {table})
"""
_ERASE = "DELETE FROM {table} WHERE {among}"
LATEST_ID = "SELECT coalesce(max(id), 0) FROM {table}"
_WAITING = """
SELECT (SELECT count(*) FROM {table} WHERE id > :after), (SELECT received_at FROM {table} ORDER BY id DESC LIMIT 1)
"""
_LEADS = """
SELECT lead, max(id) FROM {table} WHERE id > :after AND id <= :to AND lead IS NOT NULL GROUP BY lead ORDER BY min(id)
"""
_LEADS_SINCE = """
SELECT DISTINCT lead FROM {table} WHERE id > coalesce((
    SELECT id FROM {table} WHERE received_at < :since ORDER BY id DESC LIMIT 1
), 0) AND lead IS NOT NULL AND kind IS NOT NULL
"""
_EVENTS = """
SELECT id, received_at, kind, lead, label, at, appointment_at, structure, digest, is_unique
FROM {table} WHERE {among} AND id <= :to ORDER BY id
"""
_STRUCTURES = """
SELECT structure, count(*) FROM {table} WHERE id > :after AND id <= :to AND kind IS NULL GROUP BY structure
"""
_DAY = timedelta(days=1)
_LAST = 2**63 - 1
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WaitingEvents:
    """The events that the next run will take up."""

    count: int
    received_at: datetime | None
    """When the latest event arrived, waiting or not; None if there never was one."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one database says differently from another."""

    table: str
    new_id: str
    """The id of an event to append."""
    same_lead: str
    """Whether a row is of the lead `:lead`, or of none as that is."""
    among: str
    """Whether a row is of one of the leads `:leads`."""
    unique: str
    """The columns by which a digest is unique."""

    def adapt_sql_statement(self, statement: str) -> str:
        """Return a statement as this database understands it."""
        return statement.format(
            table=self.table, new_id=self.new_id, same_lead=self.same_lead, among=self.among, unique=self.unique
        )


@dataclass(frozen=True, slots=True)
class InboxContents:
    """All that an inbox stores, to be stored elsewhere as it is."""

    salt: bytes = field(repr=False)
    rows: Sequence[Values] = field(repr=False)
    """In the order of their ids."""


class StatementResult(Protocol):
    """What came of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""

    def fetchall(self) -> Sequence[Sequence[Any]]:
        """Return the rows that were found."""


class Transaction(Protocol):
    """An open transaction of an account's."""

    def run(self, statement: str, values: Values | Sequence[Values]) -> StatementResult:
        """Run a statement, with values named in it, or once with each of several."""

    def leads_parameter(self, leads: Collection[LeadId]) -> object:
        """Return leads as the value of `:leads`."""

    def salt(self) -> bytes:
        """Return the salt of this inbox."""


class Inbox(ABC):
    """One account's open inbox; use each instance from one thread at a time. Every method may raise `INBOX_ERRORS`."""

    _dialect: ClassVar[Dialect]

    def __init__(self) -> None:
        """Note nothing yet."""
        self.damaged_row_ids: set[int] = set()
        """The ids of the rows that could not be read and were left out."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Transaction]:
        """Hold what the block sees."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Transaction]:
        """Hold the account's inbox against every other writer, and commit durably what the block has done."""

    @abstractmethod
    def identity(self) -> str:
        """Return what tells this inbox from another that was made in its place."""

    @abstractmethod
    def close(self) -> None:
        """Close what was opened for it."""

    # ── writing ──

    def append_events(self, events: Sequence[ReceivedEvent]) -> int:
        """Add events in one durable transaction, without redeliveries, and return how many were new.

        A few of the oldest events are deleted with it, if they are older than `KEPT` and the clock seems right.
        """
        if not events:
            return 0
        now = events[-1].received_at
        times = {"before": (now - KEPT).isoformat(), "yesterday": (now - _DAY).isoformat()}
        with self._writing() as transaction:
            salt = transaction.salt()
            new = transaction.run(
                self._dialect.adapt_sql_statement(APPEND), [_row(event, salt) for event in events]
            ).rowcount
            transaction.run(self._dialect.adapt_sql_statement(_DELETE_OLD), times)
        return new

    def erase(self, leads: Collection[LeadId]) -> int:
        """Erase all events of these leads, and return how many there were.

        The latest event of all stays without saying whose it is, since readers go on from its id.
        """
        with self._writing() as transaction:
            values = {"leads": transaction.leads_parameter(leads)}
            return sum(
                transaction.run(self._dialect.adapt_sql_statement(each), values).rowcount
                for each in (_BLANK_LATEST, _ERASE)
            )

    # ── reading ──

    def latest_event_id(self) -> int:
        """Return the id of the latest event; 0 if there is none."""
        ((latest,),) = self._rows(LATEST_ID)
        return int(latest)

    def count_waiting_events(self, *, after: int) -> WaitingEvents:
        """Return how many events came after a place, and when the latest of all arrived."""
        ((count, latest),) = self._rows(_WAITING, after=after)
        return WaitingEvents(count, datetime.fromisoformat(latest) if latest else None)

    def leads_with_events(self, *, after: int, to: int) -> dict[LeadId, int]:
        """Return the leads with events after one place and up to another, by their first one, each with its last."""
        return {LeadId(lead): int(last) for lead, last in self._rows(_LEADS, after=after, to=to)}

    def leads_with_events_since(self, since: datetime) -> list[LeadId]:
        """Return the leads with events that arrived since a time and were understood."""
        return [LeadId(lead) for (lead,) in self._rows(_LEADS_SINCE, since=since.isoformat())]

    def webhook_events_of(
        self, leads: Collection[LeadId], *, to: int | None = None
    ) -> dict[LeadId, list[ReceivedEvent]]:
        """Return these leads' events up to a place, or all of them, by lead and in the order of arrival.

        A damaged row is left out, and noted in `damaged_row_ids`.
        """
        found: dict[LeadId, list[ReceivedEvent]] = {}
        with self._reading() as transaction:
            values = {"leads": transaction.leads_parameter(leads), "to": _LAST if to is None else to}
            rows = transaction.run(self._dialect.adapt_sql_statement(_EVENTS), values).fetchall()
        for id_, *row in rows:
            try:
                received = _event(row)
            except (ValueError, TypeError):  # some value is not the time, text or kind that it should be
                self.damaged_row_ids.add(id_)
                continue
            found.setdefault(received.event.lead or LeadId(""), []).append(received)
        return found

    def count_unknown_event_structures(self, *, after: int, to: int) -> dict[str, int]:
        """Return the structures of the events that were not understood between two places, and how often each came."""
        return {structure: count for structure, count in self._rows(_STRUCTURES, after=after, to=to)}  # noqa: C416

    def _rows(self, statement: str, **values: int | str) -> Sequence[Sequence[Any]]:
        with self._reading() as transaction:
            return transaction.run(self._dialect.adapt_sql_statement(statement), values).fetchall()


class InboxLocation(Protocol):
    """Where an account's inbox lies; as text, what messages call it. Every method may raise `INBOX_ERRORS`."""

    def exists(self) -> bool:
        """Return whether a receiver has ever made it."""

    def open_inbox_for_writing(self) -> Inbox:
        """Open the inbox, creating it if it is missing."""

    def open_inbox_for_reading(self) -> Inbox | None:
        """Open the inbox for a reader; None if no receiver has ever made one."""

    @property
    def storage_files(self) -> tuple[Path, ...]:
        """The files that hold it, to be rewritten after something was erased."""


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────


def _row(received: ReceivedEvent, salt: bytes) -> Values:
    event = received.event
    return {
        "received_at": received.received_at.isoformat(),
        "kind": event.kind and event.kind.value,
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
        kind=CrmEventKind(kind) if kind else None,
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
