"""A night cancelled at any point leaves nothing in flight, and the next night does the rest."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from connectors.errors import Transient
from jobs.cancellation import StoppedBySignal
from jobs.deliver.sender import ATTEMPTS
from jobs.ledger.schema import Request
from jobs.nightly import run_night, run_validation_night
from jobs.rules.reasons import StopCause, StopKind
from jobs.run_context import RunReadingScope
from tests import fakes
from tests.builders import lead, route, rulebook

HALF_HOUR = timedelta(minutes=31)


def night(account, *, stop_at=None, reading=RunReadingScope.EVERYTHING):
    """Run a night that is cancelled at its nth check of the cancel token."""
    chances = count(1)

    def cancel_token():
        if next(chances) == stop_at:
            raise StoppedBySignal(15)

    with account.hold() as ledger:
        return run_night(account.run(ledger, cancel_token=cancel_token), reading=reading)


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_cancelled_night_leaves_nothing_in_flight(account, stop_at):
    """Every request on record has its answer, and each sale is sent once, if need be by the next night."""
    account.put(*(lead(f"L-{number}") for number in range(1, 4)))
    try:
        night(account, stop_at=stop_at)
        stopped = False
    except StoppedBySignal:
        stopped = True

    assert "in_flight" not in account.states.values()
    assert "open" not in account.requests

    account.clock.time += HALF_HOUR
    night(account)
    account.clock.time += HALF_HOUR
    night(account)

    assert stopped == (stop_at <= 2)
    assert {"L-1": "accepted", "L-2": "accepted", "L-3": "accepted"} == account.states
    assert 1 == len(account.rows(Request))


def test_validation_checks_the_cancel_token_before_each_request(account):
    """Cancelled after its first answer, `run --validate-only` makes no second request."""
    account.sink.limits = replace(account.sink.limits, batch=1)
    account.book = rulebook(route(limits=account.sink.limits))
    account.put(*(lead(f"L-{number}") for number in range(1, 4)))

    def cancel_token():
        if account.sink.calls:
            raise StoppedBySignal(15)

    with account.hold() as ledger, pytest.raises(StoppedBySignal):
        run_validation_night(account.run(ledger, cancel_token=cancel_token))

    assert 1 == len(account.sink.calls)


def test_resolving_outcomes_alone_reads_no_leads(account):
    """Submitted deliveries are settled, due ones are sent, and unread leads stay unread."""
    account.put(lead("L-1"))
    night(account)
    account.put(lead("L-2"))
    account.clock.time += HALF_HOUR
    summary = night(account, reading=RunReadingScope.NOTHING)

    assert RunReadingScope.NOTHING is summary.reading
    assert {"L-1": "accepted"} == account.states
    assert 0 == summary.pulled.pages


def test_resolving_outcomes_alone_replays_nothing(account):
    """Three replays span three nights, however often outcomes are resolved in between."""
    account.put(lead("L-1"))
    account.prepare()
    account.sink.script.extend([fakes.lost_after] * ATTEMPTS)
    account.deliver()

    assert {"L-1": "in_doubt"} == account.states

    for _ in range(5):
        night(account, reading=RunReadingScope.NOTHING)

    assert {"L-1": "in_doubt"} == account.states
    assert ATTEMPTS == len(account.rows(Request))


class Turns:
    """A quota that accounts share: as many turns as a test says, and what they were taken for."""

    def __init__(self, sink, left):
        self.sink = sink
        self.left = left
        self.under_way = 0
        self.calls = []
        self._submit, sink.submit, sink.wait_for_quota = sink.submit, self._counted, self.wait_for_quota

    @contextmanager
    def wait_for_quota(self, _target):
        """Take one, or say when there is one."""
        if not self.left:
            raise Transient("the quota of project shop is used up", retry_after=timedelta(hours=20))
        self.left -= 1
        self.under_way += 1
        yield
        self.under_way -= 1

    def _counted(self, target, batch):
        self.calls.append((self.under_way, len(batch)))
        return self._submit(target, batch)


def test_what_a_spent_quota_leaves_stays_due_and_is_sent_once_by_the_next_run(account):
    """Nothing of it is on record as tried; a human is told how long the quota is used up."""
    account.sink.limits = replace(account.sink.limits, batch=2)
    account.book = rulebook(route(limits=account.sink.limits))
    turns = Turns(account.sink, 1)
    account.put(*(lead(f"L-{number}") for number in range(1, 6)))
    summary = night(account)

    assert Counter(submitted=2, pending=3) == Counter(account.states.values())
    assert 1 == len(account.rows(Request))
    assert [StopCause(StopKind.QUOTA_FULL, ("the quota of project shop is used up",), timedelta(hours=20))] == list(
        summary.stopped_scopes.values()
    )
    assert not account.clock.slept

    turns.left = 9
    account.clock.time += HALF_HOUR
    night(account)

    assert [(1, 2), (1, 2), (1, 1)] == turns.calls
    assert {"submitted", "accepted"} == set(account.states.values())
    assert {1} == set(account.sink.counted.values())
    assert (7, 0) == (turns.left, turns.under_way)


def test_a_stop_while_waiting_for_a_turn_leaves_nothing_in_doubt(account):
    """What only waits is not on record as perhaps sent."""
    account.put(lead("L-1"))
    turns = Turns(account.sink, 1)

    @contextmanager
    def stopped(_target):
        raise StoppedBySignal(15)
        yield

    account.sink.wait_for_quota = stopped
    with pytest.raises(StoppedBySignal):
        night(account)

    assert {"L-1": "pending"} == account.states
    assert [] == account.requests
    account.sink.wait_for_quota = turns.wait_for_quota
    night(account)
    assert {"L-1": 1} == {row.lead: account.sink.counted[row.key] for row in account.rows()}
