"""Finding the bad rows of a batch that was refused whole."""

from collections.abc import Sequence
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
