"""Whether a lead went on, after a conversion, to a stage that takes it back: pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.records import DeliveryKey
from jobs.rules.facts import LeadFacts, Origin, Route
from jobs.rules.timing import happened_at

UNDONE = "undone"
"""Why a conversion is called off, or taken back: its lead went to a stage that takes it back, and stayed there."""
MAY_COME_BACK = "may_come_back"
"""The reason of what waits until the lead has been lost for long enough."""


@dataclass(frozen=True, slots=True)
class Left:
    """A lead that went on from the conversion's stage to one that takes it back."""

    at: datetime
    """When it first did so, not having come back since."""
    is_still_there: bool
    """Whether it stays in such a stage."""


def left(route: Route, lead: LeadFacts, at: datetime, key: DeliveryKey, renamed: Mapping[str, str]) -> Left | None:
    """Where the lead went after a conversion that happened `at`; None where that stands.

    Only a stage that takes it back undoes it, and only its own stage makes up for that: a lead that is neither here
    nor there leaves things as they are.

    Args:
        route: the conversion, and what takes it back.
        lead: its status changes.
        at: when the conversion happened.
        key: the delivery's key, which places days without a time.
        renamed: what renamed statuses are called now, by their old names.
    """
    if route.undo is None:
        return None
    undoing, own = _with_old_names(route.undo.labels, renamed), _with_old_names(route.labels, renamed)
    timed = sorted(
        ((happened_at(change, lead, key, route.zone), change) for change in lead.changes),
        key=lambda pair: (pair[0], pair[1].seen_at),
    )
    found: Left | None = None
    has_entered = False
    for when, change in timed:
        if when < at or change.origin is Origin.RELABEL:
            continue
        if change.label in own:
            found, has_entered = None, True
        elif change.label in undoing and (has_entered or when > at):
            found = Left(when if found is None else found.at, is_still_there=True)
        elif found is not None:
            found = Left(found.at, is_still_there=False)
    return found


def _with_old_names(labels: Collection[str], renamed: Mapping[str, str]) -> frozenset[str]:
    return frozenset(labels) | {old for old, new in renamed.items() if new in labels}
