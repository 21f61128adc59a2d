"""The loop that has each account's night done when it is due, and its outcomes asked for afterwards."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, assert_never

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger

from connectors.ports import Clock
from jobs.cancellation import StoppedBySignal, StopSignal
from jobs.timetable import Firing, NightTrigger, Timetable

AFTER_A_NIGHT = (timedelta(hours=1), timedelta(hours=6))
"""When outcomes are asked for, counted from a night's end."""
RETRY_AFTER = timedelta(minutes=5)
"""After this long, what nothing came of is tried again; each further wait is twice as long as the one before."""
MAX_RETRY_WAIT = timedelta(hours=1)
REREAD_AFTER = timedelta(hours=1)
"""After this long, settings that must not run are looked at again."""
_MAX_SLEEP = timedelta(minutes=5)
"""What a night leaves to be done is seen by then; it is never due sooner after it."""
_MAX_SILENCE = timedelta(minutes=30)
"""Work that has not asked for so long whether to stop hangs: it asks before each request and while it waits."""
_RETRY_WHEN_BUSY = timedelta(seconds=10)
_MAX_SET_BACK = timedelta(minutes=1)
"""A clock that goes back by more was wrong before; by less it is only kept right."""

_log = structlog.stdlib.get_logger()


class Task(StrEnum):
    """What may be due for an account."""

    NIGHT = "night"
    MISSED = "missed night"
    """Checked at the start, and when the clock was set back: what was due while nobody ran."""
    AGAIN = "night again"
    """Nothing came of it: another run held the account, or it failed."""
    OUTCOMES = "outcomes"
    SETTINGS = "settings"
    """Whether they may run by now; if so, the account is entered."""


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """What came of a task, as far as it concerns what is due next."""

    next_outcomes: datetime | None = None
    """When outcomes are to be asked for next."""
    undone: bool = False
    """Whether it failed, so that it is to be tried again."""


class ScheduledAccount(Protocol):
    """One account, as the loop knows it. It reports its failures itself and raises only a stop."""

    @property
    def key(self) -> str:
        """Its unique name."""

    def read(self) -> Timetable | None:
        """Read its settings again; None where they must not run. Called by the loop's own thread."""

    def planned(self, firing: Firing | None) -> None:
        """Its next night, when that was found out for the first time or has changed."""

    def open_clock(self) -> AbstractContextManager[Clock]:
        """A clock of its own."""

    def night(self, night: date, clock: Clock, *, if_missed: bool) -> TaskOutcome:
        """Do a date's night unless it is done; with `if_missed`, only where the account ran before."""

    def outcomes(self, clock: Clock) -> TaskOutcome:
        """Ask for outcomes, and send what has come due."""


class Watchdog(Protocol):
    """What supervises this service. Nothing it does raises."""

    @property
    def every(self) -> timedelta | None:
        """How often it wants a sign of life; None where it wants none."""

    def ready(self) -> None:
        """The loop has begun."""

    def beat(self) -> None:
        """It goes on."""

    def stopping(self) -> None:
        """It has been asked to stop."""


class _Work(NamedTuple):
    """What is under way for an account."""

    job: str
    clock_open: ExitStack
    clock: Clock


class AccountScheduler:
    """Several accounts' nights, by one clock.

    APScheduler keeps the jobs, their triggers and the threads they run on. It never waits by itself: it knows the
    machine's time only, and nights must be rehearsable on a sandbox's. So it is paused, and this loop submits what is
    due.
    """

    def __init__(
        self,
        accounts: Sequence[ScheduledAccount],
        clock: Clock,
        stop: StopSignal,
        *,
        at_once: int,
        liveness: Watchdog | None = None,
    ) -> None:
        """Nothing is due before `run`.

        Args:
            accounts: the accounts to run, at most `at_once` of them at a time.
            clock: the loop's own, of the same time as the accounts'.
            stop: ends the loop.
            at_once: the size of the thread pool.
            liveness: shows a watchdog that this loop and its work go on.
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
            # However late, a night is done: one of those that were missed, the latest.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )
        self._jobs.add_listener(self._ended, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
        self._tables: dict[str, Timetable] = {}
        self._at_work: dict[str, _Work] = {}
        self._waiting: set[tuple[str, datetime]] = set()
        self._waits: dict[str, timedelta] = {}

    def run(self) -> None:
        """Do what is due when it is due, until somebody asks to stop; returns once nothing is under way any more.

        Raises:
            Misconfigured: the clock does not answer.
        """
        self._jobs.start(paused=True)
        try:
            looked = self._clock.now()
            for account in self._accounts:
                self._enter(account, looked)
            if self._liveness:
                self._liveness.ready()
            while True:
                self._stop.cancel_token()
                # Not while work of its own hangs.
                if self._liveness and self._stop.quiet_for() < _MAX_SILENCE:
                    self._liveness.beat()
                now = self._clock.now()
                if now < looked - _MAX_SET_BACK:
                    self._enter_anew(looked, now)
                looked = now
                self._clock.sleep_until(self._do_what_is_due(now))
        except StoppedBySignal:
            pass
        finally:
            if self._liveness:
                self._liveness.stopping()
            self._jobs.shutdown(wait=True)

    def _enter(self, account: ScheduledAccount, now: datetime) -> None:
        """Plan an account's nights, and check whether one was missed."""
        table = account.read()
        if table is None:
            self._add(account, Task.SETTINGS, now + REREAD_AFTER)
            return
        self._plan_nights(account, table, now)
        self._add(account, Task.MISSED, now)

    def _enter_anew(self, before: datetime, now: datetime) -> None:
        """Plan the nights once more that a clock which ran ahead has planned, perhaps months from now."""
        _log.warning("the clock was set back: nights are planned again", before=before.isoformat(), now=now.isoformat())
        for account in self._accounts:
            # As settings to be read: that waits until the account's work under way has ended. What else is left of
            # the wrong time, a second try or a pass, does no harm: the ledger knows what was done.
            self._add(account, Task.SETTINGS, now)

    def _plan_nights(self, account: ScheduledAccount, table: Timetable, now: datetime) -> None:
        self._tables[account.key] = table
        firing = table.after(now)
        account.planned(firing)
        if firing is not None:
            self._add(account, Task.NIGHT, firing.at, NightTrigger(table))

    def _add(self, account: ScheduledAccount, task: Task, at: datetime, trigger: Any = None) -> None:
        self._jobs.add_job(
            self._work,
            trigger or DateTrigger(at, timezone=UTC),
            args=(account, task),
            id=f"{account.key} {task}",
            replace_existing=True,
            next_run_time=at,
        )

    def _do_what_is_due(self, now: datetime) -> datetime:
        """Begin what is due and has room; when to look again."""
        every = self._liveness.every if self._liveness else None
        until = now + min(_MAX_SLEEP, every or _MAX_SLEEP)
        for job in self._jobs.get_jobs():
            account, task = job.args
            if job.next_run_time > now:
                until = min(until, job.next_run_time)
            elif account.key in self._at_work or len(self._at_work) >= self._at_once:
                until = min(until, now + _RETRY_WHEN_BUSY)
                self._log_waiting(account, task, job.next_run_time)
            else:
                self._begin(job, now)
        return until

    def _log_waiting(self, account: ScheduledAccount, task: Task, due: datetime) -> None:
        """Log once that something is due and cannot begin."""
        if (account.key, due) not in self._waiting:
            self._waiting.add((account.key, due))
            _log.warning("due, and waits for work under way", config=account.key, task=str(task), due=due.isoformat())

    def _begin(self, job: Any, now: datetime) -> None:
        account, task = job.args
        was_due = job.next_run_time
        following = job.trigger.get_next_fire_time(now, now)
        if following is None:
            job.remove()
        else:
            job.modify(next_run_time=following)
        if task is Task.SETTINGS:
            self._enter(account, now)
            return
        table = account.read()
        if table is None:
            # Settings that are fixed before the next night still get this one.
            self._retry(account, task, now)
            return
        if table != self._tables[account.key]:
            self._plan_nights(account, table, now)
        elif task is Task.NIGHT:
            self._log_missed(account, table, was_due, now)
        stack = ExitStack()
        clock = stack.enter_context(account.open_clock())
        clock.now()  # from here on a sandbox's time stands still until the account sleeps too
        self._waiting.discard((account.key, was_due))
        self._at_work[account.key] = _Work(job.id, stack, clock)
        self._pool.submit_job(job, [was_due])

    @staticmethod
    def _log_missed(account: ScheduledAccount, table: Timetable, was_due: datetime, now: datetime) -> None:
        """Log which nights were passed over while the machine slept: the latest of them does their work."""
        firing, latest = table.latest(was_due), table.latest(now)
        while firing is not None and latest is not None and firing.night < latest.night:
            _log.warning("night missed", config=account.key, night=firing.night.isoformat(), instead=str(latest.night))
            firing = table.after(firing.at)

    def _work(self, account: ScheduledAccount, task: Task) -> None:
        """Do one task, on a thread of the pool."""
        clock = self._at_work[account.key].clock
        try:
            with self._stop.at_work():
                outcome = self._do(account, task, clock)
            now = clock.now()
        except StoppedBySignal:
            return
        if outcome.undone:
            self._retry(account, task, now)
            return
        self._waits.pop(account.key, None)
        if outcome.next_outcomes is not None:
            self._add(account, Task.OUTCOMES, max(outcome.next_outcomes, now))

    def _ended(self, event: Any) -> None:
        """Make room for the next: only now, so that a sandbox's time never goes on before that."""
        for key, work in list(self._at_work.items()):
            if work.job == event.job_id:
                del self._at_work[key]
                work.clock_open.close()

    def _do(self, account: ScheduledAccount, task: Task, clock: Clock) -> TaskOutcome:
        match task:
            case Task.NIGHT | Task.MISSED | Task.AGAIN:
                firing = self._tables[account.key].latest(clock.now())
                return account.night(firing.night, clock, if_missed=task is Task.MISSED) if firing else TaskOutcome()
            case Task.OUTCOMES:
                return account.outcomes(clock)
            case Task.SETTINGS:
                return TaskOutcome()
            case _:
                assert_never(task)

    def _retry(self, account: ScheduledAccount, task: Task, now: datetime) -> None:
        """Have a task that nothing came of done later, unless the account's next night is due by then."""
        # What may have been missed stays in question: before an account's first run nothing was.
        again = Task.AGAIN if task is Task.NIGHT else task
        wait = self._waits.get(account.key, RETRY_AFTER)
        firing = self._tables[account.key].after(now)
        if firing is not None and firing.at <= now + wait:
            self._waits.pop(account.key, None)
            _log.error("given up for now; the next night makes up for it", config=account.key, task=str(task))
            return
        self._waits[account.key] = min(wait * 2, MAX_RETRY_WAIT)
        at = (now + wait).isoformat()
        _log.warning("nothing was done, and it is tried again", config=account.key, task=str(task), at=at)
        self._add(account, again, now + wait)
