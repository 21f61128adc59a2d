"""Each local date of a schedule has exactly one night, whatever the clock does on that date."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobs.timetable import WrongCronError, daily_timetable, first_instant_of_local_time, timetable_from_cron

PARIS = ZoneInfo("Europe/Paris")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=PARIS)


def year_of(table, start=NEW_YEAR):
    """Return every firing of a year, each computed from the previous one, as the scheduler does."""
    fired, firing = [], table.next_night_after(start - timedelta(seconds=1))
    while firing.at < start.replace(year=start.year + 1):
        fired.append(firing.at)
        firing = table.next_night_after(firing.at)
    return fired


def utc(*parts):
    """Return an instant in UTC."""
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize("minutes", [-50, 0, 50])
@pytest.mark.parametrize("written", ["00:20", "05:30", "23:40"])
def test_clock_that_is_wrong_by_a_known_error_finds_the_same_nights_due(written, minutes):
    """Each at the right time, also where it is another day by that clock."""
    right = daily_timetable(written, PARIS)
    error = timedelta(minutes=minutes)
    wrong = replace(right, clock_error=error)
    for firing in (right.next_night_after(NEW_YEAR + timedelta(days=day)) for day in range(3)):
        for moment in (firing.at - timedelta(seconds=1), firing.at, firing.at + timedelta(hours=1)):
            latest, following = wrong.latest_due_night(moment + error), wrong.next_night_after(moment + error)

            assert replace(latest, at=latest.at - error) == right.latest_due_night(moment)
            assert replace(following, at=following.at - error) == right.next_night_after(moment)


@pytest.mark.parametrize("written", ["00:00", "02:00", "02:30", "03:00", "05:30", "23:59"])
@pytest.mark.parametrize(
    "zone",
    [
        pytest.param("Europe/Paris", id="changes at 02:00 and 03:00"),
        pytest.param("America/Havana", id="skips and repeats midnight"),
        pytest.param("Australia/Lord_Howe", id="changes by half an hour"),
        pytest.param("UTC", id="never changes"),
    ],
)
def test_daily_schedule_fires_once_on_every_date(zone, written):
    """A year has 365 nights, each at the given time if the clock shows it."""
    zone = ZoneInfo(zone)
    fired = [at.astimezone(zone) for at in year_of(daily_timetable(written, zone), NEW_YEAR.replace(tzinfo=zone))]

    assert [date(2026, 1, 1) + timedelta(days=day) for day in range(365)] == [at.date() for at in fired]
    assert 1 >= sum(at.time() != time.fromisoformat(written) for at in fired)
    assert all(at.fold == 0 for at in fired)


@pytest.mark.parametrize(
    ("zone", "day", "at", "expected"),
    [
        # Paris, 29 March 2026: 02:00 CET (01:00 UTC) becomes 03:00 CEST
        ("Europe/Paris", date(2026, 3, 29), time(2, 30), utc(2026, 3, 29, 1, 0)),
        ("Europe/Paris", date(2026, 3, 29), time(2, 0), utc(2026, 3, 29, 1, 0)),
        ("Europe/Paris", date(2026, 3, 29), time(1, 59), utc(2026, 3, 29, 0, 59)),
        ("Europe/Paris", date(2026, 3, 29), time(3, 0), utc(2026, 3, 29, 1, 0)),
        # Paris, 25 October 2026: 03:00 CEST (01:00 UTC) becomes 02:00 CET
        ("Europe/Paris", date(2026, 10, 25), time(2, 30), utc(2026, 10, 25, 0, 30)),
        ("Europe/Paris", date(2026, 10, 25), time(3, 0), utc(2026, 10, 25, 2, 0)),
        # Havana, 8 March 2026: midnight is skipped; 1 November: 00:00 to 01:00 comes twice
        ("America/Havana", date(2026, 3, 8), time(0, 0), utc(2026, 3, 8, 5, 0)),
        ("America/Havana", date(2026, 11, 1), time(0, 0), utc(2026, 11, 1, 4, 0)),
        # Samoa skipped 30 December 2011 entirely
        ("Pacific/Apia", date(2011, 12, 30), time(5, 30), utc(2011, 12, 30, 10, 0)),
        ("Pacific/Apia", date(2011, 12, 31), time(5, 30), utc(2011, 12, 30, 15, 30)),
    ],
)
def test_first_instant_of_a_skipped_or_repeated_time(zone, day, at, expected):
    """It is the first instant after a gap, and the first of two occurrences."""
    assert expected == first_instant_of_local_time(day, at, ZoneInfo(zone))


def test_cron_weekdays_fire_monday_to_friday():
    """No other date of the year has a night."""
    fired = [at.astimezone(PARIS) for at in year_of(timetable_from_cron("30 5 * * mon-fri", PARIS))]

    days = [date(2026, 1, 1) + timedelta(days=day) for day in range(365)]
    assert [day for day in days if day.isoweekday() <= 5] == [at.date() for at in fired]
    assert {time(5, 30)} == {at.time() for at in fired}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 4 1 * *", [date(2026, month, 1) for month in range(1, 13)]),
        ("0 4 */10 6 *", [date(2026, 6, day) for day in (1, 11, 21)]),
        ("0 4 last feb *", [date(2026, 2, 28)]),
        ("0 4 1-3,5 jan *", [date(2026, 1, day) for day in (1, 2, 3, 5)]),
        ("30 2 29 3 *", [date(2026, 3, 29)]),
    ],
)
def test_cron_days_of_the_month(expression, expected):
    """Expressions may use days, steps, lists and names."""
    assert expected == [at.astimezone(PARIS).date() for at in year_of(timetable_from_cron(expression, PARIS))]


def test_cron_waits_eight_years_for_a_leap_day():
    """2100 is no leap year."""
    assert date(2104, 2, 29) == timetable_from_cron("0 4 29 2 *", PARIS).next_night_after(utc(2096, 3, 1)).night


def test_latest_returns_the_night_due_at_or_before_a_moment():
    """`after` returns the one that follows."""
    table = timetable_from_cron("30 5 * * mon-fri", PARIS)
    friday = utc(2026, 9, 11, 3, 30)

    assert (date(2026, 9, 11), friday) == (table.latest_due_night(friday).night, table.latest_due_night(friday).at)
    assert date(2026, 9, 10) == table.latest_due_night(friday - timedelta(microseconds=1)).night
    assert date(2026, 9, 11) == table.latest_due_night(friday + timedelta(days=2)).night
    assert date(2026, 9, 14) == table.next_night_after(friday).night


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("30 5 * * 1", "by name, as mon-fri"),
        ("30 5 * * 1-5", "by name, as mon-fri"),
        ("30 5 * * 0", "by name, as mon-fri"),
        ("30 5 * * 7", "by name, as mon-fri"),
        ("*/15 5 * * *", "one minute and one hour"),
        ("30 5,17 * * *", "one minute and one hour"),
        ("* * * * *", "one minute and one hour"),
        ("30 5 1 * mon", "days of the month or days of the week"),
        ("61 5 * * *", "one of the five parts is none"),
        ("30 24 * * *", "one of the five parts is none"),
        ("30 5 * * lundi", "one of the five parts is none"),
        ("30 5 32 * *", "one of the five parts is none"),
        ("30 5 * 13 *", "one of the five parts is none"),
        ("30 5 31 2 *", "no date is ever like this"),
    ],
)
def test_ambiguous_or_impossible_cron_is_refused(expression, told):
    """Programs disagree on day numbers (1 is Monday or Tuesday), and a night happens once a day."""
    with pytest.raises(WrongCronError, match=told):
        timetable_from_cron(expression, PARIS)
