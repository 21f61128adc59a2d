"""Commits the intent of a request: rows decided again, bytes frozen, positions recorded."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import ClassVar

from connectors.ports import ConversionSink
from connectors.records import DestinationId, LeadId, Target
from jobs.deliver.receipt import Transaction
from jobs.ledger import leads, outbox, requests, starts
from jobs.ledger.requests import Intent
from jobs.ledger.schema import Delivery, OutboxRow
from jobs.plan.planner import bring_in_line, judge
from jobs.rules.decision import DeliveryStatus, NotConcerned, reconcile
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.eligibility import consent_is_withdrawn
from jobs.rules.model import LeadFacts, Route, Starts
from jobs.rules.reasons import Cause, Reason


def freeze(row: OutboxRow, event: bytes) -> None:
    """Store the bytes to send for a row, and their hash."""
    row.event, row.event_sha256 = event, hashlib.sha256(event).hexdigest()
    row.deferred_until = row.code = row.outcome = None


def is_damaged(row: OutboxRow) -> bool:
    """Return whether the stored bytes fail their hash; SQLite may hold text where bytes were."""
    return not isinstance(row.event, bytes) or hashlib.sha256(row.event).hexdigest() != row.event_sha256


@dataclass(frozen=True, slots=True)
class Preparation(Transaction, ABC):
    """One transaction, right before a wire call."""

    sink: ConversionSink
    destination: DestinationId
    routes: Mapping[str, Route]
    """The destination's routes by conversion."""
    target: Target

    kind: ClassVar[type[OutboxRow]]

    def prepare(self, batch: tuple[int, ...]) -> Intent | None:
        """Decide each row of a batch again and record the request to make; return None if nothing is to be sent."""
        rows = [row for number in batch if (row := self.session.get(self.kind, number)) is not None]
        facts = leads.facts(self.session, self.ledger.account, {LeadId(row.lead) for row in rows})
        ready = self.ready(rows, facts)
        if not ready:
            return None
        for row in ready:
            again = isinstance(row, Delivery) and row.may_count_twice
            cause = Reason.MAY_COUNT_TWICE if again else Reason.SENDING
            outbox.move(self.session, self.ledger, row, DeliveryState.IN_FLIGHT, cause, now=self.now)
        return requests.begin(self.session, self.ledger, self.target, self.destination, ready, now=self.now)

    @abstractmethod
    def ready(self, rows: Sequence[OutboxRow], facts: Mapping[LeadId, LeadFacts]) -> Sequence[OutboxRow]:
        """Freeze and return the rows to send now; move every other row to its proper state."""

    def leave(self, row: OutboxRow, to: DeliveryState, cause: Cause) -> bool:
        """Move a row that isn't sent, and return False: it isn't ready."""
        self.move(row, to, cause)
        return False


@dataclass(frozen=True, slots=True)
class ConversionPreparation(Preparation):
    """Prepares conversions."""

    kind: ClassVar[type[OutboxRow]] = Delivery

    def ready(self, rows: Sequence[OutboxRow], facts: Mapping[LeadId, LeadFacts]) -> Sequence[OutboxRow]:
        """Freeze and return the deliveries to send now; move every other one to its proper state."""
        known = starts.load(self.session, self.ledger.account)
        deliveries = [row for row in rows if isinstance(row, Delivery)]
        return [row for row in deliveries if self._is_ready(row, facts[LeadId(row.lead)], known)]

    def _is_ready(self, row: Delivery, lead: LeadFacts, known: Mapping[tuple[str, str], Starts]) -> bool:
        if row.state == DeliveryState.IN_DOUBT:
            return self._may_ask_again(row, lead)
        route = self.routes.get(row.conversion)
        if row.state != DeliveryState.PENDING or route is None:
            return False
        return self._may_send(row, lead, route, known[route.conversion, self.destination])

    def _may_ask_again(self, row: Delivery, lead: LeadFacts) -> bool:
        """Whether a delivery in doubt may be replayed.

        Not if the lead has withdrawn consent, or the bytes are damaged. Nor if a platform that can't recognise a replay
        would refuse it as too old, which wouldn't settle the first attempt.
        """
        cannot_tell = self.sink.limits.replay_within is not None
        if consent_is_withdrawn(lead, needs_personalization=self.sink.limits.needs_personalization):
            return self.leave(row, DeliveryState.UNCONFIRMED, Reason.CONSENT_WITHDRAWN)
        if cannot_tell and row.expires_at is not None and self.now > row.expires_at:
            return self.leave(row, DeliveryState.UNCONFIRMED, Reason.TOO_OLD_TO_REPLAY)
        if is_damaged(row):
            return self.leave(row, DeliveryState.UNCONFIRMED, Reason.DAMAGED)
        row.may_count_twice = row.may_count_twice or cannot_tell
        return True

    def _may_send(self, row: Delivery, lead: LeadFacts, route: Route, start: Starts) -> bool:
        """Decide a due delivery again, and freeze its bytes or move it to its new state."""
        decision = judge(route, lead, start, row, now=self.now)
        withdrawn = consent_is_withdrawn(lead, needs_personalization=self.sink.limits.needs_personalization)
        state = reconcile(DeliveryStatus(DeliveryState.PENDING, withdrawn=withdrawn, deleted=lead.deleted), decision)
        event = None if isinstance(decision, NotConcerned) else decision.event
        if event is not None:
            freeze(row, self.sink.encode(event))
            row.transport, row.owner, row.action, row.source = astuple(self.target)
        if state is not None:
            bring_in_line(self.session, self.ledger, row, route=route, decision=decision, state=state, now=self.now)
        if event is None:
            self.done.count(row, outbox.why(row))
        return event is not None
