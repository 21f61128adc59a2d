"""Runs each account's night when it is due, and asks for its outcomes afterwards."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger

from connectors.ports import Clock
from connectors.signals.liveness import LivenessReporter
from jobs.cancellation import StoppedBySignal, StopSignal
from jobs.exit_codes import Exit
from jobs.rules.incident import OpenIncident
from jobs.timetable import DueNight, Timetable

AFTER_A_NIGHT = (timedelta(hours=1), timedelta(hours=6))
"""When to ask for outcomes, measured from the end of a night."""
RETRY_AFTER = timedelta(minutes=5)
"""Delay before a failed task is retried; each further delay is twice as long."""
MAX_RETRY_WAIT = timedelta(hours=1)
REREAD_AFTER = timedelta(hours=1)
"""Delay before settings that must not run are read again."""
_MAX_SLEEP = timedelta(minutes=5)
"""The loop wakes at least this often, so it picks up the jobs a night adds; none of them is due sooner."""
_MAX_SILENCE = timedelta(minutes=30)
"""Work that hasn't checked for a stop in this long hangs: it checks before each request and while it waits."""
_RETRY_WHEN_BUSY = timedelta(seconds=10)
_MAX_SET_BACK = timedelta(minutes=1)
"""A clock set back by more than this was wrong before; a smaller step is an ordinary adjustment."""

_log = structlog.stdlib.get_logger()


class TaskKind(StrEnum):
    """The kinds of task that can be due for an account."""

    NIGHT = "night"
    MISSED = "missed night"
    """A night that came due while the service wasn't running; checked at startup and when the clock was set back."""
    AGAIN = "night again"
    """A retry: another run held the account, or the night failed."""
    OUTCOMES = "outcomes"
    INBOX = "inbox"
    """Take up what webhooks have reported since the last night or the last such task."""
    LEADS = "leads"
    """Look for leads whose creation was never answered."""
    SETTINGS = "settings"
    """Read settings that must not run again; if they may run by now, the account is scheduled."""


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """A task's outcome, as far as it affects scheduling."""

    next_outcomes: datetime | None = None
    """When to ask for outcomes next."""
    undone: bool = False
    """Whether the task failed and must be retried."""
    exit_code: int = Exit.DONE
    """What the task's run ended with."""
    run: int | None = None
    """The run's number in the ledger; None if there was nothing to do, or it failed."""
    why: str | None = None
    """Why a human is needed, if one is, or why the task failed; in English."""
    incidents: tuple[OpenIncident, ...] | None = None
    """All that are open; None if nobody looked."""
    done_by: int | None = None
    """The run that had done the night before; None if it was still to be done, or none is on record."""


class ScheduledAccount(Protocol):
    """One account as the scheduler sees it. It reports its own failures; the only exception it raises is a stop."""

    @property
    def key(self) -> str:
        """Return the account's unique name."""

    def reload_timetable(self) -> Timetable | None:
        """Read the settings again; return None if they must not run. Called on the loop's own thread."""

    def announce_next_night(self, firing: DueNight | None) -> None:
        """Receive the next night, once it is first known or has changed."""

    def open_clock(self) -> AbstractContextManager[Clock]:
        """Open a clock for this account alone."""

    def run_night_if_due(self, night: date, clock: Clock, *, if_missed: bool) -> TaskOutcome:
        """Run a date's night unless it is done; with `if_missed`, only if the account has run before."""

    def fetch_outcomes(self, clock: Clock) -> TaskOutcome:
        """Ask for outcomes and send what has come due."""

    def process_reported_leads(self, clock: Clock) -> TaskOutcome:
        """Read the leads that webhooks report, and send what follows; do nothing if nothing is new or due."""

    def next_lead_search(self) -> datetime | None:
        """Return when a lead whose creation was never answered is looked for next; None if there is none."""

    def search_leads(self, clock: Clock) -> TaskOutcome:
        """Look for leads whose creation was never answered."""


class _Work(NamedTuple):
    """A job in progress for an account."""

    job: str
    clock_open: ExitStack
    clock: Clock


def _job_id(account: ScheduledAccount, task: TaskKind) -> str:
    return f"{account.key} {task}"


def _retried_as(task: TaskKind) -> TaskKind:
    # A missed-night check stays one when retried: before an account's first run, no night was missed.
    return TaskKind.AGAIN if task is TaskKind.NIGHT else task


class NightScheduler:
    """Schedules several accounts' nights by one clock.

    APScheduler keeps the jobs and the thread pool. Its own wait loop only knows the machine's time, and nights must be
    rehearsable by a sandbox clock; so it stays paused, and this loop submits what is due.
    """

    def __init__(
        self,
        accounts: Sequence[ScheduledAccount],
        clock: Clock,
        stop: StopSignal,
        *,
        at_once: int,
        liveness: LivenessReporter,
    ) -> None:
        """Schedule nothing until `run`.

        Args:
            accounts: the accounts to run, at most `at_once` of them at a time.
            clock: the loop's own clock, showing the same time as the accounts' clocks.
            stop: ends the loop.
            at_once: the size of the thread pool.
            liveness: receives heartbeats while the loop and its work make progress.
        """
        self._accounts = accounts
        self._clock = clock
        self._stop = stop
        self._at_once = at_once
        self._liveness = liveness
        self._pool: Any = ThreadPoolExecutor(at_once)
        self._jobs: Any = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": self._pool},
            # A night runs however late it is; of several missed nights, only the latest.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )
        self._jobs.add_listener(self._release_finished_job, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
        self._tables: dict[str, Timetable] = {}
        self._at_work: dict[str, _Work] = {}
        self._waiting: set[tuple[str, datetime]] = set()
        self._waits: dict[tuple[str, TaskKind], timedelta] = {}

    def run(self) -> None:
        """Run tasks as they come due until a stop is requested; return once no work is in progress.

        Raises:
            Misconfigured: the clock does not answer.
        """
        self._jobs.start(paused=True)
        try:
            looked = self._clock.now()
            for account in self._accounts:
                self._schedule_account(account, looked)
            self._liveness.report_ready()
            while True:
                self._stop.raise_if_stop_requested()
                # No heartbeat while work hangs.
                if self._stop.time_since_stop_check() < _MAX_SILENCE:
                    self._liveness.beat()
                now = self._clock.now()
                if now < looked - _MAX_SET_BACK:
                    self._reschedule_all_accounts(looked, now)
                looked = now
                self._plan_lead_searches(now)
                self._clock.sleep_until(self._do_what_is_due(now))
        except StoppedBySignal:
            pass
        finally:
            self._liveness.report_stopping()
            # First what is at work: APScheduler would wait for it with a lock held that the end of work needs.
            self._pool.shutdown(wait=True)
            self._jobs.shutdown(wait=True)

    def _schedule_account(self, account: ScheduledAccount, now: datetime) -> None:
        """Schedule an account's nights, and check for a missed one."""
        table = account.reload_timetable()
        if table is None:
            self._add(account, TaskKind.SETTINGS, now + REREAD_AFTER)
            return
        self._plan_nights(account, table, now)
        self._add(account, TaskKind.MISSED, now)

    def _reschedule_all_accounts(self, before: datetime, now: datetime) -> None:
        """Reschedule the nights that a clock running ahead scheduled, perhaps months from now."""
        _log.warning("the clock was set back: nights are planned again", before=before.isoformat(), now=now.isoformat())
        for account in self._accounts:
            # As a settings task, this waits for the account's work in progress. Other leftovers of the wrong time, a
            # retry or an outcomes pass, do no harm: the ledger knows what was done.
            self._add(account, TaskKind.SETTINGS, now)

    def _plan_nights(self, account: ScheduledAccount, table: Timetable, now: datetime) -> None:
        self._tables[account.key] = table
        firing = table.next_night_after(now)
        account.announce_next_night(firing)
        if firing is not None:
            self._add(account, TaskKind.NIGHT, firing.at)
        if table.also_every is not None:
            self._add(account, TaskKind.INBOX, now + table.also_every)

    def _plan_lead_searches(self, now: datetime) -> None:
        """Plan to look for leads that commands created and nobody has answered for; one that failed is due still."""
        for account in self._accounts:
            is_usable = account.key in self._tables and account.key not in self._at_work
            # One that failed has its time already.
            waits = self._jobs.get_job(_job_id(account, TaskKind.LEADS)) is not None
            due = account.next_lead_search() if is_usable and not waits else None
            if due is not None and due <= now:
                self._add(account, TaskKind.LEADS, now)

    def _add(self, account: ScheduledAccount, task: TaskKind, at: datetime) -> None:
        self._jobs.add_job(
            self._work,
            DateTrigger(at, timezone=UTC),
            args=(account, task),
            id=_job_id(account, task),
            replace_existing=True,
        )

    def _do_what_is_due(self, now: datetime) -> datetime:
        """Start due jobs while there is room; return when to look again."""
        until = now + min(_MAX_SLEEP, self._liveness.heartbeat_interval or _MAX_SLEEP)
        for job in self._jobs.get_jobs():
            account: ScheduledAccount
            account, task = job.args
            if job.next_run_time > now:
                until = min(until, job.next_run_time)
            elif account.key in self._at_work or len(self._at_work) >= self._at_once:
                until = min(until, now + _RETRY_WHEN_BUSY)
                self._log_waiting(account, task, job.next_run_time)
            else:
                self._begin(job, now)
        return until

    def _log_waiting(self, account: ScheduledAccount, task: TaskKind, due: datetime) -> None:
        """Log once that a due task cannot start yet."""
        if (account.key, due) not in self._waiting:
            self._waiting.add((account.key, due))
            _log.warning("due, and waits for work under way", config=account.key, task=str(task), due=due.isoformat())

    def _begin(self, job: Any, now: datetime) -> None:
        account: ScheduledAccount
        account, task = job.args
        was_due = job.next_run_time
        following = self._next_due_time(account, task, now)
        if following is None:
            job.remove()
        else:
            job.modify(next_run_time=following)
        if task is TaskKind.SETTINGS:
            self._schedule_account(account, now)
            return
        table = account.reload_timetable()
        if table is None:
            # If the settings are fixed before the next night, this one still runs.
            self._retry(account, task, now)
            return
        if table != self._tables[account.key]:
            self._plan_nights(account, table, now)
        elif task is TaskKind.NIGHT:
            self._log_missed(account, table, was_due, now)
        stack = ExitStack()
        clock = stack.enter_context(account.open_clock())
        clock.now()  # from here on, a sandbox's time stands still until the account sleeps too
        self._waiting.discard((account.key, was_due))
        self._at_work[account.key] = _Work(job.id, stack, clock)
        self._pool.submit_job(job, [was_due])

    def _next_due_time(self, account: ScheduledAccount, task: TaskKind, now: datetime) -> datetime | None:
        """Return when a task that begins now is due again; None if it is not by itself."""
        table = self._tables.get(account.key)
        if table is None:
            return None
        if task is TaskKind.INBOX:
            return None if table.also_every is None else now + table.also_every
        firing = table.next_night_after(now) if task is TaskKind.NIGHT else None
        return None if firing is None else firing.at

    @staticmethod
    def _log_missed(account: ScheduledAccount, table: Timetable, was_due: datetime, now: datetime) -> None:
        """Log the nights missed while the machine slept: the latest one does their work."""
        firing, latest = table.latest_due_night(was_due), table.latest_due_night(now)
        while firing is not None and latest is not None and firing.night < latest.night:
            _log.warning("night missed", config=account.key, night=firing.night.isoformat(), instead=str(latest.night))
            firing = table.next_night_after(firing.at)

    def _work(self, account: ScheduledAccount, task: TaskKind) -> None:
        """Run one task on a pool thread."""
        clock = self._at_work[account.key].clock
        try:
            with self._stop.register_working_thread():
                if task is TaskKind.OUTCOMES:
                    outcome = account.fetch_outcomes(clock)
                elif task is TaskKind.LEADS:
                    outcome = account.search_leads(clock)
                elif task is TaskKind.INBOX:
                    outcome = account.process_reported_leads(clock)
                else:
                    firing = self._tables[account.key].latest_due_night(clock.now())
                    missed = task is TaskKind.MISSED
                    outcome = (
                        account.run_night_if_due(firing.night, clock, if_missed=missed) if firing else TaskOutcome()
                    )
            now = clock.now()
            self._stop.raise_if_stop_requested()  # after a stop, nothing is added
        except StoppedBySignal:
            return
        if outcome.undone:
            self._retry(account, task, now)
            return
        self._waits.pop((account.key, _retried_as(task)), None)
        if outcome.next_outcomes is not None:
            self._add(account, TaskKind.OUTCOMES, max(outcome.next_outcomes, now))

    def _release_finished_job(self, event: Any) -> None:
        """Free the account's slot. Not earlier, or a sandbox's time would move on before the job has ended."""
        for key, work in list(self._at_work.items()):
            if work.job == event.job_id:
                del self._at_work[key]
                work.clock_open.close()

    def _retry(self, account: ScheduledAccount, task: TaskKind, now: datetime) -> None:
        """Reschedule a failed task with backoff, unless the account's next night is due by then."""
        if task is TaskKind.INBOX:
            return  # the next one, or the next night, makes up for it
        again = _retried_as(task)
        wait = self._waits.get((account.key, again), RETRY_AFTER)
        firing = self._tables[account.key].next_night_after(now)
        if firing is not None and firing.at <= now + wait:
            self._waits.pop((account.key, again), None)
            _log.error("given up for now; the next night makes up for it", config=account.key, task=str(task))
            return
        self._waits[account.key, again] = min(wait * 2, MAX_RETRY_WAIT)
        at = (now + wait).isoformat()
        _log.warning("nothing was done, and it is tried again", config=account.key, task=str(task), at=at)
        self._add(account, again, now + wait)
