"""What a lead's webhooks say about it: the statuses it entered, and when its appointment was set. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connectors.crm import EventKind, ReceivedEvent
from jobs.rules.model import AHEAD, normalise_label


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
    arrived: datetime
    """Its time for a reading by whose clock its own lay ahead."""


@dataclass(frozen=True, slots=True)
class WebhookHistory:
    """A lead's history as webhooks tell it, which may lack any of its changes; oldest first."""

    entries: tuple[StatusEntryWebhook, ...] = ()
    repeats: tuple[StatusEntryWebhook, ...] = ()
    """Bodies without an id or a time that came before: a late redelivery, or the lead's return to that status. Only a
    reading of the lead can tell which."""
    appointment_set: EventTime | None = None
    """When a webhook first reported an appointment."""
    appointment_seen: EventTime | None = None
    """When a webhook about something else first showed that the lead has one."""


NO_WEBHOOKS = WebhookHistory()


def webhook_history(
    received: Sequence[ReceivedEvent], created_at: datetime, zone: ZoneInfo, *, read_at: datetime
) -> WebhookHistory:
    """Return what a lead's events, in the order of arrival, say about it to a reading at `read_at`.

    Only an event about a status change tells when the lead entered its status: any other event shows a status that the
    lead may have had for long. An event about an appointment that names no date calls one off.
    """
    entries: list[StatusEntryWebhook] = []
    repeats: list[StatusEntryWebhook] = []
    set_at: list[EventTime] = []
    seen_at: list[EventTime] = []
    for one, is_repeat in _with_repeats(received):
        arrived = max(one.received_at, created_at)
        time_of_event = _own_time(one, created_at, zone, read_at) or EventTime(arrived)
        if one.event.kind is EventKind.STATUS_CHANGE and one.event.label:
            label = normalise_label(one.event.label)
            (repeats if is_repeat else entries).append(StatusEntryWebhook(time_of_event, label, arrived))
        if one.event.kind is not None and one.event.appointment_at is not None:
            (set_at if one.event.kind is EventKind.APPOINTMENT else seen_at).append(time_of_event)
    return WebhookHistory(
        tuple(sorted(entries, key=lambda event: event.time)),
        tuple(sorted(repeats, key=lambda event: event.time)),
        min(set_at, default=None),
        min(seen_at, default=None),
    )


def _with_repeats(received: Sequence[ReceivedEvent]) -> Iterator[tuple[ReceivedEvent, bool]]:
    """Yield each event, and whether an earlier one had the same body and neither has an id or a time."""
    seen: set[str] = set()
    for one in received:
        yield one, not one.is_unique and one.digest in seen
        seen.add(one.digest)


def _own_time(received: ReceivedEvent, created_at: datetime, zone: ZoneInfo, read_at: datetime) -> EventTime | None:
    """Return the time that an event tells, if that can be true; None otherwise, and where its arrival says more.

    An event cannot happen before its lead's creation. If the receiver's clock says that it arrived before it happened,
    that clock is slow; but nothing happens after the reading. A day says less than an arrival on it.
    """
    if received.event.at is None:
        return None
    own, latest = received.event.at.at, max(received.received_at, read_at) + AHEAD
    if isinstance(own, datetime):
        return EventTime(own.astimezone(UTC)) if created_at <= own <= latest else None
    created_on, arrived_on, latest_day = (
        one.astimezone(zone).date() for one in (created_at, received.received_at, latest)
    )
    if own == arrived_on or not created_on <= own <= latest_day:
        return None
    return EventTime(datetime.combine(own, time(), zone).astimezone(UTC), date_only=True)
