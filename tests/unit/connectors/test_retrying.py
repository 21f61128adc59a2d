"""Bounded retries of reads."""

from datetime import UTC, datetime, timedelta

import pytest

from connectors.errors import Misconfigured, Transient, UnknownHost
from connectors.http import retry_read


class StillClock:
    """A clock that moves only when somebody sleeps, and remembers for how long."""

    def __init__(self):
        self.time = datetime(2026, 7, 21, 3, 30, tzinfo=UTC)
        self.slept = []

    def now(self):
        """The present instant."""
        return self.time

    def sleep_until(self, moment):
        """Move there at once."""
        self.slept.append((moment - self.time).total_seconds())
        self.time = moment


def scripted(*outcomes):
    """A read that raises or returns these in turn, and counts its calls."""
    left = list(outcomes)

    def read():
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return read, left


def test_an_answer_is_returned_at_once():
    """No failure, no wait."""
    clock = StillClock()

    assert 7 == retry_read(lambda: 7, clock=clock)
    assert [] == clock.slept


def test_a_host_that_does_not_exist_is_told_at_once():
    """No wait makes its name right; the night ends as with any source that failed."""
    clock = StillClock()
    read, left = scripted(UnknownHost("no host"), "never")

    with pytest.raises(Transient, match="no host"):
        retry_read(read, clock=clock)

    assert ["never"] == left
    assert [] == clock.slept


@pytest.mark.parametrize(("jitter", "waits"), [(1.0, [1, 2, 4, 8]), (0.0, [0.5, 1, 2, 4])])
def test_the_waits_double_and_five_attempts_are_all(jitter, waits):
    """The last failure is the one that is raised."""
    clock = StillClock()
    last = Transient("the fifth")
    read, left = scripted(*[Transient("x")] * 4, last, "never")

    with pytest.raises(Transient) as caught:
        retry_read(read, clock=clock, jitter=lambda: jitter)

    assert last is caught.value
    assert ["never"] == left
    assert waits == clock.slept


def test_the_platforms_delay_replaces_ours():
    """Up to five minutes."""
    clock = StillClock()
    read, _ = scripted(Transient("x", retry_after=timedelta(minutes=5)), "answer")

    assert "answer" == retry_read(read, clock=clock, jitter=lambda: 1.0)
    assert [300.0] == clock.slept


def test_a_longer_delay_is_not_waited_for():
    """The caller is told how long, and nothing was slept."""
    clock = StillClock()
    read, _ = scripted(Transient("x", retry_after=timedelta(minutes=5, seconds=1)), "answer")

    with pytest.raises(Transient):
        retry_read(read, clock=clock)

    assert [] == clock.slept


def test_what_asking_again_does_not_mend_is_raised_at_once():
    """A wrong token stays wrong."""
    clock = StillClock()
    read, left = scripted(Misconfigured("x"), "answer")

    with pytest.raises(Misconfigured):
        retry_read(read, clock=clock)

    assert ["answer"] == left
