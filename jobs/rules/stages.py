"""When a lead first reached a conversion's stage."""

from dataclasses import dataclass
from datetime import datetime

from connectors.records import DeliveryKey
from jobs.rules.facts import Change, LeadFacts, Origin, Route, Starts
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


def first_entry(
    route: Route, lead: LeadFacts, starts: Starts, key: DeliveryKey, *, after: datetime | None
) -> Entry | None:
    """The earliest time the lead entered the route's stage, or one that implies it; None where it never did.

    A lead that leaves the stage and comes back has entered it once: the first time decides. A label that was added to
    the stage later counts as outside before its own start, unless nothing else ever entered the stage. A status that
    was renamed is entered by none of its leads, and what entered it by its old name stays known.

    Args:
        route: the conversion and the labels of its stage.
        lead: its status changes.
        starts: from when each label counts.
        key: the delivery's key, which places days without a time.
        after: only entries later than this count, for a delivery cancelled before.
    """
    if route.on_creation:
        return _creation(lead) if after is None else None
    timed = sorted(
        ((happened_at(change, lead, key, route.zone), change) for change in lead.changes),
        key=lambda pair: (pair[0], pair[1].seen_at),
    )
    labels = route.labels | starts.former(route.labels)
    outside, early = True, None
    for at, change in timed:
        inside = change.label in labels
        if change.origin is Origin.RELABEL:
            # Nobody moved: where its stage has the new name alone the lead is inside, and it never falls out.
            outside = outside and not inside
            continue
        if inside and outside and (after is None or at > after):
            entry = _entry(at, change, lead)
            if not _was_added_later(change, at, starts):
                return entry
            early, inside = early or entry, False
        outside = not inside
    return early


def _was_added_later(change: Change, at: datetime, starts: Starts) -> bool:
    """Whether the change lies after the conversion's start and before its label's own."""
    return starts.conversion <= at < starts.of(change.label)


def _creation(lead: LeadFacts) -> Entry:
    ahead = lead.created_at > lead.seen_at + AHEAD
    return Entry(lead.created_at, None, Origin.REPORTED, implausible=ahead, after=lead.created_at)


def _entry(at: datetime, change: Change, lead: LeadFacts) -> Entry:
    return Entry(at, change.label, change.origin, implausible(change, at, lead), change.after or lead.created_at)
