"""The ledger's tables. Every row carries its account; times are timezone-aware UTC, amounts decimal text."""

from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from typing import Any

import sqlalchemy
from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ColumnExpressionArgument,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    exists,
    func,
)
from sqlalchemy.orm import aliased
from sqlmodel import Field, Session, SQLModel, col, select

from jobs.ledger.column_types import unify_column_types
from jobs.rules.delivery_state import DeliveryKind, DeliveryState

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


WHOLE = sqlalchemy.text("substr(value, 1, 7) <> 'sha256:'")
"""Matches click ids not yet erased. Queries must use exactly this text to benefit from the partial index."""
UP_TO_DATE = sqlalchemy.text("digest <> ''")
"""Matches leads read under the present settings; for a partial index, like `WHOLE`."""
MISSING = sqlalchemy.text("missing_since IS NOT NULL")
"""Matches leads whose page was not found, which are few."""
MARKED = sqlalchemy.text("contact_mark IS NOT NULL")
"""Matches leads that are known again by their contact data, which are those without a click."""
REUSED = sqlalchemy.text("reused_in IS NOT NULL")
"""Matches leads under whose ids others are shown, which are few."""


CONVERSION = sqlalchemy.text("original IS NULL")
"""Matches deliveries that are conversions, not corrections."""
CORRECTION = sqlalchemy.text("original IS NOT NULL")
"""Matches corrections, which are few."""
DOUBTFUL = sqlalchemy.text("in_doubt_request IS NOT NULL")
"""Matches deliveries whose answer was lost, which are few."""
APPROVED = sqlalchemy.text("approved_in IS NOT NULL")
"""Matches deliveries that a human approved, which are few."""
IS_ONE_KIND = "(original IS NULL) = (kind = 'conversion') AND (original IS NULL) = (number = 0)"
"""Holds for every delivery: a conversion has neither an original nor a number, a correction has both."""
COUNTED_BY = (
    "state",
    "conversion",
    "destination",
    "reason",
    "code",
    "may_count_twice",
    "held_for",
    "value",
    "original",
)
"""The columns of conversions that counts by state are read from: an index has them all, in this order."""


STREAMED = {"yield_per": 1_000}
"""Execution options for statements with too many rows to hold in memory."""


def _index_of_some(where: sqlalchemy.TextClause, *columns: str, name: str | None = None, unique: bool = False) -> Index:
    """Return an index of the rows that a condition matches.

    Only SQLite's option is named; `postgresql_tables` adds PostgreSQL's, which has every command load its dialect.
    """
    return Index(name, *columns, unique=unique, sqlite_where=where)


def _of_lead() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["account", "lead"], ["lead.account", "lead.id"])


class LedgerRow(SQLModel):
    """A row of the ledger, whose columns are set as SQLAlchemy does it.

    SQLModel validates no row of a table either, but goes through pydantic for each column: that took half of planning.
    A column that is not named stays unset: null in a new row, and left alone by `Session.merge`.
    """

    # Its validators would only take time to build.
    model_config = {"defer_build": True}

    def __init__(self, **columns: Any) -> None:
        if unknown := columns.keys() - type(self).model_fields.keys():
            raise TypeError(f"no columns of {type(self).__name__}: {', '.join(sorted(unknown))}")
        for name, value in (_defaults(type(self)) | columns).items():
            setattr(self, name, value)

    __setattr__ = object.__setattr__  # type: ignore[assignment]


@cache
def _defaults(row: type[LedgerRow]) -> dict[str, Any]:
    """Return the columns of a new row that are neither null nor required."""
    fields = {name: field.default for name, field in row.model_fields.items() if not field.is_required()}
    return {name: default for name, default in fields.items() if default is not None}


class AccountKeyedRow(LedgerRow):
    """A row whose primary key begins with its account."""

    account: str = Field(primary_key=True)


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


class Run(LedgerRow, table=True):
    """One command that acts on the account, from its start to its exit code."""

    __table_args__ = (Index(None, "account", "night", unique=True),)
    id: int | None = Field(default=None, primary_key=True)
    account: str
    command: str
    epoch: int
    started_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    night: date | None = None
    """The local date of the night done, set at the end; None for runs that died, were stopped, or weren't the first."""


class Lease(AccountKeyedRow, table=True):
    """The right to write: every write transaction checks who holds it."""

    epoch: int
    pid: int
    started_at: datetime
    read_at: datetime | None = None
    """When leads were last read, by the source's clock."""
    restored_at: datetime | None = None
    """When a human last declared this ledger a restored backup: what had happened by then may have been sent."""
    forgotten_place: str | None = None
    """The identity of the second place that remembers who was forgotten, once it has been used."""


class Cursor(AccountKeyedRow, table=True):
    """The position up to which leads were read, and that of an interrupted pull."""

    since: datetime | None = None
    """When the last pull that settled every label began: the next reads what changed since, or all if None."""
    pull_started_at: datetime | None = None
    """When the current pull started, by the source's clock; None between pulls."""
    pull_since: datetime | None = None
    resume: str | None = None
    full_read_at: datetime | None = None
    """When the last pull that read every lead started."""
    moved: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether the list shifted during the current pull, which may therefore have skipped leads."""
    listed: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How many leads the current pull has listed so far."""
    listed_whole: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How many the last pull listed that read every lead; 0 if none has counted them."""


class ReadExport(AccountKeyedRow, table=True):
    """The file of exported leads that was read last: what the next one is compared with."""

    __tablename__ = "read_export"
    exported_at: datetime
    sha256: str
    rows: int
    titles: str
    """JSON: the columns' titles."""
    newest: datetime | None = None
    """The latest creation or change of a lead in it."""
    ends_line: bool


class InboxPlace(AccountKeyedRow, table=True):
    """The last event of the webhooks' inbox whose lead was read; it outlives a change of what is read from leads."""

    __tablename__ = "inbox_place"
    event: int
    inbox: str
    """The identity of that inbox: one made anew begins again."""


class ReportedLeadRow(AccountKeyedRow, table=True):
    """A lead that webhooks named and that was looked up, or is still to be, though the inbox may count as taken."""

    __tablename__ = "reported_lead"
    lead: str = Field(primary_key=True)
    state: str
    """A `LookupState` value."""
    inbox: str
    """The identity of the inbox."""
    event: int
    """The last event in it that was there when the lead was looked up."""
    at: datetime
    """When it was looked up, or first had to wait."""


class BackfillPlace(AccountKeyedRow, table=True):
    """An interrupted backfill's position in the leads, independent of the nightly cursor."""

    __tablename__ = "backfill_place"
    reads_from: datetime
    """Leads created since then are read."""
    fresh_to: datetime | None = None
    """Of those, leads created before then were read in full even if unchanged; None if none were."""
    started_at: datetime
    """When the reading started, by the source's clock."""
    resume: str | None = None
    epoch: int
    """The epoch of the last run that read for it."""


class ConfigDigest(AccountKeyedRow, table=True):
    """A digest of the settings that the ledger's contents were produced with."""

    __tablename__ = "config_digest"
    kind: str = Field(primary_key=True)
    """`extraction` (what is read from a lead), `rules` (what is decided from it) or `lead_id` (the paths of its id)."""
    digest: str


class Start(AccountKeyedRow, table=True):
    """When changes start to count, for each conversion, destination and label."""

    conversion: str = Field(primary_key=True)
    destination: str = Field(primary_key=True)
    label: str = Field(primary_key=True)
    """Normalised; empty for the conversion's own start."""
    target: str
    since: datetime


# ── leads ────────────────────────────────────────────────────────────────────────────────────────


class LeadRow(AccountKeyedRow, table=True):
    """A stored lead: no contact data, and raw values only for paths listed in the settings."""

    __tablename__ = "lead"
    __table_args__ = (
        Index(None, "account", "to_plan", "id"),
        Index(None, "account", "to_correct", "id"),
        Index(None, "account", "created_at"),
        Index(None, "account", "updated_at", "created_at"),
        Index(None, "account", "label"),
        _index_of_some(UP_TO_DATE, "account", "amount_paths"),
        _index_of_some(MISSING, "account", "missing_since"),
        _index_of_some(MARKED, "account", "contact_mark"),
        _index_of_some(MARKED, "account", "created_at", name="ix_lead_account_created_at_marked"),
        _index_of_some(REUSED, "account", "reused_in"),
    )
    id: str = Field(primary_key=True)
    created_at: datetime
    updated_at: datetime | None = None
    label: str | None = None
    digest: str
    seen_at: datetime
    """When the last pull that saw it started: the observation that bounds an undated change."""
    ad_user_data: str
    ad_personalization: str
    click_id_problem: str | None = None
    utm_source: str | None = None
    """As Oplead has it but tidied, as the two below; for the report only."""
    utm_medium: str | None = None
    utm_campaign: str | None = None
    facts: str
    """JSON: the values at the configured paths, or the shapes of values that could not be read."""
    amount_paths: str = "[]"
    """JSON: the paths of its amounts, sorted; few leads differ in them, so what all leads have is read quickly."""
    fresh: bool
    """Whether it was read since it was last planned, so that its contact hashes are complete."""
    to_plan: bool
    to_correct: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether its accepted conversions need a correction check: it was replanned, or an answer arrived."""
    excluded: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether it is a test lead by the settings' `exclude`, stored before they excluded it."""
    asked_at: datetime | None = None
    """When the last pull that fetched its details, successfully or not, started."""
    missing_since: datetime | None = None
    """When its detail page was first not found; None once it is seen again."""
    deleted_at: datetime | None = None
    """When it was not found a second time, which confirms the deletion."""
    merged_into: str | None = None
    """The lead that its detail page showed instead when it was last not found."""
    reused_in: int | None = None
    """The run that found another lead under its id, of which nothing is stored; 0 once a person knows of it."""
    contact_mark: bytes | None = None
    """By which a lead without a click is known again under another id: a hash of its contact data, under a key that
    lies outside the state; None once its click window has closed, or without consent."""


class ExcludedTestLead(AccountKeyedRow, table=True):
    """A lead left out, mostly a test lead: enough to recognise it as unchanged, with no personal data."""

    __tablename__ = "excluded_lead"
    id: str = Field(primary_key=True)
    digest: str
    """The digest of its list entry."""
    read_at: datetime
    too_old: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether it is no test lead, but one that may have left; its list entry does not say when it was created."""


class ForgottenLead(AccountKeyedRow, table=True):
    """A lead that somebody asked to forget: nothing else is kept of it, and it is not read in again."""

    __tablename__ = "forgotten_lead"
    id: str = Field(primary_key=True)
    forgotten_on: date


class FormerFile(AccountKeyedRow, table=True):
    """A file that the account's state was moved from, or its webhooks' events: it may lie there still, with all it had.

    It is on the machine where the state was moved, which need not be this one.
    """

    __tablename__ = "former_file"
    path: str = Field(primary_key=True)
    """Absolute."""
    is_state: bool
    """Whether it was the state's; otherwise it was the events', by the name that they came in or were set aside by."""
    identity: str | None = None
    """What tells this inbox from another that was made in its place; None for a state."""


class UnreadableLeadRow(AccountKeyedRow, table=True):
    """A lead that could not be read when last seen, and why."""

    __tablename__ = "unreadable_lead"
    id: str = Field(primary_key=True)
    reason: str
    seen_at: datetime
    there: bool = Field(default=True, sa_column_kwargs={"server_default": sqlalchemy.true()})
    """Whether Oplead showed it; else only its own page was asked for, in vain."""
    reported_in: int | None = None


class StatusLabel(AccountKeyedRow, table=True):
    """A status label that has been seen at least once."""

    __tablename__ = "status_label"
    label: str = Field(primary_key=True)
    """Normalised."""
    written: str | None = None
    """Oplead's spelling when first seen, if known."""
    seen_at: datetime
    """When it was first seen."""
    settled: bool = False
    """Whether a complete reading has decided if it is a new status or a renamed one."""
    reported: int = 0
    """How many of its leads had a click id when it was last reported as missing from the settings."""
    reported_in: int | None = None


class LabelMove(AccountKeyedRow, table=True):
    """A lead whose label changed since the last complete reading, or that waits for one."""

    __tablename__ = "label_move"
    lead: str = Field(primary_key=True)
    before: str
    after: str
    waits: bool
    """Whether planning waits for the next complete reading because a status may have been renamed."""


class StatusRename(AccountKeyedRow, table=True):
    """A status that was renamed in Oplead."""

    __tablename__ = "status_rename"
    before: str = Field(primary_key=True)
    after: str = Field(primary_key=True)
    leads: int
    """How many leads showed the rename."""
    run: int = Field(foreign_key="run.id")
    void: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether the settings have since overruled it, treating the labels as two statuses."""


class StatusChange(LedgerRow, table=True):
    """A lead's entry into a status, and how its time is known."""

    __tablename__ = "status_change"
    __table_args__ = (_of_lead(), Index(None, "account", "lead"))
    id: int | None = Field(default=None, primary_key=True)
    account: str
    lead: str
    label: str
    at: datetime
    date_only: bool
    origin: str
    after: datetime | None
    """The time of the observation before the one that found it."""
    seen_at: datetime


class ClickIdRow(AccountKeyedRow, table=True):
    """A click id of a lead; ids accumulate."""

    __tablename__ = "click_id"
    __table_args__ = (
        _of_lead(),
        Index(None, "account", "kind", "value", "lead"),
        _index_of_some(WHOLE, "account", "kind", "clicked_at"),
    )
    lead: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    clicked_at: datetime
    estimated: bool
    """Whether `clicked_at` is only a bound: the lead's creation, or the last pull before the id appeared."""


class ContactHash(AccountKeyedRow, table=True):
    """A platform-ready hash of a lead's contact data, kept while an unsent row may use it."""

    __tablename__ = "contact_hash"
    __table_args__ = (_of_lead(),)
    lead: str = Field(primary_key=True)
    destination: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    sha256: str = Field(primary_key=True)


class LeadToldApart(AccountKeyedRow, table=True):
    """A lead of which a person said that it is another one than that whose click it shares."""

    __tablename__ = "lead_told_apart"
    __table_args__ = (_of_lead(),)
    lead: str = Field(primary_key=True)


class ConsentAnswerRow(LedgerRow, table=True):
    """A lead's answer to one consent question, from when it was first read until the next row; append-only."""

    __tablename__ = "consent_answer"
    __table_args__ = (_of_lead(), Index(None, "account", "lead", "signal"))
    id: int | None = Field(default=None, primary_key=True)
    account: str
    lead: str
    signal: str
    """A `ConsentSignalName` value."""
    answer: str
    """A `ConsentAnswer` value."""
    field: str
    """The path that it was read from; empty once the settings name none."""
    value: str | None = None
    """As Oplead shows it if the settings list it, otherwise `<shape>`; None if there is none."""
    read_at: datetime
    """When it was first read, by the source's clock."""


class AssumedConsent(LedgerRow, table=True):
    """Why missing answers were taken as yes, from the first delivery sent on it until the next row; append-only."""

    __tablename__ = "assumed_consent"
    id: int | None = Field(default=None, primary_key=True)
    account: str
    because: str | None = None
    """As the settings had it; None if they gave no reason."""
    since: datetime


# ── deliveries ───────────────────────────────────────────────────────────────────────────────────


class DeliveryRecord(LedgerRow):
    """One message to one destination, from first plan to final outcome: a conversion, or a correction of one.

    By itself a record that no session keeps track of; see `bulk.editable_records`.
    """

    id: int | None = Field(default=None, primary_key=True)
    account: str
    lead: str
    conversion: str
    destination: str
    occurrence: int
    """1, 2, 3 …; a correction has that of its conversion."""
    kind: str = DeliveryKind.CONVERSION
    """A `DeliveryKind` value."""
    original: int | None = Field(default=None, foreign_key="delivery.id")
    """The accepted conversion that a correction corrects; None for a conversion."""
    number: int = 0
    """For corrections of one conversion, 1, 2, 3 …; each is created once the previous one is settled."""
    cause: str | None = None
    """Why a correction is made: an `AdjustmentCause` value."""
    key: str
    """Identifies the conversion to the platform; a correction uses its conversion's key."""
    state: str
    reason: str | None = None
    """One of our own reasons; a reason given by the platform is in `code`."""
    detail: str | None = None
    """Specifics of the reason, such as where it was found."""
    held_for: str | None = None
    """For an expired delivery, why it was, or would have been, withheld until it expired."""
    not_before: datetime | None = None
    """When a pending row is due."""
    deferred_until: datetime | None = None
    """The delay set by the platform, which replanning never shortens."""
    expires_at: datetime | None = None
    at: datetime | None = None
    """When the conversion, or the cause of the correction, happened; always later than the previous correction's."""
    origin: str | None = None
    happened_after: datetime | None = None
    """For an undated change, the latest time at which it had not happened yet; None of a dated one."""
    label: str | None = None
    transport: str | None = None
    """What it is sent by; a correction's may differ from its conversion's, unlike `owner`, `action` and `source`."""
    owner: str | None = None
    action: str | None = None
    source: str | None = None
    value: str | None = None
    """For a correction, the new total; None for a retraction."""
    currency: str | None = None
    tax: str | None = None
    value_from: str | None = None
    """Where the value comes from: a `ValueOrigin` value; None for corrections."""
    estimate: int | None = None
    """The estimate that is its value, if it is one."""
    click_id_kind: str | None = None
    click_estimated: bool | None = None
    user_data_answer: int | None = None
    """The `ConsentAnswerRow` that was in force when its bytes were last frozen, as the next."""
    personalization_answer: int | None = None
    assumed_consent: int | None = None
    """The `AssumedConsent` by which a missing answer was taken as yes then, if one was."""
    event: bytes | None = None
    """The encoded event, kept only while in flight, submitted or in doubt."""
    event_sha256: str | None = None
    in_doubt_since: datetime | None = None
    """When the first request with a lost receipt was sent; the event's bytes don't change until settled."""
    in_doubt_request: int | None = Field(default=None, foreign_key="request.id")
    may_count_twice: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether it was replayed after a lost receipt to a platform that may count one key twice."""
    entered_after: datetime | None = None
    """For a later occurrence, the time of the preceding retraction: only an entry after it counts."""
    counts_from: datetime | None = None
    """When its changes start to count, if a human approved sending it from before its conversion's start."""
    assumed_at: datetime | None = None
    """The time that a human assumed for an undated change."""
    approved_in: int | None = None
    """The run in which a human approved it, which exempts it from the volume guard."""
    code: str | None = None
    """The platform's code, once settled."""
    outcome: str | None = None

    @property
    def is_correction(self) -> bool:
        """Whether it corrects an accepted conversion."""
        return self.original is not None

    @property
    def required_time(self) -> datetime:
        """`at` of a delivery that has one, as every correction and every sent conversion does; else ValueError."""
        if self.at is None:
            raise ValueError("this delivery has no time")
        return self.at


class Delivery(DeliveryRecord, table=True):
    """A delivery that a session keeps track of."""

    __table_args__ = (
        UniqueConstraint(
            "account", "lead", "conversion", "destination", "occurrence", "number", name="uq_delivery_identity"
        ),
        _index_of_some(CONVERSION, "account", "key", unique=True),
        CheckConstraint(IS_ONE_KIND, name="ck_delivery_kind"),
        _of_lead(),
        Index(None, "account", "state", "destination", "at"),
        _index_of_some(CONVERSION, "account", *COUNTED_BY, name="ix_delivery_counts"),
        _index_of_some(APPROVED, "approved_in"),
        _index_of_some(CORRECTION, "account", "original"),
        # By it, the database finds what refers to a delivery that is erased.
        _index_of_some(CORRECTION, "original"),
        # And here, what refers to a request.
        _index_of_some(DOUBTFUL, "in_doubt_request"),
    )


class ExpectedValue(LedgerRow, table=True):
    """An estimate of what a conversion's leads are worth; append-only, and the latest is used."""

    __tablename__ = "expected_value"
    __table_args__ = (Index(None, "account", "conversion", "id"),)
    id: int | None = Field(default=None, primary_key=True)
    account: str
    conversion: str
    basis: str
    """A digest of the rules by which leads were chosen and their sales counted."""
    value: str
    low: str
    """The interval of `value` from here …"""
    high: str
    """… to here."""
    rate: float
    """The share of leads that are won within `horizon_days`."""
    mean: str
    """The average sale."""
    leads: int
    won: int
    horizon_days: int
    first: datetime
    """When the first of the leads entered the stage."""
    until: datetime
    """Until when they were watched."""
    computed_at: datetime


class Attempt(LedgerRow, table=True):
    """One delivery's attempt in one request: its position there, and its outcome."""

    request: int = Field(primary_key=True, foreign_key="request.id")
    position: int = Field(primary_key=True)
    delivery: int = Field(foreign_key="delivery.id", index=True)
    outcome: str | None = None
    code: str | None = None


class Transition(LedgerRow, table=True):
    """One state transition of a delivery and its cause; append-only."""

    id: int | None = Field(default=None, primary_key=True)
    account: str
    delivery: int = Field(foreign_key="delivery.id", index=True)
    run: int = Field(foreign_key="run.id", index=True)
    at: datetime
    from_state: str | None = None
    to_state: str
    reason: str | None = None
    """One of our own reasons; None if the platform's `code` is the cause."""
    detail: str | None = None
    code: str | None = None


class DedupKey(AccountKeyedRow, table=True):
    """A deduplication key of a delivery whose conversion counts once per click or person."""

    __tablename__ = "dedup_key"
    __table_args__ = (_of_lead(), Index(None, "account", "lead", "conversion", "destination", "dedup_key"))
    conversion: str = Field(primary_key=True)
    destination: str = Field(primary_key=True)
    dedup_key: str = Field(primary_key=True)
    """SHA-256 over a kind and a value, which is a click id or already hashed contact data."""
    lead: str = Field(primary_key=True)
    at: datetime
    """When the conversion happened."""


class Request(LedgerRow, table=True):
    """One wire call to a sink."""

    __table_args__ = (
        Index(None, "account", "state"),
        Index(None, "account", "destination", "sent_at"),
        # By it, the database finds what refers to a run that is erased.
        Index(None, "run"),
    )
    id: int | None = Field(default=None, primary_key=True)
    account: str
    run: int = Field(foreign_key="run.id")
    destination: str
    transport: str
    owner: str
    action: str
    sent_at: datetime
    rows: int
    state: str
    """A `RequestState` value."""
    ticket: str | None = None
    resolve_after: datetime | None = None
    code: str | None = None
    message: str | None = None


class IncidentRow(AccountKeyedRow, table=True):
    """A problem that needs a human, from the night it was first found until it clears."""

    __tablename__ = "incident"
    cause: str = Field(primary_key=True)
    details: str
    """JSON: what is known of it, to word it in the language in which it is shown (`stored_values`)."""
    first_seen_at: datetime
    notified_at: datetime | None = None
    """When the first address accepted the notice."""
    cleared_at: datetime | None = None
    undelivered: str = "[]"
    """JSON: the marks of the addresses still owed the notice."""


class WeeklySummary(AccountKeyedRow, table=True):
    """The last week whose summary an address has taken."""

    __tablename__ = "weekly_summary"
    address: str = Field(primary_key=True)
    """Its mark, which does not reveal it."""
    week: date
    """The day on which that summary was due."""


class PlatformStatementRow(AccountKeyedRow, table=True):
    """One thing that a platform said, when it was last asked, about what it had received."""

    __tablename__ = "platform_statement"
    destination: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    """Its place among what was said of the destination, from 0."""
    subject: str
    """A `StatementSubject` value."""
    name: str
    value: str
    as_of: datetime | None = None
    read_at: datetime
    transport: str | None = None
    """None, as all that follows, where the value is no count of rows sent; otherwise as in `CountedRowsFilter`."""
    owner: str | None = None
    action: str | None = None
    counted_since: datetime | None = None
    counted_until: datetime | None = None
    undecided: int | None = None
    corrections: bool | None = None
    is_shared: bool | None = None


# ── what left ────────────────────────────────────────────────────────────────────────────────────


class RetentionMark(AccountKeyedRow, table=True):
    """How far leads have left the ledger because nothing had happened to them for long; it only moves forward."""

    __tablename__ = "retention_mark"
    before: datetime
    """Of the leads created before then, those unknown may have left: they are never read in."""
    since: datetime
    """When the first may have left."""
    leads: int
    """How many left until now."""
    conversions: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How many they had."""


class MonthlyArchiveRow(AccountKeyedRow):
    """What leads that left came to in a month of the account's zone."""

    month: date = Field(primary_key=True)
    """Its first day."""


class MonthlyCampaign(MonthlyArchiveRow, table=True):
    """The leads created in a month that came from one campaign, as `CampaignRow` counts them."""

    __tablename__ = "monthly_campaign"
    source: str = Field(primary_key=True)
    medium: str = Field(primary_key=True)
    campaign: str = Field(primary_key=True)
    leads: int = 0
    won: int = 0
    value: str = "0"
    reached: str = "{}"
    """JSON: how many ever reached each stage, by the name that it had when they left."""


class MonthlyClickIds(MonthlyArchiveRow, table=True):
    """The leads created in a month, by their week, as `ClickIdWeek` counts them."""

    __tablename__ = "monthly_click_ids"
    source: str = Field(primary_key=True)
    week: date = Field(primary_key=True)
    leads: int = 0
    with_click_id: int = 0


class MonthlySales(MonthlyArchiveRow, table=True):
    """A month's signed sales of leads from one platform's ads, and how many of them the platform knows of."""

    __tablename__ = "monthly_sales"
    platform: str = Field(primary_key=True)
    count: int = 0
    value: str = "0"
    sent: int = 0
    received: int = 0
    accepted: int = 0


unify_column_types(SQLModel.metadata)


def is_correction() -> ColumnElement[bool]:
    """Match deliveries that are corrections; false, so first in order, for conversions."""
    return col(Delivery.original).is_not(None)


def matches_delivery_kind(*, corrections: bool) -> ColumnElement[bool]:
    """Match corrections or conversions."""
    return is_correction() if corrections else col(Delivery.original).is_(None)


def is_conversion() -> ColumnElement[bool]:
    """Match conversions among deliveries that are found by their ids.

    No partial index fits it, as one fits `matches_delivery_kind`: PostgreSQL, while it knows no statistics of an
    account, would read that index from end to end for each id.
    """
    return col(Delivery.kind) == DeliveryKind.CONVERSION


def was_retracted(conversion: type[Delivery] = Delivery) -> ColumnElement[bool]:
    """Match conversions whose retraction the platform accepted: they no longer count.

    One with a retraction that nobody confirmed, or restated to 0, may still be counted.
    """
    correction = aliased(Delivery)
    return exists().where(
        col(correction.account) == col(conversion.account),
        col(correction.original) == col(conversion.id),
        col(correction.kind) == DeliveryKind.RETRACTION,
        # No bare state, or SQLite may search every accepted delivery instead of the few corrections of one.
        col(correction.state).concat("") == DeliveryState.ACCEPTED,
    )


def stored_row_id(row: DeliveryRecord | Request | Run | AssumedConsent) -> int:
    """Return the id of a stored row; raise ValueError if it is not stored yet."""
    if row.id is None:
        raise ValueError("the row is not stored yet")
    return row.id


def distinct_column_values(
    session: Session, column: str | None, *conditions: ColumnExpressionArgument[bool] | bool
) -> Iterator[str]:
    """Yield each value of an indexed column, in order, with one query per value instead of a scan of all rows."""
    first = select(func.min(column)).where(*conditions)
    value: str | None = session.exec(first).one()
    while value is not None:
        yield value
        value = session.exec(first.where(col(column) > value)).one()
