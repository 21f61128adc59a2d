"""Which leads were forgotten, and an index by which deliveries are erased."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

revision, down_revision = "0006", "0005"
branch_labels = depends_on = None

TEXT = types.AutoString()


def upgrade():
    """Create the table and the index."""
    op.create_table(
        "forgotten_lead",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("forgotten_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("account", "id", name="pk_forgotten_lead"),
    )
    op.create_index("ix_delivery_original", "delivery", ["original"], sqlite_where=sa.text("original IS NOT NULL"))
