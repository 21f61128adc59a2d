"""Run one account from the command line: open its state, run the night, notify people, record the exit code."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial

import structlog
from sqlmodel import Session

from connectors.errors import ConnectorError
from connectors.language import Language, _, using_language
from connectors.ports import Clock
from jobs.alerts.notify import send_undelivered_notices, update_incidents
from jobs.alerts.weekly import WeeklySummaryMessage, day_due, send_summary
from jobs.cancellation import StopSignal, never_cancelled
from jobs.cli.output import failure_from_error
from jobs.cli.renamed import why_same_account
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.report import queries
from jobs.ledger.retention.erasure import all_forgotten_leads, forgotten_among
from jobs.ledger.runs import (
    INBOX,
    NIGHTLY,
    RESOLVING,
    Ledger,
    NightDoneError,
    finish_run,
    open_locked_ledger,
)
from jobs.ledger.storage.database import remove_stale_copies
from jobs.ledger.storage.state import State
from jobs.ledger.storage.state_file import LedgerError, NoStateError
from jobs.metrics import run_metrics, write_metrics
from jobs.nightly import rehearse, run_night, run_validation_night
from jobs.privacy.compaction import compact
from jobs.privacy.former_files import (
    FormerFileError,
    count_in_former_file,
    erase_in_former_file,
    former_files,
    is_there,
)
from jobs.privacy.retention import erase_by_age
from jobs.privacy.webhook_events import erase_webhook_events
from jobs.reporting.page.brief import Brief
from jobs.reporting.page.leads.archive import monthly_lead_counter
from jobs.reporting.run_report import Mode, Night
from jobs.reporting.sentences import message_in_words, recorded_notice, stop_sentence
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Message, MessageKind
from jobs.run_context import Deps, ProgressDisplay, RunContext, RunReadingScope, no_progress_display
from jobs.run_summary import RunSummary
from jobs.settings import Settings
from jobs.settings.compile import Rulebook
from jobs.wiring.account import account_inbox, open_clock
from jobs.wiring.night import configured_dead_mans_switch, notice_recipients, open_connectors
from jobs.wiring.state import account_state

_STILL_OPEN = (DeliveryState.PENDING, DeliveryState.IN_DOUBT, DeliveryState.WITHHELD)
_CLOSED_TONIGHT = (DeliveryState.EXPIRED, DeliveryState.CANCELLED)
_log = structlog.stdlib.get_logger()


# ── the state ────────────────────────────────────────────────────────────────────────────────────


def expect_state_exists(
    settings: Settings, *, first_run: bool = False, others: frozenset[str] | None = frozenset()
) -> None:
    """Check that the account's state exists, or with `first_run` that it may be created.

    Args:
        settings: the account.
        first_run: whether a human states that the account has never run.
        others: names of other accounts, whose states are not mistaken for this one's; None if none is to be.

    Raises:
        LedgerError: the state is missing, has another name, or exists despite `first_run`; the message says what to do.
    """
    state = account_state(settings)
    if state.exists():
        if first_run:
            raise LedgerError(_("{path}: this account has its state already; leave --first-run out", path=state))
        return
    _expect_no_other(settings, others)
    if not first_run:
        raise NoStateError(state)


def _expect_no_other(settings: Settings, others: frozenset[str] | None) -> None:
    """Check that no other state in the missing one's folder or database is probably this account's.

    Raises:
        LedgerError: one probably is; the message says what to do.
    """
    state = account_state(settings)
    if why := why_same_account(state.neighbouring_ledgers(), settings, state, others):
        raise LedgerError(why)


@contextmanager
def hold_account_for_run(
    settings: Settings,
    state: State,
    command: str,
    clock: Clock,
    unless: Callable[[Session], None] | None = None,
    *,
    first_run: bool = False,
) -> Iterator[Ledger]:
    """Hold the account for one run; if the block raises, record the run's exit code."""
    now = clock.now()
    with open_locked_ledger(state, settings.account, command, now=now, first_run=first_run, unless=unless) as ledger:
        try:
            yield ledger
        except BaseException as error:
            # If even that fails, still raise the original error.
            with suppress(LedgerError, ConnectorError):
                finish_run(ledger, failure_from_error(error).exit_code, now=clock.now())
            raise


# ── a night ──────────────────────────────────────────────────────────────────────────────────────


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
        with (
            open_connectors(
                settings, opened, cancel_token=stop.raise_if_stop_requested if stop else never_cancelled
            ) as (
                book,
                deps,
            ),
            hold_account_for_run(
                settings, account_state(settings), NIGHTLY, opened, unless, first_run=options.first_run
            ) as ledger,
        ):
            night_deps = _night_deps(deps, options, watch)
            run = RunContext(ledger, book, night_deps)
            summary = run_night(run, wait=options.wait)
            erase_old(run, settings, summary)
            night = night or summary.started_at.astimezone(settings.zone).date()
            done = notify(ledger, book, deps, settings, _record_run_end(ledger, summary, opened, night))
            # Before the page: it takes a while, and whatever becomes of it, the night is done.
            ping(done.summary.exit_code)
            done = replace(done, brief=write_report(ledger, book, settings, now=done.ended_at))
            send_weekly_summary(ledger, book, settings, night=night, now=done.ended_at)
        return done


def _night_deps(deps: Deps, options: RunOptions, watch: ProgressDisplay) -> Deps:
    return replace(deps, accept_volume=options.accept_volume, accept_file=options.accept_file, watch=watch)


_BETWEEN_NIGHTS = {RunReadingScope.NOTHING: RESOLVING, RunReadingScope.WEBHOOKS: INBOX}


def work_between_nights(
    settings: Settings, reading: RunReadingScope, clock: Clock, *, watch: ProgressDisplay, stop: StopSignal
) -> Night:
    """Ask for outcomes and send what is due, after reading what webhooks report or nothing; no night is recorded."""
    with (
        open_connectors(settings, clock, cancel_token=stop.raise_if_stop_requested) as (book, deps),
        hold_account_for_run(settings, account_state(settings), _BETWEEN_NIGHTS[reading], clock) as ledger,
    ):
        summary = run_night(RunContext(ledger, book, replace(deps, watch=watch)), reading=reading)
        return notify(ledger, book, deps, settings, _record_run_end(ledger, summary, clock, None))


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
        _expect_no_other(settings, options.others)
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


def _record_run_end(ledger: Ledger, summary: RunSummary, clock: Clock, night: date | None) -> Night:
    """Record a run's end and return its result."""
    now = clock.now()
    finish_run(ledger, summary.exit_code, night=night, now=now)
    with ledger.read_transaction() as session:
        moved = queries.count_by_state_and_reason(session, ledger.account, now=now, run=ledger.run)
    return Night(summary, now, moved)


def erase_old(run: RunContext, settings: Settings, summary: RunSummary) -> None:
    """Erase what has grown old, and events of forgotten leads, as a night's last step; add that to its summary.

    Never raises, so that the night's outcome is recorded and told.
    """
    for erase in (_erase_by_age, _erase_events_of_forgotten, _visit_former_files):
        try:
            erase(run, settings, summary)
        except Exception:  # noqa: BLE001
            summary.erased.problem = Message(MessageKind.NOT_ERASED)
            _log.warning(_("what has grown old could not be erased"), exc_info=True)


def _erase_by_age(run: RunContext, settings: Settings, summary: RunSummary) -> None:
    count = monthly_lead_counter(settings, run.book, run.now())
    summary.erased = erase_by_age(run, settings.retention, summary, count)


def _erase_events_of_forgotten(run: RunContext, settings: Settings, _summary: RunSummary) -> None:
    """Erase what webhooks have reported of leads since they were forgotten."""
    with run.ledger.read_transaction() as session:
        forgotten = all_forgotten_leads(session, run.ledger.account)
    inbox = account_inbox(settings)
    if erase_webhook_events(inbox, forgotten):
        for file in inbox.storage_files:
            # Out of its journal too, unless somebody is reading it.
            compact(file)


def _visit_former_files(run: RunContext, _settings: Settings, _summary: RunSummary) -> None:
    """Erase late events of forgotten leads in the files that the state was moved from, and say which are still there.

    Nothing else is erased in them for its age.
    """
    with run.ledger.read_transaction() as session:
        files = former_files(session, run.ledger.account)
        forgotten = forgotten_among(
            session, run.ledger.account, all_forgotten_leads(session, run.ledger.account) if files else ()
        )
    for file in files:
        try:
            events = None if file.is_state else count_in_former_file(file, forgotten)
            if events and events.events:
                erase_in_former_file(file, forgotten)
            if events and events.is_needed:
                _log.warning(_("webhooks' events are still in this file: repeat `state move`"), path=file.path)
            elif events or (file.is_state and is_there(file)):
                _log.warning(
                    _("the state was moved from this file, which still holds personal data: delete it"), path=file.path
                )
        except FormerFileError as error:
            _log.warning(_("a file that the state was moved from may still hold personal data"), why=str(error))


# ── after a night ────────────────────────────────────────────────────────────────────────────────


def notify(ledger: Ledger, book: Rulebook, deps: Deps, settings: Settings, night: Night) -> Night:
    """Notify people and write metrics about a recorded night; return the night with its incidents.

    Never raises, so that a failed notification does not change the night's outcome.
    """
    try:
        now, when = deps.clock.now(), settings.notify_when
        standing = update_incidents(ledger, book, deps.sinks, night.summary, when, now=now)
        night = replace(night, notices=standing)
        notice_of, recipients = partial(recorded_notice, zone=book.zone), notice_recipients(settings)
        for address, title in send_undelivered_notices(ledger, recipients, notice_of=notice_of, now=now):
            _log.warning(_("a notice was not taken, and is tried again by the next run"), address=address, notice=title)
    except Exception:  # noqa: BLE001
        _log.warning(_("nobody could be notified of the incidents"), exc_info=True)
    if settings.metrics is not None:
        try:
            code = night.summary.exit_code
            write_metrics(run_metrics(ledger, night.tallies, exit_code=code, now=night.ended_at), settings.metrics)
        except OSError as error:
            _log.warning(_("the metrics could not be written"), file=str(settings.metrics), why=error.strerror)
        except Exception:  # noqa: BLE001
            _log.warning(_("the metrics could not be written"), exc_info=True)
    return night


def write_report(ledger: Ledger, book: Rulebook, settings: Settings, *, now: datetime) -> Brief | None:
    """Write the page about a night that is over, if the settings name its folder, and return what it says first.

    Never raises, so that a failed page does not change the night's outcome.
    """
    if settings.report.folder is None:
        return None
    try:
        from jobs.cli.reporting.report import write_page_of_usual_period  # noqa: PLC0415 - only for those who want it

        with ledger.read_transaction() as session:
            return write_page_of_usual_period(session, settings, book, settings.report.folder, now=now)
    except OSError as error:
        _log.warning(_("the report could not be written"), folder=str(settings.report.folder), why=error.strerror)
    except Exception:  # noqa: BLE001
        _log.warning(_("the report could not be written"), exc_info=True)
    return None


def send_weekly_summary(ledger: Ledger, book: Rulebook, settings: Settings, *, night: date, now: datetime) -> None:
    """Send the summary of the week to each address that has not taken it, if one is due after this night.

    Never raises, so that a failed summary does not change the night's outcome.
    """
    if settings.notify_weekly is None:
        return
    try:
        from jobs.cli.reporting.weekly import making_weekly_summary  # noqa: PLC0415 - only for those who want it

        due = day_due(settings.notify_weekly, night)
        with ExitStack() as until_sent:

            def summary() -> WeeklySummaryMessage:
                with ledger.read_transaction() as session:
                    return until_sent.enter_context(making_weekly_summary(session, settings, book, due, now=now))

            for address in send_summary(ledger, notice_recipients(settings), due, summary):
                _log.warning(
                    _("the summary of the week was not taken, and is tried again after the next night"), address=address
                )
    except Exception:  # noqa: BLE001
        _log.warning(_("the summary of the week could not be sent"), exc_info=True)


@contextmanager
def ping_with_outcome(settings: Settings) -> Iterator[Callable[[int], None]]:
    """Yield a function that pings the dead man's switch with the block's exit code, as soon as it is known.

    If the block raises before, it is pinged as failed.
    """
    is_known = False

    def ping(code: int) -> None:
        nonlocal is_known
        is_known = True
        # Another run pings for the account that it holds.
        switch = configured_dead_mans_switch(settings)
        if switch and code != Exit.HELD and not switch.ping(failed=code not in (Exit.DONE, Exit.ATTENTION)):
            _log.warning(_("the address under `ping` did not answer, so its monitor may raise the alarm"))

    try:
        yield ping
    except NightDoneError:  # the run that did that night has pinged for it
        raise
    except Exception as error:
        if not is_known:
            ping(failure_from_error(error).exit_code)
        raise


def why_human_is_needed(summary: RunSummary) -> str | None:
    """Return the first sentence on why a human is needed, if one is; it names no lead, which may be forgotten later."""
    if summary.source_stopped:
        return stop_sentence(summary.source_stopped)
    stops = [f"{where}: {stop_sentence(why)}" for where, why in summary.stopped_scopes.items()]
    without_leads = (
        replace(each, values={name: value for name, value in each.values.items() if name != "leads"})
        for each in summary.attention
    )
    return next(iter([*stops, *map(message_in_words, without_leads)]), None)


_ENDED = {
    RunReadingScope.EVERYTHING: "night ended",
    RunReadingScope.WEBHOOKS: "webhooks taken up",
    RunReadingScope.NOTHING: "outcomes asked for",
}


def log_night(night: Night) -> None:
    """Log a summary line for a night, and a line for each stop and each reason a human is needed."""
    with using_language(Language.ENGLISH):
        _log_night(night.summary)


def _log_night(summary: RunSummary) -> None:
    if summary.source_stopped:
        _log.error("reading stopped", why=stop_sentence(summary.source_stopped))
    for where, why in summary.stopped_scopes.items():
        _log.error("destination stopped", destination=str(where), why=stop_sentence(why))
    for message in summary.attention:
        _log.warning("a human is needed", why=message_in_words(message))
    _log.info(
        _ENDED[summary.reading],
        run=summary.run,
        seen=summary.pulled.seen,
        changed=summary.pulled.changed,
        uploads=summary.delivered.requests + summary.corrected.requests,
        exit_code=summary.exit_code,
    )
