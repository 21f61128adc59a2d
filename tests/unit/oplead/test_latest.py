"""The entries of a list that were created last, whichever way it runs."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.oplead.source import newest

DAYS = st.lists(st.integers(1, 28), max_size=60)


def day(number):
    """That day of a month."""
    return datetime(2026, 9, number)  # noqa: DTZ001 - only compared


def looked_at(days, count, page=7):
    """What was kept of a list of these days, and how many entries were looked at before it was enough."""
    seen = []

    def pages():
        for start in range(0, len(days), page):
            seen.extend(days[start : start + page])
            yield days[start : start + page]

    latest, _, _ = newest(pages(), count, day)
    return latest, len(seen)


@given(DAYS, st.integers(1, 20))
def test_in_any_order_the_newest_are_kept(days, count):
    """As many as were asked for, newest first."""
    latest, seen = looked_at(days, count)

    assert sorted(days, reverse=True)[:count] == latest or seen < len(days)


@given(DAYS, st.integers(1, 20))
def test_a_list_that_runs_from_the_newest_is_not_read_to_its_end(days, count):
    """Its first pages hold all there is to find."""
    latest, seen = looked_at(sorted(days, reverse=True), count)

    assert sorted(days, reverse=True)[:count] == latest
    assert seen <= count + 7


@pytest.mark.parametrize("count", [1, 3, 99])
def test_without_dates_the_ends_are_kept(count):
    """Which of them is the newer, somebody else must find out."""
    read = []
    pages = (read.append(page) or list(page) for page in ("abc", "def", "g"))

    assert ([], list("abcdefg"[:count]), list("abcdefg"[-count:])) == newest(pages, count, lambda _: None)
    assert ["abc", "def", "g"] == read
