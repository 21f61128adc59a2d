"""Commits what is about to be sent: each row judged once more, its bytes frozen, its place noted."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from connectors.ports import ConversionSink
from connectors.records import DeliveryKey, DestinationId, EncodedEvent, LeadId, Target
from jobs.ledger import leads, outbox, requests, starts
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Delivery, OutboxRow, identity
from jobs.plan.planner import bring_in_line, judge
from jobs.rules.decision import DeliveryStatus, NotConcerned, reconcile
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.eligibility import is_withdrawn
from jobs.rules.model import LeadFacts, Route, Starts
from jobs.rules.reasons import Cause, Reason


@dataclass(frozen=True, slots=True)
class Intent:
    """A request that is committed and about to be made."""

    request: int
    target: Target
    numbers: tuple[int, ...]
    events: tuple[EncodedEvent, ...]


def freeze(row: OutboxRow, event: bytes) -> None:
    """Store what is sent of a row, and what it is known by again."""
    row.event, row.event_sha256 = event, hashlib.sha256(event).hexdigest()
    row.deferred_until = row.code = row.outcome = None


def is_damaged(row: OutboxRow) -> bool:
    """Whether the bytes that stand there are not those that were stored; SQLite may hold text where bytes were."""
    return not isinstance(row.event, bytes) or hashlib.sha256(row.event).hexdigest() != row.event_sha256


@dataclass(frozen=True, slots=True)
class Preparation(ABC):
    """One transaction, right before a wire call."""

    session: Session
    ledger: Ledger
    sink: ConversionSink
    destination: DestinationId
    routes: Mapping[str, Route]
    """The destination's routes, by conversion."""
    now: datetime
    count: Callable[[OutboxRow, Cause], None]
    """Told of each row that is not sent after all."""

    @abstractmethod
    def prepare(self, target: Target, batch: tuple[int, ...]) -> Intent | None:
        """The request that is to be made of a batch; None where nothing of it goes out any more."""

    def commit(self, target: Target, ready: Sequence[OutboxRow]) -> Intent | None:
        """Write down the request that is to be made of rows whose bytes are frozen; None where there are none."""
        if not ready:
            return None
        for row in ready:
            again = isinstance(row, Delivery) and row.may_count_twice
            cause = Reason.MAY_COUNT_TWICE if again else Reason.SENDING
            outbox.move(self.session, self.ledger, row, DeliveryState.IN_FLIGHT, cause, now=self.now)
        made = requests.begin(self.session, self.ledger, target, self.destination, ready, now=self.now)
        events = tuple(EncodedEvent(DeliveryKey(row.key), row.event or b"") for row in ready)
        return Intent(made, target, tuple(identity(row) for row in ready), events)

    def leave(self, row: OutboxRow, to: DeliveryState, cause: Reason) -> bool:
        """Put a row that is not sent where it belongs; False, for it is not ready."""
        outbox.move(self.session, self.ledger, row, to, cause, now=self.now)
        self.count(row, cause)
        return False


@dataclass(frozen=True, slots=True)
class ConversionPreparation(Preparation):
    """The same of conversions."""

    def prepare(self, target: Target, batch: tuple[int, ...]) -> Intent | None:
        """Judge each of them once more."""
        rows = [row for row in (self.session.get(Delivery, one) for one in batch) if row is not None]
        facts = leads.facts(self.session, self.ledger.account, {LeadId(row.lead) for row in rows})
        known = starts.load(self.session, self.ledger.account)
        ready = [row for row in rows if self._is_ready(row, facts[LeadId(row.lead)], known, target)]
        return self.commit(target, ready)

    def _is_ready(
        self, row: Delivery, lead: LeadFacts, known: Mapping[tuple[str, str], Starts], target: Target
    ) -> bool:
        if row.state == DeliveryState.IN_DOUBT:
            return self._may_ask_again(row, lead)
        route = self.routes.get(row.conversion)
        if row.state != DeliveryState.PENDING or route is None:
            return False
        return self._may_send(row, lead, route, known[route.conversion, self.destination], target)

    def _may_ask_again(self, row: Delivery, lead: LeadFacts) -> bool:
        """Whether a lost answer may be asked for again.

        Not once the lead has withdrawn its consent, nor once a platform that cannot recognise a replay would refuse it
        as too old: that says nothing of the first time. Nor where the bytes that were sent are damaged.
        """
        cannot_tell = self.sink.limits.replay_within is not None
        if is_withdrawn(lead, needs_personalization=self.sink.limits.needs_personalization):
            return self.leave(row, DeliveryState.UNCONFIRMED, Reason.CONSENT_WITHDRAWN)
        if cannot_tell and row.expires_at is not None and self.now > row.expires_at:
            return self.leave(row, DeliveryState.UNCONFIRMED, Reason.TOO_OLD_TO_REPLAY)
        if is_damaged(row):
            return self.leave(row, DeliveryState.UNCONFIRMED, Reason.DAMAGED)
        row.may_count_twice = row.may_count_twice or cannot_tell
        return True

    def _may_send(self, row: Delivery, lead: LeadFacts, route: Route, start: Starts, target: Target) -> bool:
        """Judge a due delivery as it stands now: its bytes are frozen, or it is put where it belongs."""
        decision = judge(route, lead, start, row, now=self.now)
        withdrawn = is_withdrawn(lead, needs_personalization=self.sink.limits.needs_personalization)
        state = reconcile(DeliveryStatus(DeliveryState.PENDING, withdrawn=withdrawn, deleted=lead.deleted), decision)
        event = None if isinstance(decision, NotConcerned) else decision.event
        if event is not None:
            freeze(row, self.sink.encode(event))
            row.transport, row.owner, row.action, row.source = (
                target.transport,
                target.owner,
                target.action,
                target.source,
            )
        if state is not None:
            bring_in_line(self.session, self.ledger, row, route=route, decision=decision, state=state, now=self.now)
        if event is None:
            self.count(row, outbox.why(row))
        return event is not None
