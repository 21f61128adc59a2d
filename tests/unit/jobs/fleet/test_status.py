"""How an account fares, by what the tables say of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs.exit_codes import Exit
from jobs.fleet.status import AccountRow, AccountState, judge

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
FINE = AccountRow(
    account="maison",
    paused=False,
    is_running=False,
    due_at=NOW + timedelta(hours=23),
    night_at=NOW + timedelta(hours=23),
    failures=0,
    exit_code=Exit.DONE,
    why=None,
    last_run_at=NOW - timedelta(hours=1),
)
OVERDUE = {"night_at": NOW - timedelta(hours=2), "due_at": NOW - timedelta(hours=2)}


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        (AccountState.OK, {}),
        (AccountState.PAUSED, {"paused": True, "exit_code": Exit.BUG} | OVERDUE),
        (AccountState.NEEDS_A_HUMAN, {"exit_code": Exit.ATTENTION}),
        (AccountState.NEEDS_A_HUMAN, {"exit_code": Exit.CONFIGURATION} | OVERDUE),
        (AccountState.LATE, OVERDUE),
        (AccountState.LATE, {"is_running": True} | OVERDUE),
        (AccountState.RUNNING, {"is_running": True}),
        (AccountState.WAITING, {"due_at": NOW, "night_at": NOW}),
        (AccountState.WAITING, {"failures": 1}),
        (AccountState.WAITING, {"failures": 1, "last_run_at": None}),
        (AccountState.NEVER_RAN, {"last_run_at": None}),
        (AccountState.LATE, {"last_run_at": None} | OVERDUE),
    ],
)
def test_state(state, changes):
    """The worst that is true of it; of one that is paused, nothing is expected."""
    assert state is judge(replace(FINE, **changes), NOW).state


@pytest.mark.parametrize(
    ("nights", "late"), [(0, timedelta(minutes=59)), (1, timedelta(hours=2)), (3, timedelta(days=2, hours=2))]
)
def test_nights_late(nights, late):
    """One an hour after it was due, and one more each day."""
    judged = judge(replace(FINE, night_at=NOW - late), NOW)

    assert nights == judged.nights_late
    assert (NOW - late if nights else None) == judged.late_since
