"""The newest leads of a list or file, and what they hold."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from heapq import nlargest

from connectors.oplead.parsing.field_tree import common_lead_field_paths
from connectors.oplead.parsing.fields import values_at_path
from connectors.records import Lead, LeadId, LeadPage, UnreadableLead
from connectors.survey import SeenInLeads


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


def collect_lead_page(read: Sequence[Lead | LeadId | UnreadableLead]) -> LeadPage:
    """Return a page of what was read of each lead: only its id if it is known already."""
    return LeadPage(
        leads=tuple(one for one in read if isinstance(one, Lead)),
        unchanged=tuple(LeadId(one) for one in read if isinstance(one, str)),
        unreadable=tuple(one for one in read if isinstance(one, UnreadableLead)),
        served_at=None,
        resume=None,
    )


def newest_first(page: LeadPage) -> Sequence[Lead | UnreadableLead]:
    """Return a page's leads, newest first, then the unreadable ones."""
    return [*sorted(page.leads, key=lambda lead: lead.created_at, reverse=True), *page.unreadable]


def collect_seen_in_leads(items: Sequence[object], leads: Sequence[Lead]) -> SeenInLeads:
    """Return what leads hold, as they came and as they were read."""
    labels = [label for lead in leads for label in (lead.label, *(entry.label for entry in lead.history))]
    return SeenInLeads(
        leads=len(items),
        paths=list(common_lead_field_paths(items)),
        labels=list(filter(None, labels)),
        filled=lambda path: sum(bool(values_at_path(item, path)) for item in items),
    )
