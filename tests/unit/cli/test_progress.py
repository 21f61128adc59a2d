"""A long wait is visible: a countdown at a terminal, one log line elsewhere."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from jobs.cli import progress
from jobs.cli.progress import WaitShowingClock

NOW = datetime(2026, 7, 21, 3, 30, tzinfo=UTC)


class Still:
    """A clock that moves only when a caller sleeps."""

    def __init__(self):
        self.time, self.slept = NOW, 0

    def now(self):
        """The current time."""
        return self.time

    def sleep_until(self, moment):
        """Jump to the moment at once."""
        self.slept += 1
        self.time = max(self.time, moment)


@pytest.fixture
def clock():
    """A clock that shows its waits."""
    return WaitShowingClock(Still(), 90)


@pytest.fixture
def said():
    """The logged events."""
    with capture_logs() as events:
        yield events


def test_a_long_wait_is_logged_once(clock, said, monkeypatch):
    """The line says how long and why."""
    monkeypatch.setattr(progress.sys, "stderr", io.StringIO())

    clock.sleep_until(NOW + timedelta(seconds=42.3))

    assert (NOW + timedelta(seconds=42.3), 1) == (clock.now(), clock.clock.slept)
    (line,) = said
    assert "waiting 43 s" in line["event"]
    assert "90 requests a minute" in line["event"]


def test_a_short_wait_is_not_logged(clock, said):
    """Two seconds are below the limit."""
    clock.sleep_until(NOW + timedelta(seconds=2))

    assert ([], 1) == (said, clock.clock.slept)


def test_a_long_wait_counts_down_at_a_terminal(clock, said, monkeypatch):
    """It counts every second and ends exactly on time."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(progress.sys, "stderr", terminal)

    clock.sleep_until(NOW + timedelta(seconds=4.5))

    assert (NOW + timedelta(seconds=4.5), 5) == (clock.now(), clock.clock.slept)
    assert ([], True) == (said, "waiting" in terminal.getvalue())
