"""What platforms say about what they received."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

revision, down_revision = "0003", "0002"
branch_labels = depends_on = None

TEXT, TIME = types.AutoString(), types.UTCDateTime()


def upgrade():
    """Create the table."""
    op.create_table(
        "platform_statement",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("destination", TEXT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in ("subject", "name", "value")),
        sa.Column("as_of", TIME, nullable=True),
        sa.Column("read_at", TIME, nullable=False),
        *(sa.Column(name, TEXT, nullable=True) for name in ("transport", "owner", "action")),
        *(sa.Column(name, TIME, nullable=True) for name in ("counted_since", "counted_until")),
        sa.Column("undecided", sa.Integer(), nullable=True),
        *(sa.Column(name, sa.Boolean(), nullable=True) for name in ("corrections", "is_shared")),
        sa.PrimaryKeyConstraint("account", "destination", "position", name="pk_platform_statement"),
    )
