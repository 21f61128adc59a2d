"""Keep corrections of accepted deliveries, which leads to look at for them, and which occurrence begins when."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table('adjustment',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('delivery', sa.Integer(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('lead', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('conversion', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('destination', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('cause', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('value', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('currency', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('transport', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('owner', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('action', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('source', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('fate', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('not_before', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('deferred_until', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('expires_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('event', sa.LargeBinary(), nullable=True),
    sa.Column('event_sha256', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('doubtful_since', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('doubtful_request', sa.Integer(), nullable=True),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('outcome', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['account', 'lead'], ['lead.account', 'lead.id'], name=op.f('fk_adjustment_account_lead')),
    sa.ForeignKeyConstraint(['delivery'], ['delivery.id'], name=op.f('fk_adjustment_delivery')),
    sa.ForeignKeyConstraint(['doubtful_request'], ['request.id'], name=op.f('fk_adjustment_doubtful_request')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_adjustment')),
    sa.UniqueConstraint('delivery', 'number', name=op.f('uq_adjustment_delivery_number'))
    )
    with op.batch_alter_table('adjustment', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_adjustment_account_destination_fate_not_before'), ['account', 'destination', 'fate', 'not_before'], unique=False)
        batch_op.create_index(batch_op.f('ix_adjustment_account_lead'), ['account', 'lead'], unique=False)

    op.create_table('adjustment_attempt',
    sa.Column('request', sa.Integer(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('adjustment', sa.Integer(), nullable=False),
    sa.Column('outcome', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('code', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['adjustment'], ['adjustment.id'], name=op.f('fk_adjustment_attempt_adjustment')),
    sa.ForeignKeyConstraint(['request'], ['request.id'], name=op.f('fk_adjustment_attempt_request')),
    sa.PrimaryKeyConstraint('request', 'position', name=op.f('pk_adjustment_attempt'))
    )
    with op.batch_alter_table('adjustment_attempt', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_adjustment_attempt_adjustment'), ['adjustment'], unique=False)

    op.create_table('adjustment_transition',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('adjustment', sa.Integer(), nullable=False),
    sa.Column('run', sa.Integer(), nullable=False),
    sa.Column('at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('from_fate', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('to_fate', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('cause', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.ForeignKeyConstraint(['adjustment'], ['adjustment.id'], name=op.f('fk_adjustment_transition_adjustment')),
    sa.ForeignKeyConstraint(['run'], ['run.id'], name=op.f('fk_adjustment_transition_run')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_adjustment_transition'))
    )
    with op.batch_alter_table('adjustment_transition', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_adjustment_transition_adjustment'), ['adjustment'], unique=False)
        batch_op.create_index(batch_op.f('ix_adjustment_transition_run'), ['run'], unique=False)

    # Added in place: a table made anew would leave the rows that point at it without theirs, which SQLite refuses.
    with op.batch_alter_table('delivery', schema=None, recreate='never') as batch_op:
        batch_op.add_column(sa.Column('entered_after', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))

    with op.batch_alter_table('lead', schema=None, recreate='never') as batch_op:
        batch_op.add_column(sa.Column('to_correct', sa.Boolean(), server_default=sa.text('0'), nullable=False))
        batch_op.create_index(batch_op.f('ix_lead_to_correct'), ['to_correct'], unique=False)

    # What was accepted before is looked at once.
    op.execute("UPDATE lead SET to_correct = 1 WHERE id IN (SELECT lead FROM delivery WHERE fate = 'accepted')")


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('lead', schema=None, recreate='never') as batch_op:
        batch_op.drop_index(batch_op.f('ix_lead_to_correct'))
        batch_op.drop_column('to_correct')

    with op.batch_alter_table('delivery', schema=None, recreate='never') as batch_op:
        batch_op.drop_column('entered_after')

    with op.batch_alter_table('adjustment_transition', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_adjustment_transition_run'))
        batch_op.drop_index(batch_op.f('ix_adjustment_transition_adjustment'))

    op.drop_table('adjustment_transition')
    with op.batch_alter_table('adjustment_attempt', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_adjustment_attempt_adjustment'))

    op.drop_table('adjustment_attempt')
    with op.batch_alter_table('adjustment', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_adjustment_account_lead'))
        batch_op.drop_index(batch_op.f('ix_adjustment_account_destination_fate_not_before'))

    op.drop_table('adjustment')
