"""Which days a page is about."""

from datetime import date, timedelta

from connectors.language import _
from jobs.reporting.page.facts import Period

USUAL_DAYS = 30
EARLIEST = date(2000, 1, 1)


def choose_period(first: date | None, last: date | None, *, today: date) -> Period:
    """Return the period from one day to another; by default the last `USUAL_DAYS` whole days, or so many up to `last`.

    Raises:
        ValueError: there is no such period; the message says which day is wrong.
    """
    yesterday = today - timedelta(days=1)
    if last is None:
        last = yesterday if first is None else max(first, yesterday)
    if last > today:
        if first is None or first <= today:
            raise ValueError(_("the last day is still to come: today is {today} in the account's zone", today=today))
        raise ValueError(_("the first day is still to come: today is {today} in the account's zone", today=today))
    if first is None:
        first = max(EARLIEST, last - timedelta(days=USUAL_DAYS - 1))
    if first < EARLIEST:
        raise ValueError(_("the first day is before {earliest}", earliest=EARLIEST))
    if first > last:
        raise ValueError(_("the first day is after the last one"))
    return Period(first, last)
