"""Runs one night: recover, pull, resolve, plan, deliver, resolve; data flows one way."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session

from connectors.errors import Misconfigured, Transient, WrongClock
from connectors.http import CancelToken
from connectors.ports import Clock, LeadSource
from connectors.records import DestinationId
from jobs.alerts.review import review, unknown_labels
from jobs.cancellation import go_on
from jobs.deliver.adjustment_sender import send_adjustments
from jobs.deliver.resolve import recover, resolve
from jobs.deliver.sender import Sending, deliver
from jobs.ledger import outbox, requests, starts, status_labels
from jobs.ledger.requests import RequestState
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Adjustment, Delivery, OutboxRow
from jobs.plan.adjustments import plan_adjustments
from jobs.plan.planner import adopt_settings, erase_idle, hold_missing_values, plan
from jobs.plan.volume_guard import hold_excess_volume
from jobs.pull.ingest import Ingest
from jobs.pull.sync import SyncMode, SyncWindow, expect_plausible, pull
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Scope, Stop, StopKind
from jobs.run_summary import RunSummary
from jobs.settings.compile import Rulebook, Sinks

ASK_AGAIN_AFTER = timedelta(minutes=5)
"""Minimum wait before asking a platform again for outcomes that weren't ready."""


class NightStep(StrEnum):
    """The steps of a night, as shown to a user."""

    PULL = "reading leads"
    RESOLVE = "asking for outcomes"
    PLAN = "deciding"
    DELIVER = "sending"
    VALIDATE = "having it checked"
    WAIT = "waiting for outcomes"


Watch = Callable[[NightStep, RunSummary], AbstractContextManager[object]]
"""Returns a context manager that is active during a step, so that a terminal can show progress."""


def unwatched(_step: NightStep, _summary: RunSummary) -> AbstractContextManager[object]:
    """A watch that shows nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Deps:
    """The external dependencies of one account's night."""

    source: LeadSource
    sinks: Sinks
    clock: Clock
    jitter: Callable[[], float]
    sync_window: SyncWindow
    accept_volume: bool = False
    """Whether a human approved tonight's excess volume."""
    cancel_token: CancelToken = go_on
    """Called before each request and each intent, so that a night can be stopped between two of them."""


def run_night(
    ledger: Ledger,
    book: Rulebook,
    deps: Deps,
    *,
    reading: bool = True,
    wait: timedelta = timedelta(),
    watch: Watch = unwatched,
) -> RunSummary:
    """Run one night for one account and return its summary.

    If the source fails, due deliveries still go out; a destination that stops doesn't affect the others. Without
    `reading`, no lead is read and nothing in doubt is replayed (the next night does that): the run only asks for
    outcomes and sends what has come due. Finally it waits up to `wait` for outcomes.

    Raises:
        StoppedBySignal: a stop was requested; everything sent is on record.
        RenamedError: a conversion seems to have been renamed; nothing was done.
        WrongClock: the time is unknown, and so is what is too late; nothing was judged or sent.
        LedgerError: the state cannot be written; what was committed is safe.
    """
    if reading:
        summary = _read(ledger, book, deps, watch)
    else:
        expect_plausible(ledger, deps.clock.now())
        summary = begin(ledger, book, deps)
        summary.only_outcomes = True
    ask_for_outcomes(ledger, book, deps, summary, watch)
    book, decided_at = _plan(ledger, book, deps, summary, watch)
    with watch(NightStep.DELIVER, summary):
        sending = replace(
            sending_of(ledger, book, deps, decided_at),
            stopped=summary.resolved.stopped.keys(),
            held=summary.held.keys(),
            replays=reading,
        )
        summary.delivered = deliver(sending, deps.sinks)
        silent = summary.delivered.silent
        stopped = {*sending.stopped, *summary.delivered.stopped}.difference(silent)
        summary.corrected = send_adjustments(replace(sending, stopped=stopped), deps.sinks, silent=silent)
    ask_for_outcomes(ledger, book, deps, summary, watch)
    erase_idle(ledger, deps.sinks, now=deps.clock.now())
    _await_outcomes(ledger, book, deps, summary, until=deps.clock.now() + wait, watch=watch)
    return _conclude(ledger, book, summary)


def sending_of(ledger: Ledger, book: Rulebook, deps: Deps, due_by: datetime) -> Sending:
    """Return the sender's configuration for deliveries due by `due_by`."""
    return Sending(
        ledger=ledger,
        book=book,
        clock=deps.clock,
        jitter=deps.jitter,
        due_by=due_by,
        cancel_token=deps.cancel_token,
    )


def rehearse(ledger: Ledger, book: Rulebook, deps: Deps, *, watch: Watch = unwatched) -> RunSummary:
    """Run a night that contacts no platform and sends nothing; on a copy of the ledger, it leaves no trace."""
    summary = _read(ledger, book, deps, watch)
    book, _ = _plan(ledger, book, deps, summary, watch)
    return _conclude(ledger, book, summary)


def validate(ledger: Ledger, book: Rulebook, deps: Deps, *, watch: Watch = unwatched) -> RunSummary:
    """Run a night in which platforms only validate what they receive; on a copy of the ledger, it leaves no trace.

    `deps.sinks` must have been created with `validate_only`.
    """
    summary = _read(ledger, book, deps, watch)
    summary.only_validated = True
    book, decided_at = _plan(ledger, book, deps, summary, watch)
    due = {row.id for row in _unsent(ledger) if is_due(row, decided_at)}
    with watch(NightStep.VALIDATE, summary):
        summary.delivered = deliver(sending_of(ledger, book, deps, decided_at), deps.sinks)
    for row in _unsent(ledger):
        if row.id in due and (stop := _stop_of(book, row, summary.stopped)):
            summary.not_checked[row.conversion, row.destination, row.state, stop] += 1
    return _conclude(ledger, book, summary)


def _unsent(ledger: Ledger) -> Iterator[Delivery]:
    """Yield every delivery that this run or a later one would send."""
    with ledger.reading() as session:
        for state in (DeliveryState.PENDING, DeliveryState.IN_DOUBT):
            yield from outbox.by_state(session, ledger.account, Delivery, state)


def is_due(row: Delivery, at: datetime) -> bool:
    """Return whether a delivery is no longer postponed."""
    return all(time is None or time <= at for time in (row.not_before, row.deferred_until))


def _stop_of(book: Rulebook, row: Delivery, stopped: Mapping[Scope, Stop]) -> Scope | None:
    """Return the scope of the stop that kept a delivery from being checked; None if no reported stop did."""
    route = book.route(row.conversion, row.destination)
    if row.state == DeliveryState.IN_DOUBT:
        target = outbox.target_of(row)
    elif route is not None:
        target = route.target
    else:
        return None
    destination = DestinationId(row.destination)
    way = book.way(destination, target.transport, target.owner)
    scopes = (Scope(destination), way, replace(way, action=target.action))
    return next((scope for scope in scopes if scope in stopped), None)


def _await_outcomes(
    ledger: Ledger, book: Rulebook, deps: Deps, summary: RunSummary, *, until: datetime, watch: Watch
) -> None:
    """Sleep until outcomes are due and ask for them, until none are pending or `until` is reached."""
    while summary.resolved.pending and (now := deps.clock.now()) < until:
        with ledger.reading() as session:
            waiting = requests.in_state(session, ledger.account, RequestState.RECEIVED)
        due = min((request.resolve_after or now for request in waiting), default=now)
        with watch(NightStep.WAIT, summary):
            deps.clock.sleep_until(min(until, max(due, now + ASK_AGAIN_AFTER)))
        ask_for_outcomes(ledger, book, deps, summary, watch)
        erase_idle(ledger, deps.sinks, now=deps.clock.now())


def begin(ledger: Ledger, book: Rulebook, deps: Deps) -> RunSummary:
    """Reconcile the ledger with the settings, recover what a dead run left, and return an empty summary for this run.

    Raises:
        RenamedError: a conversion seems to have been renamed; nothing was done.
    """
    now = deps.clock.now()
    summary = RunSummary(ledger.account, ledger.run, now)
    with ledger.writing() as session:
        adopt_settings(session, book, now=now)
    summary.recovered = recover(ledger, deps.clock)
    return summary


@contextmanager
def reading_source(ledger: Ledger, summary: RunSummary) -> Iterator[None]:
    """Guard a block that reads from the source, which compares its clock with ours.

    If the source fails, the run continues and `summary` records why, provided our clock is plausible.

    Raises:
        WrongClock: the time cannot be right. Starts that this run recorded with it are rolled back.
    """
    try:
        try:
            yield
        except (Misconfigured, Transient) as error:
            expect_plausible(ledger, summary.started_at)
            summary.source_stopped = stop_of(error)
    except WrongClock:
        with ledger.writing() as session:
            starts.take_back(session, ledger.account, since=summary.started_at)
        raise


def _read(ledger: Ledger, book: Rulebook, deps: Deps, watch: Watch) -> RunSummary:
    summary = begin(ledger, book, deps)
    with watch(NightStep.PULL, summary), reading_source(ledger, summary):
        _pull(ledger, book, deps, summary)
    return summary


def stop_of(error: Misconfigured | Transient) -> Stop:
    """Return the stop for an error from the source."""
    kind = StopKind.REFUSED if isinstance(error, Misconfigured) else StopKind.UNAVAILABLE
    return Stop(kind, (str(error),))


def ask_for_outcomes(ledger: Ledger, book: Rulebook, deps: Deps, summary: RunSummary, watch: Watch) -> None:
    """Ask platforms for the outcomes of received requests; results are added to `summary.resolved`."""
    with watch(NightStep.RESOLVE, summary):
        resolve(ledger, book, deps.sinks, deps.clock, summary.resolved, cancel_token=deps.cancel_token)


def _plan(ledger: Ledger, book: Rulebook, deps: Deps, summary: RunSummary, watch: Watch) -> tuple[Rulebook, datetime]:
    """Plan deliveries, and hold new ones where a human must approve the volume first.

    Returns the rules with the missing-value guard applied, for the rest of the run, and the time by which deliveries
    had to be due.
    """
    with watch(NightStep.PLAN, summary):
        with ledger.reading() as session:
            book = hold_missing_values(session, book)
        summary.planned = plan(ledger, book, deps.sinks, cancel_token=deps.cancel_token, now=deps.clock.now())
        plan_adjustments(ledger, book, now=deps.clock.now())
        erase_idle(ledger, deps.sinks, now=deps.clock.now())
        decided_at = deps.clock.now()
        summary.held = hold_excess_volume(ledger, book, deps.sinks, accepted=deps.accept_volume, now=decided_at)
    return book, decided_at


def _pull(ledger: Ledger, book: Rulebook, deps: Deps, summary: RunSummary) -> None:
    """Read changed leads; read everything a second time if a label appeared that the first reading couldn't resolve.

    Both readings share one night's time and request budget. In `details` mode there is no second reading: every lead
    that counts was read from its own page, and one read with its old label was current at that moment. Leads that took
    the new label later wait for the next night's reading.
    """
    until = deps.clock.now() + deps.sync_window.budget
    ingest, done = Ingest(book, deps.sinks), summary.pulled
    pull(ledger, deps.source, ingest, deps.clock, sync_window=deps.sync_window, until=until, done=done)
    if not done.complete or deps.sync_window.style is SyncMode.DETAILS:
        return
    with ledger.reading() as session:
        understood = status_labels.are_all_settled(session, ledger.account)
    if not understood and not deps.source.is_spent and deps.clock.now() <= until:
        done.complete = False
        pull(ledger, deps.source, ingest, deps.clock, sync_window=deps.sync_window, until=until, done=done)


def _conclude(ledger: Ledger, book: Rulebook, summary: RunSummary) -> RunSummary:
    """Add the review, unknown labels and current state counts to the summary."""
    with ledger.writing() as session:
        summary.review = review(session, ledger, book, summary.planned, now=summary.started_at)
    with ledger.reading() as session:
        summary.unknown_labels = unknown_labels(session, ledger.account, book.meanings.keys())
        count_states(session, ledger, book, summary)
    return summary


def count_states(session: Session, ledger: Ledger, book: Rulebook, summary: RunSummary) -> None:
    """Add current state counts, and the deliveries that this run saw end up other than expected."""
    in_doubt = outbox.count_in_doubt(session, ledger.account)
    summary.in_doubt = in_doubt.total()
    summary.waiting_for_a_human = sum(count for where, count in in_doubt.items() if where in book.ask_when_lost)
    summary.unconfirmed = outbox.moved_to(session, ledger, DeliveryState.UNCONFIRMED)
    if not summary.only_validated:
        summary.put_off = outbox.put_off_again(session, ledger)
    refused = outbox.rejected_in(session, ledger)
    summary.rejected = [(row.lead, row.conversion, _scope_of(row), row.code or "") for row in refused]
    summary.standing = outbox.standing(session, ledger.account)


def _scope_of(row: OutboxRow) -> Scope:
    return Scope(DestinationId(row.destination), isinstance(row, Adjustment))
