"""Finds the rows for which a batch is refused, and tells them from a fault of the settings."""

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeVar

from connectors.records import Outcome

T = TypeVar("T", bound=Hashable)

NOTHING_PASSES = 12
"""Refusals in a row, whatever their codes, after which single rows are asked whether anything passes at all."""
SAMPLE = 3
MANY = 5
"""Refused rows, nothing beside them being taken, that point at the settings rather than at themselves."""


def partition(batch: Sequence[T], keys: Mapping[T, AbstractSet[Hashable]]) -> list[tuple[T, ...]]:
    """Split a batch so that no two rows of a part share a mark: as few parts as that allows, each in order.

    A platform may refuse rows for what stands beside them, and says of both what is true of their meeting only.
    """
    parts: list[list[T]] = []
    taken: list[set[Hashable]] = []
    for row in batch:
        mine = keys.get(row, frozenset())
        free = next((place for place, others in enumerate(taken) if mine.isdisjoint(others)), len(parts))
        if free == len(parts):
            parts.append([])
            taken.append(set())
        parts[free].append(row)
        taken[free] |= mine
    return [tuple(part) for part in parts]


def bisect(batch: Sequence[T], named: Sequence[int]) -> tuple[Sequence[T], list[tuple[T, ...]]]:
    """Split a refused batch into the rows to blame and the batches to send next.

    Named rows are blamed and the rest goes on whole; where none is named a single row is to blame, and a larger
    batch is halved. With k bad rows among n that costs k + 1 requests where every answer names one, and at most
    2k⌈log₂ n⌉ + 1 where none does. A position outside the batch names nothing.
    """
    blamed = {row for row in named if 0 <= row < len(batch)}
    if blamed:
        rest = [row for position, row in enumerate(batch) if position not in blamed]
        return [batch[position] for position in sorted(blamed)], [tuple(rest)] if rest else []
    if len(batch) == 1:
        return batch, []
    middle = len(batch) // 2
    return [], [tuple(batch[:middle]), tuple(batch[middle:])]


def single_row_first(waiting: Sequence[Sequence[T]]) -> list[tuple[T, ...]]:
    """The same parts, the first row of all alone; what stood beside it comes last, for it may be as bad."""
    (one, *rest), *others = waiting
    return [part for part in ((one,), *map(tuple, others), tuple(rest)) if part]


def sample(waiting: Sequence[Sequence[T]]) -> list[tuple[T, ...]]:
    """The batches to send next, a few rows from all over them alone and first."""
    rows = [row for batch in waiting for row in batch]
    chosen = (
        [rows[len(rows) * share // (SAMPLE - 1) - (share == SAMPLE - 1)] for share in range(SAMPLE)] if rows else []
    )
    alone = list(dict.fromkeys(chosen))
    left = [tuple(row for row in batch if row not in alone) for batch in waiting]
    return [*((row,) for row in alone), *(batch for batch in left if batch)]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A delivery that a refused request blames: at fault once something else has passed."""

    delivery: int
    request: int
    outcome: Outcome


@dataclass(slots=True)
class CircuitBreaker:
    """Refusals one after another, nothing being taken between them.

    Until something passes nobody can tell a few bad rows from settings that make every row bad. So the blamed ones
    wait as they are, pending or in doubt: a run that dies or stops here has rejected nothing.
    """

    suspects: list[Suspect] = field(default_factory=list)
    refusals: int = 0
    """How many there were in a row; of several codes they count alike, for settings can be wrong in several ways."""
    reasons: dict[str, Outcome] = field(default_factory=dict)
    """What was said in them, by its code."""
    sampled: int | None = None
    """How many refusals there were when single rows were first asked; None before."""
    has_passed: bool = False
    """Whether anything of the batch was ever taken."""

    def refused(self, outcome: Outcome, blamed: list[Suspect]) -> None:
        """One more refusal, and whom it blames."""
        self.refusals += 1
        for refusal in (outcome, *(suspect.outcome for suspect in blamed)):
            self.reasons.setdefault(refusal.code, refusal)
        self.suspects += blamed

    def passed(self) -> list[Suspect]:
        """Something was taken: the refusals were about rows. Gives back who is at fault, and begins again."""
        self.has_passed = True
        self.refusals, self.sampled = 0, None
        self.reasons.clear()
        return self.take_suspects()

    def take_suspects(self) -> list[Suspect]:
        """Gives back who is at fault, once."""
        at_fault, self.suspects = self.suspects, []
        return at_fault

    def next(self, waiting: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """What to send next: once too much was refused, single rows before all else."""
        if self.refusals < NOTHING_PASSES or self.sampled is not None or not waiting:
            return waiting
        self.sampled = self.refusals
        return sample(waiting)

    @property
    def is_general(self) -> bool:
        """Whether the sample was refused too."""
        return self.sampled is not None and self.refusals >= self.sampled + SAMPLE

    @property
    def blames_all(self) -> bool:
        """Whether everything was blamed, and too much to be chance."""
        return len(self.suspects) >= MANY and not self.has_passed
