"""What is checked and frozen before conversions are sent, and which of them may share a request."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlmodel import Session

from connectors.records import LeadId
from jobs.deliver.bisect import split_rows_sharing_keys
from jobs.deliver.preparation import PreCallTransaction, is_stored_event_damaged, move_into_flight
from jobs.ledger.leads import starts
from jobs.ledger.outbox import outbox
from jobs.ledger.outbox.outbox import DeliveryMove
from jobs.ledger.schema import DeliveryRecord
from jobs.plan.planner import decide_route, update_delivery_from_decision
from jobs.rules.decision import DeliveryStatus, NoSuchConversion, next_delivery_state
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.eligibility import consent_is_withdrawn
from jobs.rules.model import ConversionRoute, CountingStarts, LeadFacts
from jobs.rules.reasons import Reason


@dataclass(frozen=True, slots=True)
class ConversionPreparer(PreCallTransaction):
    """Prepares conversions."""

    def decide_again(
        self, rows: Sequence[DeliveryRecord], facts: Mapping[LeadId, LeadFacts]
    ) -> Iterator[DeliveryMove | None]:
        """Yield each delivery's move: into flight if it is to be sent now; None leaves it alone."""
        known = starts.load_counting_starts(self.session, self.ledger.account)
        for row in rows:
            lead, route = facts[LeadId(row.lead)], self.routes.get(row.conversion)
            if row.state == DeliveryState.IN_DOUBT:
                yield self._replay(row, lead)
            elif row.state == DeliveryState.PENDING and route is not None:
                yield self._freeze_if_sendable(row, lead, route, known[route.conversion, self.destination])

    def _replay(self, row: DeliveryRecord, lead: LeadFacts) -> DeliveryMove:
        """Replay a delivery in doubt, if it may be.

        Not if the lead has withdrawn consent, or the bytes are damaged. Nor if a platform that can't recognise a replay
        would refuse it as too old, which wouldn't settle the first attempt.
        """
        cannot_tell = self.sink.limits.replay_within is not None
        if consent_is_withdrawn(lead, needs_personalization=self.sink.limits.needs_personalization):
            return DeliveryMove(row, DeliveryState.UNCONFIRMED, Reason.CONSENT_WITHDRAWN)
        if cannot_tell and row.expires_at is not None and self.now > row.expires_at:
            return DeliveryMove(row, DeliveryState.UNCONFIRMED, Reason.TOO_OLD_TO_REPLAY)
        if is_stored_event_damaged(row):
            return DeliveryMove(row, DeliveryState.UNCONFIRMED, Reason.DAMAGED)
        row.may_count_twice = row.may_count_twice or cannot_tell
        return move_into_flight(row)

    def _freeze_if_sendable(
        self, row: DeliveryRecord, lead: LeadFacts, route: ConversionRoute, start: CountingStarts
    ) -> DeliveryMove | None:
        """Decide a due delivery again, and freeze its bytes or move it to its new state."""
        decision = decide_route(route, lead, start, row, now=self.now)
        withdrawn = consent_is_withdrawn(lead, needs_personalization=self.sink.limits.needs_personalization)
        state = next_delivery_state(
            DeliveryStatus(DeliveryState.PENDING, withdrawn=withdrawn, deleted=lead.deleted), decision
        )
        move = (
            None
            if state is None
            else update_delivery_from_decision(
                row, route=route, decision=decision, state=state, restored_at=self.ledger.restored_at
            )
        )
        event = None if isinstance(decision, NoSuchConversion) else decision.event
        if event is None or state is not DeliveryState.PENDING:
            return move
        target = self.target
        row.transport, row.owner, row.action, row.source = target.transport, target.owner, target.action, target.source
        if self.sink.limits.replay_within is not None and outbox.may_have_been_sent(
            row, restored_at=self.ledger.restored_at
        ):
            row.may_count_twice = True
        return self.freeze(row, partial(self.sink.encode, event))


def split_colliding(session: Session, batch: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Split a batch so that no part has two conversions with the same click and second.

    A platform that distinguishes conversions by those, to the second, refuses both if they meet in one request.
    """
    keys: defaultdict[int, set[tuple[str, datetime]]] = defaultdict(set)
    for row, click, at in outbox.shared_clicks_and_times(session, batch):
        keys[row].add((click, at.replace(microsecond=0)))
    return split_rows_sharing_keys(batch, keys)
