"""Days as people write them."""

import re
from datetime import date

from connectors.language import Language, _, current_language

_DAY_FIRST = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})")
_MONTHS = 12


def parse_day(text: str) -> date:
    """Parse a day as 2026-08-31, or day first as 31/08/2026.

    Raises:
        ValueError: it is no day, or one that may be read month first, by whoever does not read French.
    """
    written = _DAY_FIRST.fullmatch(text.strip())
    try:
        if written is None:
            return date.fromisoformat(text.strip())
        number, month, year = map(int, written.groups())
        day = date(year, month, number)
    except ValueError:
        raise ValueError(_("write a day as 2026-08-31 or 31/08/2026")) from None
    if number != month and number <= _MONTHS and current_language() is not Language.FRENCH:
        other = date(year, number, month)
        raise ValueError(_("{text} may be {day} or {other}: write the one meant", text=text, day=day, other=other))
    return day
