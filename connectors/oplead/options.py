"""Options for one Oplead platform."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

from connectors.crm import CrmEventKind
from connectors.language import N_

BareRule = Literal["by_utm", "gclid", "fbclid", "reject"]
BareDigitsRule = Literal["reject", "lead_id"]
PaginationStyle = Literal["auto", "none", "page", "offset", "cursor", "last_id", "next_url", "link_header"]


@dataclass(frozen=True, slots=True)
class ApiAuthScheme:
    """How the token is sent; Oplead does not document it."""

    style: Literal["bearer", "header", "query", "none"] = "bearer"
    name: str | None = None
    """The name of the header or query parameter; required for `header` and `query`."""
    prefix: str = ""
    """Text before the token in the header, including any space."""


@dataclass(frozen=True, slots=True)
class PaginationOptions:
    """How the list is paginated."""

    style: PaginationStyle = "auto"
    items: str | None = None
    """The path of the array of leads; found automatically if unset."""
    next: str | None = None
    """The path of the next URL or cursor; found automatically if unset."""
    page_param: str = "page"
    first_page: int = 1
    size_param: str | None = None
    size: int | None = None
    offset_param: str = "offset"
    cursor_param: str = "cursor"
    total: str | None = None
    """The path of the total number of leads; found automatically if unset."""
    total_header: str | None = None
    """The header with the total number of leads; none is used if unset."""
    max_pages: int = 10_000


@dataclass(frozen=True, slots=True)
class SinceQueryParameters:
    """The query parameters that restrict the list to leads changed since a given time."""

    param: str
    format: str = "iso"
    """`iso` (in UTC), `epoch_s`, `epoch_ms`, or in the account's zone `date` or a `strftime` pattern (`%d/%m/%Y`)."""
    until_param: str | None = None
    """The parameter for the end of the period, if the platform requires both ends."""


Paths = tuple[str, ...]
_PEOPLE = ("", "contact.", "customer.")
_PLACES = ("", "address.", "contact.", "contact.address.")


def _append_path_names(parents: Paths, *names: str) -> Paths:
    return tuple(parent + name for parent in parents for name in names)


@dataclass(frozen=True, slots=True)
class FieldPaths:
    """Where each field is in a lead, as dotted paths tried in order."""

    id: Paths = ("id", "leadIdentifier", "leadId", "identifier", "leadData.id")
    created_at: Paths = ("createdAt", "creationDate", "dateCreation", "createdOn", "created", "leadData.createdAt")
    updated_at: Paths = ("updatedAt", "updateDate", "modifiedAt", "lastModified", "updated", "leadData.updatedAt")
    status: Paths = ("status", "leadData.status", "leadStatus", "state")
    status_at: Paths = ("statusDate", "status.date", "statusUpdatedAt", "statusChangedAt", "leadData.statusDate")
    history: Paths = ("statusHistory", "history", "leadData.statusHistory")
    click_id: Paths = ("leadData.externalID", "externalID")
    click_id_at: Paths = ()
    utm_source: Paths = ("utm_source", "leadData.utm_source", "tracking.utm_source")
    utm_medium: Paths = ("utm_medium", "leadData.utm_medium", "tracking.utm_medium")
    utm_campaign: Paths = ("utm_campaign", "leadData.utm_campaign", "tracking.utm_campaign")
    email: Paths = (*_append_path_names(_PEOPLE, "email", "emails"), "ctc_email")
    phone: Paths = (
        *_append_path_names(_PEOPLE, "phone", "mobile", "mobilePhone", "landline", "phones"),
        "ctc_phone",
        "ctc_mobile",
    )
    first_name: Paths = (*_append_path_names(_PEOPLE, "firstname"), "ctc_firstname")
    last_name: Paths = (*_append_path_names(_PEOPLE, "lastname"), "ctc_lastname")
    postcode: Paths = (*_append_path_names(_PLACES, "postcode", "zipCode", "postalCode"), "ctc_postcode")
    city: Paths = (*_append_path_names(_PLACES, "city"), "ctc_city")
    country: Paths = (*_append_path_names(_PLACES, "country"), "ctc_country")
    appointment_at: Paths = ()
    history_status: Paths = ()
    """Within an entry of the history; empty tries the usual names."""
    history_at: Paths = ()
    """In the same way."""


CANDIDATES = FieldPaths()
"""Where fields usually are."""


@dataclass(frozen=True, slots=True)
class UnlabelledClickIdRules:
    """How to read click ids without a label."""

    bare: BareRule = "by_utm"
    bare_digits: BareDigitsRule = "reject"


@dataclass(frozen=True, slots=True)
class OpleadOptions:
    """One Oplead platform: its address, how to query it, and where fields are in its leads."""

    token: str = field(repr=False)
    zone: ZoneInfo
    """The time zone of calendar days and of times that lack one."""
    base_url: str = "https://api.oplead.com"
    path_prefix: str = "/v1"
    leads_path: str = "/leads"
    lead_path: str = "/leads/{id}"
    extra_headers: Mapping[str, str] = field(default_factory=dict)
    extra_query: Mapping[str, str] = field(default_factory=dict)
    in_flight: int = 4
    """The maximum number of requests in flight: details, and list pages that have numbers."""
    max_requests: int | None = None
    """The number of requests after which a night's reading stops at the end of a page, as when its time is up."""
    largest_page_mb: int = 64
    """The largest list page; a larger one is refused unread. A detail page may have a sixteenth: many may be queued."""
    auth: ApiAuthScheme = ApiAuthScheme()
    pagination: PaginationOptions = PaginationOptions()
    since_filter: SinceQueryParameters | None = None
    """None lists everything and leaves change detection to the caller's digests."""
    detail: Literal["auto", "always", "never"] = "auto"
    """Whether to fetch a lead's detail page; `auto` does if the list omits the object that holds the click ids."""
    fields: FieldPaths = FieldPaths()
    labels: frozenset[str] = frozenset()
    """The labels that the settings name: a status with a code and a text is called as they call it."""
    click_ids: UnlabelledClickIdRules = UnlabelledClickIdRules()


OCCURRED_AT = ("occurredAt", "occurred_at")
"""Where the time of a webhook's event usually is."""


@dataclass(frozen=True, slots=True)
class WebhookFieldPaths:
    """Where things are in the events of a webhook; all defaults are assumed, as Oplead publishes nothing about them."""

    names: Mapping[CrmEventKind, str]
    """The platform's own name for each kind of event."""
    event: Paths = ("event", "type", "eventType", "event_type", "action")
    event_id: Paths = ("eventId", "event_id", "deliveryId", "messageId")
    at: Paths = OCCURRED_AT
    lead: Paths = ("lead", "data.lead", "data", "payload.lead", "payload")
    lead_id: Paths | None = None
    """None tries a few names, and refuses two different ids."""
    status: Paths = ("newStatus", "toStatus", "status.new", "status.to")
    appointment_at: Paths = ("appointmentAt", "appointmentDate", "appointment.date", "appointment.at", "dateRdv")


PUT_THE_KEY = N_(
    "put the client admin's API key into the variable that oplead.token names, as OPLEAD_TOKEN in .env, "
    "never into the settings themselves"
)
"""Advice for a refused key, worded to keep the key out of a shared file."""


# ── writing ──────────────────────────────────────────────────────────────────────────────────────

LIST = "[]"
"""The end of a path at which a list is written."""
ValueType = Literal["text", "number", "boolean"]
ValueTypes = Mapping[str, ValueType]
"""How the value at a path goes out, by path; others are texts."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A verb and a path that may hold `{id}`."""

    verb: str
    path: str

    @property
    def is_single_lead_endpoint(self) -> bool:
        """Whether the path names one lead."""
        return "{id}" in self.path


@dataclass(frozen=True, slots=True)
class FormImportServiceOptions:
    """The form import, a service of its own."""

    token: str = field(repr=False)
    form: str
    url: str
    click_id: str | None = None
    """The variable that takes click ids; None if nobody knows it yet."""


@dataclass(frozen=True, slots=True)
class SubscriptionOptions:
    """How webhooks are subscribed to; only the path is documented."""

    path: str = "/subscriptions"
    event_field: str = "event"
    url_field: str = "url"
    id_field: str | None = None
    """Where a subscription's id is; a few names are tried after it."""
    new_lead: str = "lead.created"
    status_change: str = "lead.status_changed"
    appointment: str = "lead.appointment_updated"


@dataclass(frozen=True, slots=True)
class CreationAnswers:
    """What is known of how a platform answers a request for something new; by default nothing is taken for granted."""

    refuses_early: bool = False
    """Whether a 429 is answered before anything is made."""
    created_without_id: bool = False
    """Whether a success may name no id."""


@dataclass(frozen=True, slots=True)
class OpleadWriteOptions:
    """How one platform is written to; Oplead documents some paths, no verb and no body."""

    create: Endpoint = Endpoint("POST", "/leads")
    update: Endpoint = Endpoint("PUT", "/leads/{id}")
    status: Endpoint = Endpoint("PUT", "/leads/{id}/status")
    status_field: str = "status"
    document: Endpoint = Endpoint("POST", "/leads/{id}/document/add")
    document_field: str = "file"
    channels: str = "/settings/marketing-channels"
    custom_fields: str = "/settings/custom-fields"
    paths: Mapping[str, str | None] = field(default_factory=dict)
    """Where each field is written in a lead, by name; without one, the first path it is read from."""
    types: ValueTypes = field(default_factory=dict)
    subscriptions: SubscriptionOptions = SubscriptionOptions()
    answers: CreationAnswers = CreationAnswers()
    form: FormImportServiceOptions | None = None
    """Creates leads in place of `create`, if set."""
