"""Shows that a command waits, and for how long: a countdown at a terminal, one line elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

import structlog
from rich.console import Console

from connectors.clock import MachineClock, SandboxClock
from connectors.plurals import counted
from connectors.ports import Clock

_log = structlog.stdlib.get_logger()
_UNSEEN = timedelta(seconds=2)
"""A shorter wait is not worth a line."""
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class VisibleClock:
    """A clock whose long waits are seen by whoever typed the command."""

    clock: Clock
    per_minute: int
    """The allowed rate, which most waits are for."""

    def now(self) -> datetime:
        """The clock's present instant."""
        return self.clock.now()

    def sleep_until(self, moment: datetime) -> None:
        """Sleep as the clock does, and show it."""
        left = moment - self.clock.now()
        if left <= _UNSEEN:
            self.clock.sleep_until(moment)
        elif sys.stderr.isatty():
            self._count_down(moment, left)
        else:
            _log.warning(self._said(left))
            self.clock.sleep_until(moment)

    def _count_down(self, moment: datetime, left: timedelta) -> None:
        with Console(stderr=True).status(self._said(left)) as shown:
            # So many looks and no more: a machine's clock may be set back meanwhile.
            for _ in range(ceil(left / _SECOND)):
                shown.update(self._said(moment - self.clock.now()))
                self.clock.sleep_until(min(moment, self.clock.now() + _SECOND))

    def _said(self, left: timedelta) -> str:
        seconds = max(1, ceil(left / _SECOND))
        return (
            f"waiting {seconds} s for Oplead's rate ({counted(self.per_minute, 'request')} a minute), or to ask again"
        )


@contextmanager
def open_visible_clock(sandbox: str | None, per_minute: int) -> Iterator[Clock]:
    """The machine's clock, its long waits shown; or that of the sandbox at an address, which nobody waits for."""
    if sandbox is None:
        yield VisibleClock(MachineClock(), per_minute)
        return
    with SandboxClock(sandbox) as clock:
        yield clock
