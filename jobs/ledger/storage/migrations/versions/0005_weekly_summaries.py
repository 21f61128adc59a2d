"""Which week's summary each address has taken."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

revision, down_revision = "0005", "0004"
branch_labels = depends_on = None

TEXT = types.AutoString()


def upgrade():
    """Create the table."""
    op.create_table(
        "weekly_summary",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("account", "address", name="pk_weekly_summary"),
    )
