"""Note which leads are test leads or gone, and what counts once per click or person."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table('counted',
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('conversion', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('destination', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('mark', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('lead', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['account', 'lead'], ['lead.account', 'lead.id'], name=op.f('fk_counted_account_lead')),
    sa.PrimaryKeyConstraint('account', 'conversion', 'destination', 'mark', 'lead', name=op.f('pk_counted'))
    )
    with op.batch_alter_table('click_id', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_click_id_account_kind_value'), ['account', 'kind', 'value'], unique=False)

    # Added in place: a table made anew would leave the rows that point at it without theirs, which SQLite refuses.
    with op.batch_alter_table('lead', schema=None, recreate='never') as batch_op:
        batch_op.add_column(sa.Column('excluded', sa.Boolean(), server_default=sa.text('0'), nullable=False))
        batch_op.add_column(sa.Column('asked_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column('missing_since', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column('gone_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('lead', schema=None, recreate='never') as batch_op:
        batch_op.drop_column('gone_at')
        batch_op.drop_column('missing_since')
        batch_op.drop_column('asked_at')
        batch_op.drop_column('excluded')

    with op.batch_alter_table('click_id', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_click_id_account_kind_value'))

    op.drop_table('counted')
