"""Finds who gives way tonight, of leads whose conversions count once per click or person."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sqlmodel import Session

from connectors.records import LeadId
from jobs.ledger import counted
from jobs.ledger.fates import Fate
from jobs.ledger.tables import Delivery
from jobs.rules.decide import Decision, Send, Wait
from jobs.rules.facts import LeadFacts, Route
from jobs.rules.once import Claim, Rank, marks, rivals

Rivals = Mapping[tuple[str, str, LeadId], LeadId]
"""By conversion, destination and lead that must not count: the lead that does."""
Verdict = Callable[[Route, LeadFacts, Delivery | None, Sequence[Delivery]], tuple[Decision, Fate | None]]
"""The decision on a route for a lead, and the fate it puts the delivery in, given all the lead's deliveries."""


def find_rivals(
    session: Session,
    account: str,
    routes: Iterable[Route],
    to_judge: Iterable[tuple[LeadFacts, list[Delivery]]],
    verdict: Verdict,
) -> Rivals:
    """Who must give way to whom; nobody where every lead counts for itself.

    All leads to be judged are looked at before the first is planned, so that which of them counts does not depend on
    the order they are planned in.
    """
    once = [route for route in routes if route.once is not None]
    claims: dict[tuple[str, str], list[Claim]] = defaultdict(list)
    for lead, existing in to_judge if once else ():
        for route in once:
            claims[_place(route)] += _claims(session, route, lead, existing, verdict)
    found: dict[tuple[str, str, LeadId], LeadId] = {}
    for route in once:
        asking = claims[_place(route)]
        known = counted.counting(session, account, route, {mark for claim in asking for mark in claim.marks})
        if route.once is not None:
            giving_way = rivals([*asking, *known], route.once.within)
            found |= {(*_place(route), lead): other for lead, other in giving_way.items()}
    return found


def _claims(
    session: Session, route: Route, lead: LeadFacts, existing: list[Delivery], verdict: Verdict
) -> Iterator[Claim]:
    """The lead's conversion on a route, where it counts already or could from tonight on."""
    delivery = next((row for row in existing if (row.conversion, row.destination) == _place(route)), None)
    decision, fate = verdict(route, lead, delivery, existing)
    rank = counted.rank(delivery)
    if delivery is not None and delivery.at is not None and rank is Rank.SENT:
        at = delivery.at
    elif fate is Fate.PENDING and isinstance(decision, Send | Wait):
        at = decision.entry.at
    else:
        return
    on_record = frozenset() if delivery is None or rank is Rank.ASKS else counted.marks_of(session, delivery)
    yield Claim(lead.id, at, marks(route, lead, at) | on_record, rank)


def _place(route: Route) -> tuple[str, str]:
    return route.conversion, route.destination
