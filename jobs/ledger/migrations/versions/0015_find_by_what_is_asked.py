"""Lead each question to its rows: indices that begin with what is asked, so that a night costs what it changes."""

import sqlalchemy as sa
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    for table in ('delivery', 'adjustment'):
        op.drop_index(f'ix_{table}_account_destination_fate_not_before', table_name=table)
        op.create_index(f'ix_{table}_account_fate_destination_at', table, ['account', 'fate', 'destination', 'at'])
    for flag in ('to_plan', 'to_correct'):
        op.drop_index(f'ix_lead_{flag}', table_name='lead')
        op.create_index(f'ix_lead_account_{flag}_id', 'lead', ['account', flag, 'id'])
    op.create_index('ix_lead_account_created_at', 'lead', ['account', 'created_at'])
    op.create_index('ix_lead_account_updated_at_created_at', 'lead', ['account', 'updated_at', 'created_at'])
    op.create_index('ix_lead_account_label', 'lead', ['account', 'label'])
    op.create_index('ix_request_account_destination_sent_at', 'request', ['account', 'destination', 'sent_at'])
    op.create_index(
        'ix_counted_account_lead_conversion_destination_mark',
        'counted',
        ['account', 'lead', 'conversion', 'destination', 'mark'],
    )
    op.drop_index('ix_click_id_account_kind_value', table_name='click_id')
    op.create_index('ix_click_id_account_kind_value_lead', 'click_id', ['account', 'kind', 'value', 'lead'])
    op.create_index(
        'ix_click_id_account_kind_clicked_at',
        'click_id',
        ['account', 'kind', 'clicked_at'],
        sqlite_where=sa.text("substr(value, 1, 7) <> 'sha256:'"),
        postgresql_where=sa.text("substr(value, 1, 7) <> 'sha256:'"),
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_index('ix_click_id_account_kind_clicked_at', table_name='click_id')
    op.drop_index('ix_click_id_account_kind_value_lead', table_name='click_id')
    op.create_index('ix_click_id_account_kind_value', 'click_id', ['account', 'kind', 'value'])
    op.drop_index('ix_counted_account_lead_conversion_destination_mark', table_name='counted')
    op.drop_index('ix_request_account_destination_sent_at', table_name='request')
    for columns in ('label', 'updated_at_created_at', 'created_at'):
        op.drop_index(f'ix_lead_account_{columns}', table_name='lead')
    for flag in ('to_correct', 'to_plan'):
        op.drop_index(f'ix_lead_account_{flag}_id', table_name='lead')
        op.create_index(f'ix_lead_{flag}', 'lead', [flag])
    for table in ('adjustment', 'delivery'):
        op.drop_index(f'ix_{table}_account_fate_destination_at', table_name=table)
        op.create_index(
            f'ix_{table}_account_destination_fate_not_before', table, ['account', 'destination', 'fate', 'not_before']
        )
