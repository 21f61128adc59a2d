"""What counts once: of conversions that are one click's or one person's, only the first goes out; pure."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Protocol

from connectors.records import IdentifierKind, LeadId
from jobs.rules.decision import Send, Wait, Withhold
from jobs.rules.extraction import ERASED
from jobs.rules.model import DedupScope, LeadFacts, Route
from jobs.rules.reasons import Reason

_A_PERSONS_OWN = frozenset({IdentifierKind.EMAIL, IdentifierKind.PHONE})
"""What tells a person from others; names and places do not."""


class Rank(IntEnum):
    """Who comes first."""

    SENT = 0
    """It went out, or may have: nothing takes that back."""
    WAITS = 1
    """It was to go out before tonight."""
    ASKS = 2
    """It could go out from tonight on."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A lead whose conversion counts, or would."""

    lead: LeadId
    at: datetime
    """When the conversion happened."""
    marks: frozenset[str]
    rank: Rank


def dedup_keys(route: Route, lead: LeadFacts, at: datetime) -> frozenset[str]:
    """What the lead's conversion on a route is known again by: nothing where it counts for itself."""
    match route.once.per if route.once else None:
        case DedupScope.CLICK:
            return frozenset(_clicks(route, lead, at))
        case DedupScope.PERSON:
            own = (each for each in lead.identifiers.get(route.destination, ()) if each.kind in _A_PERSONS_OWN)
            return frozenset(_mark(each.kind, each.sha256) for each in own)
        case None:
            return frozenset()


class Counting(Protocol):
    """Claims that count."""

    def first(self, claim: Claim, within: timedelta) -> LeadId | None:
        """By rank, time and id the first that counts of the other leads that share a mark with it, within that time."""

    def count(self, claim: Claim) -> None:
        """Have a claim count from now on."""


def find_duplicates_among(
    claims: Iterable[Claim], counting: Counting, within: timedelta
) -> Iterator[tuple[LeadId, LeadId]]:
    """Who must stay, and the lead it gives way to.

    Each claim counts unless one that counts shares a mark with it and happened within that time of it. Who gives way
    keeps nobody else back, and what was sent never does.

    Args:
        claims: by rank, then by time, then by id.
        counting: none yet; those that count are put there.
        within: how far apart two conversions of one mark may be and still be one.
    """
    for claim in claims:
        rival = None if claim.rank is Rank.SENT else counting.first(claim, within)
        if rival is None:
            counting.count(claim)
        else:
            yield claim.lead, rival


def yield_to(decision: Send | Wait, rival: LeadId) -> Withhold:
    """The decision on what could go out, were it not for another lead's that counts."""
    return Withhold(Reason.COUNTED_ALREADY, decision.entry, decision.closes_at, rival)


def _clicks(route: Route, lead: LeadFacts, at: datetime) -> Iterator[str]:
    """Every click id the route could go out with; all forms of one id are one mark."""
    alike = route.limits.interchangeable
    for click in lead.click_ids:
        if click.kind not in route.limits.click_ids or click.clicked_at > at or click.value.startswith(ERASED):
            continue
        if click.kind in alike:
            # The cookie that a browser makes of an id ends with it.
            yield _mark(min(alike), click.value.rpartition(".")[2])
        else:
            yield _mark(click.kind, click.value)


def _mark(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()
