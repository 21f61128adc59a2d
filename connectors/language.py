"""The language people are addressed in: messages by gettext, plural forms, numbers, money and times by CLDR.

The code says everything in English; `locales/` has a catalogue for each other language, read as it is committed, so
that no build step compiles it. `make messages` brings the catalogues up to date with the code.

Only what a person reads is translated. JSON and logs are for programs and stay English: what was said in another
language before it got there knows its English (`in_english`).
"""

import gettext
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple, overload

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog


class Language(StrEnum):
    """A language people can be addressed in, by its code."""

    ENGLISH = "en"
    FRENCH = "fr"


_chosen: ContextVar[Language | None] = ContextVar("language", default=None)


def current_language() -> Language:
    """Return the language chosen by `using_language`, else the terminal's, else English."""
    return _chosen.get() or _terminal_language()


def chosen_language() -> Language | None:
    """Return the language chosen by `using_language`, if any."""
    return _chosen.get()


@contextmanager
def using_language(language: Language | None) -> Iterator[None]:
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


class _Translated(str):
    """A text in another language that knows its English, for JSON and logs."""

    __slots__ = ("english",)

    english: str

    def __str__(self) -> str:
        """Return it as it is: what an exception says knows its English too."""
        return self


def in_english(text: str) -> str:
    """Return what `_`, `_n` or a format said, in English; any other text as it is."""
    return text.english if isinstance(text, _Translated) else text


def _with_english(say: Callable[[], str]) -> str:
    text = say()
    if current_language() is Language.ENGLISH:
        return text
    translated = _Translated(text)
    with using_language(Language.ENGLISH):
        translated.english = say()
    return translated


def _filled_in(text: str, values: Mapping[str, object]) -> str:
    if current_language() is Language.ENGLISH:
        values = {name: _value_in_english(value) for name, value in values.items()}
    return text.format(**values)


def _value_in_english(value: object) -> object:
    return in_english(str(value)) if isinstance(value, str | Exception) else value


def _(message: str, /, **values: object) -> str:
    """Translate a message and fill in its `{values}`; without values, braces in it stay as they are."""
    if not message:
        return ""  # gettext keeps a catalogue's header under it

    def say() -> str:
        text = _catalogue(current_language()).gettext(message)
        return _filled_in(text, values) if values else text

    return _with_english(say)


def _n(one: str, several: str, count: int, /, **values: object) -> str:
    """Translate a message in the plural form of `count`, which it shows as `{count}`."""

    def say() -> str:
        text = _catalogue(current_language()).ngettext(one, several, count)
        return _filled_in(text, {**values, "count": format_integer(count)})

    return _with_english(say)


Plural = tuple[str, str]
"""A message for one, and for several."""


@overload
def N_(message: str, /) -> str: ...
@overload
def N_(message: str, several: str, /) -> Plural: ...
def N_(message: str, several: str | None = None, /) -> str | Plural:  # noqa: N802 - the usual name
    """Mark a constant as a message for the catalogues; `_` or `_n` translates it where it is shown."""
    return message if several is None else (message, several)


@cache
def _catalogue(language: Language) -> gettext.NullTranslations:
    if language is Language.ENGLISH:
        return gettext.NullTranslations()
    # Only other languages need it, and it takes a while to load.
    from babel.messages.mofile import write_mo  # noqa: PLC0415

    compiled = io.BytesIO()
    write_mo(compiled, _messages(language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@cache
def _messages(language: Language) -> "Catalog":
    from importlib import resources  # noqa: PLC0415 - as in `_catalogue`

    from babel.messages.pofile import read_po  # noqa: PLC0415

    with resources.files("connectors.locales").joinpath(f"{language}.po").open("rb") as catalogue:
        return read_po(catalogue, locale=language)


# ── what was stored ──────────────────────────────────────────────────────────────────────────────

_VALUE = re.compile(r"\{(\w+)[^{}]*\}")
_FEWEST_LETTERS = 7
"""In a message's own words: with fewer, as `{code}: {text}`, it would be found in texts that are none of its."""


def translated(stored: str) -> str:
    """Translate a text that was stored in English, with the messages in its values; what is no message's stays."""
    language = current_language()
    if language is Language.ENGLISH or not stored:
        return stored
    text = _(stored)
    if text == stored:
        text = next(_as_messages_say(stored, language), stored)
    found = _Translated(text)
    found.english = stored
    return found


def _filled_in_with(template: str, values: Mapping[str, str]) -> str:
    return _VALUE.sub(lambda value: values[value[1]], template)


def _as_messages_say(stored: str, language: Language) -> Iterator[str]:
    for template in _templates(language):
        values = template.values_in(stored)
        if values is None:
            continue
        said = {name: translated(value) for name, value in values.items()}
        count = values.get("count", "").replace(",", "")
        if template.several is None:
            yield _filled_in_with(_catalogue(language).gettext(template.one), said)
        elif count.isdecimal():
            said["count"] = format_integer(int(count))
            text = _catalogue(language).ngettext(template.one, template.several, int(count))
            yield _filled_in_with(text, said)


class _Template(NamedTuple):
    """A message with values, or one of its two forms."""

    one: str
    several: str | None
    text: str
    own: tuple[str, ...]
    """The text between the values."""

    def values_in(self, stored: str) -> Mapping[str, str] | None:
        """Return the values with which it says this; None if it never does."""
        if not (stored.startswith(self.own[0]) and stored.endswith(self.own[-1])):
            return None
        match = _pattern(self.text).fullmatch(stored)
        return match and match.groupdict()


@cache
def _pattern(text: str) -> re.Pattern[str]:
    names = _VALUE.findall(text)
    own = (re.escape(words) for words in _VALUE.split(text)[::2])
    return re.compile("".join(f"{words}(?P<{name}>.+)" if name else words for words, name in zip_longest(own, names)))


@cache
def _templates(language: Language) -> Sequence[_Template]:
    """Return the messages with values; the one with the most words of its own comes first."""
    found = []
    for message in _messages(language):
        one, several = (message.id, None) if isinstance(message.id, str) else message.id[:2]
        for text in filter(None, (one, several)):
            own, names = _VALUE.split(text)[::2], _VALUE.findall(text)
            letters = sum(map(str.isalpha, "".join(own)))
            if letters >= _FEWEST_LETTERS and names and len(names) == len({*names}):
                found.append((letters, _Template(one, several, text, tuple(own))))
    return [template for _letters, template in sorted(found, key=lambda each: -each[0])]


def format_integer(count: int) -> str:
    """Format a whole number: `1,269` in English."""
    if current_language() is Language.ENGLISH:
        return f"{count:,}"
    from babel.numbers import format_decimal  # noqa: PLC0415 - as in `_catalogue`

    return _with_english(lambda: format_decimal(count, locale=current_language()))


def join_with_newlines(texts: Iterable[str]) -> str:
    """Put each text on a line of its own."""
    said = [*texts]
    return _with_english(lambda: "\n".join(map(in_english, said) if current_language() is Language.ENGLISH else said))


def join_with_semicolons(texts: Iterable[str]) -> str:
    """Put texts into one line, with the language's space before each semicolon."""
    said = [*texts]

    def joined() -> str:
        return "; ".join(map(in_english, said)) if current_language() is Language.ENGLISH else "\u202f; ".join(said)

    return _with_english(joined)


def format_list(texts: Sequence[str], *, either: bool = False) -> str:
    """Format a list: `a, b, and c` in English, or `a, b, or c` if `either`."""
    from babel import lists  # noqa: PLC0415

    def say() -> str:
        spoken = current_language()
        said = map(in_english, texts) if spoken is Language.ENGLISH else texts
        return lists.format_list([*said], style="or" if either else "standard", locale=spoken)

    return _with_english(say)


def format_number(number: float) -> str:
    """Format a number with up to three decimals: `5.5` in English."""
    from babel.numbers import format_decimal  # noqa: PLC0415

    return _with_english(lambda: format_decimal(number, locale=current_language()))


def format_amount(amount: Decimal) -> str:
    """Format an amount with two decimals: `12,500.00` in English."""
    # Python writes it so, too: loading Babel's data takes as long as half the queries of `explain`.
    if current_language() is Language.ENGLISH:
        return f"{amount:,.2f}"
    from babel.numbers import format_decimal  # noqa: PLC0415

    return _with_english(lambda: format_decimal(amount, "#,##0.00", locale=current_language()))


def format_rate(rate: float) -> str:
    """Format a rate as a percentage with a decimal: `12.3%` in English."""
    from babel.numbers import format_percent  # noqa: PLC0415

    return _with_english(lambda: format_percent(rate, _percentage("0.0"), locale=current_language()))


def _percentage(digits: str) -> str:
    # French sets a narrow space before the sign, and does not break there.
    return f"{digits}%" if current_language() is Language.ENGLISH else f"{digits}\u202f%"


def format_money(amount: Decimal, currency: str) -> str:
    """Format an amount with its currency and decimals: `€12,500.00` in English."""
    from babel.numbers import format_currency  # noqa: PLC0415

    return _with_english(lambda: format_currency(amount, currency, locale=current_language()))


def format_round_money(amount: Decimal, currency: str) -> str:
    """Format an amount without decimals: `€12,500` in English."""
    from babel import Locale  # noqa: PLC0415
    from babel.numbers import format_currency  # noqa: PLC0415

    def say() -> str:
        locale = Locale.parse(current_language())
        pattern = locale.currency_formats["standard"].pattern.replace(".00", "")
        return format_currency(amount, currency, pattern, locale=locale, currency_digits=False)

    return _with_english(say)


def format_decimal(number: Decimal | float) -> str:
    """Format a number with at most one decimal: `1,234.5` in English."""
    from babel import numbers  # noqa: PLC0415

    return _with_english(lambda: numbers.format_decimal(number, "#,##0.#", locale=current_language()))


NO_NUMBER = "–"
"""Stands where there is no number."""


def format_share(part: int | Decimal, whole: int | Decimal) -> str:
    """Format a part of a whole as a whole percentage: `57%` in English; of nothing, a dash."""
    from babel.numbers import format_percent  # noqa: PLC0415

    if not whole:
        return NO_NUMBER
    share = Decimal(part) / Decimal(whole)
    return _with_english(lambda: format_percent(share, _percentage("0"), locale=current_language()))


def format_rough_duration(lapse: timedelta) -> str:
    """Format a length of time in the unit that suits it, from minutes to days: `2.5 days` in English."""
    from babel.units import format_unit  # noqa: PLC0415

    sizes = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))
    unit, size = next((each for each in sizes if lapse >= 2 * each[1]), sizes[-1])
    count = round(lapse / size, 1 if unit == "day" else 0)
    return _with_english(lambda: format_unit(count, f"duration-{unit}", locale=current_language()))


def format_day(day: date) -> str:
    """Format a day: `Tue 1 Sep 2026` in English."""
    from babel.dates import format_date  # noqa: PLC0415

    return _with_english(lambda: format_date(day, f"EEE {_number_of(day)} MMM y", locale=current_language()))


def _number_of(day: date) -> str:
    """Return the pattern of a day's number: the first of a month is the `1er` in French."""
    return "d'er'" if day.day == 1 and current_language() is Language.FRENCH else "d"


def format_time(at: datetime) -> str:
    """Format a day with its time, in the zone that it is given in: `Tue 1 Sep 2026 05:30` in English."""
    from babel.dates import format_datetime  # noqa: PLC0415

    return _with_english(
        lambda: format_datetime(at, f"EEE {_number_of(at)} MMM y HH:mm", tzinfo=at.tzinfo, locale=current_language())
    )


def format_short_day(day: date, *, of_week: bool = False) -> str:
    """Format a day without its year: `Nov 28` in English, or `Sat, Nov 28` if `of_week`."""
    from babel.dates import format_skeleton  # noqa: PLC0415

    return _with_english(lambda: format_skeleton("MMMEd" if of_week else "MMMd", day, locale=current_language()))


def format_duration(span: timedelta) -> str:
    """Format a length of time: `42 s`, `3 min 20 s`, `1 h 5 min`, or from ten hours on `12 h`."""
    seconds = round(span.total_seconds())
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours >= 10:  # noqa: PLR2004 - by then, minutes say nothing
        return _("{hours} h", hours=hours + (minutes >= 30))  # noqa: PLR2004 - half an hour
    if hours:
        return _("{hours} h {minutes} min", hours=hours, minutes=minutes)
    if minutes:
        return _("{minutes} min {seconds} s", minutes=minutes, seconds=seconds % 60)
    return _("{seconds} s", seconds=seconds)
