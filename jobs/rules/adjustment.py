"""Whether an accepted conversion must be corrected: undone, or restated with another value. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from connectors.records import (
    AdjustmentKind,
    ClickId,
    ClickIdKind,
    Correction,
    DeliveryKey,
    Event,
    Limits,
    Money,
    Target,
)
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.eligibility import click_for, consent_is_withdrawn, consent_to_send, identifiers_for
from jobs.rules.model import LeadFacts, Origin, Route
from jobs.rules.reasons import Reason
from jobs.rules.status_changes import in_order


@dataclass(frozen=True, slots=True)
class LeftStage:
    """A lead that went on from the conversion's stage to one that takes it back."""

    at: datetime
    """When it first did so, not having come back since."""
    is_still_there: bool
    """Whether it stays in such a stage."""


def left_stage(
    route: Route, lead: LeadFacts, at: datetime, key: DeliveryKey, renamed: Mapping[str, str]
) -> LeftStage | None:
    """Where the lead went after a conversion that happened `at`; None where that stands.

    Only a stage that takes it back undoes it, and only its own stage makes up for that: a lead that is neither here
    nor there leaves things as they are.

    Args:
        route: the conversion, and what takes it back.
        lead: its status changes.
        at: when the conversion happened.
        key: the delivery's key, which places days without a time.
        renamed: what renamed statuses are called now, by their old names.
    """
    if route.undo is None:
        return None
    undoing, own = _with_old_names(route.undo.labels, renamed), _with_old_names(route.labels, renamed)
    found: LeftStage | None = None
    has_entered = False
    for when, change in in_order(route, lead, key):
        if when < at or change.origin is Origin.RELABEL:
            continue
        if change.label in own:
            found, has_entered = None, True
        elif change.label in undoing and (has_entered or when > at):
            found = LeftStage(when if found is None else found.at, is_still_there=True)
        elif found is not None:
            found = LeftStage(found.at, is_still_there=False)
    return found


def _with_old_names(labels: Collection[str], renamed: Mapping[str, str]) -> frozenset[str]:
    return frozenset(labels) | {old for old, new in renamed.items() if new in labels}


class AdjustmentCause(StrEnum):
    """Why a conversion is corrected."""

    UNDONE = "undone"
    """Its lead went on to a stage that takes it back, and stayed there."""
    VALUE_CHANGED = "value_changed"
    WON_AGAIN = "won_again"
    """Its lead came back, and what was made worth nothing is worth something again."""


@dataclass(frozen=True, slots=True)
class SentConversion:
    """What a platform was told of one conversion, corrections included."""

    key: DeliveryKey
    transport: str
    """How the conversion was carried."""
    at: datetime
    """When it happened, as it was told."""
    worth: Decimal | None
    """Its last value; None where it carried none."""
    click: ClickIdKind | None = None
    """The click id it was counted by; None where that was contact data."""
    is_taken_back: bool = False
    """Whether it was retracted, or made worth nothing because it was undone."""
    is_retracted: bool = False


@dataclass(frozen=True, slots=True)
class WantedAdjustment:
    """A correction that should be made."""

    kind: AdjustmentKind
    cause: AdjustmentCause
    value: Decimal | None
    """The new total; None for a retraction."""
    transport: str
    """What carries it."""
    at: datetime
    """When what it tells of happened, or was seen."""
    until: datetime | None = None
    """It is not made before then; None makes it at once."""
    closes_at: datetime | None = None
    """It cannot be made after this."""
    ruled_out_by: Reason | None = None
    """Why it cannot be made at all."""

    @property
    def value_text(self) -> str | None:
        """The new total as the ledger has it."""
        return None if self.value is None else f"{self.value:.2f}"


def wanted_adjustment(
    route: Route, lead: LeadFacts, sent: SentConversion, *, renamed: Mapping[str, str], now: datetime
) -> WantedAdjustment | None:
    """The correction that what became of a lead asks for; None where the platform's word stands.

    Args:
        route: the conversion at its destination, as the settings have it now.
        lead: what is known of the lead.
        sent: what the platform was told.
        renamed: what renamed statuses are called now, by their old names.
        now: the present instant.
    """
    deleted = left_stage(route, lead, sent.at, sent.key, renamed)
    if deleted is not None:
        return None if sent.is_taken_back or not deleted.is_still_there else _undoing(route, sent, deleted.at, now)
    if sent.is_retracted:
        # What was taken back whole is told anew, as a conversion of its own.
        return None
    return _restating(route, lead, sent, now)


def _undoing(route: Route, sent: SentConversion, at: datetime, now: datetime) -> WantedAdjustment | None:
    if route.undo is None:
        return None
    transport = route.undo.via or sent.transport
    can, until = _correction(route, sent, transport), at + route.undo.after
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


def _restating(route: Route, lead: LeadFacts, sent: SentConversion, now: datetime) -> WantedAdjustment | None:
    can = _correction(route, sent, sent.transport)
    value = _worth_now(route, lead, sent)
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


def _too_late(can: Correction, sent: SentConversion, now: datetime) -> Reason | None:
    return Reason.TOO_LATE_TO_CORRECT if now > sent.at + can.within else None


def _correction(route: Route, sent: SentConversion, transport: str) -> Correction | None:
    """What a transport can correct of a conversion; None where it cannot."""
    can = route.limits.corrects.get(transport)
    return None if can is None or sent.click in can.except_by else can


def _worth_now(route: Route, lead: LeadFacts, sent: SentConversion) -> Decimal | None:
    """What the conversion is worth by now, where that is to be told; an amount nobody can read changes nothing."""
    field = route.field_value
    if field is None:
        return route.fixed_value if sent.is_taken_back else None
    amount = lead.amounts.get(field.path)
    if not isinstance(amount, Decimal):
        return field.otherwise if sent.is_taken_back and amount is None else None
    if sent.is_taken_back:
        return amount
    above = field.restate_above
    if above is None or (sent.worth and abs(amount - sent.worth) <= sent.worth * above):
        return None
    return amount


def state_of(reason: Reason) -> DeliveryState:
    """Where a correction stands that may not go out for a reason."""
    return {Reason.TOO_LATE_TO_CORRECT: DeliveryState.EXPIRED, Reason.LEAD_DELETED: DeliveryState.CANCELLED}.get(
        reason, DeliveryState.WITHHELD
    )


def tells_of_person(limits: Limits, transport: str) -> bool:
    """Whether a correction by this way carries the whole conversion once more, and with it who it was."""
    can = limits.corrects.get(transport)
    return can is not None and can.by_resending


def no_more_of(lead: LeadFacts, limits: Limits, transport: str) -> Reason | None:
    """Why a correction by this way, if it tells of the person, may not go out any more; None where it may."""
    if not tells_of_person(limits, transport):
        return None
    if consent_is_withdrawn(lead, needs_personalization=limits.needs_personalization):
        return Reason.CONSENT_WITHDRAWN
    return Reason.LEAD_DELETED if lead.deleted else None


def event_anew(
    route: Route, lead: LeadFacts, sent: SentConversion, *, target: Target, value: Decimal
) -> Event | Reason:
    """The whole conversion with another value, for a platform that corrects by it; or why it may not go out.

    It carries what tells the person, so it is judged by consent as a conversion is. Not by the click's window, which
    ends at the conversion and not at what is said of it later.
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
    click = click_for(route, lead, sent.at)
    identifiers = identifiers_for(route, lead, click)
    if click is None and not identifiers:
        return Reason.NO_IDENTIFIER
    return Event(
        key=sent.key,
        target=target,
        at=sent.at,
        click_id=None if click is None else ClickId(click.kind, click.value, click.clicked_at),
        identifiers=identifiers,
        value=Money(value, route.currency),
        consent=consent,
    )
