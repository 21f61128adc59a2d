"""Webhooks: who asked to hear of what, and the events that changed leads make."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from connectors.sandbox.oplead.bodies import require_valid_webhook_address
from connectors.sandbox.oplead.gate import CallerRole, RefusedError
from connectors.sandbox.oplead.leads.rendering import Fields, paris_wall_time, parse_lead_time

CREATED: Final = "lead.created"
STATUS_CHANGED: Final = "lead.status_changed"
APPOINTMENT_UPDATED: Final = "lead.appointment_updated"
EVENTS: Final = (CREATED, STATUS_CHANGED, APPOINTMENT_UPDATED)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One address that hears of one kind of event, as far as its subscriber may see the lead."""

    id: str
    event: str
    url: str = field(repr=False)
    owner: str

    @property
    def subscription_json(self) -> dict[str, object]:
        """Return what the API shows of it."""
        return {"id": self.id, "event": self.event, "url": self.url}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a lead."""

    name: str
    at: datetime
    lead_id: str
    lead: Fields = field(repr=False)
    """The lead as it was then, untranslated."""


@dataclass(frozen=True, slots=True)
class KnownLeadState:
    """What was known of a lead when its events were last collected."""

    label: object
    entries: int
    """How long its history was."""
    appointment: object = None


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One event on its way to one address."""

    event_id: str
    event: str
    at: str
    """An aware ISO 8601 time."""
    lead: Fields = field(repr=False)
    url: str = field(repr=False)
    attempts: int = 0
    tried_at: str | None = None
    """The last attempt, an aware ISO 8601 time."""


class Subscriptions:
    """The subscriptions, and the events waiting to be delivered. Its caller holds a lock."""

    def __init__(self) -> None:
        self.all: dict[str, Subscription] = {}
        self.waiting: dict[int, WebhookDelivery] = {}
        """By number, in order of queueing."""
        self._seen: dict[str, KnownLeadState] | None = None
        """By lead; None while nobody listens."""
        self._given = 0
        """How many numbers were given out, to subscriptions, events and deliveries."""

    def add(self, event: object, url: object, owner: CallerRole) -> Subscription:
        """Subscribe an address to a kind of event, even a second time."""
        if event not in EVENTS:
            raise RefusedError(422, f"event is one of {', '.join(EVENTS)}")
        require_valid_webhook_address(url)
        subscription = Subscription(f"S-{self._next()}", str(event), str(url), owner)
        self.all[subscription.id] = subscription
        return subscription

    def subscriptions_of_caller(self, caller: CallerRole) -> list[Subscription]:
        """Return the caller's own subscriptions, all of them for the admin."""
        return [each for each in self.all.values() if caller in (CallerRole.ADMIN, each.owner)]

    def start_watching_leads(self, leads: Callable[[], Mapping[str, object]]) -> None:
        """Take these leads as known from now on, if nobody listened before."""
        if self._seen is None:
            self._seen = {
                lead_id: snapshot_lead_state(lead) for lead_id, lead in leads().items() if isinstance(lead, Mapping)
            }

    def mark_leads_as_known(self, leads: Callable[[], Mapping[str, object]]) -> None:
        """Take the leads as they are, whatever has changed, if anybody listens."""
        if self._seen is not None:
            self._seen = None
            self.start_watching_leads(leads)

    def queue_new_webhook_events(
        self, leads: Callable[[], Mapping[str, object]], creator: Callable[[str], str | None], now: datetime
    ) -> None:
        """Queue what has happened to these leads since the last time, in order."""
        if self._seen is None:
            return
        happened: list[Event] = []
        for lead_id, lead in leads().items():
            if isinstance(lead, Mapping):
                happened += events_since_known_state(lead_id, lead, self._seen.get(lead_id), now)
                self._seen[lead_id] = snapshot_lead_state(lead)
        for event in sorted(happened, key=lambda event: event.at):
            self._queue(event, creator(event.lead_id))

    def dump(self) -> dict[str, object]:
        """Return the state as JSON."""
        return {
            "subscriptions": [asdict(each) for each in self.all.values()],
            "waiting": {number: asdict(each) for number, each in self.waiting.items()},
            "seen": None if self._seen is None else {lead_id: asdict(each) for lead_id, each in self._seen.items()},
            "given": self._given,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        self.all = {each["id"]: Subscription(**each) for each in state["subscriptions"]}
        self.waiting = {int(number): WebhookDelivery(**each) for number, each in state["waiting"].items()}
        known = state["seen"]
        self._seen = None if known is None else {lead_id: KnownLeadState(**each) for lead_id, each in known.items()}
        self._given = state["given"]

    def _queue(self, event: Event, creator: str | None) -> None:
        urls = [
            each.url
            for each in self.all.values()
            if each.event == event.name and CallerRole(each.owner).sees(event.lead, creator)
        ]
        provider = event.lead.get("provider")
        if event.name == STATUS_CHANGED and isinstance(provider, Mapping) and provider.get("url"):
            urls.append(str(provider["url"]))
        if not urls:
            return
        event_id = f"E-{self._next()}"
        at = event.at.isoformat()
        self.waiting |= {self._next(): WebhookDelivery(event_id, event.name, at, event.lead, url) for url in urls}

    def _next(self) -> int:
        self._given += 1
        return self._given


def snapshot_lead_state(lead: Fields) -> KnownLeadState:
    """Return what there is to know of a lead now."""
    return KnownLeadState(lead.get("status"), len(_history(lead)), _appointment(lead).get("date"))


def events_since_known_state(
    lead_id: str, lead: Fields, known: KnownLeadState | None, now: datetime
) -> Iterator[Event]:
    """Yield what has happened to a lead since it was known, each with the lead as it was then.

    What has no readable time of its own happened `now`.
    """

    def event(name: str, at: object, entries: int) -> Event:
        moment = parse_lead_time(at) or now
        return Event(name, moment, lead_id, _lead_at_time(lead, moment, history[:entries]))

    history, appointment = _history(lead), _appointment(lead)
    before = known or KnownLeadState(None, 1)
    if known is None:
        yield event(CREATED, lead.get("createdAt"), 1)
    for number, entry in enumerate(history[before.entries :], start=before.entries):
        yield event(STATUS_CHANGED, entry.get("date"), number + 1)
    if known and len(history) <= known.entries and lead.get("status") != known.label:
        yield event(STATUS_CHANGED, lead.get("statusDate"), len(history))
    if appointment.get("date") != before.appointment:
        at = parse_lead_time(appointment.get("updatedAt")) or now
        reached = sum((parse_lead_time(each.get("date")) or at) <= at for each in history)
        yield event(APPOINTMENT_UPDATED, appointment.get("updatedAt"), reached)


def _lead_at_time(lead: Fields, moment: datetime, history: Sequence[Fields]) -> Fields:
    """Return the lead after this much of its history, without an appointment made later."""
    was = {**lead, "updatedAt": paris_wall_time(moment)}
    if history:
        was |= {"status": history[-1].get("status"), "statusDate": history[-1].get("date"), "statusHistory": [*history]}
    made = parse_lead_time(_appointment(lead).get("updatedAt"))
    if made and made > moment:
        del was["appointment"]
    return was


def _history(lead: Fields) -> Sequence[Fields]:
    history = lead.get("statusHistory")
    return [each for each in history if isinstance(each, Mapping)] if isinstance(history, list) else []


def _appointment(lead: Fields) -> Fields:
    appointment = lead.get("appointment")
    return appointment if isinstance(appointment, Mapping) else {}
