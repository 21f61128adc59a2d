"""What needs doing after a night that leaves no incident."""

import pytest

from jobs.exit_codes import Exit
from jobs.ledger.runs import finish_run
from jobs.reporting.page.tasks import tasks_for_humans


@pytest.mark.parametrize(
    ("code", "title"), [(Exit.CONFIGURATION, "The last night was refused"), (None, "The last night did not end")]
)
def test_a_night_that_was_refused_is_not_told_as_broken_off(account, code, title):
    """Settings or a state that someone must correct end it with 2."""
    with account.hold("run") as ledger:
        if code is not None:
            finish_run(ledger, code, now=account.clock.now())

    with account.hold("status") as ledger, ledger.read_transaction() as session:
        (task,) = tasks_for_humans(session, account.book, run=None, now=account.clock.now())

    assert title == task.title
