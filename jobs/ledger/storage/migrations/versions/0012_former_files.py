"""From which files a state was moved, so that whoever is forgotten is erased there too."""

import sqlalchemy as sa
from alembic import op

from jobs.ledger.column_types import StoredText

revision, down_revision = "0012", "0011"
branch_labels = depends_on = None

TEXT = StoredText()


def upgrade():
    """Create the table."""
    op.create_table(
        "former_file",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("is_state", sa.Boolean(), nullable=False),
        sa.Column("identity", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("account", "path", name="pk_former_file"),
    )
