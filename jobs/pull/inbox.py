"""Takes up what webhooks have reported: the leads to read, and what was not understood.

The inbox is a second source of every lead's history: whenever a lead is stored, its events are merged with what it
shows (`jobs.pull.ingest`). Here is only what makes sure that the leads with new events are read.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from sqlmodel import Session

from connectors.errors import Misconfigured
from connectors.records import Found, LeadId, LeadPage
from jobs.ledger import reading_progress
from jobs.ledger.leads import reported_leads, status_labels
from jobs.ledger.leads.reported_leads import NOT_FOUND, LookupState
from jobs.ledger.outbox import outbox
from jobs.ledger.report import queries
from jobs.ledger.retention.erasure import forgotten_by_either
from jobs.pull.ingest import MANY, DetailFetcher, FetchedDetails, PastRefusedFetcher, PullResult
from jobs.run_context import RunContext
from jobs.webhooks.inbox_reader import InboxReader

UNKNOWN_A_NIGHT = 200
"""So many leads that do not exist are looked up at most, of those that are reported and not on record."""
_SHARED_FOR = timedelta(hours=12)
"""The runs of so long share them: a night, and those by day."""
_AT_ONCE = 20
"""Leads not on record that are asked for before it is seen how many of them exist."""


@dataclass(slots=True)
class NewEvents:
    """The events that arrived since the last run that read all their leads."""

    after: int = 0
    to: int | None = None
    """The latest event as this began; None if there is no inbox that can be read."""
    unread: dict[LeadId, None] = field(default_factory=dict)
    """The leads still to be read: those on record first, each part in the order of their first event."""
    unknown: Collection[LeadId] = frozenset()
    """Those of them that are not on record: whoever reaches the receiver may report any id."""
    lookups_left: int = 0
    """How many more leads that do not exist may be looked up."""

    @classmethod
    def arrived_since_last_run(cls, run: RunContext, done: PullResult) -> Self:
        """Return the new events, counted in `done`.

        An inbox made anew, or restored to before those taken, is taken from its beginning, which adds nothing that is
        on record. Leads that a run which ended early has read, and ids known not to exist, are not read again.
        """
        inbox, taken = run.deps.inbox, done.webhooks.read_to
        if (to := inbox.latest_event_id()) is None:
            return cls()
        account, identity = run.ledger.account, inbox.identity()
        with run.ledger.read_transaction() as session:
            place = reading_progress.last_read_inbox_event(session, account, identity)
            place = place if place <= to else 0
            taken = place if taken is None else taken
            after = taken if taken <= to else 0
            reported = inbox.leads_with_events(after=after, to=to)
            looked_up = reported_leads.looked_up_leads(session, account)
            waiting = [lead for lead, row in looked_up.items() if row.state == LookupState.WAITING]
            named = dict.fromkeys([*reported, *waiting])
            forgotten = forgotten_by_either(session, account, run.ledger.place, named)
            known = reported_leads.leads_on_record(session, account, named)
        done.webhooks.forgotten = len(forgotten.keys() & reported.keys())

        def is_to_be_read(lead: LeadId) -> bool:
            row = looked_up.get(lead)
            if row is not None and row.state == LookupState.READ:
                return row.inbox != identity or row.event < reported[lead]
            return lead in known or row is None or row.state not in NOT_FOUND

        unread = [lead for lead in named if lead not in forgotten and is_to_be_read(lead)]
        lately = [row for row in looked_up.values() if row.state in NOT_FOUND and row.at > run.now() - _SHARED_FOR]
        # A night's second reading counts no lead again: the place on record moves only as the night ends.
        done.webhooks.leads = len(inbox.leads_with_events(after=place, to=to).keys() - forgotten.keys())
        return cls(
            after,
            to,
            dict.fromkeys(unread),
            frozenset(unread) - known,
            UNKNOWN_A_NIGHT - len(lately),
        )

    def mark_leads_read(self, session: Session, run: RunContext, page: LeadPage) -> None:
        """Note that the leads of a page were read, or found unreadable."""
        if not self.unread:
            return
        read = (*(one.id for one in page.leads), *(one.id for one in page.unreadable))
        self.record_lookups(session, run, dict.fromkeys((LeadId(one or "") for one in read), LookupState.READ))

    def record_lookups(self, session: Session, run: RunContext, found: dict[LeadId, LookupState]) -> None:
        """Note what became of those leads that were to be read, in the transaction that stores them."""
        found = {lead: state for lead, state in found.items() if lead in self.unread}
        if found and self.to is not None:
            inbox, at = run.deps.inbox.identity(), run.now()
            reported_leads.record_lookups(session, run.ledger.account, found, inbox=inbox, event=self.to, at=at)
        for lead in found:
            self.unread.pop(lead)

    def read_remaining_leads(self, reading: DetailFetcher) -> FetchedDetails:
        """Read the leads still unread by their own pages; changed or not, they are stored, so that events are merged.

        One that is gone or refused counts as read. Of those that are not on record, only so many are looked up as the
        budget allows; the others wait. Returns what became of those on record.

        Raises:
            KeyRefused: the source refuses the key. What was read so far is kept.
            Transient: the source kept failing. What was read so far is kept.
        """
        fetch = _ReportedLeadFetcher(
            reading.run,
            reading.done,
            reading.until,
            started=reading.started,
            ahead=reading.ahead,
            afresh=True,
            events=self,
        )
        asked = fetch.read([lead for lead in self.unread if lead not in self.unknown])
        for lead in asked.ids:
            self.unread.pop(lead, None)
        if not self.unread.keys() - self.unknown:
            self._look_up_unknown_leads(fetch)
        return asked

    def _look_up_unknown_leads(self, fetch: DetailFetcher) -> None:
        while (part := list(self.unread)[: min(_AT_ONCE, self.lookups_left)]) and self.lookups_left > 0:
            asked = fetch.read(part)
            self.lookups_left -= len(asked.ids) - len(asked.as_asked)
            for lead in asked.ids:
                self.unread.pop(lead, None)
            if len(asked.ids) < len(part):
                return
        with fetch.run.ledger.write_transaction() as session:
            self.record_lookups(session, fetch.run, dict.fromkeys(self.unread, LookupState.WAITING))

    def record_inbox_position(self, run: RunContext, done: PullResult) -> None:
        """Note how far the inbox was taken; once all its leads were read, also what was not understood in it."""
        inbox, taken = run.deps.inbox, done.webhooks
        taken.left = len(self.unread)
        if self.to is not None and not self.unread:
            structures = inbox.count_unknown_event_structures(after=self.after, to=self.to)
            before = inbox.count_unknown_event_structures(after=0, to=self.after) if structures else {}
            taken.unknown |= {one: count for one, count in structures.items() if one not in before}
            taken.known_unknown += sum(count for one, count in structures.items() if one in before)
            taken.known_structures += tuple(one for one in structures if one in before)
            taken.read_to, taken.inbox = self.to, inbox.identity()
        taken.problem = inbox.problem
        taken.damaged = inbox.damaged_row_count
        if inbox.problem is not None:
            taken.read_to = None


@dataclass(slots=True)
class _ReportedLeadFetcher(PastRefusedFetcher):
    """Reads leads that webhooks reported; whoever reaches the receiver may have made up their ids."""

    events: NewEvents = field(kw_only=True)

    def _refused(self, lead: LeadId, error: Misconfigured) -> Found:
        return None if lead in self.events.unknown else super(_ReportedLeadFetcher, self)._refused(lead, error)

    def _note_stored(self, session: Session, found: Sequence[tuple[LeadId, Found]]) -> None:
        """Note which were read, and which do not exist; of one on record, the night decides whether it is gone."""
        states = {lead: LookupState.MISSING if one is None else LookupState.READ for lead, one in found}
        gone = {lead for lead, one in found if one is None and lead not in self.events.unknown}
        self.events.record_lookups(
            session, self.run, {lead: state for lead, state in states.items() if lead not in gone}
        )


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
    done.shown_since = now
    try:
        asked = events.read_remaining_leads(DetailFetcher(run, done, until, started=now))
        if not asked.as_asked and len(asked.ids) - len(asked.refused) >= MANY:
            done.no_detail_pages = True
            events.unread |= dict.fromkeys(asked.ids)
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
