"""What is wrong with a configuration, where, and what may have been meant."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

KeyPath = tuple[str | int, ...]
"""Where a value stands in the file: `("conversions", 1, "stage")`; () is the whole."""


_LIKE_A_SECRET = re.compile(r"(?=\D*\d)\S{16,}")


@dataclass(frozen=True, slots=True)
class SourceMark:
    """A place in the file; lines and columns count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class SettingsFinding:
    """Something wrong at a path of the file; `at` where the path's own mark is not the place."""

    path: KeyPath
    message: str
    at: SourceMark | None = None


@dataclass(frozen=True, slots=True, order=True)
class SettingsProblem:
    """One thing to fix in the file; it sorts by place and never holds a secret.

    Line and column are 0 where it has no place there: the file cannot be read.
    """

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


def dotted(path: Iterable[str | int]) -> str:
    """`conversions.1.stage`; a key that is blank or has blanks around it is shown in quotes.

    One that looks like a secret is shown by its shape: pasted onto a line of its own, a secret becomes a key.
    """
    names = (f"<text, {len(part)} characters>" if _LIKE_A_SECRET.fullmatch(part) else part for part in map(str, path))
    return ".".join(name if name and name == name.strip() else repr(name) for name in names)


def read_limited(path: Path, limit: int, what: str) -> bytes:
    """The content of a plain file.

    Raises:
        ValueError: there is none, it cannot be read, or it has more bytes than `limit`; the message calls it `what`.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise ValueError(f"{what} {'is not a plain file' if path.exists() else 'does not exist'}")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ValueError(f"{what} cannot be read ({error.strerror})") from None
    if len(content) > limit:
        raise ValueError(f"{what} is too long")
    return content


def one_line(text: str) -> str:
    """The text with a dot for what would break a line or hide in a terminal."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean "won"?` where one of the known names is close, else nothing."""
    names = {candidate.casefold(): candidate for candidate in sorted(known)}
    # Comparing costs the product of both lengths: no known name is near a hundred letters long.
    close = get_close_matches(name.casefold()[:100], names, n=1)
    return f'; did you mean "{names[close[0]]}"?' if close else ""
