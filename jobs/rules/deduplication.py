"""Deduplication keys for conversions that count once per click or person. Pure."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from connectors.records import IdentifierKind, LeadId
from jobs.rules.extraction import ERASED
from jobs.rules.model import DedupScope, LeadFacts, Route

_A_PERSONS_OWN = frozenset({IdentifierKind.EMAIL, IdentifierKind.PHONE})
"""Kinds that identify a person; names and places don't."""


class Rank(IntEnum):
    """Precedence among duplicates."""

    SENT = 0
    """It was sent, or may have been: that can't be undone."""
    PENDING = 1
    """It was already pending before tonight."""
    NEW = 2
    """It could be sent from tonight on."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A lead whose conversion counts, or could."""

    lead: LeadId
    at: datetime
    dedup_keys: frozenset[str]
    rank: Rank


def dedup_keys(route: Route, lead: LeadFacts, at: datetime) -> frozenset[str]:
    """Return the deduplication keys of the lead's conversion; empty if the route counts every lead."""
    match route.once.per if route.once else None:
        case DedupScope.CLICK:
            return frozenset(_clicks(route, lead, at))
        case DedupScope.PERSON:
            own = (each for each in lead.identifiers.get(route.destination, ()) if each.kind in _A_PERSONS_OWN)
            return frozenset(_hash(each.kind, each.sha256) for each in own)
        case None:
            return frozenset()


def _clicks(route: Route, lead: LeadFacts, at: datetime) -> Iterator[str]:
    """One key for each click id the route could send; all forms of one id share a key."""
    alike = route.limits.interchangeable
    for click in lead.click_ids:
        if click.kind not in route.limits.click_ids or click.clicked_at > at or click.value.startswith(ERASED):
            continue
        if click.kind in alike:
            # A browser's cookie form ends with the id.
            yield _hash(min(alike), click.value.rpartition(".")[2])
        else:
            yield _hash(click.kind, click.value)


def _hash(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()
