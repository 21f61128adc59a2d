"""Runs of an account: one writer at a time, a lease checked in every transaction, and each night done once."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, Engine, and_, bindparam, or_
from sqlmodel import Session, col, func, select

from connectors.language import _
from jobs.exit_codes import CommandError, Exit
from jobs.ledger.bulk import table_of
from jobs.ledger.schema import Lease, Run, stored_row_id
from jobs.ledger.storage.forgotten_place import ForgottenPlace, LockWithPlace
from jobs.ledger.storage.progress import ledger_progress
from jobs.ledger.storage.refusals import refuse_lost_state, refuse_other_account, refuse_unusable_ledger
from jobs.ledger.storage.state import Lock, State, disposing
from jobs.ledger.storage.state_file import LedgerError, NoStateError
from jobs.logs import Log

RESOLVING = "resolve"
"""Command of a run that only fetches outcomes and sends what has come due; it belongs to the preceding night."""
NIGHTLY = "run"
"""Command of a run that does a whole night's work, started by hand or on a schedule."""
INBOX = "inbox"
"""Command of a run between nights, which reads only the leads that webhooks report; it belongs to the next night."""
STOPPED_BY_SIGNAL = 128
"""Exit codes from this value up mean a signal."""
ENDED = (0, 1, 3)
"""Exit codes of completed runs; a refused or crashed run is not a night."""


def is_ended_night() -> ColumnElement[bool]:
    """Match nights that came to their end; if a part failed for an unforeseen reason, the date tells."""
    has_fault = and_(col(Run.exit_code) == Exit.BUG, col(Run.night).is_not(None))
    return and_(col(Run.command) == NIGHTLY, or_(col(Run.exit_code).in_(ENDED), has_fault))


_log = Log(__name__)


class NightDoneError(CommandError):
    """A due night needs no work."""

    exit_code = Exit.DONE

    def __init__(self, run: int | None, next_pass: datetime | None) -> None:
        """Take the id of the run that did the night, if any, and the time of the next pass for outcomes."""
        super().__init__(_("there is nothing to do for this night"))
        self.run = run
        self.next_pass = next_pass


def run_covering_night(session: Session, account: str, night: date, *, today: date) -> Run | None:
    """Return the run that did the night of this date or a later one, which includes the earlier night's work.

    Nights after `today` don't count: a clock once set ahead must not suppress the nights in between. The night itself,
    which is due, does: by the clock of a fleet's machine, which may be a little behind, it can be tomorrow's.
    """
    today = max(night, today)
    ahead = session.exec(select(func.max(Run.night)).where(Run.account == account, col(Run.night) > today)).one()
    if ahead is not None:
        _log.warning(
            "a night on record lies ahead of today and does not count; see that this machine's clock is right",
            night=ahead.isoformat(),
            today=today.isoformat(),
        )
    return _first_between(session, account, night, today)


def raise_if_night_done(
    session: Session, account: str, night: date, *, today: date, if_missed: bool, passes: Sequence[timedelta]
) -> None:
    """Return if a night is still to be done; with `if_missed`, only if it was missed, as none is before a first run.

    Raises:
        NightDoneError: there is nothing to do; carries the time of the next pass (`passes` are delays after a night).
    """
    done = run_covering_night(session, account, night, today=today)
    has_run = select(Run.id).where(Run.account == account).limit(1)
    if done is not None or (if_missed and session.exec(has_run).first() is None):
        raise NightDoneError(None if done is None else done.id, next_outcome_check(session, account, passes))


def next_outcome_check(session: Session, account: str, after: Sequence[timedelta]) -> datetime | None:
    """Return when to fetch outcomes of the last night next, or None if no pass is left.

    `after` are the passes' delays from the night's end; a late pass covers those due before it.
    """
    last = session.exec(
        select(Run).where(Run.account == account, col(Run.night).is_not(None)).order_by(col(Run.id).desc()).limit(1)
    ).first()
    if last is None or last.ended_at is None:
        return None
    # Passes and manual runs also fetch outcomes; a backfill may not, nor may a run that died or was stopped.
    asked = session.exec(
        select(Run.started_at).where(
            Run.account == account,
            col(Run.id) > last.id,
            col(Run.command).in_((NIGHTLY, RESOLVING, INBOX)),
            col(Run.exit_code) < STOPPED_BY_SIGNAL,
        )
    ).all()
    latest = max(asked, default=last.ended_at)
    return next((due for span in sorted(after) if (due := last.ended_at + span) > latest), None)


def earlier_webhook_inbox_runs(session: Session, account: str, run: int) -> list[int]:
    """Return the runs of the inbox before a run and after the last completed night before it, in order."""
    earlier = (Run.account == account, col(Run.id) < run)
    nights = select(func.max(Run.id)).where(*earlier, is_ended_night())
    night = nights.scalar_subquery()
    passes = select(Run.id).where(*earlier, Run.command == INBOX, col(Run.id) > func.coalesce(night, 0))
    return [found for found in session.exec(passes.order_by(col(Run.id))) if found is not None]


def completed_night_before(
    session: Session, account: str, run: int, *, begun_by: datetime | None = None
) -> datetime | None:
    """Return when the last completed night before a run began, of those that had begun by then; None without any."""
    nights = select(Run.started_at).where(Run.account == account, col(Run.id) < run, is_ended_night())
    if begun_by is not None:
        nights = nights.where(col(Run.started_at) <= begun_by)
    return session.exec(nights.order_by(col(Run.id).desc()).limit(1)).first()


def _first_between(session: Session, account: str, first: date, last: date) -> Run | None:
    nights = select(Run).where(Run.account == account, col(Run.night).between(first, last))
    return session.exec(nights.order_by(col(Run.night)).limit(1)).first()


class LeaseLostError(LedgerError):
    """Another run took over the account while this one was still running."""

    exit_code = Exit.HELD


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds an account's lease; after a restore, two runs may have the same epoch."""

    epoch: int
    pid: int
    started_at: datetime


_LEASES = table_of(Lease)
_HOLDER = (
    select(_LEASES.c.epoch, _LEASES.c.pid, _LEASES.c.started_at)
    .where(_LEASES.c.account == bindparam("of_account"))
    .with_for_update()
)
"""Asked in each transaction, so past the unit of work; on PostgreSQL nobody takes over until it ends."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """An account's state, held by one run for writing."""

    engine: Engine
    state: State
    account: str
    holder: Holder
    run: int
    lock: Lock
    restored_at: datetime | None = None
    """When the ledger was last declared a restored backup."""
    place: ForgottenPlace | None = None
    """The second place that remembers who was forgotten, if the settings name one."""
    may_have_marks: bool = False
    """Whether there ever was one, under whose salt leads are known again by their contact data."""

    @property
    def epoch(self) -> int:
        """The number of this run's lease."""
        return self.holder.epoch

    def record_upcoming_request(self, request: int) -> None:
        """Record, outside the state, a request about to be sent, so that a copy without it is detected."""
        self.lock.record_ledger_progress(self.epoch, request)

    @contextmanager
    def write_transaction(self) -> Iterator[Session]:
        """Open a transaction that commits when the block ends and rolls back if it raises.

        Raises:
            LeaseLostError: another run has taken over the account.
            LedgerError: the state cannot be written.
        """
        with self.state.explaining_errors(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            row = session.connection().execute(_HOLDER, {"of_account": self.account}).one_or_none()
            if row is None or Holder(*row) != self.holder:
                raise LeaseLostError(
                    _("{path}: another run has taken this account over; this one stops", path=self.state)
                )
            yield session

    @contextmanager
    def read_transaction(self) -> Iterator[Session]:
        """Open a consistent, read-only view of the state."""
        with open_snapshot(self.engine, self.state) as session:
            yield session


@contextmanager
def open_snapshot(engine: Engine, state: State) -> Iterator[Session]:
    """Open a consistent view of a state without blocking writers."""
    view = engine.execution_options(read_only=True)
    with state.explaining_errors(), Session(view, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def open_for_reading(state: State) -> Iterator[Session]:
    """Open a consistent view of an account's state.

    Raises:
        NoStateError: there is none.
        LedgerError: it cannot be read.
    """
    with disposing(state.open_engine(for_writing=False)) as engine, open_snapshot(engine, state) as session:
        yield session


@contextmanager
def open_locked_ledger(
    state: State,
    account: str,
    command: str,
    *,
    now: datetime,
    first_run: bool = False,
    restored: bool = False,
    place: ForgottenPlace | None = None,
    unless: Callable[[Session], None] | None = None,
) -> Iterator[Ledger]:
    """Hold the account for one run.

    With `first_run` the state is created and must not exist; otherwise it must exist. With `restored` it is declared a
    restored backup, and may be older than what was done here. `unless` is called before the run is recorded; if it
    raises, no run is recorded.

    Raises:
        LeaseHeldError: another run holds the account.
        NoStateError: there is no state, and `first_run` is not set.
        LedgerError: the state cannot be used, or is older than the one last used here.
    """
    with ExitStack() as stack:
        # Explain only errors from opening the state, not those raised by the caller's block.
        with state.explaining_errors():
            # Check before writing anything: the state may be missing because a volume isn't mounted.
            if not first_run and not state.exists():
                raise NoStateError(state)
            lock: Lock = stack.enter_context(state.lock_account(now=now))
            if first_run:
                refuse_lost_state(lock, state)
                state.create()
            if place is not None:
                # A new ledger knows as little of what the place remembers as an old copy does.
                restored = restored or (first_run and place.epoch > 0)
                lock = LockWithPlace(lock, place)
            engine = stack.enter_context(disposing(state.open_engine(for_writing=True)))
            ledger = _begin(
                engine, state, account, command, lock, now=now, restored=restored, place=place, unless=unless
            )
            # Only once the ledger knows that it was restored: whatever ends this before, the next run is refused.
            ledger.record_upcoming_request(0 if restored else lock.last_request_id)
        yield ledger


def _begin(
    engine: Engine,
    state: State,
    account: str,
    command: str,
    lock: Lock,
    *,
    now: datetime,
    restored: bool = False,
    place: ForgottenPlace | None = None,
    unless: Callable[[Session], None] | None = None,
) -> Ledger:
    """Increment the account's epoch, so that earlier holders can no longer write, and record the run."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        found = ledger_progress(session, account)
        lease = session.get(Lease, account, with_for_update=True) or Lease(
            account=account, epoch=0, pid=os.getpid(), started_at=now
        )
        if restored:
            refuse_other_account(found, account, state)
            # Past the lost ledger's epoch, so that it is the older one should it turn up.
            lease.epoch, lease.restored_at = max(lease.epoch, lock.epoch), now
        else:
            refuse_unusable_ledger(found, account, lock, state, place)
        if unless is not None:
            unless(session)
        if place is not None and lease.forgotten_place != place.identity:
            # Before the ledger knows it: a place that could not be begun would be taken for another from then on.
            place.record_ledger_progress(place.epoch, place.last_request_id)
            lease.forgotten_place = place.identity
        holder = Holder(lease.epoch + 1, os.getpid(), now)
        lease.epoch, lease.pid, lease.started_at = holder.epoch, holder.pid, holder.started_at
        run = Run(account=account, command=command, epoch=holder.epoch, started_at=now)
        session.add_all((lease, run))
        session.flush()
        return Ledger(
            engine,
            state,
            account,
            holder,
            stored_row_id(run),
            lock,
            lease.restored_at,
            place,
            lease.forgotten_place is not None,
        )


def finish_run(ledger: Ledger, exit_code: int, *, now: datetime, night: date | None = None) -> None:
    """Record the run's exit code, and its night's date if no other run has done that night."""
    with ledger.write_transaction() as session:
        run = session.get_one(Run, ledger.run)
        if night is not None and _first_between(session, ledger.account, night, night) is None:
            run.night = night
        run.ended_at, run.exit_code = now, exit_code
        session.add(run)
