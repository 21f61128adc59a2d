"""Sends corrections of accepted conversions: as conversions are sent, after them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial

from sqlmodel import Session

from connectors.http import CancelToken
from connectors.ports import Adjusts, Clock
from connectors.records import Adjustment as Correction
from connectors.records import AdjustmentKind, DestinationId, Event, LeadId, Limits, Money, Receipt, Target
from jobs.cancellation import go_on
from jobs.deliver.intent import DAMAGED, Intent, begin, freeze, is_damaged
from jobs.deliver.receipt import Delivered, SendingStop
from jobs.deliver.sender import UNANSWERED_IN_A_ROW, DueBatches, Sender
from jobs.ledger import leads, outbox, outbox_queries, starts
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Adjustment, Delivery, OutboxRow
from jobs.plan.adjustments import sent_conversion
from jobs.rules.adjustment import (
    MAY_COME_BACK,
    STANDS_AGAIN,
    SentConversion,
    WantedAdjustment,
    adjustments_of,
    event_anew,
    no_more_of,
    state_of,
    tells_of_person,
    wanted_adjustment,
)
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import LeadFacts, Route
from jobs.settings.compile import Rulebook, Sinks


def send_adjustments(
    ledger: Ledger,
    book: Rulebook,
    sinks: Sinks,
    clock: Clock,
    *,
    jitter: Callable[[], float],
    due_by: datetime,
    stopped: Collection[str] = (),
    silent: Collection[str] = (),
    held: Collection[DestinationId] = (),
    replays: bool = True,
    cancel_token: CancelToken = go_on,
) -> Delivered:
    """Send every correction that is due, what is in doubt first; the arguments are those of `deliver`.

    Of what is `silent`, as it answered no conversion, one correction shows whether it answers now.
    """
    done = Delivered()
    for destination, sink in sinks.items():
        if destination not in stopped and isinstance(sink, Adjusts):
            new_by = None if adjustments_of(destination) in held else due_by
            lane = AdjustmentSender(
                ledger, book, destination, sink, clock, jitter, done, set(stopped), new_by, replays, cancel_token
            )
            lane.unanswered = UNANSWERED_IN_A_ROW - 1 if destination in silent else 0
            lane.send_all()
    return done


@dataclass(slots=True)
class AdjustmentSender(Sender):
    """One destination's corrections in one run.

    Its stops are its own: an interface that takes no corrections may well take conversions.
    """

    off: set[tuple[str, str]] = field(default_factory=set)
    """The transports and owners that take no more in this run."""

    def _targets(self) -> Mapping[Target, Callable[[], tuple[int, ...]]]:
        account, now = self.ledger.account, self.clock.now()
        with self.ledger.reading() as session:
            due = outbox_queries.due_adjustment_targets(session, account, self.destination, now=now, new_by=self.new_by)
        return {target: DueBatches(partial(self._next, target)).next for target in due}

    def _next(self, target: Target, after: Adjustment | None) -> Sequence[Adjustment]:
        with self.ledger.reading() as session:
            return outbox_queries.due_adjustments(
                session,
                self.ledger.account,
                self.destination,
                target,
                now=self.clock.now(),
                new_by=self.new_by,
                after=after,
                limit=self._batch(target),
            )

    def _in_doubt(self, session: Session) -> Mapping[Target, Sequence[OutboxRow]]:
        return outbox.in_doubt(session, self.ledger.account, Adjustment, self.destination)

    def _batch(self, target: Target) -> int:
        can = self.sink.limits.corrects.get(target.transport)
        return self.sink.limits.batch if can is None else can.batch

    def _way(self, _: Target) -> str:
        return adjustments_of(self.destination)

    def _is_off(self, target: Target) -> bool:
        return (target.transport, target.owner) in self.off or super(AdjustmentSender, self)._is_off(target)

    def _is_stopped(self, stop: SendingStop, target: Target) -> bool:
        # What stops one transport's corrections says nothing of another's.
        if stop.whole_destination:
            self.off.add((target.transport, target.owner))
        return super(AdjustmentSender, self)._is_stopped(stop, target)

    def _without_twins(self, batch: tuple[int, ...]) -> list[tuple[int, ...]]:
        # A correction names its conversion by the key, and a conversion has one that is not settled at most.
        return [batch]

    def _prepare(self, target: Target, batch: tuple[int, ...]) -> Intent | None:
        with self.ledger.writing() as session:
            routes = self._routes()
            intending = _AdjustmentRequest(
                session, self.ledger, self._adjusts, self.sink.limits, routes, self.clock.now(), self.done.count
            )
            return intending.prepare(target, batch, self.destination)

    def _call(self, intent: Intent) -> Receipt:
        return self._adjusts.adjust(intent.target, intent.events)

    @property
    def _adjusts(self) -> Adjusts:
        if not isinstance(self.sink, Adjusts):
            raise TypeError(f"{self.destination} corrects nothing")
        return self.sink


@dataclass(frozen=True, slots=True)
class _AdjustmentRequest:
    """One transaction, right before a wire call."""

    session: Session
    ledger: Ledger
    sink: Adjusts
    limits: Limits
    routes: Mapping[str, Route]
    now: datetime
    count: Callable[[OutboxRow, str], None]
    """Told of each correction that is not made after all."""

    def prepare(self, target: Target, batch: tuple[int, ...], destination: DestinationId) -> Intent | None:
        """The request that is to be made of a batch; None where nothing of it goes out any more."""
        rows = [row for row in (self.session.get(Adjustment, one) for one in batch) if row is not None]
        ids = {LeadId(row.lead) for row in rows}
        facts = leads.facts(self.session, self.ledger.account, ids)
        made = outbox_queries.adjustments_of_leads(self.session, self.ledger.account, ids)
        renamed = starts.renamed(self.session, self.ledger.account)
        ready = [row for row in rows if self._is_ready(row, facts[LeadId(row.lead)], made[row.delivery], renamed)]
        if not ready:
            return None
        for row in ready:
            outbox.move(self.session, self.ledger, row, DeliveryState.IN_FLIGHT, "sending", now=self.now)
        return begin(self.session, self.ledger, target, destination, ready, now=self.now)

    def _is_ready(
        self, row: Adjustment, lead: LeadFacts, made: Sequence[Adjustment], renamed: Mapping[str, str]
    ) -> bool:
        if row.state == DeliveryState.IN_DOUBT:
            return self._may_ask_again(row, lead)
        route = self.routes.get(row.conversion)
        if row.state != DeliveryState.PENDING:
            return False
        if route is None:
            return self._keep(row, DeliveryState.WITHHELD, "not_configured")
        if lead.stale:
            return self._keep(row, DeliveryState.WITHHELD, "to_be_read_again")
        holds = sent_conversion(
            self.session.get_one(Delivery, row.delivery), [each for each in made if each.number < row.number]
        )
        want = wanted_adjustment(route, lead, holds, renamed=renamed, now=self.now)
        if want is None:
            return self._keep(row, DeliveryState.CANCELLED, STANDS_AGAIN)
        return self._freeze(row, lead, route, holds, want)

    def _may_ask_again(self, row: Adjustment, lead: LeadFacts) -> bool:
        """Whether a lost answer may be asked for again: the same bytes, which a platform counts once.

        Not once the lead has taken its consent back, or is gone, where those bytes tell of the person; nor where they
        stand there no more.
        """
        if is_damaged(row):
            return self._keep(row, DeliveryState.UNCONFIRMED, DAMAGED)
        if not tells_of_person(self.limits, row.transport):
            return True
        given_up = no_more_of(lead, needs_personalization=self.limits.needs_personalization)
        return given_up is None or self._keep(row, DeliveryState.UNCONFIRMED, given_up)

    def _freeze(
        self, row: Adjustment, lead: LeadFacts, route: Route, holds: SentConversion, want: WantedAdjustment
    ) -> bool:
        """Freeze a correction's bytes, or put it where it belongs by now."""
        if want.ruled_out_by is not None:
            return self._keep(row, state_of(want.ruled_out_by), want.ruled_out_by)
        if want.until is not None:
            row.not_before = want.until
            return self._keep(row, DeliveryState.PENDING, MAY_COME_BACK)
        if (row.kind, row.transport) != (want.kind, want.transport):
            outbox.plan_again(self.session, row)
            return self._keep(row, DeliveryState.WITHHELD, "to_be_read_again")
        row.value = None if want.value is None else f"{want.value:.2f}"
        row.currency = None if want.value is None else route.currency
        correction = self._correction(row, lead, route, holds, want.value)
        if isinstance(correction, str):
            return self._keep(row, state_of(correction), correction)
        freeze(row, self.sink.encode_adjustment(correction))
        row.deferred_until = row.code = row.outcome = None
        return True

    def _correction(
        self, row: Adjustment, lead: LeadFacts, route: Route, holds: SentConversion, value: Decimal | None
    ) -> Correction | str:
        """The correction to encode; or why it may not go out."""
        target = outbox.target_of(row)
        event: Event | None = None
        if value is not None and route.limits.corrects[row.transport].by_resending:
            anew = event_anew(route, lead, holds, target=target, value=value)
            if isinstance(anew, str):
                return anew
            event = anew
        return Correction(
            key=holds.key,
            target=target,
            kind=AdjustmentKind(row.kind),
            at=row.at,
            value=None if value is None else Money(value, route.currency),
            event=event,
        )

    def _keep(self, row: Adjustment, to: DeliveryState, cause: str) -> bool:
        outbox.move(self.session, self.ledger, row, to, cause, now=self.now)
        self.count(row, cause)
        return False
