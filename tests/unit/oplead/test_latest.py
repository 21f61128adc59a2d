"""The most recently created entries of a list, sorted in any order."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.oplead.latest import newest

DAYS = st.lists(st.integers(1, 28), max_size=60)


def day(number):
    """That day of the month."""
    return datetime(2026, 9, number)  # noqa: DTZ001 - only compared


def looked_at(days, count, page=7):
    """The entries kept from a list of these days, and how many were read before that was enough."""
    seen = []

    def pages():
        for start in range(0, len(days), page):
            seen.extend(days[start : start + page])
            yield days[start : start + page]

    latest, _, _ = newest(pages(), count, day)
    return latest, len(seen)


@given(DAYS, st.integers(1, 20))
def test_keeps_the_newest_of_a_list_read_to_its_end(days, count):
    """They come newest first, as many as requested, whatever the order of the list."""
    latest, seen = looked_at(days, count)

    assert sorted(days, reverse=True)[:count] == latest or seen < len(days)


@given(DAYS, st.integers(1, 20))
def test_stops_early_on_a_list_sorted_newest_first(days, count):
    """The first pages hold every entry needed."""
    latest, seen = looked_at(sorted(days, reverse=True), count)

    assert sorted(days, reverse=True)[:count] == latest
    assert seen <= count + 7


@pytest.mark.parametrize("count", [1, 3, 99])
def test_keeps_both_ends_of_a_list_without_dates(count):
    """The caller must find out which end is the newer."""
    read = []
    pages = (read.append(page) or list(page) for page in ("abc", "def", "g"))

    assert ([], list("abcdefg"[:count]), list("abcdefg"[-count:])) == newest(pages, count, lambda _: None)
    assert ["abc", "def", "g"] == read
