"""Erases what has grown old, as the last step of a night; what leads came to is counted by month first."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlmodel import Session

from connectors.records import LeadId
from jobs.cancellation import StoppedBySignal
from jobs.ledger import runs
from jobs.ledger.retention import monthly, retention
from jobs.ledger.retention.erasure import erase_leads
from jobs.ledger.retention.monthly import CountByMonth
from jobs.ledger.retention.retention import ErasedByAge
from jobs.rules.reasons import Message, MessageKind
from jobs.run_context import RunContext
from jobs.settings.compile import Rulebook
from jobs.settings.schema import RetentionSettings

if TYPE_CHECKING:
    from jobs.run_summary import RunSummary  # of a whole night, which `status` loads none of

AT_ONCE = 500
"""Leads, or runs and requests, per transaction."""
BUDGET = timedelta(minutes=10)
"""How long a night may take for it; the next one goes on."""
LONGEST_PAUSE = timedelta(days=35)
"""How long ago the night before may have been: a job that runs once a month may begin one late."""
ANOTHER_NIGHT = timedelta(hours=12)
"""How far apart two nights are, not two runs of one night: a second run with a wrong clock proves nothing."""


def erase_by_age(
    run: RunContext, kept: RetentionSettings, summary: "RunSummary", count_by_month: CountByMonth
) -> ErasedByAge:
    """Erase what is older than it is kept; return what was erased.

    Leads leave only after a night that has read all there was to read: one that has not, or whose list shifted
    meanwhile, may have missed a change, and a lead that left is not read in again to tell. A request to stop ends it
    early, as its time limit does: each transaction is whole, and the next night goes on. Nothing is erased by a clock
    that may be wrong.
    """
    now, account = run.now(), run.ledger.account
    with run.ledger.read_transaction() as session:
        if (nothing := _nothing_unless_clock_agrees(session, run, now)) is not None:
            return nothing
    sweep = _Sweep(run, count_by_month, now, until=now + BUDGET)
    try:
        before, has_read_all = now - lead_retention_period(kept, run.book), has_read_everything(summary)
        if has_read_all:
            sweep.erase_leads(before)
        else:
            with run.ledger.read_transaction() as session:
                if retention.has_lead_overdue_for_erasure(session, account, before=before, now=now):
                    sweep.done.problem = Message(MessageKind.ERASURE_OVERDUE)
        with run.ledger.write_transaction() as session:
            if has_read_all:
                retention.erase_old_unusable_leads(session, account, before=before)
            retention.erase_outdated_records(session, account, before=now - kept.history)
        sweep.erase_runs(now - kept.runs)
    except StoppedBySignal:
        sweep.done.is_whole = False
    return sweep.done


def _nothing_unless_clock_agrees(session: Session, run: RunContext, now: datetime) -> ErasedByAge | None:
    """Return what a night comes to whose clock does not agree with the nights before; None if it does.

    A clock far ahead would make every lead old, and those created since would be taken for leads that left. The first
    night has none to compare with, and the first after a long pause cannot tell it from a wrong clock: the next one
    erases, and meanwhile a human is told.
    """
    account, this = run.ledger.account, run.ledger.run
    last = runs.completed_night_before(session, account, this)
    if last is not None and last <= now:
        last = runs.completed_night_before(session, account, this, begun_by=now - ANOTHER_NIGHT)
    if last is None:
        return ErasedByAge(is_whole=False)
    if last <= now <= last + LONGEST_PAUSE:
        return None
    zone = run.book.zone
    values = {"now": now.astimezone(zone), "last": last.astimezone(zone)}
    return ErasedByAge(is_whole=False, problem=Message(MessageKind.CLOCK_JUMPED, values))


def has_read_everything(summary: "RunSummary") -> bool:
    """Return whether a night has read all that had changed until it began."""
    return summary.pulled.complete and not summary.pulled.moved and summary.source_stopped is None


def lead_retention_period(kept: RetentionSettings, book: Rulebook) -> timedelta:
    """Return how long after the last thing that happened to it a lead leaves."""
    return max(kept.leads, retention_needed_for_sending(book))


def retention_needed_for_sending(book: Rulebook) -> timedelta:
    """Return how long after its last conversion a lead may still matter to what is sent.

    That is until its own windows have closed, and those of any other lead whose click or person counts once with its.
    """
    needed = timedelta()
    for route in book.routes:
        windows = [route.longest_sending_window, *(each.within for each in route.limits.corrects.values())]
        once = route.once.within if route.once is not None else timedelta()
        needed = max(needed, max(windows, default=timedelta()) + once)
    return needed


@dataclass(slots=True)
class _Sweep:
    run: RunContext
    count_by_month: CountByMonth
    now: datetime
    until: datetime
    done: ErasedByAge = field(default_factory=ErasedByAge)

    def _goes_on(self) -> bool:
        """Whether there is time for another transaction."""
        self.run.deps.cancel_token()
        self.done.is_whole = self.run.now() <= self.until
        return self.done.is_whole

    def erase_leads(self, before: datetime) -> None:
        """Have the leads leave to which nothing has happened since then."""
        ledger, last = self.run.ledger, None
        while self._goes_on():
            with ledger.read_transaction() as session:
                some = retention.old_leads(
                    session, ledger.account, before=before, now=self.now, after=last, limit=AT_ONCE
                )
            if not some:
                return
            last = some[-1]
            self._erase([lead for _, lead in some], before)

    def _erase(self, leads: list[LeadId], before: datetime) -> None:
        ledger = self.run.ledger
        with ledger.write_transaction() as session:
            # With them, so that no lead that left is ever taken for a new one.
            retention.advance_retention_mark(session, ledger.account, before, now=self.now)
            retention.count_leaving_leads(session, ledger.account, leads)
            monthly.add_monthly_rows(session, list(self.count_by_month(session, leads)))
            erase_leads(session, ledger.account, leads)
        self.done.leads += len(leads)
        self.done.before = before

    def erase_runs(self, before: datetime) -> None:
        """Erase the runs and requests from before then that nothing refers to any more."""
        ledger = self.run.ledger
        while self._goes_on():
            with ledger.write_transaction() as session:
                erased = retention.erase_old_runs(session, ledger.account, before=before, limit=AT_ONCE)
            self.done.runs += erased
            if erased < AT_ONCE:
                return
