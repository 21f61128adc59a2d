"""Times in the formats Oplead may use."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.oplead.parsing.dates import earliest_instant_of, instant, read_moment
from connectors.records import Moment

PARIS = ZoneInfo("Europe/Paris")
SUMMER = datetime(2026, 7, 20, 15, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-07-20 17:05:01",
        "2026-07-20T17:05:01",
        "2026-07-20T15:05:01Z",
        "2026-07-20T17:05:01+02:00",
        "2026-07-20T17:05:01+0200",
        "2026-07-20T13:05:01-02",
        "2026-07-20 17:05:01.000",
        "2026-07-20T15:05:01.000000000Z",
        "20/07/2026 17:05:01",
        "20/07/2026 à 17:05:01",
        "1784559901",
        Decimal(1784559901),
        Decimal(1784559901000),
        {"date": "2026-07-20 17:05:01.000000", "timezone_type": 3, "timezone": "Europe/Paris"},
        {"date": "2026-07-20 15:05:01.000000", "timezone_type": 1, "timezone": "+00:00"},
        {"date": "2026-07-20 17:05:01"},
    ],
)
def test_reads_an_instant_in_every_accepted_format(written):
    """All of them mean the same instant."""
    assert Moment(SUMMER) == read_moment(written, PARIS)


@pytest.mark.parametrize("written", ["2026-07-20", "20/07/2026", "20/7/2026", {"date": "2026-07-20"}])
def test_bare_date_stays_a_day(written):
    """No hour is invented."""
    assert Moment(date(2026, 7, 20)) == read_moment(written, PARIS)


def test_french_date_puts_the_day_first():
    """03/04 is 3 April, not 4 March."""
    assert Moment(date(2026, 4, 3)) == read_moment("03/04/2026", PARIS)


@pytest.mark.parametrize("written", [None, "", "  ", {}, [], "0000-00-00", "0000-00-00 00:00:00"])
def test_empty_value_or_zero_date_is_none(written):
    """MySQL's zero date counts as empty."""
    assert read_moment(written, PARIS) is None


@pytest.mark.parametrize(
    "written",
    [
        *("yesterday", "2026-13-01", "31/02/2026", "2026-07-20 25:00", "07/20/2026", "12", "0712345678", "1026-07-20"),
        *("2026-07-20T10:00+99:00", True, Decimal("NaN"), Decimal("1E+999"), ["x"], {"timezone": "Europe/Paris"}),
        {"date": "2026-07-20 10:00", "timezone": "Mars/Base"},
        {"date": "2026-07-20", "timezone": "../etc"},
    ],
)
def test_rejects_anything_else_without_quoting_it(written):
    """The message shows the value's shape only."""
    with pytest.raises(ValueError, match="no time that can be read") as caught:
        read_moment(written, PARIS)

    assert not any(part in str(caught.value) for part in ("yesterday", "2026", "Mars", "etc"))


def test_time_in_the_spring_gap_moves_forward_an_hour():
    """On 29 March 2026 Paris has no 02:30; the wall clock showed 03:30 then."""
    assert Moment(datetime(2026, 3, 29, 1, 30, tzinfo=UTC)) == read_moment("2026-03-29 02:30:00", PARIS)
    assert read_moment("2026-03-29 03:30:00", PARIS) == read_moment("2026-03-29 02:30:00", PARIS)


def test_time_in_the_autumn_overlap_is_the_earlier_one():
    """On 25 October 2026 Paris has 02:30 twice; the first, in summer time, is meant."""
    assert Moment(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) == read_moment("2026-10-25 02:30:00", PARIS)


def test_day_starts_at_midnight_in_the_zone():
    """A summer day in Paris starts at 22:00 UTC the day before."""
    assert datetime(2026, 7, 19, 22, tzinfo=UTC) == earliest_instant_of(Moment(date(2026, 7, 20)), PARIS)


walls = st.datetimes(
    datetime(1990, 1, 2),  # noqa: DTZ001 a wall clock has no zone
    datetime(2099, 12, 30),  # noqa: DTZ001 a wall clock has no zone
)


@settings(deadline=None)
@given(walls)
def test_instant_converts_back_to_its_wall_time(wall):
    """In the spring gap it comes back one hour later."""
    shown = instant(wall, PARIS).astimezone(PARIS).replace(tzinfo=None, fold=0)

    assert shown - wall in {timedelta(0), timedelta(hours=1)}


@settings(deadline=None)
@given(walls, walls)
def test_preserves_the_order_of_wall_times_on_different_days(one, other):
    """A later day never yields an earlier instant."""
    if one.date() < other.date():
        assert instant(one, PARIS) < instant(other, PARIS)


@settings(deadline=None)
@given(walls)
def test_iso_and_french_formats_agree(wall):
    """Both forms of a time without a zone mean the same instant."""
    wall = wall.replace(microsecond=0)
    french = f"{wall.day:02}/{wall.month:02}/{wall.year} {wall:%H:%M:%S}"

    assert read_moment(wall.isoformat(), PARIS) == read_moment(french, PARIS)


anything = st.recursive(
    st.none() | st.booleans() | st.decimals() | st.text() | st.from_regex(r"[0-9/T:. +-]{1,30}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["date", "timezone"]), inner),
    max_leaves=5,
)


@settings(deadline=None)
@given(anything)
def test_any_value_yields_a_moment_none_or_a_value_error(value):
    """No other exception escapes."""
    try:
        moment = read_moment(value, PARIS)
    except ValueError:
        return

    assert moment is None or isinstance(moment, Moment)
