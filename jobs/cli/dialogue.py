"""Questions to one person at a terminal; every answer is checked at once and may be taken back."""

from collections.abc import Callable
from typing import TypeVar

import typer

from jobs.cli.exits import UnansweredError
from jobs.reporting.terminal import results

NONE = "-"
"""What is typed where a question may be answered with nothing: Enter takes the proposal."""
BACK = "<"
"""What is typed to answer the question before once more."""
HOW = f"Enter takes what stands in brackets, {NONE} says that there is none, {BACK} goes back one question."
T = TypeVar("T")
_YES, _NO = frozenset({"y", "yes", "o", "oui"}), frozenset({"n", "no", "non"})


class _TakenBack(Exception):
    """An answer was: the questions are put again from the start, and answered as they were up to there."""


class Dialogue:
    """Puts questions, and remembers what was typed.

    To go back is to begin anew with one answer less: whoever asks only has to ask the same after the same answers.
    """

    def __init__(self, *, ask: bool) -> None:
        """Ask nothing yet; where `ask` is false nobody is there, and proposals are taken."""
        self.asks = ask
        self._typed: list[str] = []
        self.place = 0
        """How many questions were answered so far."""

    def hold(self, questions: Callable[[], T]) -> T:
        """What the questions come to once nothing is taken back any more."""
        while True:
            self.place = 0
            try:
                return questions()
            except _TakenBack:
                continue

    def say(self, *lines: str) -> None:
        """Print, but not once more for a question that was answered before."""
        if self.place >= len(self._typed):
            for line in lines:
                results().print(line, markup=False, soft_wrap=True)

    def text(self, question: str, option: str, check: Callable[[str], T], default: str | None = None) -> T:
        """An answer there must be.

        Args:
            question: what is asked.
            option: how the command line answers it.
            check: makes of a text what is wanted, or says in a ValueError what is wrong with it.
            default: what is proposed; None proposes nothing.

        Raises:
            UnansweredError: nobody is there and nothing, or nothing that will do, is proposed.
        """
        if not self.asks:
            return _unasked(option, check, default)
        while True:
            is_known = self.place < len(self._typed)
            answer = self._typed[self.place] if is_known else _prompt(question, default)
            if answer == BACK:
                self._take_back()
                continue
            try:
                made = check(answer)
            except ValueError as error:
                self.say(f"  {error}")
                continue
            if not is_known:
                self._typed.append(answer)
            self.place += 1
            return made

    def agrees(self, question: str, *, default: bool) -> bool:
        """Whether a person says yes; where nobody is there, it is so."""
        return not self.asks or self.text(f"{question} y or n", "", _yes_or_no, "y" if default else "n")

    def back_to(self, place: int) -> None:
        """Put the questions from `place` on once more."""
        del self._typed[place:]
        raise _TakenBack

    def _take_back(self) -> None:
        if self._typed:
            self.back_to(len(self._typed) - 1)
        self.say("  this is the first question")


def _prompt(question: str, default: str | None) -> str:
    return str(typer.prompt(question, default=default, show_default=bool(default))).strip()


def _unasked(option: str, check: Callable[[str], T], default: str | None) -> T:
    if default is None:
        raise UnansweredError(f"nobody is there to answer: write {option}…")
    try:
        return check(default)
    except ValueError as error:
        raise UnansweredError(f"nobody is there to answer: write {option}… ({error})") from None


def _yes_or_no(text: str) -> bool:
    if text.casefold() not in _YES | _NO:
        raise ValueError("write y or n")
    return text.casefold() in _YES
