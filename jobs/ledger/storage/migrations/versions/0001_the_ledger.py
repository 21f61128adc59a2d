"""The initial tables, spelled out so that later changes to the models don't affect this migration."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

from jobs.ledger.storage.state_file import APPLICATION_ID

revision = "0001"
down_revision = branch_labels = depends_on = None

TYPES = {
    "text": types.AutoString(), "time": types.UTCDateTime(), "bytes": sa.LargeBinary(), "integer": sa.Integer(),
    "boolean": sa.Boolean(), "date": sa.Date(), "false": sa.Boolean(),
}
"""Column types by their name in `TABLES`; `false` is a boolean that is false by default."""
TABLES = {
    "backfill_place": """account text key, reads_from time, fresh_to time?, started_at time, resume text?,
        epoch integer""",
    "config_digest": "account text key, kind text key, digest text",
    "cursor": """account text key, since time?, pull_started_at time?, pull_since time?, resume text?,
        full_read_at time?, moved false""",
    "excluded_lead": "account text key, id text key, digest text, read_at time",
    "incident": """account text key, cause text key, title text, text text, first_seen_at time, notified_at time?,
        cleared_at time?, undelivered text""",
    "inbox_place": "account text key, event integer, inbox text",
    "label_move": "account text key, lead text key, before text, after text, waits boolean",
    "lead": """account text key, id text key, created_at time, updated_at time?, label text?, digest text, seen_at time,
        ad_user_data text, ad_personalization text, click_id_problem text?, facts text, amount_paths text,
        fresh boolean, to_plan boolean, to_correct false, excluded false, asked_at time?, missing_since time?,
        deleted_at time?, merged_into text?""",
    "lease": "account text key, epoch integer, pid integer, started_at time, read_at time?",
    "read_export": """account text key, exported_at time, sha256 text, rows integer, titles text, newest time?,
        ends_line boolean""",
    "run": """id integer key, account text, command text, epoch integer, started_at time, ended_at time?,
        exit_code integer?, night date?""",
    "start": """account text key, conversion text key, destination text key, label text key, target text,
        since time""",
    "status_label": """account text key, label text key, written text?, seen_at time, settled boolean,
        reported integer, reported_in integer?""",
    "unreadable_lead": "account text key, id text key, reason text, seen_at time, reported_in integer?",
    "click_id": "account text key, lead text key, kind text key, value text key, clicked_at time, estimated boolean",
    "contact_hash": "account text key, lead text key, destination text key, kind text key, sha256 text key",
    "dedup_key": """account text key, conversion text key, destination text key, dedup_key text key, lead text key,
        at time""",
    "request": """id integer key, account text, run integer, destination text, transport text, owner text, action text,
        sent_at time, rows integer, state text, ticket text?, resolve_after time?, code text?, message text?""",
    "status_change": """id integer key, account text, lead text, label text, at time, date_only boolean, origin text,
        after time?, seen_at time""",
    "status_rename": "account text key, before text key, after text key, leads integer, run integer, void false",
    "delivery": """id integer key, account text, lead text, conversion text, destination text, occurrence integer,
        kind text, original integer?, number integer, cause text?, key text, state text, reason text?, detail text?,
        held_for text?, not_before time?, deferred_until time?, expires_at time?, at time?, origin text?, label text?,
        transport text?, owner text?, action text?, source text?, value text?, currency text?, tax text?,
        click_id_kind text?, click_estimated boolean?, event bytes?, event_sha256 text?, in_doubt_since time?,
        in_doubt_request integer?, may_count_twice false, entered_after time?, counts_from time?, assumed_at time?,
        approved_in integer?, code text?, outcome text?""",
    "attempt": "request integer key, position integer key, delivery integer, outcome text?, code text?",
    "transition": """id integer key, account text, delivery integer, run integer, at time, from_state text?,
        to_state text, reason text?, detail text?, code text?""",
}
"""The columns of each table as `name type`; `?` allows null, `key` is part of the primary key."""
OF_LEAD = ("click_id", "contact_hash", "dedup_key", "status_change", "delivery")
REFERENCES = {
    "request": ("run",),
    "status_rename": ("run",),
    "delivery": ("in_doubt_request request", "original delivery"),
    "attempt": ("delivery", "request"),
    "transition": ("delivery", "run"),
}
"""Columns with the id of a row in another table: the one they are named after, unless it follows the name."""
INDEXES = {
    "lead": (
        "account created_at", "account label", "account to_correct id", "account to_plan id",
        "account updated_at created_at",
    ),
    "click_id": ("account kind value lead",),
    "dedup_key": ("account lead conversion destination dedup_key",),
    "request": ("account destination sent_at", "account state"),
    "status_change": ("account lead",),
    "delivery": ("account state destination at",),
    "attempt": ("delivery",),
    "transition": ("delivery", "run"),
}


def _column(text):
    name, kind, *key = text.split()
    default = sa.text("0") if kind == "false" else None
    nullable = kind.endswith("?")
    return sa.Column(name, TYPES[kind.removesuffix("?")], primary_key=bool(key), nullable=nullable, server_default=default)


def _constraints(table):
    yield sa.PrimaryKeyConstraint(name=f"pk_{table}")
    if table in OF_LEAD:
        yield sa.ForeignKeyConstraint(["account", "lead"], ["lead.account", "lead.id"], f"fk_{table}_account_lead")
    for name, *other in map(str.split, REFERENCES.get(table, ())):
        yield sa.ForeignKeyConstraint([name], [f"{(*other, name)[0]}.id"], f"fk_{table}_{name}")
    if table == "delivery":
        identity = ("account", "lead", "conversion", "destination", "occurrence", "number")
        yield sa.UniqueConstraint(*identity, name="uq_delivery_identity")
        is_one_kind = "(original IS NULL) = (kind = 'conversion') AND (original IS NULL) = (number = 0)"
        yield sa.CheckConstraint(is_one_kind, name="ck_delivery_kind")


def upgrade():
    """Create every table."""
    for table, columns in TABLES.items():
        op.create_table(table, *map(_column, columns.split(",")), *_constraints(table))
        for names in map(str.split, INDEXES.get(table, ())):
            op.create_index(f"ix_{table}_{'_'.join(names)}", table, names)
    op.create_index("ix_run_account_night", "run", ["account", "night"], unique=True)
    is_conversion = sa.text("original IS NULL")
    op.create_index(
        "ix_delivery_account_key", "delivery", ["account", "key"],
        unique=True, sqlite_where=is_conversion, postgresql_where=is_conversion,
    )
    counted_by = "state conversion destination reason code may_count_twice held_for value original"
    op.create_index(
        "ix_delivery_counts", "delivery", ["account", *counted_by.split()],
        sqlite_where=is_conversion, postgresql_where=is_conversion,
    )
    is_approved = sa.text("approved_in IS NOT NULL")
    op.create_index(
        "ix_delivery_approved_in", "delivery", ["approved_in"], sqlite_where=is_approved, postgresql_where=is_approved
    )
    is_correction = sa.text("original IS NOT NULL")
    op.create_index(
        "ix_delivery_account_original", "delivery", ["account", "original"],
        sqlite_where=is_correction, postgresql_where=is_correction,
    )
    is_whole = sa.text("substr(value, 1, 7) <> 'sha256:'")
    op.create_index(
        "ix_click_id_account_kind_clicked_at", "click_id", ["account", "kind", "clicked_at"],
        sqlite_where=is_whole,
    )
    is_up_to_date = sa.text("digest <> ''")
    op.create_index(
        "ix_lead_account_amount_paths", "lead", ["account", "amount_paths"],
        sqlite_where=is_up_to_date, postgresql_where=is_up_to_date,
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"PRAGMA application_id = {APPLICATION_ID}")
