"""Keep up to when an interrupted backfill read leads whole though nothing changed."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    with op.batch_alter_table('backfill_place', schema=None, recreate='never') as batch_op:
        batch_op.add_column(sa.Column('fresh_to', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('backfill_place', schema=None, recreate='never') as batch_op:
        batch_op.drop_column('fresh_to')
