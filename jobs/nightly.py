"""Runs one night: recover, pull, resolve, plan, deliver, resolve; data flows one way."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from sqlmodel import Session

from connectors.errors import Misconfigured, Transient, WrongClock
from connectors.records import DestinationId, OutcomeClass
from jobs.alerts.platform_statements import read_platform_statements
from jobs.alerts.review import review_run, unknown_labels
from jobs.deliver.agenda import SendingOptions, count_due
from jobs.deliver.resolve import mark_interrupted_in_doubt, settle_received_requests
from jobs.deliver.sender import deliver, send_corrections
from jobs.ledger import reading_progress
from jobs.ledger.leads import reported_leads, starts, status_labels
from jobs.ledger.outbox import outbox, requests
from jobs.ledger.outbox.requests import RequestState
from jobs.ledger.report import queries
from jobs.ledger.schema import Delivery
from jobs.plan.adjustments import plan_adjustments
from jobs.plan.expected_values import update_estimates
from jobs.plan.new_settings import apply_settings_to_ledger
from jobs.plan.planner import (
    erase_contact_data_of_settled,
    erase_unusable_personal_data,
    plan,
    with_missing_value_guard,
)
from jobs.plan.twin_guard import apply_twin_answer, hold_changed_ids
from jobs.plan.volume_guard import hold_excess_volume, hold_sent_before_restore
from jobs.pull.clock import check_clock_plausible
from jobs.pull.exported_file import open_newest_export
from jobs.pull.inbox import read_webhook_leads
from jobs.pull.originals import ask_for_originals
from jobs.pull.sync import pull
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.extraction import id_to_show
from jobs.rules.reasons import DestinationScope, Message, MessageKind, StopCause, StopKind
from jobs.run_context import NightStep, RunContext, RunReadingScope
from jobs.run_summary import RunSummary
from jobs.settings.compile import Rulebook

ASK_AGAIN_AFTER = timedelta(minutes=5)
"""Minimum wait before asking a platform again for outcomes that weren't ready."""


def run_night(
    run: RunContext, *, reading: RunReadingScope = RunReadingScope.EVERYTHING, wait: timedelta = timedelta()
) -> RunSummary:
    """Run one night for one account, or what is done between nights, and return its summary.

    If the source fails, due deliveries still go out; a destination that stops doesn't affect the others. A run that
    does not read everything replays nothing in doubt: the next night does that. Finally it waits up to `wait` for
    outcomes.

    Raises:
        StoppedBySignal: a stop was requested; everything sent is on record.
        RenamedError: a conversion seems to have been renamed; nothing was done.
        WrongClock: the time is unknown, and so is what is too late; nothing was judged or sent.
        LedgerError: the state cannot be written; what was committed is safe.
    """
    summary = _read(run, reading)
    ask_for_outcomes(run, summary)
    run, decided_at = _plan(run, summary)
    is_night = reading is RunReadingScope.EVERYTHING
    replays = is_night and _is_any_in_doubt(run)
    sending = SendingOptions(
        run, decided_at, stopped=summary.resolved.stopped.keys(), held=summary.held.keys(), replays=replays
    )
    with run.deps.watch(NightStep.DELIVER, summary, total=partial(count_due, sending)):
        deliver(sending, summary.delivered)
        silent = summary.delivered.silent
        stopped = {*sending.stopped, *summary.delivered.stopped}.difference(silent)
        send_corrections(replace(sending, stopped=stopped), summary.corrected, silent=silent)
    ask_for_outcomes(run, summary)
    erase_contact_data_of_settled(run)
    _await_outcomes(run, summary, until=run.now() + wait)
    _conclude(run, summary)
    if is_night:
        read_platform_statements(run, summary.other_faults)
    return summary


def _is_any_in_doubt(run: RunContext) -> bool:
    with run.ledger.read_transaction() as session:
        return bool(outbox.count_in_doubt(session, run.ledger.account))


def rehearse(run: RunContext) -> RunSummary:
    """Run a night that contacts no platform and sends nothing; on a copy of the ledger, it leaves no trace."""
    summary = _read(run)
    run, _ = _plan(run, summary)
    return _conclude(run, summary)


def run_validation_night(run: RunContext) -> RunSummary:
    """Run a night in which platforms only validate what they receive; on a copy of the ledger, it leaves no trace.

    The sinks must have been created with `validate_only`.
    """
    summary = _read(run)
    summary.only_validated = True
    run, decided_at = _plan(run, summary)
    due = {row.id for row in _unsent(run) if is_due(row, decided_at)}
    with run.deps.watch(NightStep.VALIDATE, summary):
        deliver(SendingOptions(run, decided_at), summary.delivered)
    for row in _unsent(run):
        if row.id in due and (stop := _blocking_stop_scope(run.book, row, summary.stopped_scopes)):
            summary.not_checked[row.conversion, row.destination, row.state, stop] += 1
    return _conclude(run, summary)


def _unsent(run: RunContext) -> Iterator[Delivery]:
    """Yield every conversion that this run or a later one would send."""
    with run.ledger.read_transaction() as session:
        for state in (DeliveryState.PENDING, DeliveryState.IN_DOUBT):
            yield from outbox.conversions_in_state(session, run.ledger.account, state)


def is_due(row: Delivery, at: datetime) -> bool:
    """Return whether a delivery is no longer postponed."""
    due_at = queries.due_time(row)
    return due_at is None or due_at <= at


def _blocking_stop_scope(
    book: Rulebook, row: Delivery, stopped: Mapping[DestinationScope, StopCause]
) -> DestinationScope | None:
    """Return the scope of the stop that kept a delivery from being checked; None if no reported stop did."""
    route = book.find_conversion_route(row.conversion, row.destination)
    if row.state == DeliveryState.IN_DOUBT:
        target = outbox.target_of(row)
    elif route is not None:
        target = route.target
    else:
        return None
    destination = DestinationId(row.destination)
    way = book.scope_marked_if_former(destination, target.transport, target.owner)
    scopes = (DestinationScope(destination), way, replace(way, action=target.action))
    return next((scope for scope in scopes if scope in stopped), None)


def _await_outcomes(run: RunContext, summary: RunSummary, *, until: datetime) -> None:
    """Sleep until outcomes are due and ask for them, until none are pending or `until` is reached."""
    while summary.resolved.pending and (now := run.now()) < until:
        with run.ledger.read_transaction() as session:
            waiting = requests.requests_in_state(session, run.ledger.account, RequestState.RECEIVED)
        due = min((request.resolve_after or now for request in waiting), default=now)
        with run.deps.watch(NightStep.WAIT, summary):
            run.deps.clock.sleep_until(min(until, max(due, now + ASK_AGAIN_AFTER)))
        ask_for_outcomes(run, summary)
        erase_contact_data_of_settled(run)


def _read(run: RunContext, reading: RunReadingScope = RunReadingScope.EVERYTHING) -> RunSummary:
    if reading is not RunReadingScope.EVERYTHING:
        # The source, which tells the time, may not be asked.
        check_clock_plausible(run.ledger, run.now())
    summary = begin_run(run)
    summary.reading = reading
    if reading is not RunReadingScope.NOTHING:
        with run.deps.watch(NightStep.PULL, summary), recording_source_failures(run, summary):
            until = run.now() + run.deps.sync_window.budget
            if reading is RunReadingScope.EVERYTHING:
                _pull(run, summary)
            else:
                read_webhook_leads(run, until=until, done=summary.pulled)
            ask_for_originals(run, until=until, done=summary.pulled)
    return summary


def begin_run(run: RunContext) -> RunSummary:
    """Reconcile the ledger with the settings, recover what a dead run left, and return an empty summary for this run.

    Raises:
        RenamedError: a conversion seems to have been renamed; nothing was done.
    """
    now = run.now()
    summary = RunSummary(run.ledger.account, run.ledger.run, now)
    with run.ledger.write_transaction() as session:
        apply_settings_to_ledger(session, run.book, now=now, takes_other_ids=run.deps.twins is not None)
        if run.deps.twins is not None:
            # What a person says is about all leads, also those that no filter shows.
            reading_progress.begin_whole_reading(session, run.ledger.account)
        summary.recovered = mark_interrupted_in_doubt(session, run.ledger, now=now)
    return summary


@contextmanager
def recording_source_failures(run: RunContext, summary: RunSummary) -> Iterator[None]:
    """Guard a block that reads from the source, which compares its clock with ours.

    If the source fails, the run continues and `summary` records why, provided our clock is plausible.

    Raises:
        WrongClock: the time cannot be right. Starts that this run recorded with it are rolled back.
    """
    try:
        try:
            yield
        except (Misconfigured, Transient) as error:
            check_clock_plausible(run.ledger, summary.started_at)
            kind = StopKind.REFUSED if isinstance(error, Misconfigured) else StopKind.UNAVAILABLE
            summary.source_stopped = StopCause(kind, (str(error),))
    except WrongClock:
        with run.ledger.write_transaction() as session:
            starts.delete_counting_starts(session, run.ledger.account, since=summary.started_at)
        raise


def _pull(run: RunContext, summary: RunSummary) -> None:
    """Read changed leads; read everything a second time if a label appeared that the first reading couldn't resolve.

    Both readings share one night's time and request budget. In `details` mode there is no second reading: every lead
    that counts was read from its own page, and one read with its old label was current at that moment. Leads that took
    the new label later wait for the next night's reading.
    """
    window, done = run.deps.sync_window, summary.pulled
    open_newest_export(run)
    until = run.now() + window.budget
    pull(run, until=until, done=done)
    if not done.complete or window.reads_by_details:
        return
    with run.ledger.read_transaction() as session:
        understood = status_labels.are_label_renames_settled(session, run.ledger.account)
    if not understood and not run.deps.source.is_budget_spent and run.now() <= until:
        done.complete = False
        pull(run, until=until, done=done)


def ask_for_outcomes(run: RunContext, summary: RunSummary) -> None:
    """Ask platforms for the outcomes of received requests; results are added to `summary.resolved`."""
    with run.deps.watch(NightStep.RESOLVE, summary):
        settle_received_requests(run, summary.resolved)


def _plan(run: RunContext, summary: RunSummary) -> tuple[RunContext, datetime]:
    """Plan deliveries, and hold new ones where a human must approve the volume first.

    Returns the run with the missing-value guard applied, and the time by which deliveries had to be due.
    """
    with run.deps.watch(NightStep.PLAN, summary):
        if summary.reading is RunReadingScope.EVERYTHING:
            update_estimates(run)
        run = with_missing_value_guard(run)
        # A list cut short by a failure does not show who is gone.
        shown_since = None if summary.source_stopped else summary.pulled.shown_since
        summary.planned = plan(run, shown_since=shown_since)
        apply_twin_answer(run)
        plan_adjustments(run)
        erase_unusable_personal_data(run)
        decided_at = run.now()
        excess = hold_excess_volume(run, now=decided_at)
        summary.doubtful_ids = hold_changed_ids(run, now=decided_at)
        summary.held = {**excess, **summary.doubtful_ids.held}
        summary.held_after_restore = hold_sent_before_restore(run)
    return run, decided_at


def _conclude(run: RunContext, summary: RunSummary) -> RunSummary:
    """Add the review, unknown labels and current state counts to the summary."""
    with run.ledger.write_transaction() as session:
        is_pass = summary.reading is RunReadingScope.WEBHOOKS
        planned = None if is_pass else summary.planned
        since = summary.pulled.all_shown_since
        summary.review = review_run(
            session, run.ledger, run.book, planned, now=summary.started_at, all_shown_since=since
        )
        taken = summary.pulled.webhooks
        if taken.read_to is not None:
            # Only now: whatever ends a run before it reports, the next one meets the same events.
            reading_progress.record_last_read_event(session, run.ledger.account, taken.inbox, taken.read_to)
            reported_leads.forget_read_leads(session, run.ledger.account)
        if not is_pass:
            for lead, is_told in reported_leads.missing_leads(session, run.ledger.account).items():
                (taken.missing_before if is_told else taken.missing).append(id_to_show(lead))
        summary.unknown_labels = unknown_labels(session, run.ledger.account, run.book.meanings.keys())
        count_states(session, run, summary)
    return summary


def count_states(session: Session, run: RunContext, summary: RunSummary) -> None:
    """Add current state counts, and the deliveries that this run saw end up other than expected."""
    for scope, each in outbox.count_in_doubt(session, run.ledger.account).items():
        asks = scope.destination in run.book.ask_when_lost
        summary.in_doubt += each.count
        summary.waiting_for_a_human += asks * each.count
        kind = MessageKind.IN_DOUBT_ASKS if asks else MessageKind.IN_DOUBT
        summary.doubtful.append(Message(kind, {"scope": scope, **each.in_message(run.book.zone)}))
    summary.unconfirmed = outbox.count_moves_to_state(session, run.ledger, DeliveryState.UNCONFIRMED)
    if not summary.only_validated:
        summary.put_off = outbox.leads_deferred_again(session, run.ledger)
    for row in outbox.unexpected_rejections(session, run.ledger):
        scope = DestinationScope(DestinationId(row.destination), row.is_correction)
        summary.rejected.append((row.lead, row.conversion, scope, row.code or ""))
        # Nobody can mend a click that the platform does not know; a conversion to correct that it does not know, the
        # settings may.
        if row.outcome != OutcomeClass.DROP or row.is_correction:
            summary.to_correct.setdefault(scope, []).append(row.lead)
    summary.standing = outbox.count_by_state(session, run.ledger.account)
