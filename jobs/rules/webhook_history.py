"""What a lead's webhooks say about it: the statuses it entered, and when its appointment was set. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connectors.crm import CrmEventKind, ReceivedEvent
from jobs.rules.labels import APPOINTMENT_SET, normalise_label
from jobs.rules.model import AHEAD


class EventTime(NamedTuple):
    """When an event happened."""

    at: datetime
    """Midnight in the account's zone when only the day is known."""
    date_only: bool = False


class StatusEntryWebhook(NamedTuple):
    """A webhook about a lead's entry into a status."""

    time: EventTime
    label: str
    """Normalised."""
    received_at: datetime
    """When it arrived, by the receiver's clock."""


@dataclass(frozen=True, slots=True)
class WebhookHistory:
    """A lead's history as webhooks tell it, which may lack any of its changes; oldest first."""

    entries: tuple[StatusEntryWebhook, ...] = ()
    repeats: tuple[StatusEntryWebhook, ...] = ()
    """Bodies without an id or a time that came before: a late redelivery, or the lead's return to that status. Only a
    reading of the lead can tell which."""
    appointments: tuple[StatusEntryWebhook, ...] = ()
    """Webhooks about an appointment that was set, each under its built-in label."""
    appointment_seen: EventTime | None = None
    """When a webhook about something else first showed that the lead has one."""

    @property
    def appointment_set(self) -> EventTime | None:
        """When a webhook first reported an appointment."""
        return min((event.time for event in self.appointments), default=None)

    def called_as(self, labels: Mapping[str, str]) -> "WebhookHistory":
        """Return it with each status that webhooks tell by another name, such as a code, called by its label."""
        entries, repeats = (
            tuple(event._replace(label=labels.get(event.label, event.label)) for event in events)
            for events in (self.entries, self.repeats)
        )
        return replace(self, entries=entries, repeats=repeats)


NO_WEBHOOKS = WebhookHistory()


def lead_history_from_webhooks(
    received: Sequence[ReceivedEvent], created_at: datetime, zone: ZoneInfo
) -> WebhookHistory:
    """Return what a lead's events, in the order of arrival, say about it, whenever it is read.

    Only an event about a status change tells when the lead entered its status: any other event shows a status that the
    lead may have had for long. An event about an appointment that names no date calls one off.
    """
    entries: list[StatusEntryWebhook] = []
    repeats: list[StatusEntryWebhook] = []
    set_at: list[StatusEntryWebhook] = []
    seen_at: list[EventTime] = []
    for one, is_repeat in _mark_repeated_events(received):
        time_of_event = _plausible_event_time(one, created_at, zone) or EventTime(max(one.received_at, created_at))
        if one.event.kind is CrmEventKind.STATUS_CHANGE and one.event.label:
            label = normalise_label(one.event.label)
            (repeats if is_repeat else entries).append(StatusEntryWebhook(time_of_event, label, one.received_at))
        if one.event.kind is not None and one.event.appointment_at is not None:
            if one.event.kind is CrmEventKind.APPOINTMENT:
                set_at.append(StatusEntryWebhook(time_of_event, APPOINTMENT_SET, one.received_at))
            else:
                seen_at.append(time_of_event)
    return WebhookHistory(
        tuple(sorted(entries, key=lambda event: event.time)),
        tuple(sorted(repeats, key=lambda event: event.time)),
        tuple(set_at),
        min(seen_at, default=None),
    )


def _mark_repeated_events(received: Sequence[ReceivedEvent]) -> Iterator[tuple[ReceivedEvent, bool]]:
    """Yield each event, and whether an earlier one had the same body and neither has an id or a time."""
    seen: set[str] = set()
    for one in received:
        yield one, not one.is_unique and one.digest in seen
        seen.add(one.digest)


def _plausible_event_time(received: ReceivedEvent, created_at: datetime, zone: ZoneInfo) -> EventTime | None:
    """Return the time that an event tells, if that can be true; None otherwise, and where its arrival says more.

    An event cannot happen before its lead's creation or after its arrival, and a day says less than an arrival on it.
    """
    if received.event.at is None:
        return None
    own = received.event.at.at
    if isinstance(own, datetime):
        return EventTime(own.astimezone(UTC)) if created_at <= own <= received.received_at + AHEAD else None
    created_on, arrived_on = (one.astimezone(zone).date() for one in (created_at, received.received_at))
    if not created_on <= own < arrived_on:
        return None
    return EventTime(datetime.combine(own, time(), zone).astimezone(UTC), date_only=True)
