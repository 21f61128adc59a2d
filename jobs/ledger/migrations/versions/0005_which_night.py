"""Know which run was a date's night, so that no date has two and none is left out."""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    # Added in place: a table made anew would leave the rows that point at it without theirs, which SQLite refuses.
    with op.batch_alter_table('run', schema=None, recreate='never') as batch_op:
        batch_op.add_column(sa.Column('night', sa.Date(), nullable=True))
        batch_op.create_index(batch_op.f('ix_run_account_night'), ['account', 'night'], unique=True)


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('run', schema=None, recreate='never') as batch_op:
        batch_op.drop_index(batch_op.f('ix_run_account_night'))
        batch_op.drop_column('night')
