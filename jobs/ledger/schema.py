"""The ledger's tables; every row carries its account. Times are aware UTC, amounts decimal text."""

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy
from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped
from sqlmodel import Field, SQLModel, col

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


WHOLE = sqlalchemy.text("substr(value, 1, 7) <> 'sha256:'")
"""Of click ids: not erased yet. An index has this condition, so queries must use the very same text."""


STREAMED = {"yield_per": 1_000}
"""Execution options of statements whose rows are too many for memory."""


def _of_lead() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["account", "lead"], ["lead.account", "lead.id"])


class AccountRow(SQLModel):
    """A row whose key begins with its account."""

    account: str = Field(primary_key=True)


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


class Run(SQLModel, table=True):
    """One acting command, from its start to its exit code."""

    __table_args__ = (Index(None, "account", "night", unique=True),)
    id: int | None = Field(default=None, primary_key=True)
    account: str
    command: str
    epoch: int
    started_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    night: date | None = None
    """The local date whose night this was, once ended; None for what died, was stopped or came later on that date."""


class Lease(AccountRow, table=True):
    """Who may write: the epoch every write transaction asserts."""

    epoch: int
    pid: int
    started_at: datetime


class Cursor(AccountRow, table=True):
    """How far the leads were read, and an interrupted pull's place."""

    since: datetime | None = None
    """Where the next pull starts; None reads everything."""
    pull_started_at: datetime | None = None
    """The start of the pull under way, on the source's clock; None between pulls."""
    pull_since: datetime | None = None
    resume: str | None = None
    full_read_at: datetime | None = None
    """The start of the last pull that read every lead."""
    moved: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether the list shifted during the pull under way, which may have skipped leads."""


class BackfillPlace(AccountRow, table=True):
    """An interrupted backfill's place in the leads, independent of the nightly cursor."""

    __tablename__ = "backfill_place"
    reads_from: datetime
    """Leads created since then are read."""
    fresh_to: datetime | None = None
    """Of those, leads created before that were read whole even if unchanged; None where none was."""
    started_at: datetime
    """The start of the reading, on the source's clock."""
    resume: str | None = None
    epoch: int
    """The last reading run's."""


class ConfigDigest(AccountRow, table=True):
    """The settings the ledger's contents were made with."""

    __tablename__ = "config_digest"
    kind: str = Field(primary_key=True)
    """`extraction`: what is read from a lead; `rules`: what is decided from it."""
    digest: str


class Start(AccountRow, table=True):
    """From when changes count, for each conversion, destination and label."""

    conversion: str = Field(primary_key=True)
    destination: str = Field(primary_key=True)
    label: str = Field(primary_key=True)
    """Normalised; the empty label is the conversion's own start."""
    target: str
    since: datetime


# ── leads ────────────────────────────────────────────────────────────────────────────────────────


class LeadRow(AccountRow, table=True):
    """What is kept of a lead: no contact data, and raw values only where the settings list them."""

    __tablename__ = "lead"
    __table_args__ = (
        Index(None, "account", "to_plan", "id"),
        Index(None, "account", "to_correct", "id"),
        Index(None, "account", "created_at"),
        Index(None, "account", "updated_at", "created_at"),
        Index(None, "account", "label"),
    )
    id: str = Field(primary_key=True)
    created_at: datetime
    updated_at: datetime | None = None
    label: str | None = None
    digest: str
    seen_at: datetime
    """The start of the last pull that saw it: the observation that bounds an undated change."""
    ad_user_data: str
    ad_personalization: str
    click_id_problem: str | None = None
    facts: str
    """JSON: the configured paths and their values, or the shape of what could not be read."""
    fresh: bool
    """Read since it was last judged: its contact hashes are whole."""
    to_plan: bool
    to_correct: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether its accepted conversions are to be checked for corrections: it was judged anew, or an answer came."""
    excluded: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """A test lead by the settings' `exclude`, read before they excluded it."""
    asked_at: datetime | None = None
    """The start of the last pull that requested its own page, successfully or not."""
    missing_since: datetime | None = None
    """When its own page was first not found; None once it is seen again."""
    deleted_at: datetime | None = None
    """When it was not found a second time, which confirms the deletion."""
    merged_into: str | None = None
    """The lead that its own page showed instead when it was last not found."""


class ExcludedLead(AccountRow, table=True):
    """A test lead that is left out: enough to recognise it unchanged, and nothing about the person."""

    __tablename__ = "excluded_lead"
    id: str = Field(primary_key=True)
    digest: str
    """Its list entry's."""
    read_at: datetime


class UnreadableLeadRow(AccountRow, table=True):
    """A lead that could not be read when last seen, and why."""

    __tablename__ = "unreadable_lead"
    id: str = Field(primary_key=True)
    reason: str
    seen_at: datetime
    reported_in: int | None = None


class StatusLabel(AccountRow, table=True):
    """A status label that was ever seen."""

    __tablename__ = "status_label"
    label: str = Field(primary_key=True)
    """Normalised."""
    written: str | None = None
    """As Oplead wrote it when it was first seen, if known."""
    seen_at: datetime
    """When it was first seen."""
    settled: bool = False
    """Whether a complete reading has decided between a new status and a new name for one."""
    reported: int = 0
    """How many of its leads had a click id when it was last reported as missing from the settings."""
    reported_in: int | None = None


class LabelMove(AccountRow, table=True):
    """A lead that changed its label since the last complete reading, or waits for one."""

    __tablename__ = "label_move"
    lead: str = Field(primary_key=True)
    before: str
    after: str
    waits: bool
    """Whether it is not judged until then, because a status may have been renamed."""


class StatusRename(AccountRow, table=True):
    """A status that was renamed in Oplead."""

    __tablename__ = "status_rename"
    before: str = Field(primary_key=True)
    after: str = Field(primary_key=True)
    leads: int
    """How many leads showed it."""
    run: int = Field(foreign_key="run.id")
    void: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether the settings have overruled it since: these are two statuses."""


class StatusChange(SQLModel, table=True):
    """A lead entering a status, and how its time is known."""

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
    """The observation before the one that found it."""
    seen_at: datetime


class ClickIdRow(AccountRow, table=True):
    """A click id of a lead; ids accumulate."""

    __tablename__ = "click_id"
    __table_args__ = (
        _of_lead(),
        Index(None, "account", "kind", "value", "lead"),
        Index(None, "account", "kind", "clicked_at", sqlite_where=WHOLE, postgresql_where=WHOLE),
    )
    lead: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    clicked_at: datetime
    estimated: bool
    """Whether `clicked_at` is only a bound: the lead's creation, or the pull before it appeared."""


class ContactHash(AccountRow, table=True):
    """Platform-ready hashes of a lead's contact data, while something still to be sent may use them."""

    __tablename__ = "contact_hash"
    __table_args__ = (_of_lead(),)
    lead: str = Field(primary_key=True)
    destination: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    sha256: str = Field(primary_key=True)


# ── deliveries ───────────────────────────────────────────────────────────────────────────────────


class OutboxRow(SQLModel):
    """What goes out in requests and moves along the table of states: a delivery, or a correction of one."""

    id: int | None = Field(default=None, primary_key=True)
    account: str
    lead: str
    conversion: str
    destination: str
    key: str
    """What the platform knows it by; a correction has its delivery's."""
    state: str
    reason: str | None = None
    """One of ours; where the platform's word says why, `code` has it."""
    detail: str | None = None
    """What the reason was found in."""
    not_before: datetime | None = None
    """When a pending one is due."""
    deferred_until: datetime | None = None
    """The platform's own delay, which no re-planning shortens."""
    expires_at: datetime | None = None
    at: datetime | None = None
    """When the conversion, or a correction's cause, happened."""
    transport: str | None = None
    owner: str | None = None
    action: str | None = None
    source: str | None = None
    value: str | None = None
    """A correction's is the new total; None for a retraction."""
    currency: str | None = None
    event: bytes | None = None
    """The encoded event, only while it is in flight, submitted or in doubt."""
    event_sha256: str | None = None
    in_doubt_since: datetime | None = None
    """When an answer about these bytes was first lost; until settled they do not change."""
    in_doubt_request: int | None = Field(default=None, foreign_key="request.id")
    """The request whose answer that was."""
    code: str | None = None
    """The platform's code, once settled."""
    outcome: str | None = None


class Delivery(OutboxRow, table=True):
    """One conversion to one destination: what is sent, retried, settled."""

    __table_args__ = (
        UniqueConstraint("account", "lead", "conversion", "destination", "occurrence"),
        UniqueConstraint("account", "key"),
        _of_lead(),
        Index(None, "account", "state", "destination", "at"),
    )
    occurrence: int
    held_for: str | None = None
    """The reason an expired one was, or would have been, held for until its time ran out."""
    origin: str | None = None
    label: str | None = None
    tax: str | None = None
    click_id_kind: str | None = None
    click_estimated: bool | None = None
    may_count_twice: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Sent again after a lost answer, to a platform that may count one key twice."""
    entered_after: datetime | None = None
    """For a later occurrence: only an entry after this counts, the time of the retraction before it."""
    counts_from: datetime | None = None
    """From when its changes count, where a human has it sent although it precedes its conversion's start."""
    assumed_at: datetime | None = None
    """The time a human has assumed for an undated change."""
    approved_in: int | None = None
    """The run in which a human approved it; the volume guard no longer holds it."""


class DedupKey(AccountRow, table=True):
    """What recognises a delivery, where its conversion counts once per click or person."""

    __tablename__ = "dedup_key"
    __table_args__ = (_of_lead(), Index(None, "account", "lead", "conversion", "destination", "dedup_key"))
    conversion: str = Field(primary_key=True)
    destination: str = Field(primary_key=True)
    dedup_key: str = Field(primary_key=True)
    """SHA-256 over a kind and a value: a click id, or contact data already hashed."""
    lead: str = Field(primary_key=True)
    at: datetime
    """When the conversion happened."""


class Request(SQLModel, table=True):
    """One wire call to a sink."""

    __table_args__ = (Index(None, "account", "state"), Index(None, "account", "destination", "sent_at"))
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
    """`open` (no receipt yet), `lost`, `refused`, `not_sent`, `received` (to be resolved), `settled`, `unresolved`."""
    ticket: str | None = None
    resolve_after: datetime | None = None
    code: str | None = None
    message: str | None = None


class Place(SQLModel):
    """Where something that is sent stands in one request."""

    request: int = Field(primary_key=True, foreign_key="request.id")
    position: int = Field(primary_key=True)
    outcome: str | None = None
    code: str | None = None


class Attempt(Place, table=True):
    """One delivery's place in one request."""

    delivery: int = Field(foreign_key="delivery.id", index=True)


class Move(SQLModel):
    """One move along the table of states, and its cause; append-only."""

    id: int | None = Field(default=None, primary_key=True)
    account: str
    run: int = Field(foreign_key="run.id", index=True)
    at: datetime
    from_state: str | None = None
    to_state: str
    reason: str | None = None
    """One of ours; None where the platform's code says why."""
    detail: str | None = None
    code: str | None = None


class Transition(Move, table=True):
    """One move of one delivery."""

    delivery: int = Field(foreign_key="delivery.id", index=True)


class IncidentRow(AccountRow, table=True):
    """A cause that needs a human, from the night it was first found until it clears."""

    __tablename__ = "incident"
    cause: str = Field(primary_key=True)
    title: str
    text: str
    first_seen_at: datetime
    notified_at: datetime | None = None
    """When the first address accepted it."""
    cleared_at: datetime | None = None
    undelivered: str = "[]"
    """JSON: the marks of the addresses that are still owed it."""


# ── corrections ──────────────────────────────────────────────────────────────────────────────────


class Adjustment(OutboxRow, table=True):
    """A later correction of an accepted delivery: its retraction, or another value for it."""

    __table_args__ = (
        UniqueConstraint("delivery", "number"),
        _of_lead(),
        Index(None, "account", "lead"),
        Index(None, "account", "state", "destination", "at"),
    )
    delivery: int = Field(foreign_key="delivery.id")
    number: int
    """1, 2, 3 …: each is begun once the one before is settled."""
    kind: str
    """`retraction` or `restatement`."""
    cause: str
    """`undone`, `value_changed` or `won_again`."""
    at: datetime
    """Later than the correction before."""
    transport: str
    """What carries it; `owner`, `action` and `source` are the delivery's."""
    owner: str
    action: str
    source: str


class AdjustmentAttempt(Place, table=True):
    """One correction's place in one request."""

    __tablename__ = "adjustment_attempt"
    adjustment: int = Field(foreign_key="adjustment.id", index=True)


class AdjustmentTransition(Move, table=True):
    """One move of one correction."""

    __tablename__ = "adjustment_transition"
    adjustment: int = Field(foreign_key="adjustment.id", index=True)


@dataclass(frozen=True, slots=True)
class RowKind:
    """The tables of deliveries, or those of their corrections."""

    name: str
    """The column of `moves` and `attempts` that says what moved, or was sent."""
    sent: type[OutboxRow]
    moves: type[Move]
    attempts: type[Place]

    @property
    def moved(self) -> Mapped[int]:
        """What a move moved, by id."""
        return col(getattr(self.moves, self.name))

    @property
    def attempted(self) -> Mapped[int]:
        """What an attempt sent, by id."""
        return col(getattr(self.attempts, self.name))


CONVERSIONS = RowKind("delivery", Delivery, Transition, Attempt)
CORRECTIONS = RowKind("adjustment", Adjustment, AdjustmentTransition, AdjustmentAttempt)
KINDS = (CONVERSIONS, CORRECTIONS)


def row_kind(sent: OutboxRow) -> RowKind:
    """The tables that a row belongs to."""
    return CONVERSIONS if isinstance(sent, Delivery) else CORRECTIONS


def identity(row: OutboxRow | Request) -> int:
    """The row's id, which a stored row always has."""
    if row.id is None:
        raise ValueError("the row is not stored yet")
    return row.id
