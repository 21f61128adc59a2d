"""The machine's clock."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

_LONGEST_NAP = 60.0  # seconds; the clock may be set or the machine suspended while we sleep


class MachineClock:
    """The machine's clock."""

    def __init__(self, *, nap: Callable[[float], object] = time.sleep) -> None:
        """Sleep by calling `nap` with seconds; it may raise to end a sleep early."""
        self._nap = nap

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        return datetime.now(UTC)

    def sleep_until(self, moment: datetime) -> None:
        """Sleep until `moment` or shortly after; return at once if it has passed.

        Stepping the clock back meanwhile does not lengthen the wait.
        """
        left = (moment - self.now()).total_seconds()
        end = time.monotonic() + left
        while left > 0:
            self._nap(min(left, _LONGEST_NAP))
            left = min((moment - self.now()).total_seconds(), end - time.monotonic())
