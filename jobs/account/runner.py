"""Runs one account's nights when they are due: for the scheduler, and for a fleet's worker."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from zoneinfo import ZoneInfo

import structlog
from pydantic import AnyUrl
from sqlmodel import Session

from connectors.language import N_, Language, _, in_english, using_language
from connectors.ports import Clock
from jobs.account.after_a_night import log_night, why_human_is_needed
from jobs.account.failures import CommandFailure, failure_from_error, log_failure
from jobs.account.files import AccountFile, account_conflict, load_account
from jobs.account.hold import expect_state_exists
from jobs.account.lead_search import next_lead_search, search_leads_in_doubt
from jobs.account.night import RunOptions, do_night, work_between_nights
from jobs.account.state import open_state_read_only
from jobs.cancellation import StopSignal
from jobs.exit_codes import Exit, UsageError
from jobs.ledger import runs
from jobs.ledger.incidents import open_incidents
from jobs.ledger.schema import Run
from jobs.ledger.storage.state_file import LedgerError, OtherSchemaError
from jobs.privacy.redaction import Redaction
from jobs.pull.inbox import has_work
from jobs.reporting.run_report import Night
from jobs.run_context import RunReadingScope, log_step_duration
from jobs.scheduler import AFTER_A_NIGHT, TaskOutcome
from jobs.settings.schema import ScheduleSettings
from jobs.timetable import DueNight, Timetable, daily_timetable, timetable_from_cron
from jobs.wiring.account import inbox_of, open_clock
from jobs.wiring.state import account_state

_log = structlog.stdlib.get_logger()

_LOOK = N_("somebody must look at what the night left: `oplead-sync status` shows it")
"""Why a human is needed after a night whose own words are lost."""


@dataclass(slots=True)
class SharedByAccounts:
    """State shared by the accounts of one process."""

    stop: StopSignal
    redaction: Redaction
    show_night: Callable[[AccountFile, Night], None] | None = None
    """Shows people what a night came to, in the account's language."""
    show_next_night: Callable[[AccountFile, DueNight], None] | None = None
    """Shows people when the next night is due, in the account's language."""
    accounts: "list[AccountNightRunner]" = field(default_factory=list)
    clock: AnyUrl | None = None
    """The address of the sandbox clock that all accounts use; None means the machine's clock."""
    told_apart: frozenset[str] | None = frozenset()
    """Accounts elsewhere that a human has told apart from these; None for all."""

    @property
    def names(self) -> frozenset[str] | None:
        """The names of accounts that are not mistaken for one another; None for all."""
        if self.told_apart is None:
            return None
        return self.told_apart | {each.account.name for each in self.accounts}


def timetable_of(when: ScheduleSettings, zone: ZoneInfo) -> Timetable:
    """Return when the nights of a schedule are due."""
    nights = daily_timetable(when.daily, zone) if when.daily else timetable_from_cron(when.cron or "", zone)
    return replace(nights, also_every=when.also_every)


def failure_of_account(error: Exception) -> CommandFailure:
    """Return why an account's work failed: a database of another version is not its fault, and somebody deploys it."""
    failure = failure_from_error(error)
    return replace(failure, exit_code=Exit.HELD) if isinstance(error, OtherSchemaError) else failure


class AccountNightRunner:
    """One settings file and its nights, as the scheduler runs them; reports its own failures."""

    def __init__(self, account: AccountFile, shared: SharedByAccounts, *, first_run: bool) -> None:
        self.account = account
        self._shared = shared
        self._first_run = first_run

    @property
    def key(self) -> str:
        """The settings file's path, since the account's name may change."""
        return str(self.account.file)

    def timetable(self) -> Timetable:
        """Return when the nights are due.

        Raises:
            UsageError, LedgerError: this account's nights cannot run.
        """
        settings, shared, problems = self.account.settings, self._shared, []
        if clash := account_conflict(self.account, [each.account for each in shared.accounts]):
            raise UsageError(clash)
        when = settings.schedule
        if when is None:
            problems.append(_('schedule: write when the night is due, as schedule: { daily: "05:30" }'))
        if shared.clock not in (None, settings.clock):
            problems.append(_("clock: the accounts of one schedule use one clock; write the others' here, or none"))
        if when is None or problems:
            raise UsageError("\n".join(f"{self.key}: {each}" for each in problems))
        expect_state_exists(settings, first_run=self._may_create_state(), others=shared.names)
        return timetable_of(when, settings.zone)

    def _may_create_state(self) -> bool:
        """Whether to create the account's state; one that existed once and is now missing is lost, not new."""
        self._first_run = self._first_run and not account_state(self.account.settings).exists()
        return self._first_run

    def reload_timetable(self) -> Timetable | None:
        """Reload the settings, which may have changed; if they must not run, report why and return None."""
        self.account = load_account(self.account.file)
        self._shared.redaction.register_secrets(self.account.secrets)
        with self._bind_context():
            try:
                return self.timetable()
            except (UsageError, LedgerError) as error:
                log_failure(failure_from_error(error))
        return None

    def announce_next_night(self, firing: DueNight | None) -> None:
        """Log and print when the next night is due."""
        if firing is None:
            return
        with self._bind_context():
            _log.info("next night", night=firing.night.isoformat(), at=firing.at.isoformat())
            if self._shared.show_next_night is not None:
                self._shared.show_next_night(self.account, firing)

    def open_clock(self) -> AbstractContextManager[Clock]:
        """Open a clock for this account."""
        return open_clock(self.account.settings, self._shared.stop)

    def run_night_if_due(self, night: date, clock: Clock, *, if_missed: bool) -> TaskOutcome:
        """Run a date's night unless it is done."""
        settings = self.account.settings

        def expect_night_undone(session: Session) -> None:
            today = clock.now().astimezone(settings.zone).date()
            runs.raise_if_night_done(
                session, settings.account, night, today=today, if_missed=if_missed, passes=AFTER_A_NIGHT
            )

        def do() -> Night:
            if if_missed:
                _log.info("looking for a missed night", night=night.isoformat())
            options = RunOptions(first_run=self._may_create_state(), others=self._shared.names)
            try:
                return do_night(
                    settings,
                    options,
                    watch=log_step_duration,
                    stop=self._shared.stop,
                    clock=clock,
                    night=night,
                    unless=expect_night_undone,
                )
            except runs.NightDoneError as error:
                if error.run is not None and not if_missed:
                    _log.info("this night is done already", night=night.isoformat(), run=error.run)
                raise

        return self._run_task(do)

    def run_night(self, night: date, clock: Clock) -> TaskOutcome:
        """Run a date's night, even if it is done."""
        options = RunOptions(first_run=self._may_create_state(), others=self._shared.names)
        settings, stop = self.account.settings, self._shared.stop
        return self._run_task(
            lambda: do_night(settings, options, watch=log_step_duration, stop=stop, clock=clock, night=night)
        )

    def recall_night(self, outcome: TaskOutcome, *, since: datetime) -> TaskOutcome | None:
        """Return what the run that had done the night came to, by its ledger; None if it began before `since`."""
        settings = self.account.settings
        with open_state_read_only(settings) as session:
            run = session.get_one(Run, outcome.done_by)
            if run.started_at < since:
                return None
            code = Exit.BUG if run.exit_code is None else run.exit_code
            why = None if code == Exit.DONE else _LOOK
            return replace(
                outcome, exit_code=code, run=run.id, why=why, incidents=open_incidents(session, settings.account)
            )

    def fetch_outcomes(self, clock: Clock) -> TaskOutcome:
        """Ask for outcomes, and send what is due by now."""
        return self._run_task(partial(self._between_nights, RunReadingScope.NOTHING, clock))

    def process_reported_leads(self, clock: Clock) -> TaskOutcome:
        """Read the leads that webhooks report, and send what follows from them; the first night comes first."""
        settings = self.account.settings
        if not account_state(settings).exists():
            return TaskOutcome()

        def do() -> Night | None:
            with open_state_read_only(settings) as session, closing(inbox_of(settings)) as inbox:
                if not has_work(session, settings.account, inbox, now=clock.now()):
                    return None
            return self._between_nights(RunReadingScope.WEBHOOKS, clock)

        return self._run_task(do)

    def next_lead_search(self) -> datetime | None:
        """Return when a lead whose creation was never answered is looked for next."""
        return next_lead_search(self.account.settings)

    def search_leads(self, clock: Clock) -> TaskOutcome:
        """Look for leads whose creation was never answered."""
        with self._bind_context():
            stop = self._shared.stop.raise_if_stop_requested
            return TaskOutcome(undone=not search_leads_in_doubt(self.account.settings, clock, stop, []).is_done)

    def _between_nights(self, reading: RunReadingScope, clock: Clock) -> Night:
        stop = self._shared.stop
        return work_between_nights(self.account.settings, reading, clock, watch=log_step_duration, stop=stop)

    def _run_task(self, do: Callable[[], Night | None]) -> TaskOutcome:
        """Run a task, show its result, and look up what is due next; it returns None if there was nothing to do."""
        settings = self.account.settings
        with self._bind_context():
            try:
                night = do()
                if night is None:
                    return TaskOutcome()
                log_night(night)
                if self._shared.show_night is not None:
                    self._shared.show_night(self.account, night)
                summary = night.summary
                with open_state_read_only(settings) as session:
                    next_pass = runs.next_outcome_check(session, settings.account, AFTER_A_NIGHT)
                with using_language(Language.ENGLISH):
                    why = why_human_is_needed(summary)
                return TaskOutcome(
                    next_pass, exit_code=summary.exit_code, run=summary.run, why=why, incidents=night.notices
                )
            except runs.NightDoneError as error:
                return TaskOutcome(error.next_pass, done_by=error.run)
            except Exception as error:  # noqa: BLE001 - the others' nights must not depend on this one's
                failure = failure_of_account(error)
                log_failure(failure)
                return TaskOutcome(undone=True, exit_code=failure.exit_code, why=in_english(failure.message))

    @contextmanager
    def _bind_context(self) -> Iterator[None]:
        bound = structlog.contextvars.bound_contextvars(config=self.key, account=self.account.name)
        with bound, using_language(self.account.language):
            yield
