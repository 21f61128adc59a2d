"""Reads leads into the ledger, one transaction per page, for a night or a backfill; also checks our own clock."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain

from sqlmodel import Session

from connectors.errors import Misconfigured, Transient, WrongClock
from connectors.language import _
from connectors.ports import ReadsExports
from connectors.records import LeadId, LeadPage, ListedLead
from jobs.cancellation import StoppedBySignal
from jobs.ledger import reading_progress
from jobs.ledger.leads import excluded_leads, leads, status_labels
from jobs.ledger.outbox import backfill_and_retry
from jobs.ledger.retention import retention
from jobs.ledger.retention.erasure import forgotten_by_either
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import BackfillPlace, Cursor
from jobs.pull.inbox import MANY, NewEvents
from jobs.pull.ingest import (
    DetailFetcher,
    FetchedDetails,
    FewerLeads,
    PastRefusedFetcher,
    PullResult,
    ReadTimes,
    count_new_leads,
    store_lead_page,
    without_forgotten,
)
from jobs.run_context import RunContext, SyncMode

FULL_READ_EVERY = timedelta(days=7)
"""A filter or a shifting page may miss a lead; a periodic full read doesn't."""
SHARE = 0.2
"""`MANY` leads, and such a share of those with open deliveries, missing at once suggest an API key that sees less."""
SAMPLED = 20
"""Known leads to read by their own pages on a night whose list shows only changed ones."""
ASKED_A_NIGHT = 200
"""Maximum number of unlisted leads to ask for by their own pages."""
BELIEVED_AFTER = timedelta(hours=12)
"""Delay between first finding a lead missing and believing it: two nights, not two runs of one night."""


def pull(run: RunContext, *, until: datetime, done: PullResult) -> None:
    """Read the leads that changed since the last complete pull, and store what the rules need.

    Reading stops at `until`. `done` counts what was read, up to a failure if there is one.

    Raises:
        Misconfigured: the source refuses us. What was read so far is kept; the next pull starts over.
        Transient: the source kept failing. What was read so far is kept; the next pull resumes there.
    """
    done.suspicious, done.unreadable = 0, []  # of a night's two readings the second one decides
    reading = _NightReading(run, done, until, started=run.now())
    reading.events = NewEvents.arrived_since_last_run(run, done)
    try:
        if not reading.read_list(*reading.begin_or_resume()):
            reading.hold_merges()
            return
        # Only a list read to its end shows who is gone.
        done.shown_since = reading.started
        began, is_whole = reading.finish()
        if began is not None and is_whole and not (reading.reads_by_details or done.moved):
            done.shown_since, done.shows_all = began, True
        reading.read_remaining_webhook_leads()
        if reading.reads_by_details:
            done.complete = reading.reread_relevant_leads()
        else:
            if not is_whole and done.fewer is None:
                reading.sample_known()
            if done.is_absence_believed:
                reading.look_for_unlisted(began if is_whole else None)
            done.complete = True
    except (Transient, StoppedBySignal, Misconfigured) as error:
        reading.hold_merges()
        if isinstance(error, Misconfigured):
            with run.ledger.write_transaction() as session:
                # The saved cursor may be exactly what the source refuses.
                reading_progress.get_cursor(session, run.ledger.account).resume = None
        raise
    finally:
        reading.events.record_inbox_position(run, done)
    if reading.reads_by_details:
        reading.settle_labels_by_detail_pages()
    else:
        reading.settle_labels(is_whole=is_whole)


def read_leads_for_backfill(
    run: RunContext, reads_from: datetime, *, fresh_to: datetime | None, done: PullResult
) -> None:
    """Read leads created since `reads_from` for a backfill; resume an interrupted one, and leave the nightly cursor.

    Leads created before `fresh_to` are read in full even if unchanged: the nightly run keeps no contact hashes it
    doesn't need. Nothing is concluded from unlisted leads: renamed statuses and deletions are left to the nightly pull.
    `done` counts what was read, up to a failure if there is one, and is complete once everything was read.

    Raises:
        Misconfigured: the source refuses us; the next reading starts over.
        Transient: the source kept failing; the next reading resumes there.
    """
    now, window = run.now(), run.deps.sync_window
    place = backfill_and_retry.begin_or_resume_reading(run.ledger, reads_from, fresh_to=fresh_to, now=now)
    reading = _RangeReading(run, done, now + window.budget, now, afresh=fresh_to is not None, place=place)
    try:
        since = reads_from if window.style is SyncMode.SINCE else None
        done.complete = reading.read_list(since, place.resume) and reading.reread_relevant_leads()
    except Misconfigured:
        # The saved cursor may be exactly what the source refuses.
        backfill_and_retry.delete_backfill_cursor(run.ledger)
        raise
    if done.complete:
        backfill_and_retry.delete_backfill_cursor(run.ledger)


@dataclass(slots=True)
class _ListReading(DetailFetcher, ABC):
    """One reading, from the first list page to the leads read by their own pages."""

    listed: dict[LeadId, ListedLead] = field(default_factory=dict, kw_only=True)
    """The current page's entries by lead."""
    too_old: set[LeadId] = field(default_factory=set, kw_only=True)
    """Those of them that are not on record and may have left."""

    @property
    def reads_by_details(self) -> bool:
        """Whether leads are read by their own pages."""
        return self.run.deps.sync_window.style is SyncMode.DETAILS

    def read_list(self, since: datetime | None, resume: str | None) -> bool:
        """Read the list to its last page; return False if time runs out first."""
        page = before = None
        heard = [self._latest_webhook_event()]  # before the first page, and after each one that was handed on
        found = self.run.deps.source.fetch_changes(since, resume=resume, find_known=self._find_unchanged)
        with closing(found) as pages:
            for page in pages:
                # Use the source's own clock. A pull resumed days later observes leads as of now, not as of its start.
                if page.served_at is not None and not page.ahead:
                    self.ahead = page.served_at - self.run.now()
                    if self.done.pages == 0:
                        self.started = page.served_at
                if not self._store_list_page(page, before, heard[-1 - page.ahead]):
                    return False
                before = page
                heard.append(self._latest_webhook_event())
                if page.resume is not None and self.run.now() > self.until:
                    return False
        return page is None or page.resume is None

    def _latest_webhook_event(self) -> int:
        """The latest webhook so far."""
        return self.run.deps.inbox.latest_event_id() or 0

    def _find_unchanged(self, listed: Sequence[ListedLead]) -> Collection[ListedLead]:
        """Return which entries of a list page need not be read in full; all if leads are read by their own pages."""
        self.listed, self.too_old = {one.id: one for one in listed}, set()
        if self.reads_by_details or not listed:
            return listed
        account = self.run.ledger.account
        with self.run.ledger.read_transaction() as session:
            stored = leads.unchanged_leads(session, account, listed)
            others = [one for one in listed if one not in stored]
            excluded = excluded_leads.unchanged_excluded_leads(session, account, others)
            # A forgotten lead's details are not even asked for.
            forgotten = forgotten_by_either(session, account, self.run.ledger.place, [one.id for one in others])
            left_out = excluded.union(one for one in others if one.id in forgotten)
            self.too_old = self._find_too_old(session, [one.id for one in others if one not in left_out])
            left_out |= {one for one in others if one.id in self.too_old}
            return stored - self._must_be_reread(session, stored) | left_out

    def _find_too_old(self, session: Session, listed: Sequence[LeadId]) -> set[LeadId]:
        """Return which of these entries are not on record and may have left, as the list or an earlier look says."""
        if not listed or retention.retention_cutoff(session, self.run.ledger.account) is None:
            return set()
        account, entries = self.run.ledger.account, [self.listed[lead] for lead in listed]
        dated = {one.id: at for one in entries if (at := one.created_at()) is not None}
        undated = [one for one in entries if one.id not in dated]
        left_out = {one.id for one in excluded_leads.unchanged_excluded_leads(session, account, undated, too_old=True)}
        return retention.possibly_erased_leads(session, account, dated) | left_out

    def _must_be_reread(self, session: Session, stored: Collection[ListedLead]) -> set[ListedLead]:  # noqa: ARG002
        """Return which leads to read in full although they are unchanged."""
        return set()

    @abstractmethod
    def _save_page_cursor(self, session: Session, page: LeadPage, new: int) -> None:
        """Save the cursor after this page, which shows so many leads that the previous one did not."""

    def _unchanged(self, listed: Sequence[LeadId]) -> set[LeadId]:  # noqa: ARG002
        """The listed leads known to be unchanged without a detail fetch."""
        return set()

    def _check_own_pages(self, asked: FetchedDetails) -> None:
        """Raise `Misconfigured` if none of many listed leads has a page of its own."""

    def _store_list_page(self, page: LeadPage, before: LeadPage | None, heard: int) -> bool:
        """Store a page; return False if its new leads couldn't all be read."""
        started, kept_page = self.started, page
        if self.reads_by_details:
            # Being listed isn't being observed: an unchanged lead is observed on its own page, later tonight.
            unchanged = self._unchanged(page.unchanged)
            kept_page = replace(page, unchanged=tuple(sorted(unchanged)))
            with self.run.ledger.read_transaction() as session:
                listed = [lead for lead in page.unchanged if lead not in unchanged]
                account = self.run.ledger.account
                shown = without_forgotten(session, self.run, replace(page, unchanged=tuple(listed)), self.done)
                new = leads.leads_not_stored(session, account, shown.unchanged)
                self.too_old = self._find_too_old(session, new)
            new = [lead for lead in new if lead not in self.too_old]
            asked = self.read(new)
            self._check_own_pages(asked)
            if len(asked.ids) < len(new):
                return False
        kept_page = replace(kept_page, unchanged=tuple(one for one in kept_page.unchanged if one not in self.too_old))
        self.done.too_old += len(self.too_old)
        new_leads = count_new_leads(page, before)
        if before and (page.leads or page.unchanged) and not new_leads and page.unreadable == before.unreadable:
            # A list may repeat its last page.
            page, kept_page = replace(page, unreadable=()), replace(kept_page, unreadable=())
        with self.run.ledger.write_transaction() as session:
            self._save_page_cursor(session, page, new_leads + len(page.unreadable))
            when = ReadTimes(started, page.served_at or started, self.run.now(), heard)
            store_lead_page(session, self.run, kept_page, when, self.done)
        self.done.count_page(page, new_leads)
        return True


@dataclass(slots=True, kw_only=True)
class _RangeReading(_ListReading):
    """A backfill's reading."""

    place: BackfillPlace

    def reread_relevant_leads(self) -> bool:
        """In `DETAILS` mode, read relevant leads not read since this reading began; return False if time runs out."""
        if not self.reads_by_details:
            return True
        place = self.place
        with self.run.ledger.read_transaction() as session:
            known = leads.leads_worth_reading(session, place.account, since=place.reads_from, before=place.started_at)
        return len(self.read(known).ids) == len(known)

    def _must_be_reread(self, session: Session, stored: Collection[ListedLead]) -> set[ListedLead]:
        since, before, ids = self.place.reads_from, self.place.fresh_to, [one.id for one in stored]
        if before is None:
            return set()
        wanted = leads.created_between(session, self.place.account, ids, since=since, before=before)
        return {one for one in stored if one.id in wanted}

    def _save_page_cursor(self, session: Session, page: LeadPage, new: int) -> None:  # noqa: ARG002
        backfill_and_retry.store_backfill_cursor(session, self.run.ledger, page.resume)


@dataclass(slots=True)
class _NightReading(_ListReading):
    """A night's reading, which also detects deleted leads and renamed statuses."""

    events: NewEvents = field(default_factory=NewEvents)
    began: datetime | None = None
    """When this pull began, once the list was read to its end."""
    shown: LeadId | None = None
    """A lead that tonight's list showed."""
    moved_since: datetime | None = None
    """When the last pull that settled every label began: whoever changed labels since is judged together."""

    def begin_or_resume(self) -> tuple[datetime | None, str | None]:
        """Return where to read from: resume an interrupted pull, else start a new one."""
        with self.run.ledger.write_transaction() as session:
            place = reading_progress.get_cursor(session, self.run.ledger.account)
            self.moved_since = place.since
            if place.resume is None:
                is_fresh = place.full_read_at is not None and self.started - place.full_read_at <= FULL_READ_EVERY
                filters = self.run.deps.sync_window.style is SyncMode.SINCE
                since = place.since and place.since - self.run.deps.sync_window.overlap
                # Who says that leads were deleted has the whole list show which.
                place.pull_since = since if filters and is_fresh and not self.run.deps.accept_fewer else None
                place.pull_started_at = None
                place.moved, place.listed = False, 0
            return place.pull_since, place.resume

    def finish(self) -> tuple[datetime | None, bool]:
        """Record that the list was read to its end; return when that began, and whether it was the full list.

        A list that shifted while it was read may have skipped leads, so it doesn't count as a full read, but it says as
        well as another how many there are. One that lacks far too many is not full.
        """
        with self.run.ledger.write_transaction() as session:
            place = reading_progress.get_cursor(session, self.run.ledger.account)
            began, is_whole = place.pull_started_at, place.pull_since is None
            self.done.fewer = self._fewer_leads(place) if is_whole else None
            is_whole = is_whole and self.done.fewer is None
            if began is not None and is_whole:
                place.listed_whole = place.listed
                place.full_read_at = place.full_read_at if place.moved else began
            # Of a pull that took several nights, each has seen only its own pages.
            self.done.moved |= place.moved
            place.pull_started_at = place.pull_since = place.resume = None
            place.moved, place.listed = False, 0
        self.began = began
        return began, is_whole

    def _fewer_leads(self, place: Cursor) -> FewerLeads | None:
        """Return what the whole list showed, if that is less than half of the last one and nobody approved it.

        Whoever chose a file was asked already.
        """
        is_approved = self.run.deps.accept_fewer or isinstance(self.run.deps.source, ReadsExports)
        if is_approved or place.listed_whole - place.listed < MANY or 2 * place.listed >= place.listed_whole:
            return None
        return FewerLeads(place.listed, place.listed_whole)

    def read_remaining_webhook_leads(self) -> None:
        """Read the leads that webhooks reported and the list did not show; the night goes on without those it cannot.

        Raises:
            KeyRefused: the source refuses the key.
        """
        try:
            self.events.read_remaining_leads(self)
        except Transient as error:
            self.done.webhooks.stopped = str(error)

    def _find_unchanged(self, listed: Sequence[ListedLead]) -> Collection[ListedLead]:
        quiet = [one for one in listed if one.id not in self.events.unread or self.reads_by_details]
        return super(_NightReading, self)._find_unchanged(quiet)

    def _save_page_cursor(self, session: Session, page: LeadPage, new: int) -> None:
        account = self.run.ledger.account
        self.events.mark_leads_read(session, self.run, page)
        if self.reads_by_details:
            excluded_leads.replace_excluded_lead_digests(
                session, account, self.listed.values(), read_since=self.started
            )
        self.listed.clear()
        self.shown = next(chain((one.id for one in page.leads), page.unchanged), self.shown)
        reading_progress.advance_cursor(
            session, account, started=self.started, resume=page.resume, moved=page.moved, listed=new
        )

    def _unchanged(self, listed: Sequence[LeadId]) -> set[LeadId]:
        """Test leads whose list entry is unchanged; each is still read weekly, since an entry may show little."""
        entries = [self.listed[lead] for lead in listed if lead in self.listed]
        lately = self.started - FULL_READ_EVERY
        with self.run.ledger.read_transaction() as session:
            unchanged = excluded_leads.unchanged_excluded_leads(
                session, self.run.ledger.account, entries, read_since=lately
            )
        return {one.id for one in unchanged}

    def _check_own_pages(self, asked: FetchedDetails) -> None:
        if len(asked.deleted) == len(asked.ids) >= MANY:
            raise Misconfigured(
                _(
                    "{count} leads are listed but have no page of their own: see oplead.lead_path, oplead.fields.id",
                    count=len(asked.deleted),
                )
            )

    @property
    def _oldest_sendable(self) -> datetime:
        """The earliest creation or click time for which something could still be sent."""
        longest = max((route.longest_sending_window for route in self.run.book.routes), default=timedelta())
        return self.started - longest

    def reread_relevant_leads(self) -> bool:
        """Read leads that may still have something to send, longest unread first; return False if time runs out.

        If none of them is found on its own page and some show another lead, ids are misread and nothing is concluded.
        """
        with self.run.ledger.read_transaction() as session:
            since = self._oldest_sendable
            wanted = leads.leads_worth_reading(session, self.run.ledger.account, since=since, before=self.started)
        asked = self.read(wanted)
        if asked.merged and not asked.as_asked:
            self.done.no_detail_pages = True
        elif _is_half_gone(asked) and not self.run.deps.accept_fewer:
            self.done.suspicious = len(asked.deleted)
        elif self.done.is_absence_believed:
            self._detect_deleted(asked, wanted)
        is_whole = len(asked.ids) == len(wanted)
        if not is_whole and not self.done.detail_pages:
            self.done.unread = len(wanted)
        return is_whole

    def settle_labels_by_detail_pages(self) -> None:
        """Tell new statuses from renamed ones once all leads were read since the newest status appeared.

        That may take several nights.
        """
        account, started, meanings = self.run.ledger.account, self.started, self.run.book.meanings
        with self.run.ledger.write_transaction() as session:
            read_since = leads.oldest_reading_time(session, account, since=self._oldest_sendable)
            since = started if self.done.complete else status_labels.newest_possible_rename_time(session, account)
            if since is not None and read_since is not None and read_since >= since:
                moved_since = self.moved_since or since
                status_labels.settle_renames(session, self.run.ledger, meanings, since=since, moved_since=moved_since)
            else:
                status_labels.hold_leads_of_merged_labels(session, account, meanings, since=self.moved_since or started)
            self._advance_pull_start(session)

    def settle_labels(self, *, is_whole: bool) -> None:
        """Tell new statuses from renamed ones, which takes a full reading; force one next time if any is unsettled."""
        if self.began is None:
            return
        ledger, meanings, moved_since = self.run.ledger, self.run.book.meanings, self.moved_since or self.began
        with ledger.write_transaction() as session:
            if is_whole:
                status_labels.settle_renames(session, ledger, meanings, since=self.began, moved_since=moved_since)
            else:
                status_labels.settle_label_merges(session, ledger, meanings, moved_since=moved_since)
            if not self._advance_pull_start(session) and not is_whole:
                reading_progress.get_cursor(session, ledger.account).full_read_at = None

    def _advance_pull_start(self, session: Session) -> bool:
        """Have the next pull begin where this one did, if every label is settled; return whether it is."""
        account = self.run.ledger.account
        if not status_labels.are_label_renames_settled(session, account):
            return False
        if self.began is not None:
            reading_progress.get_cursor(session, account).since = self.began
        return True

    def hold_merges(self) -> None:
        """Hold leads back until a complete reading tells new statuses from renamed ones."""
        account = self.run.ledger.account
        with self.run.ledger.write_transaction() as session:
            since = self.moved_since or reading_progress.get_cursor(session, account).pull_started_at or self.began
            if since is not None:
                status_labels.hold_leads_of_merged_labels(session, account, self.run.book.meanings, since=since)

    def look_for_unlisted(self, whole_since: datetime | None) -> None:
        """Ask for leads with open deliveries that the full list didn't show.

        If some are missing, also ask for one that was listed: if that has no page either, the path to detail pages is
        wrong and nothing is concluded about the others.
        """
        account = self.run.ledger.account
        with self.run.ledger.read_transaction() as session:
            unlisted = leads.unlisted_open_leads(session, account, since=whole_since)
        asked = self.read(unlisted if self.run.deps.accept_fewer else unlisted[:ASKED_A_NIGHT])
        if asked.deleted:
            with self.run.ledger.read_transaction() as session:
                listed = leads.most_recently_seen_lead(session, account, but=unlisted)
            if listed is not None and self.read([listed]).deleted:
                self.done.no_detail_pages = True
                return
        self._detect_deleted(asked, unlisted)

    def sample_known(self) -> None:
        """Read a few known leads that a filtered list need not show: if half are not there, the key may see less.

        Where no lead is seen to have a page of its own, that shows nothing.
        """
        account = self.run.ledger.account
        with self.run.ledger.read_transaction() as session:
            # What the last whole list did not show is no news.
            listed = reading_progress.get_cursor(session, account).full_read_at
            known = leads.newest_unread_leads(session, account, since=listed, before=self.started, limit=SAMPLED)
        if len(known) < MANY:
            return
        asked = PastRefusedFetcher(self.run, self.done, self.until, self.started, self.ahead).read(known)
        if not _is_half_gone(asked):
            return
        if asked.as_asked or asked.refused or (self.shown is not None and self.read([self.shown]).as_asked):
            self.done.suspicious = len(asked.unseen)

    def _detect_deleted(self, asked: FetchedDetails, candidates: Collection[LeadId]) -> None:
        """Record missing leads; those found missing a second time are planned, which cancels their open deliveries.

        Among `candidates` not asked for, the share missing is assumed to be the same as among those asked for. If too
        many are missing, no deletion is believed; whoever says that they were deleted is believed at once.
        """
        if not asked.deleted:
            return
        account, now, is_told = self.run.ledger.account, self.run.now(), self.run.deps.accept_fewer
        with self.run.ledger.write_transaction() as session:
            leads.mark_missing_from_list(session, account, asked.deleted, now=now)
            leads.record_merged_into(session, account, asked.deleted, asked.merged)
            with_open = leads.leads_with_open_deliveries(session, account)
            missing = len(with_open.intersection(asked.deleted))
            likely = missing * len(with_open.intersection(candidates)) / max(1, len(with_open.intersection(asked.ids)))
            if likely >= MANY and likely > SHARE * len(with_open) and not is_told:
                self.done.suspicious = missing
            else:
                before = now if is_told else now - BELIEVED_AFTER
                self.done.deleted += leads.mark_missing_as_deleted(
                    session, account, asked.deleted, missing_before=before, now=now
                )


def _is_half_gone(asked: FetchedDetails) -> bool:
    """Whether so many known leads, drawn for other reasons, are not shown that the key may see less."""
    return len(asked.unseen) >= MANY and 2 * len(asked.unseen) >= len(asked.ids)


MAX_CLOCK_SKEW = timedelta(hours=2)
"""How far the source's clock may differ from ours; a wrong time zone that differs more is caught."""
_UNCONFIRMED_FOR = timedelta(days=14)
"""How long to trust our clock while the source can't be asked: a quiet account may see no lead for a week."""


def check_clock_plausible(ledger: Ledger, now: datetime, *, newest: datetime | None = None) -> None:
    """Check an unconfirmed time against the last reading of leads, and the newest time that leads themselves show.

    Raises:
        WrongClock: it is before that reading, or long after both.
    """
    with ledger.read_transaction() as session:
        last = reading_progress.last_read(session, ledger.account)
    if last is not None and not last - MAX_CLOCK_SKEW <= now <= max(last, newest or last) + _UNCONFIRMED_FOR:
        raise WrongClock(
            _(
                "this machine's clock says {now:%Y-%m-%d %H:%M} UTC, leads were last read on {last:%Y-%m-%d "
                "%H:%M} UTC, and Oplead cannot be asked what time it is: see that the clock is right. Until "
                "Oplead answers nothing is sent, and nothing expires",
                now=now,
                last=last,
            )
        )
