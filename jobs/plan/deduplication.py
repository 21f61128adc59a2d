"""Finds tonight's duplicate leads for conversions that count once per click or person."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from sqlmodel import Session

from connectors.records import LeadId
from jobs.ledger import deduplication
from jobs.ledger.deduplication import Candidate, DedupCandidates, Rank
from jobs.ledger.schema import Delivery
from jobs.rules.decision import Decision, NotConcerned
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.eligibility import dedup_keys
from jobs.rules.model import DedupRule, LeadFacts, Route

Verdict = Callable[
    [Route, LeadFacts, Delivery | None, Sequence[Delivery]], tuple[Decision | NotConcerned, DeliveryState | None]
]
"""Decides a route for a lead, given all the lead's deliveries; also returns the delivery's next state."""


class DuplicateLeads:
    """Which leads are duplicates of which; empty until `find` has run, and on routes that count every lead."""

    def __init__(self, account: str, routes: Iterable[Route]) -> None:
        self._account = account
        self._routes: list[tuple[Route, DedupRule, DedupCandidates]] = [
            (route, route.once, DedupCandidates()) for route in routes if route.once is not None
        ]
        self._by_place = {route.place: candidates for route, _, candidates in self._routes}

    def close(self) -> None:
        """Release the temporary databases."""
        for _, _, candidates in self._routes:
            candidates.close()

    def of(self, route: Route, lead: LeadId) -> LeadId | None:
        """Return the lead that counts on a route instead of this one, or None if this one is no duplicate."""
        candidates = self._by_place.get(route.place)
        return None if candidates is None else candidates.counting_for(lead)

    def find(self, session: Session, to_judge: Iterable[tuple[LeadFacts, list[Delivery]]], verdict: Verdict) -> None:
        """Find the duplicates.

        All leads to be planned are scanned before the first is planned, so that the outcome doesn't depend on planning
        order; none of them is kept in memory.
        """
        for lead, existing in to_judge if self._routes else ():
            for route, _, candidates in self._routes:
                for candidate in _candidates(session, route, lead, existing, verdict):
                    candidates.add(candidate)
        for route, once, candidates in self._routes:
            for candidate in deduplication.counting(session, self._account, route, candidates.dedup_keys()):
                candidates.add(candidate)
            candidates.find_duplicates(once.within)


def _candidates(
    session: Session, route: Route, lead: LeadFacts, existing: list[Delivery], verdict: Verdict
) -> Iterator[Candidate]:
    """The lead's conversion on a route, if it already counts or could from tonight on."""
    # The last occurrence only: a retracted one no longer counts.
    delivery = next((row for row in reversed(existing) if (row.conversion, row.destination) == route.place), None)
    decision, state = verdict(route, lead, delivery, existing)
    rank = deduplication.rank(delivery)
    if delivery is not None and delivery.at is not None and rank is Rank.SENT:
        at = delivery.at
    elif state is DeliveryState.PENDING and isinstance(decision, Decision):
        at = decision.entry.at
    else:
        return
    on_record = frozenset() if delivery is None or rank is Rank.NEW else deduplication.dedup_keys_of(session, delivery)
    yield Candidate(lead.id, at, dedup_keys(route, lead, at) | on_record, rank)
