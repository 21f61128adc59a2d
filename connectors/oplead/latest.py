"""The newest leads of a list or file."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from heapq import nlargest

from connectors.records import Lead, LeadPage, UnreadableLead


def newest(
    pages: Iterable[Sequence[object]], count: int, created: Callable[[object], datetime | None]
) -> tuple[list[object], list[object], list[object]]:
    """Return the `count` most recently created entries, newest first, and the list's first and last `count` entries.

    The first list is empty if no entry has a creation time. Memory is bounded, and later pages are not read if the list
    runs newest first.
    """
    dated: list[tuple[datetime, int, object]] = []
    head: list[object] = []
    tail: deque[object] = deque(maxlen=count)
    last: datetime | None = None
    is_descending, number = True, 0
    for entries in pages:
        for entry in entries:
            number += 1
            if (at := created(entry)) is not None:
                is_descending &= last is None or at <= last
                last = at
                # The number breaks ties in favour of the later entry; entries themselves cannot be compared.
                dated.append((at, number, entry))
        head += entries[: count - len(head)]
        tail += entries
        dated = nlargest(count, dated, key=lambda one: one[:2])
        if is_descending and len(dated) == count:
            break
    return [entry for _, _, entry in dated], head, list(tail)


def newest_first(page: LeadPage) -> Sequence[Lead | UnreadableLead]:
    """Return a page's leads, newest first, then the unreadable ones."""
    return [*sorted(page.leads, key=lambda lead: lead.created_at, reverse=True), *page.unreadable]
