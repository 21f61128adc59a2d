"""The deduplication key of a delivery."""

import re

from hypothesis import given
from hypothesis import strategies as st

from jobs.rules.model import delivery_key

PART = st.text(max_size=12)


def test_delivery_keys_are_stable():
    """A changed key would send every open conversion again."""
    keys = [
        delivery_key("maison-durand", "L-1", "sale", "google_ads", 1),
        delivery_key("maison-durand", "L-1", "sale", "google_ads", 2),
        delivery_key("é", "1", "a", "b", 1),
    ]

    assert [
        "c1dece1287e7e7944fa89e610c7ec2380bc743a8",
        "2e4fc1e20cf474e3254dd8cd933149dfaf87ec07",
        "780ec8f6311fc40b953465a8c945d29eb524a7b6",
    ] == keys


@given(PART, PART, PART, PART, st.integers(1, 9))
def test_a_key_is_forty_hexadecimal_digits(account, lead, conversion, destination, occurrence):
    """Every platform accepts that: Google's `order_id` and `transaction_id` end at 64 characters."""
    assert re.fullmatch(r"[0-9a-f]{40}", delivery_key(account, lead, conversion, destination, occurrence))


@given(st.tuples(PART, PART, PART, PART), st.tuples(PART, PART, PART, PART))
def test_two_deliveries_never_share_a_key(one, other):
    """Keys differ even where the same text is split differently between the parts."""
    assert (one == other) == (delivery_key(*one, 1) == delivery_key(*other, 1))


@given(st.text(min_size=2, max_size=12), st.data())
def test_moving_text_between_parts_changes_the_key(text, data):
    """`ab` + `c` is not `a` + `bc`."""
    first, second = data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2, unique=True))
    keys = {delivery_key(text[:cut], text[cut:], "sale", "google_ads", 1) for cut in (first, second)}

    assert 2 == len(keys)


def test_occurrence_is_kept_apart_from_the_destination():
    """`google1`, first occurrence, is not `google`, eleventh occurrence."""
    assert delivery_key("a", "b", "c", "d1", 1) != delivery_key("a", "b", "c", "d", 11)
