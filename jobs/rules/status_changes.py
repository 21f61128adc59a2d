"""When a lead entered a stage, as far as that can be known; and whether a status was only renamed. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import Enum, auto
from zoneinfo import ZoneInfo

from connectors.records import DeliveryKey, Lead, Moment, StatusEntry
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
        label, at = normalise_label(entry.label), _start_of(entry.at, zone)
        change = StatusEntered(label, at, entry.at.date_only, Origin.REPORTED, seen.ended)
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


def in_order(route: Route, lead: LeadFacts, key: DeliveryKey) -> list[tuple[datetime, StatusEntered]]:
    """A lead's status changes as they happened, and when each did."""
    timed = ((happened_at(change, lead, key, route.zone), change) for change in lead.changes)
    return sorted(timed, key=lambda pair: (pair[0], pair[1].seen_at))


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
    labels = route.labels | starts.former(route.labels)
    outside, early = True, None
    for at, change in in_order(route, lead, key):
        inside = change.label in labels
        if change.origin is Origin.RELABEL:
            # Nobody moved: where its stage has the new name alone the lead is inside, and it never falls out.
            outside = outside and not inside
            continue
        if inside and outside and (after is None or at > after):
            is_implausible = implausible(change, at, lead)
            entry = StageEntry(at, change.label, change.origin, is_implausible, change.after or lead.created_at)
            # Between the conversion's start and its label's own, the label did not count yet.
            if not starts.conversion <= at < starts.of(change.label):
                return entry
            early, inside = early or entry, False
        outside = not inside
    return early


def _creation(lead: LeadFacts) -> StageEntry:
    ahead = lead.created_at > lead.seen_at + AHEAD
    return StageEntry(lead.created_at, None, Origin.REPORTED, implausible=ahead, after=lead.created_at)


FEWEST = 5
"""Fewer leads than this may have moved together by chance."""
SHARE = 0.8
"""Of the leads that left the old label, how many must have the new one: a few go on to another status meanwhile."""
FEWEST_UNDATED, SHARE_MERGED = 20, 0.95
"""The same for a new label that other leads had before: leads do go on to such, though not so many, all in a day."""


@dataclass(frozen=True, slots=True)
class LabelChange:
    """Leads that had one label before and have another now."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class DetectedRename:
    """A status that has another name now."""

    before: str
    after: str
    leads: int
    """How many leads show it."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """What a complete reading saw of labels."""

    fresh: Mapping[str, datetime]
    """Labels nobody had before, and when each was first seen."""
    moves: Mapping[LabelChange, int]
    """How many leads went straight from one label to another, as a rename would have it."""
    left: Mapping[str, int]
    """How many leads do not have a label any more that they had before, wherever they went."""
    last: Mapping[str, datetime]
    """When a label was last seen on a lead in this reading; one not seen is missing."""


@dataclass(frozen=True, slots=True)
class RenameVerdict:
    """What a reading says of fresh labels: some are new names, some cannot be told yet, the rest are new statuses."""

    relabels: tuple[DetectedRename, ...]
    undecided: frozenset[str]
    """Labels that came up in the middle of the reading: only the next one can tell."""


def are_two(move: LabelChange, meanings: Mapping[str, str]) -> bool:
    """Whether the settings put the labels in different places: whoever wrote that says that they are two statuses."""
    before, after = meanings.get(move.before), meanings.get(move.after)
    return before is not None and after is not None and before != after


def judge_labels(seen: Sightings, meanings: Mapping[str, str]) -> RenameVerdict:
    """Tell renamed statuses from new ones.

    The old label is gone from the moment the new one came up, and the leads that left it (nearly all, and not too few)
    have the new one.

    Args:
        seen: what a complete reading saw.
        meanings: where the settings put the labels they name.
    """
    relabels, undecided = [], set()
    for move, leads in sorted(seen.moves.items(), key=lambda pair: (pair[0].before, pair[0].after)):
        came_up = seen.fresh.get(move.after)
        last = seen.last.get(move.before)
        if came_up is None or (last is not None and last >= came_up) or are_two(move, meanings):
            continue
        if leads >= FEWEST and leads >= SHARE * seen.left[move.before]:
            relabels.append(DetectedRename(move.before, move.after, leads))
        elif last is not None:
            undecided.add(move.after)
    return RenameVerdict(tuple(relabels), frozenset(undecided - {each.after for each in relabels}))


class EntryDating(Enum):
    """How a lead's entry into a new label is dated."""

    BY_ITSELF = auto()
    """At a time of its own: the lead was changed."""
    AS_BEFORE = auto()
    """At the very instant at which the lead had entered the old label."""
    NOT = auto()


def how_dated(changes: Collection[StatusEntered], move: LabelChange, *, since: datetime) -> EntryDating:
    """How the entry is dated that showed since then that a lead has the new label."""
    old = {change.at for change in changes if change.label == move.before and _is_exact(change)}
    new = [change for change in changes if change.label == move.after and change.seen_at >= since]
    if any(_is_exact(change) and change.at in old for change in new):
        return EntryDating.AS_BEFORE
    is_undated = new and all(change.origin is not Origin.REPORTED for change in new)
    return EntryDating.NOT if is_undated else EntryDating.BY_ITSELF


def is_merged(moved: Counter[EntryDating], left: int) -> bool:
    """Whether a label that no lead has any more was made one with a label that others had before.

    Args:
        moved: how the leads are dated that went from the one to the other in a reading.
        left: how many left the old label in it, wherever they went.
    """
    silent = moved[EntryDating.AS_BEFORE] + moved[EntryDating.NOT]
    enough = moved[EntryDating.AS_BEFORE] >= FEWEST or silent >= FEWEST_UNDATED
    return enough and silent >= SHARE_MERGED * left


def _is_exact(change: StatusEntered) -> bool:
    """Whether two statuses of one lead have this time by no chance."""
    return change.origin is Origin.REPORTED and not change.date_only


def tells_them_apart(history: Collection[StatusEntry], move: LabelChange) -> bool:
    """Whether a lead's own history has both labels at times of their own: then they are two statuses."""
    times: dict[str, set[object]] = {}
    for entry in history:
        times.setdefault(normalise_label(entry.label), set()).add(entry.at.at)
    before, after = times.get(move.before, set()), times.get(move.after, set())
    return bool(before and after - before)


def as_observed(change: StatusEntered, changes: Collection[StatusEntered], move: LabelChange) -> StatusEntered:
    """An entry that was taken for a rename's, now that it is none: a true change, as it was found.

    Where it has the very date of the old label, that is the old one's date: the lead was seen there afterwards. Then
    nobody knows more than when it was first seen under the new one.
    """
    if change.after is not None:
        return replace(change, origin=Origin.BOUNDED)
    found = replace(change, origin=Origin.REPORTED)
    if any(same_entry(found, other, whatever_label=True) for other in changes if other.label == move.before):
        return replace(change, origin=Origin.BOUNDED, at=change.seen_at, date_only=False)
    return found


def renamed(changes: Sequence[StatusEntered], relabel: LabelChange, *, moved: bool) -> Iterator[int]:
    """Which of a lead's changes, by position, only show an old entry under its new name.

    Args:
        changes: those on record.
        relabel: the old name and the new one.
        moved: whether the lead went straight from the old name to the new one.
    """
    old = [change for change in changes if change.label == relabel.before]
    new = [
        (position, change)
        for position, change in enumerate(changes)
        if change.label == relabel.after and change.origin is not Origin.RELABEL
    ]
    again = [
        position for position, change in new if any(same_entry(change, other, whatever_label=True) for other in old)
    ]
    if not again and moved and new:
        again = [max(new, key=lambda pair: (pair[1].at, pair[1].seen_at))[0]]
    yield from again
