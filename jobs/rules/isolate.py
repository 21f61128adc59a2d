"""Finding the bad rows of a batch that was refused whole."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


def isolate(batch: Sequence[T], named: Sequence[int]) -> tuple[Sequence[T], list[Sequence[T]]]:
    """Split a refused batch into the rows to blame and the batches to send next.

    Named rows are blamed and the rest goes on whole; where none is named a single row is to blame, and a larger
    batch is halved. With k bad rows among n that costs k + 1 requests where every answer names one, and at most
    2k⌈log₂ n⌉ + 1 where none does. A position outside the batch names nothing.
    """
    blamed = {row for row in named if 0 <= row < len(batch)}
    if blamed:
        rest = [row for position, row in enumerate(batch) if position not in blamed]
        return [batch[position] for position in sorted(blamed)], [rest] if rest else []
    if len(batch) == 1:
        return batch, []
    middle = len(batch) // 2
    return [], [batch[:middle], batch[middle:]]


NOTHING_PASSES = 13
"""Refusals in a row after which it is likelier that everything is refused than that bad rows stand side by side: as
many as it takes to halve 1,000 down to three neighbours."""


@dataclass(slots=True)
class Streak:
    """Refusals one after another, with nothing taken between them, and the rows that were blamed in them."""

    length: int = 0
    blamed: list[int] = field(default_factory=list)
    sampling: bool = False
    """Whether the next request holds one row alone, to learn whether anything passes at all."""

    def refused(self, blamed: Sequence[int]) -> None:
        """One more."""
        self.length += 1
        self.blamed.extend(blamed)

    def taken(self) -> None:
        """Something passed, so the refusals were about rows."""
        self.length, self.blamed, self.sampling = 0, [], False

    @property
    def is_general(self) -> bool:
        """Whether the sample was refused too: it is no matter of single rows."""
        return self.sampling and self.length > NOTHING_PASSES

    def sample(self, waiting: list[tuple[T, ...]]) -> list[tuple[T, ...]]:
        """What to send next: the last row alone before all else, once the streak is long enough to ask for it."""
        if self.length < NOTHING_PASSES or not waiting:
            return waiting
        self.sampling = True
        *others, last = waiting
        return [last[-1:], *others, *([last[:-1]] if last[:-1] else [])]
