"""Reads leads into the ledger, one transaction per page, for a night or a backfill."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from sqlmodel import Session

from connectors.errors import Misconfigured, Transient
from connectors.ports import ReadsExports
from connectors.records import LeadId
from jobs.cancellation import StoppedBySignal
from jobs.ledger import reading_progress
from jobs.ledger.leads import excluded_leads, leads, status_labels
from jobs.ledger.outbox import backfill_and_retry
from jobs.ledger.schema import Cursor
from jobs.pull.absences import look_for_unlisted, reread_relevant_leads, sample_known
from jobs.pull.inbox import NewEvents
from jobs.pull.ingest import MANY, DetailFetcher, FewerLeads, PullResult
from jobs.pull.list_reading import FULL_READ_EVERY, ListReading, ShownPage
from jobs.run_context import RunContext, SyncMode


def pull(run: RunContext, *, until: datetime, done: PullResult) -> None:
    """Read the leads that changed since the last complete pull, and store what the rules need.

    Reading stops at `until`. `done` counts what was read, up to a failure if there is one.

    Raises:
        Misconfigured: the source refuses us. What was read so far is kept; the next pull starts over.
        Transient: the source kept failing. What was read so far is kept; the next pull resumes there.
    """
    done.suspicious, done.unreadable = 0, []  # of a night's two readings the second one decides
    fetch = DetailFetcher(run, done, until, started=run.now())
    night = _Night(run, fetch, NewEvents.arrived_since_last_run(run, done))
    by_details = run.deps.sync_window.reads_by_details
    try:
        since, resume = night.begin_or_resume()
        reading = ListReading(fetch=fetch, save_place=night.save_place, reported=night.events.unread)
        if not reading.read(since, resume):
            night.hold_merges()
            return
        # Only a list read to its end shows who is gone.
        done.shown_since = fetch.started
        began, is_whole = night.finish()
        if began is not None and is_whole and not (by_details or done.moved):
            done.shown_since, done.shows_all = began, True
        night.read_remaining_webhook_leads()
        if by_details:
            done.complete = reread_relevant_leads(fetch, clicked_since=night.oldest_sendable)
        else:
            if not is_whole and done.fewer is None:
                sample_known(fetch, shown=night.shown)
            if done.is_absence_believed:
                look_for_unlisted(fetch, began if is_whole else None)
            done.complete = True
    except (Transient, StoppedBySignal, Misconfigured) as error:
        night.hold_merges()
        if isinstance(error, Misconfigured):
            with run.ledger.write_transaction() as session:
                # The saved cursor may be exactly what the source refuses.
                reading_progress.get_cursor(session, run.ledger.account).resume = None
        raise
    finally:
        night.events.record_inbox_position(run, done)
    if by_details:
        night.settle_labels_by_detail_pages()
    else:
        night.settle_labels(is_whole=is_whole)


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
    fetch = DetailFetcher(run, done, now + window.budget, started=now, afresh=fresh_to is not None)

    def save_place(session: Session, shown: ShownPage) -> None:
        backfill_and_retry.store_backfill_cursor(session, run.ledger, shown.page.resume)

    created = None if place.fresh_to is None else (place.reads_from, place.fresh_to)
    reading = ListReading(fetch=fetch, save_place=save_place, reread_created=created)
    try:
        if not reading.read(reads_from if window.style is SyncMode.SINCE else None, place.resume):
            return
        if window.reads_by_details:
            with run.ledger.read_transaction() as session:
                known = leads.leads_worth_reading(
                    session, place.account, since=place.reads_from, before=place.started_at
                )
            if len(fetch.read(known).ids) < len(known):
                return
    except Misconfigured:
        # The saved cursor may be exactly what the source refuses.
        backfill_and_retry.delete_backfill_cursor(run.ledger)
        raise
    done.complete = True
    backfill_and_retry.delete_backfill_cursor(run.ledger)


@dataclass(slots=True)
class _Night:
    """What a night's reading adds to that of its list: its place, webhooks, and renamed statuses."""

    run: RunContext
    fetch: DetailFetcher
    events: NewEvents
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
                is_fresh = place.full_read_at is not None and self.fetch.started - place.full_read_at <= FULL_READ_EVERY
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
            self.fetch.done.fewer = self._fewer_leads(place) if is_whole else None
            is_whole = is_whole and self.fetch.done.fewer is None
            if began is not None and is_whole:
                place.listed_whole = place.listed
                place.full_read_at = place.full_read_at if place.moved else began
            # Of a pull that took several nights, each has seen only its own pages.
            self.fetch.done.moved |= place.moved
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
            self.events.read_remaining_leads(self.fetch)
        except Transient as error:
            self.fetch.done.webhooks.stopped = str(error)

    def save_place(self, session: Session, shown: ShownPage) -> None:
        """Save where the pull is after a page."""
        run, page = self.run, shown.page
        self.events.mark_leads_read(session, run, page)
        if run.deps.sync_window.reads_by_details:
            excluded_leads.replace_excluded_lead_digests(
                session, run.ledger.account, shown.listed, read_since=self.fetch.started
            )
        self.shown = next(chain((one.id for one in page.leads), page.unchanged), self.shown)
        reading_progress.advance_cursor(
            session,
            run.ledger.account,
            started=self.fetch.started,
            resume=page.resume,
            moved=page.moved,
            listed=shown.new,
        )

    @property
    def oldest_sendable(self) -> datetime:
        """The earliest creation or click time for which something could still be sent."""
        longest = max((route.longest_sending_window for route in self.run.book.routes), default=timedelta())
        return self.fetch.started - longest

    def settle_labels_by_detail_pages(self) -> None:
        """Tell new statuses from renamed ones once all leads were read since the newest status appeared.

        That may take several nights.
        """
        account, started, meanings = self.run.ledger.account, self.fetch.started, self.run.book.meanings
        with self.run.ledger.write_transaction() as session:
            read_since = leads.oldest_reading_time(session, account, since=self.oldest_sendable)
            since = started if self.fetch.done.complete else status_labels.newest_possible_rename_time(session, account)
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
