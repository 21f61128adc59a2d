"""Takes up what webhooks have reported: the leads to read, and what was not understood.

The inbox is a second source of every lead's history: whenever a lead is stored, its events are merged with what it
shows (`jobs.pull.ingest`). Here is only what makes sure that the leads with new events are read.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from sqlmodel import Session

from connectors.records import LeadId, LeadPage
from jobs.ledger import reading_progress
from jobs.ledger.leads import leads, status_labels
from jobs.ledger.outbox import outbox
from jobs.ledger.report import queries
from jobs.ledger.retention.erasure import forgotten_among
from jobs.pull.ingest import DetailFetcher, FetchedDetails, PullResult
from jobs.run_context import RunContext
from jobs.webhooks.inbox_reader import InboxReader

MANY = 5
"""So many leads, none of them found at once, suggest that their own pages are elsewhere."""


@dataclass(slots=True)
class NewEvents:
    """The events that arrived since the last run that read all their leads."""

    after: int = 0
    to: int | None = None
    """The latest event as this began; None if there is no inbox that can be read."""
    unread: dict[LeadId, None] = field(default_factory=dict)
    """The leads still to be read, in the order of their first event."""

    @classmethod
    def arrived_since_last_run(cls, run: RunContext, done: PullResult) -> Self:
        """Return the new events, counted in `done`.

        An inbox made anew, or restored to before those taken, is taken from its beginning, which adds nothing that is
        on record.
        """
        inbox, taken = run.deps.inbox, done.webhooks.read_to
        if (to := inbox.latest_event_id()) is None:
            return cls()
        with run.ledger.read_transaction() as session:
            place = reading_progress.last_read_inbox_event(session, run.ledger.account, inbox.identity())
            place = place if place <= to else 0
            taken = place if taken is None else taken
            after = taken if taken <= to else 0
            reported = inbox.leads_with_events(after=after, to=to)
            forgotten = forgotten_among(session, run.ledger.account, reported)
        done.webhooks.forgotten = len(forgotten)
        unread = dict.fromkeys(lead for lead in reported if lead not in forgotten)
        # A night's second reading counts no lead again: the place on record moves only as the night ends.
        done.webhooks.leads = len(set(inbox.leads_with_events(after=place, to=to)) - forgotten.keys())
        return cls(after, to, unread)

    def mark_leads_read(self, page: LeadPage) -> None:
        """Note that the leads of a page were read, or found unreadable."""
        for lead in (*(one.id for one in page.leads), *(one.id for one in page.unreadable)):
            self.unread.pop(LeadId(lead or ""), None)

    def read_remaining_leads(self, reading: DetailFetcher) -> FetchedDetails:
        """Read the leads still unread by their own pages; changed or not, they are stored, so that events are merged.

        One that is gone or refused counts as read: whoever reaches the receiver may report any id.

        Raises:
            KeyRefused: the source refuses the key. What was read so far is kept.
            Transient: the source kept failing. What was read so far is kept.
        """
        asked = reading.fetcher_past_refused(afresh=True).read(list(self.unread))
        for lead in asked.ids:
            self.unread.pop(lead, None)
        return asked

    def record_inbox_position(self, run: RunContext, done: PullResult) -> None:
        """Note how far the inbox was taken; once all its leads were read, also what was not understood in it."""
        inbox, taken = run.deps.inbox, done.webhooks
        taken.left = len(self.unread)
        if self.to is not None and not self.unread:
            structures = inbox.count_unknown_event_structures(after=self.after, to=self.to)
            before = inbox.count_unknown_event_structures(after=0, to=self.after) if structures else {}
            taken.unknown |= {one: count for one, count in structures.items() if one not in before}
            taken.known_unknown += sum(count for one, count in structures.items() if one in before)
            taken.read_to, taken.inbox = self.to, inbox.identity()
        taken.problem = inbox.problem
        taken.damaged = inbox.damaged_row_count
        if inbox.problem is not None:
            taken.read_to = None


def has_work(session: Session, account: str, inbox: InboxReader, *, now: datetime) -> bool:
    """Return whether a run between nights has anything to do: take up events, send what is due, ask for outcomes.

    An inbox that cannot be read is reported by a run.
    """
    taken = reading_progress.last_read_inbox_event(session, account, inbox.identity())
    latest = inbox.latest_event_id()
    if inbox.problem is not None or latest not in (None, taken) or outbox.is_any_due(session, account, now=now):
        return True
    ask_at = queries.awaited_outcomes(session, account).ask_at
    return ask_at is not None and ask_at <= now


def read_webhook_leads(run: RunContext, *, until: datetime, done: PullResult) -> None:
    """Read the leads that webhooks have reported since the last run, and only those.

    If none of several leads on record is found, their pages are probably elsewhere: the night lists all, and decides.

    Raises:
        KeyRefused: the source refuses us. What was read so far is kept.
        Transient: the source kept failing. What was read so far is kept; the next run reads the rest.
    """
    events, now = NewEvents.arrived_since_last_run(run, done), run.now()
    try:
        asked = events.read_remaining_leads(DetailFetcher(run, done, until, started=now))
        with run.ledger.read_transaction() as session:
            known = leads.stored_lead_ids(session, run.ledger.account, asked.ids)
        if not asked.as_asked and len(asked.ids) == len(known) >= MANY:
            done.no_detail_pages = True
            events.unread |= dict.fromkeys(asked.ids)
        else:
            done.webhooks.unseen += asked.unseen
    finally:
        events.record_inbox_position(run, done)
        # Several leads that lost one label silently may show a renamed status: the next night's reading tells.
        with run.ledger.write_transaction() as session:
            # However many runs they are spread over since the last pull that settled every label began.
            since = min(now, reading_progress.get_cursor(session, run.ledger.account).since or now)
            # The other leads have not been read since: a label that most of them kept is hardly gone.
            in_use = status_labels.labels_most_leads_kept(session, run.ledger.account)
            status_labels.hold_leads_of_merged_labels(
                session, run.ledger.account, run.book.meanings, since=since, in_use=in_use
            )
    done.complete = not events.unread
