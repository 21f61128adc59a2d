"""Estimates of what leads are worth, and where each delivery's value comes from."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

revision, down_revision = "0004", "0003"
branch_labels = depends_on = None


def upgrade():
    """Add the table of estimates, and two columns to deliveries."""
    text, time = types.AutoString(), types.UTCDateTime()
    op.create_table(
        "expected_value",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, text, nullable=False) for name in ("account", "conversion", "basis", "value", "low", "high")),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("mean", text, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("leads", "won", "horizon_days")),
        *(sa.Column(name, time, nullable=False) for name in ("first", "until", "computed_at")),
        sa.PrimaryKeyConstraint("id", name="pk_expected_value"),
    )
    op.create_index("ix_expected_value_account_conversion_id", "expected_value", ["account", "conversion", "id"])
    op.add_column("delivery", sa.Column("value_from", text, nullable=True))
    op.add_column("delivery", sa.Column("estimate", sa.Integer(), nullable=True))
