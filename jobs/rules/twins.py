"""Whether leads look like one lead under two ids, or two under one, and when so many do that ids changed. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from connectors.records import ClickId, ClickIdKind, Lead
from jobs.rules.extraction import ERASED, erased_click_id_hash
from jobs.rules.model import KnownClickId, LeadFacts

OF_A_CLICK = frozenset(ClickIdKind) - {ClickIdKind.FBP}
"""Kinds that identify a click, and not a browser."""
FEWEST_TWINS = 5
"""Fewer twins may be chance."""
TWINS_IN = 5
"""With one twin in so many of one night's new conversions, ids have changed."""

ClickMark = tuple[str, str]
"""The kind of a click id, and its value or what is kept of it."""


CREATION_MOVES = timedelta(days=30)
"""A lead whose creation moves by more is another one under its id, or its dates are misread."""
MOST_REUSED = 3
"""More ids reused in one night are a setting gone wrong, such as day and month exchanged."""


def is_another_lead(known: LeadFacts, shown: Lead) -> bool:
    """Return whether a lead's creation moved so far that its id must have been given to another one.

    One with the same click is the same lead, whose creation somebody corrected.
    """
    if abs(shown.created_at - known.created_at) <= CREATION_MOVES:
        return False
    return click_marks(known.click_ids).isdisjoint(click_marks(shown.click_ids))


def click_marks(clicks: Iterable[KnownClickId | ClickId]) -> frozenset[ClickMark]:
    """Return how another lead with one of these clicks may have it on record: whole, or erased but for its hash."""
    return frozenset(
        (click.kind, value)
        for click in clicks
        if click.kind in OF_A_CLICK
        for value in (click.value, *(() if click.value.startswith(ERASED) else (erased_click_id_hash(click.value),)))
    )


COMPARED = 5
"""As many bytes of a contact's mark say of what it was made, and under which key: marks that differ in them tell
nothing of each other."""


def may_be_one_person(mark: bytes | None, other: bytes | None) -> bool:
    """Return whether nothing in the marks of two leads' contact data tells them apart."""
    if mark is None or other is None or mark[:COMPARED] != other[:COMPARED]:
        return True
    return mark == other


def first_seen(lead: LeadFacts) -> datetime:
    """Return when a lead was first read, or last where it never had a status."""
    return min((change.seen_at for change in lead.changes), default=lead.seen_at)


def have_ids_changed(twins: int, others: int) -> bool:
    """Return whether so many twins, beside so many other new conversions, mean that ids changed for all leads."""
    return twins >= FEWEST_TWINS and TWINS_IN * twins >= twins + others
