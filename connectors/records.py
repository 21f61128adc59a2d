"""What crosses the ports: frozen records, with no I/O and no third-party import."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import NewType, Self

LeadId = NewType("LeadId", str)
"""Oplead's id of a lead: opaque, never read as a number."""

DeliveryKey = NewType("DeliveryKey", str)
"""What a platform deduplicates by (`transaction_id`, `order_id`, `event_id`): ≤ 64 characters, no personal data."""

DestinationId = NewType("DestinationId", str)
"""The configured name of one Google customer or one Meta dataset; never the transport."""


# ── leads ────────────────────────────────────────────────────────────────────────────────────────


class ClickIdKind(StrEnum):
    """The click ids we recognise; which of them a platform takes, its `Limits` say."""

    GCLID = "gclid"
    GBRAID = "gbraid"
    WBRAID = "wbraid"
    FBCLID = "fbclid"
    FBC = "fbc"
    FBP = "fbp"
    LEAD_ID = "lead_id"
    MSCLKID = "msclkid"
    TTCLID = "ttclid"
    LI_FAT_ID = "li_fat_id"


@dataclass(frozen=True, slots=True)
class ClickId:
    """One click id as it was found, its case untouched."""

    kind: ClickIdKind
    value: str = field(repr=False)
    clicked_at: datetime | None = None
    """When the click happened, where it was captured with the id; aware UTC."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as a platform wrote it: an instant, or only a calendar day in the account's zone."""

    at: datetime | date

    def __post_init__(self) -> None:
        """Refuse a naive time, so that no later step has to guess a zone."""
        if isinstance(self.at, datetime) and self.at.tzinfo is None:
            raise ValueError("a moment needs a time zone")

    @property
    def date_only(self) -> bool:
        """Whether only the day is known."""
        return not isinstance(self.at, datetime)


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """One line of a lead's history: the label it took, and when, where Oplead dates it."""

    label: str
    at: Moment


@dataclass(frozen=True, slots=True)
class Contact:
    """A person's contact data as typed into the CRM; never printed, never stored."""

    emails: tuple[str, ...] = field(default=(), repr=False)
    phones: tuple[str, ...] = field(default=(), repr=False)
    first_name: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    postcode: str | None = field(default=None, repr=False)
    city: str | None = field(default=None, repr=False)
    country: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Utm:
    """The three UTM fields Oplead keeps."""

    source: str | None = None
    medium: str | None = None
    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """One Oplead lead, as far as this project needs it."""

    id: LeadId
    created_at: datetime
    updated_at: datetime | None
    label: str | None
    """The status label it has now."""
    history: tuple[StatusEntry, ...]
    """Dated status changes, oldest first; the current one among them where Oplead dates it."""
    click_ids: tuple[ClickId, ...]
    click_id_problem: str | None
    """Why the click-id field held something and still gave none; by shape, never the value."""
    utm: Utm
    contact: Contact
    fields: Mapping[str, str | Decimal] = field(repr=False)
    """The paths the settings name (consent, `where`, amounts) and their values; absent ones left out.
    JSON numbers arrive as Decimal, booleans as "true" and "false", text as it stands."""
    digest: str
    """Changes when anything in the lead does, so that an unchanged lead is not read whole."""


@dataclass(frozen=True, slots=True)
class UnreadableLead:
    """A lead that could not be read, and why; the page it stood on goes on without it."""

    id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class OtherLead:
    """Another lead than the one asked for stands on its page, as after two were merged."""

    id: LeadId


Found = Lead | UnreadableLead | OtherLead | None
"""What came of asking for one lead; None where it was deleted."""


@dataclass(frozen=True, slots=True)
class LeadPage:
    """One page of leads, reduced to records."""

    leads: tuple[Lead, ...]
    unchanged: tuple[LeadId, ...]
    """Leads seen on the page that the caller knows already with this digest, not read further."""
    unreadable: tuple[UnreadableLead, ...]
    served_at: datetime | None
    """The source's own clock when it answered (HTTP Date), aware UTC."""
    resume: str | None
    """An opaque token to go on after this page; None on the last."""
    moved: bool = False
    """Whether the list is known to have moved while it was read, so that leads may have been passed over."""
    missing: int = 0
    """How many more leads the source says there are than it listed; known on the last page."""


# ── conversions ──────────────────────────────────────────────────────────────────────────────────


class IdentifierKind(StrEnum):
    """The kinds of hashed contact data a platform matches by."""

    EMAIL = "email"
    PHONE = "phone"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    POSTCODE = "postcode"
    CITY = "city"
    COUNTRY = "country"


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """One platform-ready SHA-256, lower-case hex, of normalised contact data."""

    kind: IdentifierKind
    sha256: str = field(repr=False)

    @classmethod
    def of(cls, kind: IdentifierKind, normalized: str) -> Self:
        """The identifier of contact data in a platform's form."""
        return cls(kind, sha256(normalized.encode()).hexdigest())


class Signal(StrEnum):
    """One consent signal as a platform gets it."""

    GRANTED = "granted"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Consent:
    """The two consent signals; None leaves one unset."""

    ad_user_data: Signal | None
    ad_personalization: Signal | None


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in major units (euros, not cents) and its ISO 4217 currency."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """Where a conversion lands inside a destination, in the platform's own ids."""

    transport: str
    """How it is carried (`data_manager`); recorded with each delivery, never part of its identity."""
    owner: str
    """The Google customer (digits) or Meta dataset."""
    action: str
    """The Google conversion action id or Meta event name."""
    source: str
    """Where it happened, for the platform (Google `event_source`, Meta `action_source`; `crm` for a Meta funnel)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One conversion as a platform will read it, before encoding."""

    key: DeliveryKey
    target: Target
    at: datetime
    click_id: ClickId | None
    """With the time its windows count from."""
    identifiers: tuple[Identifier, ...]
    value: Money | None
    consent: Consent


@dataclass(frozen=True, slots=True)
class EncodedEvent:
    """An event's bytes, frozen while its state is open: a replay sends the same."""

    key: DeliveryKey
    body: bytes = field(repr=False)


class AdjustmentKind(StrEnum):
    """How a conversion that a platform has counted is corrected later."""

    RETRACTION = "retraction"
    """Value and count are taken back."""
    RESTATEMENT = "restatement"
    """Another value, for good; the count stays."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One correction of an accepted conversion, before encoding."""

    key: DeliveryKey
    """Of the conversion it corrects, as that was sent."""
    target: Target
    """Where that conversion was sent; its `transport` is the one that carries the correction."""
    kind: AdjustmentKind
    at: datetime
    """Of the correction: after the conversion, and later than the last correction's of the same conversion."""
    value: Money | None
    """The new total, never a difference; None for a retraction."""
    event: Event | None
    """The whole event as it is to be sent anew, where a transport corrects by that; None otherwise."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What one transport can correct, as data."""

    kinds: frozenset[AdjustmentKind]
    within: timedelta
    """After the conversion; an older one stays as it is."""
    batch: int
    """Corrections in one request at most."""
    by_resending: bool
    """Whether it corrects by the same key with another value, so that `Adjustment.event` is needed."""
    except_by: frozenset[ClickIdKind] = frozenset()
    """The click ids whose conversions it cannot correct."""


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """A version of a platform's interface that this program speaks, and when the platform ends it."""

    name: str
    """As people know it: `Google Ads API v26`."""
    ends_on: date
    """The first day on which it may be refused."""
    page: str
    """The vendor's page that says so."""
    is_estimate: bool = False
    """Whether the vendor has not named a day yet, and this is the earliest that its habits allow."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a sink can take, as data, so that rules and plan never name a platform."""

    batch: int
    """Events in one request at most."""
    click_ids: tuple[ClickIdKind, ...]
    """The kinds it takes, preferred first; exactly one goes out."""
    contact_with: frozenset[ClickIdKind]
    """The kinds that may carry hashed contact data with them."""
    opens_after_click: timedelta
    """It refuses an event sent sooner after its click."""
    click_window: timedelta
    """It forgets a click after this long, whatever the action's own window."""
    contact_window: timedelta
    """It matches contact data alone only this long after the lead's creation."""
    needs_personalization: bool
    """Whether a refused `ad_personalization` keeps everything from it."""
    resolve_after: timedelta
    """How long after a submission its outcome is worth asking for."""
    interchangeable: frozenset[ClickIdKind] = frozenset()
    """Kinds that are forms of one id: of these the latest click goes out, whichever form it has."""
    event_window: timedelta | None = None
    """It refuses an event that happened longer ago than this; None where only the click's age counts."""
    source_windows: Mapping[str, timedelta] = field(default_factory=dict)
    """The event window of those `Target.source`s that are given another."""
    replay_within: timedelta | None = None
    """It may count one key twice, so after a lost answer the same bytes go again only within this time; None where a
    key counts once for good."""
    takes_assumed_times: bool = True
    """Whether it may get a time that is only assumed; one that forbids re-dating may not."""
    corrects: Mapping[str, Correction] = field(default_factory=dict)
    """What can be corrected afterwards, by the transport that carries it; empty where nothing can."""
    version: ApiVersion | None = None
    """The version spoken, where the platform ends versions."""


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


class OutcomeClass(StrEnum):
    """What an answer means for a delivery and its destination; every member of every vendor enum has one."""

    DONE = "done"
    DUPLICATE = "duplicate"
    """Already there: done only where our ledger holds an earlier attempt of that key."""
    RETRY = "retry"
    DEFER = "defer"
    """Too soon; try again not before `Outcome.until` or `retry_after`."""
    EXPIRED = "expired"
    FIX_DATA = "fix_data"
    DROP = "drop"
    DROP_EXPECTED = "drop_expected"
    """Dropped, and nothing to alarm anyone about: no such click, for contact-only rows."""
    FIX_CONFIG = "fix_config"
    BUG = "bug"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row, in our words and the platform's code."""

    kind: OutcomeClass
    code: str
    message: str = ""
    """The platform's sentence, without anything we sent; ids and codes only."""
    retry_after: timedelta | None = None
    """The platform's own delay, where it named one."""
    of_target: bool = False
    """Whether it is the conversion action that is wrong, and others of the destination may go on."""
    final_after: timedelta | None = None
    """Of a correction that is put off: how long after its conversion was sent the same answer is final."""


@dataclass(frozen=True, slots=True)
class Received:
    """Every row was taken in; what became of them is to be asked for later with the ticket."""

    ticket: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """The outcome of every row, in the order they were sent."""

    outcomes: tuple[Outcome, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The request was refused whole and nothing of it was processed."""

    outcome: Outcome
    rows: tuple[int, ...] = ()
    """The rows the answer blames, where it names any."""
    unasked: bool = False
    """Whether no request was made: the sink itself refuses what it was given."""
    warnings: tuple[str, ...] = ()


UNREADABLE_EVENT = Refused(
    Outcome(OutcomeClass.BUG, "EVENT_CANNOT_BE_READ", "its frozen bytes are no event of this version"), unasked=True
)
"""What every sink says of frozen bytes that its present version cannot send."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """No connection was made, so nothing can have arrived."""

    reason: str
    unreachable: str = ""
    """The address, where no connection to it comes about at all."""
    is_unknown_host: bool = False
    """Whether its host name does not exist, so that trying again in a moment is pointless."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Something was sent and no answer came back that says what became of it: it may have been taken or not."""

    reason: str
    retry_after: timedelta | None = None
    """The platform's own delay, where even such an answer names one."""


Receipt = Received | Answered | Refused | NotSent | Lost


@dataclass(frozen=True, slots=True)
class StillPending:
    """The platform has not finished with the request."""


@dataclass(frozen=True, slots=True)
class PartlyRefused:
    """Some rows were refused and the answer does not say which."""

    refused: int
    total: int
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Miscounted:
    """The platform has finished with another number of rows than were sent, so that it speaks for none of them."""

    counted: int
    total: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The platform no longer knows the request; its outcome will never be known."""

    code: str


Resolution = Answered | StillPending | PartlyRefused | Miscounted | Forgotten


# ── what a platform knows of our configuration ───────────────────────────────────────────────────


class CheckVerdict(StrEnum):
    """What came of looking something up."""

    VERIFIED = "verified"
    FAILED = "failed"
    DOUBTFUL = "look at"
    """It may be right or wrong: a person should look at it."""
    UNREADABLE = "not readable"
    """This access does not let us see it; it says nothing against sending."""


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing that was looked up with a platform."""

    subject: str
    """What was looked at, as `conversion action 987654321`."""
    verdict: CheckVerdict
    said: str
    """What was found, in a marketer's words."""
    advice: str = ""
    """What to do about it; empty where there is nothing to do."""
    settles: str = ""
    """The setting that need not be taken for granted any more, now that this is known."""
    is_notable: bool = False
    """Whether a person wants to read it even where all is well."""


@dataclass(frozen=True, slots=True)
class AssumedTarget:
    """What the settings take for granted about one conversion's target."""

    conversion: str
    """The configured id, for the words of a finding."""
    target: Target
    currency: str
    sends_value: bool
    sends_contact: bool
    click_window: timedelta | None
    """The action's own click window as the settings have it; None where they do not say."""


def utc(moment: datetime) -> datetime:
    """An aware time in UTC; a naive one is refused."""
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone")
    return moment.astimezone(UTC)
