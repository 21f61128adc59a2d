"""Google's accounts, actions and clicks, as both of its APIs know them."""

import math
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from connectors.sandbox.book import GoogleBook


@dataclass(frozen=True, slots=True)
class GoogleConversionAction:
    """A conversion action, in the words of the Google Ads API; `created_at` is None for long ago."""

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

    def is_too_new(self, now: datetime) -> bool:
        """Whether it takes no uploads yet, which begin 6 hours after its creation."""
        return self.created_at is not None and now - self.created_at < timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class GoogleAccount:
    """A customer with its actions by id; callers get access through the `managers` only."""

    managers: frozenset[str]
    actions: Mapping[str, GoogleConversionAction]
    enhanced_conversions: bool = True
    enabled: bool = True
    currency: str = "EUR"
    time_zone: str = "Europe/Paris"
    no_default_goals: frozenset[str] = frozenset()
    """The categories with a goal that is not one of the account's defaults."""


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
"""One customer with its appointment, sale and quote actions, and one action of the wrong type."""

CLICK_ID_KINDS = ("gclid", "gbraid", "wbraid")
MAX_ROWS = 2_000
"""How many conversions one request may hold."""
MAX_ID_LENGTH = 64
"""How long a transaction id or order id may be."""
AHEAD = timedelta(minutes=5)
"""How far ahead of the platform's clock an event may lie."""
CLICK_LIFE_DAYS = 90
CONTACT_LIFE = timedelta(days=63)
"""How long hashed contact data matches; a click id does for `CLICK_LIFE_DAYS`."""


def is_amount(value: float) -> bool:
    """Whether a number can be a conversion's value: finite and not negative."""
    return math.isfinite(value) and value >= 0


def is_currency(text: str) -> bool:
    """Whether the text has the form of a currency code."""
    return re.fullmatch("[A-Z]{3}", text) is not None


def is_click_id(text: str) -> bool:
    """Whether the text can be decoded as a click id."""
    return re.fullmatch("[A-Za-z0-9_-]+", text) is not None


@dataclass(frozen=True, slots=True)
class GoogleClick:
    """A click on an ad of `customer`, known by a click id or by the hash of the person's e-mail or phone."""

    clicked_at: datetime
    customer: str

    def broken_timing(self, happened: datetime, arrived: datetime, window_days: int) -> str:
        """The name of the rule that an event of this click breaks by its times; empty if none, else the gravest.

        https://support.google.com/google-ads/answer/3123169 https://support.google.com/google-ads/answer/10029210
        """
        window = timedelta(days=min(CLICK_LIFE_DAYS, window_days))
        if happened - self.clicked_at > window or arrived - self.clicked_at > timedelta(days=CLICK_LIFE_DAYS):
            return "CLICK_WINDOW"
        if happened < self.clicked_at:
            return "AFTER_CLICK"
        return "CLICK_SETTLED" if arrived - self.clicked_at < timedelta(hours=6) else ""

    def json(self) -> dict[str, str]:
        """The JSON that `read_click` reads."""
        return {"clicked_at": self.clicked_at.isoformat(), "customer": self.customer}


def read_click(document: object) -> GoogleClick:
    """A click from its JSON; ValueError if it has another shape or its time has no zone."""
    match document:
        case {"clicked_at": str(clicked_at), "customer": str(customer), **rest} if not rest:
            at = datetime.fromisoformat(clicked_at)
            if at.tzinfo is not None:
                return GoogleClick(at, customer)
    raise ValueError('a click is {"clicked_at": ISO 8601 with its zone, "customer": digits}')


class GooglePlatform:
    """The state that the Data Manager and the Google Ads API share. Access it only while holding `lock`.

    Attributes:
        accounts: the customers, by id.
        clicks: by click id, and by the hash of contact data.
        book: every conversion that either API counted.
        across_apis: whether each API deduplicates against what the other one counted; not documented.
        zero_is_final: whether a conversion that was restated to 0 can no longer be corrected.
        settle: processes whatever is due by a time; called before anything changes.
    """

    def __init__(self, accounts: Mapping[str, GoogleAccount] = DEFAULT_ACCOUNTS) -> None:
        self.lock = RLock()
        self.accounts = accounts
        self.clicks: dict[str, GoogleClick] = {}
        self.book = GoogleBook()
        self.across_apis = False
        self.zero_is_final = True
        self.settle: Callable[[datetime], None] = lambda _: None

    def register_clicks(self, clicks: Mapping[str, object], now: datetime) -> None:
        """Register clicks, by click id or by hash of contact data: `{"clicked_at": ISO 8601, "customer"}`.

        ValueError if one has another shape; none is registered then.
        """
        known = {key: read_click(each) for key, each in clicks.items()}
        with self.lock:
            self.settle(now)
            self.clicks.update(known)


class GoogleApi:
    """What both APIs have: switches, counters, the latest refusals, and the book they share."""

    def __init__(
        self, now: Callable[[], datetime], google: GooglePlatform | None, switches: Mapping[str, tuple[object, ...]]
    ) -> None:
        """Start empty.

        Args:
            now: the sandbox clock, aware UTC.
            google: what both APIs share; its own if None.
            switches: the positions of each switch, default first.
        """
        self.google = google or GooglePlatform()
        self.counts: Counter[str] = Counter()
        self.refused: deque[dict[str, str]] = deque(maxlen=1_000)
        self.switches: dict[str, object] = {name: positions[0] for name, positions in switches.items()}
        self._positions = switches
        self._now = now

    def settled(self) -> datetime:
        """The present, once everything due by then is processed. The lock is held."""
        now = self._now()
        self.google.settle(now)
        return now

    def switch(self, name: str, value: object) -> None:
        """Turn one switch; ValueError if it has no such position."""
        positions = self._positions.get(name, ())
        if not self.has_position(name, value):
            raise ValueError(f"{name} is one of {', '.join(map(str, positions))}")
        with self.google.lock:
            self.settled()
            self.switches[name] = value

    def has_position(self, name: str, value: object) -> bool:
        """Whether a switch can be turned to this value."""
        return any(type(value) is type(each) and value == each for each in self._positions.get(name, ()))

    def book(self) -> list[dict[str, object]]:
        """Every conversion that either API counted by now, in the order of acceptance, as JSON."""
        with self.google.lock:
            self.settled()
            return self.google.book.lines()

    def note(self, at: datetime, when: str, reason: str, **where: str) -> None:
        """Remember a refusal, for the control page."""
        self.refused.append({"at": at.isoformat(), "when": when, "reason": reason, **where})

    def state(self) -> dict[str, object]:
        """Counters, the shared book and the latest refusals as of now, as JSON."""
        with self.google.lock:
            return {"book": self.book(), "requests": dict(self.counts), "refused": list(self.refused)}

    def dump(self) -> dict[str, Any]:
        """Its own state, as JSON."""
        return {"switches": dict(self.switches), "counts": dict(self.counts), "refused": list(self.refused)}

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        for name, value in dumped["switches"].items():
            self.switch(name, value)
        self.counts = Counter(dumped["counts"])
        self.refused.clear()
        self.refused.extend(dumped["refused"])
