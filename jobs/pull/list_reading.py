"""Reads the list of leads page by page, one transaction each, for a night or a backfill."""

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from connectors.errors import Misconfigured
from connectors.language import _
from connectors.records import LeadId, LeadPage, ListedLead
from jobs.ledger.leads import excluded_leads, leads
from jobs.ledger.retention import retention
from jobs.ledger.retention.erasure import forgotten_by_either
from jobs.pull.ingest import MANY, DetailFetcher, ReadTimes, count_new_leads, store_lead_page, without_forgotten

FULL_READ_EVERY = timedelta(days=7)
"""A filter, a shifting page or a list entry may hide a change; a periodic full read doesn't."""


@dataclass(frozen=True, slots=True)
class ShownPage:
    """A list page as it is stored."""

    page: LeadPage
    listed: Collection[ListedLead]
    """Its entries, where they tell what each lead is like; without those of reported leads."""
    new: int
    """How many leads, readable or not, the page before did not show."""


@dataclass(slots=True, kw_only=True)
class ListReading:
    """One reading of the list, from its first page to its last."""

    fetch: DetailFetcher
    save_place: Callable[[Session, ShownPage], None]
    """Saves the place after a page, in the transaction that stores it."""
    reported: Collection[LeadId] = ()
    """Leads that are read in full however their entries look; those still unread at each page."""
    reread_created: tuple[datetime, datetime] | None = None
    """Leads created in this span are read in full, though they are unchanged."""
    _listed: dict[LeadId, ListedLead] = field(default_factory=dict, init=False)
    """The current page's entries by lead."""
    _too_old: set[LeadId] = field(default_factory=set, init=False)
    """Those of them that are not on record and may have left."""

    def read(self, since: datetime | None, resume: str | None) -> bool:
        """Read the list to its last page; return False if time runs out first."""
        fetch, run = self.fetch, self.fetch.run
        page = before = None
        heard = [self._latest_webhook_event()]  # before the first page, and after each one that was handed on
        found = run.deps.source.fetch_changes(since, resume=resume, find_known=self._find_unchanged)
        with closing(found) as pages:
            for page in pages:
                # Use the source's own clock. A pull resumed days later observes leads as of now, not as of its start.
                if page.served_at is not None and not page.ahead:
                    fetch.ahead = page.served_at - run.now()
                    if fetch.done.pages == 0:
                        fetch.started = page.served_at
                if not self._store_page(page, before, heard[-1 - page.ahead]):
                    return False
                before = page
                heard.append(self._latest_webhook_event())
                if page.resume is not None and run.now() > fetch.until:
                    return False
        return page is None or page.resume is None

    def _latest_webhook_event(self) -> int:
        """The latest webhook so far."""
        return self.fetch.run.deps.inbox.latest_event_id() or 0

    def _find_unchanged(self, listed: Sequence[ListedLead]) -> Collection[ListedLead]:
        """Return which entries of a list page need not be read in full; all if leads are read by their own pages."""
        reads_by_details, run = self.fetch.run.deps.sync_window.reads_by_details, self.fetch.run
        listed = [one for one in listed if reads_by_details or one.id not in self.reported]
        self._listed, self._too_old = {one.id: one for one in listed}, set()
        if reads_by_details or not listed:
            return listed
        account = run.ledger.account
        with run.ledger.read_transaction() as session:
            stored = leads.unchanged_leads(session, account, listed)
            others = [one for one in listed if one not in stored]
            excluded = excluded_leads.unchanged_excluded_leads(session, account, others)
            # A forgotten lead's details are not even asked for.
            forgotten = forgotten_by_either(session, account, run.ledger.place, [one.id for one in others])
            left_out = excluded.union(one for one in others if one.id in forgotten)
            self._too_old = self._find_too_old(session, [one.id for one in others if one not in left_out])
            left_out |= {one for one in others if one.id in self._too_old}
            return stored - self._must_be_reread(session, stored) | left_out

    def _must_be_reread(self, session: Session, stored: Collection[ListedLead]) -> set[ListedLead]:
        if self.reread_created is None:
            return set()
        (since, before), account = self.reread_created, self.fetch.run.ledger.account
        wanted = leads.created_between(session, account, [one.id for one in stored], since=since, before=before)
        return {one for one in stored if one.id in wanted}

    def _find_too_old(self, session: Session, listed: Sequence[LeadId]) -> set[LeadId]:
        """Return which of these entries are not on record and may have left, as the list or an earlier look says."""
        account = self.fetch.run.ledger.account
        if not listed or retention.retention_cutoff(session, account) is None:
            return set()
        entries = [self._listed[lead] for lead in listed]
        dated = {one.id: at for one in entries if (at := one.created_at()) is not None}
        undated = [one for one in entries if one.id not in dated]
        left_out = {one.id for one in excluded_leads.unchanged_excluded_leads(session, account, undated, too_old=True)}
        return retention.possibly_erased_leads(session, account, dated) | left_out

    def _store_page(self, page: LeadPage, before: LeadPage | None, heard: int) -> bool:
        """Store a page; return False if its new leads couldn't all be read."""
        run, done, started, kept = self.fetch.run, self.fetch.done, self.fetch.started, page
        self.fetch.require_right_to_own_pages(
            [LeadId(one.id) for one in page.unreadable if one.id and one.is_refused],
            is_any_shown=page.shows_own_pages,
            listed=[*(lead.id for lead in page.leads), *page.unchanged],
        )
        if self.fetch.run.deps.sync_window.reads_by_details:
            # Being listed isn't being observed: an unchanged lead is observed on its own page, later tonight.
            tests = self._unchanged_tests(page.unchanged)
            kept = replace(page, unchanged=tuple(sorted(tests)))
            if not self._read_new([lead for lead in page.unchanged if lead not in tests], page):
                return False
        kept = replace(kept, unchanged=tuple(one for one in kept.unchanged if one not in self._too_old))
        done.too_old += len(self._too_old)
        new = count_new_leads(page, before)
        if before and (page.leads or page.unchanged) and not new and page.unreadable == before.unreadable:
            # A list may repeat its last page.
            page, kept = replace(page, unreadable=()), replace(kept, unreadable=())
        with run.ledger.write_transaction() as session:
            self.save_place(session, ShownPage(page, self._listed.values(), new + len(page.unreadable)))
            when = ReadTimes(started, page.served_at or started, run.now(), heard)
            store_lead_page(session, run, kept, when, done)
        self._listed.clear()
        done.count_page(page, new)
        return True

    def _unchanged_tests(self, listed: Sequence[LeadId]) -> set[LeadId]:
        """Test leads whose list entry is unchanged; each is still read weekly, since an entry may show little."""
        run, entries = self.fetch.run, [self._listed[lead] for lead in listed if lead in self._listed]
        lately = self.fetch.started - FULL_READ_EVERY
        with run.ledger.read_transaction() as session:
            unchanged = excluded_leads.unchanged_excluded_leads(session, run.ledger.account, entries, read_since=lately)
        return {one.id for one in unchanged}

    def _read_new(self, listed: Sequence[LeadId], page: LeadPage) -> bool:
        """Read those listed leads by their own pages that are not on record; return False if time runs out.

        Raises:
            Misconfigured: none of many has a page of its own.
            KeyRefused: the key may read none of many, nor any other.
        """
        run = self.fetch.run
        with run.ledger.read_transaction() as session:
            shown = without_forgotten(session, run, replace(page, unchanged=tuple(listed)), self.fetch.done)
            new = leads.leads_not_stored(session, run.ledger.account, shown.unchanged)
            self._too_old = self._find_too_old(session, new)
        new = [lead for lead in new if lead not in self._too_old]
        self.fetch.is_key_proven = True  # it has read this list page
        asked = self.fetch.read(new)
        self.fetch.require_right_to_own_pages(asked.refused, is_any_shown=bool(asked.as_asked))
        if len(asked.deleted) == len(asked.ids) >= MANY:
            raise Misconfigured(
                _(
                    "{count} leads are listed but have no page of their own: see oplead.lead_path, oplead.fields.id",
                    count=len(asked.deleted),
                )
            )
        return len(asked.ids) == len(new)
