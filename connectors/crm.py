"""Writing to a CRM, and what it reports by webhook: records and protocols; frozen, no I/O, no third-party imports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from connectors.records import AnswerLost, ClickId, Contact, LeadId, Moment, RequestNotSent, Utm

# ── writing ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class LeadToWrite:
    """What to write about one lead; whatever is None or empty is left out."""

    contact: Contact = field(default_factory=Contact)
    click_ids: tuple[ClickId, ...] = ()
    external_id: str | None = field(default=None, repr=False)
    """Text to write as it is in place of click ids."""
    utm: Utm = field(default_factory=Utm)
    provider_name: str | None = None
    provider_url: str | None = field(default=None, repr=False)
    """Where the CRM reports what becomes of this lead."""
    fields: Mapping[str, str | Sequence[str]] = field(default_factory=dict, repr=False)
    """Other values, such as custom fields, by dotted path; several go out as a list."""


@dataclass(frozen=True, slots=True)
class DocumentToAttach:
    """A file to add to a lead, whose type and size have been checked."""

    path: Path
    name: str
    media_type: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class WriteAccepted:
    """The CRM took it."""

    id: str | None = None
    """The new lead's or subscription's id, if the answer names one."""


class WriteRefusalReason(StrEnum):
    """Why a write was refused, by who can mend it."""

    DATA = "data"
    """This lead, status or file: the others may still be taken (400, 409, 413, 415, 422)."""
    MISSING = "missing"
    """There is no such lead (404, 410)."""
    ACCESS = "access"
    """This key may not do it (401, 403)."""
    PATH = "path"
    """The settings name a path or verb that does not exist (404 where no lead is named, 405, 501)."""
    PACE = "pace"
    """Too many requests (429): nothing was written, and it may be tried again."""


@dataclass(frozen=True, slots=True)
class WriteRefused:
    """The CRM refused, and nothing was written."""

    status: int
    """The HTTP status; 0 if it was refused here, before anything was sent."""
    fault: WriteRefusalReason
    reason: str
    """What the CRM says, without anything that was sent."""


WriteReceipt = WriteAccepted | WriteRefused | RequestNotSent | AnswerLost
"""What became of one write; `AnswerLost` means that it may or may not have been done."""


@dataclass(frozen=True, slots=True)
class WritePreview:
    """What would be written."""

    request: str
    """The verb and the path."""
    values: Mapping[str, str] = field(repr=False)
    """Each value by its place, without keys."""


class CrmEventKind(StrEnum):
    """What a CRM can be asked to report."""

    NEW_LEAD = "new_lead"
    STATUS_CHANGE = "status_change"
    APPOINTMENT = "appointment"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription on record in the CRM."""

    id: str
    event: str
    """The CRM's own name for it."""
    url: str = field(repr=False)


Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class CrmListEntries(Generic[Entry]):
    """What a list of the CRM holds."""

    entries: Sequence[Entry] = ()
    gap: str | None = None
    """Why some may be missing; None if the list was read whole."""


class LeadWriter(Protocol):
    """Write access to a CRM; each method makes at most one request, without retries, and never raises for its answer.

    `Misconfigured` is raised for settings with which no request can be made.
    """

    def create(self, lead: LeadToWrite, *, leaving: Callable[[], None] = lambda: None) -> WriteReceipt:
        """Create a lead; `leaving` is called right before its request leaves, after every wait, or not at all."""

    def update(self, lead_id: LeadId, lead: LeadToWrite) -> WriteReceipt:
        """Change a lead; what `lead` leaves out stays."""

    def set_status(self, lead_id: LeadId, label: str) -> WriteReceipt:
        """Set a lead's status."""

    def attach_document(self, lead_id: LeadId, document: DocumentToAttach) -> WriteReceipt:
        """Add a document to a lead."""

    def subscribe(self, event: CrmEventKind, url: str) -> WriteReceipt:
        """Have events of one kind reported to an address."""

    def unsubscribe(self, subscription_id: str) -> WriteReceipt:
        """End a subscription."""


class PreviewsWrites(Protocol):
    """A writer that also shows what it would write."""

    def preview_write(self, lead: LeadToWrite, lead_id: LeadId | None = None) -> WritePreview:
        """Return what `create`, or with an id `update`, would write; raise ValueError with why it cannot be written."""


class CrmLists(Protocol):
    """What a CRM's own settings and subscriptions hold; raises what `LeadSource` raises."""

    def subscriptions(self) -> CrmListEntries[Subscription]:
        """Return the subscriptions on record."""

    def crm_marketing_channels(self) -> CrmListEntries[Mapping[str, object]]:
        """Return the marketing channels, as the CRM shows them."""

    def custom_field_definitions(self) -> CrmListEntries[Mapping[str, object]]:
        """Return the custom fields, as the CRM shows them."""


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One event that a webhook reports, without contact data."""

    kind: CrmEventKind | None
    """None if it is not understood."""
    lead: LeadId | None
    label: str | None = None
    """The status label, as the CRM spells it."""
    at: Moment | None = None
    """When it happened, if the event says so."""
    appointment_at: Moment | None = None
    """When the appointment is, if the lead has one."""
    structure: str = ""
    """The paths of an event that is not understood, with every value masked to its shape."""


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as received."""

    event: WebhookEvent
    received_at: datetime
    """Aware UTC."""
    digest: str
    """The same for every redelivery: SHA-256 of the event's own id, or else of the body."""
    is_unique: bool
    """Whether two different events never share a digest, since the event has an id or a time of its own."""
