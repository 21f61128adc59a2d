"""Decides the state of one conversion of one lead at one destination. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, assert_never

from connectors.records import BARE_CLICK_ID, ClickId, ConversionEvent, DeliveryKey, Money, OutcomeClass
from jobs.rules.adjustment import how_lead_left_stage
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.eligibility import (
    acceptance_window,
    click_id_to_send,
    click_ids_of_other_platforms,
    consent_to_send,
    contact_hashes_to_send,
    is_selected_by_click_ids,
)
from jobs.rules.extraction import NoValueToSend, value_origin, value_to_send
from jobs.rules.model import AHEAD, ConversionRoute, CountingStarts, LeadFacts, StatusTimeOrigin, ValueOrigin
from jobs.rules.reasons import Reason
from jobs.rules.status_changes import StageEntry, first_entry


@dataclass(frozen=True, slots=True)
class NoSuchConversion:
    """No such conversion exists; nothing is stored, `explain` recomputes it."""

    reason: Reason
    detail: str | None = None


class Decision(NamedTuple):
    """The state a conversion should take, and why."""

    state: DeliveryState
    reason: Reason
    entry: StageEntry
    closes_at: datetime | None = None
    """When its window closes; None if it happened before its start."""
    detail: str | None = None
    not_before: datetime | None = None
    """When the wait ends; None if it may be sent now or not at all."""
    held_for: Reason | None = None
    """For an expired conversion, why it would have been withheld; None if it was merely late."""
    event: ConversionEvent | None = None
    """The event to send now, if any."""
    click_estimated: bool | None = None
    value_from: ValueOrigin | None = None
    """Where the event's value comes from."""


def decide(
    route: ConversionRoute,
    lead: LeadFacts,
    starts: CountingStarts,
    key: DeliveryKey,
    *,
    now: datetime,
    entered_after: datetime | None = None,
    counts_from: datetime | None = None,
    assumed_at: datetime | None = None,
) -> Decision | NoSuchConversion:
    """Decide one conversion of one lead at one destination, as of sending it `now`.

    The order of the checks matters: does it apply, did it happen after its start, is its window still open, is its time
    plausible, is there consent, can the person be matched, what is it worth, is it too early, was it undone. A closed
    window takes precedence; whatever else would have withheld the conversion goes into `held_for`.

    Entries count only after `entered_after`, set for a delivery cancelled before. `counts_from` is set for a delivery
    that a human chose to send although it predates its start, and `assumed_at` if they also dated an undated change.
    """
    if not lead_meets_where_conditions(route, lead):
        return NoSuchConversion(Reason.WHERE_DOES_NOT_MATCH)
    if not is_selected_by_click_ids(route, lead):
        return NoSuchConversion(Reason.ANOTHER_WAY)
    others = click_ids_of_other_platforms(route, lead)
    if others:
        return NoSuchConversion(Reason.ANOTHER_PLATFORM, f"only {', '.join(others)}")
    entry = first_entry(route, lead, starts, key, after=entered_after)
    if entry is None:
        return NoSuchConversion(Reason.STAGE_NOT_REACHED)
    if assumed_at is not None and entry.origin is StatusTimeOrigin.BASELINE:
        entry = entry._replace(at=assumed_at, origin=StatusTimeOrigin.ASSUMED)
    skipped = _before_start(entry, starts, counts_from)
    if skipped is not None:
        return Decision(DeliveryState.SKIPPED, skipped, entry)
    decision = _judge(route, lead, key, entry, now)
    left = how_lead_left_stage(route, lead, entry.at, key, starts.renamed)
    if route.undo is None or left is None or not left.is_still_there:
        return decision
    return _adjust_for_lost_lead(decision, left.at + route.undo.after, now)


def _why_unidentified(route: ConversionRoute, lead: LeadFacts) -> tuple[Reason, str | None]:
    """Return why there is nothing to identify a lead by, and what was found instead."""
    if lead.click_id_problem == BARE_CLICK_ID:
        return Reason.BARE_CLICK_ID, None
    return Reason.NO_IDENTIFIER if route.contact_only else Reason.NO_CLICK_ID, lead.click_id_problem


def _judge(route: ConversionRoute, lead: LeadFacts, key: DeliveryKey, entry: StageEntry, now: datetime) -> Decision:
    click = click_id_to_send(route, lead, entry.at)
    identifiers = contact_hashes_to_send(route, lead, click)
    spent = None if click or identifiers else click_id_to_send(route, lead, entry.at, erased=True)
    opens_at, closes_at = acceptance_window(
        route, lead, entry.at, click or spent, by_contact=click is None and bool(identifiers)
    )
    is_late = now > closes_at

    def withhold(reason: Reason, detail: str | None = None) -> Decision:
        withheld = Decision(DeliveryState.WITHHELD, reason, entry, closes_at, detail)
        expired = Decision(DeliveryState.EXPIRED, Reason.WINDOW_CLOSED, entry, closes_at, held_for=reason)
        return expired if is_late else withheld

    def wait(reason: Reason, until: datetime) -> Decision:
        until = max(until, opens_at)
        return Decision(DeliveryState.PENDING, reason, entry, closes_at, not_before=until)

    # A time that was ahead when it was read is believed once it has come; one before the lead's creation never is.
    if entry.implausible and not lead.created_at <= entry.at <= now:
        return withhold(Reason.TIME)
    consent = consent_to_send(route, lead)
    if isinstance(consent, Reason):
        return withhold(consent)
    if not (click or identifiers or (is_late and spent)):
        return withhold(*_why_unidentified(route, lead))
    value = value_to_send(route, lead, entry.at, closes_at, now)
    if isinstance(value, NoValueToSend):
        return withhold(value.reason, value.detail) if value.until is None else wait(value.reason, value.until)
    if is_late:
        return Decision(DeliveryState.EXPIRED, Reason.WINDOW_CLOSED, entry, closes_at)
    if entry.at > now + AHEAD:
        # A date without a time is sent as noon, which may still be ahead.
        return wait(Reason.NOON_AWAITED, entry.at)
    if now < opens_at:
        return wait(Reason.CLICK_TOO_RECENT, opens_at)
    return Decision(
        DeliveryState.PENDING,
        Reason.DUE,
        entry,
        closes_at,
        event=ConversionEvent(
            key=key,
            target=route.target,
            at=entry.at,
            click_id=None if click is None else ClickId(click.kind, click.value, click.clicked_at),
            identifiers=identifiers,
            value=None if value is None else Money(value, route.currency),
            consent=consent,
        ),
        click_estimated=None if click is None else click.estimated,
        value_from=value_origin(route, lead),
    )


def _adjust_for_lost_lead(decision: Decision, until: datetime, now: datetime) -> Decision:
    """Adjust the decision for a lead that was lost since: pending until `until`, in case it returns, then cancelled."""
    if decision.state is DeliveryState.EXPIRED:
        return decision
    if now >= until:
        return Decision(DeliveryState.CANCELLED, Reason.UNDONE, decision.entry, decision.closes_at)
    if decision.state is DeliveryState.WITHHELD:
        # It isn't sent meanwhile anyway, and the reason shows what a human can fix.
        return decision
    reason = Reason.MAY_COME_BACK
    return Decision(DeliveryState.PENDING, reason, decision.entry, decision.closes_at, not_before=until)


def lead_meets_where_conditions(route: ConversionRoute, lead: LeadFacts) -> bool:
    """Return whether the lead meets every `where` condition of the route."""
    return all(lead.where.get(path) in values for condition in route.where for path, values in condition.items())


def _before_start(entry: StageEntry, starts: CountingStarts, counts_from: datetime | None) -> Reason | None:
    start = starts.start_for_label(entry.label)
    if entry.origin is StatusTimeOrigin.BASELINE:
        # An entry undated at first sight is known to be after the start only if something before it is: the lead's
        # creation, or a dated status other than this one.
        return None if entry.after >= start else Reason.BASELINE
    if entry.is_first_sight and entry.after < start and counts_from is None:
        # A webhook that says it once more, or that anybody has sent, dates no change of a lead that nobody had read.
        return Reason.BASELINE
    if counts_from is not None:
        start = min(start, counts_from)
    return Reason.BEFORE_SINCE if entry.at < start else None


class DeliveryStatus(NamedTuple):
    """A delivery's current state and its last settled outcome."""

    state: DeliveryState
    outcome: OutcomeClass | None = None
    mended: bool = False
    """Whether fresh data produce a different event from the rejected one."""
    withdrawn: bool = False
    """Whether the lead's consent for the destination is now withdrawn."""
    deleted: bool = False
    """Whether the lead was deleted in Oplead."""
    was_deleted: bool = False
    """Whether it was cancelled because the lead was deleted."""
    closed: bool = False
    """Whether its window has closed."""
    sent_elsewhere: bool = False
    """Whether a human said the platform already has it by other means."""


def next_delivery_state(standing: DeliveryStatus | None, decision: Decision | NoSuchConversion) -> DeliveryState | None:
    """Return the delivery's next state, possibly the current one; None leaves the delivery alone.

    `standing` is None if there is no delivery yet.
    """
    wanted = None if isinstance(decision, NoSuchConversion) else decision.state
    if standing is None:
        return wanted
    is_anothers = isinstance(decision, NoSuchConversion) and decision.reason is Reason.ANOTHER_PLATFORM
    match standing.state:
        case DeliveryState.SKIPPED:
            if standing.sent_elsewhere or wanted is DeliveryState.CANCELLED:
                return None
            # Moving the start back in the settings revives it, and so does a human who has it sent.
            return DeliveryState.SKIPPED if is_anothers else wanted
        case DeliveryState.PENDING | DeliveryState.WITHHELD:
            # A conversion found to be another platform's isn't lost here: it stays skipped until it gains an id.
            open_or_expired = (
                DeliveryState.SKIPPED if is_anothers else _withhold_instead_of_dropping(wanted, closed=standing.closed)
            )
            # Without consent a withheld delivery isn't sent anyway, and consent may be given again.
            called_off = standing.deleted or (standing.withdrawn and standing.state is DeliveryState.PENDING)
            return (
                DeliveryState.CANCELLED
                if called_off and open_or_expired is not DeliveryState.EXPIRED
                else open_or_expired
            )
        case DeliveryState.REJECTED:
            mended = standing.mended and standing.outcome is OutcomeClass.FIX_DATA
            return DeliveryState.PENDING if mended and wanted is DeliveryState.PENDING else None
        case DeliveryState.CANCELLED:
            # The decision covers only entries later than the cancelled one, unless it was cancelled for a deleted lead.
            if wanted is DeliveryState.PENDING:
                return DeliveryState.PENDING
            return DeliveryState.CANCELLED if standing.was_deleted and standing.withdrawn else None
        case DeliveryState.IN_DOUBT:
            return DeliveryState.UNCONFIRMED if standing.withdrawn else None
        case (
            DeliveryState.IN_FLIGHT
            | DeliveryState.SUBMITTED
            | DeliveryState.ACCEPTED
            | DeliveryState.EXPIRED
            | DeliveryState.UNCONFIRMED
        ):
            return None
    assert_never(standing.state)


def _withhold_instead_of_dropping(wanted: DeliveryState | None, *, closed: bool) -> DeliveryState:
    # Settings that drop an open delivery may be a mistake: withhold it while its window lasts instead of forgetting it.
    if wanted not in (None, DeliveryState.SKIPPED):
        return wanted
    return DeliveryState.EXPIRED if closed else DeliveryState.WITHHELD
