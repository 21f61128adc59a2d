"""What a check comes to, said last: what was looked at, what was not, and whether the file may run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from jobs.reporting.terminal import counted

Word = Literal["may run", "needs a human first", "must not run"]
_WORDS: dict[int, Word] = {0: "may run", 1: "needs a human first", 2: "must not run"}
"""What each exit code of `check` means for a file."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What became of one file."""

    file: Path
    exit_code: int
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    failed: int = 0
    """Problems of a file that must not run, else look-ups that failed."""
    is_live: bool = False
    """Whether the platforms were asked."""
    unconfirmed: tuple[str, ...] = ()
    """Accounts and datasets of which nothing showed, where the platforms were asked, that they are there."""

    @property
    def word(self) -> Word:
        """The conclusion itself; it agrees with the exit code."""
        return _WORDS[self.exit_code]

    @property
    def because(self) -> str:
        """What it rests on."""
        match self.word:
            case "must not run":
                return f"{counted(self.failed, 'problem')}, named above"
            case "needs a human first":
                return f"{self.failed} failed: mend what is named above, then check again"
            case "may run":
                return _nothing_failed(self.unconfirmed) if self.is_live else "no mistakes in the file"


def print_conclusions(console: Console, concluded: Sequence[Conclusion]) -> None:
    """Print each file's conclusion, and of several what they come to together."""
    console.print()
    for one in concluded:
        if one.checked:
            _print(console, f"{one.file}: {_looked_at(one)}")
        _print(console, f"{one.file}: {one.word} ({one.because})")
    if len(concluded) > 1:
        words = Counter(one.word for one in concluded)
        told = ", ".join(f"{words[word]} {word}" for word in reversed(_WORDS.values()) if words[word])
        _print(console, f"{len(concluded)} files: {told}")


def _nothing_failed(unconfirmed: Sequence[str]) -> str:
    """A wrong number passes where nobody could look it up, so it is named."""
    rest = f"; nobody could confirm {', '.join(unconfirmed)}" if unconfirmed else ""
    return f"nothing failed{rest}"


def _looked_at(one: Conclusion) -> str:
    rest = ""
    if one.unchecked:
        why = "could not be reached" if one.is_live else "--live asks them"
        rest = f"; not checked: {', '.join(one.unchecked)} ({why})"
    return f"checked: {', '.join(one.checked)}{rest}"


def _print(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
