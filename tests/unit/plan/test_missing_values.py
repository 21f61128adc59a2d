"""The missing-value guard: a wrong value path withholds conversions instead of sending them at the default."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from jobs.reporting.wording.messages import ANOMALY_TITLES
from tests.builders import START, attention, changed, from_field, lead, route, rulebook

NOTHING = {"consent": "oui"}
DAY = timedelta(days=1)


def selling(path="montant", *, wait=timedelta(0), **over):
    """Return rules of sales worth the value at this path, or 900."""
    value = from_field(path=path, otherwise=Decimal(900), wait=wait)
    return replace(rulebook(route(field_value=value), **over), extraction_digest=path)


def sold(account, count, fields=NOTHING):
    """Add this many won leads."""
    account.book = selling()
    account.put(*(lead(f"L-{number}", fields=fields) for number in range(1, count + 1)))


def worth(account):
    """Return the value of each delivery that has been sent."""
    return {row.lead: row.value for row in account.rows() if row.event_sha256}


def test_guard_withholds_conversions_if_no_lead_has_a_value(account):
    """Twenty are won and none has a value: the path is reported on the same night."""
    sold(account, 20)

    summary = account.night()

    assert ([], {"value_never_seen"}) == (account.sink.calls, set(account.reasons.values()))
    assert 1 == summary.exit_code
    assert [told for told in attention(summary) if "no lead has an amount at montant" in told]
    assert ["Conversions are held back"] == [
        ANOMALY_TITLES[each.message.id] for each in summary.review.anomalies if each.cause.about == ("montant",)
    ]


def test_leads_won_before_the_start_count_for_the_guard(account):
    """A wrong path is reported before the first conversion could be sent."""
    sold(account, 20)
    account.book = selling(since={"sale": START + 30 * DAY})

    assert [told for told in attention(account.night()) if "montant" in told]


@pytest.mark.parametrize("amounts", [{"montant": "8 900"}, {"montant": "à voir"}])
def test_single_value_on_any_lead_satisfies_the_guard(account, amounts):
    """The path is then right, and the others are sent at the default, even if that value is unreadable."""
    sold(account, 20)
    account.put(lead("L-0", label="Nouveau", history=(), fields=NOTHING | amounts))

    account.night()

    assert {"900.00"} == set(worth(account).values())
    assert 20 == len(worth(account))


def test_guard_needs_twenty_leads(account):
    """Nineteen leads prove nothing."""
    sold(account, 19)
    account.night()

    assert 19 == len(worth(account))


def test_guard_counts_only_leads_that_reached_the_stage(account):
    """Other leads reveal nothing about the values of this conversion."""
    sold(account, 19)
    account.put(lead("L-20", label="Nouveau", history=(), fields=NOTHING))
    account.night()

    assert 19 == len(worth(account))


def test_guard_applies_when_planning(account):
    """It is decided with the plan, before anything is sent, so a rehearsal shows it."""
    sold(account, 20)
    account.prepare()

    assert {"value_never_seen"} == set(account.reasons.values())


def test_guard_applies_when_sending(account):
    """Conversions planned earlier, and still waiting for their value, are withheld as well."""
    sold(account, 20)
    account.book = selling(wait=3 * DAY)
    account.prepare()
    before = set(account.reasons.values())
    account.clock.time += 2 * DAY
    account.deliver()

    assert ({"value_awaited"}, {"value_never_seen"}, []) == (before, set(account.reasons.values()), account.sink.calls)


def test_corrected_path_releases_all_conversions(account):
    """A changed path has every lead read again, and each is sent with its own value."""
    sold(account, 20, fields=NOTHING | {"amount": Decimal(1000)})
    account.night()
    account.book = selling("amount")
    account.clock.time += DAY
    summary = account.night()

    assert {"1000.00"} == set(worth(account).values())
    assert (20, 0) == (len(worth(account)), summary.exit_code)


def test_first_value_entered_releases_the_others(account):
    """The path was right, but nobody had entered a value yet."""
    sold(account, 20)
    account.night()
    account.put(changed(lead("L-1", fields=NOTHING), fields=NOTHING | {"montant": "4 500"}))
    account.clock.time += DAY
    account.night()

    assert {"L-1": "4500.00"} | {f"L-{number}": "900.00" for number in range(2, 21)} == worth(account)
