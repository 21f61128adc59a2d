"""The first month's accidents with what counts and what it is worth: amounts, conditions, test leads."""

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
    """A company with a first night behind it."""
    month = Month(company)
    month.history(40)
    assert QUIET == month.night().said
    return month


def sold_today(month, first, count, **more):
    """New leads that are sold on their first day; when."""
    numbers = range(first, first + count)
    month.create(*numbers)
    return month.enter("Gagné", *numbers, **more)


# ── an amount that comes late ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("nothing", [None, "", "0,00 €", 0], ids=["null", "empty", "zero", "zero as a number"])
def test_an_amount_typed_two_days_after_the_sale(month, nothing):
    """The sale waits for it, in silence, and goes out once with it and its own time; `otherwise` is never told."""
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


def test_an_amount_that_nobody_types(month):
    """`otherwise` goes out once, not before three days after the sale and not later than the next night."""
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


def test_an_amount_that_nobody_types_and_nothing_instead(month):
    """Without `otherwise` the sale is withheld, and goes out once whenever the amount comes, while still in time."""
    del month.conversion("sale")["value"]["otherwise"]
    sold = sold_today(month, 1, 3, amount=None)
    month.nights(8)
    assert not month.uploaded()

    month.edit(1, 2, 3, amount=PRICE)
    month.nights(2)

    assert sorted(expected("sale", sold)) == month.arrivals()
    month.true_books()


@pytest.mark.parametrize("typed", ["1.250", "sur devis", "1,250", "12 500 ou 13 000"])
def test_an_amount_nobody_can_read(month, typed):
    """Withheld: it is no missing amount, so `otherwise` never stands in for it. Typed anew, it goes out once."""
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


def test_most_amounts_of_a_night_cannot_be_read(month):
    """Somebody changes how amounts are typed: told the same night; what can be read goes out."""
    others = sold_today(month, 11, 3)
    odd = sold_today(month, 1, 7, amount="1.250")

    month.night().told("amount|value")
    assert sorted(expected("sale", others)) == month.arrivals()

    month.edit(*range(1, 8), amount="1250")
    month.nights(2)

    assert sorted(expected("sale", others) + expected("sale", odd, value=1_250.0)) == month.arrivals()


def test_amounts_read_from_a_field_that_no_lead_has(company):
    """A slip in its name: told on the first night, before anything is told without its amount; mended, it goes out."""
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


def test_a_company_that_has_not_sold_yet(company):
    """No lead has an amount because none is sold: nobody is called."""
    month = Month(company)
    month.create(*range(1, 41), created=START - 10 * DAY)
    month.enter("En cours", *range(1, 21), at=START - 8 * DAY)

    assert QUIET == month.night().said
    assert QUIET == month.night().said


@pytest.mark.parametrize("tax", ["included", "excluded"])
def test_whether_tax_is_in_an_amount_is_said_and_changes_nothing(month, tax):
    """It is the settings' word on what the field holds; the amount goes out as it stands."""
    month.conversion("sale")["value"]["tax"] = tax
    sold = sold_today(month, 1, 2)
    month.nights(2)

    assert sorted(expected("sale", sold)) == month.arrivals()


def test_whether_tax_is_in_an_amount_must_be_said(month):
    """Without it nothing runs, and the message names the key."""
    del month.conversion("sale")["value"]["tax"]
    sold_today(month, 1, 2)

    assert "tax" in month.refused_night()
    assert not month.uploaded()


# ── a condition too narrow ───────────────────────────────────────────────────────────────────────


def test_a_condition_that_fits_no_lead(month):
    """`explain` names it; once widened, what happened since the start and is in time goes out once, with its time."""
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


def test_a_condition_on_a_field_that_no_lead_has(company):
    """Told on the first night, the field named; mended, what happened since then goes out."""
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


def test_a_condition_that_keeps_most_leads_out_on_purpose(month):
    """Nobody is called for leads that are not wanted."""
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


def test_test_leads_are_counted_and_nothing_else(month):
    """Of each kind that is excluded nothing is sent and nothing kept; how many there were is said."""
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


def test_a_lead_found_to_be_a_test_after_it_was_read(month):
    """What is open of it never goes out; what was sent stays."""
    month.create(1, 11, contact={"email": "test@maison-test.example"})
    month.enter("Rendez-vous", 1, at=None)
    month.enter("Gagné", 1, 11, amount=None)
    other = sold_today(month, 21, 1)
    month.night()
    month.settings["exclude"] = {"email_domains": ["maison-test.example"]}
    month.edit(1, 11, amount=PRICE)
    month.nights(5)

    assert [("L-1", "appointment"), ("L-21", "sale")] == month.arrived()
    assert 1 == len(other)
