"""A failed night is retried at growing intervals until the account's next night is due."""

import threading
import time as time_of_machine
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from apscheduler.executors.debug import DebugExecutor

from connectors.signals.liveness import LivenessReporter
from jobs import scheduler
from jobs.cancellation import StoppedBySignal, StopSignal
from jobs.ledger import runs
from jobs.ledger.runs import finish_run, open_locked_ledger
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.scheduler import AFTER_A_NIGHT, NightScheduler, TaskOutcome
from jobs.timetable import daily_timetable
from tests import quick
from tests.builders import ACCOUNT
from tests.fakes import FakeClock

DAY = timedelta(days=1)

START = datetime(2026, 9, 10, 12, tzinfo=UTC)
DUE = datetime(2026, 9, 11, 5, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUIET = timedelta()
PATIENCE = 20


def asking(cancel_token, quiet=lambda: QUIET):
    """Return a stop signal with this cancel token and quiet time."""
    return SimpleNamespace(
        raise_if_stop_requested=cancel_token, register_working_thread=nullcontext, time_since_stop_check=quiet
    )


MINUTES = [0, 5, 15, 35, 75, 135, 195, 255]


class Account:
    """An account with nights at 05:30 UTC that fail before a given time; it records each attempt."""

    key = "config/one.yaml"

    def __init__(self, clock, *, works_from, breaks_at_once=False):
        self.clock, self.works_from, self.breaks_at_once = clock, works_from, breaks_at_once
        self.tried = []

    def reload_timetable(self):
        """Return the same timetable every time."""
        return daily_timetable("05:30", ZoneInfo("UTC"))

    def announce_next_night(self, firing):
        """Ignore the next firing."""

    def next_lead_search(self):
        """Return that nothing is in doubt."""

    def open_clock(self):
        """Return the single clock."""
        return nullcontext(self.clock)

    def run_night_if_due(self, _night, clock, *, if_missed):
        """Record the attempt."""
        if if_missed and not self.breaks_at_once:
            return TaskOutcome()
        self.tried.append((clock.now(), if_missed))
        return TaskOutcome(undone=clock.now() < self.works_from)


@pytest.fixture
def play(monkeypatch):
    """Return a function that runs a schedule sequentially until a time, and returns the attempts."""
    monkeypatch.setattr(scheduler, "ThreadPoolExecutor", lambda _: DebugExecutor())

    def played(until, kind=Account, **account):
        clock = FakeClock(START)
        one = kind(clock, **account)

        def cancel_token():
            if clock.now() > until:
                raise StoppedBySignal(15)

        NightScheduler([one], clock, asking(cancel_token), at_once=1, liveness=LivenessReporter(environ={})).run()
        return one.tried

    return played


def test_failed_night_is_retried_at_growing_intervals(play):
    """A backfill that holds the account for four hours must not cost the night."""
    tried = [at for at, _ in play(DUE + 12 * HOUR, works_from=DUE + 4 * HOUR)]

    assert [DUE + timedelta(minutes=after) for after in MINUTES] == tried


def test_retries_end_when_the_next_night_is_due(play):
    """The next night makes up for the failed one, and its retries start at short intervals again."""
    tried = [at for at, _ in play(DUE + 25 * HOUR, works_from=DUE + 24 * HOUR + timedelta(minutes=1))]
    following = DUE + 24 * HOUR

    assert tried[-2:] == [following, following + timedelta(minutes=5)]
    assert HOUR == max(later - earlier for earlier, later in pairwise(tried) if later < following)


class WithLeadsInDoubt(Account):
    """An account whose search for leads in doubt always fails."""

    def next_lead_search(self):
        """Return that a lead is to be looked for."""
        return START

    def search_leads(self, _clock):
        """Fail."""
        return TaskOutcome(undone=True)


def test_failing_search_for_leads_does_not_slow_the_nights_retries(play):
    """Each kind of task waits by its own failures."""
    tried = play(DUE + 12 * HOUR, WithLeadsInDoubt, works_from=DUE + 4 * HOUR)

    assert [DUE + timedelta(minutes=after) for after in MINUTES] == [at for at, _ in tried]


class WithWebhooks(Account):
    """An account that also takes up webhooks, which fails at the second attempt."""

    def __init__(self, clock, **more):
        super().__init__(clock, works_from=DUE, **more)

    def reload_timetable(self):
        """Return the same timetable every time."""
        return replace(super().reload_timetable(), also_every=6 * HOUR)

    def process_reported_leads(self, clock):
        """Record the attempt."""
        self.tried.append((clock.now(), "inbox"))
        return TaskOutcome(undone=len(self.tried) == 2)


def test_webhooks_are_taken_up_between_nights(play):
    """Every so often; one that fails is left to the next, and each night comes at its time."""
    tried = play(DUE + 10 * HOUR, kind=WithWebhooks)
    passes = [START + number * 6 * HOUR for number in range(1, 5)]

    assert sorted([*((at, "inbox") for at in passes), (DUE, False)], key=lambda one: one[0]) == tried


def test_retry_still_checks_that_a_night_was_missed(play):
    """A failing first start must not run a night ahead of its time."""
    tried = play(START + HOUR, works_from=START + timedelta(minutes=10), breaks_at_once=True)

    assert [
        (START, True),
        (START + timedelta(minutes=5), True),
        (START + timedelta(minutes=15), True),
    ] == tried


class Recorded(Account):
    """An account that records its nights in a ledger, each once, and resolves no outcomes."""

    def __init__(self, clock, key, table, path):
        super().__init__(clock, works_from=START)
        self.key, self.table, self.path = key, table, path

    def reload_timetable(self):
        """Return the same timetable every time."""
        return self.table

    def run_night_if_due(self, night, clock, *, if_missed):
        """Record the night as a real one does, without its work."""

        def unless(session):
            today = clock.now().astimezone(self.table.zone).date()
            runs.raise_if_night_done(session, ACCOUNT, night, today=today, if_missed=if_missed, passes=AFTER_A_NIGHT)

        with (
            suppress(runs.NightDoneError),
            open_locked_ledger(
                SqliteState(quick.with_state(self.path)), ACCOUNT, "run", now=clock.now(), unless=unless
            ) as one,
        ):
            finish_run(one, 0, now=clock.now(), night=night)
            self.tried.append(night)
        return TaskOutcome()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(date(2026, 3, 25), date(2026, 4, 2), id="spring"),
        pytest.param(date(2026, 10, 21), date(2026, 10, 29), id="autumn"),
        pytest.param(date(2026, 1, 1), date(2026, 12, 31), id="a year", marks=pytest.mark.exhaustive),
    ],
)
def test_each_local_date_has_one_night(monkeypatch, tmp_path, first, last):
    """Two services fire every night and restart every few days; trigger and ledger together prevent doubles.

    In Paris, 02:30 is skipped in March and occurs twice in October.
    """
    monkeypatch.setattr(scheduler, "ThreadPoolExecutor", lambda _: DebugExecutor())
    monkeypatch.setattr(scheduler, "_MAX_SLEEP", timedelta(days=1))
    clock, table = (
        FakeClock(datetime.combine(first - DAY, time(12), UTC)),
        daily_timetable("02:30", ZoneInfo("Europe/Paris")),
    )
    path, nights = tmp_path / "state.db", []
    while clock.now() < datetime.combine(last + DAY, time(12), UTC):
        until = clock.now() + timedelta(days=5, hours=1)

        def cancel_token(until=until):
            if clock.now() > until:
                raise StoppedBySignal(15)

        both = [Recorded(clock, key, table, path) for key in ("one", "other")]
        NightScheduler(both, clock, asking(cancel_token), at_once=2, liveness=LivenessReporter(environ={})).run()
        nights += sorted(night for each in both for night in each.tried)

    assert [first + day * DAY for day in range((last - first).days + 1)] == [
        one for one in nights if first <= one <= last
    ]


class StepsBack(FakeClock):
    """A clock that is wrong at first, and is set right during the third sleep."""

    def __init__(self, start, right):
        super().__init__(start)
        self.right = right

    def sleep_until(self, moment):
        """Move to this moment, or to the right time."""
        super().sleep_until(moment)
        if len(self.slept) == 3:
            self.time = self.right


@pytest.fixture
def record(monkeypatch, tmp_path):
    """Return a function that runs the schedule of a known account for some days after its clock is set right."""
    monkeypatch.setattr(scheduler, "ThreadPoolExecutor", lambda _: DebugExecutor())

    def recorded(clock, days):
        path, table = tmp_path / "state.db", daily_timetable("05:30", ZoneInfo("UTC"))
        with open_locked_ledger(SqliteState(quick.with_state(path)), ACCOUNT, "run", now=clock.right - HOUR) as one:
            finish_run(one, 0, now=clock.right - HOUR)

        def cancel_token():
            if clock.right + timedelta(days=days) < clock.now() < clock.right + timedelta(days=days + 1):
                raise StoppedBySignal(15)

        account = Recorded(clock, "one", table, path)
        NightScheduler([account], clock, asking(cancel_token), at_once=1, liveness=LivenessReporter(environ={})).run()
        return account.tried

    return recorded


def test_clock_set_right_costs_no_night(record):
    """A service started under a wrong clock runs every night from then on, the missed one first."""
    tried = record(StepsBack(datetime(2026, 12, 25, 12, tzinfo=UTC), START), 3)

    assert [date(2026, 12, 25), *(date(2026, 9, day) for day in (10, 11, 12, 13))] == tried


def test_clock_set_back_does_not_repeat_a_night(record):
    """The night was due and done, and then becomes due again."""
    tried = record(StepsBack(DUE - timedelta(minutes=9), DUE - HOUR), 2)

    assert [date(2026, 9, day) for day in (10, 11, 12)] == tried


def test_clock_correction_does_not_interrupt_running_work(monkeypatch):
    """The account is scheduled again once the work ends, and its settings are not read before that."""
    said = []

    class Slow(DebugExecutor):
        """An executor that holds its jobs back until `end` is called."""

        def _do_submit_job(self, job, run_times):
            said.append(f"begins {job.args[1]}")
            self.end = lambda: super(Slow, self)._do_submit_job(job, run_times)

    class Ending(StepsBack):
        def sleep_until(self, moment):
            super().sleep_until(moment)
            if len(self.slept) == 3:
                said.append("set right")
            if len(self.slept) == 6:
                pool.end()
                said.append("ended")

    class Said(Account):
        def reload_timetable(self):
            said.append("read")
            return super().reload_timetable()

    pool = Slow()
    monkeypatch.setattr(scheduler, "ThreadPoolExecutor", lambda _: pool)
    clock = Ending(datetime(2026, 12, 25, 12, tzinfo=UTC), START)

    def cancel_token():
        if len(clock.slept) == 8:
            raise StoppedBySignal(15)

    NightScheduler(
        [Said(clock, works_from=START)], clock, asking(cancel_token), at_once=1, liveness=LivenessReporter(environ={})
    ).run()

    assert ["read", "read", "begins missed night", "set right", "ended", "read", "read", "begins missed night"] == said


class EndsAfterTheStop(Account):
    """An account whose night goes on until a stop is requested, then ends as if it had not seen it."""

    def __init__(self, clock, stop, outcome):
        super().__init__(clock, works_from=START)
        self.stop, self.outcome = stop, outcome

    def run_night_if_due(self, *_, **__):
        """End a little after the loop has seen the stop."""
        threading.Timer(0.2, self.stop.request_graceful_stop, (15,)).start()
        with suppress(StoppedBySignal):
            self.stop.nap(PATIENCE)
        time_of_machine.sleep(0.5)
        return self.outcome


@pytest.mark.parametrize("outcome", [TaskOutcome(START + HOUR), TaskOutcome(undone=True)], ids=["done", "undone"])
def test_work_that_ends_after_a_stop_adds_nothing_and_lets_the_service_end(outcome, monkeypatch):
    """With threads of its own, as the service has; work ends while the loop waits for it."""
    clock, stop = FakeClock(START), StopSignal()
    monkeypatch.setattr(clock, "sleep_until", lambda _: stop.nap(0.05))
    nights = NightScheduler(
        [EndsAfterTheStop(clock, stop, outcome)], clock, stop, at_once=1, liveness=LivenessReporter(environ={})
    )
    added, add = [], nights._add
    monkeypatch.setattr(nights, "_add", lambda *job: (added.append(job[1]), add(*job)))
    service = threading.Thread(target=nights.run, daemon=True)
    service.start()
    service.join(PATIENCE)

    assert not service.is_alive()
    assert ["night", "missed night"] == added


class StoppedAsItEnds:
    """An outcome at whose reading a stop arrives, and the loop begins to wait for the work."""

    next_outcomes = START + HOUR

    def __init__(self, stop):
        self.stop = stop

    @property
    def undone(self):
        """Be read while the loop shuts down."""
        self.stop.request_graceful_stop(15)
        time_of_machine.sleep(0.5)
        return False


def test_work_that_adds_its_next_task_just_as_a_stop_arrives_lets_the_service_end(monkeypatch):
    """It had looked for a stop a moment before."""
    clock, stop = FakeClock(START), StopSignal()
    monkeypatch.setattr(clock, "sleep_until", lambda _: stop.nap(0.05))
    account = Account(clock, works_from=START)
    account.run_night_if_due = lambda *_, **__: StoppedAsItEnds(stop)
    nights = NightScheduler([account], clock, stop, at_once=1, liveness=LivenessReporter(environ={}))
    service = threading.Thread(target=nights.run, daemon=True)
    service.start()
    service.join(PATIENCE)

    assert not service.is_alive()


class Asked(Account):
    """An account that resolves outcomes one and six hours after its night, and fails at first."""

    def run_night_if_due(self, _night, clock, *, if_missed):
        """Run the night, unless it may only have been missed."""
        self.due = [] if if_missed else [clock.now() + span for span in AFTER_A_NIGHT]
        return TaskOutcome(self.due.pop(0) if self.due else None)

    def fetch_outcomes(self, clock):
        """Record the attempt; a late one replaces those that were due before it."""
        self.tried.append((clock.now(), False))
        if clock.now() < self.works_from:
            return TaskOutcome(undone=True)
        return TaskOutcome(next((due for due in self.due if due > clock.now()), None))


def test_failed_resolution_keeps_the_later_one(play):
    """It is retried, and the one six hours after the night still takes place."""
    tried = [at for at, _ in play(DUE + 20 * HOUR, kind=Asked, works_from=DUE + HOUR + timedelta(minutes=10))]

    assert [DUE + timedelta(minutes=minutes) for minutes in (60, 65, 75, 360)] == tried


class Signs:
    """A watchdog that expects a sign of life every minute."""

    heartbeat_interval = timedelta(minutes=1)

    def __init__(self):
        self.heard = []

    def report_ready(self):
        """Record that the loop has started."""
        self.heard.append("ready")

    def beat(self):
        """Record a sign of life."""
        self.heard.append("beat")

    def report_stopping(self):
        """Record that the loop is ending."""
        self.heard.append("stopping")


@pytest.fixture
def watched(monkeypatch):
    """Return a function that runs ten minutes without work, and returns the recorded signs."""
    monkeypatch.setattr(scheduler, "ThreadPoolExecutor", lambda _: DebugExecutor())

    def played(quiet=lambda: QUIET):
        clock, signs = FakeClock(START), Signs()

        def cancel_token():
            if clock.now() >= START + timedelta(minutes=10):
                raise StoppedBySignal(15)

        account = Account(clock, works_from=START)
        NightScheduler([account], clock, asking(cancel_token, quiet), at_once=1, liveness=signs).run()
        return signs.heard

    return played


def test_idle_service_shows_a_sign_of_life_each_minute(watched):
    """The loop itself sends them, from start to end."""
    heard = watched()

    assert ("ready", "stopping") == (heard[0], heard[-1])
    assert ["beat"] * 10 == heard[1:-1]


def test_hanging_work_stops_the_signs_of_life(watched):
    """The loop runs, but its work has not checked the cancel token for half an hour."""
    assert ["ready", "stopping"] == watched(lambda: timedelta(minutes=30))
    assert 10 == watched(lambda: timedelta(minutes=29)).count("beat")
