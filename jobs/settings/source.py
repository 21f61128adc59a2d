"""The `oplead` section: where leads are read, and how."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AnyUrl, Field, PositiveInt

from jobs.settings.addresses import Address
from jobs.settings.shapes import Like, Path_, Paths, Secret, Span, Strict, Text

HEADER_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"


class Auth(Strict):
    """How the token is shown to Oplead, which publishes no rule for it."""

    style: Literal["bearer", "header", "query", "none"] = "bearer"
    """`bearer` sends `Authorization: Bearer TOKEN`; `header` and `query` need a `name`."""
    name: Text | None = None
    """The header's or query parameter's name, for `header` and `query`."""
    prefix: Annotated[str, Like(r"[ -~]{0,100}", "write plain text without accents, as Key")] = ""
    """What stands before the token in the header, its space included."""


class Pagination(Strict):
    """How Oplead's list goes on to its next page."""

    style: Literal["auto", "none", "page", "offset", "cursor", "last_id", "next_url", "link_header"] = "auto"
    """`auto` follows only what describes itself: a next URL of the same host, a Link header, or a cursor."""
    items: Path_ | None = None
    """Where the array of leads is; searched for where unset."""
    next: Path_ | None = None
    """Where the next URL or cursor stands in an answer."""
    page_param: Text = "page"
    """The query parameter of the page number, for `page`."""
    first_page: int = Field(default=1, ge=0, le=1)
    """The first page's number."""
    size_param: Text | None = None
    """The query parameter of the page size, where Oplead takes one."""
    size: PositiveInt | None = Field(default=None, le=1000)
    """How many leads to ask for at a time."""
    offset_param: Text = "offset"
    """The query parameter of the offset, for `offset`."""
    cursor_param: Text = "cursor"
    """The query parameter of the cursor, for `cursor`; that of a page's last lead, for `last_id`."""
    total: Path_ | None = None
    """Where an answer tells how many leads there are in all; searched for where unset."""
    total_header: Annotated[str, Like(HEADER_NAME, "a header's name has letters, digits and hyphens")] | None = None
    """The header in which an answer tells how many leads there are in all; none is believed unless it is named."""
    max_pages: PositiveInt = 10_000
    """Where a list that never ends is given up."""


class SinceFilter(Strict):
    """A query parameter by which Oplead lists only what changed since a time."""

    param: Text
    """The name of Oplead's query parameter, as updated_after."""
    format: Annotated[
        str,
        Like(
            # Only what every machine writes alike; names of months and days would follow its language.
            r"iso|date|epoch_s|epoch_ms|(?=.*%[Yy])(?=.*(%m.*%d|%d.*%m|%j))([^%]|%[YymdjHMSfz%])+",
            "write iso, date, epoch_s, epoch_ms, or a day as %d/%m/%Y, with %H:%M:%S after it where times are taken",
        ),
    ] = "iso"
    """How the time is written there: `iso`, `date`, `epoch_s`, `epoch_ms`, or by a pattern as %d/%m/%Y."""
    until_param: Text | None = None
    """The name of the parameter for the end of the time, where Oplead wants both; it is given the present."""


class Fields(Strict):
    """Where each thing stands in a lead; several paths are tried in turn.

    Unset ones use what is known of Oplead.
    """

    id: Paths | None = None
    """The lead's id."""
    created_at: Paths | None = None
    """When the lead was created."""
    updated_at: Paths | None = None
    """When anything in it last changed."""
    status: Paths | None = None
    """Its status label."""
    status_at: Paths | None = None
    """Since when it has that label."""
    history: Paths | None = None
    """The list of its past labels with their times."""
    click_id: Paths | None = None
    """The click ids of its advertisement."""
    click_id_at: Paths | None = None
    """When the click happened."""
    utm_source: Paths | None = None
    """UTM source."""
    utm_medium: Paths | None = None
    """UTM medium."""
    utm_campaign: Paths | None = None
    """UTM campaign."""
    email: Paths | None = None
    """E-mail address."""
    phone: Paths | None = None
    """Phone numbers."""
    first_name: Paths | None = None
    """First name."""
    last_name: Paths | None = None
    """Last name."""
    postcode: Paths | None = None
    """Postcode."""
    city: Paths | None = None
    """City."""
    country: Paths | None = None
    """Country."""


class Oplead(Strict):
    """The source of leads."""

    token: Secret
    """A reference: `${OPLEAD_TOKEN}` or `file:/run/secrets/oplead`."""
    base_url: Address = AnyUrl("https://api.oplead.com")
    """Oplead's address, or a local server's."""
    path_prefix: Annotated[str, Like(r"(/[^\s/?#]+)*", 'write the start of the path, as /v1, or "" for none')] = "/v1"
    """What stands before `leads_path` and `lead_path`."""
    leads_path: Annotated[str, Like(r"(/[^\s/?#{}]+)+", "write the list's path, as /leads")] = "/leads"
    """The path of the list."""
    lead_path: Annotated[
        str,
        Like(
            r"(/[^\s/?#{}]+)*/[^\s/?#{}]*\{id\}[^\s/?#{}]*(/[^\s/?#{}]+)*",
            "write the path of one lead, with {id} once where its id goes, as /leads/{id}",
        ),
    ] = "/leads/{id}"
    """The path of one lead, `{id}` in the place of its id."""
    extra_headers: dict[
        Annotated[str, Like(HEADER_NAME, "a header's name has letters, digits and hyphens, as X-Tenant")],
        Annotated[str, Like(r"[!-~]([ -~]{0,198}[!-~])?", "a header's value is plain text on one line, no accents")],
    ] = Field(default_factory=dict)
    """Headers that every request carries, as X-Tenant; never a key: that is `token`, shown by `auth`."""
    extra_query: dict[Text, Text] = Field(default_factory=dict)
    """Query parameters that every request carries, as archived; never a key."""
    auth: Auth = Auth()
    """How the token is shown."""
    pagination: Pagination = Pagination()
    """How the list goes on."""
    pull: Literal["since", "list", "details"] | None = None
    """`list` reads every page and finds changes by digest, `since` asks for them, `details` reads each lead's page."""
    since_filter: SinceFilter | None = None
    """The filter by which `since` asks for changes."""
    detail: Literal["auto", "always", "never"] = "auto"
    """Whether a lead's own page is read: `auto` only where the list leaves out the click ids."""
    fields: Fields = Fields()
    """Where things stand in a lead."""
    rate: PositiveInt = Field(default=90, le=100)
    """Requests a minute; Oplead's published limit is 100."""
    in_flight: PositiveInt = Field(default=4, le=16)
    """How many of leads' own pages may be asked for at once."""
    overlap: Span = timedelta(days=3)
    """How far each pull reaches back before the last one."""
    budget: Span = timedelta(hours=4)
    """How long a pull may take."""
    max_requests: PositiveInt | None = None
    """After so many requests a pull stops at a page's end; the next one goes on there."""
    largest_page_mb: PositiveInt = Field(default=64, le=1024)
    """How many megabytes a page of the list may have, unpacked; a larger one is refused unread."""

    @property
    def pull_style(self) -> Literal["since", "list", "details"]:
        """How leads are pulled: as written, else `since` where a filter is named, else `list`."""
        return self.pull or ("since" if self.since_filter else "list")
