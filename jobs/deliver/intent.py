"""Commits what is about to be sent: each row judged once more, its bytes frozen, its place noted."""

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
    """Store what is sent of a row, and what it is known by again."""
    row.event, row.event_sha256 = event, hashlib.sha256(event).hexdigest()
    row.deferred_until = row.code = row.outcome = None


def is_damaged(row: OutboxRow) -> bool:
    """Whether the bytes that stand there are not those that were stored; SQLite may hold text where bytes were."""
    return not isinstance(row.event, bytes) or hashlib.sha256(row.event).hexdigest() != row.event_sha256


@dataclass(frozen=True, slots=True)
class Preparation(Transaction, ABC):
    """One transaction, right before a wire call."""

    sink: ConversionSink
    destination: DestinationId
    routes: Mapping[str, Route]
    """The destination's routes, by conversion."""
    target: Target
    """Where the batch goes."""

    kind: ClassVar[type[OutboxRow]]

    def prepare(self, batch: tuple[int, ...]) -> Intent | None:
        """Judge each row of a batch once more, and write down the request to be made; None where nothing goes out."""
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
        """Those that go out now, their bytes frozen; each other is put where it belongs."""

    def leave(self, row: OutboxRow, to: DeliveryState, cause: Cause) -> bool:
        """Put a row that is not sent where it belongs; False, for it is not ready."""
        self.move(row, to, cause)
        return False


@dataclass(frozen=True, slots=True)
class ConversionPreparation(Preparation):
    """The same of conversions."""

    kind: ClassVar[type[OutboxRow]] = Delivery

    def ready(self, rows: Sequence[OutboxRow], facts: Mapping[LeadId, LeadFacts]) -> Sequence[OutboxRow]:
        """Those that go out now, their bytes frozen; each other is put where it belongs."""
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
        """Whether a lost answer may be asked for again.

        Not once the lead has withdrawn its consent, nor once a platform that cannot recognise a replay would refuse it
        as too old: that says nothing of the first time. Nor where the bytes that were sent are damaged.
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
        """Judge a due delivery as it stands now: its bytes are frozen, or it is put where it belongs."""
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
