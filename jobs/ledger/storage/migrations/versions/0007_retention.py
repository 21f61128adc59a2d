"""How far leads have left, and what they came to, month by month."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

revision, down_revision = "0007", "0006"
branch_labels = depends_on = None

TEXT, TIME = types.AutoString(), types.UTCDateTime()
PLACE = ("source", "medium", "campaign")


def upgrade():
    """Create the tables, and the indexes that erasing runs and requests needs."""
    op.create_index("ix_request_run", "request", ["run"])
    op.create_index(
        "ix_delivery_in_doubt_request",
        "delivery",
        ["in_doubt_request"],
        sqlite_where=sa.text("in_doubt_request IS NOT NULL"),
    )
    with op.batch_alter_table("excluded_lead") as batch:
        batch.add_column(sa.Column("too_old", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "retention_mark",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("before", TIME, nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("leads", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_retention_mark"),
    )
    _create_monthly(
        "monthly_campaign",
        *(sa.Column(name, TEXT, nullable=False) for name in PLACE),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("leads", "won")),
        *(sa.Column(name, TEXT, nullable=False) for name in ("value", "reached")),
        key=PLACE,
    )
    _create_monthly(
        "monthly_click_ids",
        sa.Column("source", TEXT, nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("leads", "with_click_id")),
        key=("source", "week"),
    )
    _create_monthly(
        "monthly_sales",
        sa.Column("platform", TEXT, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("sent", "received", "accepted")),
        key=("platform",),
    )
    columns = ("conversion", "destination", "state", "reason")
    _create_monthly(
        "monthly_conversions",
        *(sa.Column(name, TEXT, nullable=False) for name in columns),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        key=columns,
    )


def _create_monthly(name, *columns, key):
    op.create_table(
        name,
        sa.Column("account", TEXT, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("account", "month", *key, name=f"pk_{name}"),
    )
