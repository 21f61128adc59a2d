"""The entries of a list that were created last, whichever way it runs."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.oplead.source import Latest

DAYS = st.lists(st.integers(1, 28), max_size=60)


def day(number):
    """That day of a month."""
    return datetime(2026, 9, number)  # noqa: DTZ001 - only compared


def looked_at(days, count, page=7):
    """What was kept of a list of these days, and how many entries were looked at before it was enough."""
    latest, seen = Latest(count, day), 0
    for start in range(0, len(days), page):
        latest.add(days[start : start + page])
        seen = min(start + page, len(days))
        if latest.is_enough:
            break
    return latest, seen


@given(DAYS, st.integers(1, 20))
def test_in_any_order_the_newest_are_kept(days, count):
    """As many as were asked for, newest first."""
    latest, seen = looked_at(days, count)

    assert sorted(days, reverse=True)[:count] == latest.newest or seen < len(days)


@given(DAYS, st.integers(1, 20))
def test_a_list_that_runs_from_the_newest_is_not_read_to_its_end(days, count):
    """Its first pages hold all there is to find."""
    latest, seen = looked_at(sorted(days, reverse=True), count)

    assert sorted(days, reverse=True)[:count] == latest.newest
    assert seen <= count + 7


@pytest.mark.parametrize("count", [1, 3, 99])
def test_without_dates_the_ends_are_kept(count):
    """Which of them is the newer, somebody else must find out."""
    latest = Latest(count, lambda _: None)
    for page in ("abc", "def", "g"):
        latest.add(page)

    assert (list("abcdefg"[:count]), list("abcdefg"[-count:])) == latest.ends
    assert ([], False) == (latest.newest, latest.is_enough)
