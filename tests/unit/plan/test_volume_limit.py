"""How much one night may send before a human has agreed."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.plan.volume_guard import excess_volume, nights_before
from jobs.reporting.sentences import sentence
from tests.builders import PARIS, at

NOW = at("2026-09-10T03:30")
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("due", "nights", "max_per_run", "allowed"),
    [
        (50, (), None, None),
        (51, (), None, 50),
        (50, (0, 3), None, None),
        (51, (10, 2), None, 50),
        (55, (11, 2), None, None),
        (56, (11, 2), None, 55),
        (500, (100, 90), None, None),
        (501, (100, 90), None, 500),
        (51, (), 60, None),
        (61, (), 60, 60),
        (9, (100,), 8, 8),
        (0, (), None, None),
    ],
)
def test_a_night_may_send_fifty_or_five_times_the_largest_or_what_the_settings_say(due, nights, max_per_run, allowed):
    """Whatever is more than that waits for a human."""
    found = excess_volume(due, nights, max_per_run=max_per_run)

    assert allowed == (found and found.allowed)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 10_000)), st.none() | st.integers(1, 10_000))
def test_what_is_let_through_is_never_more_than_is_allowed(due, nights, max_per_run):
    """And what is held says why in numbers that fit."""
    found = excess_volume(due, nights, max_per_run=max_per_run)

    if found is None:
        assert due <= (max_per_run or max(50, 5 * max(nights, default=0)))
    else:
        assert found.due == due > found.allowed


def test_what_is_told_names_how_many_the_usual_number_and_what_to_type():
    """A human needs no more to decide."""
    found = excess_volume(620, (4, 7), max_per_run=None)

    assert sentence(found.message) == (
        "620 conversions are due and one night may send 50 (the largest of the last 28 nights sent 7): "
        "they are held until someone approves them with `run --accept-volume`"
    )


@pytest.mark.parametrize(
    ("sends", "expected"),
    [
        ([], []),
        ([(NOW - DAY, 3), (NOW - DAY + timedelta(hours=6), 4)], [7]),
        ([(NOW - 2 * DAY, 3), (NOW - DAY, 4)], [3, 4]),
        ([(NOW - timedelta(minutes=5), 40)], []),
        ([(NOW - 28 * DAY, 5)], [5]),
        ([(NOW - 29 * DAY, 5)], []),
        ([(at("2026-09-08T21:59"), 1), (at("2026-09-08T22:01"), 2)], [1, 2]),
    ],
)
def test_a_night_is_a_local_date_before_today_and_not_too_long_ago(sends, expected):
    """Midnight is the account's; today's own sends let nothing more through."""
    assert expected == list(nights_before(sends, PARIS, now=NOW))


def test_a_night_counts_whole_in_every_zone():
    """Two requests around UTC's midnight are one night where it is noon."""
    sends = [(at("2026-09-08T23:00"), 3), (at("2026-09-09T01:00"), 4)]

    assert [7] == list(nights_before(sends, ZoneInfo("Pacific/Noumea"), now=NOW + DAY))
