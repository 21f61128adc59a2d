"""The shape of the configuration file, validated whole; the file itself is read by `load`."""

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AnyUrl, BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, SecretStr, field_validator

_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(d|h|min|m|s)\s*")
_UNIT = {"d": "days", "h": "hours", "min": "minutes", "m": "minutes", "s": "seconds"}


def _span(value: object) -> object:
    """`3 d`, `4h`, `45 min`: how people write a length of time."""
    if isinstance(value, str):
        match = _SPAN.fullmatch(value)
        if match is None:
            raise ValueError("write a length of time as 3 d, 4 h, 45 min or 30 s")
        return timedelta(**{_UNIT[match[2]]: float(match[1])})
    return value


def _digits(value: object) -> object:
    """Google shows ids as 123-456-7890; YAML reads 1234567890 as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value.replace("-", "").strip() if isinstance(value, str) else value


def _one_or_many(value: object) -> object:
    return value if isinstance(value, list) or value is None else [value]


Span = Annotated[timedelta, BeforeValidator(_span, json_schema_input_type=str)]
CustomerId = Annotated[
    str, BeforeValidator(_digits, json_schema_input_type=str | int), Field(pattern=r"^\d{10}$")
]
Digits = Annotated[
    str, BeforeValidator(_digits, json_schema_input_type=str | int), Field(pattern=r"^\d{1,20}$")
]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Path_ = Annotated[str, Field(pattern=r"^[^\s.\[\]]+(\.[^\s.\[\]]+)*$")]
"""A dotted path into a lead, `leadData.consent`."""
OneOrMore = Annotated[
    tuple[Text, ...], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str]), Field(min_length=1)
]
Paths = Annotated[
    tuple[Path_, ...], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str]), Field(min_length=1)
]


class Strict(BaseModel):
    """Unknown keys are refused; nothing changes once it is read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, validate_default=True, use_attribute_docstrings=True
    )


# ── Oplead ───────────────────────────────────────────────────────────────────────────────────────


class Auth(Strict):
    """How the token is shown to Oplead, which publishes no rule for it."""

    style: Literal["bearer", "header", "query", "none"] = "bearer"
    name: Text | None = None
    """The header's or query parameter's name, for `header` and `query`."""
    prefix: str = ""
    """What stands before the token in the header."""


class Pagination(Strict):
    """How Oplead's list goes on to its next page."""

    style: Literal["auto", "none", "page", "offset", "cursor", "next_url", "link_header"] = "auto"
    """`auto` follows only what describes itself: a next URL of the same host, a Link header, or a cursor."""
    items: Path_ | None = None
    """Where the array of leads is; searched for where unset."""
    next: Path_ | None = None
    """Where the next URL or cursor stands in an answer."""
    page_param: Text = "page"
    first_page: int = Field(default=1, ge=0, le=1)
    size_param: Text | None = None
    size: PositiveInt | None = Field(default=None, le=1000)
    offset_param: Text = "offset"
    cursor_param: Text = "cursor"
    max_pages: PositiveInt = 10_000


class SinceFilter(Strict):
    """A query parameter by which Oplead lists only what changed since a time."""

    param: Text
    format: Literal["iso", "date", "epoch_s", "epoch_ms"] = "iso"


class Fields(Strict):
    """Where each thing stands in a lead; several paths are tried in turn. Unset ones use what is known of Oplead."""

    id: Paths | None = None
    created_at: Paths | None = None
    updated_at: Paths | None = None
    status: Paths | None = None
    status_at: Paths | None = None
    history: Paths | None = None
    click_id: Paths | None = None
    click_id_at: Paths | None = None
    utm_source: Paths | None = None
    utm_medium: Paths | None = None
    utm_campaign: Paths | None = None
    email: Paths | None = None
    phone: Paths | None = None
    first_name: Paths | None = None
    last_name: Paths | None = None
    postcode: Paths | None = None
    city: Paths | None = None
    country: Paths | None = None


class Oplead(Strict):
    """The source of leads."""

    token: SecretStr
    """A reference: `${OPLEAD_TOKEN}` or `file:/run/secrets/oplead`."""
    base_url: AnyUrl = AnyUrl("https://api.oplead.com")
    path_prefix: Annotated[str, Field(pattern=r"^(/[^\s/?#]+)*$")] = "/v1"
    auth: Auth = Auth()
    pagination: Pagination = Pagination()
    pull: Literal["since", "list", "details"] | None = None
    """`list` reads every page and finds changes by digest; `since` asks Oplead for them."""
    since_filter: SinceFilter | None = None
    detail: Literal["auto", "always", "never"] = "auto"
    """Whether a lead's own page is read: `auto` only where the list leaves out the click ids."""
    fields: Fields = Fields()
    rate: PositiveInt = Field(default=90, le=100)
    """Requests a minute; Oplead's published limit is 100."""
    in_flight: PositiveInt = Field(default=4, le=16)
    overlap: Span = timedelta(days=3)
    budget: Span = timedelta(hours=4)

    @property
    def pull_style(self) -> Literal["since", "list", "details"]:
        """How leads are pulled: as written, else `since` where a filter is named, else `list`."""
        return self.pull or ("since" if self.since_filter else "list")


# ── what counts ──────────────────────────────────────────────────────────────────────────────────


class ClickIds(Strict):
    """How click ids without a label are read."""

    bare: Literal["by_utm", "gclid", "fbclid", "reject"] = "by_utm"
    bare_digits: Literal["reject", "lead_id"] = "reject"


class ConsentSignal(Strict):
    """A field of the lead that says whether one use of its data is allowed."""

    field: Path_
    granted: OneOrMore
    refused: OneOrMore


class ConsentRule(Strict):
    """What the lead agreed to, by Google's two signals."""

    ad_user_data: ConsentSignal
    ad_personalization: ConsentSignal | None = None
    missing: Literal["withhold", "assume_granted"] = "withhold"
    because: Annotated[str, Field(min_length=10, max_length=300)] | None = None
    """Why an absent answer may be read as yes; required to assume it."""



class Exclude(Strict):
    """Test leads, judged before anything is stored."""

    email_domains: tuple[Text, ...] = ()
    phones: tuple[Text, ...] = ()
    names: tuple[Text, ...] = ()
    fields: dict[Path_, OneOrMore] = {}


class FieldValue(Strict):
    """A conversion's value read from the lead."""

    field: Path_
    tax: Literal["included", "excluded"]
    otherwise: Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=2)] | None = None
    wait_for_value: Span = timedelta(days=3)
    restate_above: Annotated[str, Field(pattern=r"^\d{1,3} ?%$")] = "5 %"


FixedValue = Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=2)]


class GoogleAction(Strict):
    """A conversion action of Google Ads."""

    id: Digits
    click_window_days: Annotated[int, Field(ge=1, le=90)] | None = None
    """The action's click-through window, as Google Ads shows it."""


class GoogleConversion(Strict):
    """What a conversion is in Google Ads."""

    conversion_action: GoogleAction
    event_source: Literal["WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"] | None = None
    destination: Slug | None = None
    """Which `google_ads` destination; all of them where unset."""

    @field_validator("conversion_action", mode="before")
    @classmethod
    def _a_bare_id_is_an_action(cls, value: object) -> object:
        return {"id": value} if isinstance(value, str | int) else value


class MetaConversion(Strict):
    """What a conversion is for Meta."""

    event: Annotated[str, Field(pattern=r"^[A-Za-z0-9_ ]{1,50}$")]
    action_source: Literal["system_generated", "phone_call", "physical_store", "email", "chat", "other"] | None = None


class Conversion(Strict):
    """One thing worth telling the platforms: a lead reaching a stage."""

    id: Slug
    name: Text | None = None
    stage: Slug
    since: date | datetime | None = None
    """Changes before it are not sent; default: the first real run that saw this conversion."""
    where: dict[Path_, OneOrMore] = {}
    was: Slug | None = None
    """The id this conversion had before; `none` for one that is new though it looks like a renamed one."""
    implied_by: Annotated[tuple[Slug, ...], BeforeValidator(_one_or_many)] = ()
    value: FixedValue | FieldValue | None = None
    undo_when: Annotated[tuple[Slug, ...], BeforeValidator(_one_or_many)] = ()
    undo_after: Span = timedelta(days=3)
    undo_via: Literal["data_manager", "google_ads_api"] | None = None
    count_once_per: Literal["lead", "click", "person"] = "lead"
    within: Span = timedelta(days=30)
    shared_action: bool = False
    google_ads: GoogleConversion | None = None
    meta: MetaConversion | None = None


# ── destinations ─────────────────────────────────────────────────────────────────────────────────


class Destination(Strict):
    """What every destination can be told."""

    where: dict[Path_, OneOrMore] = {}
    audience: Literal["attributed", "all"] = "attributed"
    contact_data: Literal["attach", "none"] = "none"
    max_per_run: PositiveInt | None = None


class GoogleAds(Destination):
    """One Google Ads customer, the account that owns the conversion actions."""

    id: Slug = "google_ads"
    customer_id: CustomerId
    login_customer_id: CustomerId | None = None
    """The manager account that gives access, where one does."""
    transport: Literal["data_manager", "google_ads_api"] = "data_manager"
    credentials: Path
    """A reference to a service account's key file: `${GOOGLE_ADS_KEY_FILE}`."""
    endpoint: AnyUrl = AnyUrl("https://datamanager.googleapis.com")
    event_source: Literal["WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"] = "WEB"


class Meta(Destination):
    """One Meta dataset."""

    id: Slug = "meta"
    dataset_id: Digits
    access_token: SecretStr
    app_secret: SecretStr | None = None
    graph_url: AnyUrl = AnyUrl("https://graph.facebook.com")
    funnel: dict[Slug, Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]] = {}
    in_doubt: Literal["resend", "ask"] = "resend"
    action_source: Literal["system_generated", "phone_call", "physical_store", "email", "chat", "other"] = (
        "system_generated"
    )


class Schedule(Strict):
    """When `schedule` runs the night."""

    daily: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    cron: Text | None = None


Stage = Annotated[
    tuple[Text, ...], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str]), Field(min_length=1)
]


class Settings(Strict):
    """One account: an Oplead platform with the destinations its leads go to."""

    account: Slug
    timezone: Text = "Europe/Paris"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    schedule: Schedule | None = None
    state: Text | None = None
    """`sqlite:///path`; default: `ACCOUNT.db` beside the configuration file."""
    clock: AnyUrl | None = None
    """A sandbox's clock; accepted only where every remote is on this machine."""
    oplead: Oplead
    stages: dict[Slug, Stage]
    ignored_statuses: tuple[Text, ...] = ()
    click_ids: ClickIds = ClickIds()
    consent: ConsentRule
    exclude: Exclude | None = None
    google_ads: Annotated[tuple[GoogleAds, ...], BeforeValidator(_one_or_many)] = ()
    meta: Annotated[tuple[Meta, ...], BeforeValidator(_one_or_many)] = ()
    conversions: Annotated[tuple[Conversion, ...], Field(min_length=1)]
    notify: tuple[SecretStr, ...] = ()
    retention: dict[str, object] | None = None
    report: dict[str, object] | None = None

    @field_validator("timezone")
    @classmethod
    def _a_known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"no time zone is called {name!r}; for France write Europe/Paris") from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The account's zone."""
        return ZoneInfo(self.timezone)
