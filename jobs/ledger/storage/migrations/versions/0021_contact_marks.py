"""By what a lead without a click is known again under another id."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0021", "0020"
branch_labels = depends_on = None

MARKED = sa.text("contact_mark IS NOT NULL")


def upgrade():
    """Add the column and its indexes."""
    op.add_column("lead", sa.Column("contact_mark", sa.LargeBinary(), nullable=True))
    for name, column in (
        ("ix_lead_account_contact_mark", "contact_mark"),
        ("ix_lead_account_created_at_marked", "created_at"),
    ):
        op.create_index(name, "lead", ["account", column], sqlite_where=MARKED, postgresql_where=MARKED)
