"""People are addressed in one language at a time; every catalogue has every message, with the same values in it."""

import ast
import string
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from connectors.language import (
    Language,
    _,
    _n,
    current_language,
    format_count,
    format_day,
    format_decimal,
    format_duration,
    format_moment,
    format_money,
    format_round_money,
    format_share,
    format_short_day,
    format_time,
    speaking,
)
from docs.catalogues import FOLDER, SOURCES, messages_in_code, up_to_date

NARROW, WIDE = "\u202f", "\xa0"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Language.ENGLISH),
        ({"LANG": "C.UTF-8"}, Language.ENGLISH),
        ({"LANG": "fr_FR.UTF-8"}, Language.FRENCH),
        ({"LANG": "fr_FR.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, Language.ENGLISH),
        ({"LC_ALL": "fr_BE@euro", "LANG": "C"}, Language.FRENCH),
        ({"LC_ALL": "", "LANG": "fr"}, Language.FRENCH),
    ],
)
def test_the_terminal_decides_unless_a_language_is_chosen(variables, expected, monkeypatch):
    """Settings come first, then LC_ALL, LC_MESSAGES and LANG, then English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert current_language() is expected
    for chosen in Language:
        with speaking(chosen):
            assert current_language() is chosen
    assert current_language() is expected


def test_a_thread_speaks_what_its_context_does():
    """A copied context carries the language into a thread."""
    with speaking(Language.FRENCH), ThreadPoolExecutor(1) as pool:
        assert pool.submit(copy_context().run, current_language).result() is Language.FRENCH


@pytest.mark.parametrize(
    ("chosen", "count", "money", "day", "time"),
    [
        (Language.ENGLISH, "1,269", "€12,500.00", "Nov 28, 2026", f"Nov 28, 2026, 5:30:00{NARROW}AM"),
        (
            Language.FRENCH,
            f"1{NARROW}269",
            f"12{NARROW}500,00{WIDE}€",
            "28 nov. 2026",
            "28 nov. 2026, 05:30:00",
        ),
    ],
)
def test_numbers_money_and_times_read_as_usual(chosen, count, money, day, time):
    """Formats are those of CLDR."""
    with speaking(chosen):
        assert format_count(1269) == count
        assert format_money(Decimal(12500), "EUR") == money
        assert format_day(date(2026, 11, 28)) == day
        assert format_time(datetime(2026, 11, 28, 5, 30, tzinfo=UTC)) == time


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Language.ENGLISH, ["€12,501", "1,234.6", "57%", "–", "Nov 28", f"Nov 28, 2026, 5:30{NARROW}AM"]),
        (
            Language.FRENCH,
            [
                f"12{NARROW}501{WIDE}€",
                f"1{NARROW}234,6",
                f"57{WIDE}%",
                "–",
                "28 nov.",
                "28 nov. 2026, 05:30",
            ],
        ),
    ],
)
def test_pages_round(chosen, expected):
    """Whole euros, one decimal, whole percentages, minutes."""
    with speaking(chosen):
        assert expected == [
            format_round_money(Decimal("12500.6"), "EUR"),
            format_decimal(Decimal("1234.56")),
            format_share(57, 100),
            format_share(0, 0),
            format_short_day(date(2026, 11, 28)),
            format_moment(datetime(2026, 11, 28, 5, 30, 59, tzinfo=UTC)),
        ]


@pytest.mark.parametrize(
    ("duration", "english", "french"),
    [
        (timedelta(0), "0 minutes", "0 minute"),
        (timedelta(seconds=90), "2 minutes", "2 minutes"),
        (timedelta(minutes=119), "119 minutes", "119 minutes"),
        (timedelta(hours=47), "47 hours", "47 heures"),
        (timedelta(hours=60), "2.5 days", "2,5 jours"),
        (timedelta(days=90), "90 days", "90 jours"),
    ],
)
def test_durations_have_the_unit_that_suits_them(duration, english, french):
    """The next larger unit begins at two."""
    for language, words in ((Language.ENGLISH, english), (Language.FRENCH, french)):
        with speaking(language):
            assert format_duration(duration).replace(WIDE, " ") == words


def test_a_message_is_filled_in_only_if_it_has_values():
    """Braces of the settings' notation stay; plural forms show their count."""
    with speaking(Language.ENGLISH):
        assert _("write { field, tax }") == "write { field, tax }"
        assert _("{name} is new", name="Gagné") == "Gagné is new"
        assert _n("{count} lead of {name}", "{count} leads of {name}", 1, name="x") == "1 lead of x"
        assert _n("{count} lead of {name}", "{count} leads of {name}", 1269, name="x") == "1,269 leads of x"


CATALOGUES = sorted(path.stem for path in FOLDER.glob("*.po"))


def test_every_language_but_english_has_a_catalogue():
    """A language without one would fail at the first message."""
    assert sorted(set(Language) - {Language.ENGLISH}) == CATALOGUES


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_catalogue_has_every_message_of_the_code_and_no_other(name):
    """None is missing and none is left over."""
    assert Path(FOLDER / f"{name}.po").read_text(encoding="utf-8") == up_to_date(name), "run `make messages`"


def _values(text: str) -> set[str]:
    try:
        return {field for _text, field, _format, _conversion in string.Formatter().parse(text) if field is not None}
    except ValueError:  # braces of the settings' notation: such a message is never filled in
        return set()


@pytest.mark.parametrize("name", CATALOGUES)
def test_every_message_is_translated_with_the_same_values(name):
    """A translation is there, and fills in what the message does."""
    with (FOLDER / f"{name}.po").open("rb") as file:
        catalogue = read_po(file, locale=name)
    for message in catalogue:
        if not message.id:
            continue
        originals = message.id if isinstance(message.id, tuple) else (message.id,)
        translations = message.string if isinstance(message.string, tuple) else (message.string,)
        for translation in translations:
            assert translation, f"not translated: {originals[0]}"
            assert _values(translation) in [*map(_values, originals)], originals[0]


def test_babel_finds_every_message():
    """It overlooks those in f-strings and in some nested calls: such a message would never be translated."""
    written = {
        (f"{path}:{call.lineno}", call.args[0].value)
        for source in SOURCES
        for path in Path(source).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("_", "_n", "N_")
        if call.args and isinstance(call.args[0], ast.Constant)
    }
    found = {message.id[0] if isinstance(message.id, tuple) else message.id for message in messages_in_code()}
    assert [place for place, message in written if message not in found] == []
