"""What nothing came of is tried again, ever more seldom, until the account's next night is due."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from apscheduler.executors.debug import DebugExecutor

from jobs import schedule
from jobs.schedule import Came, Schedule
from jobs.stopping import StoppedBySignal
from jobs.timetable import daily
from tests.fakes import FakeClock

START = datetime(2026, 9, 10, 12, tzinfo=UTC)
DUE = datetime(2026, 9, 11, 5, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTES = [0, 5, 15, 35, 75, 135, 195, 255]


class Account:
    """One whose nights are due at 05:30 UTC and come to nothing before a time; it notes when they were tried."""

    key = "config/one.yaml"

    def __init__(self, clock, *, works_from, breaks_at_once=False):
        self.clock, self.works_from, self.breaks_at_once = clock, works_from, breaks_at_once
        self.tried = []

    def read(self):
        """It never changes."""
        return daily("05:30", ZoneInfo("UTC"))

    def planned(self, firing):
        """Nobody reads it."""

    def open_clock(self):
        """The only one."""
        return nullcontext(self.clock)

    def night(self, _night, clock, *, if_missed):
        """Note it."""
        if if_missed and not self.breaks_at_once:
            return Came()
        self.tried.append((clock.now(), if_missed))
        return Came(undone=clock.now() < self.works_from)


@pytest.fixture
def play(monkeypatch):
    """Plays a schedule, one thing after another, until a time; when nights were tried."""
    monkeypatch.setattr(schedule, "ThreadPoolExecutor", lambda _: DebugExecutor())

    def played(until, **account):
        clock = FakeClock(START)
        one = Account(clock, **account)

        def heed():
            if clock.now() > until:
                raise StoppedBySignal(15)

        Schedule([one], clock, SimpleNamespace(heed=heed), at_once=1).run()
        return one.tried

    return played


def test_a_night_is_tried_again_ever_more_seldom_until_it_is_done(play):
    """A backfill that holds the account for four hours does not cost the night."""
    tried = [at for at, _ in play(DUE + 12 * HOUR, works_from=DUE + 4 * HOUR)]

    assert [DUE + timedelta(minutes=after) for after in MINUTES] == tried


def test_trying_ends_where_the_next_night_is_due(play):
    """It makes up for the one that never came to pass, and begins with short waits anew."""
    tried = [at for at, _ in play(DUE + 25 * HOUR, works_from=DUE + 24 * HOUR + timedelta(minutes=1))]
    following = DUE + 24 * HOUR

    assert tried[-2:] == [following, following + timedelta(minutes=5)]
    assert HOUR == max(later - earlier for earlier, later in pairwise(tried) if later < following)


def test_what_may_have_been_missed_stays_in_question(play):
    """So that a first start that fails does no night before its time."""
    tried = play(START + HOUR, works_from=START + timedelta(minutes=10), breaks_at_once=True)

    assert [
        (START, True),
        (START + timedelta(minutes=5), True),
        (START + timedelta(minutes=15), True),
    ] == tried
