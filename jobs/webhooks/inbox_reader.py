"""The inbox as one run reads it: if it cannot be read, the run goes on without it, and a human is told."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from connectors.crm import ReceivedEvent
from connectors.records import LeadId
from jobs.exit_codes import CommandError
from jobs.webhooks.inbox import INBOX_ERRORS, Inbox, InboxLocation, WaitingEvents

T = TypeVar("T")


class InboxReader:
    """One run's view of an account's inbox; use it from one thread at a time."""

    def __init__(self, location: InboxLocation | None = None) -> None:
        """Open nothing yet; None stands for an account without webhooks."""
        self._location = location
        self._inbox: Inbox | None = None
        self.problem: str | None = None
        """Why it cannot be read; from then on it counts as missing for this run."""
        self._damaged = 0

    def latest_event_id(self) -> int | None:
        """Return the id of the latest event; None if there is no inbox that can be read."""
        return self._query_inbox(lambda inbox: inbox.latest_event_id(), None)

    def identity(self) -> str:
        """Return what tells this inbox from another made in its place; empty if there is none that can be read."""
        return self._query_inbox(lambda inbox: inbox.identity(), "")

    def count_waiting_events(self, *, after: int) -> WaitingEvents | None:
        """Return the events after a place; None if there is no inbox that can be read."""
        return self._query_inbox(lambda inbox: inbox.count_waiting_events(after=after), None)

    def leads_with_events(self, *, after: int, to: int) -> Mapping[LeadId, int]:
        """Return the leads with events after one place and up to another, by their first one, each with its last."""
        return self._query_inbox(lambda inbox: inbox.leads_with_events(after=after, to=to), {})

    def leads_with_events_since(self, since: datetime) -> Sequence[LeadId]:
        """Return the leads with events that arrived since a time and were understood."""
        return self._query_inbox(lambda inbox: inbox.leads_with_events_since(since), ())

    def webhook_events_of(
        self, leads: Collection[LeadId], *, to: int | None = None
    ) -> Mapping[LeadId, Sequence[ReceivedEvent]]:
        """Return these leads' events up to a place, or all of them, in the order of arrival."""
        return self._query_inbox(lambda inbox: inbox.webhook_events_of(leads, to=to), {})

    def count_unknown_event_structures(self, *, after: int, to: int) -> dict[str, int]:
        """Return the structures that were not understood between two places, and how often each came."""
        return self._query_inbox(lambda inbox: inbox.count_unknown_event_structures(after=after, to=to), {})

    @property
    def damaged_row_count(self) -> int:
        """How many of its rows could not be read and were left out."""
        return self._damaged if self._inbox is None else len(self._inbox.damaged_row_ids)

    def close(self) -> None:
        """Close the inbox."""
        if self._inbox is not None:
            self._damaged = len(self._inbox.damaged_row_ids)
            self._inbox.close()
            self._inbox = None

    def _query_inbox(self, question: Callable[[Inbox], T], otherwise: T) -> T:
        if self._location is None or self.problem is not None:
            return otherwise
        try:
            self._inbox = self._inbox or self._location.open_inbox_for_reading()
            return otherwise if self._inbox is None else question(self._inbox)
        except CommandError as error:
            self.problem = str(error)
        except (*INBOX_ERRORS, ValueError, TypeError) as error:
            # ValueError, TypeError: the time of the latest arrival is damaged.
            self.problem = f"{self._location}: {error}"
        return otherwise
