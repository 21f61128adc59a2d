"""Bounded retries of reads."""

from datetime import UTC, datetime, timedelta

import pytest

from connectors.errors import Misconfigured, Transient, UnknownHost
from connectors.http import retry_read


class StillClock:
    """A clock that moves only when a caller sleeps, and records for how long."""

    def __init__(self):
        self.time = datetime(2026, 7, 21, 3, 30, tzinfo=UTC)
        self.slept = []

    def now(self):
        """The current time."""
        return self.time

    def sleep_until(self, moment):
        """Jump to the moment at once."""
        self.slept.append((moment - self.time).total_seconds())
        self.time = moment


def scripted(*outcomes):
    """A read that raises or returns the given outcomes in turn, and those that are left."""
    left = list(outcomes)

    def read():
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return read, left


def test_a_successful_read_does_not_wait():
    """The answer is returned at once."""
    clock = StillClock()

    assert 7 == retry_read(lambda: 7, clock=clock)
    assert [] == clock.slept


def test_an_unknown_host_is_not_retried():
    """Waiting does not correct the name; it is still a transient error, so the night ends as for any failed source."""
    clock = StillClock()
    read, left = scripted(UnknownHost("no host"), "never")

    with pytest.raises(Transient, match="no host"):
        retry_read(read, clock=clock)

    assert ["never"] == left
    assert [] == clock.slept


@pytest.mark.parametrize(("jitter", "waits"), [(1.0, [1, 2, 4, 8]), (0.0, [0.5, 1, 2, 4])])
def test_waits_double_and_stop_after_five_attempts(jitter, waits):
    """The last failure is the one raised."""
    clock = StillClock()
    last = Transient("the fifth")
    read, left = scripted(*[Transient("x")] * 4, last, "never")

    with pytest.raises(Transient) as caught:
        retry_read(read, clock=clock, jitter=lambda: jitter)

    assert last is caught.value
    assert ["never"] == left
    assert waits == clock.slept


def test_the_platforms_delay_replaces_the_default():
    """It may be up to five minutes."""
    clock = StillClock()
    read, _ = scripted(Transient("x", retry_after=timedelta(minutes=5)), "answer")

    assert "answer" == retry_read(read, clock=clock, jitter=lambda: 1.0)
    assert [300.0] == clock.slept


def test_a_delay_over_five_minutes_is_not_waited_for():
    """The error that the platform gave is raised without a sleep."""
    clock = StillClock()
    read, _ = scripted(Transient("x", retry_after=timedelta(minutes=5, seconds=1)), "answer")

    with pytest.raises(Transient):
        retry_read(read, clock=clock)

    assert [] == clock.slept


def test_a_permanent_error_is_not_retried():
    """A wrong token stays wrong."""
    clock = StillClock()
    read, left = scripted(Misconfigured("x"), "answer")

    with pytest.raises(Misconfigured):
        retry_read(read, clock=clock)

    assert ["answer"] == left
