"""Keep the UTM fields of leads, for the report by campaign; they are filled as leads are read again."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

revision = "0002"
down_revision = "0001"
branch_labels = depends_on = None


def upgrade():
    """Add the columns, which SQLite does without rewriting the table."""
    for name in ("utm_source", "utm_medium", "utm_campaign"):
        op.add_column("lead", sa.Column(name, types.AutoString(), nullable=True))
