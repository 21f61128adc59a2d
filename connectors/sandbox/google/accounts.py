"""Google's accounts, actions and clicks, as both of its interfaces know them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from threading import RLock

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


@dataclass(frozen=True, slots=True)
class GoogleAccount:
    """A customer with its actions by id; the caller gets in through the `managers` and no other way."""

    managers: frozenset[str]
    actions: Mapping[str, GoogleConversionAction]
    enhanced_conversions: bool = True
    enabled: bool = True
    currency: str = "EUR"
    time_zone: str = "Europe/Paris"
    no_default_goals: frozenset[str] = frozenset()
    """The categories whose goal is none of the account's defaults."""


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


CLICK_SETTLES = timedelta(hours=6)
CLICK_LIFE_DAYS = 90
CONTACT_LIFE = timedelta(days=63)
"""How long hashed contact data matches; a click id does for `CLICK_LIFE_DAYS`."""


@dataclass(frozen=True, slots=True)
class GoogleClick:
    """A click on an ad of `customer`, known by a click id or by the hash of the person's e-mail or phone."""

    clicked_at: datetime
    customer: str


class Timing(Enum):
    """How an event stands to its click."""

    RIGHT = auto()
    BEFORE_CLICK = auto()
    CLICK_TOO_FRESH = auto()
    """The click is not 6 hours old yet."""
    CLICK_TOO_OLD = auto()
    """The action's click window, or the click's life, is over."""


def timing(click: GoogleClick, happened: datetime, arrived: datetime, window_days: int) -> Timing:
    """How an event that happened and arrived then stands to its click; the gravest trouble goes first.

    https://support.google.com/google-ads/answer/3123169 https://support.google.com/google-ads/answer/10029210
    """
    window = timedelta(days=min(CLICK_LIFE_DAYS, window_days))
    if happened - click.clicked_at > window or arrived - click.clicked_at > timedelta(days=CLICK_LIFE_DAYS):
        return Timing.CLICK_TOO_OLD
    if happened < click.clicked_at:
        return Timing.BEFORE_CLICK
    if arrived - click.clicked_at < CLICK_SETTLES:
        return Timing.CLICK_TOO_FRESH
    return Timing.RIGHT


def read_click(document: object) -> GoogleClick:
    """A click from its JSON; ValueError where it is none or its time has no zone."""
    match document:
        case {"clicked_at": str(clicked_at), "customer": str(customer), **rest} if not rest:
            at = datetime.fromisoformat(clicked_at)
            if at.tzinfo is not None:
                return GoogleClick(at, customer)
    raise ValueError('a click is {"clicked_at": ISO 8601 with its zone, "customer": digits}')


def click_json(click: GoogleClick) -> dict[str, str]:
    """The JSON that `read_click` reads."""
    return {"clicked_at": click.clicked_at.isoformat(), "customer": click.customer}


class GooglePlatform:
    """The memory that the Data Manager and the Google Ads API share. Whoever touches it holds `lock`.

    Attributes:
        accounts: the customers, by id.
        clicks: by click id, and by the hash of contact data.
        book: every conversion that either API counted.
        across_apis: whether each API takes a key that the other one counted for known; not documented.
        zero_is_final: whether a conversion that was restated to 0 can be corrected no more.
        settlers: what must judge its waiting rows before anything else changes.
    """

    def __init__(self, accounts: Mapping[str, GoogleAccount] = DEFAULT_ACCOUNTS) -> None:
        self.lock = RLock()
        self.accounts = accounts
        self.clicks: dict[str, GoogleClick] = {}
        self.book = GoogleBook()
        self.across_apis = False
        self.zero_is_final = True
        self.settlers: list[Callable[[datetime], None]] = []

    def settle(self, now: datetime) -> None:
        """Judge whatever fell due by now, by what was known when it did."""
        for judge in self.settlers:
            judge(now)

    def register_clicks(self, clicks: Mapping[str, object], now: datetime) -> None:
        """Make clicks known, by click id or by hash of contact data: `{"clicked_at": ISO 8601, "customer"}`.

        ValueError where one has another shape; none is registered then.
        """
        known = {key: read_click(each) for key, each in clicks.items()}
        with self.lock:
            self.settle(now)
            self.clicks.update(known)
