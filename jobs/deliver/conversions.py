"""What is checked and frozen before conversions are sent, and which of them may share a request."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime

from sqlmodel import Session

from connectors.records import LeadId
from jobs.deliver.bisect import partition
from jobs.deliver.preparation import PreCallTransaction, is_damaged, store_bytes_to_send
from jobs.ledger import outbox, starts
from jobs.ledger.schema import Delivery
from jobs.plan.planner import apply_decision, judge
from jobs.rules.decision import DeliveryStatus, NoSuchConversion, next_delivery_state
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.eligibility import consent_is_withdrawn
from jobs.rules.model import ConversionRoute, CountingStarts, LeadFacts
from jobs.rules.reasons import Reason


@dataclass(frozen=True, slots=True)
class ConversionPreparation(PreCallTransaction):
    """Prepares conversions."""

    def freeze_ready_rows(self, rows: Sequence[Delivery], facts: Mapping[LeadId, LeadFacts]) -> Sequence[Delivery]:
        """Freeze and return the deliveries to send now; move every other one to its proper state."""
        known = starts.load_starts(self.session, self.ledger.account)
        return [row for row in rows if self._is_ready(row, facts[LeadId(row.lead)], known)]

    def _is_ready(self, row: Delivery, lead: LeadFacts, known: Mapping[tuple[str, str], CountingStarts]) -> bool:
        if row.state == DeliveryState.IN_DOUBT:
            return self._may_replay(row, lead)
        route = self.routes.get(row.conversion)
        if row.state != DeliveryState.PENDING or route is None:
            return False
        return self._freeze_if_sendable(row, lead, route, known[route.conversion, self.destination])

    def _may_replay(self, row: Delivery, lead: LeadFacts) -> bool:
        """Whether a delivery in doubt may be replayed.

        Not if the lead has withdrawn consent, or the bytes are damaged. Nor if a platform that can't recognise a replay
        would refuse it as too old, which wouldn't settle the first attempt.
        """
        cannot_tell = self.sink.limits.replay_within is not None
        if consent_is_withdrawn(lead, needs_personalization=self.sink.limits.needs_personalization):
            return self.move_unsent_row(row, DeliveryState.UNCONFIRMED, Reason.CONSENT_WITHDRAWN)
        if cannot_tell and row.expires_at is not None and self.now > row.expires_at:
            return self.move_unsent_row(row, DeliveryState.UNCONFIRMED, Reason.TOO_OLD_TO_REPLAY)
        if is_damaged(row):
            return self.move_unsent_row(row, DeliveryState.UNCONFIRMED, Reason.DAMAGED)
        row.may_count_twice = row.may_count_twice or cannot_tell
        return True

    def _freeze_if_sendable(
        self, row: Delivery, lead: LeadFacts, route: ConversionRoute, start: CountingStarts
    ) -> bool:
        """Decide a due delivery again, and freeze its bytes or move it to its new state."""
        decision = judge(route, lead, start, row, now=self.now)
        withdrawn = consent_is_withdrawn(lead, needs_personalization=self.sink.limits.needs_personalization)
        state = next_delivery_state(
            DeliveryStatus(DeliveryState.PENDING, withdrawn=withdrawn, deleted=lead.deleted), decision
        )
        event = None if isinstance(decision, NoSuchConversion) else decision.event
        if event is not None:
            store_bytes_to_send(row, self.sink.encode(event))
            row.transport, row.owner, row.action, row.source = astuple(self.target)
        if state is not None:
            apply_decision(self.session, self.ledger, row, route=route, decision=decision, state=state, now=self.now)
        if event is None:
            self.done.count(row, outbox.current_cause(row))
        return event is not None


def split_colliding(session: Session, batch: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Split a batch so that no part has two conversions with the same click and second.

    A platform that distinguishes conversions by those, to the second, refuses both if they meet in one request.
    """
    keys: defaultdict[int, set[tuple[str, datetime]]] = defaultdict(set)
    for row, click, at in outbox.clicks_and_times(session, batch):
        keys[row].add((click, at.replace(microsecond=0)))
    return partition(batch, keys)
