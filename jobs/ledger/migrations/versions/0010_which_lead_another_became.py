"""Know which lead Oplead shows where another one was asked for."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    # Added in place: a table made anew would leave the rows that point at it without theirs, which SQLite refuses.
    with op.batch_alter_table('lead', schema=None, recreate='never') as batch_op:
        batch_op.add_column(sa.Column('merged_into', sqlmodel.sql.sqltypes.AutoString(), nullable=True))


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('lead', schema=None, recreate='never') as batch_op:
        batch_op.drop_column('merged_into')
