"""Questions to a person at a terminal, checked at once; nobody is waited for long."""

import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, product
from string import ascii_lowercase
from typing import TypeVar

import typer

from connectors.http import CancelToken
from connectors.survey import SurveyedLabel
from connectors.text import counted
from jobs.cli.exits import UnansweredError
from jobs.reporting.console import results
from jobs.rules.model import normalise_label

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


PATIENCE_SECONDS = 600
"""How long an answer is waited for: meanwhile the account is held, and no night can be done."""
_LOOK_EVERY = 0.5


def somebody_must_answer(*, yes: bool, dry_run: bool, json_wanted: bool) -> None:
    """Refuse to begin what nobody could agree to.

    Raises:
        UnansweredError: nobody is there, and neither `--yes` nor `--dry-run` is written.
    """
    if yes or dry_run:
        return
    if json_wanted:
        raise UnansweredError("--json asks nobody: write --yes to agree, or --dry-run to look only")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UnansweredError("nobody is there to agree: write --yes to agree, or --dry-run to look only")


def agrees(question: str, *, yes: bool, cancel_token: CancelToken) -> bool:
    """Whether a person says yes; anything else is no.

    Raises:
        UnansweredError: nobody answered for ten minutes.
    """
    if yes:
        return True
    results().out(f"{question} [y/N]: ", end="", highlight=False)
    sys.stdout.flush()
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        ready, _, _ = select.select([sys.stdin], [], [], _LOOK_EVERY)
        cancel_token()
        if ready:
            return sys.stdin.readline().strip().casefold() in {"y", "yes", "o", "oui"}
    raise UnansweredError("nobody answered for ten minutes: nothing was done; write --yes to agree beforehand")


# Said by Oplead's help pages or common in French sales: proposals, for a person to take or change.
_USUAL: Mapping[str, frozenset[str]] = {
    "appointment": frozenset({"rendez vous", "rdv", "rdv pris", "rendez vous pris", "appointment"}),
    "quote_sent": frozenset({"devis a relancer", "devis relancer", "devis envoye", "quote sent"}),
    "won": frozenset({"gagne", "vendu", "vente", "signe", "won", "sold"}),
    "lost": frozenset({"perdu", "sans suite", "abandonne", "lost"}),
}


class Menu:
    """Statuses to choose from, each by its letter or by itself."""

    def __init__(self, seen: Sequence[SurveyedLabel]) -> None:
        """Give each a letter; one that is a status itself stands for nothing else."""
        self._by_label = {normalise_label(each.label): each for each in seen}
        letters = (letter for letter in _letters() if letter not in self._by_label)
        self._by_letter = dict(zip(letters, seen, strict=False))

    def lines(self) -> Iterator[str]:
        """Each status with its letter and how many leads have it."""
        for letter, each in self._by_letter.items():
            leads = counted(each.leads, "lead")
            yield f"  {letter:>3}  {name_of(each)}  ({leads}, {each.with_click_id} with a click id)"

    def usual(self, stage: str, taken: Mapping[str, str]) -> str:
        """What is proposed for a stage: the letters of statuses that commonly mean it."""
        letters = [
            letter
            for letter, each in self._by_letter.items()
            if normalise_label(each.label) in _USUAL[stage] and each.label not in taken
        ]
        return ", ".join(letters) or NONE

    def read(self, text: str, taken: Mapping[str, str]) -> tuple[SurveyedLabel, ...]:
        """The statuses that were typed, each once.

        Args:
            text: letters or statuses, with commas between.
            taken: the statuses that stand under another stage, and which.

        Raises:
            ValueError: one is neither a letter nor a status, or is taken.
        """
        if text == NONE:
            return ()
        whole = self._by_label.get(normalise_label(text))
        chosen = [whole] if whole else [self._one(part.strip()) for part in text.split(",") if part.strip()]
        if not chosen:
            raise ValueError(f"write letters, with commas between; {NONE} for none")
        for each in chosen:
            if stage := taken.get(each.label):
                raise ValueError(f"{name_of(each)} is under {stage} already: a lead has one stage")
        return tuple(dict.fromkeys(chosen))

    def _one(self, text: str) -> SurveyedLabel:
        found = self._by_letter.get(text.casefold()) or self._by_label.get(normalise_label(text))
        if found is None:
            raise ValueError(
                f"{text} is neither a letter from the list nor a status; {NONE} for none, {BACK} to go back"
            )
        return found


def name_of(seen: SurveyedLabel) -> str:
    """A status as it is told of: a number is only Oplead's code for one."""
    return f"code {seen.label}" if seen.label.isdecimal() else seen.label


def label_line(chosen: Sequence[SurveyedLabel]) -> str:
    """Statuses, each with how many leads have it."""
    return "; ".join(f"{name_of(each)}, {counted(each.leads, 'lead')}" for each in chosen) or "none"


def _letters() -> Iterator[str]:
    """a, b, … z, aa, ab, …."""
    for length in count(1):
        yield from ("".join(letters) for letters in product(ascii_lowercase, repeat=length))
