"""Whether a lead whose answer was lost is in Oplead: judged from one reading of its leads. Pure.

"Not there" sends it again, so it is said only of a reading that is whole and in which a lead that we know we created,
no earlier than this one, shows by a mark of at least the same parts: otherwise nobody knows whether Oplead shows those
parts at all, or whether its list has come so far.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from connectors.records import LeadId
from jobs.oplead_commands.creation.outbox import CreationState, LeadCreationRecord


@dataclass(frozen=True, slots=True)
class SeenLead:
    """A lead as read from Oplead."""

    id: LeadId
    created_at: datetime
    marks: frozenset[str]


class LeadNotFoundReason(StrEnum):
    """Why a lead has not been found."""

    NOT_THERE = "not_there"
    AMBIGUOUS = "ambiguous"
    """Several leads, or several of ours, have one mark; or one lead has the marks of several of ours."""
    UNPROVEN = "unproven"
    """It was not seen, and the reading does not prove that it would have been."""


def recognise(
    marked: Sequence[LeadCreationRecord],
    seen: Iterable[SeenLead],
    *,
    claimed: Collection[LeadId],
    is_whole: bool,
    skew: timedelta,
) -> Mapping[str, LeadId | LeadNotFoundReason]:
    """Return, by key, which lead each one in doubt is; also each created one whose id can be told only now.

    Args:
        marked: the leads that were created or are in doubt, with their marks.
        seen: the leads read from Oplead.
        claimed: ids that belong to created leads.
        is_whole: whether every lead was read.
        skew: how far Oplead's clock may be behind ours.
    """
    leads: dict[str | None, list[SeenLead]] = defaultdict(list)
    for lead in seen:
        for mark in lead.marks:
            leads[mark].append(lead)
    unnamed = Counter(_digest(one) for one in marked if one.lead is None)

    def those_of(one: LeadCreationRecord) -> list[SeenLead]:
        return [lead for lead in leads[_digest(one)] if lead.created_at >= one.sent_at - skew]

    shown = [one for one in marked if is_whole and _shows(one, those_of(one))]
    found: dict[str, LeadId | LeadNotFoundReason] = {}
    for one in (each for each in marked if each.lead is None):
        free = [lead.id for lead in those_of(one) if lead.id not in claimed]
        if len(free) == 1 and unnamed[_digest(one)] == 1:
            found[one.key] = free[0]
        elif one.state is CreationState.IN_DOUBT:
            proven = any(_proves(other, one) for other in shown)
            absence = LeadNotFoundReason.NOT_THERE if proven else LeadNotFoundReason.UNPROVEN
            found[one.key] = LeadNotFoundReason.AMBIGUOUS if free else absence
    times = Counter(found.values())
    return {
        key: LeadNotFoundReason.AMBIGUOUS
        if not isinstance(judged, LeadNotFoundReason) and times[judged] > 1
        else judged
        for key, judged in found.items()
    }


def _digest(one: LeadCreationRecord) -> str | None:
    return one.mark.digest if one.mark else None


def _proves(shown: LeadCreationRecord, one: LeadCreationRecord) -> bool:
    """Whether one that shows proves that another would show if it were there."""
    if shown.mark is None or one.mark is None:
        return False
    return shown.mark.proves(one.mark) and shown.sent_at >= one.sent_at


def _shows(one: LeadCreationRecord, leads: Sequence[SeenLead]) -> bool:
    """Whether a lead that is certainly in Oplead is among those with its mark."""
    if one.state is not CreationState.CREATED:
        return False
    return bool(leads) if one.lead is None else one.lead in {lead.id for lead in leads}
