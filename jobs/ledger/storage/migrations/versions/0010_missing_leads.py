"""Find the few leads whose page was not found without looking at all that have something open."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0010", "0009"
branch_labels = depends_on = None

MISSING = sa.text("missing_since IS NOT NULL")


def upgrade():
    """Add the index."""
    op.create_index(
        "ix_lead_account_missing_since",
        "lead",
        ["account", "missing_since"],
        sqlite_where=MISSING,
        postgresql_where=MISSING,
    )
