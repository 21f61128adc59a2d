"""How many conversions left, in place of their sums by month, of which nothing else was ever read."""

import sqlalchemy as sa
from alembic import op

from jobs.ledger.column_types import WHOLE

revision, down_revision = "0011", "0010"
branch_labels = depends_on = None


def upgrade():
    """Add the sums up, and drop their table."""
    with op.batch_alter_table("retention_mark") as batch:
        batch.add_column(sa.Column("conversions", WHOLE, nullable=False, server_default="0"))
    op.execute(
        "UPDATE retention_mark SET conversions = (SELECT coalesce(sum(count), 0) FROM monthly_conversions "
        "WHERE monthly_conversions.account = retention_mark.account)"
    )
    op.drop_table("monthly_conversions")
