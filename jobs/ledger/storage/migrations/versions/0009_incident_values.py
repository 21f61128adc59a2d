"""An incident's values in place of its words, which are those of the language in which it is shown.

Its words cannot be turned back into values, so these stay empty. Everything else is carried over: what is open stays
open and keeps its first night, and who is owed a notice is still owed it. The next night fills in the values of what it
finds again, and resolves what it knows to be over; until then it is shown as an incident that cannot be read.
"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

revision, down_revision = "0009", "0008"
branch_labels = depends_on = None

TEXT, TIME = types.AutoString(), types.UTCDateTime()


def upgrade():
    """Create the table anew, with what can be carried over."""
    op.rename_table("incident", "incident_in_words")
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
    op.execute(
        "INSERT INTO incident (account, cause, details, first_seen_at, notified_at, cleared_at, undelivered)"
        " SELECT account, cause, '{}', first_seen_at, notified_at, cleared_at, undelivered FROM incident_in_words"
    )
    op.drop_table("incident_in_words")
