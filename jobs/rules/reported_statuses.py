"""What became of the statuses that webhooks reported of a lead and that it did not enter, as far as is known. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from connectors.records import LeadId
from jobs.rules.labels import APPOINTMENT_SET
from jobs.rules.model import LeadFacts, StatusEntered
from jobs.rules.webhook_confirmation import WebhookRules, latest_change_label, refuting_reading
from jobs.rules.webhook_history import StatusEntryWebhook, WebhookHistory


class ReportStanding(StrEnum):
    """Where a status stands that only a webhook reported."""

    HELD = "held"
    REFUTED = "refuted"
    LAPSED = "lapsed"


class UnconfirmedReport(NamedTuple):
    """A stage's status, or an appointment, that a webhook reported and no reading has shown."""

    label: str
    received_at: datetime
    standing: ReportStanding
    at: datetime
    """When it lapses or lapsed, or when the reading was that refuted it."""


class HeldReport(NamedTuple):
    """What a lead is reported to have reached and is not known to."""

    lead: LeadId
    label: str
    received_at: datetime
    lapses_at: datetime


def unconfirmed_reports(
    lead: LeadFacts, webhooks: WebhookHistory, rules: WebhookRules, now: datetime
) -> Iterator[UnconfirmedReport]:
    """Yield the latest report of each label of a stage that the lead did not enter since; none of one that is gone.

    Where no reading shows appointments, events about them only have the lead read.
    """
    if lead.deleted or lead.reused or lead.excluded:
        return
    changes = [change for change in lead.changes if change.label != APPOINTMENT_SET]
    has_appointment = len(changes) < len(lead.changes)
    appointments = webhooks.appointments if rules.reads_appointments and not has_appointment else ()
    latest = {
        event.label: event
        for event in sorted((*webhooks.entries, *appointments), key=lambda event: event.received_at)
        if event.label in rules.order.places and not _is_on_record(event, changes)
    }
    for event in latest.values():
        lapses_at = event.received_at + rules.confirm_within
        if refuted_at := _refuting_reading(event, changes, lead):
            yield UnconfirmedReport(event.label, event.received_at, ReportStanding.REFUTED, refuted_at)
        else:
            standing = ReportStanding.HELD if now < lapses_at else ReportStanding.LAPSED
            yield UnconfirmedReport(event.label, event.received_at, standing, lapses_at)


def _is_on_record(event: StatusEntryWebhook, changes: Sequence[StatusEntered]) -> bool:
    """Whether the lead was seen in the status at or after the time reported, or was in it then."""
    if latest_change_label(changes, until=event.time.at) == event.label:
        return True
    return any(change.label == event.label and change.seen_at >= event.time.at for change in changes)


def _refuting_reading(event: StatusEntryWebhook, changes: Sequence[StatusEntered], lead: LeadFacts) -> datetime | None:
    if event.label == APPOINTMENT_SET:
        return lead.seen_at if lead.seen_at >= event.received_at else None
    return refuting_reading(event, changes, lead.seen_at)
