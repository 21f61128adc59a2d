"""The inbox: what an account's webhooks have reported, written by receivers and read by the nightly job.

It holds ids, labels, times and hashes with a salt of its own; never contact data. Every event has a higher id than all
that were there before it, so that a reader's place is a single number.
"""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from connectors.crm import ReceivedEvent
from connectors.records import LeadId
from jobs.exit_codes import CommandError

KEPT = timedelta(days=400)
"""How long an event is kept: longer than any click counts, so that what no run has read by then is too late."""
INBOX_ERRORS = (sqlite3.Error, OSError, CommandError)
"""What an inbox raises if it cannot be used; nothing was stored or erased."""


@dataclass(frozen=True, slots=True)
class WaitingEvents:
    """The events that the next run will take up."""

    count: int
    received_at: datetime | None
    """When the latest event arrived, waiting or not; None if there never was one."""


class Inbox(Protocol):
    """One account's open inbox; use each instance from one thread at a time. Every method may raise `INBOX_ERRORS`."""

    @property
    def damaged_row_ids(self) -> Collection[int]:
        """The ids of the rows that could not be read and were left out."""

    def append_events(self, events: Sequence[ReceivedEvent]) -> int:
        """Add events in one durable transaction, without redeliveries, and return how many were new.

        A few of the oldest events are deleted with it, if they are older than `KEPT` and the clock seems right.
        """

    def erase(self, leads: Collection[LeadId]) -> int:
        """Erase all events of these leads, and return how many there were.

        The latest event of all stays without saying whose it is, since readers go on from its id.
        """

    def identity(self) -> str:
        """Return what tells this inbox from another that was made in its place."""

    def latest_event_id(self) -> int:
        """Return the id of the latest event; 0 if there is none."""

    def count_waiting_events(self, *, after: int) -> WaitingEvents:
        """Return how many events came after a place, and when the latest of all arrived."""

    def leads_with_events(self, *, after: int, to: int) -> list[LeadId]:
        """Return the leads with events after one place and up to another, in the order of their first one."""

    def webhook_events_of(
        self, leads: Collection[LeadId], *, to: int | None = None
    ) -> dict[LeadId, list[ReceivedEvent]]:
        """Return these leads' events up to a place, or all of them, by lead and in the order of arrival.

        A damaged row is left out, and noted in `damaged_row_ids`.
        """

    def count_unknown_event_structures(self, *, after: int, to: int) -> dict[str, int]:
        """Return the structures of the events that were not understood between two places, and how often each came."""

    def close(self) -> None:
        """Close what was opened for it."""


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
