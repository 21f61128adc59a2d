"""The rate at which a platform is asked."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.rate_limit import THROTTLED_FOR, Pacer
from tests import suite
from tests.fakes import slot

START = datetime(2026, 7, 21, 3, 30, tzinfo=UTC)
MINUTE = timedelta(seconds=60)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class StillClock:
    """A clock that moves only when a caller sleeps."""

    def __init__(self):
        self.time = START

    def now(self):
        """The current time."""
        return self.time

    def sleep_until(self, moment):
        """Jump to the moment at once."""
        self.time = max(self.time, moment)


def ask(pacer, clock, took=timedelta(0)):
    """Make one request; return when it went out."""
    with slot(pacer):
        sent = clock.time
        clock.time += took
    return sent


def worst_minute(times):
    """The most requests in any closed minute."""
    return max(sum(start <= at <= start + MINUTE for at in times) for start in times)


@settings(deadline=None)
@given(st.integers(1, 12), st.lists(st.integers(0, 90), min_size=1, max_size=60))
def test_no_minute_exceeds_the_limit(per_minute, seconds):
    """This holds for requests of any duration and spacing, counted on a closed minute."""
    clock = StillClock()
    pacer = Pacer(clock, per_minute)
    sent = []
    for took in seconds:
        sent.append(ask(pacer, clock, timedelta(seconds=took % 7)))
        clock.time += timedelta(seconds=took // 7)

    assert worst_minute(sent) <= per_minute


def test_a_slot_is_freed_a_minute_after_the_response():
    """A slow answer holds its slot for longer."""
    clock = StillClock()
    pacer = Pacer(clock, 1)
    ask(pacer, clock, took=timedelta(seconds=20))

    sent = ask(pacer, clock)

    assert timedelta(seconds=80) < sent - START < timedelta(seconds=81)


def test_a_failed_request_frees_its_slot_after_a_minute():
    """The platform counted it anyway, and the pacer leaks no slot."""
    clock = StillClock()
    pacer = Pacer(clock, 1)
    with pytest.raises(OSError, match="cut"), slot(pacer):
        raise OSError("cut")

    assert MINUTE < ask(pacer, clock) - START


def test_a_429_halves_the_rate_for_ten_minutes():
    """After that the full rate applies again."""
    clock = StillClock()
    pacer = Pacer(clock, 4)
    pacer.halve_pace_after_throttling()
    slow = [ask(pacer, clock) for _ in range(6)]
    clock.time = START + THROTTLED_FOR + 2 * MINUTE
    fast = [ask(pacer, clock) for _ in range(4)]

    assert 2 == worst_minute(slow)
    assert 1 == len(set(fast))


def test_halving_never_goes_below_one_request_a_minute():
    """Integer division alone would give none."""
    clock = StillClock()
    pacer = Pacer(clock, 1)
    pacer.halve_pace_after_throttling()

    assert START == ask(pacer, clock)


def test_a_clock_set_back_does_not_stop_the_pacer():
    """It waits a minute by the new time, not until the old one is reached again."""
    clock = StillClock()
    pacer = Pacer(clock, 1)
    ask(pacer, clock)
    clock.time = START - timedelta(hours=1)

    assert ask(pacer, clock) < START - timedelta(minutes=58)


def test_threads_share_one_limit():
    """No two threads ever hold the last slot together."""
    clock = StillClock()
    pacer = Pacer(clock, 2)
    held, most, lock = 0, 0, threading.Lock()

    def work():
        nonlocal held, most
        for _ in range(5):
            with slot(pacer):
                with lock:
                    held += 1
                    most = max(most, held)
                time.sleep(0.001)
                with lock:
                    held -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)

    assert not any(thread.is_alive() for thread in threads)
    assert 2 == most


def played(pacer, clock, *, workers, latency, page=None, hours=2):
    """The times of the answers to `workers` that ask as soon as allowed and wait for one another after each `page`."""
    free = [(clock.time, worker) for worker in range(workers)]
    meeting, asked, answers = [], 0, []
    under_way = []
    while clock.time < START + timedelta(hours=hours):
        clock.time, worker = min(free + under_way)
        if (clock.time, worker) in under_way:
            under_way.remove((clock.time, worker))
            pacer.release_request_slot()
            answers.append(clock.time)
            meeting.append(worker)
            if page is None or asked % page or not under_way:
                free += [(clock.time, one) for one in meeting]
                meeting = []
            continue
        free.remove((clock.time, worker))
        if page is not None and under_way and asked and asked % page == 0:
            meeting.append(worker)
        elif (again := pacer.take_request_slot()) is None:
            asked += 1
            under_way.append((clock.time + latency, worker))
        else:
            free.append((again, worker))
    return answers


@pytest.mark.parametrize("page", suite.mostly_exhaustive([None, 100, 25], 25))
@pytest.mark.parametrize(
    ("workers", "latency"),
    [
        (4, 1.5),
        pytest.param(4, 0.2, marks=pytest.mark.exhaustive),
        pytest.param(3, 1.5, marks=pytest.mark.exhaustive),
        (8, 1.5),
        pytest.param(1, 0.1, marks=pytest.mark.exhaustive),
    ],
)
def test_uses_at_least_97_percent_of_the_limit(workers, latency, page):
    """It runs for two hours, also with workers that wait for one another after each page."""
    clock = StillClock()
    answers = played(Pacer(clock, 90), clock, workers=workers, latency=timedelta(seconds=latency), page=page)
    sent = sorted(at - timedelta(seconds=latency) for at in answers)

    assert len(answers) >= 0.97 * 90 * 120
    assert 90 == worst_minute(sent[:300])


def test_a_limit_of_zero_is_refused():
    """The pacer would wait for ever."""
    with pytest.raises(ValueError, match="at least one"):
        Pacer(StillClock(), 0)


@settings(deadline=None)
@given(st.integers(1, 12), st.lists(st.integers(0, 9 * 3600), min_size=1, max_size=60))
def test_no_day_exceeds_its_limit(per_day, seconds):
    """What began in an hour counts until that hour is a day old; then it is free again."""
    clock = StillClock()
    pacer = Pacer(clock, 1000, per_day=per_day)
    sent = []
    for pause in seconds:
        clock.time += timedelta(seconds=pause)
        asked_at, at = clock.time, ask(pacer, clock)
        assert at == asked_at or at - sent[-per_day] <= DAY + HOUR
        sent.append(at)

    assert per_day >= max(sum(start <= at <= start + DAY for at in sent) for start in sent)


@pytest.mark.parametrize("ahead", [DAY, 365 * DAY])
def test_hours_of_a_clock_that_ran_ahead_do_not_count_until_then(ahead):
    """A machine whose clock is wrong would take everybody's day."""
    clock = StillClock()
    clock.time += ahead
    pacer = Pacer(clock, 1000, per_day=2)
    ask(pacer, clock)
    ask(pacer, clock)
    assert pacer.take_request_slot() is not None
    clock.time -= ahead

    assert START == ask(pacer, clock)


def test_an_hour_of_a_clock_that_is_a_little_ahead_counts():
    """No two machines agree on when an hour begins."""
    clock = StillClock()
    clock.time += timedelta(minutes=40)
    pacer = Pacer(clock, 1000, per_day=1)
    ask(pacer, clock)
    clock.time -= timedelta(minutes=40)

    assert pacer.take_request_slot() is not None
