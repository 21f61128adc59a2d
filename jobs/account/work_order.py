"""Work on one account of a fleet, in a process of its own: what is due by its own clock, and when anything is next."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from connectors.language import Language, _, using_language
from connectors.ports import Clock
from jobs.account.failures import log_failure, signal_exit_code
from jobs.account.files import AccountFile, load_stored_account
from jobs.account.runner import AccountNightRunner, SharedByAccounts, failure_of_account, timetable_of
from jobs.cancellation import StoppedBySignal, StopSignal
from jobs.exit_codes import Exit
from jobs.fleet.problems import incident_problem
from jobs.fleet.work import DidTask, Problem, WorkOrder, WorkResult
from jobs.privacy.redaction import Redaction
from jobs.scheduler import TaskOutcome
from jobs.settings import InvalidSettings, Settings, ValidSettings
from jobs.timetable import DueNight, Timetable
from jobs.wiring.account import platform_of_each_destination

_MOST_CLOCK_ERROR = timedelta(hours=1)
"""By so much, this machine's clock may differ from the database's, by which accounts come due.

A night is due by the database's clock. By its own, a machine that is behind would find none due, put each off by as
much in silence, and empty the queue ahead of the others. As it is, a small error costs nothing, whichever clock is
wrong, also where there is one machine only. All else goes by the machine's clock, which a night compares with Oplead's:
that ends it from two hours on. At half of that another machine comes first, and a human is told if there is none.
"""
_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class WorkOrderExecutor:
    """How this machine works on accounts."""

    folder: Path
    """Where relative paths in settings start."""
    stop: StopSignal
    redaction: Redaction
    environ: Mapping[str, str]
    notified_by_fleet: frozenset[str] = frozenset()
    """Addresses that the fleet tells itself, once for all accounts."""

    def execute_work_order(self, order: WorkOrder) -> WorkResult:
        """Do what is due for an account; never raises, since the next order follows."""
        stored = order.settings
        # What this says is logged and stored, in English; the night itself speaks the account's language.
        with structlog.contextvars.bound_contextvars(account=stored.account), using_language(Language.ENGLISH):
            account = self._without_notified_by_fleet(
                load_stored_account(stored.account, stored.text, self.folder, self.environ)
            )
            self.redaction.register_secrets(account.secrets)
            try:
                return self._do(account, order)
            except StoppedBySignal as stopped:
                return WorkResult(DidTask.NOTHING, signal_exit_code(stopped.number))
            except Exception as error:  # noqa: BLE001 - a worker goes on, whatever an account's work comes to
                failure = failure_of_account(error)
                log_failure(failure)
                why = _without_file(failure.message, account.file)
                if isinstance(account.loaded, InvalidSettings):
                    # They were valid when they were added: this machine lacks a secret or a file, or has another
                    # version of this program, which does not know one of their keys.
                    return WorkResult(DidTask.UNABLE, failure.exit_code, why=why)
                # That of the first undone night stays as it was: this has done none.
                return WorkResult(DidTask.NOTHING, failure.exit_code, self._until_next_night(order), why=why)

    def _do(self, account: AccountFile, order: WorkOrder) -> WorkResult:
        clock_error = _clock_error(account.settings, order)
        if abs(clock_error) > _MOST_CLOCK_ERROR:
            _log.error(
                "this machine's clock or the database's is wrong", seconds_ahead=int(clock_error.total_seconds())
            )
            why = _(
                "this machine's clock and the database's are more than an hour apart: set the one that is wrong, and "
                "keep both right (NTP)"
            )
            return WorkResult(DidTask.UNABLE, Exit.CONFIGURATION, why=why)
        shared = SharedByAccounts(self.stop, self.redaction)
        served = AccountNightRunner(account, shared, first_run=order.settings.first_run)
        shared.accounts = [served]
        others = order.settings.others
        shared.told_apart = None if others is None else frozenset(others)
        shared.clock = account.settings.clock
        table = replace(served.timetable(), clock_error=clock_error)
        with served.open_clock() as clock:
            began = clock.now()
            task, outcome, open_night = _do_what_is_due(served, table, order, clock)
            now = clock.now()
            return replace(
                _result(task, outcome, table, open_night, began=began, now=now),
                problems=_problems(account.settings, outcome, now),
            )

    def _without_notified_by_fleet(self, account: AccountFile) -> AccountFile:
        """Return the account without addresses of the fleet: what hits all accounts would reach them once for each."""
        loaded = account.loaded
        if not isinstance(loaded, ValidSettings):
            return account
        own = tuple(each for each in loaded.settings.notify if each.get_secret_value() not in self.notified_by_fleet)
        settings = loaded.settings.model_copy(update={"notify": own})
        return replace(account, loaded=replace(loaded, settings=settings))

    def _until_next_night(self, order: WorkOrder) -> timedelta | None:
        """Return how long it is until the next night by this machine's clock; None if the settings don't say."""
        stored = order.settings
        loaded = load_stored_account(stored.account, stored.text, self.folder, {}, secrets=False).loaded
        if not isinstance(loaded, ValidSettings) or loaded.settings.schedule is None:
            return None
        now = datetime.now(loaded.settings.zone)
        table = timetable_of(loaded.settings.schedule, loaded.settings.zone)
        firing = replace(table, clock_error=_clock_error(loaded.settings, order)).next_night_after(now)
        return None if firing is None else firing.at - now


def _clock_error(settings: Settings, order: WorkOrder) -> timedelta:
    """Return how far the account's clock is ahead of the database's; a sandbox's is right, whatever it says."""
    return order.clock_error if settings.clock is None else timedelta()


def _problems(settings: Settings, outcome: TaskOutcome, now: datetime) -> tuple[Problem, ...] | None:
    """Return all that an account needs a human for, if its run has looked."""
    if outcome.incidents is None:
        return None
    platforms = platform_of_each_destination(settings)
    return tuple(
        incident_problem(settings.account, each.incident, now - each.since, platforms) for each in outcome.incidents
    )


def _without_file(message: str, file: Path) -> str:
    """Return a message on stored settings without their file and line, so that equal causes are equal."""
    return re.sub(rf"^{re.escape(str(file))}:(\d+:\d+:)? *", "", message, flags=re.MULTILINE)


def _do_what_is_due(
    served: AccountNightRunner, table: Timetable, order: WorkOrder, clock: Clock
) -> tuple[DidTask, TaskOutcome, DueNight | None]:
    """Do a night, else an outcomes pass, else what webhooks report; return also the night that is due, if there is one.

    The ledger knows what was done, so that nothing is done twice, whoever else works on the account.
    """
    now = clock.now()
    if order.is_run_requested:
        return DidTask.NIGHT, served.run_night(now.astimezone(table.zone).date(), clock), table.latest_due_night(now)
    due = table.latest_due_night(now)
    if due is None:
        return DidTask.NOTHING, TaskOutcome(), None
    # Before the fleet had it, an account may never have run; then no night was missed.
    outcome = served.run_night_if_due(due.night, clock, if_missed=due.at < now - order.age)
    if outcome.run is not None or outcome.undone:
        return DidTask.NIGHT, outcome, due
    if outcome.done_by is not None and outcome.done_by > order.last_run:
        # Its worker died, or was taken for dead, before the fleet knew what the night came to.
        lost = served.recall_night(outcome, since=now - order.age)
        if lost is not None:
            return DidTask.NIGHT, lost, None
    if outcome.next_outcomes is not None and outcome.next_outcomes <= now:
        return DidTask.OUTCOMES, served.fetch_outcomes(clock), None
    if table.also_every is not None:
        reported = served.process_reported_leads(clock)
        if reported.run is not None or reported.undone:
            return DidTask.INBOX, reported, None
    return DidTask.NOTHING, outcome, None


def _result(
    task: DidTask,
    outcome: TaskOutcome,
    table: Timetable,
    open_night: DueNight | None,
    *,
    began: datetime,
    now: datetime,
) -> WorkResult:
    # If the clock was set back meanwhile, it was wrong at the beginning.
    following = table.next_night_after(min(began, now))
    nexts = [
        None if following is None else following.at,
        outcome.next_outcomes,
        None if table.also_every is None else now + table.also_every,
    ]
    next_at = min((each for each in nexts if each is not None), default=None)
    night = open_night if outcome.undone and open_night is not None else following
    return WorkResult(
        task,
        outcome.exit_code,
        None if next_at is None else next_at - now,
        None if night is None else night.at - now,
        outcome.run,
        outcome.why,
    )
