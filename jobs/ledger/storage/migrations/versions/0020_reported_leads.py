"""Which of the leads that webhooks named were looked up, so that a stopped run goes on and no id is asked for twice."""

import sqlalchemy as sa
from alembic import op

from jobs.ledger.column_types import WHOLE, StoredText
from jobs.ledger.times import StoredTime

revision, down_revision = "0020", "0019"
branch_labels = depends_on = None

TEXT = StoredText()


def upgrade():
    """Create the table."""
    op.create_table(
        "reported_lead",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("lead", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("inbox", TEXT, nullable=False),
        sa.Column("event", WHOLE, nullable=False),
        sa.Column("at", StoredTime(), nullable=False),
        sa.PrimaryKeyConstraint("account", "lead", name="pk_reported_lead"),
    )
