"""The menu of Oplead's statuses: a letter each, for statuses may be numbers themselves."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, product
from string import ascii_lowercase

from connectors.survey import LabelSeen
from jobs.cli.dialogue import BACK, NONE
from jobs.reporting.terminal import counted
from jobs.rules.labels import normalise_label

# Said by Oplead's help pages or common in French sales: proposals, for a person to take or change.
_USUAL: Mapping[str, frozenset[str]] = {
    "appointment": frozenset({"rendez vous", "rdv", "rdv pris", "rendez vous pris", "appointment"}),
    "quote_sent": frozenset({"devis a relancer", "devis relancer", "devis envoye", "quote sent"}),
    "won": frozenset({"gagne", "vendu", "vente", "signe", "won", "sold"}),
    "lost": frozenset({"perdu", "sans suite", "abandonne", "lost"}),
}


class Menu:
    """Statuses to choose from, each by its letter or by itself."""

    def __init__(self, seen: Sequence[LabelSeen]) -> None:
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

    def read(self, text: str, taken: Mapping[str, str]) -> tuple[LabelSeen, ...]:
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

    def _one(self, text: str) -> LabelSeen:
        found = self._by_letter.get(text.casefold()) or self._by_label.get(normalise_label(text))
        if found is None:
            raise ValueError(
                f"{text} is neither a letter from the list nor a status; {NONE} for none, {BACK} to go back"
            )
        return found


def name_of(seen: LabelSeen) -> str:
    """A status as it is told of: a number is only Oplead's code for one."""
    return f"code {seen.label}" if seen.label.isdecimal() else seen.label


def told(chosen: Sequence[LabelSeen]) -> str:
    """Statuses, each with how many leads have it."""
    return "; ".join(f"{name_of(each)}, {counted(each.leads, 'lead')}" for each in chosen) or "none"


def _letters() -> Iterator[str]:
    """a, b, … z, aa, ab, …."""
    for length in count(1):
        yield from ("".join(letters) for letters in product(ascii_lowercase, repeat=length))
