"""The model of what concerns Oplead in the configuration file: reading leads, writing them, webhooks and files."""

import re
from datetime import date, timedelta
from glob import escape
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AnyUrl,
    BeforeValidator,
    Field,
    PositiveInt,
    SecretStr,
    ValidationInfo,
    model_validator,
)

from connectors.language import N_, _
from jobs.settings.references import Address, SecretReferenceResolver
from jobs.settings.types import Path_, Paths, PatternConstraint, Secret, Span, Strict, Text, WrittenPath, YesNo

HEADER_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"
HeaderName = Annotated[
    str, PatternConstraint(HEADER_NAME, N_("a header's name has letters, digits and hyphens, as X-Signature"))
]


def _resolve_path_from_settings(value: object, info: ValidationInfo) -> object:
    """Have a relative path start at the settings file's folder."""
    if isinstance(value, str) and isinstance(info.context, SecretReferenceResolver):
        return info.context.folder / value
    return value


def _files_beside_the_settings(pattern: str, info: ValidationInfo) -> str:
    """Have a relative pattern start at the settings file's folder, whatever characters that has."""
    if Path(pattern).is_absolute() or not isinstance(info.context, SecretReferenceResolver):
        return pattern
    return f"{escape(str(info.context.folder.absolute()))}/{pattern}"


Files = Annotated[Text, AfterValidator(_files_beside_the_settings)]
"""A pattern of file names, such as exports/*.csv."""


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


class AuthSettings(Strict):
    """How the token is passed to Oplead, which does not publish how."""

    style: Literal["bearer", "header", "query", "none"] = "bearer"
    """`bearer` sends `Authorization: Bearer TOKEN`; `header` and `query` need a `name`."""
    name: Text | None = None
    """The header's or query parameter's name, for `header` and `query`."""
    prefix: Annotated[str, PatternConstraint(r"[ -~]{0,100}", N_("write plain text without accents, as Key"))] = ""
    """What precedes the token in the header, including its space."""


class PaginationSettings(Strict):
    """How Oplead's list is paged."""

    style: Literal["auto", "none", "page", "offset", "cursor", "last_id", "next_url", "link_header"] = "auto"
    """`auto` follows only what describes itself: a next URL of the same host, a Link header, or a cursor."""
    items: Path_ | None = None
    """The path of the array of leads; searched for if unset."""
    next: Path_ | None = None
    """The path of the next URL or cursor in an answer."""
    page_param: Text = "page"
    """The query parameter of the page number, for `page`."""
    first_page: int = Field(default=1, ge=0, le=1)
    """The first page's number."""
    size_param: Text | None = None
    """The query parameter of the page size, if Oplead takes one."""
    size: PositiveInt | None = Field(default=None, le=1000)
    """How many leads to ask for at a time."""
    offset_param: Text = "offset"
    """The query parameter of the offset, for `offset`."""
    cursor_param: Text = "cursor"
    """The query parameter of the cursor, for `cursor`, or of the id of a page's last lead, for `last_id`."""
    total: Path_ | None = None
    """The path of the total number of leads in an answer; searched for if unset."""
    total_header: (
        Annotated[str, PatternConstraint(HEADER_NAME, N_("a header's name has letters, digits and hyphens"))] | None
    ) = None
    """The header that holds the total number of leads; no header is trusted unless it is named here."""
    max_pages: PositiveInt = 10_000
    """Give up on a list that goes on for longer than this."""


class SinceFilter(Strict):
    """A query parameter with which Oplead lists only what has changed since a given time."""

    param: Text
    """The name of Oplead's query parameter, such as updated_after."""
    format: Annotated[
        str,
        PatternConstraint(
            # Only directives that don't depend on the locale: names of months and days do.
            r"iso|date|epoch_s|epoch_ms|(?=.*%[Yy])(?=.*(%m.*%d|%d.*%m|%j))([^%]|%[YymdjHMSfz%])+",
            N_(
                "write iso, date, epoch_s, epoch_ms, or a day as %d/%m/%Y, with %H:%M:%S after it where times are taken"
            ),
        ),
    ] = "iso"
    """How the time is written: `iso`, `date`, `epoch_s`, `epoch_ms`, or a pattern such as %d/%m/%Y."""
    until_param: Text | None = None
    """The parameter for the end of the period, if Oplead wants both ends; it is set to the present."""


class FieldSettings(Strict):
    """Where each thing stands in a lead; several paths are tried in turn.

    Unset ones use what is known of Oplead.
    """

    id: Paths | None = None
    """The lead's id. Permanent: the ledger knows by it what was sent, so another one is refused."""
    created_at: Paths | None = None
    """When the lead was created."""
    updated_at: Paths | None = None
    """When anything in it last changed."""
    status: Paths | None = None
    """Its status label."""
    status_at: Paths | None = None
    """When it got that label."""
    history: Paths | None = None
    """The list of its past labels, with their times."""
    history_status: Paths | None = None
    """In an entry of that list: the label it got. Usual names (`status`, `to`, `new`, `nouveau` …) need no setting."""
    history_at: Paths | None = None
    """In an entry of that list: when it got the label. Usual names (`date`, `at`, `changedAt`, `le` …) need none."""
    click_id: Paths | None = None
    """The click ids of the ad it came from."""
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
    appointment_at: Paths | None = None
    """The date of the lead's appointment; a lead that gets one reaches the built-in label `appointment_set`."""


# ── writing ──────────────────────────────────────────────────────────────────────────────────────

Endpoint = Annotated[
    str,
    PatternConstraint(
        r"(POST|PUT|PATCH) (/([^\s/?#{}]|\{id\})+)+", N_("write a verb and a path, as PUT /leads/{id}/status")
    ),
]


class WrittenFields(Strict):
    """Where each thing is written in a lead; unset ones go to the first place they are read from.

    A place that ends in `[]`, as `contact.phones[]`, takes a list of the one value.
    """

    click_id: WrittenPath | None = None
    """The click ids, as `gclid=…&fbclid=…`."""
    utm_source: WrittenPath | None = None
    """UTM source."""
    utm_medium: WrittenPath | None = None
    """UTM medium."""
    utm_campaign: WrittenPath | None = None
    """UTM campaign."""
    email: WrittenPath | None = None
    """E-mail address."""
    phone: WrittenPath | None = None
    """Phone number."""
    first_name: WrittenPath | None = None
    """First name."""
    last_name: WrittenPath | None = None
    """Last name."""
    postcode: WrittenPath | None = None
    """Postcode."""
    city: WrittenPath | None = None
    """City."""
    country: WrittenPath | None = None
    """Country."""
    provider_name: WrittenPath = "provider.name"
    """The supplier's name."""
    provider_url: WrittenPath = "provider.url"
    """Where Oplead reports what becomes of the lead."""
    reference: WrittenPath | None = None
    """Your own reference of the lead, such as a custom field; leads whose answer was lost are looked up by it."""


class FormImportSettings(Strict):
    """Oplead's form import: another service, with a token and field names of its own."""

    token: Secret
    """A reference to the token in the tab `API Import`."""
    form: Text
    """The form's identifier."""
    url: Address = AnyUrl("https://leadimport.oplead.com/addlead/")
    """Its address, or a local server's."""
    click_id: Text | None = None
    """The variable that fills `leadData.externalID`; it is not documented, so leads with click ids need it."""


class WriteSettings(Strict):
    """How `oplead-sync oplead` writes. Oplead documents the paths; whatever says assumed is not documented."""

    via: Literal["api", "form"] = "api"
    """How leads are created: by the API, or by the form import."""
    create: Endpoint = "POST /leads"
    """Creates a lead; the verb is assumed."""
    update: Endpoint = "PUT /leads/{id}"
    """Changes a lead; assumed."""
    status: Endpoint = "PUT /leads/{id}/status"
    """Sets a lead's status; the verb is assumed."""
    status_field: WrittenPath = "status"
    """Where the label goes in that request; assumed."""
    document: Endpoint = "POST /leads/{id}/document/add"
    """Adds a document; Oplead's guide also names /leads/{id}/attachments. The verb is assumed."""
    document_field: Text = "file"
    """The name of the file's part in that request; assumed."""
    largest_document_mb: PositiveInt = Field(default=20, le=1024)
    """The largest document sent, in megabytes; assumed."""
    channels: Annotated[str, PatternConstraint(r"(/[^\s/?#{}]+)+", N_("write a path, as /settings/channels"))] = (
        "/settings/marketing-channels"
    )
    """The path of the marketing channels."""
    custom_fields: Annotated[
        str, PatternConstraint(r"(/[^\s/?#{}]+)+", N_("write a path, as /settings/custom-fields"))
    ] = "/settings/custom-fields"
    """The path of the custom fields; assumed."""
    fields: WrittenFields = WrittenFields()
    """Where things go in a lead."""
    types: dict[WrittenPath, Literal["text", "number", "boolean"]] = Field(default_factory=dict)
    """What is not a text, by its place as it is written: a number, or a boolean from yes or no, oui or non."""
    created_without_id: bool = False
    """Whether a success that names no id means that a lead, document or subscription was made; an error never does."""
    refuses_early: bool = False
    """Whether a 429 comes before anything is made, so that what it answers may be sent again."""
    form: FormImportSettings | None = None
    """The form import, for `via: form`."""


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────


class SubscriptionSettings(Strict):
    """How webhooks are subscribed to; only the path is documented."""

    path: Annotated[str, PatternConstraint(r"(/[^\s/?#{}]+)+", N_("write a path, as /subscriptions"))] = (
        "/subscriptions"
    )
    """The path of the subscriptions."""
    event_field: WrittenPath = "event"
    """Where the event's name goes in a subscription; assumed."""
    url_field: WrittenPath = "url"
    """Where the receiver's address goes; assumed."""
    id_field: Path_ | None = None
    """Where a subscription's id is in an answer; tried before the usual names (`id`, `subscriptionId`, `uuid` …)."""
    new_lead: Text = "lead.created"
    """The name of the event of a new lead; assumed."""
    status_change: Text = "lead.status_changed"
    """The name of the event of a status change; assumed."""
    appointment: Text = "lead.appointment_updated"
    """The name of the event of a new or changed appointment; assumed."""


class SignatureSettings(Strict):
    """How the sender signs a webhook: an HMAC over the raw body."""

    header: HeaderName
    """The header with the signature."""
    secret: Secret
    """A reference to the key it is made with."""
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    """The hash function."""
    encoding: Literal["hex", "base64"] = "hex"
    """How the signature is written."""
    prefix: Annotated[str, PatternConstraint(r"[!-~]{0,40}", N_("write plain text without spaces, as sha256="))] = ""
    """What precedes it in the header, such as sha256=."""


class WebhookFields(Strict):
    """Where each thing is in a webhook; several paths are tried in turn."""

    event: Paths = ("event", "type", "eventType", "event_type", "action")
    """The event's name; assumed."""
    event_id: Paths = ("eventId", "event_id", "deliveryId", "messageId")
    """An id that every redelivery of the same event has; assumed."""
    at: Paths = ("occurredAt", "occurred_at")
    """When it happened, not when it was sent; assumed."""
    lead: Paths = ("lead", "data.lead", "data", "payload.lead", "payload")
    """The lead; the event itself if none of these is an object; assumed."""
    lead_id: Paths | None = None
    """The lead's id where it is not in the lead; unset, leadId is tried, and two that differ are refused; assumed."""
    status: Paths = ("newStatus", "toStatus", "status.new", "status.to")
    """The new status where it is not the lead's own; assumed."""
    appointment_at: Paths = ("appointmentAt", "appointmentDate", "appointment.date", "appointment.at", "dateRdv")
    """The date of the appointment, after `oplead.fields.appointment_at`; assumed."""


SHORTEST_SECRET = 20
_IN_A_PATH = re.compile(r"[A-Za-z0-9._~-]+")


def _hard_to_guess(secret: SecretStr, info: ValidationInfo) -> SecretStr:
    is_known = isinstance(info.context, SecretReferenceResolver) and info.context.looks_up
    if is_known and len(secret.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(
            _(
                "this secret has fewer than {shortest} characters; make one with: openssl rand -hex 32",
                shortest=SHORTEST_SECRET,
            )
        )
    return secret


class FormerSecretSettings(Strict):
    """A secret in addresses that are still out there."""

    secret: Annotated[Secret, AfterValidator(_hard_to_guess)]
    """A reference to it."""
    until: date
    """The last day on which it is accepted, by UTC."""


class WebhookSettings(Strict):
    """The receiver of Oplead's webhooks, started by `oplead-sync oplead webhooks serve`."""

    secret: Annotated[Secret, AfterValidator(_hard_to_guess)]
    """A reference to the secret that every webhook carries, 20 characters or more."""
    secret_header: HeaderName | None = None
    """The header that carries it; unset, it is the last part of the address."""
    provider_secret: Annotated[Secret, AfterValidator(_hard_to_guess)] | None = None
    """A reference to another one, for `provider.url`: users of Oplead may read it there, so it must not be `secret`."""
    accept_former: tuple[FormerSecretSettings, ...] = ()
    """Secrets of former addresses, which created leads keep as `provider.url`; each is accepted until a day."""
    signature: SignatureSettings | None = None
    """The sender's signature, if it signs."""
    listen: Annotated[
        str, PatternConstraint(r"(\[[0-9a-f:.]+\]|[0-9a-z.-]+):[0-9]{1,5}", N_("write host:port, as 127.0.0.1:8391"))
    ] = "127.0.0.1:8391"
    """Where the receiver listens, behind a proxy that speaks TLS."""
    public_url: Address | None = None
    """The address Oplead calls, without the secret, such as https://hooks.maison-durand.fr."""
    inbox: Annotated[Path, BeforeValidator(_resolve_path_from_settings, json_schema_input_type=str)] | None = None
    """The receiver's file; default: `ACCOUNT.inbox.db` beside the state. If that is a database, the inbox is in it."""
    fields: WebhookFields = WebhookFields()
    """Where things are in a webhook."""
    subscriptions: SubscriptionSettings = SubscriptionSettings()
    """How webhooks are subscribed to."""
    largest_kb: PositiveInt = Field(default=256, le=10_240)
    """The largest webhook, in kilobytes."""
    seconds: PositiveInt = Field(default=10, le=60)
    """How long a webhook may take to arrive."""
    connections: PositiveInt = Field(default=200, le=10_000)
    """How many connections may be open at once."""
    per_minute: PositiveInt = Field(default=60_000, le=1_000_000)
    """How many events of webhooks are taken a minute; one request may hold a hundred."""
    confirm_within: Span = timedelta(days=30)
    """How long a status that a webhook reported waits for Oplead to show it."""
    trust: tuple[Literal["appointment"], ...] = ()
    """What counts as soon as a webhook reports it, though no reading of the lead can confirm it."""
    because: Annotated[str, Field(min_length=10, max_length=300)] | None = None
    """Why that may be trusted; `trust` takes it."""

    @property
    def accepted_secrets(self) -> dict[SecretStr, str]:
        """Every secret that the receiver takes, with its key in the settings."""
        former = {each.secret: "webhooks.accept_former" for each in self.accept_former}
        provider = {self.provider_secret: "webhooks.provider_secret"} if self.provider_secret else {}
        return {**former, **provider, self.secret: "webhooks.secret"}

    @model_validator(mode="after")
    def _trust_has_a_reason(self) -> Self:
        if bool(self.trust) != bool(self.because):
            raise ValueError(_("`trust` and `because` go together: write why a report may count unconfirmed"))
        return self

    @model_validator(mode="after")
    def _provider_has_its_own(self) -> Self:
        if self.provider_secret == self.secret:
            raise ValueError(_("provider_secret must differ from secret, as others may read it in provider.url"))
        return self

    @model_validator(mode="after")
    def _secret_fits_an_address(self, info: ValidationInfo) -> Self:
        in_addresses = [] if self.secret_header else [self.secret]
        in_addresses += [self.provider_secret] if self.provider_secret else []
        is_known = isinstance(info.context, SecretReferenceResolver) and info.context.looks_up
        if is_known and not all(_IN_A_PATH.fullmatch(each.get_secret_value()) for each in in_addresses):
            raise ValueError(
                _(
                    "the secret is part of an address, so it has letters, digits, . _ ~ and - only; make one "
                    "with: openssl rand -hex 32, or name a secret_header"
                )
            )
        return self


# ── files ────────────────────────────────────────────────────────────────────────────────────────


class ExportFileSettings(Strict):
    """Where leads come from if not from the API: files that somebody or a script exports from Oplead."""

    csv: Files | None = None
    """The files, such as exports/*.csv; the one written last is read."""
    xlsx: Files | None = None
    """The same for Excel workbooks, such as exports/*.xlsx."""
    sheet: Text | None = None
    """The workbook's sheet; the first one if unset."""
    columns: dict[Text, Path_] = Field(default_factory=dict)
    """Each column's title and the place of its values in a lead, such as { Montant TTC: amount }."""
    encoding: Literal["utf-8", "utf-16", "cp1252"] | None = None
    """How a CSV file's text is encoded, where the file does not show it; `cp1252` is Excel's in Western Europe."""
    delimiter: Literal[";", ",", "tab"] | None = None
    """What separates a CSV file's columns, where the file does not show it."""
    whole: YesNo = False
    """Whether each file has every lead; if so, a lead that is missing from two files in a row counts as deleted."""
    max_age: Span = timedelta(days=3)
    """How old the newest file may be; an older one is not read."""
    largest_mb: PositiveInt = Field(default=64, le=1024)
    """The largest file in megabytes; a workbook may unpack to eight times that."""


# ── the section ──────────────────────────────────────────────────────────────────────────────────


class OpleadSettings(Strict):
    """The source of leads."""

    token: Secret | None = None
    """A reference: `${OPLEAD_TOKEN}` or `file:/run/secrets/oplead`; only `source` makes it needless."""
    base_url: Address = AnyUrl("https://api.oplead.com")
    """Oplead's address, or a local server's."""
    path_prefix: Annotated[
        str, PatternConstraint(r"(/[^\s/?#]+)*", N_('write the start of the path, as /v1, or "" for none'))
    ] = "/v1"
    """What precedes `leads_path` and `lead_path`."""
    leads_path: Annotated[str, PatternConstraint(r"(/[^\s/?#{}]+)+", N_("write the list's path, as /leads"))] = "/leads"
    """The path of the list."""
    lead_path: Annotated[
        str,
        PatternConstraint(
            r"(/[^\s/?#{}]+)*/[^\s/?#{}]*\{id\}[^\s/?#{}]*(/[^\s/?#{}]+)*",
            N_("write the path of one lead, with {id} once where its id goes, as /leads/{id}"),
        ),
    ] = "/leads/{id}"
    """The path of one lead, with `{id}` for its id."""
    extra_headers: dict[
        Annotated[
            str, PatternConstraint(HEADER_NAME, N_("a header's name has letters, digits and hyphens, as X-Tenant"))
        ],
        Annotated[
            str,
            PatternConstraint(
                r"[!-~]([ -~]{0,198}[!-~])?", N_("a header's value is plain text on one line, no accents")
            ),
        ],
    ] = Field(default_factory=dict)
    """Headers sent with every request, such as X-Tenant; never a key, which is `token` and passed by `auth`."""
    extra_query: dict[Text, Text] = Field(default_factory=dict)
    """Query parameters sent with every request, such as archived; never a key."""
    auth: AuthSettings = AuthSettings()
    """How the token is passed."""
    pagination: PaginationSettings = PaginationSettings()
    """How the list is paged."""
    pull: Literal["since", "list", "details"] | None = None
    """`list` reads every page and compares, `since` asks Oplead for changes, `details` reads leads one by one."""
    since_filter: SinceFilter | None = None
    """The filter with which `since` asks for changes."""
    detail: Literal["auto", "always", "never"] = "auto"
    """Whether to read each lead's own page: `auto` only if the list leaves out the click ids."""
    fields: FieldSettings = FieldSettings()
    """Where things are in a lead."""
    rate: PositiveInt = Field(default=90, le=100)
    """Requests a minute, all commands together; Oplead's published limit is 100."""
    in_flight: PositiveInt = Field(default=4, le=16)
    """How many pages to request at once: leads' own, and pages of a list that has page numbers."""
    overlap: Span = timedelta(days=3)
    """How far each reading reaches back before the last one."""
    budget: Span = timedelta(hours=4)
    """How long a night's reading may take."""
    max_requests: PositiveInt | None = None
    """How many requests a night's reading may make; the next one carries on from there."""
    largest_page_mb: PositiveInt = Field(default=64, le=1024)
    """The largest page of the list in megabytes, unpacked; a larger one is refused unread."""
    write: WriteSettings = WriteSettings()
    """How leads, documents and statuses are written by `oplead-sync oplead`; a night only reads."""

    @property
    def token_value(self) -> str:
        """The token itself; empty if there is none, which only files make do with."""
        return "" if self.token is None else self.token.get_secret_value()

    @property
    def pull_style(self) -> Literal["since", "list", "details"]:
        """How leads are pulled: as written, else `since` where a filter is named, else `list`."""
        return self.pull or ("since" if self.since_filter else "list")
