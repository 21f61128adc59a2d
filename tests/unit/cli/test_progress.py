"""Work and long waits are visible: bars and a countdown at a terminal, log lines elsewhere."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from structlog.testing import capture_logs

from connectors.language import Language, using_language
from jobs.cli import progress
from jobs.cli.progress import WaitShowingClock, watch_at_a_terminal
from jobs.reporting.progress_bars import WorkProgress
from jobs.run_context import NightStep
from jobs.run_summary import RunSummary

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
    assert "at most 90 a minute" in line["event"]


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


# ── steps ────────────────────────────────────────────────────────────────────────────────────────


class Terminal:
    """A terminal of 80 columns, and a clock that stands still between two steps."""

    def __init__(self):
        self.seconds = 0.0
        self.console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
        self.progress = WorkProgress(self.console, get_time=lambda: self.seconds, auto_refresh=False)
        self.watch = watch_at_a_terminal(self.progress)

    @property
    def line(self):
        """The step at work."""
        return self.lines[-1]

    @property
    def lines(self):
        """What is shown, without the spinner."""
        with self.console.capture() as captured:
            self.console.print(self.progress.get_renderable())
        return [line[1:].strip() for line in captured.get().splitlines()]


@pytest.fixture
def terminal():
    """A terminal that shows nothing yet."""
    return Terminal()


@pytest.fixture
def summary():
    """A night that has done nothing yet."""
    return RunSummary("maison-durand", 1, NOW)


def test_reading_shows_the_time_left_once_the_list_says_how_many_there_are(terminal, summary):
    """The first page says it, or none does."""
    with using_language(Language.ENGLISH), terminal.watch(NightStep.PULL, summary):
        first = terminal.line
        terminal.seconds, summary.pulled.seen, summary.pulled.total = 60, 1_200, 3_000
        then = terminal.line

    assert first.split() == ["reading", "leads", "0", "leads", "·", "0", "s"]
    assert then.startswith("reading leads ━━")
    assert then.endswith("1,200 of 3,000 · 1,200/min · 1 min 30 s left")


def test_reading_shows_leads_and_their_rate(terminal, summary):
    """Where nobody says how many there are, nothing is said of the time left."""
    with using_language(Language.ENGLISH), terminal.watch(NightStep.PULL, summary):
        first = terminal.line
        terminal.seconds, summary.pulled.seen = 90, 1800
        then = terminal.line

    assert first.split() == ["reading", "leads", "0", "leads", "·", "0", "s"]
    assert then.split() == ["reading", "leads", "1,800", "leads", "·", "1,200/min", "·", "1", "min", "30", "s"]


def test_sending_shows_the_time_left(terminal, summary):
    """Conversions and corrections count as they go."""
    with using_language(Language.ENGLISH), terminal.watch(NightStep.DELIVER, summary, total=lambda: 2000):
        terminal.seconds, summary.delivered.sent, summary.corrected.sent = 60, 400, 100
        line = terminal.line

    assert line.endswith("500 of 2,000 · 500/min · 3 min 0 s left")
    assert line.startswith("sending ━━")


def test_a_total_that_is_passed_leaves_nothing_to_do(terminal, summary):
    """What is sent again counts, too."""
    with using_language(Language.ENGLISH), terminal.watch(NightStep.DELIVER, summary, total=lambda: 10):
        terminal.seconds, summary.delivered.sent = 60, 12

        assert terminal.line.endswith("12 of 12 · 12/min · 0 s left")


def test_a_step_that_counts_nothing_shows_how_long_it_takes(terminal, summary):
    """It ends with a mark."""
    with using_language(Language.ENGLISH):
        with terminal.watch(NightStep.PLAN, summary):
            terminal.seconds = 5
            assert "deciding" in terminal.line
            assert terminal.line.endswith("5 s")
        assert terminal.progress.finished


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("step", NightStep)
def test_each_step_fits_a_terminal_of_80_columns(terminal, summary, language, step):
    """Nothing is cut, however large the numbers."""
    summary.pulled.seen = summary.delivered.sent = summary.resolved.asked = 1_234_567
    summary.pulled.total = 9_999_999
    total = (lambda: 9_999_999) if step is NightStep.DELIVER else None
    with using_language(language), terminal.watch(step, summary, total=total):
        terminal.seconds = 40_000

        assert 1 == len(terminal.lines)
        assert "…" not in terminal.line
        assert 80 >= len(terminal.line) + 1
