"""An id that Oplead gives to another lead: nothing of the new one is sent, or corrected on the former one's record."""

from datetime import timedelta
from decimal import Decimal

import pytest

from jobs.nightly import run_night
from jobs.run_context import TwinAnswer
from tests.builders import CREATED, attention, changed, from_field, lead, route, rulebook

DAY = timedelta(days=1)


def night(account, **more):
    """Run one night a day later, and return its summary."""
    account.clock.time += DAY
    with account.hold() as ledger:
        return run_night(account.run(ledger, **more))


@pytest.fixture
def paid(account):
    """An account whose leads were sent with their amounts."""
    account.book = rulebook(route(field_value=from_field()))
    account.put(*(lead(f"L-{number}") for number in range(6)))
    night(account)
    night(account)
    return account


def reuse(account, count, moved=31 * DAY):
    """Have Oplead show others, created at another time and worth more, under the ids of so many leads."""
    for number in range(count):
        other = {"created_at": CREATED - moved, "fields": {"consent": "oui", "amount": Decimal(9000)}}
        account.put(changed(lead(f"L-{number}"), **other))


def test_nothing_of_another_lead_is_corrected_on_the_former_ones_record(paid):
    """It is told, and named, until somebody says what it is; what was sent stands."""
    reuse(paid, 1)
    first, second = night(paid), night(paid)
    told = night(paid, twins=TwinAnswer.OTHER)

    assert (1, 1, 0) == (first.exit_code, second.exit_code, told.exit_code)
    assert "another lead under the id of 1 lead" in attention(first)[0]
    assert "(L-0)" in attention(second)[0]
    assert [] == paid.corrections()
    assert 6 == sum(paid.sink.counted.values())


def test_creation_that_moves_by_a_month_is_the_same_lead(paid):
    """Somebody corrected it."""
    reuse(paid, 1, moved=30 * DAY)
    summary = night(paid)

    assert (0, 1) == (summary.exit_code, len(paid.corrections()))


def test_four_in_a_night_hold_what_is_due(paid):
    """Day and month are exchanged rather: until it is mended, nothing goes out, and then all does."""
    reuse(paid, 4)
    paid.put(lead("X-1"))
    first, second = night(paid), night(paid)

    assert (1, 1, "pending") == (first.exit_code, second.exit_code, paid.states["X-1"])
    assert "day and month exchanged" in attention(second)[0]

    paid.put(*(lead(f"L-{number}") for number in range(4)))
    assert 0 == night(paid).exit_code
    assert "submitted" == paid.states["X-1"]


@pytest.mark.parametrize(("answer", "corrected"), [(TwinAnswer.SAME, 4), (TwinAnswer.OTHER, 0)])
def test_answer_releases_what_was_held(paid, answer, corrected):
    """The same leads are taken as they are now; of others, still nothing is stored."""
    reuse(paid, 4)
    paid.put(lead("X-1"))
    night(paid)
    told = night(paid, twins=answer)
    after = night(paid)

    assert (0, 0, corrected) == (told.exit_code, after.exit_code, len(paid.corrections()))
    assert 7 == sum(paid.sink.counted.values())
