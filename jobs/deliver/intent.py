"""Commits what is about to be sent: each delivery judged once more, its bytes frozen, its place noted."""

import hashlib
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
from jobs.rules.consent import is_withdrawn
from jobs.rules.decision import DeliveryStatus, Send, reconcile
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import LeadFacts, Route, Starts

DAMAGED = "what was sent is damaged in the state"
"""Why a lost answer is not asked for: other bytes may count twice, so nobody will know."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A request that is committed and about to be made."""

    request: int
    target: Target
    numbers: tuple[int, ...]
    events: tuple[EncodedEvent, ...]


def begin(
    session: Session,
    ledger: Ledger,
    target: Target,
    destination: DestinationId,
    ready: Sequence[OutboxRow],
    *,
    now: datetime,
) -> Intent:
    """Write down the request that is to be made of rows whose bytes are frozen."""
    made = requests.begin(session, ledger, target, destination, ready, now=now)
    events = tuple(EncodedEvent(DeliveryKey(row.key), row.event or b"") for row in ready)
    return Intent(made, target, tuple(identity(row) for row in ready), events)


def freeze(row: OutboxRow, event: bytes) -> None:
    """Store what is sent of a row, and what it is known by again."""
    row.event, row.event_sha256 = event, hashlib.sha256(event).hexdigest()


def is_damaged(row: OutboxRow) -> bool:
    """Whether the bytes that stand there are not those that were stored; SQLite may hold text where bytes were."""
    return not isinstance(row.event, bytes) or hashlib.sha256(row.event).hexdigest() != row.event_sha256


@dataclass(frozen=True, slots=True)
class RequestPreparation:
    """One transaction, right before a wire call."""

    session: Session
    ledger: Ledger
    sink: ConversionSink
    destination: DestinationId
    routes: Mapping[str, Route]
    """The destination's routes, by conversion."""
    now: datetime
    count: Callable[[Delivery, str], None]
    """Told of each delivery that does not go out after all."""

    def prepare(self, target: Target, batch: tuple[int, ...]) -> Intent | None:
        """The request that is to be made of a batch; None where nothing of it goes out any more."""
        rows = [row for row in (self.session.get(Delivery, one) for one in batch) if row is not None]
        facts = leads.facts(self.session, self.ledger.account, {LeadId(row.lead) for row in rows})
        known = starts.load(self.session, self.ledger.account)
        ready = [row for row in rows if self._is_ready(row, facts[LeadId(row.lead)], known, target)]
        if not ready:
            return None
        for row in ready:
            cause = "sending again, may count twice" if row.may_count_twice else "sending"
            outbox.move(self.session, self.ledger, row, DeliveryState.IN_FLIGHT, cause, now=self.now)
        return begin(self.session, self.ledger, target, self.destination, ready, now=self.now)

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

        Not once the lead has taken its consent back, nor once a platform that cannot tell a replay would refuse it as
        too old: that says nothing of the first time. Nor where what was sent stands there no more.
        """
        cannot_tell = self.sink.limits.replay_within is not None
        given_up = None
        if is_withdrawn(lead, needs_personalization=self.sink.limits.needs_personalization):
            given_up = "consent withdrawn"
        elif cannot_tell and row.expires_at is not None and self.now > row.expires_at:
            given_up = "too old to be sent again"
        elif is_damaged(row):
            given_up = DAMAGED
        if given_up is not None:
            outbox.move(self.session, self.ledger, row, DeliveryState.UNCONFIRMED, given_up, now=self.now)
            self.count(row, given_up)
            return False
        row.may_count_twice = row.may_count_twice or cannot_tell
        return True

    def _may_send(self, row: Delivery, lead: LeadFacts, route: Route, start: Starts, target: Target) -> bool:
        """Judge a due delivery as it stands now: its bytes are frozen, or it is put where it belongs."""
        decision = judge(route, lead, start, row, now=self.now)
        withdrawn = is_withdrawn(lead, needs_personalization=self.sink.limits.needs_personalization)
        state = reconcile(DeliveryStatus(DeliveryState.PENDING, withdrawn=withdrawn, deleted=lead.deleted), decision)
        if isinstance(decision, Send):
            self._freeze(row, target, decision)
        if state is not None:
            bring_in_line(self.session, self.ledger, row, route=route, decision=decision, state=state, now=self.now)
        if not isinstance(decision, Send):
            self.count(row, row.reason or "")
            return False
        return True

    def _freeze(self, row: Delivery, target: Target, decision: Send) -> None:
        freeze(row, self.sink.encode(decision.event))
        row.transport, row.owner, row.action, row.source = (
            target.transport,
            target.owner,
            target.action,
            target.source,
        )
        row.deferred_until = row.code = row.outcome = None
