"""Whether an accepted conversion must be retracted or restated. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from connectors.records import (
    AdjustmentKind,
    ClickId,
    ClickIdKind,
    ConversionEvent,
    CorrectionSupport,
    DeliveryKey,
    Money,
    SinkLimits,
    Target,
)
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.eligibility import click_id_to_send, consent_is_withdrawn, consent_to_send, contact_hashes_to_send
from jobs.rules.labels import APPOINTMENT_SET
from jobs.rules.model import ConversionRoute, LeadFacts, StatusTimeOrigin
from jobs.rules.reasons import Reason
from jobs.rules.status_changes import in_chronological_order


@dataclass(frozen=True, slots=True)
class MoveToUndoingStage:
    """A lead that moved from the conversion's stage to one that undoes it."""

    at: datetime
    """When it first moved there since it was last in the conversion's stage."""
    is_still_there: bool
    """Whether it is still in such a stage."""


def how_lead_left_stage(
    route: ConversionRoute, lead: LeadFacts, at: datetime, key: DeliveryKey, renamed: Mapping[str, str]
) -> MoveToUndoingStage | None:
    """Return how the lead left the stage after a conversion that happened `at`; None if the conversion stands.

    Only an undoing stage undoes the conversion, and only the conversion's own stage restores it; any other stage
    changes nothing. `renamed` maps old labels to new ones.
    """
    if route.undo is None:
        return None
    undoing, own = _with_old_names(route.undo.labels, renamed), _with_old_names(route.labels, renamed)
    found: MoveToUndoingStage | None = None
    has_entered = False
    for when, change in in_chronological_order(route, lead, key):
        if when < at or change.origin is StatusTimeOrigin.RELABEL or change.label == APPOINTMENT_SET:
            continue
        if change.label in own:
            found, has_entered = None, True
        elif change.label in undoing and (has_entered or when > at):
            found = MoveToUndoingStage(when if found is None else found.at, is_still_there=True)
        elif found is not None:
            found = MoveToUndoingStage(found.at, is_still_there=False)
    return found


def _with_old_names(labels: Collection[str], renamed: Mapping[str, str]) -> frozenset[str]:
    return frozenset(labels) | {old for old, new in renamed.items() if new in labels}


class AdjustmentCause(StrEnum):
    """Why a conversion is corrected."""

    UNDONE = "undone"
    """Its lead moved to a stage that undoes it, and stayed there."""
    VALUE_CHANGED = "value_changed"
    WON_AGAIN = "won_again"
    """Its lead came back after the conversion had been restated to zero."""


@dataclass(frozen=True, slots=True)
class SentConversion:
    """What a platform has received for one conversion, corrections included."""

    key: DeliveryKey
    transport: str
    """The conversion's own transport."""
    at: datetime
    """When it happened, as sent."""
    worth: Decimal | None
    """The last value sent; None if it carried none."""
    worth_at_first: Decimal | None = None
    """The value it was sent with."""
    click: ClickIdKind | None = None
    """Kind of click id it was matched by; None if it was matched by contact data."""
    is_taken_back: bool = False
    """Whether it was retracted, or restated to zero because it was undone."""
    is_retracted: bool = False


@dataclass(frozen=True, slots=True)
class WantedAdjustment:
    """A correction that should be made."""

    kind: AdjustmentKind
    cause: AdjustmentCause
    value: Decimal | None
    """The new total; None for a retraction."""
    transport: str
    at: datetime
    """When the reason for it happened or was seen."""
    until: datetime | None = None
    """Not made before then; None makes it at once."""
    closes_at: datetime | None = None
    """The last moment it can be made."""
    ruled_out_by: Reason | None = None
    """Why it can't be made at all."""

    @property
    def value_text(self) -> str | None:
        """The new total in the ledger's format."""
        return None if self.value is None else f"{self.value:.2f}"


def wanted_adjustment(
    route: ConversionRoute, lead: LeadFacts, sent: SentConversion, *, renamed: Mapping[str, str], now: datetime
) -> WantedAdjustment | None:
    """Return the correction a lead's latest state requires; None if what the platform has is right.

    `route` is the conversion under the current settings; `renamed` maps old labels to new ones.
    """
    left = how_lead_left_stage(route, lead, sent.at, sent.key, renamed)
    if left is not None:
        return (
            None if sent.is_taken_back or not left.is_still_there else _adjustment_for_undo(route, sent, left.at, now)
        )
    if sent.is_retracted:
        # A retracted conversion is sent again as a new occurrence, not corrected.
        return None
    return _adjustment_for_changed_value(route, lead, sent, now)


def _adjustment_for_undo(
    route: ConversionRoute, sent: SentConversion, at: datetime, now: datetime
) -> WantedAdjustment | None:
    if route.undo is None:
        return None
    transport = route.undo.via or sent.transport
    can, until = _correction_support(route, sent, transport), at + route.undo.after
    restates = can is not None and AdjustmentKind.RETRACTION not in can.kinds
    return WantedAdjustment(
        kind=AdjustmentKind.RESTATEMENT if restates else AdjustmentKind.RETRACTION,
        cause=AdjustmentCause.UNDONE,
        value=Decimal(0) if restates else None,
        transport=transport,
        at=at,
        until=until if until > now else None,
        closes_at=None if can is None else sent.at + can.within,
        ruled_out_by=Reason.NOT_UNDOABLE if can is None else _too_late(can, sent, now),
    )


def _adjustment_for_changed_value(
    route: ConversionRoute, lead: LeadFacts, sent: SentConversion, now: datetime
) -> WantedAdjustment | None:
    can = _correction_support(route, sent, sent.transport)
    value = _value_to_restate(route, lead, sent)
    if can is None or AdjustmentKind.RESTATEMENT not in can.kinds or value is None or value == sent.worth:
        return None
    return WantedAdjustment(
        kind=AdjustmentKind.RESTATEMENT,
        cause=AdjustmentCause.WON_AGAIN if sent.is_taken_back else AdjustmentCause.VALUE_CHANGED,
        value=value,
        transport=sent.transport,
        at=now,
        closes_at=sent.at + can.within,
        ruled_out_by=_too_late(can, sent, now),
    )


def _too_late(can: CorrectionSupport, sent: SentConversion, now: datetime) -> Reason | None:
    return Reason.TOO_LATE_TO_CORRECT if now > sent.at + can.within else None


def _correction_support(route: ConversionRoute, sent: SentConversion, transport: str) -> CorrectionSupport | None:
    """What a transport can correct in this conversion; None if nothing."""
    can = route.limits.corrects.get(transport)
    return None if can is None or sent.click in can.except_by else can


def _value_to_restate(route: ConversionRoute, lead: LeadFacts, sent: SentConversion) -> Decimal | None:
    """The value to restate to, if any; an unreadable amount changes nothing."""
    field = route.field_value
    if field is None:
        # A later estimate is about later leads.
        without_field = route.fixed_value if route.expected_value is None else sent.worth_at_first
        return without_field if sent.is_taken_back else None
    amount = lead.amounts.get(field.path)
    if not isinstance(amount, Decimal):
        return field.otherwise if sent.is_taken_back and amount is None else None
    if sent.is_taken_back:
        return amount
    above = field.restate_above
    if above is None or (sent.worth and abs(amount - sent.worth) <= sent.worth * above):
        return None
    return amount


def state_of_blocked_correction(reason: Reason) -> DeliveryState:
    """Return the state of a correction that may not be sent for `reason`."""
    return {Reason.TOO_LATE_TO_CORRECT: DeliveryState.EXPIRED, Reason.LEAD_DELETED: DeliveryState.CANCELLED}.get(
        reason, DeliveryState.WITHHELD
    )


def resends_personal_data(limits: SinkLimits, transport: str) -> bool:
    """Return whether a correction by this transport resends the whole conversion, personal data included."""
    can = limits.corrects.get(transport)
    return can is not None and can.by_resending


def reason_not_to_resend(lead: LeadFacts, limits: SinkLimits, transport: str) -> Reason | None:
    """Return why a correction that resends personal data may no longer be sent; None if it may."""
    if not resends_personal_data(limits, transport):
        return None
    if consent_is_withdrawn(lead, needs_personalization=limits.needs_personalization):
        return Reason.CONSENT_WITHDRAWN
    return Reason.LEAD_DELETED if lead.deleted else None


def restated_conversion_event(
    route: ConversionRoute, lead: LeadFacts, sent: SentConversion, *, target: Target, value: Decimal
) -> ConversionEvent | Reason:
    """Return the whole conversion with a new value, for platforms that correct by resending; or why it may not be sent.

    It carries personal data, so consent is checked as for a conversion. The click window isn't: it limits when the
    conversion happened, not when it is corrected.
    """
    if lead.stale:
        return Reason.TO_BE_READ_AGAIN
    if lead.deleted:
        return Reason.LEAD_DELETED
    if lead.excluded:
        return Reason.EXCLUDED
    consent = consent_to_send(route, lead)
    if isinstance(consent, Reason):
        return consent
    click = click_id_to_send(route, lead, sent.at)
    identifiers = contact_hashes_to_send(route, lead, click)
    if click is None and not identifiers:
        return Reason.NO_IDENTIFIER
    return ConversionEvent(
        key=sent.key,
        target=target,
        at=sent.at,
        click_id=None if click is None else ClickId(click.kind, click.value, click.clicked_at),
        identifiers=identifiers,
        value=Money(value, route.currency),
        consent=consent,
    )
