"""Reads leads for a backfill: from a time of its own on, with a place of its own; the nightly cursor stays put."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from connectors.errors import Misconfigured
from connectors.ports import Clock, LeadSource
from connectors.records import LeadId, LeadPage
from jobs.ledger import leads, requeue
from jobs.ledger.runs import Ledger
from jobs.pull.detail_fetch import DetailFetch
from jobs.pull.ingest import Ingest, ReadTimes
from jobs.pull.sync import Pulled, SyncMode, SyncWindow


@dataclass(frozen=True, slots=True)
class ReadRange:
    """What a backfill wants to read."""

    reads_from: datetime
    """Leads created since then count."""
    reads_to: datetime
    fresh: bool
    """Whether leads created in that time are read whole though nothing changed: the night keeps no contact data of
    what it does not send."""


def read_range(
    ledger: Ledger,
    source: LeadSource,
    ingest: Ingest,
    clock: Clock,
    *,
    sync_window: SyncWindow,
    wish: ReadRange,
    done: Pulled,
) -> None:
    """Read the leads of a time; an interrupted reading goes on at its page.

    Nothing is concluded of what is not listed: renamed statuses and deleted leads are for the night to find.

    Args:
        ledger: where they are kept.
        source: where they are read.
        ingest: what is wanted of them.
        clock: for the time that is left.
        sync_window: how to read, and for how long.
        wish: what to read.
        done: counts what was read, also up to a failure; complete where all was.

    Raises:
        Misconfigured: the source refuses us; the next reading starts over.
        Transient: the source kept failing; the next reading goes on there.
    """
    until = clock.now() + sync_window.budget
    place = requeue.begin_reading(
        ledger, wish.reads_from, fresh_to=wish.reads_to if wish.fresh else None, now=clock.now()
    )
    detail_pages = DetailFetch(
        ledger, source, ingest, clock, until=until, count=done.count_details, started=clock.now(), afresh=wish.fresh
    )
    reading = _Reading(
        ledger, source, ingest, clock, detail_pages, sync_window.style, until, wish, done, place.started_at
    )
    try:
        done.complete = reading.read_list(place.resume) and reading.read_known()
    except Misconfigured:
        # Its place may be the very thing the source refuses.
        requeue.end_reading(ledger)
        raise
    if done.complete:
        requeue.end_reading(ledger)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading, from its first page to the leads asked for one by one."""

    ledger: Ledger
    source: LeadSource
    ingest: Ingest
    clock: Clock
    detail_pages: DetailFetch
    style: SyncMode
    until: datetime
    wish: ReadRange
    done: Pulled
    began_at: datetime
    """When this reading began, before it was interrupted."""

    def read_list(self, resume: str | None) -> bool:
        """Read pages to the last; False where a budget ends it before."""
        since = self.wish.reads_from if self.style is SyncMode.SINCE else None
        page = before = None
        for page in self.source.fetch_changes(since, resume=resume, is_known=self._is_known):
            self._set_clock(page, first=self.done.pages == 0)
            if not self._keep(page, before):
                return False
            before = page
            if page.resume is not None and self.clock.now() > self.until:
                return False
        return page is None or page.resume is None

    def read_known(self) -> bool:
        """Where only own pages tell how leads are, read those that count and were not read since this began."""
        if self.style is not SyncMode.DETAILS:
            return True
        with self.ledger.reading() as session:
            wanted = leads.worth_reading(session, self.ledger.account, since=self.wish.reads_from, before=self.began_at)
        return len(self.detail_pages.read(wanted).ids) == len(wanted)

    def _set_clock(self, page: LeadPage, *, first: bool) -> None:
        # By the source's own clock, as the night does.
        if page.served_at is not None:
            self.detail_pages.ahead = page.served_at - self.clock.now()
            if first:
                self.detail_pages.started = page.served_at

    def _is_known(self, lead: LeadId, digest: str) -> bool:
        if self.style is SyncMode.DETAILS:
            return True
        account, wish = self.ledger.account, self.wish
        with self.ledger.reading() as session:
            if leads.is_known(session, account, lead, digest):
                return not wish.fresh or not leads.was_created(
                    session, account, lead, since=wish.reads_from, before=wish.reads_to
                )
            return bool(leads.unchanged_test_leads(session, account, {lead: digest}))

    def _keep(self, page: LeadPage, before: LeadPage | None) -> bool:
        """Keep a page that follows another, and have an interrupted reading go on after it.

        False where its leads could not all be read.
        """
        started = self.detail_pages.started
        listed = page
        if self.style is SyncMode.DETAILS:
            # To be listed is not to be observed.
            page = replace(page, unchanged=())
            if not self._read_new(listed.unchanged):
                return False
        with self.ledger.writing() as session:
            requeue.note_page(session, self.ledger, page.resume)
            when = ReadTimes(started, page.served_at or started, self.clock.now())
            kept = self.ingest.store(session, self.ledger.account, page, when)
        self.done.count(listed, kept, before=before)
        return True

    def _read_new(self, listed: Sequence[LeadId]) -> bool:
        with self.ledger.reading() as session:
            new = leads.not_on_record(session, self.ledger.account, listed)
        return len(self.detail_pages.read(new).ids) == len(new)
