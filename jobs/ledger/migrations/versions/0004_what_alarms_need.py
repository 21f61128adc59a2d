"""Know which labels were ever seen, which leads changed theirs, which statuses were renamed, and what was told."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table('label',
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('label', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('written', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('seen_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('settled', sa.Boolean(), nullable=False),
    sa.Column('told', sa.Integer(), nullable=False),
    sa.Column('told_in', sa.Integer(), nullable=True),
    sa.PrimaryKeyConstraint('account', 'label', name=op.f('pk_label'))
    )
    op.create_table('label_move',
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('lead', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('before', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('after', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('waits', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('account', 'lead', name=op.f('pk_label_move'))
    )
    op.create_table('relabel',
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('before', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('after', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('leads', sa.Integer(), nullable=False),
    sa.Column('run', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['run'], ['run.id'], name=op.f('fk_relabel_run')),
    sa.PrimaryKeyConstraint('account', 'before', 'after', name=op.f('pk_relabel'))
    )
    # Added in place: a table made anew would leave the rows that point at it without theirs, which SQLite refuses.
    with op.batch_alter_table('unreadable_lead', schema=None, recreate='never') as batch_op:
        batch_op.add_column(sa.Column('told_in', sa.Integer(), nullable=True))

    # Every label a lead ever had is known already: none of them may pass for a new name.
    op.execute(
        "INSERT INTO label (account, label, seen_at, settled, told) "
        "SELECT account, label, min(seen_at), 1, 0 FROM status_change GROUP BY account, label"
    )


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('unreadable_lead', schema=None, recreate='never') as batch_op:
        batch_op.drop_column('told_in')

    op.drop_table('relabel')
    op.drop_table('label_move')
    op.drop_table('label')
