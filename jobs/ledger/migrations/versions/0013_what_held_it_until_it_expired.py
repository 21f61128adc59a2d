"""Keep what an expired delivery was held for; of those expired before, nobody knows."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    with op.batch_alter_table('delivery', schema=None, recreate='never') as batch_op:
        batch_op.add_column(sa.Column('held_for', sqlmodel.sql.sqltypes.AutoString(), nullable=True))


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('delivery', schema=None, recreate='never') as batch_op:
        batch_op.drop_column('held_for')
