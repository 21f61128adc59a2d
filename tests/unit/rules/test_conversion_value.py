"""Amounts as French people type them, and what is sent when there is none."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.rules.extraction import NoValue, read_amount, value_to_send
from jobs.rules.model import UnreadableAmount
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
def test_amounts_as_they_are_typed(typed, expected):
    """Spaces of any width, both decimal marks, currency words."""
    assert Decimal(expected) == read_amount(typed)


@pytest.mark.parametrize("typed", ["900 € HT", "900 ht", "HT 900", "900 EUR HT", "900€ HT"])
def test_an_amount_without_tax_is_none_with_it(typed):
    """Nor the other way round; told by its shape."""
    with_tax = typed.replace("HT", "TTC").replace("ht", "ttc")
    included, excluded = frozenset({"included"}), frozenset({"excluded"})

    assert [Decimal(900)] * 2 == [read_amount(typed, excluded), read_amount(with_tax, included)]
    assert [UnreadableAmount] * 2 == [type(read_amount(typed, included)), type(read_amount(with_tax, excluded))]
    assert UnreadableAmount("text, 10 characters") == read_amount("HT 900 TTC")


@pytest.mark.parametrize(
    "typed", ["", "   ", "\u00a0", "0", "0,00 €", "0.0", Decimal(0), Decimal("0.00"), Decimal("0.001")]
)
def test_no_amount(typed):
    """Empty and zero say nothing yet."""
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
def test_what_may_mean_two_amounts_is_none(typed):
    """It is refused rather than guessed."""
    assert isinstance(read_amount(typed), UnreadableAmount)


@pytest.mark.parametrize("number", ["-1", "NaN", "sNaN", "Infinity", "-Infinity", "1E+9", "1E+400", "9999999.995"])
def test_numbers_that_are_no_price(number):
    """A JSON number is taken as it stands, if it can be a price at all."""
    assert isinstance(read_amount(Decimal(number)), UnreadableAmount)


@pytest.mark.parametrize(("number", "expected"), [("1250", "1250"), ("1250.5", "1250.50"), ("1.250", "1.25")])
def test_a_json_number_has_one_meaning(number, expected):
    """No grouping to doubt."""
    assert Decimal(expected) == read_amount(Decimal(number))


def test_an_unreadable_amount_is_kept_by_its_shape():
    """What was typed may be anyone's remark."""
    assert "Durand" not in repr(read_amount("voir Mme Durand, 06 12 34 56 78"))


ANYTHING = st.text(max_size=20) | st.text("0123456789 .,'’€-+\u202f\u00a0eurTHCtc٣²", max_size=14)


@given(ANYTHING)
@example("٣٤٥")
@example("1٣")
@example("²")
@example("١٢٣,٤")
@example("𝟏𝟐")
def test_reading_never_raises_and_never_invents(typed):
    """Whatever is typed: the digits of an amount are the digits of the text, in their order."""
    amount = read_amount(typed)
    digits = "".join(str(int(digit)) for digit in typed if digit.isdecimal()).lstrip("0")

    assert amount is None or isinstance(amount, UnreadableAmount) or amount > 0
    if isinstance(amount, Decimal):
        whole, _, cents = f"{amount:.2f}".partition(".")
        told = (whole + cents).lstrip("0")
        assert told in {digits, digits + "0", digits + "00"}


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_reading_a_number_never_raises(number):
    """JSON may hold any of them."""
    amount = read_amount(number)

    assert amount is None or isinstance(amount, UnreadableAmount) or amount > 0


@given(
    st.integers(1, 9_999_999),
    st.integers(0, 99),
    st.sampled_from([" ", "\u00a0", "\u202f", ""]),
    st.sampled_from(["", " €", "€ TTC", " euros"]),
)
def test_every_amount_written_the_french_way_is_read(euros, cents, gap, unit):
    """Thousands apart, a comma, two decimals, perhaps a unit."""
    grouped = re.sub(r"(?<=\d)(?=(\d{3})+$)", gap, str(euros))

    assert Decimal(euros) + Decimal(cents) / 100 == read_amount(f"{grouped},{cents:02}{unit}")


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────


def test_a_fixed_value_is_sent_as_it_is():
    """It does not wait for anything."""
    assert Decimal(60) == value_to_send(route(fixed_value=Decimal(60)), facts(), WON, CLOSES, NIGHT)


def test_a_conversion_without_a_value_sends_none():
    """Not zero: none."""
    assert value_to_send(route(), facts(), WON, CLOSES, NIGHT) is None


def test_an_amount_on_the_lead_is_sent_at_once():
    """Even within the time it would be waited for."""
    lead = facts(amounts={"amount": Decimal(900)})

    assert Decimal(900) == value_to_send(route(field_value=from_field()), lead, NIGHT, CLOSES, NIGHT)


def test_an_unreadable_amount_is_not_replaced_by_the_default():
    """Somebody wrote something: only they know what."""
    lead = facts(amounts={"amount": UnreadableAmount("text, 5 characters")})
    wanted = route(field_value=from_field(otherwise=Decimal(500)))

    assert NoValue("value_unreadable", "text, 5 characters") == value_to_send(
        wanted, lead, WON, CLOSES, NIGHT + 30 * DAY
    )


@pytest.mark.parametrize(
    ("closes", "until"),
    [(WON + 30 * DAY, WON + 3 * DAY), (WON + 3 * DAY, WON + 2 * DAY), (WON + 4 * DAY, WON + 3 * DAY)],
)
def test_a_missing_amount_is_waited_for(closes, until):
    """Three days from the change, and never into the last day of its window."""
    wanted = route(field_value=from_field(otherwise=Decimal(500)))
    tick = timedelta(microseconds=1)

    assert NoValue("value_awaited", until=until) == value_to_send(wanted, facts(), WON, closes, until - tick)
    assert Decimal(500) == value_to_send(wanted, facts(), WON, closes, until)


def test_without_a_default_a_missing_amount_keeps_the_conversion():
    """After the wait; it goes out if the amount comes after all."""
    wanted = route(field_value=from_field())

    assert NoValue("value_missing") == value_to_send(wanted, facts(), WON, CLOSES, WON + 3 * DAY)


@pytest.mark.parametrize("typed", ["12€50", "1250€50", "100HT120TTC", "0199004711", "12 000 000"])
def test_what_is_no_amount_is_not_made_into_one(typed):
    """A currency in the middle, two amounts in one, a phone number, a fortune."""
    assert isinstance(read_amount(typed), UnreadableAmount)
