"""Whether a status was renamed in Oplead, which changes its name on every lead and none of the leads: pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from connectors.records import StatusEntry
from jobs.rules.model import Origin, StatusEntered, normalise_label
from jobs.rules.stage_entry import same_entry

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
    return (
        EntryDating.NOT
        if new and all(change.origin is not Origin.REPORTED for change in new)
        else EntryDating.BY_ITSELF
    )


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
