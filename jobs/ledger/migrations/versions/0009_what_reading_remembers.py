"""Remember test leads by their digests, and whether the list moved under a pull that was interrupted."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table('excluded_lead',
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('digest', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('read_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('account', 'id', name=op.f('pk_excluded_lead'))
    )
    with op.batch_alter_table('cursor', schema=None, recreate='never') as batch_op:
        batch_op.add_column(sa.Column('moved', sa.Boolean(), server_default=sa.text('0'), nullable=False))


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('cursor', schema=None, recreate='never') as batch_op:
        batch_op.drop_column('moved')

    op.drop_table('excluded_lead')
