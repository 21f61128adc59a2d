"""Keep from when a delivery counts that a human has sent, and an interrupted backfill's place."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table('backfill_place',
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reads_from', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('started_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('resume', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('epoch', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('account', name=op.f('pk_backfill_place'))
    )
    # Added in place: a table made anew would leave the rows that point at it without theirs, which SQLite refuses.
    with op.batch_alter_table('delivery', schema=None, recreate='never') as batch_op:
        batch_op.add_column(sa.Column('counts_from', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column('assumed_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column('agreed_in', sa.Integer(), nullable=True))


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('delivery', schema=None, recreate='never') as batch_op:
        batch_op.drop_column('agreed_in')
        batch_op.drop_column('assumed_at')
        batch_op.drop_column('counts_from')

    op.drop_table('backfill_place')
