"""Finds corrections that accepted conversions need and starts, postpones or cancels them; sends nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.records import ClickIdKind, DeliveryKey
from jobs.ledger import bulk
from jobs.ledger.leads import leads, starts
from jobs.ledger.outbox import outbox
from jobs.ledger.outbox.outbox import DeliveryMove
from jobs.ledger.schema import Delivery, DeliveryRecord
from jobs.rules.adjustment import (
    AdjustmentCause,
    SentConversion,
    WantedAdjustment,
    reason_not_to_resend,
    resends_personal_data,
    state_of_blocked_correction,
    wanted_adjustment,
)
from jobs.rules.delivery_state import OPEN, DeliveryKind, DeliveryState
from jobs.rules.model import ConversionRoute, LeadFacts
from jobs.rules.reasons import Reason
from jobs.run_context import RunContext

LEADS_AT_ONCE = 200
"""Leads per transaction."""
AFTER = timedelta(seconds=1)
"""Minimum gap between a correction and what it corrects: platforms count whole seconds."""


def plan_adjustments(run: RunContext) -> None:
    """Update the corrections of every lead that was planned, or got an answer, since the last check.

    `plan` comes before it, and flags those whose corrections have expired, too.
    """
    account, now = run.ledger.account, run.now()
    looking = True
    while looking:
        with run.ledger.write_transaction() as session:
            ids = leads.leads_to_correct(session, account, limit=LEADS_AT_ONCE)
            if not ids:
                return
            facts = leads.load_lead_facts(session, account, ids)
            known = outbox.deliveries_of_leads(session, account, ids)
            correcting = _Correcting(run, starts.current_names_by_old_label(session, account), now)
            for lead in ids:
                for delivery in known.conversions.get(lead, []):
                    if delivery.state == DeliveryState.ACCEPTED:
                        correcting.update_corrections_of(facts[lead], delivery, known.corrections_of(delivery))
            outbox.change_delivery_states(session, run.ledger, correcting.moves, now=now)
            leads.mark_corrections_checked(session, account, ids)
        looking = len(ids) == LEADS_AT_ONCE


def sent_conversion(delivery: Delivery, made: Sequence[Delivery]) -> SentConversion:
    """Return what a platform has of an accepted delivery, after the corrections it accepted or may have."""
    worth = None if delivery.value is None else Decimal(delivery.value)
    taken_back = retracted = False
    for each in made:
        if each.state not in (DeliveryState.ACCEPTED, DeliveryState.UNCONFIRMED):
            continue
        taken_back = each.cause == AdjustmentCause.UNDONE
        retracted = retracted or each.kind == DeliveryKind.RETRACTION
        worth = worth if each.value is None else Decimal(each.value)
    return SentConversion(
        key=DeliveryKey(delivery.key),
        transport=delivery.transport or "",
        at=delivery.required_time,
        worth=worth,
        worth_at_first=None if delivery.value is None else Decimal(delivery.value),
        click=None if delivery.click_id_kind is None else ClickIdKind(delivery.click_id_kind),
        is_taken_back=taken_back,
        is_retracted=retracted,
    )


@dataclass(frozen=True, slots=True)
class _Correcting:
    """One transaction's updates of corrections."""

    run: RunContext
    renamed: Mapping[str, str]
    now: datetime
    moves: list[DeliveryMove] = field(default_factory=list)

    def update_corrections_of(self, lead: LeadFacts, delivery: Delivery, made: Sequence[Delivery]) -> None:
        """Update the corrections of one accepted delivery."""
        route = self.run.book.find_conversion_route(delivery.conversion, delivery.destination)
        last = made[-1] if made else None
        waiting = last if last is not None and last.state in OPEN else None
        if last is not None and last.state in outbox.UNSETTLED - OPEN:
            self._give_up(last, lead, route)
            return
        if route is None:
            if waiting is not None:
                self._move(waiting, DeliveryState.WITHHELD, Reason.NOT_CONFIGURED)
            return
        if lead.reused or lead.stale:
            # Facts extracted under older settings decide nothing, nor does another lead that has the id now.
            self._hold_of_former_lead(lead, waiting)
            return
        wanted = wanted_adjustment(route, lead, sent_conversion(delivery, made), renamed=self.renamed, now=self.now)
        if lead.deleted and wanted is not None and resends_personal_data(route.limits, wanted.transport):
            if waiting is not None:
                self._move(waiting, DeliveryState.CANCELLED, Reason.LEAD_DELETED)
        elif wanted is None:
            if waiting is not None:
                self._move(waiting, DeliveryState.CANCELLED, Reason.STANDS_AGAIN)
        elif waiting is not None:
            self._update_correction_row(waiting, wanted, route, delivery, made[:-1])
        else:
            self._begin(wanted, route, delivery, made)

    def _hold_of_former_lead(self, lead: LeadFacts, waiting: Delivery | None) -> None:
        """Hold a correction that waits to see whether its lead comes back, whose id another lead has now.

        Nobody will read that any more. What was due before is the former lead's own, and goes out.
        """
        if waiting is None or not lead.reused:
            return
        if waiting.expires_at is not None and waiting.expires_at < self.now:
            self._move(waiting, DeliveryState.EXPIRED, Reason.TOO_LATE_TO_CORRECT)
        elif waiting.reason == Reason.MAY_COME_BACK:
            self._move(waiting, DeliveryState.WITHHELD, Reason.REUSED_ID)

    def _give_up(self, out: Delivery, lead: LeadFacts, route: ConversionRoute | None) -> None:
        """Stop replaying a lost correction whose bytes describe a person who withdrew consent or was deleted."""
        if route is None or out.state != DeliveryState.IN_DOUBT:
            return
        if (over := reason_not_to_resend(lead, route.limits, outbox.target_of(out).transport)) is not None:
            self._move(out, DeliveryState.UNCONFIRMED, over)

    def _begin(
        self, wanted: WantedAdjustment, route: ConversionRoute, delivery: Delivery, made: Sequence[Delivery]
    ) -> None:
        last = made[-1] if made else None
        if last is not None and _is_same(last, wanted) and last.state != DeliveryState.CANCELLED:
            if last.state == DeliveryState.SKIPPED and wanted.ruled_out_by is None:
                # The settings now provide a way to send it.
                self._update_correction_row(last, wanted, route, delivery, made[:-1])
            return
        begun = bulk.new_record(
            DeliveryRecord,
            account=delivery.account,
            lead=delivery.lead,
            conversion=delivery.conversion,
            destination=delivery.destination,
            occurrence=delivery.occurrence,
            original=delivery.id,
            number=len(made) + 1,
            key=delivery.key,
            kind=wanted.kind,
            cause=wanted.cause,
            at=wanted.at,
            transport=wanted.transport,
            owner=delivery.owner,
            action=delivery.action,
            source=delivery.source,
        )
        self._update_correction_row(begun, wanted, route, delivery, made)

    def _update_correction_row(
        self,
        row: DeliveryRecord,
        wanted: WantedAdjustment,
        route: ConversionRoute,
        delivery: Delivery,
        before: Sequence[Delivery],
    ) -> None:
        """Update an unsent correction to the wanted one, and set its state accordingly."""
        sent = [at for at in (delivery.at, *(each.at for each in before if each.event_sha256)) if at is not None]
        row.kind, row.cause, row.transport = wanted.kind, wanted.cause, wanted.transport
        row.at = max(wanted.at, *(at + AFTER for at in sent))
        row.value = wanted.value_text
        row.currency = None if wanted.value is None else route.currency
        row.not_before, row.expires_at = wanted.until, wanted.closes_at
        if wanted.ruled_out_by is None:
            self._move(row, DeliveryState.PENDING, Reason.DUE if wanted.until is None else Reason.MAY_COME_BACK)
            return
        state = state_of_blocked_correction(wanted.ruled_out_by)
        # A correction that was never open is kept only so that it can be explained.
        never_waited = state is DeliveryState.WITHHELD and row.state not in OPEN
        self._move(row, DeliveryState.SKIPPED if never_waited else state, wanted.ruled_out_by)

    def _move(self, row: DeliveryRecord, to: DeliveryState, cause: Reason) -> None:
        self.moves.append(DeliveryMove(row, to, cause))


def _is_same(row: Delivery, wanted: WantedAdjustment) -> bool:
    """Whether a settled correction already is the wanted one, so that it isn't repeated forever."""
    same = (row.kind, row.cause, row.value) == (wanted.kind, wanted.cause, wanted.value_text)
    return same and (wanted.cause is not AdjustmentCause.UNDONE or row.required_time >= wanted.at)
