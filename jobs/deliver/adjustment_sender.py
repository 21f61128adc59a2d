"""Sends corrections of accepted conversions, after the conversions and in the same way."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from connectors.ports import AdjustmentSink
from connectors.records import Adjustment as Correction
from connectors.records import AdjustmentKind, Event, LeadId, Money, Receipt, Target
from jobs.deliver.sender import UNANSWERED_IN_A_ROW, Sender, SendingOptions
from jobs.deliver.transactions import PreCallTransaction, SendingResult, SendingStop, is_damaged, store_bytes_to_send
from jobs.ledger import outbox, starts
from jobs.ledger.requests import Intent
from jobs.ledger.schema import Adjustment, Delivery, OutboxRow
from jobs.plan.adjustments import sent_conversion
from jobs.rules.adjustment import (
    SentConversion,
    WantedAdjustment,
    event_to_resend,
    reason_not_to_resend,
    state_of_blocked_correction,
    wanted_adjustment,
)
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import ConversionRoute, LeadFacts
from jobs.rules.reasons import DestinationScope, Reason


def send_adjustments(sending: SendingOptions, *, silent: Collection[DestinationScope] = ()) -> SendingResult:
    """Send every due correction, those in doubt first.

    For a `silent` scope, which answered no conversion, a single correction shows whether it answers now.
    """
    done = SendingResult()
    for destination, sink in sending.run.deps.sinks.items():
        if DestinationScope(destination) not in sending.stopped and isinstance(sink, AdjustmentSink):
            sender = AdjustmentSender(sending, DestinationScope(destination, corrections=True), sink, done)
            sender.unanswered = UNANSWERED_IN_A_ROW - 1 if DestinationScope(destination) in silent else 0
            sender.send_all()
    return done


@dataclass(frozen=True, slots=True)
class _AdjustmentPreparation(PreCallTransaction):
    """Prepares corrections."""

    sink: AdjustmentSink

    kind: ClassVar[type[OutboxRow]] = Adjustment

    def freeze_ready_rows(self, rows: Sequence[OutboxRow], facts: Mapping[LeadId, LeadFacts]) -> Sequence[OutboxRow]:
        """Freeze and return the corrections still wanted; move every other row to its proper state."""
        made = outbox.adjustments_of_leads(self.session, self.ledger.account, facts.keys())
        renamed = starts.current_label_names(self.session, self.ledger.account)
        corrections = [row for row in rows if isinstance(row, Adjustment)]
        return [row for row in corrections if self._is_ready(row, facts[LeadId(row.lead)], made[row.delivery], renamed)]

    def _is_ready(
        self, row: Adjustment, lead: LeadFacts, made: Sequence[Adjustment], renamed: Mapping[str, str]
    ) -> bool:
        if row.state == DeliveryState.IN_DOUBT:
            return self._may_replay(row, lead)
        route = self.routes.get(row.conversion)
        if row.state != DeliveryState.PENDING:
            return False
        if route is None:
            return self.move_unsent_row(row, DeliveryState.WITHHELD, Reason.NOT_CONFIGURED)
        if lead.stale:
            return self.move_unsent_row(row, DeliveryState.WITHHELD, Reason.TO_BE_READ_AGAIN)
        sent = sent_conversion(
            self.session.get_one(Delivery, row.delivery), [each for each in made if each.number < row.number]
        )
        wanted = wanted_adjustment(route, lead, sent, renamed=renamed, now=self.now)
        if wanted is None:
            return self.move_unsent_row(row, DeliveryState.CANCELLED, Reason.STANDS_AGAIN)
        return self._freeze(row, lead, route, sent, wanted)

    def _may_replay(self, row: Adjustment, lead: LeadFacts) -> bool:
        """Whether a correction in doubt may be replayed with the same bytes, which a platform counts once.

        Not if the bytes are damaged, or hold personal data of a lead that was deleted or has withdrawn consent.
        """
        if is_damaged(row):
            return self.move_unsent_row(row, DeliveryState.UNCONFIRMED, Reason.DAMAGED)
        given_up = reason_not_to_resend(lead, self.sink.limits, row.transport)
        return given_up is None or self.move_unsent_row(row, DeliveryState.UNCONFIRMED, given_up)

    def _freeze(
        self, row: Adjustment, lead: LeadFacts, route: ConversionRoute, sent: SentConversion, wanted: WantedAdjustment
    ) -> bool:
        """Freeze a correction's bytes, or move it to its current state."""
        if wanted.ruled_out_by is not None:
            return self.move_unsent_row(row, state_of_blocked_correction(wanted.ruled_out_by), wanted.ruled_out_by)
        if wanted.until is not None:
            row.not_before = wanted.until
            return self.move_unsent_row(row, DeliveryState.PENDING, Reason.MAY_COME_BACK)
        if (row.kind, row.transport) != (wanted.kind, wanted.transport):
            outbox.flag_for_correction_check(self.session, row)
            return self.move_unsent_row(row, DeliveryState.WITHHELD, Reason.TO_BE_READ_AGAIN)
        row.value = wanted.value_text
        row.currency = None if wanted.value is None else route.currency
        correction = self._correction(row, lead, route, sent, wanted.value)
        if isinstance(correction, Reason):
            return self.move_unsent_row(row, state_of_blocked_correction(correction), correction)
        store_bytes_to_send(row, self.sink.encode_adjustment(correction))
        return True

    def _correction(
        self, row: Adjustment, lead: LeadFacts, route: ConversionRoute, sent: SentConversion, value: Decimal | None
    ) -> Correction | Reason:
        """The correction to encode, or why it may not be sent."""
        target = outbox.target_of(row)
        event: Event | None = None
        if value is not None and route.limits.corrects[row.transport].by_resending:
            anew = event_to_resend(route, lead, sent, target=target, value=value)
            if isinstance(anew, Reason):
                return anew
            event = anew
        return Correction(
            key=sent.key,
            target=target,
            kind=AdjustmentKind(row.kind),
            at=row.at,
            value=None if value is None else Money(value, route.currency),
            event=event,
        )


@dataclass(slots=True)
class AdjustmentSender(Sender):
    """Sends one destination's corrections in one run.

    Its stops are its own: an API that rejects corrections may still accept conversions.
    """

    sink: AdjustmentSink
    preparation: ClassVar[type[PreCallTransaction]] = _AdjustmentPreparation
    off: set[tuple[str, str]] = field(default_factory=set)
    """Transports and owners that are stopped for this run."""

    def _due_by_target(self) -> Mapping[Target, Target]:
        account, now = self.run.ledger.account, self.run.now()
        with self.run.ledger.read_transaction() as session:
            due = outbox.due_adjustment_targets(
                session, account, self.destination, now=now, new_by=self.first_sends_due_by
            )
        return {target: target for target in due}

    def _max_rows_per_request(self, target: Target) -> int:
        can = self.sink.limits.corrects.get(target.transport)
        return self.sink.limits.batch if can is None else can.batch

    def _transport_stop_scope(self, _: Target) -> DestinationScope:
        return self.scope

    def _is_target_stopped(self, target: Target) -> bool:
        return (target.transport, target.owner) in self.off or super(AdjustmentSender, self)._is_target_stopped(target)

    def _record_stop(self, stop: SendingStop, target: Target) -> bool:
        # A stop of one transport's corrections doesn't affect another's.
        if stop.whole_destination:
            self.off.add((target.transport, target.owner))
        super(AdjustmentSender, self)._record_stop(stop, target)
        return False

    def _split_colliding_conversions(self, batch: tuple[int, ...]) -> list[tuple[int, ...]]:
        # A correction refers to its conversion by key, and a conversion has at most one unsettled correction.
        return [batch]

    def _call(self, intent: Intent) -> Receipt:
        return self.sink.adjust(intent.target, intent.events)
