"""Text for people: control characters taken out, and numbers with their nouns."""

import unicodedata

_JOINERS = "\u200c\u200d"
"""They only join letters and emojis."""
_CONTROLS = frozenset({"Cc", "Cf", "Cs"})
_LINE_ENDS = frozenset({"Zl", "Zp"})


def plain(text: str, *, keep: str = "") -> str:
    """The text without control and format characters (C0, DEL, C1, bidi, zero width); a tab or line end is a space.

    What `keep` lists stays. https://www.unicode.org/reports/tr36/ lists what format characters can do.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter in keep else _shown(letter) for letter in text)


def _shown(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind in _LINE_ENDS or (kind == "Cc" and letter.isspace()):
        return " "
    return "" if kind in _CONTROLS and letter not in _JOINERS else letter


def number(count: int) -> str:
    """1,269."""
    return f"{count:,}"


def counted(count: int, one: str, several: str | None = None) -> str:
    """1 lead, 1,269 leads."""
    return f"{number(count)} {one if count == 1 else several or f'{one}s'}"
