"""Meta's count: one line per dataset, event name and event id, and the duplicates that deduplication dropped."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from connectors.sandbox.meta.events import STORE
from connectors.sandbox.meta.wire import MetaEvent
from connectors.sandbox.platform import from_json, to_json

WINDOW = timedelta(hours=48)
STORE_WINDOW = timedelta(days=7)
"""How long after the first receipt of an event its duplicates are dropped."""


@dataclass(frozen=True, slots=True)
class AcceptedMetaEvent:
    """An event of an accepted request; times are ISO 8601."""

    dataset: str
    event_name: str
    event_id: str
    """Empty if the event has none; it then has no duplicates (a store event deduplicates by `order_id` instead)."""
    order_id: str
    event_time: str
    action_source: str
    value: int | float | None
    """As sent; an integer stays an integer when loaded."""
    currency: str
    click_kind: str
    """lead_id, fbc or contact."""
    profile: str
    """crm if it counts for Conversion Leads, otherwise server."""
    keys: tuple[str, ...]
    """The match keys: the keys of `user_data`."""
    digest: str
    at: str
    known_by: tuple[str, ...] = ()
    """The click ids and hashes it was sent with."""


@dataclass(frozen=True, slots=True)
class CountedMetaEvent:
    """A counted event: the latest one counted, the first and latest digests, and the counts."""

    counted: AcceptedMetaEvent
    first_digest: str
    digest: str
    accepted_at: str
    accepted: int = 0
    replays: int = 0


class MetaEventStore:
    """Every event by dataset, name and id, in order of first acceptance."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str, str], CountedMetaEvent] = {}
        self._received: dict[tuple[str, ...], str] = {}
        """When the event opening the current deduplication window was received, by deduplication key."""

    def accept(self, event: AcceptedMetaEvent, *, deduplicate: bool) -> None:
        """Count the event, or drop it as a duplicate of one already counted.

        https://developers.facebook.com/documentation/ads-commerce/conversions-api/deduplicate-pixel-and-server-events
        """
        key = (event.dataset, event.event_name, event.event_id)
        line = self._lines.get(key) or CountedMetaEvent(event, event.digest, event.digest, event.at)
        line = replace(line, digest=event.digest)
        if self._is_duplicate_event(event, deduplicate=deduplicate):
            line = replace(line, replays=line.replays + 1)
        else:
            line = replace(line, counted=event, accepted=line.accepted + 1)
        self._lines[key] = line

    def meta_events_json(self) -> list[dict[str, object]]:
        """Return the book as JSON, in order of first acceptance."""
        return [_json(line) for line in self._lines.values()]

    def identifiers_by_conversion_id(self) -> dict[str, tuple[str, ...]]:
        """Return the click ids and hashes of each event, by event id."""
        return {line.counted.event_id: tuple(line.counted.known_by) for line in self._lines.values()}

    def events_of_dataset(self, dataset: str) -> list[CountedMetaEvent]:
        """Return one dataset's lines."""
        return [line for line in self._lines.values() if line.counted.dataset == dataset]

    def dump(self) -> dict[str, Any]:
        """Return the book in the form that `load` reads."""
        received = [[*key, at] for key, at in self._received.items()]
        return {"lines": to_json(list(self._lines.values())), "received": received}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        lines = from_json(list[CountedMetaEvent], saved["lines"])
        self._lines = {(each.counted.dataset, each.counted.event_name, each.counted.event_id): each for each in lines}
        self._received = {tuple(key): at for *key, at in saved["received"]}

    def _is_duplicate_event(self, event: AcceptedMetaEvent, *, deduplicate: bool) -> bool:
        """Return whether the event duplicates one received inside the window; if not, it opens a new window."""
        store = event.action_source == STORE
        name, window = (event.order_id, STORE_WINDOW) if store else (event.event_id, WINDOW)
        if not name or not (deduplicate or store):
            return False
        key = (event.dataset, "order" if store else "event", event.event_name, name)
        now = datetime.fromisoformat(event.at)
        first = self._received.get(key)
        if first is not None and now - datetime.fromisoformat(first) <= window:
            return True
        self._received[key] = event.at
        return False


def as_accepted_event(event: MetaEvent, dataset: str, now: datetime) -> AcceptedMetaEvent:
    """Return a valid event as the book counts it."""
    fields, user, custom = event.fields, event.get_nested_object("user_data"), event.get_nested_object("custom_data")
    seconds, value = fields["event_time"], custom.get("value")
    occurred = datetime.fromtimestamp(seconds, now.tzinfo) if isinstance(seconds, int) else now
    source = str(fields["action_source"])
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/conversion-leads-integration/payload-specification
    is_crm = source == "system_generated" and custom.get("event_source") == "crm" and custom.get("lead_event_source")
    return AcceptedMetaEvent(
        dataset=dataset,
        event_name=str(fields["event_name"]),
        event_id=str(fields.get("event_id", "")),
        order_id=str(custom.get("order_id", "")),
        event_time=occurred.isoformat(),
        action_source=source,
        value=value if isinstance(value, int | float) else None,
        currency=str(custom.get("currency", "")),
        click_kind=next((kind for kind in ("lead_id", "fbc") if kind in user), "contact"),
        profile="crm" if is_crm else "server",
        keys=tuple(sorted(user)),
        digest=event.digest,
        at=now.isoformat(),
        known_by=tuple(str(one) for each in user.values() for one in (each if isinstance(each, list) else [each])),
    )


_HIDDEN = frozenset({"order_id", "keys", "digest", "at", "known_by"})
"""The fields of a counted event that the JSON leaves out."""


def _json(line: CountedMetaEvent) -> dict[str, object]:
    fields = asdict(line)
    counted = fields.pop("counted")
    return {name: value for name, value in counted.items() if name not in _HIDDEN} | fields
