"""Days are read as people write them, and never guessed."""

from datetime import date

import pytest

from connectors.days import parse_day, parse_day_or_time
from connectors.language import Language, using_language
from jobs.cli.options import parse_day_option


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("text", ["2026-11-30", "30/11/2026", "30.11.2026", "30-11-2026", " 30/11/2026 "])
def test_a_day_is_read_year_first_or_day_first(language, text):
    """Wherever it is typed."""
    with using_language(language):
        assert parse_day(text) == parse_day_option(text) == date(2026, 11, 30)


def test_a_day_that_may_be_read_two_ways_is_refused_unless_french_is_spoken():
    """The French write the day first, all of them; a wrong month would miss, or send, a month of conversions."""
    with using_language(Language.FRENCH):
        assert date(2026, 6, 5) == parse_day("05/06/2026")
    with using_language(Language.ENGLISH):
        assert date(2026, 6, 6) == parse_day("06/06/2026")
        with pytest.raises(ValueError, match="may be 2026-06-05 or 2026-05-06"):
            parse_day("05/06/2026")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("01/09/2026", "2026-09-01 00:00"),
        ("01/09/2026 14:05", "2026-09-01 14:05"),
        ("1/9/2026 à 14h", "2026-09-01 14:00"),
        ("2026-09-01 9h05", "2026-09-01 09:05"),
        ("2026-09-01T14:05:00", "2026-09-01 14:05"),
    ],
)
def test_a_time_may_stand_behind_a_day(text, expected):
    """As the French write it, or as ISO 8601 has it."""
    with using_language(Language.FRENCH):
        assert expected == f"{parse_day_or_time(text):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize("text", ["hier", "01/09/2026 25:00", "01/09/2026 14:60", "14:05", "1/9/26"])
def test_what_is_no_time_is_refused(text):
    """And how to write it is said."""
    with using_language(Language.FRENCH), pytest.raises(ValueError, match="31/08/2026"):
        parse_day_or_time(text)


def test_a_time_on_a_day_that_may_be_read_two_ways_is_refused_like_the_day():
    """In a file even if French is spoken, since whoever reads it may not."""
    for language, in_a_file in ((Language.ENGLISH, False), (Language.FRENCH, True)):
        with using_language(language), pytest.raises(ValueError, match=r"2026-09-01 (?:or|ou) (?:le )?2026-01-09"):
            parse_day_or_time("01/09/2026 14:05", in_a_file=in_a_file)


@pytest.mark.parametrize("text", ["11/30/2026", "05/06/26", "hier", "", "2026-13-01", "32/01/2026"])
def test_what_is_no_day_is_refused(text):
    """Two digits of a year may be anything."""
    with using_language(Language.FRENCH), pytest.raises(ValueError, match="31/08/2026"):
        parse_day(text)


@pytest.mark.parametrize("text", ["31/09/2026", "2026-09-31", "29.2.2026"])
def test_a_day_that_its_month_does_not_have_is_named(text):
    """How to write a day is known already."""
    with using_language(Language.ENGLISH), pytest.raises(ValueError, match="there is no such day"):
        parse_day(text)
