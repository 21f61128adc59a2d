"""Text from outside cannot control the terminal it is shown on."""

import unicodedata

import pytest

from connectors.text import strip_control_characters

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
