"""Keeps requests under a platform's published number per minute."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from connectors.ports import Clock

# Whether the sixtieth second still counts differs from server to server: a millisecond more settles it.
WINDOW = timedelta(seconds=60, milliseconds=1)
THROTTLED_FOR = timedelta(minutes=10)


class Pacer:
    """Lets at most `per_minute` requests into any minute, however many threads ask.

    A slot is freed a minute after the response, not after the request: the platform may count a request when
    it has finished with it.
    """

    def __init__(self, clock: Clock, per_minute: int) -> None:
        """Start with every slot free; `per_minute` is at least 1."""
        if per_minute < 1:
            raise ValueError("a pace is at least one request a minute")
        self._clock = clock
        self._per_minute = per_minute
        self._throttled_until: datetime | None = None
        self._running = 0
        self._answered: list[datetime] = []
        self._changed = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a free slot and hold it for one request: `with pacer.slot(): …`."""
        while (free_at := self._enter()) is not None:
            self._clock.sleep_until(free_at)
        try:
            yield
        finally:
            self._leave()

    def throttled(self) -> None:
        """Halve the pace for ten minutes, because the platform said it was too fast (429)."""
        until = self._clock.now() + THROTTLED_FOR
        with self._changed:
            self._throttled_until = until

    def _enter(self) -> datetime | None:
        """Take a slot and return None, or say when to try again."""
        with self._changed:
            while True:
                now = self._clock.now()
                # A machine's clock may be set back: an answer is never later than now.
                self._answered = [min(at, now) for at in self._answered if now - at < WINDOW]
                too_many = self._running + len(self._answered) - self._limit(now) + 1
                if too_many <= 0:
                    self._running += 1
                    return None
                if self._answered:
                    return self._answered[min(too_many, len(self._answered)) - 1] + WINDOW
                self._changed.wait(timeout=60)  # every slot is at work; look again when one has ended

    def _leave(self) -> None:
        with self._changed:
            self._running -= 1
            self._answered.append(self._clock.now())
            self._changed.notify_all()

    def _limit(self, now: datetime) -> int:
        halved = self._throttled_until is not None and now < self._throttled_until
        return max(1, self._per_minute // 2) if halved else self._per_minute
