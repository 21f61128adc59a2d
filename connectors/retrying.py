"""Bounded retries for reads, which may be repeated; uploads are retried by the job that records them."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from connectors.errors import Transient, UnknownHost
from connectors.ports import Clock

ATTEMPTS = 5
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=60)
LONGEST_ASKED_FOR = timedelta(minutes=5)

T = TypeVar("T")


# stamina would be the library for this, but its synchronous retries end in tenacity's `time.sleep` and take
# no sleep of ours (26.1.0); every wait here must go through the clock, which may be a sandbox's.
def retry_read(read: Callable[[], T], *, clock: Clock, jitter: Callable[[], float] = random.random) -> T:
    """Return what `read` returns, asking again while it is `Transient`, five times in all.

    Waits 1 s, doubling to 60 s, each shortened by up to half. A delay the platform asks for is waited for
    instead; one longer than five minutes is not waited for here.

    Args:
        read: one attempt, free of side effects.
        clock: the only way to wait.
        jitter: numbers from 0 to 1, where 1 is the whole wait.

    Raises:
        Transient: the last one, with the platform's own delay where it named one; an UnknownHost at once.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return read()
        except UnknownHost:
            raise
        except Transient as failure:
            asked = failure.retry_after
            if asked is not None and asked > LONGEST_ASKED_FOR:
                raise
        clock.sleep_until(clock.now() + (asked or _backoff(attempt, jitter())))
    return read()


def _backoff(attempt: int, jitter: float) -> timedelta:
    return min(FIRST_WAIT * (1 << (attempt - 1)), LONGEST_WAIT) * (0.5 + jitter / 2)
