"""The initial tables, spelled out so that later changes to the models don't affect this migration."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

from jobs.ledger.database import APPLICATION_ID

revision = "0001"
down_revision = branch_labels = depends_on = None

def _required(kind):
    return {"type_": kind, "nullable": False}


TEXT, TIME, BYTES = _required(types.AutoString()), _required(types.UTCDateTime()), _required(sa.LargeBinary())
INTEGER, BOOLEAN, DATE = _required(sa.Integer()), _required(sa.Boolean()), _required(sa.Date())
FALSE = BOOLEAN | {"server_default": sa.text("0")}


def optional(column):
    """Return the column as nullable."""
    return column | {"nullable": True}


def _create(table, columns, *, key, of_lead=False, references=None, unique=(), indexes=()):
    """Create a table and its indexes."""
    lead = [sa.ForeignKeyConstraint(["account", "lead"], ["lead.account", "lead.id"], f"fk_{table}_account_lead")]
    op.create_table(
        table,
        *(sa.Column(name, **column) for name, column in columns.items()),
        *(lead if of_lead else ()),
        *(sa.ForeignKeyConstraint([name], [to], f"fk_{table}_{name}") for name, to in (references or {}).items()),
        sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"),
        *(sa.UniqueConstraint(*each, name=f"uq_{table}_{'_'.join(each)}") for each in unique),
    )
    for each in indexes:
        op.create_index(f"ix_{table}_{'_'.join(each)}", table, each)


def upgrade():
    """Create every table."""
    _create(
        "backfill_place",
        dict(
            account=TEXT, reads_from=TIME, fresh_to=optional(TIME), started_at=TIME, resume=optional(TEXT),
            epoch=INTEGER,
        ),
        key=["account"],
    )
    _create("config_digest", dict(account=TEXT, kind=TEXT, digest=TEXT), key=["account", "kind"])
    _create(
        "cursor",
        dict(
            account=TEXT, since=optional(TIME), pull_started_at=optional(TIME), pull_since=optional(TIME),
            resume=optional(TEXT), full_read_at=optional(TIME), moved=FALSE,
        ),
        key=["account"],
    )
    _create("excluded_lead", dict(account=TEXT, id=TEXT, digest=TEXT, read_at=TIME), key=["account", "id"])
    _create(
        "incident",
        dict(
            account=TEXT, cause=TEXT, title=TEXT, text=TEXT, first_seen_at=TIME, notified_at=optional(TIME),
            cleared_at=optional(TIME), undelivered=TEXT,
        ),
        key=["account", "cause"],
    )
    _create(
        "label_move",
        dict(account=TEXT, lead=TEXT, before=TEXT, after=TEXT, waits=BOOLEAN),
        key=["account", "lead"],
    )
    _create(
        "lead",
        dict(
            account=TEXT, id=TEXT, created_at=TIME, updated_at=optional(TIME), label=optional(TEXT), digest=TEXT,
            seen_at=TIME, ad_user_data=TEXT, ad_personalization=TEXT, click_id_problem=optional(TEXT), facts=TEXT,
            fresh=BOOLEAN, to_plan=BOOLEAN, to_correct=FALSE, excluded=FALSE, asked_at=optional(TIME),
            missing_since=optional(TIME), deleted_at=optional(TIME), merged_into=optional(TEXT),
        ),
        key=["account", "id"],
        indexes=[
            ["account", "created_at"],
            ["account", "label"],
            ["account", "to_correct", "id"],
            ["account", "to_plan", "id"],
            ["account", "updated_at", "created_at"],
        ],
    )
    _create("lease", dict(account=TEXT, epoch=INTEGER, pid=INTEGER, started_at=TIME), key=["account"])
    _create(
        "run",
        dict(
            id=INTEGER, account=TEXT, command=TEXT, epoch=INTEGER, started_at=TIME, ended_at=optional(TIME),
            exit_code=optional(INTEGER), night=optional(DATE),
        ),
        key=["id"],
    )
    _create(
        "start",
        dict(account=TEXT, conversion=TEXT, destination=TEXT, label=TEXT, target=TEXT, since=TIME),
        key=["account", "conversion", "destination", "label"],
    )
    _create(
        "status_label",
        dict(
            account=TEXT, label=TEXT, written=optional(TEXT), seen_at=TIME, settled=BOOLEAN, reported=INTEGER,
            reported_in=optional(INTEGER),
        ),
        key=["account", "label"],
    )
    _create(
        "unreadable_lead",
        dict(account=TEXT, id=TEXT, reason=TEXT, seen_at=TIME, reported_in=optional(INTEGER)),
        key=["account", "id"],
    )
    _create(
        "click_id",
        dict(account=TEXT, lead=TEXT, kind=TEXT, value=TEXT, clicked_at=TIME, estimated=BOOLEAN),
        key=["account", "lead", "kind", "value"],
        of_lead=True,
        indexes=[["account", "kind", "value", "lead"]],
    )
    _create(
        "contact_hash",
        dict(account=TEXT, lead=TEXT, destination=TEXT, kind=TEXT, sha256=TEXT),
        key=["account", "lead", "destination", "kind", "sha256"],
        of_lead=True,
    )
    _create(
        "dedup_key",
        dict(account=TEXT, conversion=TEXT, destination=TEXT, dedup_key=TEXT, lead=TEXT, at=TIME),
        key=["account", "conversion", "destination", "dedup_key", "lead"],
        of_lead=True,
        indexes=[["account", "lead", "conversion", "destination", "dedup_key"]],
    )
    _create(
        "request",
        dict(
            id=INTEGER, account=TEXT, run=INTEGER, destination=TEXT, transport=TEXT, owner=TEXT, action=TEXT,
            sent_at=TIME, rows=INTEGER, state=TEXT, ticket=optional(TEXT), resolve_after=optional(TIME),
            code=optional(TEXT), message=optional(TEXT),
        ),
        key=["id"],
        references={"run": "run.id"},
        indexes=[["account", "destination", "sent_at"], ["account", "state"]],
    )
    _create(
        "status_change",
        dict(
            id=INTEGER, account=TEXT, lead=TEXT, label=TEXT, at=TIME, date_only=BOOLEAN, origin=TEXT,
            after=optional(TIME), seen_at=TIME,
        ),
        key=["id"],
        of_lead=True,
        indexes=[["account", "lead"]],
    )
    _create(
        "status_rename",
        dict(account=TEXT, before=TEXT, after=TEXT, leads=INTEGER, run=INTEGER, void=FALSE),
        key=["account", "before", "after"],
        references={"run": "run.id"},
    )
    _create(
        "delivery",
        dict(
            id=INTEGER, account=TEXT, lead=TEXT, conversion=TEXT, destination=TEXT, occurrence=INTEGER, key=TEXT,
            state=TEXT, reason=optional(TEXT), detail=optional(TEXT), held_for=optional(TEXT), not_before=optional(TIME),
            deferred_until=optional(TIME), expires_at=optional(TIME), at=optional(TIME), origin=optional(TEXT),
            label=optional(TEXT), tax=optional(TEXT), transport=optional(TEXT), owner=optional(TEXT),
            action=optional(TEXT), source=optional(TEXT), value=optional(TEXT), currency=optional(TEXT),
            click_id_kind=optional(TEXT), click_estimated=optional(BOOLEAN), event=optional(BYTES),
            event_sha256=optional(TEXT), in_doubt_since=optional(TIME), in_doubt_request=optional(INTEGER),
            may_count_twice=FALSE, entered_after=optional(TIME), counts_from=optional(TIME), assumed_at=optional(TIME),
            approved_in=optional(INTEGER), code=optional(TEXT), outcome=optional(TEXT),
        ),
        key=["id"],
        of_lead=True,
        references={"in_doubt_request": "request.id"},
        unique=[["account", "key"], ["account", "lead", "conversion", "destination", "occurrence"]],
        indexes=[["account", "state", "destination", "at"]],
    )
    _create(
        "adjustment",
        dict(
            id=INTEGER, account=TEXT, delivery=INTEGER, number=INTEGER, lead=TEXT, conversion=TEXT, destination=TEXT,
            key=TEXT, kind=TEXT, cause=TEXT, at=TIME, value=optional(TEXT), currency=optional(TEXT), transport=TEXT,
            owner=TEXT, action=TEXT, source=TEXT, state=TEXT, reason=optional(TEXT), detail=optional(TEXT),
            not_before=optional(TIME), deferred_until=optional(TIME), expires_at=optional(TIME), event=optional(BYTES),
            event_sha256=optional(TEXT), in_doubt_since=optional(TIME), in_doubt_request=optional(INTEGER),
            code=optional(TEXT), outcome=optional(TEXT),
        ),
        key=["id"],
        of_lead=True,
        references={"delivery": "delivery.id", "in_doubt_request": "request.id"},
        unique=[["delivery", "number"]],
        indexes=[["account", "lead"], ["account", "state", "destination", "at"]],
    )
    _create(
        "attempt",
        dict(request=INTEGER, position=INTEGER, delivery=INTEGER, outcome=optional(TEXT), code=optional(TEXT)),
        key=["request", "position"],
        references={"delivery": "delivery.id", "request": "request.id"},
        indexes=[["delivery"]],
    )
    _create(
        "transition",
        dict(
            id=INTEGER, account=TEXT, delivery=INTEGER, run=INTEGER, at=TIME, from_state=optional(TEXT), to_state=TEXT,
            reason=optional(TEXT), detail=optional(TEXT), code=optional(TEXT),
        ),
        key=["id"],
        references={"delivery": "delivery.id", "run": "run.id"},
        indexes=[["delivery"], ["run"]],
    )
    _create(
        "adjustment_attempt",
        dict(request=INTEGER, position=INTEGER, adjustment=INTEGER, outcome=optional(TEXT), code=optional(TEXT)),
        key=["request", "position"],
        references={"adjustment": "adjustment.id", "request": "request.id"},
        indexes=[["adjustment"]],
    )
    _create(
        "adjustment_transition",
        dict(
            id=INTEGER, account=TEXT, adjustment=INTEGER, run=INTEGER, at=TIME, from_state=optional(TEXT),
            to_state=TEXT, reason=optional(TEXT), detail=optional(TEXT), code=optional(TEXT),
        ),
        key=["id"],
        references={"adjustment": "adjustment.id", "run": "run.id"},
        indexes=[["adjustment"], ["run"]],
    )
    op.create_index("ix_run_account_night", "run", ["account", "night"], unique=True)
    is_whole = sa.text("substr(value, 1, 7) <> 'sha256:'")
    op.create_index(
        "ix_click_id_account_kind_clicked_at", "click_id", ["account", "kind", "clicked_at"],
        sqlite_where=is_whole, postgresql_where=is_whole,
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"PRAGMA application_id = {APPLICATION_ID}")
