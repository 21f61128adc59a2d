"""The ledger's tables."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql import sqltypes as types

from jobs.ledger.database import APPLICATION_ID

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table('backfill_place',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('reads_from', types.UTCDateTime(), nullable=False),
    sa.Column('fresh_to', types.UTCDateTime(), nullable=True),
    sa.Column('started_at', types.UTCDateTime(), nullable=False),
    sa.Column('resume', types.AutoString(), nullable=True),
    sa.Column('epoch', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('account', name=op.f('pk_backfill_place'))
    )
    op.create_table('config_digest',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('kind', types.AutoString(), nullable=False),
    sa.Column('digest', types.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('account', 'kind', name=op.f('pk_config_digest'))
    )
    op.create_table('cursor',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('since', types.UTCDateTime(), nullable=True),
    sa.Column('pull_started_at', types.UTCDateTime(), nullable=True),
    sa.Column('pull_since', types.UTCDateTime(), nullable=True),
    sa.Column('resume', types.AutoString(), nullable=True),
    sa.Column('full_read_at', types.UTCDateTime(), nullable=True),
    sa.Column('moved', sa.Boolean(), server_default=sa.text('0'), nullable=False),
    sa.PrimaryKeyConstraint('account', name=op.f('pk_cursor'))
    )
    op.create_table('excluded_lead',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('id', types.AutoString(), nullable=False),
    sa.Column('digest', types.AutoString(), nullable=False),
    sa.Column('read_at', types.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('account', 'id', name=op.f('pk_excluded_lead'))
    )
    op.create_table('incident',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('cause', types.AutoString(), nullable=False),
    sa.Column('title', types.AutoString(), nullable=False),
    sa.Column('text', types.AutoString(), nullable=False),
    sa.Column('first_seen_at', types.UTCDateTime(), nullable=False),
    sa.Column('notified_at', types.UTCDateTime(), nullable=True),
    sa.Column('cleared_at', types.UTCDateTime(), nullable=True),
    sa.Column('undelivered', types.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('account', 'cause', name=op.f('pk_incident'))
    )
    op.create_table('label_move',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('lead', types.AutoString(), nullable=False),
    sa.Column('before', types.AutoString(), nullable=False),
    sa.Column('after', types.AutoString(), nullable=False),
    sa.Column('waits', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('account', 'lead', name=op.f('pk_label_move'))
    )
    op.create_table('lead',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('id', types.AutoString(), nullable=False),
    sa.Column('created_at', types.UTCDateTime(), nullable=False),
    sa.Column('updated_at', types.UTCDateTime(), nullable=True),
    sa.Column('label', types.AutoString(), nullable=True),
    sa.Column('digest', types.AutoString(), nullable=False),
    sa.Column('seen_at', types.UTCDateTime(), nullable=False),
    sa.Column('ad_user_data', types.AutoString(), nullable=False),
    sa.Column('ad_personalization', types.AutoString(), nullable=False),
    sa.Column('click_id_problem', types.AutoString(), nullable=True),
    sa.Column('facts', types.AutoString(), nullable=False),
    sa.Column('fresh', sa.Boolean(), nullable=False),
    sa.Column('to_plan', sa.Boolean(), nullable=False),
    sa.Column('to_correct', sa.Boolean(), server_default=sa.text('0'), nullable=False),
    sa.Column('excluded', sa.Boolean(), server_default=sa.text('0'), nullable=False),
    sa.Column('asked_at', types.UTCDateTime(), nullable=True),
    sa.Column('missing_since', types.UTCDateTime(), nullable=True),
    sa.Column('deleted_at', types.UTCDateTime(), nullable=True),
    sa.Column('merged_into', types.AutoString(), nullable=True),
    sa.PrimaryKeyConstraint('account', 'id', name=op.f('pk_lead'))
    )
    with op.batch_alter_table('lead', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_lead_account_created_at'), ['account', 'created_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_lead_account_label'), ['account', 'label'], unique=False)
        batch_op.create_index(batch_op.f('ix_lead_account_to_correct_id'), ['account', 'to_correct', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_lead_account_to_plan_id'), ['account', 'to_plan', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_lead_account_updated_at_created_at'), ['account', 'updated_at', 'created_at'], unique=False)

    op.create_table('lease',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('epoch', sa.Integer(), nullable=False),
    sa.Column('pid', sa.Integer(), nullable=False),
    sa.Column('started_at', types.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('account', name=op.f('pk_lease'))
    )
    op.create_table('run',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('command', types.AutoString(), nullable=False),
    sa.Column('epoch', sa.Integer(), nullable=False),
    sa.Column('started_at', types.UTCDateTime(), nullable=False),
    sa.Column('ended_at', types.UTCDateTime(), nullable=True),
    sa.Column('exit_code', sa.Integer(), nullable=True),
    sa.Column('night', sa.Date(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_run'))
    )
    with op.batch_alter_table('run', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_run_account_night'), ['account', 'night'], unique=True)

    op.create_table('start',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('conversion', types.AutoString(), nullable=False),
    sa.Column('destination', types.AutoString(), nullable=False),
    sa.Column('label', types.AutoString(), nullable=False),
    sa.Column('target', types.AutoString(), nullable=False),
    sa.Column('since', types.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('account', 'conversion', 'destination', 'label', name=op.f('pk_start'))
    )
    op.create_table('status_label',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('label', types.AutoString(), nullable=False),
    sa.Column('written', types.AutoString(), nullable=True),
    sa.Column('seen_at', types.UTCDateTime(), nullable=False),
    sa.Column('settled', sa.Boolean(), nullable=False),
    sa.Column('reported', sa.Integer(), nullable=False),
    sa.Column('reported_in', sa.Integer(), nullable=True),
    sa.PrimaryKeyConstraint('account', 'label', name=op.f('pk_status_label'))
    )
    op.create_table('unreadable_lead',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('id', types.AutoString(), nullable=False),
    sa.Column('reason', types.AutoString(), nullable=False),
    sa.Column('seen_at', types.UTCDateTime(), nullable=False),
    sa.Column('reported_in', sa.Integer(), nullable=True),
    sa.PrimaryKeyConstraint('account', 'id', name=op.f('pk_unreadable_lead'))
    )
    op.create_table('click_id',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('lead', types.AutoString(), nullable=False),
    sa.Column('kind', types.AutoString(), nullable=False),
    sa.Column('value', types.AutoString(), nullable=False),
    sa.Column('clicked_at', types.UTCDateTime(), nullable=False),
    sa.Column('estimated', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['account', 'lead'], ['lead.account', 'lead.id'], name=op.f('fk_click_id_account_lead')),
    sa.PrimaryKeyConstraint('account', 'lead', 'kind', 'value', name=op.f('pk_click_id'))
    )
    with op.batch_alter_table('click_id', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_click_id_account_kind_clicked_at'), ['account', 'kind', 'clicked_at'], unique=False, sqlite_where=sa.text("substr(value, 1, 7) <> 'sha256:'"), postgresql_where=sa.text("substr(value, 1, 7) <> 'sha256:'"))
        batch_op.create_index(batch_op.f('ix_click_id_account_kind_value_lead'), ['account', 'kind', 'value', 'lead'], unique=False)

    op.create_table('contact_hash',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('lead', types.AutoString(), nullable=False),
    sa.Column('destination', types.AutoString(), nullable=False),
    sa.Column('kind', types.AutoString(), nullable=False),
    sa.Column('sha256', types.AutoString(), nullable=False),
    sa.ForeignKeyConstraint(['account', 'lead'], ['lead.account', 'lead.id'], name=op.f('fk_contact_hash_account_lead')),
    sa.PrimaryKeyConstraint('account', 'lead', 'destination', 'kind', 'sha256', name=op.f('pk_contact_hash'))
    )
    op.create_table('dedup_key',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('conversion', types.AutoString(), nullable=False),
    sa.Column('destination', types.AutoString(), nullable=False),
    sa.Column('dedup_key', types.AutoString(), nullable=False),
    sa.Column('lead', types.AutoString(), nullable=False),
    sa.Column('at', types.UTCDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['account', 'lead'], ['lead.account', 'lead.id'], name=op.f('fk_dedup_key_account_lead')),
    sa.PrimaryKeyConstraint('account', 'conversion', 'destination', 'dedup_key', 'lead', name=op.f('pk_dedup_key'))
    )
    with op.batch_alter_table('dedup_key', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_dedup_key_account_lead_conversion_destination_dedup_key'), ['account', 'lead', 'conversion', 'destination', 'dedup_key'], unique=False)

    op.create_table('request',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('run', sa.Integer(), nullable=False),
    sa.Column('destination', types.AutoString(), nullable=False),
    sa.Column('transport', types.AutoString(), nullable=False),
    sa.Column('owner', types.AutoString(), nullable=False),
    sa.Column('action', types.AutoString(), nullable=False),
    sa.Column('sent_at', types.UTCDateTime(), nullable=False),
    sa.Column('rows', sa.Integer(), nullable=False),
    sa.Column('state', types.AutoString(), nullable=False),
    sa.Column('ticket', types.AutoString(), nullable=True),
    sa.Column('resolve_after', types.UTCDateTime(), nullable=True),
    sa.Column('code', types.AutoString(), nullable=True),
    sa.Column('message', types.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['run'], ['run.id'], name=op.f('fk_request_run')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_request'))
    )
    with op.batch_alter_table('request', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_request_account_destination_sent_at'), ['account', 'destination', 'sent_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_request_account_state'), ['account', 'state'], unique=False)

    op.create_table('status_change',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('lead', types.AutoString(), nullable=False),
    sa.Column('label', types.AutoString(), nullable=False),
    sa.Column('at', types.UTCDateTime(), nullable=False),
    sa.Column('date_only', sa.Boolean(), nullable=False),
    sa.Column('origin', types.AutoString(), nullable=False),
    sa.Column('after', types.UTCDateTime(), nullable=True),
    sa.Column('seen_at', types.UTCDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['account', 'lead'], ['lead.account', 'lead.id'], name=op.f('fk_status_change_account_lead')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_status_change'))
    )
    with op.batch_alter_table('status_change', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_status_change_account_lead'), ['account', 'lead'], unique=False)

    op.create_table('status_rename',
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('before', types.AutoString(), nullable=False),
    sa.Column('after', types.AutoString(), nullable=False),
    sa.Column('leads', sa.Integer(), nullable=False),
    sa.Column('run', sa.Integer(), nullable=False),
    sa.Column('void', sa.Boolean(), server_default=sa.text('0'), nullable=False),
    sa.ForeignKeyConstraint(['run'], ['run.id'], name=op.f('fk_status_rename_run')),
    sa.PrimaryKeyConstraint('account', 'before', 'after', name=op.f('pk_status_rename'))
    )
    op.create_table('delivery',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('lead', types.AutoString(), nullable=False),
    sa.Column('conversion', types.AutoString(), nullable=False),
    sa.Column('destination', types.AutoString(), nullable=False),
    sa.Column('occurrence', sa.Integer(), nullable=False),
    sa.Column('key', types.AutoString(), nullable=False),
    sa.Column('state', types.AutoString(), nullable=False),
    sa.Column('reason', types.AutoString(), nullable=True),
    sa.Column('detail', types.AutoString(), nullable=True),
    sa.Column('held_for', types.AutoString(), nullable=True),
    sa.Column('not_before', types.UTCDateTime(), nullable=True),
    sa.Column('deferred_until', types.UTCDateTime(), nullable=True),
    sa.Column('expires_at', types.UTCDateTime(), nullable=True),
    sa.Column('at', types.UTCDateTime(), nullable=True),
    sa.Column('origin', types.AutoString(), nullable=True),
    sa.Column('label', types.AutoString(), nullable=True),
    sa.Column('tax', types.AutoString(), nullable=True),
    sa.Column('transport', types.AutoString(), nullable=True),
    sa.Column('owner', types.AutoString(), nullable=True),
    sa.Column('action', types.AutoString(), nullable=True),
    sa.Column('source', types.AutoString(), nullable=True),
    sa.Column('value', types.AutoString(), nullable=True),
    sa.Column('currency', types.AutoString(), nullable=True),
    sa.Column('click_id_kind', types.AutoString(), nullable=True),
    sa.Column('click_estimated', sa.Boolean(), nullable=True),
    sa.Column('event', sa.LargeBinary(), nullable=True),
    sa.Column('event_sha256', types.AutoString(), nullable=True),
    sa.Column('in_doubt_since', types.UTCDateTime(), nullable=True),
    sa.Column('in_doubt_request', sa.Integer(), nullable=True),
    sa.Column('may_count_twice', sa.Boolean(), server_default=sa.text('0'), nullable=False),
    sa.Column('entered_after', types.UTCDateTime(), nullable=True),
    sa.Column('counts_from', types.UTCDateTime(), nullable=True),
    sa.Column('assumed_at', types.UTCDateTime(), nullable=True),
    sa.Column('approved_in', sa.Integer(), nullable=True),
    sa.Column('code', types.AutoString(), nullable=True),
    sa.Column('outcome', types.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['account', 'lead'], ['lead.account', 'lead.id'], name=op.f('fk_delivery_account_lead')),
    sa.ForeignKeyConstraint(['in_doubt_request'], ['request.id'], name=op.f('fk_delivery_in_doubt_request')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_delivery')),
    sa.UniqueConstraint('account', 'key', name=op.f('uq_delivery_account_key')),
    sa.UniqueConstraint('account', 'lead', 'conversion', 'destination', 'occurrence', name=op.f('uq_delivery_account_lead_conversion_destination_occurrence'))
    )
    with op.batch_alter_table('delivery', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_delivery_account_state_destination_at'), ['account', 'state', 'destination', 'at'], unique=False)

    op.create_table('adjustment',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('delivery', sa.Integer(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('lead', types.AutoString(), nullable=False),
    sa.Column('conversion', types.AutoString(), nullable=False),
    sa.Column('destination', types.AutoString(), nullable=False),
    sa.Column('key', types.AutoString(), nullable=False),
    sa.Column('kind', types.AutoString(), nullable=False),
    sa.Column('cause', types.AutoString(), nullable=False),
    sa.Column('at', types.UTCDateTime(), nullable=False),
    sa.Column('value', types.AutoString(), nullable=True),
    sa.Column('currency', types.AutoString(), nullable=True),
    sa.Column('transport', types.AutoString(), nullable=False),
    sa.Column('owner', types.AutoString(), nullable=False),
    sa.Column('action', types.AutoString(), nullable=False),
    sa.Column('source', types.AutoString(), nullable=False),
    sa.Column('state', types.AutoString(), nullable=False),
    sa.Column('reason', types.AutoString(), nullable=True),
    sa.Column('detail', types.AutoString(), nullable=True),
    sa.Column('not_before', types.UTCDateTime(), nullable=True),
    sa.Column('deferred_until', types.UTCDateTime(), nullable=True),
    sa.Column('expires_at', types.UTCDateTime(), nullable=True),
    sa.Column('event', sa.LargeBinary(), nullable=True),
    sa.Column('event_sha256', types.AutoString(), nullable=True),
    sa.Column('in_doubt_since', types.UTCDateTime(), nullable=True),
    sa.Column('in_doubt_request', sa.Integer(), nullable=True),
    sa.Column('code', types.AutoString(), nullable=True),
    sa.Column('outcome', types.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['account', 'lead'], ['lead.account', 'lead.id'], name=op.f('fk_adjustment_account_lead')),
    sa.ForeignKeyConstraint(['delivery'], ['delivery.id'], name=op.f('fk_adjustment_delivery')),
    sa.ForeignKeyConstraint(['in_doubt_request'], ['request.id'], name=op.f('fk_adjustment_in_doubt_request')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_adjustment')),
    sa.UniqueConstraint('delivery', 'number', name=op.f('uq_adjustment_delivery_number'))
    )
    with op.batch_alter_table('adjustment', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_adjustment_account_lead'), ['account', 'lead'], unique=False)
        batch_op.create_index(batch_op.f('ix_adjustment_account_state_destination_at'), ['account', 'state', 'destination', 'at'], unique=False)

    op.create_table('attempt',
    sa.Column('request', sa.Integer(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('delivery', sa.Integer(), nullable=False),
    sa.Column('outcome', types.AutoString(), nullable=True),
    sa.Column('code', types.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['delivery'], ['delivery.id'], name=op.f('fk_attempt_delivery')),
    sa.ForeignKeyConstraint(['request'], ['request.id'], name=op.f('fk_attempt_request')),
    sa.PrimaryKeyConstraint('request', 'position', name=op.f('pk_attempt'))
    )
    with op.batch_alter_table('attempt', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_attempt_delivery'), ['delivery'], unique=False)

    op.create_table('transition',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('delivery', sa.Integer(), nullable=False),
    sa.Column('run', sa.Integer(), nullable=False),
    sa.Column('at', types.UTCDateTime(), nullable=False),
    sa.Column('from_state', types.AutoString(), nullable=True),
    sa.Column('to_state', types.AutoString(), nullable=False),
    sa.Column('reason', types.AutoString(), nullable=True),
    sa.Column('detail', types.AutoString(), nullable=True),
    sa.Column('code', types.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['delivery'], ['delivery.id'], name=op.f('fk_transition_delivery')),
    sa.ForeignKeyConstraint(['run'], ['run.id'], name=op.f('fk_transition_run')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_transition'))
    )
    with op.batch_alter_table('transition', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_transition_delivery'), ['delivery'], unique=False)
        batch_op.create_index(batch_op.f('ix_transition_run'), ['run'], unique=False)

    op.create_table('adjustment_attempt',
    sa.Column('request', sa.Integer(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('adjustment', sa.Integer(), nullable=False),
    sa.Column('outcome', types.AutoString(), nullable=True),
    sa.Column('code', types.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['adjustment'], ['adjustment.id'], name=op.f('fk_adjustment_attempt_adjustment')),
    sa.ForeignKeyConstraint(['request'], ['request.id'], name=op.f('fk_adjustment_attempt_request')),
    sa.PrimaryKeyConstraint('request', 'position', name=op.f('pk_adjustment_attempt'))
    )
    with op.batch_alter_table('adjustment_attempt', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_adjustment_attempt_adjustment'), ['adjustment'], unique=False)

    op.create_table('adjustment_transition',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('account', types.AutoString(), nullable=False),
    sa.Column('adjustment', sa.Integer(), nullable=False),
    sa.Column('run', sa.Integer(), nullable=False),
    sa.Column('at', types.UTCDateTime(), nullable=False),
    sa.Column('from_state', types.AutoString(), nullable=True),
    sa.Column('to_state', types.AutoString(), nullable=False),
    sa.Column('reason', types.AutoString(), nullable=True),
    sa.Column('detail', types.AutoString(), nullable=True),
    sa.Column('code', types.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['adjustment'], ['adjustment.id'], name=op.f('fk_adjustment_transition_adjustment')),
    sa.ForeignKeyConstraint(['run'], ['run.id'], name=op.f('fk_adjustment_transition_run')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_adjustment_transition'))
    )
    with op.batch_alter_table('adjustment_transition', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_adjustment_transition_adjustment'), ['adjustment'], unique=False)
        batch_op.create_index(batch_op.f('ix_adjustment_transition_run'), ['run'], unique=False)
    if op.get_bind().dialect.name == 'sqlite':
        op.execute(f'PRAGMA application_id = {APPLICATION_ID}')
