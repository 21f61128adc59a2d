"""Computes when nights are due: once on every local date that an expression names, whatever clock changes occur."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connectors.language import _

_MAX_AHEAD = 366 * 8 + 2
"""Days to search: one 29 February can be eight years from the next, and a date not found by then never comes."""
_ANY_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_ONE_NUMBER = re.compile(r"[0-9]{1,2}")


class WrongCronError(ValueError):
    """Raised if an expression names no night or is ambiguous; the message says what to write."""


@dataclass(frozen=True, slots=True)
class DueNight:
    """A night that is due."""

    night: date
    """Local date, which identifies the night in the ledger."""
    at: datetime
    """Aware UTC."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """The nights of one account, one per local date it names."""

    zone: ZoneInfo
    at: time
    """Local time of day."""
    written: str
    """The source expression, which stands in for `names` when timetables are compared."""
    names: Callable[[date], bool] = field(compare=False)
    """Returns whether a date has a night."""
    also_every: timedelta | None = None
    """How often to take up webhooks between nights; None for never."""
    clock_error: timedelta = timedelta()
    """How far the clock whose times it is asked by, and answers by, is ahead of the right one."""

    def next_night_after(self, moment: datetime) -> DueNight | None:
        """Return the first night due after `moment`; None if there is none."""
        first = moment.astimezone(self.zone).date() - _DAY
        days = (first + _DAY * ahead for ahead in range(_MAX_AHEAD))
        return next((firing for day in days if (firing := self._night_on_date(day)) and firing.at > moment), None)

    def latest_due_night(self, moment: datetime) -> DueNight | None:
        """Return the last night due at or before `moment`; None if there was none."""
        last = moment.astimezone(self.zone).date() + _DAY  # where it is by the right clock
        days = (last - _DAY * back for back in range(_MAX_AHEAD))
        return next((firing for day in days if (firing := self._night_on_date(day)) and firing.at <= moment), None)

    def _night_on_date(self, day: date) -> DueNight | None:
        if not self.names(day):
            return None
        return DueNight(day, first_instant_of_local_time(day, self.at, self.zone) + self.clock_error)


def daily_timetable(written: str, zone: ZoneInfo) -> Timetable:
    """Return a timetable of every night at a time of day, e.g. `05:30`."""
    return Timetable(zone, time.fromisoformat(written), written, lambda _: True)


def timetable_from_cron(expression: str, zone: ZoneInfo) -> Timetable:
    """Return the timetable of a crontab line: minute, hour, day, month, weekday.

    Raises:
        WrongCronError: it names no night, more than one a day, or days that programs interpret differently.
    """
    minute, hour, day, _month, weekday = expression.split()
    if re.search("[0-9]", weekday):
        raise WrongCronError(_("write days of the week by name, as mon-fri: programs disagree on their numbers"))
    if not (_ONE_NUMBER.fullmatch(minute) and _ONE_NUMBER.fullmatch(hour)):
        raise WrongCronError(_('there is one night a day: write one minute and one hour, as "30 5 * * mon-fri"'))
    if day != "*" and weekday != "*":
        raise WrongCronError(_("write days of the month or days of the week, and * for the other"))
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 - few files write a cron expression

    try:
        fields = CronTrigger.from_crontab(expression, timezone=zone).fields
        at = time(int(hour), int(minute))
    except ValueError:
        raise WrongCronError(
            _('one of the five parts is none: write minute, hour, day, month and weekday, as "30 5 * * mon-fri"')
        ) from None
    by_day = [field for field in fields if field.name in {"day", "month", "day_of_week"}]

    def matches_cron_date(day: date) -> bool:
        return all(field.get_next_value(day) == field.get_value(day) for field in by_day)

    table = Timetable(zone, at, expression, matches_cron_date)
    if table.next_night_after(_ANY_MOMENT) is None:
        raise WrongCronError(_("no date is ever like this"))
    return table


def first_instant_of_local_time(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return when a zone's clocks first show a time on a date, or pass it if they skip it; aware UTC."""
    # If the time occurs twice, `one` is the first; if it is skipped, the two lie on either side of the change.
    one, other = (datetime.combine(day, at, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if one <= other:
        return one
    before, after = other, one
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        has_changed = middle.astimezone(zone).utcoffset() == after.astimezone(zone).utcoffset()
        before, after = (before, middle) if has_changed else (middle, after)
    return after.replace(microsecond=0)
