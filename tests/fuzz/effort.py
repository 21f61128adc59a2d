"""How much the fuzz tests try: about half a minute in the test suite, otherwise FUZZ_SECONDS."""

import os
import signal
from contextlib import contextmanager

from hypothesis import HealthCheck, settings

from tests import suite

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""How long to fuzz in total; 0 for a single pass."""
EXAMPLES = {"count": 0}
"""How many examples were tried in this process."""
_MOST = 2.0

FUZZ = settings(
    max_examples=400 if SECONDS else suite.examples(35, 70),
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
    ],
)

SLOW = settings(FUZZ, max_examples=FUZZ.max_examples // 8)
"""For tests that are inherently slow."""


class _TooLongError(BaseException):
    """Raised from the timer; no code under test catches it."""


@contextmanager
def in_time(most=_MOST):
    """Fail if the block exceeds its limit of this process's CPU time, so that a busy machine causes no failure."""
    EXAMPLES["count"] += 1
    before = signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, most)
    try:
        yield
    except _TooLongError:
        message = f"this takes more than {most:g} s"
        raise AssertionError(message) from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _stop(*_):
    raise _TooLongError
