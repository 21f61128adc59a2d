"""Expected values in the settings: how they are written, and what they must be estimated from."""

from datetime import timedelta
from decimal import Decimal

import pytest

from jobs.rules.model import Cohort, SaleTerms
from jobs.settings import ValidSettings
from jobs.settings.compile import compile_rules
from jobs.settings.schema import ExpectedValueSettings
from tests.builders import GOOGLE
from tests.fakes import LIMITS

VISIT = "{ id: visit, stage: appointment, value: %s, google_ads: { conversion_action: 1 } }"
SALE = "{ id: sale, stage: won, %s google_ads: { conversion_action: 2 } }"
AMOUNT = "value: { field: amount, tax: included }, undo_when: lost,"
OF_ITS_OWN = "expected values are estimated from the sales' own: write { field, tax }, or a number"
NOTHING_TO_ESTIMATE_FROM = "expected values are estimated from this conversion's: give it a value, as { field, tax }"
HELD = (
    "without otherwise, these conversions are held back while leads and sales are too few for an estimate; "
    "`oplead-sync values suggest` tells how many are missing"
)


def conversions(visit, sale=SALE % AMOUNT):
    """The YAML of a visit with a value, and of a sale."""
    return f"[{VISIT % visit}, {sale}]"


@pytest.mark.parametrize(
    ("written", "otherwise"),
    [("expected", None), ("{ expected: true }", None), ("{ expected: true, otherwise: 60 }", Decimal(60))],
)
def test_an_expected_value_is_a_word_or_has_a_stand_in(loaded, written, otherwise):
    """All mean the same estimate."""
    visit, _ = loaded(conversions=conversions(written)).settings.conversions

    assert ExpectedValueSettings(expected=True, otherwise=otherwise) == visit.value


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("{ expected: false }", "conversions.0.value.expected: write true, or a number as the value itself"),
        ("{ expected: yes }", "conversions.0.value.expected: write true or false"),
        ("{ expected: true, later: 60 }", "conversions.0.value.later: there is no such key here"),
    ],
)
def test_other_ways_to_write_it_are_refused(complaints, written, complaint):
    """The complaint is about expected values, not about amounts."""
    assert [complaint] == complaints(conversions=conversions(written))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (conversions("60", SALE % "value: expected,"), f"conversions.1.value: {OF_ITS_OWN}"),
        (conversions("expected", SALE % ""), f"conversions.1: {NOTHING_TO_ESTIMATE_FROM}"),
        (conversions("{ expected: true }", SALE % ""), f"conversions.1: {NOTHING_TO_ESTIMATE_FROM}"),
    ],
)
def test_the_sale_has_a_value_of_its_own(complaints, given, complaint):
    """Nothing else says what sales are worth."""
    assert [complaint] == complaints(conversions=given)


@pytest.mark.parametrize("sale", [AMOUNT, "value: 900,"])
def test_sales_with_an_amount_or_a_number_are_enough(loaded, sale):
    """A fixed value of the sale is every sale's."""
    assert isinstance(loaded(conversions=conversions("expected", SALE % sale)), ValidSettings)


def test_a_file_is_told_that_conversions_wait_for_an_estimate(loaded):
    """Unless it says what to send meanwhile."""
    noted = loaded(conversions=conversions("expected")).notes

    assert [f"conversions.0.value: {HELD}"] == [f"{each.path}: {each.message}" for each in noted]
    assert () == tuple(loaded(conversions=conversions("{ expected: true, otherwise: 60 }")).notes)


def test_its_route_says_what_it_is_estimated_from(loaded):
    """The leads of its stage that its `where` is about, and the sales that stand."""
    visit = VISIT % "{ expected: true, otherwise: 60 }, implied_by: won, where: { channel: Site web }"
    book = compile_rules(loaded(conversions=f"[{visit}, {SALE % AMOUNT}]").settings, {GOOGLE: LIMITS})
    rule = book.find_conversion_route("visit", GOOGLE).expected_value

    where = {"channel": frozenset({"site web"})}
    assert Cohort(frozenset({"rendez vous", "rdv pris", "gagne"}), where=where) == rule.cohort
    assert SaleTerms(frozenset({"gagne"}), frozenset({"perdu"}), path="amount") == rule.sale
    assert (Decimal(60), None, None) == (rule.otherwise, rule.value, rule.estimate)
    assert book.find_conversion_route("sale", GOOGLE).expected_value is None


@pytest.mark.parametrize(
    ("written", "after"),
    [(None, timedelta(days=7)), ("{ recompute: monthly }", timedelta(days=30)), ("{ recompute: never }", None)],
)
def test_marketing_sets_how_often_values_are_estimated_anew(loaded, written, after):
    """Weekly, unless it says otherwise."""
    settings = loaded(conversions=conversions("expected"), values=written).settings

    assert after == compile_rules(settings, {GOOGLE: LIMITS}).recompute_after


def test_another_basis_is_another_estimate(loaded):
    """A label more is a stage of other leads; a stand-in changes nothing."""

    def basis(**changes):
        settings = loaded(**{"conversions": conversions("expected")} | changes).settings
        return (
            compile_rules(settings, {GOOGLE: LIMITS}).find_conversion_route("visit", GOOGLE).expected_value.basis_digest
        )

    assert basis() == basis(conversions=conversions("{ expected: true, otherwise: 9 }"))
    assert basis() != basis(stages="{ appointment: [RDV], won: [Gagné], lost: Perdu }")
    assert basis() != basis(conversions=conversions("expected", SALE % "value: { field: net, tax: excluded },"))
