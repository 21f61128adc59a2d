"""Frozen records that cross the ports; no I/O and no third-party imports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple, NewType, Self

LeadId = NewType("LeadId", str)
"""Oplead's lead id: opaque, never parsed as a number."""

DeliveryKey = NewType("DeliveryKey", str)
"""Deduplication key (`transaction_id`, `order_id`, `event_id`): at most 64 characters, no personal data."""

DestinationId = NewType("DestinationId", str)
"""Configured name of one Google customer or Meta dataset, independent of the transport."""


# ── leads ────────────────────────────────────────────────────────────────────────────────────────


class ClickIdKind(StrEnum):
    """Click ids we recognise; each sink's `Limits.click_ids` lists the ones it accepts."""

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
    """One click id as found, with its case preserved."""

    kind: ClickIdKind
    value: str = field(repr=False)
    clicked_at: datetime | None = None
    """Time of the click in aware UTC, if captured with the id."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as a platform wrote it: an instant, or just a calendar day in the account's time zone."""

    at: datetime | date
    again: datetime | None = field(default=None, compare=False)
    """When clocks showed it a second time, if they did and nothing says which is meant: an hour of autumn."""

    def __post_init__(self) -> None:
        """Reject naive times so that no later step has to guess a time zone."""
        if isinstance(self.at, datetime) and self.at.tzinfo is None:
            raise ValueError("a moment needs a time zone")

    @property
    def date_only(self) -> bool:
        """Whether only the calendar day is known."""
        return not isinstance(self.at, datetime)


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """One entry of a lead's history: a status label and when the lead took it."""

    label: str
    at: Moment
    also_called: tuple[str, ...] = ()
    """The status's other names, such as its code."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A person's contact data as typed into the CRM; never printed or stored."""

    emails: tuple[str, ...] = field(default=(), repr=False)
    phones: tuple[str, ...] = field(default=(), repr=False)
    first_name: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    postcode: str | None = field(default=None, repr=False)
    city: str | None = field(default=None, repr=False)
    country: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Utm:
    """The three UTM fields that Oplead keeps."""

    source: str | None = None
    medium: str | None = None
    campaign: str | None = None


BARE_CLICK_ID = "a value without a label, of unknown kind: see click_ids.bare"
"""The problem of a click id of which nothing tells whose it is: as text, so it is on record, and judged by."""


@dataclass(frozen=True, slots=True)
class Lead:
    """One Oplead lead, reduced to what this project needs."""

    id: LeadId
    created_at: datetime
    updated_at: datetime | None
    label: str | None
    """Current status label."""
    history: tuple[StatusEntry, ...]
    """Dated status changes, oldest first, including the current one if Oplead dates it."""
    click_ids: tuple[ClickId, ...]
    click_id_problem: str | None
    """Why a non-empty click-id field yielded no id; describes the shape, never the value."""
    utm: Utm
    contact: Contact
    fields: Mapping[str, str | Decimal] = field(repr=False)
    """Values at the paths named in the settings (consent, `where`, amounts), without absent ones.
    JSON numbers arrive as Decimal, booleans as "true" and "false", text unchanged."""
    digest: str
    """Changes whenever the lead does, so the detail fetch of an unchanged lead can be skipped."""
    has_appointment: bool = False
    """Whether an appointment is on record, past or future."""
    also_called: tuple[str, ...] = ()
    """The current status's other names, such as its code."""


@dataclass(frozen=True, slots=True)
class ListedLead:
    """A lead as a list shows it."""

    id: LeadId
    digest: str
    """Changes whenever its entry in the list does."""
    created_at: Callable[[], datetime | None] = field(default=lambda: None, compare=False, repr=False)
    """Reads when it was created as far as the list says; aware UTC. Few entries are asked for it."""


@dataclass(frozen=True, slots=True)
class UnreadableLead:
    """A lead that could not be read, and why; the rest of its page is still processed."""

    id: str | None
    reason: str
    created_at: datetime | None = None
    """When it was created as far as the list says, which may show that it does not matter; aware UTC."""
    is_refused: bool = False
    """Whether the key may not read its own page."""
    is_there: bool = True
    """Whether the source showed it; else only its own page was asked for, in vain."""


@dataclass(frozen=True, slots=True)
class SubstituteLead:
    """The lead returned in place of the one requested, for example after a merge."""

    id: LeadId


@dataclass(frozen=True, slots=True)
class NotInExport:
    """The file read has no such lead, which may well exist: the file need not have every lead."""


Found = Lead | UnreadableLead | SubstituteLead | NotInExport | None
"""Result of fetching one lead; None if it was deleted."""


@dataclass(frozen=True, slots=True)
class LeadPage:
    """One page of leads, reduced to records."""

    leads: tuple[Lead, ...]
    unchanged: tuple[LeadId, ...]
    """Leads whose digest the caller already knows; their details were not fetched."""
    unreadable: tuple[UnreadableLead, ...]
    served_at: datetime | None
    """The source's clock at response time (HTTP Date), aware UTC."""
    resume: str | None
    """Opaque cursor to continue after this page; None on the last page."""
    moved: bool = False
    """Whether the list is known to have shifted during the read, so leads may have been skipped."""
    missing: int = 0
    """How many leads the source counts but did not list; known on the last page."""
    total: int | None = None
    """How many leads this reading lists in all, where the source says so from its start."""
    ahead: int = 0
    """At most how many earlier pages were still to be handed on when it was requested."""
    shows_own_pages: bool = False
    """Whether the key was shown the own page of one of its leads."""


@dataclass(frozen=True, slots=True)
class Export:
    """One file of exported leads, read whole and found sound; the next one is compared with it."""

    exported_at: datetime
    """When it was last written, in whole seconds."""
    sha256: str
    rows: int
    titles: tuple[str, ...]
    newest: datetime | None
    """The latest time of a lead's creation or change in it, by Oplead's clock."""
    ends_line: bool
    """Whether it ends where a line does."""


# ── conversions ──────────────────────────────────────────────────────────────────────────────────


class ContactIdentifierKind(StrEnum):
    """Kinds of hashed contact data that platforms match on."""

    EMAIL = "email"
    PHONE = "phone"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    POSTCODE = "postcode"
    CITY = "city"
    COUNTRY = "country"


class Identifier(NamedTuple):
    """Platform-ready SHA-256 of normalised contact data, in lower-case hex; a tuple, as each lead has several."""

    kind: ContactIdentifierKind
    sha256: str

    @classmethod
    def hash_normalized_value(cls, kind: ContactIdentifierKind, normalized: str) -> Self:
        """Return the identifier for contact data already normalised to the platform's rules."""
        return cls(kind, sha256(normalized.encode()).hexdigest())

    def __repr__(self) -> str:
        """Return the kind alone: a hash of contact data belongs in no log."""
        return f"Identifier({self.kind!r})"


class ConsentSignalValue(StrEnum):
    """One consent signal as sent to a platform."""

    GRANTED = "granted"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Consent:
    """The two consent signals; None leaves a signal unset."""

    ad_user_data: ConsentSignalValue | None
    ad_personalization: ConsentSignalValue | None


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in major units (euros, not cents) and its ISO 4217 currency."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """Where a conversion lands within a destination, in the platform's own ids."""

    transport: str
    """Transport in use (`data_manager`); recorded with each delivery, never part of its identity."""
    owner: str
    """Google customer (digits) or Meta dataset."""
    action: str
    """Google conversion action id or Meta event name."""
    source: str
    """Google `event_source` or Meta `action_source`; `crm` for a Meta funnel."""


@dataclass(frozen=True, slots=True)
class ConversionEvent:
    """One conversion as the platform will see it, before encoding."""

    key: DeliveryKey
    target: Target
    at: datetime
    click_id: ClickId | None
    """Includes the time its windows count from."""
    identifiers: tuple[Identifier, ...]
    value: Money | None
    consent: Consent


@dataclass(frozen=True, slots=True)
class EncodedEvent:
    """An event's bytes, frozen while its delivery state is open so that a replay sends the same ones."""

    key: DeliveryKey
    body: bytes = field(repr=False)


class AdjustmentKind(StrEnum):
    """How a conversion that the platform has counted is corrected."""

    RETRACTION = "retraction"
    """Takes back both value and count."""
    RESTATEMENT = "restatement"
    """Permanently replaces the value; the count stays."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One correction of an accepted conversion, before encoding."""

    key: DeliveryKey
    """Key of the corrected conversion, as sent."""
    target: Target
    """Where the conversion was sent; `transport` is the one that carries the correction."""
    kind: AdjustmentKind
    at: datetime
    """Time of the correction: after the conversion and after any earlier correction of it."""
    value: Money | None
    """New total, never a difference; None for a retraction."""
    event: ConversionEvent | None
    """The whole event to resend, if the transport corrects by resending; otherwise None."""


@dataclass(frozen=True, slots=True)
class CorrectionSupport:
    """What one transport can correct."""

    kinds: frozenset[AdjustmentKind]
    within: timedelta
    """Maximum age of a conversion that can still be corrected."""
    batch: int
    """Maximum corrections per request."""
    by_resending: bool
    """Whether it corrects by resending the same key with a new value, which requires `Adjustment.event`."""
    except_by: frozenset[ClickIdKind] = frozenset()
    """Click id kinds whose conversions it cannot correct."""


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """A platform API version that this program uses, and its sunset date."""

    name: str
    """Display name: `Google Ads API v26`."""
    ends_on: date
    """First day on which it may be refused."""
    page: str
    """Vendor page that documents the date."""
    is_estimate: bool = False
    """Whether the vendor hasn't announced a date; `ends_on` is then the earliest its past releases suggest."""


@dataclass(frozen=True, slots=True)
class SinkLimits:
    """What a sink accepts, as data, so that rules and planning never name a platform."""

    batch: int
    """Maximum events per request."""
    click_ids: tuple[ClickIdKind, ...]
    """Accepted kinds in order of preference; an event carries at most one."""
    contact_with: frozenset[ClickIdKind]
    """Kinds that can be combined with hashed contact data."""
    opens_after_click: timedelta
    """Minimum delay after the click before an event is accepted."""
    click_window: timedelta
    """How long the platform keeps a click, regardless of the action's own window."""
    contact_window: timedelta
    """How long after the lead's creation contact data alone can still match."""
    needs_personalization: bool
    """Whether a denied `ad_personalization` withholds the whole event."""
    resolve_after: timedelta
    """How long after a submission to start polling for its outcome."""
    interchangeable: frozenset[ClickIdKind] = frozenset()
    """Kinds that encode the same id; among these the latest click wins, whatever its form."""
    event_window: timedelta | None = None
    """Maximum age of an event; None if only the click's age matters."""
    source_windows: Mapping[str, timedelta] = field(default_factory=dict)
    """Overrides of `event_window` by `Target.source`."""
    replay_within: timedelta | None = None
    """How long after a lost answer a replay is safe from double counting; None if a key only ever counts once."""
    takes_assumed_times: bool = True
    """Whether assumed event times are allowed; False if the platform forbids re-dating."""
    corrects: Mapping[str, CorrectionSupport] = field(default_factory=dict)
    """Supported corrections by transport; empty if none."""
    version: ApiVersion | None = None
    """API version in use, if the platform sunsets versions."""


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


class OutcomeClass(StrEnum):
    """What an answer means for a delivery and its destination; every vendor code maps to one member."""

    DONE = "done"
    DUPLICATE = "duplicate"
    """Already recorded; counts as done only if our ledger has an earlier attempt with that key."""
    RETRY = "retry"
    DEFER = "defer"
    """Too early; try again no sooner than `Outcome.retry_after`."""
    EXPIRED = "expired"
    FIX_DATA = "fix_data"
    DROP = "drop"
    DROP_EXPECTED = "drop_expected"
    """Dropped without an incident, such as a click not found for a contact-only row."""
    FIX_CONFIG = "fix_config"
    BUG = "bug"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one row: our classification and the platform's code."""

    kind: OutcomeClass
    code: str
    message: str = ""
    """Human-readable detail; holds ids and codes, never anything we sent."""
    retry_after: timedelta | None = None
    """Delay requested by the platform, if any."""
    of_target: bool = False
    """Whether the conversion action is at fault, so that the destination's other actions can continue."""
    final_after: timedelta | None = None
    """For a deferred correction: how long after its conversion was sent the same answer becomes final."""


@dataclass(frozen=True, slots=True)
class ReceivedForProcessing:
    """Every row was accepted for processing; poll for the outcomes later with the ticket."""

    ticket: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowOutcomes:
    """The outcome of every row, in request order."""

    outcomes: tuple[Outcome, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The whole request was refused and nothing was processed."""

    outcome: Outcome
    rows: tuple[int, ...] = ()
    """Suspect rows, if the answer names any."""
    unasked: bool = False
    """Whether the sink refused the batch itself, without making a request."""
    warnings: tuple[str, ...] = ()


UNREADABLE_EVENT = Refused(
    Outcome(OutcomeClass.BUG, "EVENT_CANNOT_BE_READ", "its frozen bytes are no event of this version"), unasked=True
)
"""Receipt for frozen bytes that a sink's current version cannot send."""


@dataclass(frozen=True, slots=True)
class RequestNotSent:
    """No connection was established, so nothing can have arrived."""

    reason: str
    unreachable: str = ""
    """The address, if it cannot be reached at all."""
    is_unknown_host: bool = False
    """Whether the host name does not exist, so that an immediate retry is pointless."""


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """A request was sent but no conclusive answer came back; it may or may not have been processed."""

    reason: str
    retry_after: timedelta | None = None
    """Delay requested by the platform, if even an inconclusive answer gives one."""


Receipt = ReceivedForProcessing | RowOutcomes | Refused | RequestNotSent | AnswerLost


@dataclass(frozen=True, slots=True)
class StillPending:
    """The platform is still processing the request."""

    answer: str = field(default="", compare=False)
    """What it said, or came back instead; empty if nobody asked."""


@dataclass(frozen=True, slots=True)
class PartlyRefused:
    """Some rows were refused, but the answer does not identify them."""

    refused: int
    total: int
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowCountMismatch:
    """The platform processed a different number of rows than were sent, so no row's outcome is known."""

    counted: int
    total: int


@dataclass(frozen=True, slots=True)
class ForgottenRequest:
    """The platform no longer knows the request, so its outcome can never be resolved."""

    code: str


Resolution = RowOutcomes | StillPending | PartlyRefused | RowCountMismatch | ForgottenRequest


# ── configuration checks ─────────────────────────────────────────────────────────────────────────


class CheckVerdict(StrEnum):
    """Verdict of one check."""

    VERIFIED = "verified"
    FAILED = "failed"
    DOUBTFUL = "look at"
    """May be right or wrong; needs a human."""
    UNREADABLE = "not readable"
    """Not visible with this access; does not block sending."""


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """Result of one check against a platform."""

    subject: str
    """What was checked, such as `conversion action 987654321`."""
    verdict: CheckVerdict
    found: str
    """What was found, worded for marketers."""
    advice: str = ""
    """What to do about it; empty if no action is needed."""
    settles: str = ""
    """The setting whose value is now known and no longer assumed."""
    is_notable: bool = False
    """Whether to show it even when all is well."""


@dataclass(frozen=True, slots=True)
class TargetAssumptions:
    """What the settings assume about one conversion's target."""

    conversion: str
    """Configured conversion id, used in findings."""
    target: Target
    currency: str
    sends_value: bool
    sends_contact: bool
    click_window: timedelta | None
    """The action's click window according to the settings; None if unset."""
    stage: str = ""
    """The conversion's stage, in marketing's word."""


# ── what platforms say about what was sent ───────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request that a platform may have kept something of."""

    target: Target
    sent_at: datetime
    rows: int
    ticket: str | None
    """As in `ReceivedForProcessing`; None where the platform answered at once, or its answer was lost."""


class StatementSubject(StrEnum):
    """What a statement is about."""

    UPLOAD_SUMMARY = "upload_summary"
    REQUEST_WARNINGS = "request_warnings"
    EVENT_COUNT = "event_count"
    EVENT_MATCH_QUALITY = "event_match_quality"
    MATCH_KEYS = "match_keys"


@dataclass(frozen=True, slots=True)
class CountedRowsFilter:
    """Which of the rows sent a platform's number counts, so that ours can be put beside it."""

    transport: str
    owner: str
    action: str
    """As in `Target`."""
    since: datetime
    until: datetime
    """The requests counted were sent from `since` to before `until`."""
    undecided: int = 0
    """How many more the number may still become."""
    corrections: bool = False
    """Whether corrections count, too."""
    is_shared: bool = False
    """Whether what others sent counts, too, and events may be counted by when they happened: only too few is wrong."""


@dataclass(frozen=True, slots=True)
class PlatformStatement:
    """One thing that a platform says about what it received."""

    subject: StatementSubject
    name: str
    """What the platform calls it: an action, an event, a match key, a code; empty if it is about all of them."""
    value: str | int
    """A number if `counts` says what it counts; a text is the platform's, or a message for the catalogues."""
    as_of: datetime | None
    """When it was so, if the platform says."""
    counts: CountedRowsFilter | None = None


def utc(moment: datetime) -> datetime:
    """Convert an aware time to UTC; raise ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone")
    return moment.astimezone(UTC)


# ── notices ──────────────────────────────────────────────────────────────────────────────────────


class NoticeOutcome(StrEnum):
    """What became of a message, as far as its service tells."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    """There was no connection; for a mailbox, or its login was refused."""
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, slots=True)
class NoticeResult:
    """What became of one message."""

    outcome: NoticeOutcome
    status: int | None = None
    """The HTTP status of a refusal, where there is one."""
