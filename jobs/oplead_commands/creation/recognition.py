"""Which lead of Oplead is one whose answer was lost: judged from one reading of its leads. Pure.

That a lead was not seen proves nothing: Oplead may still be at work on its request, or show its values in another form.
So it is either found, or left in doubt.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from connectors.records import LeadId
from jobs.oplead_commands.creation.identity import LeadFingerprint
from jobs.oplead_commands.creation.outbox import LeadCreationRecord


@dataclass(frozen=True, slots=True)
class SeenLead:
    """A lead as read from Oplead."""

    id: LeadId
    created_at: datetime
    mark: LeadFingerprint


class NotFound(StrEnum):
    """Why a lead in doubt has not been found."""

    NOT_SEEN = "not_seen"
    AMBIGUOUS = "ambiguous"
    """Several leads, or several of ours, have its mark; or a lead has a part of it only."""
    UNREADABLE = "not_looked_up"
    """This key reads no leads."""


def recognise_created_leads(
    marked: Sequence[LeadCreationRecord], seen: Iterable[SeenLead], *, claimed: Collection[LeadId], skew: timedelta
) -> Mapping[str, LeadId | NotFound]:
    """Return, by key, which lead each one in doubt is; also each created one whose id can be told only now.

    Args:
        marked: the leads that were created without an id or are in doubt, with their marks.
        seen: the leads read from Oplead.
        claimed: ids that belong to created leads.
        skew: how far Oplead's clock may be behind ours.
    """
    leads: dict[str, set[SeenLead]] = defaultdict(set)
    for lead in seen:
        if lead.id not in claimed:
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
    times = Counter(ids[0] for ids in same.values() if len(ids) == 1)
    taken = {lead for lead, count in times.items() if count == 1}
    found: dict[str, LeadId | NotFound] = {}
    for one in marked:
        ids = same[one.key]
        if len(ids) == 1 and times[ids[0]] == 1:
            found[one.key] = ids[0]
        elif not one.is_in_oplead:
            may_be_there = ids or any(lead.id not in taken for lead in similar[one.key])
            found[one.key] = NotFound.AMBIGUOUS if may_be_there else NotFound.NOT_SEEN
    return found


def _leads_sharing_mark(leads: Mapping[str, set[SeenLead]], mark: LeadFingerprint | None) -> set[SeenLead]:
    """Return the leads that share more than a name with a mark."""
    return set().union(*(leads.get(trace, ()) for trace in mark.distinctive_hashes)) if mark else set()
