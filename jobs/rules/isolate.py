"""Finding the bad rows of a batch that was refused whole, and telling a few of them from a fault of the settings."""

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

NOTHING_PASSES = 12
"""Refusals in a row, whatever their codes, after which single rows are asked whether anything passes at all."""
SAMPLE = 3
MANY = 5
"""Refused rows, nothing beside them being taken, that point at the settings rather than at themselves."""


def apart(batch: Sequence[T], marks: Mapping[T, AbstractSet[Hashable]]) -> list[tuple[T, ...]]:
    """Split a batch so that no two rows of a part share a mark: as few parts as that allows, each in order.

    A platform may refuse rows for what stands beside them, and says of both what is true of their meeting only.
    """
    parts: list[list[T]] = []
    taken: list[set[Hashable]] = []
    for row in batch:
        mine = marks.get(row, frozenset())
        free = next((place for place, others in enumerate(taken) if mine.isdisjoint(others)), len(parts))
        if free == len(parts):
            parts.append([])
            taken.append(set())
        parts[free].append(row)
        taken[free] |= mine
    return [tuple(part) for part in parts]


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


def halves(part: Sequence[T]) -> list[tuple[T, ...]]:
    """A part that never gets an answer, in two; nothing where it is one row, which is then the one."""
    _, smaller = isolate(part, ())
    return [tuple(each) for each in smaller]


def one_first(waiting: Sequence[Sequence[T]]) -> list[tuple[T, ...]]:
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
