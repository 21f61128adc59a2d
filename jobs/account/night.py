"""Runs one account's night, or what is between two, rehearses it, and erases what has grown old."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import structlog
from sqlmodel import Session

from connectors.language import _
from connectors.ports import Clock
from jobs.account.after_a_night import find_incidents, notify, ping_with_outcome, send_weekly_summary, write_report
from jobs.account.hold import expect_no_other_state, expect_state_exists, hold_account_for_run
from jobs.account.lead_search import search_leads_in_doubt
from jobs.cancellation import StopSignal, never_cancelled
from jobs.exit_codes import UsageError
from jobs.faults import ContainedFault
from jobs.ledger.report import queries
from jobs.ledger.runs import (
    INBOX,
    NIGHTLY,
    RESOLVING,
    Ledger,
    finish_run,
)
from jobs.ledger.storage.database import remove_stale_copies
from jobs.nightly import rehearse, run_night, run_validation_night
from jobs.privacy.former_files import visit_former_files
from jobs.privacy.retention import erase_by_age
from jobs.privacy.webhook_events import erase_events_without_lead
from jobs.reporting.page.leads.archive import monthly_lead_counter
from jobs.reporting.run_report import Mode, Night
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Message, MessageKind
from jobs.run_context import Deps, ProgressDisplay, RunContext, RunReadingScope, TwinAnswer, no_progress_display
from jobs.run_summary import RunSummary
from jobs.settings import Settings
from jobs.wiring.account import account_inbox, open_clock
from jobs.wiring.night import open_connectors
from jobs.wiring.state import account_state

_STILL_OPEN = (DeliveryState.PENDING, DeliveryState.IN_DOUBT, DeliveryState.WITHHELD)
_CLOSED_TONIGHT = (DeliveryState.EXPIRED, DeliveryState.CANCELLED)
_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a night."""

    mode: Mode = Mode.RUN
    wait: timedelta = timedelta()
    """How long to wait for outcomes."""
    accept_volume: bool = False
    """Whether to override the volume guard."""
    accept_file: bool = False
    """Whether to read a file with far fewer leads or fewer columns than the last one."""
    twins: TwinAnswer | None = None
    """What a person says of leads that look like others whose ids have vanished."""
    accept_fewer: bool = False
    """Whether to take a list with far fewer leads than the last complete one for whole."""
    first_run: bool = False
    """Whether the account has never run, so that its state is created."""
    others: frozenset[str] | None = frozenset()
    """Names of other accounts, whose states are not mistaken for this one's under an older name; None for all."""
    inbox_only: bool = False
    """Whether to read only the leads that webhooks report."""


def do_night(
    settings: Settings,
    options: RunOptions,
    *,
    watch: ProgressDisplay = no_progress_display,
    stop: StopSignal | None = None,
    clock: Clock | None = None,
    night: date | None = None,
    unless: Callable[[Session], None] | None = None,
) -> Night:
    """Run one account's night; `failure_from_error` explains any exception.

    Args:
        settings: the account.
        options: the night's options.
        watch: shows the steps.
        stop: checked before each request and each intent.
        clock: the account's clock; None opens it.
        night: the date of the night; the default is the local date on which it begins.
        unless: called once the account is held; if it raises, the run is not recorded.
    """
    with nullcontext(clock) if clock else open_clock(settings, stop) as opened, ping_with_outcome(settings) as ping:
        expect_state_exists(settings, first_run=options.first_run, others=options.others)
        remove_stale_copies()
        cancel_token = stop.raise_if_stop_requested if stop else never_cancelled
        with (
            open_connectors(settings, opened, cancel_token=cancel_token) as (book, deps),
            hold_account_for_run(
                settings, account_state(settings), NIGHTLY, opened, unless, first_run=options.first_run
            ) as ledger,
        ):
            run = RunContext(ledger, book, _night_deps(deps, options, watch))
            summary = run_night(run, wait=options.wait)
            search = search_leads_in_doubt(settings, opened, cancel_token, summary.other_faults, every=True)
            summary.undecided_leads, summary.created_leads_unusable = search.undecided, search.damage
            erase_old(run, settings, summary)
            night = night or summary.started_at.astimezone(settings.zone).date()
            done = _end_run(run, settings, summary, night)
            # Before the page: it takes a while, and whatever becomes of it, the night is done.
            ping(done.summary.exit_code)
            now, faults = done.ended_at, summary.other_faults
            send_weekly_summary(ledger, book, settings, night=night, now=now, faults=faults)
            _record_faults(ledger, summary, now)  # the page names them
            done = replace(done, brief=write_report(ledger, book, settings, now=now, faults=faults))
            _record_faults(ledger, summary, now)
        return done


def _night_deps(deps: Deps, options: RunOptions, watch: ProgressDisplay) -> Deps:
    return replace(
        deps,
        accept_volume=options.accept_volume,
        twins=options.twins,
        accept_file=options.accept_file,
        accept_fewer=options.accept_fewer,
        watch=watch,
    )


_BETWEEN_NIGHTS = {RunReadingScope.NOTHING: RESOLVING, RunReadingScope.WEBHOOKS: INBOX}


def work_between_nights(
    settings: Settings, reading: RunReadingScope, clock: Clock, *, watch: ProgressDisplay, stop: StopSignal
) -> Night:
    """Ask for outcomes and send what is due, after reading what webhooks report or nothing; no night is recorded."""
    with (
        open_connectors(settings, clock, cancel_token=stop.raise_if_stop_requested) as (book, deps),
        hold_account_for_run(settings, account_state(settings), _BETWEEN_NIGHTS[reading], clock) as ledger,
    ):
        run = RunContext(ledger, book, replace(deps, watch=watch))
        return _end_run(run, settings, run_night(run, reading=reading), None)


def process_webhook_inbox(settings: Settings, *, watch: ProgressDisplay, stop: StopSignal) -> Night:
    """Read the leads that webhooks report, and send what follows from them.

    Raises:
        UsageError: the settings name no webhooks.
        LedgerError: the state is missing.
    """
    if settings.webhooks is None:
        raise UsageError(_("--inbox reads what webhooks report: add `webhooks`, and start `oplead webhooks serve`"))
    expect_state_exists(settings)
    with open_clock(settings, stop) as clock:
        return work_between_nights(settings, RunReadingScope.WEBHOOKS, clock, watch=watch, stop=stop)


def rehearse_or_validate_night(
    settings: Settings, options: RunOptions, *, watch: ProgressDisplay, stop: StopSignal
) -> Night:
    """Rehearse or validate a night on a throwaway copy of the state."""
    validating = options.mode is Mode.VALIDATION
    state = account_state(settings)
    if not state.exists():
        expect_no_other_state(settings, options.others)
        _log.warning(_("there is no state yet: what follows is what a first run would do"), state=str(state))
    with (
        state.open_temporary_copy() as copy,
        open_clock(settings, stop) as clock,
        open_connectors(settings, clock, validate_only=validating, cancel_token=stop.raise_if_stop_requested) as (
            book,
            deps,
        ),
        hold_account_for_run(settings, copy, options.mode, clock) as ledger,
    ):
        night_deps = _night_deps(deps, options, watch)
        summary = (run_validation_night if validating else rehearse)(RunContext(ledger, book, night_deps))
        now = clock.now()
        with ledger.read_transaction() as session:
            standing = queries.count_by_state_and_reason(session, ledger.account, now=now)
            moved = queries.count_by_state_and_reason(session, ledger.account, now=now, run=ledger.run)
    shown = [tally for tally in standing if tally.state in _STILL_OPEN]
    shown += [tally for tally in moved if tally.state in _CLOSED_TONIGHT]
    return Night(summary, now, queries.sort_state_counts(shown), options.mode)


def _end_run(run: RunContext, settings: Settings, summary: RunSummary, night: date | None) -> Night:
    """Record a run's end, tell people of it, and return its result."""
    ledger = run.ledger
    standing = find_incidents(ledger, run.book, run.deps, settings, summary)
    now = run.now()
    finish_run(ledger, summary.exit_code, night=night, now=now)
    with ledger.read_transaction() as session:
        moved = queries.count_by_state_and_reason(session, ledger.account, now=now, run=ledger.run)
    return notify(ledger, run.book, run.deps, settings, Night(summary, now, moved, notices=standing))


def _record_faults(ledger: Ledger, summary: RunSummary, now: datetime) -> None:
    """Have the record say so if anything after the run's end failed."""
    if summary.other_faults:
        finish_run(ledger, summary.exit_code, now=now)


def erase_old(run: RunContext, settings: Settings, summary: RunSummary) -> None:
    """Erase what has grown old, and events of leads forgotten or never found, as a night's last step; add that to it.

    Never raises, so that the night's outcome is recorded and told.
    """
    steps: tuple[Callable[[], None], ...] = (
        lambda: _erase_by_age(run, settings, summary),
        lambda: erase_events_without_lead(run.ledger, account_inbox(settings), now=run.now()),
        lambda: visit_former_files(run.ledger),
    )
    for erase in steps:
        with ContainedFault(summary.other_faults, _("what has grown old could not be erased")):
            erase()
            continue
        summary.erased.problem = Message(MessageKind.NOT_ERASED)


def _erase_by_age(run: RunContext, settings: Settings, summary: RunSummary) -> None:
    count = monthly_lead_counter(settings, run.book, run.now())
    summary.erased = erase_by_age(run, settings.retention, summary, count)
