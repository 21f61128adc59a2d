"""What both Google APIs share: accounts, conversion actions, clicks, and the conversions counted."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from pydantic import AwareDatetime
from pydantic.dataclasses import dataclass as pydantic_dataclass

from connectors.sandbox.platform import STRICT, Positions, SandboxPlatform, from_json, to_json


@dataclass(frozen=True, slots=True)
class GoogleConversionAction:
    """A conversion action, in the Google Ads API's terms; `created_at` is None if it is old."""

    kind: str = "UPLOAD_CLICKS"
    name: str = "Conversion"
    category: str = "QUALIFIED_LEAD"
    origin: str = "WEBSITE"
    primary: bool = True
    status: str = "ENABLED"
    click_window_days: int = 90
    one_per_click: bool = False
    always_default_value: bool = False
    created_at: datetime | None = None

    def is_action_too_new(self, now: datetime) -> bool:
        """Return whether it still refuses uploads, as it does for 6 hours after its creation."""
        return self.created_at is not None and now - self.created_at < timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class GoogleAccount:
    """A customer with its conversion actions by id; callers get access only through its `managers`."""

    managers: frozenset[str]
    actions: Mapping[str, GoogleConversionAction]
    enhanced_conversions: bool = True
    enabled: bool = True
    currency: str = "EUR"
    time_zone: str = "Europe/Paris"
    no_default_goals: frozenset[str] = frozenset()
    """The categories whose goal isn't an account default."""


DEFAULT_ACCOUNTS: Mapping[str, GoogleAccount] = {
    "1234567890": GoogleAccount(
        managers=frozenset({"1112223333"}),
        actions={
            "987654321": GoogleConversionAction(name="Rendez-vous pris"),
            "987654322": GoogleConversionAction(name="Vente signée", category="CONVERTED_LEAD"),
            "987654323": GoogleConversionAction(name="Devis envoyé"),
            "987654399": GoogleConversionAction(name="Formulaire", kind="WEBPAGE", category="SUBMIT_LEAD_FORM"),
        },
    ),
}
"""One customer with its appointment, sale and quote actions, and one action of the wrong type (`WEBPAGE`)."""

STATUS_CODES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""The canonical code of each HTTP status; Bad Gateway is mapped by gRPC, the others by google.rpc.

https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
"""
CLICK_ID_KINDS = ("gclid", "gbraid", "wbraid")
MAX_ROWS = 2_000
"""The most conversions in one request."""
MAX_ID_LENGTH = 64
"""The longest transaction id or order id, in characters."""
AHEAD = timedelta(minutes=5)
"""How far in the future an event may be."""
CLICK_LIFE_DAYS = 90
CONTACT_LIFE = timedelta(days=63)
"""How long hashed contact data matches; a click id matches for `CLICK_LIFE_DAYS`."""


CURRENCY_CODE = re.compile("[A-Z]{3}")
CLICK_ID = re.compile("[A-Za-z0-9_-]+")


def is_amount(value: float) -> bool:
    """Return whether a number can be a conversion's value: finite and not negative."""
    return math.isfinite(value) and value >= 0


@pydantic_dataclass(frozen=True, slots=True, config=STRICT)
class GoogleClick:
    """A click on an ad of `customer`, registered under a click id or the hash of the person's e-mail or phone."""

    clicked_at: AwareDatetime
    customer: str

    def broken_timing_rule(self, happened: datetime, arrived: datetime, window_days: int) -> str:
        """Return the most serious timing rule that an event of this click breaks, by name; empty if it breaks none.

        https://support.google.com/google-ads/answer/3123169 https://support.google.com/google-ads/answer/10029210
        """
        window = timedelta(days=min(CLICK_LIFE_DAYS, window_days))
        if happened - self.clicked_at > window or arrived - self.clicked_at > timedelta(days=CLICK_LIFE_DAYS):
            return "CLICK_WINDOW"
        if happened < self.clicked_at:
            return "AFTER_CLICK"
        return "CLICK_SETTLED" if arrived - self.clicked_at < timedelta(hours=6) else ""


_APIS = ("data_manager", "google_ads")


@dataclass(frozen=True, slots=True)
class AcceptedGoogleEvent:
    """An event that passed processing; times are ISO 8601."""

    customer: str
    action: str
    transaction_id: str
    event_time: str
    value: float | None
    currency: str
    click_kind: str
    """gclid, gbraid, wbraid, or contact."""
    matched: bool
    """Whether it matches a registered click."""
    digest: str
    request: str
    at: str
    api: str = "data_manager"
    """The API that accepted it: data_manager or google_ads."""
    key: str = ""
    """Its deduplication key, if that isn't its transaction id."""
    click: str = ""
    """Its click id, kept only if the API identifies events by it."""
    known_by: tuple[str, ...] = ()
    """The click ids and hashes it was sent with."""


@dataclass(frozen=True, slots=True)
class CountedGoogleConversion:
    """A counted conversion: its first event, with the latest value, currency and digest."""

    first: AcceptedGoogleEvent
    value: float | None
    currency: str
    digest: str
    restatements: int = 0
    """How often its value or currency was restated."""
    replays: int = 0
    """How often it was sent again without a new value or currency."""
    changed_replays: int = 0
    """How many of those replays had a different digest."""
    retracted: bool = False
    """Whether it no longer counts and its value is 0."""
    adjusted_at: str = ""
    """The time of the latest adjustment, ISO 8601."""
    ignored: int = 0
    """How many corrections were ignored because the conversion is final."""


class GoogleConversionStore:
    """Every conversion once, by customer, action, key and the API that accepted it.

    Attributes:
        across_apis: whether each API deduplicates against the other's conversions; undocumented.
        zero_is_final: whether a conversion restated to 0 can no longer be corrected.
    """

    def __init__(self) -> None:
        self.across_apis = False
        self.zero_is_final = True
        self._lines: dict[tuple[str, ...], CountedGoogleConversion] = {}
        self._moments: set[tuple[str, ...]] = set()

    def accept(self, event: AcceptedGoogleEvent) -> None:
        """Count the event, or adjust the conversion it repeats.

        The same transaction id on the same action is an adjustment: it replaces the value and currency, keeps
        everything else and never counts twice. If `across_apis`, it also repeats one that the other API accepted.
        https://developers.google.com/data-manager/api/devguides/events/google-ads/offline/upgrade
        """
        line = self.find(event)
        self.put(
            self._update_counted_conversion(line, event)
            if line
            else CountedGoogleConversion(event, event.value, event.currency, event.digest)
        )

    def find(self, event: AcceptedGoogleEvent) -> CountedGoogleConversion | None:
        """Return the conversion that this event repeats; None if it is new."""
        apis = (event.api, *_APIS) if self.across_apis else (event.api,)
        return self.find_conversion_by_key(event.customer, event.action, event.key or event.transaction_id, apis)

    def find_conversion_by_key(
        self, customer: str, action: str, key: str, apis: Iterable[str]
    ) -> CountedGoogleConversion | None:
        """Return the conversion with this key from the first of these APIs that accepted one; None if none did."""
        known = (self._lines.get((customer, action, key, api)) for api in apis)
        return next((line for line in known if line), None)

    def put(self, line: CountedGoogleConversion) -> None:
        """Add or replace a conversion."""
        first = line.first
        self._lines[first.customer, first.action, first.key or first.transaction_id, first.api] = line
        self._moments.add(_click_event_key(first))

    def is_final(self, line: CountedGoogleConversion) -> bool:
        """Return whether a conversion can no longer change."""
        return line.retracted or (self.zero_is_final and line.restatements > 0 and line.value == 0)

    def is_click_already_counted(self, event: AcceptedGoogleEvent) -> bool:
        """Return whether the same API already counted this click for this action at this event time."""
        return bool(event.click) and _click_event_key(event) in self._moments

    def conversions_json(self) -> list[dict[str, object]]:
        """Return the book as JSON, in order of first acceptance."""
        return [_json(line) for line in self._lines.values()]

    def identifiers_by_conversion_id(self) -> dict[str, tuple[str, ...]]:
        """Return the click ids and hashes of each conversion, by transaction id."""
        return {line.first.transaction_id: tuple(line.first.known_by) for line in self._lines.values()}

    def dump(self) -> list[dict[str, Any]]:
        """Return the conversions in the form that `load` reads."""
        return list(to_json(list(self._lines.values())))

    def load(self, saved: list[dict[str, Any]]) -> None:
        """Restore the conversions that `dump` returned."""
        self._lines.clear()
        for line in from_json(list[CountedGoogleConversion], saved):
            self.put(line)

    def _update_counted_conversion(
        self, line: CountedGoogleConversion, event: AcceptedGoogleEvent
    ) -> CountedGoogleConversion:
        if event.value is not None and (event.value, event.currency) != (line.value, line.currency):
            if self.is_final(line):
                return replace(line, ignored=line.ignored + 1)
            times = line.restatements + 1
            return replace(line, value=event.value, currency=event.currency, digest=event.digest, restatements=times)
        changed = line.changed_replays + (event.digest != line.digest)
        return replace(line, replays=line.replays + 1, changed_replays=changed)


def _click_event_key(event: AcceptedGoogleEvent) -> tuple[str, ...]:
    return event.customer, event.action, event.click, event.event_time, event.api


_SHOWN = ("api", "customer", "action", "transaction_id", "event_time", "click_kind", "matched")
"""The fields of a conversion's first event that the JSON keeps under the same name."""


def _json(line: CountedGoogleConversion) -> dict[str, object]:
    first = line.first
    return (
        {field.name: getattr(line, field.name) for field in fields(line) if field.name != "first"}
        | {name: getattr(first, name) for name in _SHOWN}
        | {
            "accepted": 1,
            "count": 0 if line.retracted else 1,
            "first_value": first.value,
            "first_digest": first.digest,
            "first_request": first.request,
            "accepted_at": first.at,
        }
    )


class SandboxGoogleState:
    """The state that the Data Manager and the Google Ads API share. Access it only while holding `lock`.

    Attributes:
        accounts: the customers, by id.
        clicks: by click id, and by the hash of contact data.
        book: every conversion that either API counted.
        settle: processes everything due by a time; called before anything changes.
    """

    def __init__(self, accounts: Mapping[str, GoogleAccount] = DEFAULT_ACCOUNTS) -> None:
        self.lock = RLock()
        self.accounts = accounts
        self.clicks: dict[str, GoogleClick] = {}
        self.book = GoogleConversionStore()
        self.settle: Callable[[datetime], None] = lambda _: None


class SandboxGoogleApi(SandboxPlatform):
    """What both APIs have: switches, counters, recent refusals, and the shared book."""

    def __init__(self, now: Callable[[], datetime], google: SandboxGoogleState | None, switches: Positions) -> None:
        """Start empty; if `google` is None, with accounts, clicks and a book of its own."""
        self.google = google or SandboxGoogleState()
        super().__init__(now, switches, self.google.lock)

    def process_due_work(self) -> datetime:
        """Process everything that is due and return the current time. The lock is held."""
        now = self._now()
        self.google.settle(now)
        return now

    def conversions_json(self) -> list[dict[str, object]]:
        """Return every conversion that either API has counted, in order of first acceptance, as JSON."""
        with self.lock:
            self.process_due_work()
            return self.google.book.conversions_json()
