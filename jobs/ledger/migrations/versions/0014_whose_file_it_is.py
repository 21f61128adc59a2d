"""Have a state's file say in its header that it is one of ours."""

from alembic import op

from jobs.ledger.database import APPLICATION_ID

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    _mark(APPLICATION_ID)


def downgrade() -> None:
    """Go back to the one before."""
    _mark(0)


def _mark(number: int) -> None:
    if op.get_bind().dialect.name == 'sqlite':
        op.execute(f'PRAGMA application_id = {number}')
