"""Know which renames of statuses a human has said to be none."""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    with op.batch_alter_table('relabel', schema=None, recreate='never') as batch_op:
        batch_op.add_column(sa.Column('void', sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('relabel', schema=None, recreate='never') as batch_op:
        batch_op.drop_column('void')
