"""Finds the rows that get a batch refused, and tells bad rows from bad settings."""

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeVar

from connectors.records import Outcome

T = TypeVar("T", bound=Hashable)

NOTHING_PASSES = 12
"""Consecutive refusals, of any code, before single rows are sampled to see whether anything passes at all."""
SAMPLE = 3
MANY = 5
"""This many refused rows with nothing accepted point at the settings rather than the rows."""


def split_rows_sharing_keys(batch: Sequence[T], keys: Mapping[T, AbstractSet[Hashable]]) -> list[tuple[T, ...]]:
    """Split a batch greedily so that no two rows of a part share a key; each part keeps the batch's order.

    A platform may refuse rows because of other rows in the request, with errors that apply only to the combination.
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

    Rows the platform named are blamed, and the rest stays together. If none is named, a single row is to blame and a
    larger batch is halved. With k bad rows among n this takes k + 1 requests if every answer names one, and at most
    2k⌈log₂ n⌉ + 1 if none does. Positions outside the batch are ignored.
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
    """Put the very first row in front as its own part; the rest of its part goes last, as it may be just as bad."""
    (one, *rest), *others = waiting
    return [part for part in ((one,), *map(tuple, others), tuple(rest)) if part]


def batches_with_sample_first(waiting: Sequence[Sequence[T]]) -> list[tuple[T, ...]]:
    """Return the batches to send next: first a few single rows spread over all of them, then the rest."""
    rows = [row for batch in waiting for row in batch]
    chosen = (
        [rows[len(rows) * share // (SAMPLE - 1) - (share == SAMPLE - 1)] for share in range(SAMPLE)] if rows else []
    )
    alone = list(dict.fromkeys(chosen))
    left = [tuple(row for row in batch if row not in alone) for batch in waiting]
    return [*((row,) for row in alone), *(batch for batch in left if batch)]


@dataclass(frozen=True, slots=True)
class SuspectRow:
    """A suspect row: blamed by a refused request, and at fault once something else has passed."""

    delivery: int
    request: int
    outcome: Outcome


@dataclass(slots=True)
class CircuitBreaker:
    """Tracks consecutive refusals with nothing accepted in between.

    Until something passes, a few bad rows can't be told from settings that make every row bad. So suspect rows stay as
    they are, pending or in doubt: a run that dies or stops here has rejected nothing.
    """

    suspects: list[SuspectRow] = field(default_factory=list)
    refusals: int = 0
    """Consecutive refusals, of any code, since settings can be wrong in several ways."""
    reasons: dict[str, Outcome] = field(default_factory=dict)
    """The refusals' outcomes by code."""
    sampled: int | None = None
    """The value of `refusals` when single rows were first sampled; None before."""
    has_passed: bool = False
    """Whether anything in the batch was ever accepted."""

    def record_refused_request(self, outcome: Outcome, blamed: list[SuspectRow]) -> None:
        """Record a refusal and the rows it blames."""
        self.refusals += 1
        for refusal in (outcome, *(suspect.outcome for suspect in blamed)):
            self.reasons.setdefault(refusal.code, refusal)
        self.suspects += blamed

    def record_accepted_request(self) -> list[SuspectRow]:
        """Record that something passed, so the refusals were about rows; reset, and return the suspects."""
        self.has_passed = True
        self.refusals, self.sampled = 0, None
        self.reasons.clear()
        return self.take_suspects()

    def take_suspects(self) -> list[SuspectRow]:
        """Return the suspects and clear them."""
        at_fault, self.suspects = self.suspects, []
        return at_fault

    def next_batches(self, waiting: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Return the batches to send next; once, after too many refusals, sampled single rows go first."""
        if self.refusals < NOTHING_PASSES or self.sampled is not None or not waiting:
            return waiting
        self.sampled = self.refusals
        return batches_with_sample_first(waiting)

    @property
    def is_sample_refused(self) -> bool:
        """Whether the sample was refused too."""
        return self.sampled is not None and self.refusals >= self.sampled + SAMPLE

    @property
    def are_refusals_systematic(self) -> bool:
        """Whether nothing passed and too many rows were blamed for chance."""
        return len(self.suspects) >= MANY and not self.has_passed
