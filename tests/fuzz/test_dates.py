"""Times: every listed format gives its instant, and no other text gives one."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.oplead.parsing.dates import instant, read_moment
from connectors.records import Moment
from tests.fuzz import oracles
from tests.fuzz.corpus import cases
from tests.fuzz.effort import FUZZ, in_time

PARIS = ZoneInfo("Europe/Paris")
ZONES = st.sampled_from(["Europe/Paris", "Indian/Reunion", "America/Cayenne", "UTC", "Australia/Lord_Howe"]).map(
    ZoneInfo
)
CHANGES = [  # the hours around Paris' clock changes
    datetime(year, month, day, hour)  # noqa: DTZ001 a wall clock's
    for year, month, day in [(2024, 3, 31), (2025, 10, 26), (2026, 3, 29), (2026, 10, 25), (2027, 3, 28)]
    for hour in (1, 2, 3)
]
WALLS = st.one_of(
    st.datetimes(datetime(1991, 1, 1), datetime(2098, 12, 31)),  # noqa: DTZ001
    st.builds(lambda at, minutes: at + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(-70, 70)),
).map(lambda wall: wall.replace(microsecond=0))
NAIVE = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.000",
    "%Y-%m-%d %H:%M:%S.000000",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y à %H:%M:%S",
    "  %Y-%m-%d  %H:%M:%S ",
]
TO_THE_MINUTE = ["%Y-%m-%d %H:%M", "%d/%m/%Y %H:%M", "%d/%m/%Y à %Hh%M"]
TYPED = st.one_of(
    st.text(max_size=30),
    st.text("0123456789-/:. TZ+hà", max_size=30),
    st.builds(
        lambda written, at, junk: written[:at] + junk + written[at:],
        st.sampled_from([typed for typed, _ in cases("dates")]),
        st.integers(0, 25),
        st.text("0123456789-/:. TZ+hà\u200b\0", max_size=3),
    ),
)


def read(value, zone=PARIS):
    """What the code reads; None if it refuses, after checking its message."""
    try:
        with in_time():
            moment = read_moment(value, zone)
    except ValueError as error:
        said = str(error)
    else:
        return moment.at if moment else None
    assert said.startswith("no time that can be read (")
    assert "MARQUEUR" not in said
    return None


@FUZZ
@given(WALLS, st.sampled_from([*NAIVE, *TO_THE_MINUTE]), ZONES)
def test_wall_clock_time_is_read_in_every_format(wall, form, zone):
    """All zones are tried, including spring's gap and autumn's overlap."""
    wall = wall.replace(second=0) if form in TO_THE_MINUTE else wall

    assert oracles.wall_instant(wall, zone) == read(wall.strftime(form), zone) == instant(wall, zone)


@FUZZ
@given(WALLS, st.integers(-14 * 4, 14 * 4), ZONES, st.integers(0, 9), st.data())
def test_offset_determines_the_instant(wall, quarters, zone, places, data):
    """The account's zone does not matter, and fractions are truncated to microseconds."""
    at = wall.replace(tzinfo=timezone(timedelta(minutes=15 * quarters)))
    offset, fraction = f"{at:%z}", "123456789"[:places]
    space, colon = data.draw(st.sampled_from(["", " "])), data.draw(st.sampled_from([":", ""]))
    written = f"{at:%Y-%m-%dT%H:%M:%S}{'.' * bool(places)}{fraction}{space}{offset[:3]}{colon}{offset[3:]}"

    assert at + timedelta(microseconds=int(fraction[:6].ljust(6, "0"))) == read(written, zone)


@FUZZ
@given(WALLS, ZONES)
def test_epoch_seconds_and_milliseconds_are_distinguished(wall, zone):
    """Both may be a text or a number."""
    at = wall.replace(tzinfo=UTC)
    seconds = int(at.timestamp())

    assert [at] * 4 == [
        read(form, zone) for form in (str(seconds), f"{seconds}000", Decimal(seconds), seconds_in_ms(at))
    ]


def seconds_in_ms(at):
    """A number of milliseconds."""
    return Decimal(int(at.timestamp()) * 1000)


@FUZZ
@given(WALLS.map(datetime.date), st.sampled_from(["%Y-%m-%d", "%d/%m/%Y"]), ZONES)
def test_date_without_time_stays_a_date(day, form, zone):
    """No hour is invented."""
    assert day == read(day.strftime(form), zone)
    assert not isinstance(read(day.strftime(form), zone), datetime)


@FUZZ
@given(TYPED, ZONES)
@example("0712345678", PARIS)
@example("2026-03-29 02:30", PARIS)
@example("2026-07-20 17:05:01,5", PARIS)
def test_time_read_is_the_one_written(typed, zone):
    """It follows from the text's numbers in their order."""
    at = read(typed, zone)

    assert at is None or at == oracles.moment(typed, zone)


@FUZZ
@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.decimals(),
        st.lists(st.text(max_size=3)),
        st.dictionaries(st.sampled_from(["date", "timezone", "timezone_type", "x"]), TYPED | st.text() | st.decimals()),
        st.fixed_dictionaries(
            {"date": TYPED, "timezone": st.sampled_from(["UTC", "../x", "Europe", "\0", "x" * 9999])}
        ),
    )
)
def test_any_value_is_read_or_raises_value_error(value):
    """No other exception is raised."""
    at = read(value)

    assert at is None or Moment(at)


@FUZZ
@given(st.text(min_size=1))
def test_refusal_does_not_reveal_the_text(typed):
    """The check also covers dates inside an object."""
    assert read(f"MARQUEUR{typed}") is None
    assert read({"date": f"MARQUEUR{typed}", "timezone": f"MARQUEUR{typed}"}) is None


@pytest.mark.parametrize(("typed", "expected"), cases("dates"))
def test_corpus_dates(typed, expected):
    """Each is the instant a person would read, or none."""
    if expected == "unreadable":
        with pytest.raises(ValueError, match="no time that can be read"):
            read_moment(typed, PARIS)
    else:
        kind = datetime if "T" in (expected or "") else date
        assert read(typed) == (kind.fromisoformat(expected) if expected else None)
