"""Lists of answers to choose from, by letter or by name."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, product
from string import ascii_lowercase

from connectors.language import _
from jobs.cli.setup.init.questions import NONE, split_at_commas, unquoted
from jobs.rules.labels import normalise_label


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer to choose."""

    answer: str
    seen: str
    """On which leads it was seen, in words."""
    name: str = ""
    """What it is called on screen, if that is not the answer itself."""

    def __str__(self) -> str:
        """Return it as it is shown."""
        name = self.name or self.answer
        return f"{name}  ({self.seen})" if self.seen else name


class Menu:
    """Answers to choose from; what is in quotes is taken as typed."""

    COLUMN = 7
    """Where answers begin, to the right of their letters."""

    def __init__(self, choices: Sequence[Choice] = (), *, takes_others: bool = True) -> None:
        """Assign a letter to each choice, skipping letters that are themselves a choice."""
        self._by_name = {normalise_label(each.answer): each for each in choices}
        letters = ("".join(each) for length in count(1) for each in product(ascii_lowercase, repeat=length))
        self._by_letter = dict(zip((each for each in letters if each not in self._by_name), choices, strict=False))
        self._takes_others = takes_others

    def answers(self) -> list[str]:
        """Return the answers on the list."""
        return [each.answer for each in self._by_name.values()]

    def lines(self, without: str = "") -> Iterator[str]:
        """Yield a line for each choice, with its letter, and one for what it means to take none."""
        for letter, each in self._by_letter.items():
            yield f"  {letter:>3}  {each}"
        if without:
            yield f"  {NONE:>3}  {without}"

    def letters_of(self, answers: Iterable[str]) -> str:
        """Return the letters of some choices, or what stands for none."""
        chosen = {*answers}
        return ", ".join(letter for letter, each in self._by_letter.items() if each.answer in chosen) or NONE

    def choose_one(self, text: str) -> str:
        """Return the answer that a letter or a name means; any other is taken as typed, without its quotes."""
        plain = unquoted(text)
        found = self._find(plain) if plain == text.strip() else None
        return found.answer if found else plain

    def choose_several(self, text: str) -> tuple[str, ...]:
        """Return the answers that letters or names mean, with commas between, without duplicates.

        Raises:
            ValueError: one is neither, and the menu takes no others but in quotes.
        """
        whole = self._by_name.get(normalise_label(text))
        if whole:
            return (whole.answer,)
        return tuple(dict.fromkeys(map(self._take, split_at_commas(text))))

    def _take(self, part: str) -> str:
        plain = self.choose_one(part)
        if self._takes_others or plain != part or self._find(part):
            return plain
        raise ValueError(
            _(
                '{text} is neither a letter from the list nor a status there; write "{text}" in quotes if it is one '
                "all the same",
                text=part,
            )
        )

    def _find(self, text: str) -> Choice | None:
        return self._by_letter.get(text.casefold()) or self._by_name.get(normalise_label(text))

    def find_all(self, answers: Iterable[str]) -> Iterator[Choice]:
        """Yield the choices that these answers are; one that was typed was seen on no lead."""
        for answer in answers:
            seen = _("on no lead") if self._by_name else ""
            yield self._by_name.get(normalise_label(answer)) or Choice(answer, seen)
