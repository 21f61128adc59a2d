"""How an account fares, by what the tables say of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobs.exit_codes import Exit
from jobs.fleet import queue
from jobs.fleet.accounts import add_account, latest_settings, remove_account, request_immediate_run
from jobs.fleet.problems import read_fleet_problems, record_problems
from jobs.fleet.status import AccountRow, AccountState, account_status, load_fleet_status
from jobs.fleet.work import DidTask, Problem, WorkResult

pytestmark = pytest.mark.xdist_group("postgresql")

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
        (AccountState.NEEDS_A_HUMAN, {"open_incidents": 1, "is_running": True}),
        (AccountState.LATE, OVERDUE),
        (AccountState.LATE, {"is_running": True} | OVERDUE),
        (AccountState.RUNNING, {"is_running": True}),
        (AccountState.WAITING, {"due_at": NOW, "night_at": NOW}),
        (AccountState.WAITING, {"failures": 1}),
        (AccountState.WAITING, {"failures": 1, "last_run_at": None}),
        (AccountState.NEVER_RAN, {"last_run_at": None}),
        (AccountState.LATE, {"last_run_at": None} | OVERDUE),
        (AccountState.WAITING, {"failures": 1, "held_why": "away"}),
    ],
)
def test_state(state, changes):
    """The worst that is true of it; of one that is paused, nothing is expected."""
    assert state is account_status(replace(FINE, **changes), NOW).state


BAD = {"exit_code": Exit.STOPPED, "why": "the source stopped"}
LEFT_OPEN = {"open_incidents": 1, "incident": "10 were rejected"}
HELD = {"failures": 1, "held_why": "the database is away"}


@pytest.mark.parametrize(
    ("told", "changes"),
    [
        ((Exit.DONE, None), {}),
        ((Exit.STOPPED, "the source stopped"), BAD | LEFT_OPEN | HELD),
        ((Exit.DONE, "10 were rejected"), LEFT_OPEN | HELD),
        ((Exit.HELD, "the database is away"), HELD),
    ],
)
def test_reason_is_the_one_that_needs_a_human_first(told, changes):
    """A night that was done again, or is tried again, hides nothing that is still wrong."""
    found = account_status(replace(FINE, **changes), NOW)

    assert told == (found.exit_code, found.why)


@pytest.mark.parametrize(
    ("nights", "late"), [(0, timedelta(minutes=59)), (1, timedelta(hours=2)), (3, timedelta(days=2, hours=2))]
)
def test_nights_late(nights, late):
    """One an hour after it was due, and one more each day."""
    judged = account_status(replace(FINE, night_at=NOW - late), NOW)

    assert nights == judged.nights_late
    assert (NOW - late if nights else None) == judged.late_since


def ran(connection, code, task=DidTask.NIGHT, *, asked=False, **more):
    """The account as its status says after a run that ended so, which the fleet's causes say too."""
    if asked:
        request_immediate_run(connection, "maison")
    asked_at = latest_settings(connection, "maison").asked_at
    run = queue.begin_run(connection, "maison", job=1, machine="machine", version=1, asked_at=asked_at)
    result = WorkResult(task, code, timedelta(hours=9), timedelta(hours=9), 1, **more)
    queue.end_run(connection, run, result)
    record_problems(connection, "maison", result, asked=asked)
    (found,) = load_fleet_status(connection, silent_for=timedelta(minutes=1)).accounts
    assert (found.state is HUMAN) == bool(read_fleet_problems(connection))
    return found.state, found.exit_code, found.why


@pytest.fixture
def connection(database):
    """A connection to a fleet of one account."""
    with database.connect() as made:
        add_account(made, "maison", "account: maison", first_run=False)
        yield made


HUMAN, OK = AccountState.NEEDS_A_HUMAN, AccountState.OK


def test_incident_that_is_open_still_is_told_until_it_is_over(connection):
    """A later run says 0; what an earlier one opened still needs somebody."""
    opened = {"problems": (Problem("rejected", "same", "{}", "10 were rejected"),)}

    assert (HUMAN, 1, "x") == ran(connection, Exit.ATTENTION, why="x", **opened)
    assert (HUMAN, 0, "10 were rejected") == ran(connection, Exit.DONE, **opened)
    assert (HUMAN, 0, "10 were rejected") == ran(connection, Exit.HELD, why="away")
    assert (HUMAN, 0, "10 were rejected") == ran(connection, Exit.DONE, DidTask.NOTHING)
    assert (OK, 0, None) == ran(connection, Exit.DONE, DidTask.OUTCOMES, problems=())
    assert (AccountState.WAITING, 75, "away") == ran(connection, Exit.HELD, why="away")
    assert (OK, 0, None) == ran(connection, Exit.DONE, problems=())


def test_night_that_is_done_again_hides_nothing_that_the_first_one_told(connection):
    """It looks at what has changed since, and says 0; a stop that it got past is over. The next night tells anew."""
    assert (HUMAN, 1, "a label is unknown") == ran(connection, Exit.ATTENTION, why="a label is unknown", problems=())
    assert (HUMAN, 1, "a label is unknown") == ran(connection, Exit.DONE, asked=True, problems=())
    assert (OK, 0, None) == ran(connection, Exit.DONE, problems=())
    assert (HUMAN, 3, "it stopped") == ran(connection, Exit.STOPPED, why="it stopped", problems=())
    assert (OK, 0, None) == ran(connection, Exit.DONE, asked=True, problems=())


def test_account_that_comes_back_begins_anew(connection):
    """What it told before it was removed is not told again."""
    ran(connection, Exit.ATTENTION, why="a label is unknown")
    connection.execute("UPDATE fleet_run SET ended_at = now() - interval '1 day'")
    connection.execute("UPDATE fleet_problem SET seen_at = now() - interval '1 day'")
    remove_account(connection, "maison")
    add_account(connection, "maison", "account: maison", first_run=False)

    (found,) = load_fleet_status(connection, silent_for=timedelta(minutes=1)).accounts

    assert (AccountState.NEVER_RAN, None, None) == (found.state, found.exit_code, found.why)
