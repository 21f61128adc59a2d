"""The renames on record also hold what a status is called besides: a code, say, that histories tell alone."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0023", "0022"
branch_labels = depends_on = None


def upgrade():
    """Add the column."""
    op.add_column("status_rename", sa.Column("means", sa.Boolean(), nullable=True))
