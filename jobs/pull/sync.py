"""Reads leads into the ledger, one transaction per page, for a night or a backfill; also checks our own clock."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session

from connectors.errors import Misconfigured, Transient, WrongClock
from connectors.ports import Clock, LeadSource
from connectors.records import LeadId, LeadPage, UnreadableLead
from jobs.cancellation import StoppedBySignal
from jobs.ledger import leads, requeue, status_labels
from jobs.ledger.runs import Ledger
from jobs.pull.detail_fetch import ASKED_A_NIGHT, MANY, DetailFetch, FetchedDetails, detect_deleted
from jobs.pull.ingest import Ingest, Ingested, ReadTimes
from jobs.rules.reasons import Message, MessageId

FULL_READ_EVERY = timedelta(days=7)
"""A filter or a shifting page may miss a lead; a periodic full read doesn't."""


class SyncMode(StrEnum):
    """How leads are read."""

    SINCE = "since"
    """The source lists what changed since a given time; everything is read once a week."""
    LIST = "list"
    """Every page of the list is read every time; digests show what changed."""
    DETAILS = "details"
    """The list only shows which leads exist; their data is on their own pages."""


@dataclass(slots=True)
class Pulled:
    """What a pull read."""

    pages: int = 0
    seen: int = 0
    detail_pages: int = 0
    """Leads fetched one by one."""
    changed: int = 0
    unreadable: list[UnreadableLead] = field(default_factory=list)
    excluded: int = 0
    """Test leads among those seen."""
    deleted: int = 0
    """Leads whose deletion was first believed tonight."""
    back: int = 0
    """Leads considered deleted that exist again."""
    no_detail_pages: bool = False
    """True if a listed lead has no page of its own, so that nothing can be concluded about unlisted ones."""
    suspicious: int = 0
    """Leads that seem deleted, but are too many to be believed."""
    unread: int = 0
    """Leads to read by their own pages for which the list left no time at all."""
    complete: bool = False
    """False if the time budget ended the pull early; the next one resumes there."""
    moved: bool = False
    """Whether the list shifted while it was read; the next full read finds any leads skipped."""
    missing: int = 0
    """How many more leads Oplead reports than it listed."""
    undated: bool = False
    """Whether a list page had no timestamp, so its clock couldn't be compared with ours."""

    @property
    def attention(self) -> list[Message]:
        """Messages about what a human should look at."""
        found = (
            (MessageId.SUSPICIOUSLY_MISSING, self.suspicious),
            (MessageId.UNREAD, self.unread),
            (MessageId.NO_DETAIL_PAGES, int(self.no_detail_pages)),
        )
        return [Message(message, {"count": count}) for message, count in found if count]

    def count(self, page: LeadPage, kept: Ingested, *, before: LeadPage | None) -> None:
        """Count a list page, without what the previous page showed: a list may repeat its last page."""
        self.pages += 1
        self.undated |= page.served_at is None
        ids = _ids(page)
        new = ids - _ids(before)
        self.seen += len(new)
        repeats = before is not None and ids and not new
        self._count(replace(page, unreadable=()) if repeats else page, kept)

    def count_details(self, page: LeadPage, kept: Ingested) -> None:
        """Count leads read by their own pages."""
        self.detail_pages += len(page.leads) + len(page.unchanged) + len(page.unreadable)
        self._count(page, kept)

    def _count(self, page: LeadPage, kept: Ingested) -> None:
        self.changed += kept.changed
        self.excluded += kept.excluded
        self.back += kept.back
        self.unreadable += page.unreadable
        self.moved |= page.moved
        self.missing = page.missing


def _ids(page: LeadPage | None) -> set[LeadId]:
    """The ids of a page's readable leads."""
    return set() if page is None else {*(lead.id for lead in page.leads), *page.unchanged}


@dataclass(frozen=True, slots=True)
class SyncWindow:
    """How far a pull reaches."""

    style: SyncMode
    overlap: timedelta
    """How far before the start of this pull the next one begins."""
    budget: timedelta
    """After this long, reading stops at the end of a page; the next night resumes there."""


@dataclass(frozen=True, slots=True)
class ReadRange:
    """What a backfill should read."""

    reads_from: datetime
    """Start of the range of creation times."""
    reads_to: datetime
    fresh: bool
    """Whether to read unchanged leads in the range in full: the nightly run keeps no contact hashes it doesn't need."""


def pull(
    ledger: Ledger,
    source: LeadSource,
    ingest: Ingest,
    clock: Clock,
    *,
    sync_window: SyncWindow,
    until: datetime,
    done: Pulled,
) -> None:
    """Read the leads that changed since the last complete pull, and store what the rules need.

    Reading stops at `until`. `done` counts what was read, up to a failure if there is one.

    Raises:
        Misconfigured: the source refuses us. What was read so far is kept; the next pull starts over.
        Transient: the source kept failing. What was read so far is kept; the next pull resumes there.
    """
    began = clock.now()
    details = DetailFetch(ledger, source, ingest, clock, until=until, count=done.count_details, started=began)
    reading = _NightReading(ledger, source, ingest, clock, details, sync_window.style, until, done)
    since, resume = _begin(ledger, style=sync_window.style, now=began)
    try:
        if not reading.read_list(since, resume):
            reading.hold_merges()
            return
    except (Transient, StoppedBySignal, Misconfigured) as error:
        reading.hold_merges()
        if isinstance(error, Misconfigured):
            with ledger.writing() as session:
                # The saved cursor may be exactly what the source refuses.
                leads.cursor(session, ledger.account).resume = None
        raise
    began_at, is_whole = _finish(ledger, sync_window.overlap)
    if sync_window.style is SyncMode.DETAILS:
        done.complete = reading.read_known()
        reading.settle_labels_by_detail_pages()
    else:
        reading.look_for_unlisted(began_at if is_whole else None)
        done.complete = True
        reading.settle_labels(began_at, is_whole=is_whole)


def read_range(
    ledger: Ledger,
    source: LeadSource,
    ingest: Ingest,
    clock: Clock,
    *,
    sync_window: SyncWindow,
    wanted: ReadRange,
    done: Pulled,
) -> None:
    """Read the leads of a time range for a backfill; resume an interrupted one, and leave the nightly cursor alone.

    Nothing is concluded from unlisted leads: renamed statuses and deletions are left to the nightly pull. `done` counts
    what was read, up to a failure if there is one, and is complete once everything `wanted` was read.

    Raises:
        Misconfigured: the source refuses us; the next reading starts over.
        Transient: the source kept failing; the next reading resumes there.
    """
    now = clock.now()
    until, fresh_to = now + sync_window.budget, wanted.reads_to if wanted.fresh else None
    place = requeue.begin_reading(ledger, wanted.reads_from, fresh_to=fresh_to, now=now)
    details = DetailFetch(
        ledger, source, ingest, clock, until=until, count=done.count_details, started=now, afresh=wanted.fresh
    )
    reading = _RangeReading(
        ledger, source, ingest, clock, details, sync_window.style, until, done, wanted, place.started_at
    )
    try:
        since = wanted.reads_from if sync_window.style is SyncMode.SINCE else None
        done.complete = reading.read_list(since, place.resume) and reading.read_known()
    except Misconfigured:
        # The saved cursor may be exactly what the source refuses.
        requeue.end_reading(ledger)
        raise
    if done.complete:
        requeue.end_reading(ledger)


@dataclass(frozen=True, slots=True)
class _Reading(ABC):
    """One reading, from the first list page to the leads read by their own pages."""

    ledger: Ledger
    source: LeadSource
    ingest: Ingest
    clock: Clock
    details: DetailFetch
    style: SyncMode
    until: datetime
    done: Pulled

    def read_list(self, since: datetime | None, resume: str | None) -> bool:
        """Read the list to its last page; return False if time runs out first."""
        page = before = None
        for page in self.source.fetch_changes(since, resume=resume, is_known=self._is_known):
            # Use the source's own clock. A pull resumed days later observes leads as of now, not as of its start.
            if page.served_at is not None:
                self.details.ahead = page.served_at - self.clock.now()
                if self.done.pages == 0:
                    self.details.started = page.served_at
            if not self._keep(page, before):
                return False
            before = page
            if page.resume is not None and self.clock.now() > self.until:
                return False
        return page is None or page.resume is None

    @abstractmethod
    def _is_known(self, lead: LeadId, digest: str) -> bool:
        """Whether a list entry is unchanged; always True if leads are read by their own pages."""

    @abstractmethod
    def _note_page(self, session: Session, page: LeadPage) -> None:
        """Save the cursor after this page."""

    @abstractmethod
    def _unchanged(self, listed: Sequence[LeadId]) -> set[LeadId]:
        """The listed leads known to be unchanged without a detail fetch."""

    @abstractmethod
    def _check_own_pages(self, asked: FetchedDetails) -> None:
        """Raise `Misconfigured` if none of many listed leads has a page of its own."""

    def _keep(self, page: LeadPage, before: LeadPage | None) -> bool:
        """Store a page; return False if its new leads couldn't all be read."""
        started, kept_page = self.details.started, page
        if self.style is SyncMode.DETAILS:
            # Being listed isn't being observed: an unchanged lead is observed on its own page, later tonight.
            unchanged = self._unchanged(page.unchanged)
            kept_page = replace(page, unchanged=tuple(sorted(unchanged)))
            if not self._read_new([lead for lead in page.unchanged if lead not in unchanged]):
                return False
        with self.ledger.writing() as session:
            self._note_page(session, page)
            when = ReadTimes(started, page.served_at or started, self.clock.now())
            kept = self.ingest.store(session, self.ledger.account, kept_page, when)
        self.done.count(page, kept, before=before)
        return True

    def _read_new(self, listed: Sequence[LeadId]) -> bool:
        with self.ledger.reading() as session:
            new = leads.not_on_record(session, self.ledger.account, listed)
        asked = self.details.read(new)
        self._check_own_pages(asked)
        return len(asked.ids) == len(new)


@dataclass(frozen=True, slots=True)
class _RangeReading(_Reading):
    wanted: ReadRange
    began_at: datetime
    """When this reading began, before any interruption."""

    def read_known(self) -> bool:
        """In `DETAILS` mode, read relevant leads not read since this reading began; return False if time runs out."""
        if self.style is not SyncMode.DETAILS:
            return True
        with self.ledger.reading() as session:
            known = leads.worth_reading(
                session, self.ledger.account, since=self.wanted.reads_from, before=self.began_at
            )
        return len(self.details.read(known).ids) == len(known)

    def _is_known(self, lead: LeadId, digest: str) -> bool:
        if self.style is SyncMode.DETAILS:
            return True
        account, wanted = self.ledger.account, self.wanted
        with self.ledger.reading() as session:
            if leads.is_known(session, account, lead, digest):
                return not wanted.fresh or not leads.was_created(
                    session, account, lead, since=wanted.reads_from, before=wanted.reads_to
                )
            return bool(leads.unchanged_test_leads(session, account, {lead: digest}))

    def _note_page(self, session: Session, page: LeadPage) -> None:
        requeue.note_page(session, self.ledger, page.resume)

    def _unchanged(self, listed: Sequence[LeadId]) -> set[LeadId]:  # noqa: ARG002 - a range takes none as unchanged
        return set()

    def _check_own_pages(self, asked: FetchedDetails) -> None:
        """Check nothing: only a night concludes that leads have no pages of their own."""


@dataclass(frozen=True, slots=True)
class _NightReading(_Reading):
    listed: dict[LeadId, str] = field(default_factory=dict)
    """Digests of the current page's entries by lead, in `DETAILS` mode."""

    def _is_known(self, lead: LeadId, digest: str) -> bool:
        if self.style is SyncMode.DETAILS:
            self.listed[lead] = digest
            return True
        account = self.ledger.account
        with self.ledger.reading() as session:
            return leads.is_known(session, account, lead, digest) or bool(
                leads.unchanged_test_leads(session, account, {lead: digest})
            )

    def _note_page(self, session: Session, page: LeadPage) -> None:
        started = self.details.started
        leads.update_test_leads(session, self.ledger.account, self.listed, read_since=started)
        self.listed.clear()
        place = leads.cursor(session, self.ledger.account)
        place.pull_started_at = place.pull_started_at or started
        place.resume = page.resume
        place.moved = place.moved or page.moved

    def _unchanged(self, listed: Sequence[LeadId]) -> set[LeadId]:
        """Test leads whose list entry is unchanged; each is still read weekly, since an entry may show little."""
        entries = {lead: self.listed[lead] for lead in listed if lead in self.listed}
        lately = self.details.started - FULL_READ_EVERY
        with self.ledger.reading() as session:
            return leads.unchanged_test_leads(session, self.ledger.account, entries, read_since=lately)

    def _check_own_pages(self, asked: FetchedDetails) -> None:
        if len(asked.deleted) == len(asked.ids) >= MANY:
            raise Misconfigured(
                f"{len(asked.deleted)} leads are listed but have no page of their own: "
                "see oplead.lead_path, oplead.fields.id"
            )

    @property
    def _oldest_sendable(self) -> datetime:
        """The earliest creation or click time for which something could still be sent."""
        longest = max((route.remembered for route in self.ingest.book.routes), default=timedelta())
        return self.details.started - longest

    def read_known(self) -> bool:
        """Read leads that may still have something to send, longest unread first; return False if time runs out.

        If none of them is found on its own page and some show another lead, ids are misread and nothing is concluded.
        """
        account, started = self.ledger.account, self.details.started
        with self.ledger.reading() as session:
            wanted = leads.worth_reading(session, account, since=self._oldest_sendable, before=started)
        asked = self.details.read(wanted)
        if asked.merged and not asked.as_asked:
            self.done.no_detail_pages = True
        else:
            self._detect_deleted(asked, wanted)
        is_whole = len(asked.ids) == len(wanted)
        if not is_whole and not self.done.detail_pages:
            self.done.unread = len(wanted)
        return is_whole

    def settle_labels_by_detail_pages(self) -> None:
        """Tell new statuses from renamed ones once all leads were read since the newest status appeared.

        That may take several nights.
        """
        started, meanings = self.details.started, self.ingest.book.meanings
        with self.ledger.writing() as session:
            read_since = leads.longest_unread(session, self.ledger.account, since=self._oldest_sendable)
            since = started if self.done.complete else status_labels.newest_unsettled(session, self.ledger.account)
            if since is not None and read_since is not None and read_since >= since:
                status_labels.settle(session, self.ledger, meanings, since=since)
            else:
                status_labels.hold_merges(session, self.ledger.account, meanings, since=started)

    def settle_labels(self, began: datetime | None, *, is_whole: bool) -> None:
        """Tell new statuses from renamed ones, which takes a full reading; force one next time if any is unsettled."""
        if began is None:
            return
        meanings = self.ingest.book.meanings
        with self.ledger.writing() as session:
            if is_whole:
                status_labels.settle(session, self.ledger, meanings, since=began)
                return
            status_labels.settle_merges(session, self.ledger, meanings, since=began)
            if not status_labels.are_all_settled(session, self.ledger.account):
                leads.cursor(session, self.ledger.account).full_read_at = None

    def hold_merges(self) -> None:
        """Hold leads back until a complete reading tells new statuses from renamed ones."""
        with self.ledger.writing() as session:
            began = leads.cursor(session, self.ledger.account).pull_started_at
            if began is not None:
                status_labels.hold_merges(session, self.ledger.account, self.ingest.book.meanings, since=began)

    def look_for_unlisted(self, whole_since: datetime | None) -> None:
        """Ask for leads with open deliveries that the full list didn't show.

        If some are missing, also ask for one that was listed: if that has no page either, the path to detail pages is
        wrong and nothing is concluded about the others.
        """
        with self.ledger.reading() as session:
            unlisted = leads.unlisted(session, self.ledger.account, since=whole_since)
        asked = self.details.read(unlisted[:ASKED_A_NIGHT])
        if asked.deleted:
            with self.ledger.reading() as session:
                listed = leads.lately_listed(session, self.ledger.account, but=unlisted)
            if listed is not None and self.details.read([listed]).deleted:
                self.done.no_detail_pages = True
                return
        self._detect_deleted(asked, unlisted)

    def _detect_deleted(self, asked: FetchedDetails, candidates: Sequence[LeadId]) -> None:
        with self.ledger.writing() as session:
            self.done.deleted, self.done.suspicious = detect_deleted(
                session, self.ledger.account, asked, candidates, now=self.clock.now()
            )


def _begin(ledger: Ledger, *, style: SyncMode, now: datetime) -> tuple[datetime | None, str | None]:
    """Return where to read from: resume an interrupted pull, else start a new one."""
    with ledger.writing() as session:
        place = leads.cursor(session, ledger.account)
        if place.resume is None:
            is_fresh = place.full_read_at is not None and now - place.full_read_at <= FULL_READ_EVERY
            place.pull_since = place.since if style is SyncMode.SINCE and is_fresh else None
            place.pull_started_at = None
            place.moved = False
        return place.pull_since, place.resume


def _finish(ledger: Ledger, overlap: timedelta) -> tuple[datetime | None, bool]:
    """Record that the list was read to its end; return when that began, and whether it was the full list.

    A list that shifted while it was read may have skipped leads, so it doesn't count as a full read.
    """
    with ledger.writing() as session:
        place = leads.cursor(session, ledger.account)
        began, is_whole = place.pull_started_at, place.pull_since is None
        if began is not None:
            place.since = began - overlap
            if is_whole and not place.moved:
                place.full_read_at = began
        place.pull_started_at = place.pull_since = place.resume = None
        place.moved = False
    return began, is_whole


MAX_CLOCK_SKEW = timedelta(hours=2)
"""How far the source's clock may differ from ours; a wrong time zone that differs more is caught."""
_UNCONFIRMED_FOR = timedelta(days=14)
"""How long to trust our clock while the source can't be asked: a quiet account may see no lead for a week."""


def expect_plausible(ledger: Ledger, now: datetime) -> None:
    """Check an unconfirmed time against the last reading of leads.

    Raises:
        WrongClock: it is before that reading, or long after it.
    """
    with ledger.reading() as session:
        last = leads.last_read(session, ledger.account)
    if last is not None and not last - MAX_CLOCK_SKEW <= now <= last + _UNCONFIRMED_FOR:
        raise WrongClock(
            f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, leads were last read on {last:%Y-%m-%d %H:%M} UTC, "
            "and Oplead cannot be asked what time it is: see that the clock is right. Until Oplead answers nothing is "
            "sent, and nothing expires"
        )
