"""Amounts: a text is read only as the one amount it can mean."""

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
    """Read an amount within the time limit."""
    with in_time():
        return read_amount(typed)


@FUZZ
@given(TYPED)
@example("12\t500")
@example("12\n500")
@example("1.250")
@example("900 euro\u017f")
def test_amount_is_read_only_if_unambiguous(typed):
    """Every convention that accepts the text must give the same number, and only an empty text or a zero gives none."""
    amount, possible = read(typed), oracles.amounts(typed)

    if isinstance(amount, Decimal):
        assert {amount} == possible
    elif amount is None:
        assert not typed.strip() or {Decimal(0)} == possible


@FUZZ
@given(
    st.integers(1, LARGEST * 100 - 1), st.sampled_from(["", " ", ".", ",", "'", "\u202f"]), st.sampled_from(".,"), WORDS
)
def test_amount_with_cents_is_read_in_every_grouping(cents, group, mark, words):
    """Two written decimals leave no ambiguity."""
    whole = f"{cents // 100:,}".replace(",", group) if group != mark else str(cents // 100)

    assert Decimal(cents).scaleb(-2) == read(f"{whole}{mark}{cents % 100:02}{words}")


@FUZZ
@given(st.integers(1, 999), st.sampled_from(".,"), st.integers(0, 999), WORDS)
def test_single_group_of_three_digits_is_unreadable(start, mark, group, words):
    """`1.250` may mean a thousand or one and a quarter."""
    assert isinstance(read(f"{start}{mark}{group:03}{words}"), UnreadableAmount)


@FUZZ
@given(st.decimals())
@example(Decimal("1E-999999"))
@example(Decimal("1E+999999"))
@example(Decimal("9999999.995"))
def test_json_number_is_rounded_to_the_cent(number):
    """A number that is no plausible price is unreadable, and a zero gives none."""
    amount = read(number)

    if amount is None:
        assert abs(number) <= Decimal("0.005")
    elif isinstance(amount, Decimal):
        assert abs(amount - number) <= Decimal("0.005")
        assert 0 < amount < LARGEST


@FUZZ
@given(TYPED.filter(lambda typed: len(typed) > 3))
def test_unreadable_amount_does_not_reveal_its_text(typed):
    """Only its shape is shown."""
    amount = read("MARQUEUR " + typed)

    assert isinstance(amount, UnreadableAmount)
    assert "MARQUEUR" not in repr(amount)


@pytest.mark.parametrize(("typed", "expected"), cases("amounts"))
def test_corpus_amounts(typed, expected):
    """Each is read as a person would, or is unreadable."""
    amount = read(typed)
    shown = "unreadable" if isinstance(amount, UnreadableAmount) else amount and str(amount)

    assert shown == (str(Decimal(expected).quantize(CENT)) if (expected or "u")[0] != "u" else expected)
