"""By what conversions are recognised that count once per click or person. Pure."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from connectors.records import IdentifierKind, LeadId
from jobs.rules.extraction import ERASED
from jobs.rules.model import DedupScope, LeadFacts, Route

_A_PERSONS_OWN = frozenset({IdentifierKind.EMAIL, IdentifierKind.PHONE})
"""What tells a person from others; names and places do not."""


class Rank(IntEnum):
    """Who comes first."""

    SENT = 0
    """It went out, or may have: nothing takes that back."""
    PENDING = 1
    """It was to go out before tonight."""
    NEW = 2
    """It could go out from tonight on."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A lead with a conversion that counts, or would."""

    lead: LeadId
    at: datetime
    """When the conversion happened."""
    dedup_keys: frozenset[str]
    rank: Rank


def dedup_keys(route: Route, lead: LeadFacts, at: datetime) -> frozenset[str]:
    """What the lead's conversion on a route is recognised by: nothing where it counts for itself."""
    match route.once.per if route.once else None:
        case DedupScope.CLICK:
            return frozenset(_clicks(route, lead, at))
        case DedupScope.PERSON:
            own = (each for each in lead.identifiers.get(route.destination, ()) if each.kind in _A_PERSONS_OWN)
            return frozenset(_hash(each.kind, each.sha256) for each in own)
        case None:
            return frozenset()


def _clicks(route: Route, lead: LeadFacts, at: datetime) -> Iterator[str]:
    """Every click id the route could go out with; all forms of one id give one key."""
    alike = route.limits.interchangeable
    for click in lead.click_ids:
        if click.kind not in route.limits.click_ids or click.clicked_at > at or click.value.startswith(ERASED):
            continue
        if click.kind in alike:
            # The cookie that a browser makes of an id ends with it.
            yield _hash(min(alike), click.value.rpartition(".")[2])
        else:
            yield _hash(click.kind, click.value)


def _hash(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()
