"""The language people are addressed in: messages by gettext, plural forms, numbers, money and times by CLDR.

The code says everything in English; `locales/` has a catalogue for each other language, read as it is committed, so
that no build step compiles it. `make messages` brings the catalogues up to date with the code.

Only what a person reads is translated. JSON, logs and `--help` are for programs and stay English.
"""

import gettext
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache


class Language(StrEnum):
    """A language people can be addressed in, by its code."""

    ENGLISH = "en"
    FRENCH = "fr"


_chosen: ContextVar[Language | None] = ContextVar("language", default=None)


def current_language() -> Language:
    """Return the language chosen by `speaking`, else the terminal's, else English."""
    return _chosen.get() or _terminal_language()


@contextmanager
def speaking(language: Language | None) -> Iterator[None]:
    """Address people in this language, or in the terminal's if None; threads need a copy of the context."""
    token = _chosen.set(language)
    try:
        yield
    finally:
        _chosen.reset(token)


def _terminal_language() -> Language:
    # In the order of https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html
    locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return Language.FRENCH if locale.lower().startswith(Language.FRENCH) else Language.ENGLISH


def _(message: str, /, **values: object) -> str:
    """Translate a message and fill in its `{values}`; without values, braces in it stay as they are."""
    text = _catalogue(current_language()).gettext(message) if message else ""  # gettext keeps its header under ""
    return text.format(**values) if values else text


def _n(one: str, several: str, count: int, /, **values: object) -> str:
    """Translate a message in the plural form of `count`, which it shows as `{count}`."""
    text = _catalogue(current_language()).ngettext(one, several, count)
    return text.format(count=format_count(count), **values)


def N_(message: str) -> str:  # noqa: N802 - the usual name: it marks a message that `_` translates later
    """Mark a constant as a message for the catalogues; `_` translates it where it is shown."""
    return message


@cache
def _catalogue(language: Language) -> gettext.NullTranslations:
    if language is Language.ENGLISH:
        return gettext.NullTranslations()
    # Only other languages need these, which take a while to load.
    from importlib import resources  # noqa: PLC0415

    from babel.messages.mofile import write_mo  # noqa: PLC0415
    from babel.messages.pofile import read_po  # noqa: PLC0415

    compiled = io.BytesIO()
    with resources.files("connectors.locales").joinpath(f"{language}.po").open("rb") as catalogue:
        write_mo(compiled, read_po(catalogue, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def format_count(count: int) -> str:
    """Format a whole number: `1,269` in English."""
    if current_language() is Language.ENGLISH:
        return f"{count:,}"
    from babel.numbers import format_decimal  # noqa: PLC0415 - as in `_catalogue`

    return format_decimal(count, locale=current_language())


def format_share(share: float) -> str:
    """Format a share as a percentage: `12.3%` in English."""
    if current_language() is Language.ENGLISH:
        return f"{share:.1%}"
    from babel.numbers import format_percent  # noqa: PLC0415 - as in `_catalogue`

    # French sets a narrow space before the sign, and does not break there.
    return format_percent(share, "0.0\u202f%", locale=current_language())


def format_money(amount: Decimal, currency: str) -> str:
    """Format an amount with its currency and decimals: `€12,500.00` in English."""
    from babel.numbers import format_currency  # noqa: PLC0415

    return format_currency(amount, currency, locale=current_language())


def format_round_money(amount: Decimal, currency: str) -> str:
    """Format an amount without decimals: `€12,500` in English."""
    from babel import Locale  # noqa: PLC0415
    from babel.numbers import format_currency  # noqa: PLC0415

    locale = Locale.parse(current_language())
    pattern = locale.currency_formats["standard"].pattern.replace(".00", "")
    return format_currency(amount, currency, pattern, locale=locale, currency_digits=False)


def format_decimal(number: Decimal | float) -> str:
    """Format a number with at most one decimal: `1,234.5` in English."""
    from babel import numbers  # noqa: PLC0415

    return numbers.format_decimal(number, "#,##0.#", locale=current_language())


def format_share(part: int | Decimal, whole: int | Decimal) -> str:
    """Format a part of a whole as a whole percentage: `57%` in English; of nothing, a dash."""
    from babel.numbers import format_percent  # noqa: PLC0415

    return format_percent(Decimal(part) / Decimal(whole), locale=current_language()) if whole else NO_NUMBER


NO_NUMBER = "–"
"""Stands where there is no number."""


def format_duration(duration: timedelta) -> str:
    """Format a duration in the unit that suits it, from minutes to days: `2.5 days` in English."""
    from babel.units import format_unit  # noqa: PLC0415

    sizes = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))
    unit, size = next((each for each in sizes if duration >= 2 * each[1]), sizes[-1])
    return format_unit(round(duration / size, 1 if unit == "day" else 0), f"duration-{unit}", locale=current_language())


def format_day(day: date) -> str:
    """Format a day: `Nov 28, 2026` in English."""
    from babel.dates import format_date  # noqa: PLC0415

    return format_date(day, locale=current_language())


def format_time(at: datetime) -> str:
    """Format a day with its time, in the zone that it is given in."""
    from babel.dates import format_datetime  # noqa: PLC0415

    return format_datetime(at, "medium", tzinfo=at.tzinfo, locale=current_language())


def format_short_day(day: date) -> str:
    """Format a day without its year: `Nov 28` in English."""
    from babel.dates import format_skeleton  # noqa: PLC0415

    return format_skeleton("MMMd", day, locale=current_language())


def format_moment(at: datetime) -> str:
    """Format a day with its time to the minute, in the zone that it is given in: `Nov 28, 2026, 5:30 AM` in English."""
    from babel.dates import format_time as format_time_of_day  # noqa: PLC0415

    return f"{format_day(at.date())}, {format_time_of_day(at, 'short', tzinfo=at.tzinfo, locale=current_language())}"
