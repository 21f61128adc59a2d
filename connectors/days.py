"""Days and times as people write them."""

import re
from datetime import date, datetime, time

from connectors.language import Language, _, current_language

_DAY_FIRST = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})")
_WITH_TIME = re.compile(
    r"(?P<day>[0-9/.-]+)(?:\s+(?:à\s+)?(?P<hour>[01]?[0-9]|2[0-3])(?:h|[:h](?P<minute>[0-5][0-9])))?", re.ASCII
)
_YEAR_FIRST = re.compile(r"[0-9]{4}-([0-9]{2})-([0-9]{2})")
_MONTHS, _LONGEST_MONTH = 12, 31


def parse_day(text: str, *, in_a_file: bool = False) -> date:
    """Parse a day as 2026-08-31, or day first as 31/08/2026.

    Raises:
        ValueError: it is no day, or one that may be read month first, by whoever does not read French; in a
            file, others may read it, so no language decides.
    """
    written = _DAY_FIRST.fullmatch(text.strip())
    try:
        if written is None:
            return date.fromisoformat(text.strip())
        number, month, year = map(int, written.groups())
        day = date(year, month, number)
    except ValueError:
        raise ValueError(_why_it_is_no_day(text.strip())) from None
    is_french = current_language() is Language.FRENCH and not in_a_file
    if number != month and number <= _MONTHS and not is_french:
        other = date(year, number, month)
        raise ValueError(_("{text} may be {day} or {other}: write the one meant", text=text, day=day, other=other))
    return day


def _why_it_is_no_day(text: str) -> str:
    """Return what is wrong with a text that is no day."""
    if written := _DAY_FIRST.fullmatch(text):
        number, month = int(written[1]), int(written[2])
    elif written := _YEAR_FIRST.fullmatch(text):
        month, number = int(written[1]), int(written[2])
    else:
        number = month = 0
    if 1 <= month <= _MONTHS and 1 <= number <= _LONGEST_MONTH:
        return _("{text}: there is no such day", text=text)
    return _("write a day as 2026-08-31 or 31/08/2026")


def parse_day_or_time(text: str, *, in_a_file: bool = False) -> datetime:
    """Parse ISO 8601, or a day as `parse_day` does, from its midnight or with a time behind it, as 14:05 or 14h05.

    Raises:
        ValueError: it is neither, or its day may be read month first.
    """
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        written = _WITH_TIME.fullmatch(text.strip())
    if written is None:
        raise ValueError(_("write a day as 2026-08-31 or 31/08/2026, and a time behind it as 14:05"))
    day = parse_day(written["day"], in_a_file=in_a_file)
    return datetime.combine(day, time(int(written["hour"] or 0), int(written["minute"] or 0)))
