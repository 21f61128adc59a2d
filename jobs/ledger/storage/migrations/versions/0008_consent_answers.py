"""Consent answers, why missing ones were taken as yes, and which of them each delivery was sent on.

Answers of leads on record are not made up from what is stored of them: that lacks the field and the words they stood
in, which are the evidence. The next night reads every lead again, as if the settings of the fields had changed, and
records what it finds there. What was sent before rests on no answer on record, since nothing tells which it was.
"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

revision, down_revision = "0008", "0007"
branch_labels = depends_on = None

TEXT, TIME = types.AutoString(), types.UTCDateTime()


def upgrade():
    """Add both tables, and three columns to deliveries, and have every lead read again."""
    op.create_table(
        "consent_answer",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("account", "lead", "signal", "answer", "field")),
        sa.Column("value", TEXT, nullable=True),
        sa.Column("read_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consent_answer"),
        sa.ForeignKeyConstraint(["account", "lead"], ["lead.account", "lead.id"], name="fk_consent_answer_account_lead"),
    )
    op.create_index("ix_consent_answer_account_lead_signal", "consent_answer", ["account", "lead", "signal"])
    op.create_table(
        "assumed_consent",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account", TEXT, nullable=False),
        sa.Column("because", TEXT, nullable=True),
        sa.Column("since", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_assumed_consent"),
    )
    for name in ("user_data_answer", "personalization_answer", "assumed_consent"):
        op.add_column("delivery", sa.Column(name, sa.Integer(), nullable=True))
    op.execute("UPDATE config_digest SET digest = '' WHERE kind = 'extraction'")
