"""When the ledger was restored from a backup, what remembers more than it, and when undated changes may have happened."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

from jobs.ledger.column_types import StoredText

revision, down_revision = "0019", "0018"
branch_labels = depends_on = None


def upgrade():
    """Add the columns."""
    op.add_column("lease", sa.Column("restored_at", types.UTCDateTime(), nullable=True))
    op.add_column("lease", sa.Column("forgotten_place", StoredText(), nullable=True))
    op.add_column("delivery", sa.Column("happened_after", types.UTCDateTime(), nullable=True))
