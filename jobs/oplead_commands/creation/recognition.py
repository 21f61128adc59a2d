"""Whether a lead whose answer was lost is in Oplead: judged from one reading of its leads. Pure.

"Not there" sends it again, so it is said only of a reading that is whole and in which a lead that we know we created,
no earlier than this one, shows by a mark of at least the same parts: otherwise nobody knows whether Oplead shows those
parts at all, or whether its list has come so far. Nor is it said where a lead created since then shares more than a
name with it: Oplead may show the rest in another form.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from connectors.records import LeadId
from jobs.oplead_commands.creation.identity import LeadFingerprint
from jobs.oplead_commands.creation.outbox import LeadCreationRecord, LeadCreationState


@dataclass(frozen=True, slots=True)
class SeenLead:
    """A lead as read from Oplead."""

    id: LeadId
    created_at: datetime
    mark: LeadFingerprint


class LeadNotFoundReason(StrEnum):
    """Why a lead has not been found."""

    NOT_THERE = "not_there"
    AMBIGUOUS = "ambiguous"
    """Several leads, or several of ours, have its mark; or a lead has a part of it only."""
    UNPROVEN = "unproven"
    """It was not seen, and the reading does not prove that it would have been."""


def recognise_created_leads(
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
    leads: dict[str, set[SeenLead]] = defaultdict(set)
    for lead in seen:
        for trace in lead.mark.distinctive_hashes:
            leads[trace].add(lead)
    similar = {
        one.key: [lead for lead in _leads_sharing_mark(leads, one.mark) if lead.created_at >= one.sent_at - skew]
        for one in marked
    }
    same = {
        one.key: [lead.id for lead in similar[one.key] if one.mark and one.mark.matches_fingerprint(lead.mark)]
        for one in marked
    }
    free = {one.key: [lead for lead in same[one.key] if lead not in claimed] for one in marked if one.lead is None}
    times = Counter(ids[0] for ids in free.values() if len(ids) == 1)
    taken = {lead for lead, count in times.items() if count == 1}.union(claimed)
    shown = [one for one in marked if is_whole and _is_created_lead_among(one, same[one.key])]
    found: dict[str, LeadId | LeadNotFoundReason] = {}
    for one in (each for each in marked if each.lead is None):
        ids = free[one.key]
        if len(ids) == 1 and times[ids[0]] == 1:
            found[one.key] = ids[0]
        elif one.state is LeadCreationState.IN_DOUBT:
            may_be_there = ids or any(lead.id not in taken for lead in similar[one.key])
            proven = any(_proves_other_findable(other, one) for other in shown)
            absence = LeadNotFoundReason.NOT_THERE if proven else LeadNotFoundReason.UNPROVEN
            found[one.key] = LeadNotFoundReason.AMBIGUOUS if may_be_there else absence
    return found


def _proves_other_findable(shown: LeadCreationRecord, one: LeadCreationRecord) -> bool:
    """Whether one that shows proves that another would show if it were there."""
    if shown.mark is None or one.mark is None:
        return False
    return shown.mark.has_all_parts_of(one.mark) and shown.sent_at >= one.sent_at


def _is_created_lead_among(one: LeadCreationRecord, leads: Collection[LeadId]) -> bool:
    """Whether a lead that is certainly in Oplead is among those with its mark."""
    if one.state is not LeadCreationState.CREATED:
        return False
    return bool(leads) if one.lead is None else one.lead in leads


def _leads_sharing_mark(leads: Mapping[str, set[SeenLead]], mark: LeadFingerprint | None) -> set[SeenLead]:
    """Return the leads that share more than a name with a mark."""
    return set().union(*(leads.get(trace, ()) for trace in mark.distinctive_hashes)) if mark else set()
