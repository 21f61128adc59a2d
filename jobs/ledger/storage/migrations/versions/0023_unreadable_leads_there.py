"""Whether Oplead showed an unreadable lead is a column, not a sentence: else only its own page was asked for, in vain."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0023", "0022"
branch_labels = depends_on = None


def upgrade():
    """Add the column, with what the reasons told until now."""
    op.add_column("unreadable_lead", sa.Column("there", sa.Boolean(), nullable=False, server_default=sa.true()))
    reason = "its own page was asked for, and the key may not read it"
    row = sa.table("unreadable_lead", sa.column("reason"), sa.column("there"))
    op.execute(row.update().where(row.c.reason == reason).values(there=sa.false()))
