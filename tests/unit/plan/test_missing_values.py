"""A wrong path of an amount holds conversions back, instead of sending them at what stands in for one."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from jobs.reporting.wording import ANOMALY_TITLES
from tests.builders import START, attention, changed, from_field, lead, route, rulebook

NOTHING = {"consent": "oui"}
DAY = timedelta(days=1)


def selling(path="montant", *, wait=timedelta(0), **over):
    """Sales worth what stands at a path, or 900."""
    value = from_field(path=path, otherwise=Decimal(900), wait=wait)
    return replace(rulebook(route(field_value=value), **over), extraction_digest=path)


def sold(account, count, fields=NOTHING):
    """So many leads were won."""
    account.book = selling()
    account.put(*(lead(f"L-{number}", fields=fields) for number in range(1, count + 1)))


def worth(account):
    """What each delivery was sent for, and how often."""
    return {row.lead: row.value for row in account.rows() if row.event_sha256}


def test_nothing_goes_out_for_want_of_an_amount_that_no_lead_has(account):
    """Twenty are won and none has one: they are held back, and a human is told of the path that same night."""
    sold(account, 20)

    summary = account.night()

    assert ([], {"value_never_seen"}) == (account.sink.calls, set(account.reasons.values()))
    assert 1 == summary.exit_code
    assert [told for told in attention(summary) if "no lead has an amount at montant" in told]
    assert ["Conversions are held back"] == [
        ANOMALY_TITLES[each.message.id] for each in summary.review.anomalies if each.cause.about == ("montant",)
    ]


def test_leads_won_before_their_conversion_counts_tell_as_well(account):
    """It is told before the first one could be sent."""
    sold(account, 20)
    account.book = selling(since={"sale": START + 30 * DAY})

    assert [told for told in attention(account.night()) if "montant" in told]


@pytest.mark.parametrize("amounts", [{"montant": "8 900"}, {"montant": "à voir"}])
def test_one_amount_on_any_lead_shows_that_the_path_is_right(account, amounts):
    """Then the others go out for what stands in for theirs; so they do while few are won."""
    sold(account, 20)
    account.put(lead("L-0", label="Nouveau", history=(), fields=NOTHING | amounts))

    account.night()

    assert {"900.00"} == set(worth(account).values())
    assert 20 == len(worth(account))


def test_few_leads_may_well_have_no_amount_yet(account):
    """Of nineteen nobody knows."""
    sold(account, 19)
    account.night()

    assert 19 == len(worth(account))


def test_leads_in_other_stages_do_not_count(account):
    """Only leads that reached this conversion's stage say something of its amounts."""
    sold(account, 19)
    account.put(lead("L-20", label="Nouveau", history=(), fields=NOTHING))
    account.night()

    assert 19 == len(worth(account))


def test_a_rehearsal_shows_it(account):
    """It is decided with the plan, before anything is sent."""
    sold(account, 20)
    account.prepare()

    assert {"value_never_seen"} == set(account.reasons.values())


def test_it_holds_at_the_moment_of_sending(account):
    """What was planned before the twentieth was won, and waited for its amount, is held back as well."""
    sold(account, 20)
    account.book = selling(wait=3 * DAY)
    account.prepare()
    before = set(account.reasons.values())
    account.clock.time += 2 * DAY
    account.deliver()

    assert ({"value_awaited"}, {"value_never_seen"}, []) == (before, set(account.reasons.values()), account.sink.calls)


def test_once_the_path_is_mended_all_of_it_goes_out(account):
    """A changed path has everything read again; each goes for its own amount."""
    sold(account, 20, fields=NOTHING | {"amount": Decimal(1000)})
    account.night()
    account.book = selling("amount")
    account.clock.time += DAY
    summary = account.night()

    assert {"1000.00"} == set(worth(account).values())
    assert (20, 0) == (len(worth(account)), summary.exit_code)


def test_the_first_amount_that_is_typed_releases_the_others(account):
    """The path was right, and nobody had typed one yet."""
    sold(account, 20)
    account.night()
    account.put(changed(lead("L-1", fields=NOTHING), fields=NOTHING | {"montant": "4 500"}))
    account.clock.time += DAY
    account.night()

    assert {"L-1": "4500.00"} | {f"L-{number}": "900.00" for number in range(2, 21)} == worth(account)
