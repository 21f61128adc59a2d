"""Text from outside cannot control the terminal it is shown on."""

import unicodedata

import pytest

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
    "text",
    [
        *("jean@exemple.fr", "0612345678", "01 23 45 67 89", "+33 6 12 34 56 78", "+33612345678", "0033612345678"),
        *("33612345678", "33 1 23 45 67 89", "+352 621 123 456"),
    ],
)
def test_contact_data_is_known_alone_and_within_a_text(text):
    """Websites put it into tags, and forms into statuses; an address turns a + into a space."""
    assert holds_contact(f"relance {text} (sms)")
    assert is_contact(text)


@pytest.mark.parametrize(
    "text",
    [
        *("21345678901", "120210000000000000", "2026-01-02", "RDV 14:30", "Relance J+3 @ 10h", "12 500,00"),
        *("00000123456", "0100000234", "L-1", "8f14e45f-0123-4567-8901-ceea167a5a36"),
    ],
)
def test_what_is_no_contact_data_stays_an_id(text):
    """Campaigns' and leads' numbers, also padded with zeros; a date; a UUID."""
    assert not is_contact(text)
