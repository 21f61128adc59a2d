"""What a command shows while it works: the steps of a night, and long waits."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import ceil

from rich.console import Console

from connectors.language import N_, Plural, _, _n
from connectors.ports import Clock
from jobs.cancellation import StopSignal
from jobs.logs import Log
from jobs.reporting.progress_bars import WorkProgress
from jobs.run_context import NightStep, ProgressDisplay, log_step_duration
from jobs.run_summary import RunSummary
from jobs.wiring.account import Look, open_clock

_log = Log(__name__)


@contextmanager
def show_progress(*, alone: bool = True) -> Iterator[ProgressDisplay]:
    """Show one account's progress: transient bars at a terminal, otherwise log lines.

    Accounts that run side by side get log lines only, as their bars would overwrite each other.
    """
    if not (alone and sys.stderr.isatty()):
        yield log_step_duration
        return
    with WorkProgress() as progress:
        yield watch_at_a_terminal(progress)


def watch_at_a_terminal(progress: WorkProgress) -> ProgressDisplay:
    """Return a watch that shows each step as a line of its own."""

    @contextmanager
    def watch(step: NightStep, summary: RunSummary, *, total: Callable[[], int] | None = None) -> Iterator[None]:
        count, unit = _COUNTS.get(step, _NOTHING)
        known = total and total()
        whole = partial(_listed, summary) if step is NightStep.PULL else lambda: known
        end = progress.begin_step(_(step.value), partial(count, summary), unit, whole)
        yield
        end()

    return watch


_NOTHING: tuple[Callable[[RunSummary], int], Plural | None] = lambda _summary: 0, None
_SENT = lambda summary: summary.delivered.sent + summary.corrected.sent, N_("{count} sent", "{count} sent")
_COUNTS: Mapping[NightStep, tuple[Callable[[RunSummary], int], Plural | None]] = {
    NightStep.PULL: (lambda summary: summary.pulled.seen, N_("{count} lead", "{count} leads")),
    NightStep.RESOLVE: (lambda summary: summary.resolved.asked, N_("{count} request", "{count} requests")),
    NightStep.DELIVER: _SENT,
    NightStep.VALIDATE: _SENT,
}
"""What each step has done so far, and what to call it."""


def _listed(summary: RunSummary) -> int | None:
    """Return how many leads a pull lists in all, once a page has said so."""
    return summary.pulled.total


_SHORT = timedelta(seconds=2)
"""The longest wait that is not shown."""
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class WaitShowingClock:
    """A clock that shows its long waits."""

    clock: Clock
    per_minute: int
    """The allowed request rate, the cause of most waits."""

    def now(self) -> datetime:
        """Return the clock's current time."""
        return self.clock.now()

    def sleep_until(self, moment: datetime) -> None:
        """Sleep until a moment, showing a long wait."""
        left = moment - self.clock.now()
        if left <= _SHORT or not sys.stderr.isatty():
            if left > _SHORT:
                _log.warning(self._sentence(left))
            self.clock.sleep_until(moment)
            return
        with Console(stderr=True).status(self._sentence(left)) as shown:
            # Bounded, as the machine's clock may be set back meanwhile.
            for _second in range(ceil(left / _SECOND)):
                shown.update(self._sentence(moment - self.clock.now()))
                self.clock.sleep_until(min(moment, self.clock.now() + _SECOND))

    def _sentence(self, left: timedelta) -> str:
        seconds = max(1, ceil(left / _SECOND))
        return _n(
            "waiting {seconds} s before the next request to Oplead (at most {count} a minute)",
            "waiting {seconds} s before the next request to Oplead (at most {count} a minute)",
            self.per_minute,
            seconds=seconds,
        )


@contextmanager
def open_clock_showing_waits(look: Look, stop: StopSignal | None = None) -> Iterator[Clock]:
    """Open the machine's clock with long waits shown, or a sandbox's clock, whose waits need no display.

    A stop request ends every wait.
    """
    with open_clock(look, stop) as clock:
        yield WaitShowingClock(clock, look.oplead.rate) if look.clock is None else clock
