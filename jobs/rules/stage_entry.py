"""When a lead entered a stage, as far as that can be known. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from connectors.records import DeliveryKey, Lead, Moment
from jobs.rules.model import LeadFacts, Origin, Route, Starts, StatusEntered, normalise_label

AHEAD = timedelta(minutes=5)
"""How far a reported time may lie ahead of the pull that read it: clocks differ that much, no more."""


@dataclass(frozen=True, slots=True)
class Observation:
    """When a lead was observed."""

    previously: datetime | None
    """When it was last seen before; None at first sight."""
    started: datetime
    """The start of the pull that reads it now."""
    ended: datetime
    """When it had been read: nothing it tells can be later."""


def observe(known: Sequence[StatusEntered], lead: Lead, *, seen: Observation, zone: ZoneInfo) -> list[StatusEntered]:
    """The status changes a fresh reading of a lead adds to those known.

    Args:
        known: the changes on record, in any order.
        lead: what Oplead says now.
        seen: when it says so, and when it was seen before.
        zone: the account's zone, for days without a time.
    """
    added: list[StatusEntered] = []
    for entry in lead.history:
        change = _reported(entry.label, entry.at, seen.ended, zone)
        if not any(same_entry(change, other) for other in (*known, *added)):
            added.append(change)
    if lead.label is None:
        return added
    label = normalise_label(lead.label)
    if label != _current((*known, *added), lead, zone):
        added.append(_undated(label, lead, seen, zone))
    return added


def happened_at(change: StatusEntered, lead: LeadFacts, key: DeliveryKey, zone: ZoneInfo) -> datetime:
    """The instant told to a platform: never the time of sending, and the same on every run.

    A day without a time becomes its noon plus an offset under a minute taken from the key, so that conversions of
    one day stay distinct; on the day of creation, just after the creation where noon lies before it.
    """
    if not change.date_only:
        return change.at
    day = change.at.astimezone(zone).date()
    noon = datetime.combine(day, time(12), zone).astimezone(UTC) + timedelta(seconds=int(key, 16) % 60)
    if noon <= lead.created_at and lead.created_at.astimezone(zone).date() == day:
        return lead.created_at.replace(microsecond=0) + timedelta(seconds=1)
    return noon


def assumed_time(change: StatusEntered, updated_at: datetime | None) -> datetime | None:
    """When an undated change is taken to have happened where a human takes the lead's `updated_at` for it.

    Never later than it was first seen; None where the lead was not touched since it is known to have been elsewhere.
    """
    if updated_at is None or (change.after is not None and updated_at <= change.after):
        return None
    return min(updated_at, change.at)


def implausible(change: StatusEntered, at: datetime, lead: LeadFacts) -> bool:
    """Whether a reported time cannot be one: before the lead was created, or ahead of the pull that read it."""
    return change.origin is Origin.REPORTED and (at < lead.created_at or _is_ahead(change))


def _reported(label: str, moment: Moment, seen_at: datetime, zone: ZoneInfo) -> StatusEntered:
    return StatusEntered(normalise_label(label), _start_of(moment, zone), moment.date_only, Origin.REPORTED, seen_at)


def same_entry(reported: StatusEntered, other: StatusEntered, *, whatever_label: bool = False) -> bool:
    """Whether a reported change is one we know: the same entry, or the one we had bounded before it was dated."""
    if reported.label != other.label and not whatever_label:
        return False
    if other.origin is Origin.REPORTED:
        return (reported.at, reported.date_only) == (other.at, other.date_only)
    earliest = other.after or datetime.min.replace(tzinfo=UTC)
    return earliest - timedelta(days=1 if reported.date_only else 0) <= reported.at <= other.seen_at


def _current(changes: Sequence[StatusEntered], lead: Lead, zone: ZoneInfo) -> str | None:
    """The label that is on record as the lead's present one."""
    if lead.history and lead.label is not None:
        # Of entries at one instant, the one listed last holds.
        last = max(reversed(lead.history), key=lambda entry: _start_of(entry.at, zone))
        if normalise_label(last.label) == normalise_label(lead.label):
            return normalise_label(last.label)
    # What is dated ahead has not happened when it was read, whatever it says.
    happened = (change for change in changes if not _is_ahead(change))
    latest = max(happened, key=lambda change: (change.seen_at, change.at), default=None)
    return latest.label if latest else None


def _start_of(moment: Moment, zone: ZoneInfo) -> datetime:
    """The instant, or the start of the day in the account's zone."""
    if isinstance(moment.at, datetime):
        return moment.at.astimezone(UTC)
    return datetime.combine(moment.at, time(), zone).astimezone(UTC)


def _is_ahead(change: StatusEntered) -> bool:
    """Whether a change lies ahead of the pull that read it; a day does once it has not begun."""
    return change.at > change.seen_at + AHEAD


def _undated(label: str, lead: Lead, seen: Observation, zone: ZoneInfo) -> StatusEntered:
    """A change whose time lies between two observations: `updated_at` if that does, else the pull that saw it."""
    dated = max((_start_of(entry.at, zone) for entry in lead.history), default=lead.created_at)
    after = seen.previously or dated
    at = max(seen.started, lead.created_at)
    if lead.updated_at is not None and after < lead.updated_at <= seen.ended:
        at = lead.updated_at
    origin = Origin.BASELINE if seen.previously is None else Origin.BOUNDED
    return StatusEntered(label, at, date_only=False, origin=origin, seen_at=seen.ended, after=after)


@dataclass(frozen=True, slots=True)
class StageEntry:
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
) -> StageEntry | None:
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


def _was_added_later(change: StatusEntered, at: datetime, starts: Starts) -> bool:
    """Whether the change lies after the conversion's start and before its label's own."""
    return starts.conversion <= at < starts.of(change.label)


def _creation(lead: LeadFacts) -> StageEntry:
    ahead = lead.created_at > lead.seen_at + AHEAD
    return StageEntry(lead.created_at, None, Origin.REPORTED, implausible=ahead, after=lead.created_at)


def _entry(at: datetime, change: StatusEntered, lead: LeadFacts) -> StageEntry:
    return StageEntry(at, change.label, change.origin, implausible(change, at, lead), change.after or lead.created_at)
