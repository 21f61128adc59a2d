"""Leads under whose ids others are shown are found by an index, as each run asks for them."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0022", "0021"
branch_labels = depends_on = None


def upgrade():
    """Create the index."""
    some = sa.text("reused_in IS NOT NULL")
    op.create_index("ix_lead_account_reused_in", "lead", ["account", "reused_in"], sqlite_where=some, postgresql_where=some)
