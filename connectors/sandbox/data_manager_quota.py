"""The Data Manager's request quota, on the sandbox clock.

https://developers.google.com/data-manager/api/devguides/limits
"""

from collections import deque
from datetime import datetime, timedelta

_LIMITS = (
    ("RequestsPerMinutePerProject", timedelta(minutes=1), 300),
    ("RequestsPerDayPerProject", timedelta(days=1), 100_000),
)


class Quota:
    """At most 300 requests in any minute and 100,000 in any day, for one direction (write or read)."""

    def __init__(self) -> None:
        self._taken: deque[datetime] = deque()

    def take(self, now: datetime) -> str:
        """Take one request, or the name of the limit that forbids it; a refused one is not counted."""
        while self._taken and now - self._taken[0] >= timedelta(days=1):
            self._taken.popleft()
        for name, span, most in _LIMITS:
            if len(self._taken) >= most and now - self._taken[-most] < span:
                return name
        self._taken.append(now)
        return ""
