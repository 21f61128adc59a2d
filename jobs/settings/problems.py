"""Problems in a configuration: what is wrong, where, and what may have been meant."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

KeyPath = tuple[str | int, ...]
"""A value's place in the file, such as `("conversions", 1, "stage")`; () is the whole file."""


_LIKE_A_SECRET = re.compile(r"(?=\D*\d)\S{16,}")


@dataclass(frozen=True, slots=True)
class SourceMark:
    """A position in the file; lines and columns count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class SettingsFinding:
    """Something wrong at a path in the file; `at` overrides the path's own position."""

    path: KeyPath
    message: str
    at: SourceMark | None = None


@dataclass(frozen=True, slots=True, order=True)
class SettingsProblem:
    """One thing to fix in the file; sorts by position and never holds a secret.

    Line and column are 0 if the file cannot be read.
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
    """Join a path as in `conversions.1.stage`, quoting keys that are empty or have surrounding white space.

    A key that looks like a secret is replaced by its length: a secret pasted onto its own line becomes a key.
    """
    names = (f"<text, {len(part)} characters>" if _LIKE_A_SECRET.fullmatch(part) else part for part in map(str, path))
    return ".".join(name if name and name == name.strip() else repr(name) for name in names)


def read_limited(path: Path, limit: int, what: str) -> bytes:
    """Return the content of a regular file of at most `limit` bytes.

    Raises:
        ValueError: the file is missing, unreadable or too long; the message calls it `what`.
    """
    try:
        if not path.is_file():  # reading a pipe would block
            raise ValueError(f"{what} {'is not a plain file' if path.exists() else 'does not exist'}")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ValueError(f"{what} cannot be read ({error.strerror})") from None
    if len(content) > limit:
        raise ValueError(f"{what} is too long")
    return content


def one_line(text: str) -> str:
    """Replace every non-printable character, line breaks included, with a middle dot."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean "won"?` if a known name is close, else an empty string."""
    names = {candidate.casefold(): candidate for candidate in sorted(known)}
    # Comparing costs the product of both lengths, and no known name is anywhere near 100 characters long.
    close = get_close_matches(name.casefold()[:100], names, n=1)
    return f'; did you mean "{names[close[0]]}"?' if close else ""
