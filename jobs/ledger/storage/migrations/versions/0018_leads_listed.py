"""How many leads the list showed, so that one that shows far fewer is noticed."""

import sqlalchemy as sa
from alembic import op

from jobs.ledger.column_types import WHOLE

revision, down_revision = "0018", "0017"
branch_labels = depends_on = None


def upgrade():
    """Add both counts; without a complete reading that counted, there is nothing to compare with."""
    with op.batch_alter_table("cursor") as batch:
        batch.add_column(sa.Column("listed", WHOLE, nullable=False, server_default="0"))
        batch.add_column(sa.Column("listed_whole", WHOLE, nullable=False, server_default="0"))
