"""When a lead entered a stage, as precisely as is known, and whether a status was merely renamed. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import Enum, auto
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connectors.records import DeliveryKey, Lead, Moment, StatusEntry
from jobs.rules.labels import APPOINTMENT_SET, normalise_label
from jobs.rules.model import AHEAD, ConversionRoute, CountingStarts, LeadFacts, StatusEntered, StatusTimeOrigin
from jobs.rules.webhook_history import NO_WEBHOOKS, StatusEntryWebhook, WebhookHistory

DATED = frozenset({StatusTimeOrigin.REPORTED, StatusTimeOrigin.WEBHOOK})
"""Origins whose time is the change's own."""
SAME_WITHIN = timedelta(minutes=10)
"""Oplead's own date of a change and a webhook about it lie no further apart."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LeadReadTimes:
    """When a lead was read, now and before."""

    previously: datetime | None
    """When it was last seen; None at first sight."""
    started: datetime
    """The start of the current pull."""
    ended: datetime
    """When the lead had been read: nothing it reports can be later."""
    read_alike: datetime | None = None
    """When it was last read for the same fields; None if never."""


def new_status_changes(
    known: Sequence[StatusEntered],
    lead: Lead,
    when: LeadReadTimes,
    *,
    zone: ZoneInfo,
    webhooks: WebhookHistory = NO_WEBHOOKS,
) -> list[StatusEntered]:
    """Return the status changes that a fresh reading of a lead adds to those `known`, which may be in any order.

    `zone` is the account's; `webhooks` is what had arrived about the lead before it was read.
    """
    changes = [change for change in known if change.label != APPOINTMENT_SET]
    before = len(changes)
    history = [
        StatusEntered(
            normalise_label(one.label),
            _moment_to_instant(one.at, zone),
            one.at.date_only,
            StatusTimeOrigin.REPORTED,
            when.ended,
        )
        for one in lead.history
    ]
    # Oplead's own times come first, then the webhooks', then mere days.
    _add(changes, (change for change in history if not change.date_only))
    for event in webhooks.entries:
        # A lead that is in a status already does not enter it, whatever reports it again.
        is_entry = event.label != _latest_change_label(changes, until=event.time.at)
        if is_entry and not _confirms_webhook_time(event, changes):
            _add(changes, [StatusEntered(event.label, *event.time, StatusTimeOrigin.WEBHOOK, when.ended)])
    _add(changes, (change for change in history if change.date_only))
    label = lead.label and normalise_label(lead.label)
    if label is not None and label != _current_lead_label(changes, lead, zone):
        was_in = _latest_change_label(changes[:before], until=when.previously)
        changes.append(_undated_status_change(label, changes, lead, when, was_in=was_in, zone=zone, webhooks=webhooks))
    return [*changes[before:], *_appointment(known, lead, when, webhooks)]


def _confirms_webhook_time(event: StatusEntryWebhook, changes: Iterable[StatusEntered]) -> bool:
    """Whether Oplead dates a change as an event tells that arrived before, by a clock that must be slow."""
    if event.ahead is None:
        return False
    heard = StatusEntered(
        event.label, event.ahead, date_only=False, origin=StatusTimeOrigin.WEBHOOK, seen_at=event.ahead
    )
    return any(
        change.origin is StatusTimeOrigin.REPORTED and is_known_status_entry(heard, change) for change in changes
    )


def _add(changes: list[StatusEntered], found: Iterable[StatusEntered]) -> None:
    """Add the changes that are not known yet."""
    for change in found:
        if not any(is_known_status_entry(change, other) for other in changes):
            changes.append(change)


def _undated_status_change(
    label: str,
    changes: Sequence[StatusEntered],
    lead: Lead,
    when: LeadReadTimes,
    *,
    was_in: str | None,
    zone: ZoneInfo,
    webhooks: WebhookHistory,
) -> StatusEntered:
    """Return a lead's entry into the status it shows, which nothing dates.

    It is dated by a webhook that may be a redelivery, or else by `updated_at`, if that lies between two observations;
    otherwise by the pull that saw it. A webhook is an observation, too. If the last reading showed the lead in that
    status already, and a webhook tells only now that it had left it before, it was back by then.
    """
    heard = [change.at for change in changes if change.origin is StatusTimeOrigin.WEBHOOK]
    dated = max((_moment_to_instant(entry.at, zone) for entry in lead.history), default=lead.created_at)
    after, until = max([when.previously or dated, *heard]), when.ended
    if was_in == label and when.previously is not None and heard and max(heard) <= when.previously:
        after, until = max(heard), when.previously
    repeat = max((event.time for event in webhooks.repeats if event.label == label), default=None)
    if repeat is not None and after < repeat.at <= until:
        return StatusEntered(label, *repeat, StatusTimeOrigin.WEBHOOK, when.ended)
    at = min(max(when.started, lead.created_at, *heard), until)
    if lead.updated_at is not None and after < lead.updated_at <= until:
        at = lead.updated_at
    origin = StatusTimeOrigin.BASELINE if when.previously is None and not heard else StatusTimeOrigin.BOUNDED
    return StatusEntered(label, at, date_only=False, origin=origin, seen_at=when.ended, after=after)


def _appointment(
    known: Sequence[StatusEntered], lead: Lead, when: LeadReadTimes, webhooks: WebhookHistory
) -> Iterator[StatusEntered]:
    """Yield the setting of a lead's first appointment, once.

    Whatever else shows an appointment does not say when it was set: then it is undated, as a status may be.
    """
    if any(change.label == APPOINTMENT_SET for change in known):
        return
    was_set, was_seen = webhooks.appointment_set, webhooks.appointment_seen
    if was_set is not None and (was_seen is None or was_set <= was_seen):
        yield StatusEntered(APPOINTMENT_SET, *was_set, StatusTimeOrigin.WEBHOOK, when.ended)
    elif was_seen is not None or lead.has_appointment:
        at = max(when.started, lead.created_at)
        if lead.updated_at is not None and (when.read_alike or lead.created_at) < lead.updated_at <= when.ended:
            at = lead.updated_at
        at = min(at, was_seen.at) if was_seen else at
        after = min(at, when.read_alike or lead.created_at)
        origin = StatusTimeOrigin.BASELINE if when.read_alike is None else StatusTimeOrigin.BOUNDED
        yield StatusEntered(APPOINTMENT_SET, at, date_only=False, origin=origin, seen_at=when.ended, after=after)


def happened_at(change: StatusEntered, lead: LeadFacts, key: DeliveryKey, zone: ZoneInfo) -> datetime:
    """Return the time to send to a platform: never the time of sending, and the same on every run.

    A date without a time becomes noon plus an offset of under a minute derived from the key, so that conversions of one
    day stay distinct. If the lead was created later that same day, it becomes one second after creation.
    """
    if not change.date_only:
        return change.at
    day = change.at.astimezone(zone).date()
    noon = datetime.combine(day, time(12), zone).astimezone(UTC) + timedelta(seconds=int(key, 16) % 60)
    if noon <= lead.created_at and lead.created_at.astimezone(zone).date() == day:
        return lead.created_at.replace(microsecond=0) + timedelta(seconds=1)
    return noon


def in_chronological_order(
    route: ConversionRoute, lead: LeadFacts, key: DeliveryKey
) -> list[tuple[datetime, StatusEntered]]:
    """Return a lead's status changes in chronological order, each with its time."""
    timed = ((happened_at(change, lead, key, route.zone), change) for change in lead.changes)
    return sorted(timed, key=lambda pair: (pair[0], pair[1].seen_at))


def assumed_time(change: StatusEntered, updated_at: datetime | None) -> datetime | None:
    """Return the time of an undated change when a human chooses to trust the lead's `updated_at`.

    Never later than the change was first seen; None if the lead wasn't updated since it was last known to be elsewhere.
    """
    if updated_at is None or (change.after is not None and updated_at <= change.after):
        return None
    return min(updated_at, change.at)


def has_impossible_time(change: StatusEntered, at: datetime, lead: LeadFacts) -> bool:
    """Return whether a change's own time is impossible: before the lead's creation, or ahead of its observation."""
    return change.origin in DATED and (at < lead.created_at or _is_dated_in_future(change))


def is_known_status_entry(found: StatusEntered, other: StatusEntered, *, whatever_label: bool = False) -> bool:
    """Return whether a dated change is already known: the same entry, or one we had bounded before it was dated."""
    if found.label != other.label and not whatever_label:
        return False
    if other.origin in DATED:
        if (found.at, found.date_only) == (other.at, other.date_only):
            return True
        return not whatever_label and found.origin is not other.origin and _are_same_change(found, other)
    earliest = other.after or datetime.min.replace(tzinfo=UTC) + _DAY
    return earliest - (_DAY if found.date_only else timedelta()) <= found.at <= other.seen_at


def _are_same_change(one: StatusEntered, other: StatusEntered) -> bool:
    """Whether what Oplead and a webhook report of a lead's entry into one status is one change."""
    if one.date_only and other.date_only:
        return one.at == other.at
    if one.date_only or other.date_only:
        day, instant = (one, other) if one.date_only else (other, one)
        return day.at <= instant.at < day.at + _DAY + SAME_WITHIN
    return abs(one.at - other.at) <= SAME_WITHIN


def _current_lead_label(changes: Sequence[StatusEntered], lead: Lead, zone: ZoneInfo) -> str | None:
    """The lead's current label according to the record."""
    # A change dated ahead of the pull that read it hadn't happened yet.
    happened = [change for change in changes if not _is_dated_in_future(change)]
    if any(change.origin is StatusTimeOrigin.WEBHOOK for change in happened):
        # Webhooks may arrive in any order, and long after a reading showed what came later.
        shown, newest = lead.label and normalise_label(lead.label), max(change.at for change in happened)
        # An entry known by its day alone may have come after everything else of that day.
        if any(change.label == shown and change.date_only and newest < change.at + _DAY for change in happened):
            return shown
        return _latest_change_label(happened)
    if lead.history and lead.label is not None:
        # Among simultaneous entries, the last one listed wins.
        last = max(reversed(lead.history), key=lambda entry: _moment_to_instant(entry.at, zone))
        if normalise_label(last.label) == normalise_label(lead.label):
            return normalise_label(last.label)
    latest = max(happened, key=lambda change: (change.seen_at, change.at), default=None)
    return latest.label if latest else None


def _latest_change_label(changes: Sequence[StatusEntered], *, until: datetime | None = None) -> str | None:
    """The label of the latest change, or of the latest up to a time; among simultaneous ones, the last one known."""
    happened = (change for change in reversed(changes) if until is None or change.at <= until)
    latest = max(happened, key=lambda change: change.at, default=None)
    return latest.label if latest else None


def _moment_to_instant(moment: Moment, zone: ZoneInfo) -> datetime:
    """The instant itself, or the start of the day in the account's zone."""
    if isinstance(moment.at, datetime):
        return moment.at.astimezone(UTC)
    return datetime.combine(moment.at, time(), zone).astimezone(UTC)


def _is_dated_in_future(change: StatusEntered) -> bool:
    """Whether a change is dated ahead of the pull that read it; a date is ahead if that day hadn't begun."""
    return change.at > change.seen_at + AHEAD


class StageEntry(NamedTuple):
    """A lead entering a stage."""

    at: datetime
    label: str | None
    """The label it entered by; None for the lead's creation."""
    origin: StatusTimeOrigin
    implausible: bool
    after: datetime
    """The latest time it was known not to have entered yet."""


def first_entry(
    route: ConversionRoute, lead: LeadFacts, starts: CountingStarts, key: DeliveryKey, *, after: datetime | None
) -> StageEntry | None:
    """Return the lead's first entry into the route's stage, or one that implies it; None if it never entered.

    Leaving the stage and returning counts as one entry: the first. A label added to the stage later counts as outside
    before its own start, unless nothing else ever entered the stage. Renaming a status enters no lead into it, and
    entries under the old name stay known. With `after`, set for a cancelled delivery, only later entries count.
    """
    if route.on_creation:
        is_ahead = lead.created_at > lead.seen_at + AHEAD
        creation = StageEntry(
            lead.created_at, None, StatusTimeOrigin.REPORTED, implausible=is_ahead, after=lead.created_at
        )
        return creation if after is None else None
    labels = route.labels | starts.former_label_names(route.labels)
    outside, early = True, None
    for at, change in in_chronological_order(route, lead, key):
        inside = change.label in labels
        # An appointment stands beside the status: it takes no lead out of one.
        is_status = change.label != APPOINTMENT_SET
        if change.origin is StatusTimeOrigin.RELABEL:
            # The lead didn't move: it is inside if the stage lists only the new name, and a rename never takes it out.
            outside = outside and not inside
            continue
        if inside and (outside or not is_status) and (after is None or at > after):
            is_implausible = has_impossible_time(change, at, lead)
            entry = StageEntry(at, change.label, change.origin, is_implausible, change.after or lead.created_at)
            # Between the conversion's start and the label's own, the label didn't count yet.
            if not starts.conversion <= at < starts.start_for_label(change.label):
                return entry
            early, inside = early or entry, False
        outside = not inside if is_status else outside
    return early


FEWEST = 5
"""Fewer leads than this may have moved together by chance."""
SHARE = 0.8
"""Share of the leads leaving the old label that must have the new one: a few move on to another status meanwhile."""
FEWEST_UNDATED, SHARE_MERGED = 20, 0.95
"""The same for a target label that other leads already had: leads do move to such a label, but not so many in a day."""


@dataclass(frozen=True, slots=True)
class LabelChange:
    """A move from one label to another."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class SeenLabels:
    """The labels seen in a complete reading."""

    fresh: Mapping[str, datetime]
    """When each previously unseen label was first seen."""
    moves: Mapping[LabelChange, int]
    """Number of leads that went straight from one label to another, as in a rename."""
    left: Mapping[str, int]
    """Number of leads that left each label, wherever they went."""
    last: Mapping[str, datetime]
    """When each label was last seen on a lead in this reading; labels not seen are missing."""


def are_distinct_statuses(move: LabelChange, meanings: Mapping[str, str]) -> bool:
    """Return whether the settings place the two labels differently, which makes them two statuses."""
    before, after = meanings.get(move.before), meanings.get(move.after)
    return before is not None and after is not None and before != after


def detect_renamed_labels(seen: SeenLabels, meanings: Mapping[str, str]) -> tuple[list[LabelChange], frozenset[str]]:
    """Return what a complete reading shows to be renamed, and the fresh labels only the next reading can decide.

    In a rename the old label disappears once the new one appears, and nearly all the leads that left it, and enough of
    them, have the new one. `meanings` is where the settings place each label they name.
    """
    renames, undecided = [], set()
    for move, leads in sorted(seen.moves.items(), key=lambda pair: (pair[0].before, pair[0].after)):
        came_up = seen.fresh.get(move.after)
        last = seen.last.get(move.before)
        if came_up is None or (last is not None and last >= came_up) or are_distinct_statuses(move, meanings):
            continue
        if leads >= FEWEST and leads >= SHARE * seen.left[move.before]:
            renames.append(move)
        elif last is not None:
            undecided.add(move.after)
    return renames, frozenset(undecided - {each.after for each in renames})


class EntryTimeSource(Enum):
    """How a lead's entry into a new label is dated."""

    BY_ITSELF = auto()
    """At its own time: the lead really changed."""
    AS_BEFORE = auto()
    """At the same instant as the lead's entry into the old label."""
    NOT = auto()


def classify_entry_time(changes: Collection[StatusEntered], move: LabelChange, *, since: datetime) -> EntryTimeSource:
    """Return how the entry into the new label, seen at or after `since`, is dated."""
    old = {change.at for change in changes if change.label == move.before and _is_exact(change)}
    new = [change for change in changes if change.label == move.after and change.seen_at >= since]
    if any(_is_exact(change) and change.at in old for change in new):
        return EntryTimeSource.AS_BEFORE
    is_undated = new and all(change.origin not in DATED for change in new)
    return EntryTimeSource.NOT if is_undated else EntryTimeSource.BY_ITSELF


def was_label_merged(moved: Counter[EntryTimeSource], left: int) -> bool:
    """Return whether a label no longer in use was merged into one that other leads already had.

    `moved` counts the leads that went from one to the other in a reading, by how that is dated; `left` counts those
    that left the old label, wherever they went.
    """
    silent = moved[EntryTimeSource.AS_BEFORE] + moved[EntryTimeSource.NOT]
    enough = moved[EntryTimeSource.AS_BEFORE] >= FEWEST or silent >= FEWEST_UNDATED
    return enough and silent >= SHARE_MERGED * left


def _is_exact(change: StatusEntered) -> bool:
    """Whether the time is precise enough that two statuses of one lead can't share it by chance."""
    return change.origin in DATED and not change.date_only


def dates_both_labels(history: Collection[StatusEntry], move: LabelChange) -> bool:
    """Return whether a lead's history dates both labels separately, which makes them two statuses."""
    times: dict[str, set[object]] = {}
    for entry in history:
        times.setdefault(normalise_label(entry.label), set()).add(entry.at.at)
    before, after = times.get(move.before, set()), times.get(move.after, set())
    return bool(before and after - before)


def as_change_not_rename(change: StatusEntered, changes: Collection[StatusEntered], move: LabelChange) -> StatusEntered:
    """Return an entry once attributed to a rename as the real change it turned out to be.

    If it carries exactly the old label's date, that date isn't its own, since the lead was seen under the old label
    afterwards. It is then dated by when the new label was first seen.
    """
    if change.after is not None:
        return change._replace(origin=StatusTimeOrigin.BOUNDED)
    found = change._replace(origin=StatusTimeOrigin.REPORTED)
    if any(is_known_status_entry(found, other, whatever_label=True) for other in changes if other.label == move.before):
        return change._replace(origin=StatusTimeOrigin.BOUNDED, at=change.seen_at, date_only=False)
    return found


def positions_of_relabelled_entries(
    changes: Sequence[StatusEntered], relabel: LabelChange, *, moved: bool
) -> Iterator[int]:
    """Yield the positions of the changes that only show an old entry under its new name.

    `moved` is whether the lead went straight from the old name to the new one.
    """
    old = [change for change in changes if change.label == relabel.before]
    new = [
        (position, change)
        for position, change in enumerate(changes)
        if change.label == relabel.after and change.origin is not StatusTimeOrigin.RELABEL
    ]
    again = [
        position
        for position, change in new
        if any(is_known_status_entry(change, other, whatever_label=True) for other in old)
    ]
    if not again and moved and new:
        again = [max(new, key=lambda pair: (pair[1].at, pair[1].seen_at))[0]]
    yield from again
