"""When the ledger was restored from a backup, and since when an undated change may have happened."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

revision, down_revision = "0019", "0012"
branch_labels = depends_on = None


def upgrade():
    """Add the columns."""
    op.add_column("lease", sa.Column("restored_at", types.UTCDateTime(), nullable=True))
    op.add_column("delivery", sa.Column("happened_after", types.UTCDateTime(), nullable=True))
