"""An incident's values in place of its words, which are those of the language in which it is shown.

What stood open is found again by the next night: its words cannot be turned back into values.
"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

revision, down_revision = "0009", "0008"
branch_labels = depends_on = None

TEXT, TIME = types.AutoString(), types.UTCDateTime()


def upgrade():
    """Create the table anew."""
    op.drop_table("incident")
    op.create_table(
        "incident",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("cause", TEXT, nullable=False),
        sa.Column("details", TEXT, nullable=False),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.Column("notified_at", TIME, nullable=True),
        sa.Column("cleared_at", TIME, nullable=True),
        sa.Column("undelivered", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("account", "cause", name="pk_incident"),
    )
