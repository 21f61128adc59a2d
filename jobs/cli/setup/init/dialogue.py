"""Asks a person questions at a terminal, who can go back; where nobody is asked, it takes the defaults."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import typer

from connectors.language import _
from jobs.cli.setup.init.menu import Menu
from jobs.cli.setup.init.questions import NONE, YES_OR_NO
from jobs.exit_codes import UsageError
from jobs.reporting.console import say_wrapped, wrapped

BACK = "<"
"""The input that returns to the previous question."""
_ROOM = "\xa0" * 16
"""Holds the room for a usual answer in a question's last line, since it is no space to break a line at."""
_NO_MENU = Menu()
T = TypeVar("T")


class _BackRequested(Exception):
    """Restarts the questions; earlier answers are replayed up to the one that was taken back."""


@dataclass(frozen=True, slots=True)
class Prompt(Generic[T]):
    """A question as it is put to a person."""

    text: str
    option: str
    """What answers it on the command line."""
    read: Callable[[str], T]
    """Reads an answer; raises ValueError with what to write instead."""
    default: str | None = None
    """What Enter answers, and what is answered where nobody is asked."""
    menu: Menu = _NO_MENU
    """What to choose from."""
    without: str = ""
    """What it means to answer none; empty if an answer is needed."""

    def lines(self) -> Iterator[str]:
        """Yield what may be answered, after an empty line."""
        if any(lines := [*self.menu.lines(self.without)]):
            yield from ("", *lines)

    def lacking(self) -> str:
        """Return what to write where Enter answers nothing."""
        if self.without:
            return _("there is no proposal to take here: write an answer, or {none} for none", none=NONE)
        return _("there is no proposal to take here: write an answer")


class Dialogue:
    """Asks a person questions at a terminal and records the answers.

    Going back restarts with one answer fewer, so the caller must ask the same questions after the same answers.
    """

    def __init__(self, *, ask: bool) -> None:
        """Set up the dialogue; if `ask` is false, it takes the defaults and asks nothing."""
        self.asks = ask
        self._typed: list[str] = []
        self.place = 0
        """The number of questions answered so far, replayed ones included."""

    def run_with_going_back(self, questions: Callable[[], T]) -> T:
        """Run the questions, restarting whenever the person goes back, and return their result."""
        while True:
            self.place = 0
            try:
                return questions()
            except _BackRequested:
                continue

    def say(self, *lines: str, column: int | None = None) -> None:
        """Print lines, except while replaying earlier answers; what fits on none goes on in `column`."""
        if self.place >= len(self._typed):
            say_wrapped(*lines, column=column)

    def ask(self, prompt: Prompt[T]) -> T:
        """Ask until the answer can be read, and return what it was read as.

        Raises:
            UsageError: the dialogue asks nothing and the default is missing or invalid; the message names the option.
        """
        if self.asks:
            self.say(*prompt.lines(), column=Menu.COLUMN)
        while self.asks:
            is_known = self.place < len(self._typed)
            answer = self._typed[self.place] if is_known else _typed_answer(prompt.text, prompt.default)
            if answer == BACK:
                if self._typed:
                    self.go_back_to_question(len(self._typed) - 1)
                self.say("  " + _("this is the first question"))
                continue
            if not answer:
                self.say(f"  {prompt.lacking()}")
                continue
            try:
                made = prompt.read(answer)
            except ValueError as error:
                self.say(f"  {error}")
                continue
            if not is_known:
                self._typed.append(answer)
            self.place += 1
            return made
        why = ""
        try:
            if prompt.default is not None:
                return prompt.read(prompt.default)
        except ValueError as error:
            why = f" ({error})"
        raise UsageError(_("nobody is there to answer: write {option}…", option=prompt.option) + why)

    def ask_yes_no(self, question: str, *, default: bool) -> bool:
        """Whether the person answers yes; always true if the dialogue asks nothing."""
        asked = _("{question} yes or no", question=question)
        return not self.asks or self.ask(Prompt(asked, "", _yes_or_no, _("yes") if default else _("no")))

    def ask_to_go_on(self, question: str) -> None:
        """Ask until the person says yes, who may go back instead."""

        def read(text: str) -> bool:
            if _yes_or_no(text):
                return True
            raise ValueError(_("{back} goes back one question, Ctrl-C leaves without writing anything", back=BACK))

        self.ask(Prompt(_("{question} yes or no", question=question), "", read, _("yes")))

    def go_back_to_question(self, place: int) -> None:
        """Ask the questions from `place` on again."""
        del self._typed[place:]
        raise _BackRequested


def _typed_answer(question: str, default: str | None) -> str:
    asked = (
        _("{question} [{default}]:", question=question, default=default)
        if default
        else _("{question}:", question=question)
    )
    *above, last = (each.rstrip(_ROOM) for each in wrapped(asked + _ROOM))
    say_wrapped(*above)
    typed: str = typer.prompt(last, "", show_default=False, prompt_suffix=" ")
    return typed.strip() or default or ""


def _yes_or_no(text: str) -> bool:
    if text.casefold() not in YES_OR_NO:
        raise ValueError(_("answer yes or no"))
    return YES_OR_NO[text.casefold()]
