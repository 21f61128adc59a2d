"""The options of one Oplead platform."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

BareRule = Literal["by_utm", "gclid", "fbclid", "reject"]
BareDigitsRule = Literal["reject", "lead_id"]
PaginationStyle = Literal["auto", "none", "page", "offset", "cursor", "last_id", "next_url", "link_header"]


@dataclass(frozen=True, slots=True)
class AuthOptions:
    """How the token is sent to Oplead, which publishes no rule for it."""

    style: Literal["bearer", "header", "query", "none"] = "bearer"
    name: str | None = None
    """The header's or query parameter's name; required by `header` and `query`."""
    prefix: str = ""
    """What stands before the token in the header, its space included."""


@dataclass(frozen=True, slots=True)
class PaginationOptions:
    """How the list goes on to its next page."""

    style: PaginationStyle = "auto"
    items: str | None = None
    """Where the array of leads is; searched for where unset."""
    next: str | None = None
    """Where the next URL or cursor stands; searched for where unset."""
    page_param: str = "page"
    first_page: int = 1
    size_param: str | None = None
    size: int | None = None
    offset_param: str = "offset"
    cursor_param: str = "cursor"
    total: str | None = None
    """Where the number of all leads stands; searched for where unset."""
    total_header: str | None = None
    """The header with the number of all leads; read only where it is named."""
    max_pages: int = 10_000


@dataclass(frozen=True, slots=True)
class SinceOptions:
    """The query parameter by which the platform lists only what changed since a time."""

    param: str
    format: str = "iso"
    """`iso`, `date`, `epoch_s`, `epoch_ms`, or a pattern of `strftime` (`%d/%m/%Y`), in the account's zone."""
    until_param: str | None = None
    """The parameter for the end of the time, where the platform wants both."""


Paths = tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class FieldPaths:
    """Where each thing stands in a lead, as dotted paths tried in turn; None uses the known candidates."""

    id: Paths = None
    created_at: Paths = None
    updated_at: Paths = None
    status: Paths = None
    status_at: Paths = None
    history: Paths = None
    click_id: Paths = None
    click_id_at: Paths = None
    utm_source: Paths = None
    utm_medium: Paths = None
    utm_campaign: Paths = None
    email: Paths = None
    phone: Paths = None
    first_name: Paths = None
    last_name: Paths = None
    postcode: Paths = None
    city: Paths = None
    country: Paths = None


@dataclass(frozen=True, slots=True)
class ClickIdRules:
    """How click ids without a label are read."""

    bare: BareRule = "by_utm"
    bare_digits: BareDigitsRule = "reject"


@dataclass(frozen=True, slots=True)
class OpleadOptions:
    """One Oplead platform: where it is, how it is asked, and where things stand in its leads."""

    token: str = field(repr=False)
    zone: ZoneInfo
    """The zone of times written without one, and of calendar days."""
    base_url: str = "https://api.oplead.com"
    path_prefix: str = "/v1"
    leads_path: str = "/leads"
    lead_path: str = "/leads/{id}"
    extra_headers: Mapping[str, str] = field(default_factory=dict)
    extra_query: Mapping[str, str] = field(default_factory=dict)
    in_flight: int = 4
    """How many of leads' own pages may be asked for at once."""
    max_requests: int | None = None
    """After so many requests a night's reading stops at a page's end, as it does when its time is up."""
    largest_page_mb: int = 64
    """A page with more is refused unread; of a lead's own page a sixteenth, for so many may wait at once."""
    auth: AuthOptions = AuthOptions()
    pagination: PaginationOptions = PaginationOptions()
    since_filter: SinceOptions | None = None
    """None lists everything: `since` is then left to the caller's digests."""
    detail: Literal["auto", "always", "never"] = "auto"
    """Whether a lead's own page is read: `auto` only where the list leaves out the click ids' container."""
    fields: FieldPaths = FieldPaths()
    click_ids: ClickIdRules = ClickIdRules()


PUT_THE_KEY = (
    "put the client admin's API key into the variable that oplead.token names, as OPLEAD_TOKEN in .env, "
    "never into the settings themselves"
)
"""What to do about a refused key, so that nobody pastes it into a file that is shared."""
