"""Amounts: what is read is the only thing the text can mean."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.rules.extraction import read_amount
from jobs.rules.model import UnreadableAmount
from tests.fuzz import oracles
from tests.fuzz.corpus import cases
from tests.fuzz.effort import FUZZ, in_time

LARGEST = 10**7
CENT = Decimal("0.01")
SPACES = st.sampled_from([" ", "\u00a0", "\u202f"])
WORDS = st.sampled_from(["", "€", " €", "EUR", " Eur", " euros", " TTC", " € HT", "\u00a0€ TTC"])
TYPED = st.one_of(
    st.text(max_size=20),
    st.text("0123456789 .,'’€-+\u202f\u00a0\t\n\x1ceurTHCtc", max_size=16),
    st.lists(
        st.sampled_from(["0", "1", "12", "125", "250", "500", "000", " ", ".", ",", "'", "\u202f", "€", " TTC", "HT"]),
        max_size=9,
    ).map("".join),
    st.sampled_from([typed for typed, _ in cases("amounts")]),
)


def read(typed):
    """What the code reads."""
    with in_time():
        return read_amount(typed)


@FUZZ
@given(TYPED)
@example("12\t500")
@example("12\n500")
@example("1.250")
@example("900 euro\u017f")
def test_an_amount_is_what_every_reader_understands(typed):
    """A number is read only where each convention that accepts the text gives that number; nothing only for nothing."""
    amount, possible = read(typed), oracles.amounts(typed)

    if isinstance(amount, Decimal):
        assert {amount} == possible
    elif amount is None:
        assert not typed.strip() or {Decimal(0)} == possible


@FUZZ
@given(
    st.integers(1, LARGEST * 100 - 1), st.sampled_from(["", " ", ".", ",", "'", "\u202f"]), st.sampled_from(".,"), WORDS
)
def test_every_amount_is_read_however_it_is_grouped(cents, group, mark, words):
    """With cents written out nothing is left to doubt."""
    whole = f"{cents // 100:,}".replace(",", group) if group != mark else str(cents // 100)

    assert Decimal(cents).scaleb(-2) == read(f"{whole}{mark}{cents % 100:02}{words}")


@FUZZ
@given(st.integers(1, 999), st.sampled_from(".,"), st.integers(0, 999), WORDS)
def test_one_group_of_three_is_never_a_number(start, mark, group, words):
    """`1.250` is a thousand to some, one and a quarter to others."""
    assert isinstance(read(f"{start}{mark}{group:03}{words}"), UnreadableAmount)


@FUZZ
@given(st.decimals())
@example(Decimal("1E-999999"))
@example(Decimal("1E+999999"))
@example(Decimal("9999999.995"))
def test_a_json_number_is_itself_to_the_cent(number):
    """Or no price at all."""
    amount = read(number)

    if amount is None:
        assert abs(number) <= Decimal("0.005")
    elif isinstance(amount, Decimal):
        assert abs(amount - number) <= Decimal("0.005")
        assert 0 < amount < LARGEST


@FUZZ
@given(TYPED.filter(lambda typed: len(typed) > 3))
def test_an_unreadable_amount_is_never_shown(typed):
    """By its shape alone."""
    amount = read("MARQUEUR " + typed)

    assert isinstance(amount, UnreadableAmount)
    assert "MARQUEUR" not in repr(amount)


@pytest.mark.parametrize(("typed", "expected"), cases("amounts"))
def test_amounts_of_the_corpus(typed, expected):
    """Each as a person would read it, or not at all."""
    amount = read(typed)
    shown = "unreadable" if isinstance(amount, UnreadableAmount) else amount and str(amount)

    assert shown == (str(Decimal(expected).quantize(CENT)) if (expected or "u")[0] != "u" else expected)
