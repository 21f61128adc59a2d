"""Amounts as French users type them, and the value sent when there is none."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.rules.extraction import NoValueToSend, read_amount, value_origin, value_to_send
from jobs.rules.model import Cohort, ExpectedValueRule, SaleTerms, UnreadableAmount
from tests.builders import CREATED, WON, facts, from_field, route
from tests.fakes import NIGHT

CLOSES = CREATED + timedelta(days=90)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("8900", "8900"),
        ("12500,00 €", "12500"),
        ("12 500,00 €", "12500"),
        ("12\u202f500,00\u00a0€", "12500"),
        ("12\u00a0500", "12500"),
        ("12.500,00", "12500"),
        ("12,500.00", "12500"),
        ("1 250 000,5 €", "1250000.50"),
        ("1.250.000", "1250000"),
        ("1'250.50", "1250.50"),
        ("1250.5", "1250.50"),
        ("1250,5", "1250.50"),
        ("€ 900", "900"),
        ("900€ TTC", "900"),
        ("900 EUR HT", "900"),
        ("900 euros", "900"),
        ("0,01", "0.01"),
    ],
)
def test_reads_amounts_as_people_type_them(typed, expected):
    """Spaces of any width, both decimal marks and currency words are accepted."""
    assert Decimal(expected) == read_amount(typed)


@pytest.mark.parametrize("typed", ["900 € HT", "900 ht", "HT 900", "900 EUR HT", "900€ HT"])
def test_amount_must_match_the_declared_tax(typed):
    """HT contradicts `included`, TTC contradicts `excluded`, and both in one text are unreadable."""
    with_tax = typed.replace("HT", "TTC").replace("ht", "ttc")
    included, excluded = frozenset({"included"}), frozenset({"excluded"})

    assert [Decimal(900)] * 2 == [read_amount(typed, excluded), read_amount(with_tax, included)]
    assert [UnreadableAmount] * 2 == [type(read_amount(typed, included)), type(read_amount(with_tax, excluded))]
    assert UnreadableAmount("text, 10 characters") == read_amount("HT 900 TTC")


@pytest.mark.parametrize(
    "typed", ["", "   ", "\u00a0", "0", "0,00 €", "0.0", Decimal(0), Decimal("0.00"), Decimal("0.001")]
)
def test_empty_and_zero_are_no_amount(typed):
    """Neither says anything about the price yet."""
    assert read_amount(typed) is None


@pytest.mark.parametrize(
    "typed",
    [
        "1.250",
        "1,250",
        "12.500 €",
        "1.250,500",
        "12 50",
        "1 2500",
        "-500",
        "500-",
        "(500)",
        "1e3",
        "1 000 000 000",
        "1000000000",
        "500 $",
        "500 CHF",
        "environ 500",
        "500 / 600",
        "500-600",
        "12.500.00",
        "1 250.000,00",
        "1,250,00",
        "0x1F",
        "NaN",
        "inf",
        "1_000",
        "€",
        "TTC",
        "true",
        "⅕",
        "12\t500",
        "12\n500",
        "12\x1c500",
        "١٢٣",
        "１２００",
    ],
)
def test_ambiguous_or_malformed_amount_is_unreadable(typed):
    """It is refused rather than guessed."""
    assert isinstance(read_amount(typed), UnreadableAmount)


@pytest.mark.parametrize("number", ["-1", "NaN", "sNaN", "Infinity", "-Infinity", "1E+9", "1E+400", "9999999.995"])
def test_number_that_cannot_be_a_price_is_unreadable(number):
    """Negative, non-finite and oversized JSON numbers are refused."""
    assert isinstance(read_amount(Decimal(number)), UnreadableAmount)


@pytest.mark.parametrize(("number", "expected"), [("1250", "1250"), ("1250.5", "1250.50"), ("1.250", "1.25")])
def test_json_number_is_read_literally(number, expected):
    """A number has no thousands separator that could be ambiguous."""
    assert Decimal(expected) == read_amount(Decimal(number))


def test_unreadable_amount_does_not_reveal_what_was_typed():
    """The text may be a remark about a person."""
    assert "Durand" not in repr(read_amount("voir Mme Durand, 06 12 34 56 78"))


ANYTHING = st.text(max_size=20) | st.text("0123456789 .,'’€-+\u202f\u00a0eurTHCtc٣²", max_size=14)


@given(ANYTHING)
@example("٣٤٥")
@example("1٣")
@example("²")
@example("١٢٣,٤")
@example("𝟏𝟐")
def test_read_amount_never_raises_and_never_invents_digits(typed):
    """The digits of an amount are those of the text, in the same order."""
    amount = read_amount(typed)
    digits = "".join(str(int(digit)) for digit in typed if digit.isdecimal()).lstrip("0")

    assert amount is None or isinstance(amount, UnreadableAmount) or amount > 0
    if isinstance(amount, Decimal):
        whole, _, cents = f"{amount:.2f}".partition(".")
        told = (whole + cents).lstrip("0")
        assert told in {digits, digits + "0", digits + "00"}


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_read_amount_never_raises_on_a_number(number):
    """A JSON document may hold any number."""
    amount = read_amount(number)

    assert amount is None or isinstance(amount, UnreadableAmount) or amount > 0


@given(
    st.integers(1, 9_999_999),
    st.integers(0, 99),
    st.sampled_from([" ", "\u00a0", "\u202f", ""]),
    st.sampled_from(["", " €", "€ TTC", " euros"]),
)
def test_reads_every_french_formatted_amount(euros, cents, gap, unit):
    """Thousands are grouped, two decimals follow a comma, and a unit may follow."""
    grouped = re.sub(r"(?<=\d)(?=(\d{3})+$)", gap, str(euros))

    assert Decimal(euros) + Decimal(cents) / 100 == read_amount(f"{grouped},{cents:02}{unit}")


def expected(otherwise=None, **over):
    """A value estimated from visits."""
    return ExpectedValueRule(Cohort(frozenset({"rdv"})), SaleTerms(frozenset({"gagne"})), otherwise, **over)


# ── the value sent ───────────────────────────────────────────────────────────────────────────────


def test_fixed_value_is_sent_as_configured():
    """It waits for nothing on the lead."""
    assert Decimal(60) == value_to_send(route(fixed_value=Decimal(60)), facts(), WON, CLOSES, NIGHT)


def test_conversion_without_a_value_sends_none():
    """The value is absent, not zero."""
    assert value_to_send(route(), facts(), WON, CLOSES, NIGHT) is None


@pytest.mark.parametrize(
    ("rule", "value", "origin"),
    [
        ({"fixed_value": Decimal(60)}, Decimal(60), "fixed"),
        ({"field_value": from_field()}, Decimal(900), "field"),
        ({"field_value": from_field(path="net", otherwise=Decimal(7), wait=0 * DAY)}, Decimal(7), "otherwise"),
        ({"expected_value": expected(value=Decimal(300))}, Decimal(300), "expected"),
        ({"expected_value": expected(Decimal(60), value=Decimal(300))}, Decimal(300), "expected"),
        ({"expected_value": expected(Decimal(60))}, Decimal(60), "otherwise"),
        ({}, None, None),
    ],
)
def test_each_value_says_where_it_comes_from(rule, value, origin):
    """A delivery keeps it."""
    lead = facts(amounts={"amount": Decimal(900)})

    assert (value, origin) == (
        value_to_send(route(**rule), lead, WON, CLOSES, NIGHT),
        value_origin(route(**rule), lead),
    )


def test_without_an_estimate_there_is_no_value():
    """Nothing is guessed."""
    found = value_to_send(route(expected_value=expected()), facts(), WON, CLOSES, NIGHT)

    assert NoValueToSend("value_not_estimated") == found


def test_amount_on_the_lead_is_sent_immediately():
    """The waiting time applies only to a missing amount."""
    lead = facts(amounts={"amount": Decimal(900)})

    assert Decimal(900) == value_to_send(route(field_value=from_field()), lead, NIGHT, CLOSES, NIGHT)


def test_unreadable_amount_is_not_replaced_by_the_default():
    """Only the person who typed it knows what was meant."""
    lead = facts(amounts={"amount": UnreadableAmount("text, 5 characters")})
    wanted = route(field_value=from_field(otherwise=Decimal(500)))

    assert NoValueToSend("value_unreadable", "text, 5 characters") == value_to_send(
        wanted, lead, WON, CLOSES, NIGHT + 30 * DAY
    )


@pytest.mark.parametrize(
    ("closes", "until"),
    [(WON + 30 * DAY, WON + 3 * DAY), (WON + 3 * DAY, WON + 2 * DAY), (WON + 4 * DAY, WON + 3 * DAY)],
)
def test_waits_for_a_missing_amount_before_using_the_default(closes, until):
    """The wait lasts three days from the change and ends a day before the window closes at the latest."""
    wanted = route(field_value=from_field(otherwise=Decimal(500)))
    tick = timedelta(microseconds=1)

    assert NoValueToSend("value_awaited", until=until) == value_to_send(wanted, facts(), WON, closes, until - tick)
    assert Decimal(500) == value_to_send(wanted, facts(), WON, closes, until)


def test_missing_amount_without_a_default_gives_value_missing():
    """After the wait the conversion is withheld, and goes out if the amount arrives after all."""
    wanted = route(field_value=from_field())

    assert NoValueToSend("value_missing") == value_to_send(wanted, facts(), WON, CLOSES, WON + 3 * DAY)


@pytest.mark.parametrize("typed", ["12€50", "1250€50", "100HT120TTC", "0199004711", "12 000 000"])
def test_text_that_is_no_amount_is_unreadable(typed):
    """The cases are a currency in the middle, two amounts in one, a phone number and an implausible sum."""
    assert isinstance(read_amount(typed), UnreadableAmount)
