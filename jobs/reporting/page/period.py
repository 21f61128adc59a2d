"""Which days a page is about."""

from datetime import date, timedelta

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
        which = "the last day" if first is None or first <= today else "the first day"
        raise ValueError(f"{which} is still to come: today is {today.isoformat()} in the account's zone")
    if first is None:
        first = max(EARLIEST, last - timedelta(days=USUAL_DAYS - 1))
    if first < EARLIEST:
        raise ValueError(f"the first day is before {EARLIEST.isoformat()}")
    if first > last:
        raise ValueError("the first day is after the last one")
    return Period(first, last)
