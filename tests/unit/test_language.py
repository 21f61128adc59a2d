"""People are addressed in one language at a time; every catalogue has every message, with the same values in it."""

import string
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, date, datetime
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
    format_money,
    format_time,
    speaking,
)
from docs.catalogues import FOLDER, up_to_date

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
            assert _values(translation) in [_values(original) for original in originals], originals[0]
