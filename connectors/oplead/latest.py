"""Which entries of a list were created last, whichever way the list runs. Pure."""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from heapq import nlargest


class Latest:
    """Keeps the entries of a list that were created last, a page after the other; its memory does not grow."""

    def __init__(self, count: int, created: Callable[[object], datetime | None]) -> None:
        """Keep `count` entries at most; `created` tells when one was, where its entry says so."""
        self._count = count
        self._created = created
        self._dated: list[tuple[datetime, int, object]] = []
        self._head: list[object] = []
        self._tail: deque[object] = deque(maxlen=count)
        self._last: datetime | None = None
        self._falling = True
        self._seen = 0

    def add(self, entries: Iterable[object]) -> None:
        """Look at the entries of one more page."""
        for entry in entries:
            self._seen += 1
            at = self._created(entry)
            if at is not None:
                self._falling = self._falling and (self._last is None or at <= self._last)
                self._last = at
                # Of two created at once, the one that the list has last wins; entries themselves have no order.
                self._dated.append((at, self._seen, entry))
            if len(self._head) < self._count:
                self._head.append(entry)
            self._tail.append(entry)
        self._dated = nlargest(self._count, self._dated, key=lambda dated: dated[:2])

    @property
    def is_enough(self) -> bool:
        """Whether what follows is older: the list runs from the newest, and all are there."""
        return self._falling and len(self._dated) == self._count

    @property
    def newest(self) -> list[object]:
        """The entries that say when they were created, newest first; none where no entry does."""
        return [entry for _, _, entry in self._dated]

    @property
    def ends(self) -> tuple[list[object], list[object]]:
        """The first and the last entries of the list, in its order."""
        return self._head, list(self._tail)
