"""When a lead first reached a conversion's stage."""

from dataclasses import dataclass
from datetime import datetime

from connectors.records import DeliveryKey
from jobs.rules.facts import Change, LeadFacts, Origin, Route
from jobs.rules.timing import AHEAD, happened_at, implausible


@dataclass(frozen=True, slots=True)
class Entry:
    """A lead entering a stage."""

    at: datetime
    label: str | None
    """The label it entered by; None for its creation."""
    origin: Origin
    implausible: bool
    after: datetime
    """When it is known not to have entered yet."""


def first_entry(route: Route, lead: LeadFacts, key: DeliveryKey, *, after: datetime | None) -> Entry | None:
    """The earliest time the lead entered the route's stage, or one that implies it; None where it never did.

    A lead that leaves the stage and comes back has entered it once: the first time decides.

    Args:
        route: the conversion and the labels of its stage.
        lead: its status changes.
        key: the delivery's key, which places days without a time.
        after: only entries later than this count, for a delivery cancelled before.
    """
    if route.on_creation:
        return _creation(lead) if after is None else None
    timed = sorted(
        ((happened_at(change, lead, key, route.zone), change) for change in lead.changes),
        key=lambda pair: (pair[0], pair[1].seen_at),
    )
    outside = True
    for at, change in timed:
        inside = change.label in route.labels
        if inside and outside and (after is None or at > after):
            return _entry(at, change, lead)
        outside = not inside
    return None


def _creation(lead: LeadFacts) -> Entry:
    ahead = lead.created_at > lead.seen_at + AHEAD
    return Entry(lead.created_at, None, Origin.REPORTED, implausible=ahead, after=lead.created_at)


def _entry(at: datetime, change: Change, lead: LeadFacts) -> Entry:
    return Entry(at, change.label, change.origin, implausible(change, at, lead), change.after or lead.created_at)
