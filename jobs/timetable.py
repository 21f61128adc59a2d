"""When nights are due: every local date that an expression names, once, whatever the clocks do on it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

_MAX_AHEAD = 366 * 8 + 2
"""Days: from one 29 February to the next it may be eight years; a date that does not come by then never does."""
_ANY_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_ONE_NUMBER = re.compile(r"[0-9]{1,2}")


class WrongCronError(ValueError):
    """An expression that names no night, or may be read in two ways; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A night that is due."""

    night: date
    """Its local date, by which the ledger knows it."""
    at: datetime
    """When it is due, aware UTC."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """The nights of one account, one for each local date it names."""

    zone: ZoneInfo
    at: time
    """The time of day, by the clocks of the zone."""
    written: str
    """The expression it was made of, by which two are compared."""
    names: Callable[[date], bool] = field(compare=False)
    """Whether a date has a night."""

    def after(self, moment: datetime) -> Firing | None:
        """The first night due later than `moment`; None where there is none."""
        first = moment.astimezone(self.zone).date() - _DAY
        days = (first + _DAY * ahead for ahead in range(_MAX_AHEAD))
        return next((firing for day in days if (firing := self._on(day)) and firing.at > moment), None)

    def latest(self, moment: datetime) -> Firing | None:
        """The last night due at `moment` or before; None where there was none."""
        last = moment.astimezone(self.zone).date()
        days = (last - _DAY * back for back in range(_MAX_AHEAD))
        return next((firing for day in days if (firing := self._on(day)) and firing.at <= moment), None)

    def _on(self, day: date) -> Firing | None:
        return Firing(day, first_instant(day, self.at, self.zone)) if self.names(day) else None


def daily(written: str, zone: ZoneInfo) -> Timetable:
    """Every night at a time of day, as 05:30."""
    return Timetable(zone, time.fromisoformat(written), written, lambda _: True)


def by_cron(expression: str, zone: ZoneInfo) -> Timetable:
    """The nights of a crontab line: minute, hour, day, month, weekday.

    Raises:
        WrongCronError: it names no night, more than one a day, or days that programs read in different ways.
    """
    minute, hour, day, _, weekday = expression.split()
    if re.search("[0-9]", weekday):
        raise WrongCronError("write days of the week by name, as mon-fri: programs disagree on their numbers")
    if not (_ONE_NUMBER.fullmatch(minute) and _ONE_NUMBER.fullmatch(hour)):
        raise WrongCronError('there is one night a day: write one minute and one hour, as "30 5 * * mon-fri"')
    if day != "*" and weekday != "*":
        raise WrongCronError("write days of the month or days of the week, and * for the other")
    try:
        fields = CronTrigger.from_crontab(expression, timezone=zone).fields
        at = time(int(hour), int(minute))
    except ValueError:
        raise WrongCronError(
            'one of the five parts is none: write minute, hour, day, month and weekday, as "30 5 * * mon-fri"'
        ) from None
    by_day = [field for field in fields if field.name in {"day", "month", "day_of_week"}]

    def names(day: date) -> bool:
        return all(field.get_next_value(day) == field.get_value(day) for field in by_day)

    table = Timetable(zone, at, expression, names)
    if table.after(_ANY_MOMENT) is None:
        raise WrongCronError("no date is ever like this")
    return table


def first_instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When the clocks of a zone first show a time on a date, or have passed it where they skip it; aware UTC."""
    # Where a time comes twice, the first of the two; where it is skipped, these stand around the change.
    one, other = (datetime.combine(day, at, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if one <= other:
        return one
    before, after = other, one
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        has_changed = middle.astimezone(zone).utcoffset() == after.astimezone(zone).utcoffset()
        before, after = (before, middle) if has_changed else (middle, after)
    return after.replace(microsecond=0)


class NightTrigger(BaseTrigger):
    """Has APScheduler fire at the nights of a timetable.

    Its own CronTrigger runs a 02:30 twice in October, and passes over a midnight that a clock change skips.
    """

    __slots__ = ("timetable",)

    def __init__(self, timetable: Timetable) -> None:
        """Fire by this timetable."""
        self.timetable = timetable

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first night later than the previous one, else later than now."""
        firing = self.timetable.after(previous_fire_time or now)
        return None if firing is None else firing.at
