"""Text from outside cannot control the terminal it is shown on."""

import unicodedata
from pathlib import Path

import pytest

from connectors import text
from connectors.text import holds_contact, is_contact, strip_control_characters

TITLE, CLEAR, LINK = "\x1b]0;owned\x07", "\x1b[2J\x1b[H", "\x1b]8;;http://x.example\x1b\\here\x1b]8;;\x1b\\"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Gagné", "Gagné"),
        (f"Gagné{TITLE}", "Gagné]0;owned"),
        (CLEAR, "[2J[H"),
        (LINK, "]8;;http://x.example\\here]8;;\\"),
        ("\x9b2J\x85", "2J "),
        ("a\u202eb\u2066c\u200bd\ufeff", "abcd"),
        ("two\nlines\tand\u2028more", "two lines and more"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("1\xa0231\u202f€", "1\xa0231\u202f€"),
        ("half \ud83d", "half "),
    ],
)
def test_strips_terminal_control_sequences(text, shown):
    """The letters of the text stay, whatever stood between them."""
    assert shown == strip_control_characters(text)


def test_strips_every_control_and_format_character():
    """Only the two zero-width joiners pass."""
    everything = "".join(map(chr, range(0x110000)))

    left = {
        letter
        for letter in strip_control_characters(everything)
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    }

    assert {"\u200c", "\u200d"} == left


def test_keeps_only_the_characters_listed_in_keep():
    """The program's own sentences keep their line breaks this way."""
    assert "a\nb" == strip_control_characters("a\nb\x1b", keep="\n")


@pytest.mark.parametrize(
    "told",
    [
        *("jean@exemple.fr", "0612345678", "01 23 45 67 89", "+33 6 12 34 56 78", "+33612345678", "0033612345678"),
        *("33 612345678", "33 1 23 45 67 89", "+352 621 123 456", "06.12.34.56.78", "0033 6-12-34-56-78"),
    ],
)
def test_contact_data_is_known_alone_and_within_a_text(told):
    """Websites put it into tags, and forms into statuses; an address turns a + into a space."""
    assert holds_contact(f"relance {told} (sms)")
    assert is_contact(told)


def test_a_mobile_number_without_its_plus_is_masked_in_a_text_and_may_be_an_id():
    """Leads' numbers are as long."""
    assert holds_contact("sms 33612345678")
    assert not is_contact("33612345678")


@pytest.mark.parametrize(
    "told",
    [
        *("21345678901", "120210000000000000", "2026-01-02", "RDV 14:30", "Relance J+3 @ 10h", "12 500,00"),
        *("00000123456", "0100000234", "L-1", "8f14e45f-0123-4567-8901-ceea167a5a36"),
        *("33712345678", "33612345678", "612345678", "123456789"),
    ],
)
def test_what_is_no_contact_data_stays_an_id(told):
    """Campaigns' and leads' numbers, also padded with zeros; a date; a UUID."""
    assert not is_contact(told)


@pytest.mark.parametrize(
    "told",
    [
        *("soldes_01.07-31.07.2026", "promo-01-2024-06-15", "PAC|01-06-2026|30-06-2026", "soldes-0107-31072026"),
        *("06 2026 10 2026", "06-2024 Q1 2025", "RDV 01/06/2024", "Devis 01-2024-06-15", "20210123456789012"),
    ],
)
def test_dates_are_no_telephone_number(told):
    """One is written in pairs with the same separator, or with none."""
    assert not holds_contact(told)


def test_the_website_s_script_knows_contact_data_by_the_same_pattern():
    """What it passes on, a night does not mask, and the other way round."""
    script = (Path(text.__file__).parent / "website" / "capture.js").read_text(encoding="utf-8")

    assert f"var CONTACT = /@|{text._PHONE.pattern}/;" in script
