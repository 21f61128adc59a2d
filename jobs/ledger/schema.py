"""The ledger's tables; every row carries its account. Times are aware UTC, amounts decimal text."""

from datetime import date, datetime

import sqlalchemy
from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


WHOLE = sqlalchemy.text("substr(value, 1, 7) <> 'sha256:'")
"""Of click ids: not erased yet. It stands in an index, which only finds what is asked for in the same words."""


def _of_lead() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["account", "lead"], ["lead.account", "lead.id"])


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


class Run(SQLModel, table=True):
    """One acting command, from its start to its exit code."""

    # One run at most is a date's night.
    __table_args__ = (Index(None, "account", "night", unique=True),)
    id: int | None = Field(default=None, primary_key=True)
    account: str
    command: str
    epoch: int
    started_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    night: date | None = None
    """The local date whose night this was, once it has come to its end; None for what died, was stopped or came later
    on that date."""


class Lease(SQLModel, table=True):
    """Who may write: the epoch every write transaction asserts."""

    account: str = Field(primary_key=True)
    epoch: int
    pid: int
    started_at: datetime


class Cursor(SQLModel, table=True):
    """How far the leads were read, and an interrupted pull's place."""

    account: str = Field(primary_key=True)
    since: datetime | None = None
    """Where the next pull starts; None reads everything."""
    pull_started_at: datetime | None = None
    """The start of the pull under way, on the source's clock; None between pulls."""
    pull_since: datetime | None = None
    resume: str | None = None
    full_read_at: datetime | None = None
    """The start of the last pull that read every lead."""
    moved: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether the list moved during the pull under way, so that it may have passed leads over."""


class BackfillPlace(SQLModel, table=True):
    """An interrupted backfill's place in the leads; the nightly cursor knows nothing of it."""

    __tablename__ = "backfill_place"
    account: str = Field(primary_key=True)
    reads_from: datetime
    """Leads created since then are read."""
    fresh_to: datetime | None = None
    """Of them, those created before that were read whole though nothing changed; None where none was."""
    started_at: datetime
    """The start of the reading, on the source's clock."""
    resume: str | None = None
    epoch: int
    """Of the run that read last."""


class ConfigDigest(SQLModel, table=True):
    """The settings the ledger's contents were made with."""

    __tablename__ = "config_digest"
    account: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    """`extraction`: what is read from a lead; `rules`: what is decided from it."""
    digest: str


class Start(SQLModel, table=True):
    """From when changes count, for each conversion, destination and label."""

    account: str = Field(primary_key=True)
    conversion: str = Field(primary_key=True)
    destination: str = Field(primary_key=True)
    label: str = Field(primary_key=True)
    """Normalised; the empty label is the conversion's own start."""
    target: str
    since: datetime


# ── leads ────────────────────────────────────────────────────────────────────────────────────────


class LeadRow(SQLModel, table=True):
    """What is kept of a lead: no contact data, and raw values only where the settings list them."""

    __tablename__ = "lead"
    __table_args__ = (
        Index(None, "account", "to_plan", "id"),
        Index(None, "account", "to_correct", "id"),
        Index(None, "account", "created_at"),
        Index(None, "account", "updated_at", "created_at"),
        Index(None, "account", "label"),
    )
    account: str = Field(primary_key=True)
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
    """JSON: the configured paths and what stands there, or its shape."""
    fresh: bool
    """Read since it was last judged: its contact hashes are whole."""
    to_plan: bool
    to_correct: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether what was accepted of it is to be looked at once more: it was judged anew, or an answer came."""
    excluded: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """A test lead by the settings' `exclude`, on record from before that."""
    asked_at: datetime | None = None
    """The start of the last pull that asked for its own page, whatever came of it."""
    missing_since: datetime | None = None
    """When its own page was first found gone; None once it is seen again."""
    deleted_at: datetime | None = None
    """When it was found gone a second time, and so believed."""
    merged_into: str | None = None
    """The lead that stood on its own page when it was last not found; None where nothing did."""


class ExcludedLead(SQLModel, table=True):
    """A test lead that is left out: enough to know it again unchanged, and nothing of the person."""

    __tablename__ = "excluded_lead"
    account: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    digest: str
    """Of its entry in the list."""
    read_at: datetime


class UnreadableLeadRow(SQLModel, table=True):
    """A lead that could not be read when last seen, and why."""

    __tablename__ = "unreadable_lead"
    account: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    reason: str
    seen_at: datetime
    reported_in: int | None = None
    """The run that told of it."""


class StatusLabel(SQLModel, table=True):
    """A status label that was ever seen."""

    __tablename__ = "status_label"
    account: str = Field(primary_key=True)
    label: str = Field(primary_key=True)
    """Normalised."""
    written: str | None = None
    """As Oplead wrote it when it was first seen; None where that was before this was kept."""
    seen_at: datetime
    """When first."""
    settled: bool = False
    """Whether a complete reading could tell that it is a status of its own, or a new name for one."""
    reported: int = 0
    """With how many click ids on its leads it was last told of, where the settings do not name it."""
    reported_in: int | None = None
    """The run that told."""


class LabelMove(SQLModel, table=True):
    """A lead that changed its label since the last complete reading, or waits for one."""

    __tablename__ = "label_move"
    account: str = Field(primary_key=True)
    lead: str = Field(primary_key=True)
    before: str
    after: str
    waits: bool
    """Whether nothing is decided of it until then, because a status may have been renamed."""


class StatusRename(SQLModel, table=True):
    """A status that was renamed in Oplead."""

    __tablename__ = "status_rename"
    account: str = Field(primary_key=True)
    before: str = Field(primary_key=True)
    after: str = Field(primary_key=True)
    leads: int
    """How many leads showed it."""
    run: int = Field(foreign_key="run.id")
    """The run that found it."""
    void: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Whether a human has said since that these are two statuses."""


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


class ClickIdRow(SQLModel, table=True):
    """A click id of a lead; ids accumulate."""

    __tablename__ = "click_id"
    __table_args__ = (
        _of_lead(),
        Index(None, "account", "kind", "value", "lead"),
        Index(None, "account", "kind", "clicked_at", sqlite_where=WHOLE, postgresql_where=WHOLE),
    )
    account: str = Field(primary_key=True)
    lead: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    clicked_at: datetime
    estimated: bool
    """Whether `clicked_at` is a bound (the lead's creation, or the pull before it appeared)."""


class ContactHash(SQLModel, table=True):
    """Platform-ready hashes of a lead's contact data, while something still to be sent may use them."""

    __tablename__ = "contact_hash"
    __table_args__ = (_of_lead(),)
    account: str = Field(primary_key=True)
    lead: str = Field(primary_key=True)
    destination: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    sha256: str = Field(primary_key=True)


# ── deliveries ───────────────────────────────────────────────────────────────────────────────────


class Delivery(SQLModel, table=True):
    """One conversion to one destination: what is sent, retried, settled."""

    __table_args__ = (
        UniqueConstraint("account", "lead", "conversion", "destination", "occurrence"),
        UniqueConstraint("account", "key"),
        _of_lead(),
        Index(None, "account", "state", "destination", "at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    account: str
    lead: str
    conversion: str
    destination: str
    occurrence: int
    key: str
    state: str
    reason: str | None = None
    """One of ours; where a platform's word says why, `code` has it."""
    detail: str | None = None
    """What the reason was found in."""
    held_for: str | None = None
    """Of an expired one: the reason it was held for until its time ran out, or would have been; None for nothing."""
    not_before: datetime | None = None
    """When a pending delivery is due."""
    deferred_until: datetime | None = None
    """The platform's own delay, which no re-planning shortens."""
    expires_at: datetime | None = None
    at: datetime | None = None
    """When the conversion happened."""
    origin: str | None = None
    label: str | None = None
    tax: str | None = None
    transport: str | None = None
    owner: str | None = None
    action: str | None = None
    source: str | None = None
    value: str | None = None
    currency: str | None = None
    click_id_kind: str | None = None
    click_estimated: bool | None = None
    event: bytes | None = None
    """The encoded event, only while it is in flight, submitted or in doubt."""
    event_sha256: str | None = None
    in_doubt_since: datetime | None = None
    """When an answer about these bytes was first lost; until settled they stay as they are."""
    in_doubt_request: int | None = Field(default=None, foreign_key="request.id")
    """The request whose answer that was."""
    may_count_twice: bool = Field(default=False, sa_column_kwargs={"server_default": sqlalchemy.false()})
    """Sent again after a lost answer, to a platform that may count one key twice."""
    entered_after: datetime | None = None
    """For a later occurrence: only an entry after this counts, the time the one before was taken back for."""
    counts_from: datetime | None = None
    """From when its changes count, where a human has it sent though it stood before its conversion's start."""
    assumed_at: datetime | None = None
    """The time a human has taken for that of an undated change."""
    approved_in: int | None = None
    """The run in which a human agreed that it goes out; no surge guard holds it since."""
    code: str | None = None
    """The platform's word on a settled delivery."""
    outcome: str | None = None


class DedupKey(SQLModel, table=True):
    """What a delivery is known again by, where its conversion counts once per click or person."""

    __tablename__ = "dedup_key"
    __table_args__ = (_of_lead(), Index(None, "account", "lead", "conversion", "destination", "dedup_key"))
    account: str = Field(primary_key=True)
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


class Attempt(SQLModel, table=True):
    """One delivery's place in one request."""

    request: int = Field(primary_key=True, foreign_key="request.id")
    position: int = Field(primary_key=True)
    delivery: int = Field(foreign_key="delivery.id", index=True)
    outcome: str | None = None
    code: str | None = None


class Transition(SQLModel, table=True):
    """One move of one delivery, and its cause; only ever added to."""

    id: int | None = Field(default=None, primary_key=True)
    account: str
    delivery: int = Field(foreign_key="delivery.id", index=True)
    run: int = Field(foreign_key="run.id", index=True)
    at: datetime
    from_state: str | None = None
    to_state: str
    reason: str | None = None
    """One of ours; None where the platform's code says why."""
    detail: str | None = None
    code: str | None = None


class IncidentRow(SQLModel, table=True):
    """A cause for which a human is needed, from the night it was first found to the one it had cleared by."""

    __tablename__ = "incident"
    account: str = Field(primary_key=True)
    cause: str = Field(primary_key=True)
    title: str
    text: str
    first_seen_at: datetime
    notified_at: datetime | None = None
    """When the first address took it; None while nobody has."""
    cleared_at: datetime | None = None
    undelivered: str = "[]"
    """JSON: the marks of the addresses that are still owed it."""


# ── corrections ──────────────────────────────────────────────────────────────────────────────────


class Adjustment(SQLModel, table=True):
    """A later correction of an accepted delivery: its retraction, or another value for it."""

    __table_args__ = (
        UniqueConstraint("delivery", "number"),
        _of_lead(),
        Index(None, "account", "lead"),
        Index(None, "account", "state", "destination", "at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    account: str
    delivery: int = Field(foreign_key="delivery.id")
    number: int
    """1, 2, 3 …: each is begun once the one before is settled."""
    lead: str
    conversion: str
    destination: str
    key: str
    """The delivery's: by it the platform knows what is corrected."""
    kind: str
    """`retraction` or `restatement`."""
    cause: str
    """`undone`, `value_changed` or `won_again`."""
    at: datetime
    """When what it tells of happened, or was seen; later than the correction before."""
    value: str | None = None
    """The new total; None for a retraction."""
    currency: str | None = None
    transport: str
    """What carries it; `owner`, `action` and `source` are the delivery's."""
    owner: str
    action: str
    source: str
    state: str
    """The states of deliveries, and their table."""
    reason: str | None = None
    detail: str | None = None
    not_before: datetime | None = None
    deferred_until: datetime | None = None
    """The platform's own delay."""
    expires_at: datetime | None = None
    event: bytes | None = None
    """Its bytes, only while it is in flight, submitted or in doubt."""
    event_sha256: str | None = None
    in_doubt_since: datetime | None = None
    in_doubt_request: int | None = Field(default=None, foreign_key="request.id")
    code: str | None = None
    outcome: str | None = None


class AdjustmentAttempt(SQLModel, table=True):
    """One correction's place in one request."""

    __tablename__ = "adjustment_attempt"
    request: int = Field(primary_key=True, foreign_key="request.id")
    position: int = Field(primary_key=True)
    adjustment: int = Field(foreign_key="adjustment.id", index=True)
    outcome: str | None = None
    code: str | None = None


class AdjustmentTransition(SQLModel, table=True):
    """One move of one correction, and its cause; only ever added to."""

    __tablename__ = "adjustment_transition"
    id: int | None = Field(default=None, primary_key=True)
    account: str
    adjustment: int = Field(foreign_key="adjustment.id", index=True)
    run: int = Field(foreign_key="run.id", index=True)
    at: datetime
    from_state: str | None = None
    to_state: str
    reason: str | None = None
    """One of ours; None where the platform's code says why."""
    detail: str | None = None
    code: str | None = None


OutboxRow = Delivery | Adjustment
"""What goes out in requests, and moves along the table of states."""
Place = Attempt | AdjustmentAttempt
"""Where one of them stood in one request."""
