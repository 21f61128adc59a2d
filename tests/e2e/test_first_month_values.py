"""The first month's incidents with what counts and for how much: amounts, `where` conditions, test leads."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.ledger import schema
from tests.e2e.support.month import DAY, PRICE, QUIET, Month, expected, gclid
from tests.e2e.support.typed import type_in

START = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
OTHERWISE = 900.0
WAIT = timedelta(days=3)


@pytest.fixture
def month(company):
    """A company after its first night."""
    month = Month(company)
    month.history(40)
    assert QUIET == month.night().said
    return month


def sold_today(month, first, count, **more):
    """Create leads that are sold on their first day; return when."""
    numbers = range(first, first + count)
    month.create(*numbers)
    return month.enter("Gagné", *numbers, **more)


# ── late amounts ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("nothing", [None, "", "0,00 €", 0], ids=["null", "empty", "zero", "zero as a number"])
def test_sale_waits_for_a_late_amount(month, nothing):
    """It goes out once, with the amount and its own time, and `otherwise` is never sent."""
    sold = sold_today(month, 1, 6, amount=nothing)

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert not month.uploaded()

    month.edit(*range(1, 7), amount=PRICE)

    assert QUIET == month.night().said
    assert sorted(expected("sale", sold)) == month.arrivals()

    assert [QUIET] * 4 == [night.said for night in month.nights(4)]
    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_sale_without_amount_falls_back_to_otherwise(month):
    """`otherwise` goes out once, three days after the sale at the earliest and the next night at the latest."""
    sold = sold_today(month, 1, 3, amount=None)

    silent = [month.night() for _ in range(3)]
    assert all(month.last - at < WAIT for at in sold.values())
    assert {QUIET} == {night.said for night in silent}
    assert not month.uploaded()

    assert QUIET == month.night().said
    assert sorted(expected("sale", sold, value=OTHERWISE)) == month.arrivals()

    month.nights(2)

    assert sorted(expected("sale", sold, value=OTHERWISE)) == month.arrivals()
    month.true_books()


def test_sale_without_amount_or_otherwise_is_withheld(month):
    """It goes out once whenever the amount comes, if still in time."""
    del month.conversion("sale")["value"]["otherwise"]
    sold = sold_today(month, 1, 3, amount=None)
    month.nights(8)
    assert not month.uploaded()

    month.edit(1, 2, 3, amount=PRICE)
    month.nights(2)

    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


@pytest.mark.parametrize("typed", ["1.250", "sur devis", "1,250", "12 500 ou 13 000"])
def test_unreadable_amount_is_withheld_until_corrected(month, typed):
    """It is not a missing amount, so `otherwise` never replaces it."""
    others = sold_today(month, 11, 6)
    odd = sold_today(month, 1, 2, amount=typed)

    assert QUIET == month.night().said
    assert [QUIET] * 5 == [night.said for night in month.nights(5)]
    assert sorted(expected("sale", others)) == month.arrivals()

    month.edit(1, 2, amount="1 250,00 €")

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("sale", others) + expected("sale", odd, value=1_250.0)) == month.arrivals()
    month.true_books()


def test_mostly_unreadable_amounts_raise_a_notice(month):
    """The format has changed: the run reports it the same night, and readable amounts are sent."""
    others = sold_today(month, 11, 3)
    odd = sold_today(month, 1, 7, amount="1.250")

    month.night().told("amount|value")
    assert sorted(expected("sale", others)) == month.arrivals()

    month.edit(*range(1, 8), amount="1250")
    month.nights(2)

    assert sorted(expected("sale", others) + expected("sale", odd, value=1_250.0)) == month.arrivals()


def test_unknown_amount_field_is_reported_on_first_night(company):
    """The notice comes before anything is sent without its amount; once fixed, the sales go out."""
    month = Month(company)
    month.conversion("sale")["value"]["field"] = "montantTTC"
    month.history(40)

    month.night().told("montantTTC")

    sold = sold_today(month, 1, 4)
    month.night()
    assert not month.uploaded()
    month.conversion("sale")["value"]["field"] = "amount"

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_company_without_sales_raises_no_notice(company):
    """No lead has an amount because none is sold."""
    month = Month(company)
    month.create(*range(1, 41), created=START - 10 * DAY)
    month.enter("En cours", *range(1, 21), at=START - 8 * DAY)

    assert QUIET == month.night().said
    assert QUIET == month.night().said


@pytest.mark.parametrize("tax", ["included", "excluded"])
def test_tax_setting_does_not_change_the_amount(month, tax):
    """`tax` only declares what the field holds."""
    month.conversion("sale")["value"]["tax"] = tax
    sold = sold_today(month, 1, 2)
    month.nights(2)

    assert sorted(expected("sale", sold)) == month.arrivals()


def test_tax_setting_is_required(month):
    """Without it nothing runs, and the message names the key."""
    del month.conversion("sale")["value"]["tax"]
    sold_today(month, 1, 2)

    assert "tax" in month.refused_night()
    assert not month.uploaded()


# ── narrow conditions ─────────────────────────────────────────────────────────────────────────────


def test_widened_where_sends_earlier_conversions_still_in_time(month):
    """`explain` names the condition; once widened, what happened since the start goes out once, with its time."""
    month.conversion("sale")["where"] = {"channel": ["Salon"]}
    month.create(90, created=START - 90 * DAY + 5 * DAY)
    month.enter("Gagné", 90)
    sold = sold_today(month, 1, 4)
    month.nights(3)
    sold |= sold_today(month, 11, 4)
    month.nights(3)

    assert not month.uploaded()
    explained = type_in(month.company, "explain", "L-1").lines
    assert "where" in explained
    assert "sale" in explained

    month.conversion("sale")["where"] = {"channel": ["Salon", "site  WEB"]}

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


def test_where_on_an_unknown_field_is_reported(company):
    """The first night names the field; once fixed, what happened since is sent."""
    month = Month(company)
    month.conversion("sale")["where"] = {"canal": ["Site web"]}
    month.history(40)

    month.night().told("canal")

    sold = sold_today(month, 1, 4)
    month.night()
    assert not month.uploaded()
    month.conversion("sale")["where"] = {"channel": ["Site web"]}

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("sale", sold)) == month.arrivals()


def test_where_that_excludes_most_leads_raises_no_notice(month):
    """The settings exclude those leads on purpose."""
    month.conversion("sale")["where"] = {"channel": ["Salon"]}
    sold_today(month, 1, 12)
    wanted = sold_today(month, 21, 2, channel="Salon")

    assert QUIET == month.night().said
    assert QUIET == month.night().said
    assert sorted(expected("sale", wanted)) == month.arrivals()


# ── test leads ───────────────────────────────────────────────────────────────────────────────────

TESTERS = {
    1: {"contact": {"email": "Test@Maison-Test.example"}},
    2: {"contact": {"email": "c@example.com", "phone": "+33 6 99 00 00 01"}},
    3: {"contact": {"email": "d@example.com", "lastname": "TEST", "firstname": "Essai"}},
    4: {"provider": {"name": "Recette interne"}},
}
EXCLUDE = {
    "email_domains": ["maison-test.example"],
    "phones": ["06 99 00 00 01"],
    "names": ["Essai Test"],
    "fields": {"provider.name": ["recette interne"]},
}


def test_excluded_leads_are_counted_but_neither_sent_nor_stored(month):
    """Each kind of exclusion applies, and `run` reports how many there were."""
    month.settings["exclude"] = EXCLUDE
    for number, fields in TESTERS.items():
        month.create(number, **fields)
    month.create(11, contact={"email": "testeur@autre.example", "lastname": "Testu", "phone": "06 99 00 00 02"})
    month.create(12, provider={"name": "Recette"})
    month.enter("Gagné", *TESTERS)
    sold = month.enter("Gagné", 11, 12)
    night = month.night()
    month.night()

    assert QUIET == night.said
    assert sorted(expected("sale", sold)) == month.arrivals()
    assert not {f"L-{number}" for number in TESTERS} & {row.id for row in month.company.rows(schema.LeadRow)}
    kept = month.company.state.read_bytes()
    assert not [number for number in TESTERS if gclid(number).encode() in kept]
    shown = type_in(month.company, "run").lines
    assert "exclu" in shown.lower() or "test lead" in shown.lower()


def test_lead_excluded_later_sends_nothing_more(month):
    """What is open is never sent, and what was sent stays."""
    month.create(1, 11, contact={"email": "test@maison-test.example"})
    month.enter("Rendez-vous", 1, at=None)
    month.enter("Gagné", 1, 11, amount=None)
    other = sold_today(month, 21, 1)
    month.night()
    sent = month.arrivals()
    assert [("L-1", "appointment"), ("L-21", "sale")] == [one.name for one in sent]
    assert expected("sale", other) == sent[1:]

    month.settings["exclude"] = {"email_domains": ["maison-test.example"]}
    month.edit(1, 11, amount=PRICE)
    month.nights(5)

    assert sent == month.arrivals()
    rows = month.company.deliveries()
    assert [("withheld", "excluded")] * 2 == [
        (rows[name, "sale"].state, rows[name, "sale"].reason) for name in ("L-1", "L-11")
    ]
    assert ["accepted"] * 2 == [rows[one.name].state for one in sent]
