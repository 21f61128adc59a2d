"""When a lead entered a stage, as precisely as is known, and whether a status was merely renamed. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import Enum, auto
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connectors.records import DeliveryKey, Lead, Moment, StatusEntry
from jobs.rules.labels import APPOINTMENT_SET, normalise_label
from jobs.rules.model import AHEAD, ConversionRoute, CountingStarts, LeadFacts, StatusEntered, StatusTimeOrigin
from jobs.rules.webhook_confirmation import (
    ReportVerdict,
    WebhookRules,
    earlier_reading_since,
    judge_report,
    latest_change_label,
    refuting_reading,
)
from jobs.rules.webhook_history import NO_WEBHOOKS, EventTime, StatusEntryWebhook, WebhookHistory

NO_WEBHOOK_RULES = WebhookRules()

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
    rules: WebhookRules = NO_WEBHOOK_RULES,
) -> list[StatusEntered]:
    """Return the status changes that a fresh reading of a lead adds to those `known`, which may be in any order.

    `zone` is the account's; `webhooks` is what had arrived about the lead before it was read. Of that, only what this
    reading or an earlier one confirms is a change.
    """
    relabelled = list(_under_better_names(known, lead))
    before = [change for change in _as_now_called(known, lead) if change.label != APPOINTMENT_SET]
    changes = [*before]
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
    first_seen_after = _latest_date(lead, zone) if when.previously is None else None
    label = lead.label and normalise_label(lead.label)
    webhooks = webhooks.called_as(current_labels_by_other_name(lead))
    webhooks = replace(webhooks, entries=tuple(_not_refuted(webhooks.entries, history, label)))
    for event in webhooks.entries:
        found = StatusEntered(event.label, *event.time, StatusTimeOrigin.WEBHOOK, when.ended, first_seen_after)
        was_in = latest_change_label(changes, until=found.at)
        shown = earlier_reading_since(event, before, when.previously)
        if _is_confirmed_entry(found, label, shown, was_in, before=before, history=history, when=when, rules=rules):
            _add(changes, [found])
    _add(changes, (change for change in history if change.date_only))
    if label is not None and label != _current_lead_label(changes, lead, zone):
        changes.append(_undated_status_change(label, changes, lead, when, zone=zone, webhooks=webhooks))
    added = changes[len(before) :]
    late = _passed_while_held(label, before, added, webhooks=webhooks, when=when, rules=rules)
    return [*relabelled, *late, *added, *_appointment(known, lead, when, webhooks, rules)]


def current_labels_by_other_name(lead: Lead) -> dict[str, str]:
    """Return, normalised, what a reading calls each status it shows, by that status's other names, such as its code."""
    shown = [(lead.label or "", lead.also_called), *((one.label, one.also_called) for one in lead.history)]
    labels = {normalise_label(label) for label, _ in shown}
    named = ((normalise_label(name), normalise_label(label)) for label, names in shown for name in names)
    return {name: label for name, label in named if label and name not in labels}


def _as_now_called(known: Sequence[StatusEntered], lead: Lead) -> Iterator[StatusEntered]:
    """Yield what is on record with each status called as this reading calls it."""
    labels = current_labels_by_other_name(lead)
    return (change._replace(label=labels.get(change.label, change.label)) for change in known)


def _under_better_names(known: Sequence[StatusEntered], lead: Lead) -> Iterator[StatusEntered]:
    """Yield the entries on record under another name of a status that this reading shows: the lead has not moved."""
    labels, on_record = current_labels_by_other_name(lead), {change.label for change in known}
    latest = {change.label: change for change in sorted(known, key=lambda change: change.at) if change.label in labels}
    for name, change in latest.items():
        if labels[name] not in on_record:
            yield change._replace(label=labels[name], origin=StatusTimeOrigin.RELABEL)


def _not_refuted(
    events: Iterable[StatusEntryWebhook], history: Sequence[StatusEntered], label: str | None
) -> Iterator[StatusEntryWebhook]:
    """Yield what webhooks report unless Oplead's history, where it tells of that time, lacks it.

    It tells of everything after its first entry if it ends on the label that the lead shows.
    """
    first = history[0] if history and history[-1].label == label else None
    for event in events:
        is_told_of = first is not None and event.time.at >= first.at + (_DAY if first.date_only else timedelta())
        if not is_told_of or any(one.label == event.label and _are_same_change(event.time, one) for one in history):
            yield event


def _is_confirmed_entry(
    found: StatusEntered,
    label: str | None,
    shown: str | None,
    was_in: str | None,
    *,
    before: Sequence[StatusEntered],
    history: Sequence[StatusEntered],
    when: LeadReadTimes,
    rules: WebhookRules,
) -> bool:
    """Whether the lead entered a status as a webhook says, at that time.

    The first reading since must confirm it: then its time lies between the last reading without it and that one. A
    lead that is in a status already does not enter it, whatever reports it again; and Oplead's own dates win. `shown`
    is what an earlier reading showed, if that one was the first.
    """
    if found.label == was_in or found.at > when.ended + AHEAD:
        return False
    if shown is not None:
        if shown == found.label:  # its time is on record
            return False
        dates = [change for change in before if change.origin is StatusTimeOrigin.REPORTED]
    else:
        dates = [change for change in history if when.previously is None or when.previously - _DAY < change.at]
    if told := [change for change in dates if change.label == found.label]:
        return any(_are_same_change(found, change) for change in told)
    verdict = judge_report(found.label, label if shown is None else shown, was_in=was_in, order=rules.order)
    return verdict is ReportVerdict.CONFIRMED


def _passed_while_held(
    label: str | None,
    before: Sequence[StatusEntered],
    added: Sequence[StatusEntered],
    *,
    webhooks: WebhookHistory,
    when: LeadReadTimes,
    rules: WebhookRules,
) -> list[StatusEntered]:
    """Return the entries into statuses that were held until this reading, which shows that the lead has passed them.

    Their events' times count no more, since a reading in between did not show them: they are entered with the status
    that proves them.
    """
    proof = next((change for change in reversed(added) if change.label == label), None)
    if proof is None or when.previously is None:
        return []
    on_record = {change.label for change in (*before, *added)}
    passed = dict.fromkeys(
        event.label
        for event in webhooks.entries
        if event.label not in on_record
        and event.time.at <= proof.at
        and event.received_at > when.ended - rules.confirm_within
        and rules.order.has_passed(label, event.label)
        and refuting_reading(event, before, when.previously) is None
    )
    after = min(proof.after or when.previously, proof.at)
    return [proof._replace(label=one, origin=StatusTimeOrigin.BOUNDED, after=after) for one in passed]


def _add(changes: list[StatusEntered], found: Iterable[StatusEntered]) -> None:
    """Add the changes that are not known yet."""
    for change in found:
        if not any(is_known_status_entry(change, other) for other in changes):
            changes.append(change)


def _latest_date(lead: Lead, zone: ZoneInfo) -> datetime:
    """The latest time at which Oplead itself says where a lead was: its last change, or its creation."""
    return max((_moment_to_instant(entry.at, zone) for entry in lead.history), default=lead.created_at)


def _undated_status_change(
    label: str,
    changes: Sequence[StatusEntered],
    lead: Lead,
    when: LeadReadTimes,
    *,
    zone: ZoneInfo,
    webhooks: WebhookHistory,
) -> StatusEntered:
    """Return a lead's entry into the status it shows, which nothing dates.

    It is dated by a webhook that may be a redelivery, or else by `updated_at`, if that lies between two observations;
    otherwise by the pull that saw it. A webhook is an observation, too, but not of a lead that nobody has read yet:
    whatever is reported of such a lead, a status that it has had for long does not become news.
    """
    heard = [change.at for change in changes if change.origin is StatusTimeOrigin.WEBHOOK]
    is_first = when.previously is None
    after, until = max([when.previously or _latest_date(lead, zone), *([] if is_first else heard)]), when.ended
    repeat = max((event.time for event in webhooks.repeats if event.label == label), default=None)
    if repeat is not None and after < repeat.at <= until:
        return StatusEntered(label, *repeat, StatusTimeOrigin.WEBHOOK, when.ended, after if is_first else None)
    at = min(max(when.started, lead.created_at, *heard), until)
    if lead.updated_at is not None and max([after, *heard]) < lead.updated_at <= until:
        at = lead.updated_at
    origin = StatusTimeOrigin.BASELINE if is_first else StatusTimeOrigin.BOUNDED
    return StatusEntered(label, at, date_only=False, origin=origin, seen_at=when.ended, after=after)


def _appointment(
    known: Sequence[StatusEntered], lead: Lead, when: LeadReadTimes, webhooks: WebhookHistory, rules: WebhookRules
) -> Iterator[StatusEntered]:
    """Yield the setting of a lead's first appointment, once: when Oplead shows it, or when trusted events report it.

    An event dates it if its time lies between the last reading that could have shown it and this one; otherwise it is
    undated, as a status may be.
    """
    was_set, was_seen = webhooks.appointment_set, webhooks.appointment_seen
    is_trusted = rules.trusts_appointments and not lead.has_appointment and (was_set or was_seen) is not None
    if not (lead.has_appointment or is_trusted) or any(change.label == APPOINTMENT_SET for change in known):
        return
    # Where it is trusted, no reading could have shown it.
    last_read = None if is_trusted else when.read_alike
    since = last_read or lead.created_at
    first_seen_after = lead.created_at if last_read is None and not is_trusted else None
    if was_set is not None and (was_seen is None or was_set <= was_seen) and since <= was_set.at <= when.ended + AHEAD:
        yield StatusEntered(APPOINTMENT_SET, *was_set, StatusTimeOrigin.WEBHOOK, when.ended, first_seen_after)
        return
    at = max(when.started, lead.created_at)
    if lead.updated_at is not None and since < lead.updated_at <= when.ended:
        at = lead.updated_at
    at = min(at, was_seen.at) if was_seen and since <= was_seen.at else at
    origin = StatusTimeOrigin.BASELINE if when.read_alike is None else StatusTimeOrigin.BOUNDED
    yield StatusEntered(APPOINTMENT_SET, at, date_only=False, origin=origin, seen_at=when.ended, after=min(at, since))


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


def _are_same_change(one: StatusEntered | EventTime, other: StatusEntered) -> bool:
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
        return latest_change_label(happened)
    if lead.history and lead.label is not None:
        # Among simultaneous entries, the last one listed wins.
        last = max(reversed(lead.history), key=lambda entry: _moment_to_instant(entry.at, zone))
        if normalise_label(last.label) == normalise_label(lead.label):
            return normalise_label(last.label)
    latest = max(reversed(happened), key=lambda change: (change.seen_at, change.at), default=None)
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
    is_first_sight: bool = False
    """Whether the first reading of the lead showed it there already, so that nothing but a webhook may date it."""


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
            is_first_sight = change.origin is StatusTimeOrigin.WEBHOOK and change.after is not None
            since = change.after or lead.created_at
            entry = StageEntry(at, change.label, change.origin, is_implausible, since, is_first_sight)
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
