"""Keeps requests under a platform's published number per minute."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from connectors.bounded import Heed
from connectors.errors import Transient
from connectors.ports import Clock

# Whether the sixtieth second still counts differs from server to server: a millisecond more settles it.
WINDOW = timedelta(seconds=60, milliseconds=1)
THROTTLED_FOR = timedelta(minutes=10)
LONGEST_REQUEST = timedelta(minutes=5)
"""Longer than any request of ours takes: one that runs for longer belongs to a process that died."""
_LOOK_AGAIN = timedelta(seconds=1)


@dataclass(slots=True)
class Trace:
    """What one process has asked of a platform lately."""

    running: list[datetime] = field(default_factory=list)
    """Since when each request runs that has no answer yet."""
    answered: list[datetime] = field(default_factory=list)
    throttled_until: datetime | None = None
    """The platform said that it was asked too fast; until then the pace is halved."""
    closed_until: datetime | None = None
    """Until then nothing goes out, because nobody knows what went out before."""

    def at(self, now: datetime) -> "Trace":
        """What of it still counts now; a request that never ended counts as one answered when it must have been."""
        running = [_possible(since, now) for since in self.running]
        lost = [since + LONGEST_REQUEST for since in running if now - since >= LONGEST_REQUEST]
        return Trace(
            running=[since for since in running if now - since < LONGEST_REQUEST],
            answered=[at for at in (*lost, *(_possible(at, now) for at in self.answered)) if now - at < WINDOW],
            throttled_until=_ahead(self.throttled_until, now, THROTTLED_FOR),
            closed_until=_ahead(self.closed_until, now, WINDOW),
        )

    def __bool__(self) -> bool:
        return bool(self.running or self.answered or self.throttled_until or self.closed_until)


class Shared(Protocol):
    """Where the processes that ask one platform tell each other what they asked."""

    def opened(self, own: Trace, now: datetime) -> AbstractContextManager[Sequence[Trace]]:
        """Keep the others out while the block runs; gives their traces, and tells them `own` as it is at the end.

        Raises:
            Transient: another process keeps us out for too long.
        """


class Pacer:
    """Lets at most `per_minute` requests into any minute, however many threads and processes ask.

    A slot is freed a minute after the response, not after the request: the platform may count a request when
    it has finished with it.
    """

    def __init__(
        self, clock: Clock, per_minute: int, *, shared: Shared | None = None, heed: Heed | None = None
    ) -> None:
        """Start with what the other processes have left free.

        Args:
            clock: the only way to wait.
            per_minute: at least 1.
            shared: where the other processes tell of theirs.
            heed: asked before each slot; it may raise, so that no request begins any more.
        """
        if per_minute < 1:
            raise ValueError("a pace is at least one request a minute")
        self._clock = clock
        self._per_minute = per_minute
        self._shared = shared
        self._heed = heed
        self._own = Trace()
        self._changed = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a free slot and hold it for one request: `with pacer.slot(): …`.

        Raises:
            Transient: another process keeps us from our common notes for too long.
        """
        while (free_at := self.take()) is not None:
            self._clock.sleep_until(free_at)
        try:
            yield
        finally:
            self.give_back()

    def take(self) -> datetime | None:
        """Take a slot and return None, or say when to try again; another thread may `give_back` what was taken.

        Raises:
            Transient: another process keeps us from our common notes for too long.
        """
        with self._changed:
            while True:
                if self._heed is not None:
                    self._heed()
                # Never ask the time with the others kept out: a sandbox's may stand still until they sleep.
                now = self._clock.now()
                with self._opened(now) as others:
                    free_at = self._free_at(now, others)
                    if free_at is None:
                        self._own.running.append(now)
                        return None
                if free_at > now:
                    return free_at
                self._changed.wait(timeout=1)  # every slot is at work here; look again when one has ended

    def give_back(self) -> None:
        """The request that took a slot has ended: its minute begins."""
        with self._changed:
            now = self._clock.now()
            self._own.running.pop(0)
            self._own.answered.append(now)
            self._tell(now)
            self._changed.notify_all()

    def throttled(self) -> None:
        """Halve the pace for ten minutes, because the platform said it was too fast (429)."""
        with self._changed:
            now = self._clock.now()
            self._own.throttled_until = now + THROTTLED_FOR
            self._tell(now)

    def _tell(self, now: datetime) -> None:
        # Kept out, we tell it with the next request; until then the others count it as running.
        with suppress(Transient), self._opened(now):
            pass

    def _opened(self, now: datetime) -> AbstractContextManager[Sequence[Trace]]:
        running, self._own.running = self._own.running, []  # ours are not lost, however long they take
        self._own = self._own.at(now)
        self._own.running = running
        return nullcontext(()) if self._shared is None else self._shared.opened(self._own, now)

    def _free_at(self, now: datetime, others: Sequence[Trace]) -> datetime | None:
        """When there may be a free slot: None for at once; now, where one of our own requests must end first."""
        traces = (self._own, *others)
        closed = [trace.closed_until for trace in traces if trace.closed_until]
        if closed:
            return max(closed)
        answered = sorted(at for trace in traces for at in trace.answered)
        running = sum(len(trace.running) for trace in traces)
        halved = any(trace.throttled_until for trace in traces)
        limit = max(1, self._per_minute // 2) if halved else self._per_minute
        too_many = running + len(answered) - limit + 1
        if too_many <= 0:
            return None
        if answered:
            return answered[min(too_many, len(answered)) - 1] + WINDOW
        return now + _LOOK_AGAIN if any(trace.running for trace in others) else now


def _possible(at: datetime, now: datetime) -> datetime:
    """A machine's clock may be set back: nothing happened far ahead of now."""
    return now if at - now > WINDOW else at


def _ahead(until: datetime | None, now: datetime, longest: timedelta) -> datetime | None:
    return min(until, now + longest) if until is not None and until > now else None
