"""A long wait is seen: counted down at a terminal, one line elsewhere."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from jobs.cli import output
from jobs.cli.output import VisibleClock

NOW = datetime(2026, 7, 21, 3, 30, tzinfo=UTC)


class Still:
    """A clock that moves only when somebody sleeps."""

    def __init__(self):
        self.time, self.slept = NOW, 0

    def now(self):
        """The present."""
        return self.time

    def sleep_until(self, moment):
        """Move there at once."""
        self.slept += 1
        self.time = max(self.time, moment)


@pytest.fixture
def clock():
    """One that can be seen."""
    return VisibleClock(Still(), 90)


@pytest.fixture
def said():
    """What is logged."""
    with capture_logs() as events:
        yield events


def test_a_long_wait_is_one_line(clock, said, monkeypatch):
    """With how long, and why."""
    monkeypatch.setattr(output.sys, "stderr", io.StringIO())

    clock.sleep_until(NOW + timedelta(seconds=42.3))

    assert (NOW + timedelta(seconds=42.3), 1) == (clock.now(), clock.clock.slept)
    (line,) = said
    assert "waiting 43 s" in line["event"]
    assert "90 requests a minute" in line["event"]


def test_a_short_wait_is_not_worth_a_line(clock, said):
    """Two seconds pass unseen."""
    clock.sleep_until(NOW + timedelta(seconds=2))

    assert ([], 1) == (said, clock.clock.slept)


def test_a_terminal_counts_down(clock, said, monkeypatch):
    """Second by second, to the very moment."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(output.sys, "stderr", terminal)

    clock.sleep_until(NOW + timedelta(seconds=4.5))

    assert (NOW + timedelta(seconds=4.5), 5) == (clock.now(), clock.clock.slept)
    assert ([], True) == (said, "waiting" in terminal.getvalue())
