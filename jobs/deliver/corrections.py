"""What is checked and frozen before corrections of accepted conversions are sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from connectors.ports import AdjustmentSink
from connectors.records import Adjustment, AdjustmentKind, ConversionEvent, LeadId, Money
from jobs.deliver.preparation import PreCallTransaction, is_stored_event_damaged, move_into_flight
from jobs.ledger.leads import starts
from jobs.ledger.outbox import outbox
from jobs.ledger.outbox.outbox import DeliveriesOfLeads, DeliveryMove
from jobs.ledger.schema import Delivery, DeliveryRecord
from jobs.plan.adjustments import sent_conversion
from jobs.rules.adjustment import (
    SentConversion,
    WantedAdjustment,
    reason_not_to_resend,
    restated_conversion_event,
    state_of_blocked_correction,
    wanted_adjustment,
)
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import ConversionRoute, LeadFacts
from jobs.rules.reasons import Reason


@dataclass(frozen=True, slots=True)
class CorrectionPreparer(PreCallTransaction):
    """Prepares corrections."""

    sink: AdjustmentSink

    def decide_again(
        self, rows: Sequence[DeliveryRecord], facts: Mapping[LeadId, LeadFacts]
    ) -> Iterator[DeliveryMove | None]:
        """Yield each correction's move: into flight if it is still wanted; None leaves it alone."""
        made = outbox.deliveries_of_leads(self.session, self.ledger.account, facts.keys())
        renamed = starts.current_names_by_old_label(self.session, self.ledger.account)
        for row in rows:
            lead = facts[LeadId(row.lead)]
            if row.state == DeliveryState.IN_DOUBT:
                yield self._replay(row, lead)
            elif row.state == DeliveryState.PENDING:
                yield self._freeze_if_wanted(row, lead, made, renamed)

    def _freeze_if_wanted(
        self, row: DeliveryRecord, lead: LeadFacts, made: DeliveriesOfLeads, renamed: Mapping[str, str]
    ) -> DeliveryMove:
        route = self.routes.get(row.conversion)
        if route is None:
            return DeliveryMove(row, DeliveryState.WITHHELD, Reason.NOT_CONFIGURED)
        if lead.stale:
            return DeliveryMove(row, DeliveryState.WITHHELD, Reason.TO_BE_READ_AGAIN)
        conversion = self.session.get_one(Delivery, row.original)
        before = [each for each in made.corrections_of(conversion) if each.number < row.number]
        sent = sent_conversion(conversion, before)
        wanted = wanted_adjustment(route, lead, sent, renamed=renamed, now=self.now)
        if wanted is None:
            return DeliveryMove(row, DeliveryState.CANCELLED, Reason.STANDS_AGAIN)
        return self._freeze(row, lead, route, sent, wanted)

    def _replay(self, row: DeliveryRecord, lead: LeadFacts) -> DeliveryMove:
        """Replay a correction in doubt with the same bytes, which a platform counts once, if it may be.

        Not if the bytes are damaged, or hold personal data of a lead that was deleted or has withdrawn consent.
        """
        if is_stored_event_damaged(row):
            return DeliveryMove(row, DeliveryState.UNCONFIRMED, Reason.DAMAGED)
        given_up = reason_not_to_resend(lead, self.sink.limits, outbox.target_of(row).transport)
        return move_into_flight(row) if given_up is None else DeliveryMove(row, DeliveryState.UNCONFIRMED, given_up)

    def _freeze(
        self,
        row: DeliveryRecord,
        lead: LeadFacts,
        route: ConversionRoute,
        sent: SentConversion,
        wanted: WantedAdjustment,
    ) -> DeliveryMove:
        """Freeze a correction's bytes, or move it to its current state."""
        if wanted.ruled_out_by is not None:
            return DeliveryMove(row, state_of_blocked_correction(wanted.ruled_out_by), wanted.ruled_out_by)
        if wanted.until is not None:
            row.not_before = wanted.until
            return DeliveryMove(row, DeliveryState.PENDING, Reason.MAY_COME_BACK)
        if (row.kind, row.transport) != (wanted.kind, wanted.transport):
            outbox.flag_for_correction_check(self.session, self.ledger, [row])
            return DeliveryMove(row, DeliveryState.WITHHELD, Reason.TO_BE_READ_AGAIN)
        row.value = wanted.value_text
        row.currency = None if wanted.value is None else route.currency
        correction = self._correction(row, lead, route, sent, wanted.value)
        if isinstance(correction, Reason):
            return DeliveryMove(row, state_of_blocked_correction(correction), correction)
        return self.freeze(row, partial(self.sink.encode_adjustment, correction))

    def _correction(
        self, row: DeliveryRecord, lead: LeadFacts, route: ConversionRoute, sent: SentConversion, value: Decimal | None
    ) -> Adjustment | Reason:
        """The correction to encode, or why it may not be sent."""
        target = outbox.target_of(row)
        event: ConversionEvent | None = None
        if value is not None and route.limits.corrects[target.transport].by_resending:
            anew = restated_conversion_event(route, lead, sent, target=target, value=value)
            if isinstance(anew, Reason):
                return anew
            event = anew
        return Adjustment(
            key=sent.key,
            target=target,
            kind=AdjustmentKind(row.kind),
            at=row.required_time,
            value=None if value is None else Money(value, route.currency),
            event=event,
        )
