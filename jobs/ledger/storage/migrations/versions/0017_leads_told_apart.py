"""Which leads a person told apart from others that they look like, and whose ids another lead took."""

import sqlalchemy as sa
from alembic import op

from jobs.ledger.column_types import WHOLE, StoredText

revision, down_revision = "0017", "0012"
branch_labels = depends_on = None

TEXT = StoredText()


def upgrade():
    """Create the table and add the column."""
    op.add_column("lead", sa.Column("reused_in", WHOLE, nullable=True))
    op.create_table(
        "lead_told_apart",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("lead", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account", "lead"], ["lead.account", "lead.id"], name="fk_lead_told_apart_account_lead_lead"
        ),
        sa.PrimaryKeyConstraint("account", "lead", name="pk_lead_told_apart"),
    )
