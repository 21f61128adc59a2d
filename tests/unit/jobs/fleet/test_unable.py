"""Machines that cannot run accounts: who comes first then, and when a human is told."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from jobs.exit_codes import Exit
from jobs.fleet import queue
from jobs.fleet.accounts import add_account, latest_settings, request_immediate_run
from jobs.fleet.problems import read_fleet_problems
from jobs.fleet.status import AccountState, load_fleet_status
from jobs.fleet.unable import FIRST_REST, LONGEST_REST, Rest
from jobs.fleet.work import DidTask, WorkResult
from jobs.fleet.worker import _end_run

pytestmark = pytest.mark.xdist_group("postgresql")
MISSING = "oplead.token: the environment variable OPLEAD_TOKEN is not set"
UNABLE = WorkResult(DidTask.UNABLE, Exit.CONFIGURATION, why=MISSING)
DONE = WorkResult(DidTask.NIGHT, Exit.DONE, timedelta(hours=9), timedelta(hours=9), 1, problems=())


@pytest.fixture
def clock():
    """A monotonic clock that goes on when it is told to."""
    return SimpleNamespace(now=1000.0)


@pytest.fixture
def rest(clock):
    """The rest of a worker that lacks what three accounts in a row need."""
    made = Rest(lambda: clock.now)
    for account in ("one", "two", "three"):
        assert made.may_take()
        made.record(account, UNABLE, has_failed_before=False)
    return made


def test_worker_whose_machine_lacks_something_takes_one_account_after_each_ever_longer_rest(rest, clock):
    """The others get the rest; it goes on trying, so that it takes part again once somebody has mended it."""
    rests = []
    for _ in range(7):
        since = clock.now
        while not rest.may_take():
            clock.now += 1
        assert not rest.may_take()  # a second place of the same worker
        rest.record("four", UNABLE, has_failed_before=False)
        rests.append(clock.now - since)

    assert [FIRST_REST, 60, 120, 240, *[LONGEST_REST] * 3] == rests


def test_worker_whose_machine_was_mended_takes_accounts_as_before(rest, clock):
    """As soon as one account could be run, whatever became of it; it says so, and said once that it leaves them."""
    with capture_logs() as logged:
        clock.now += FIRST_REST
        assert rest.may_take()
        rest.record("one", WorkResult(DidTask.NIGHT, Exit.STOPPED), has_failed_before=True)
        assert [True] * 3 == [rest.may_take() for _ in range(3)]
        for account in ("one", "two", "three", "four"):
            rest.record(account, UNABLE, has_failed_before=False)

    assert ["info", "error"] == [each["log_level"] for each in logged]
    assert (["one", "three", "two"], MISSING) == (logged[1]["accounts"], logged[1]["why"])


@pytest.mark.parametrize(
    "tried",
    [
        pytest.param([("one", False)] * 9, id="one account again and again"),
        pytest.param([(name, True) for name in "abcdefg"], id="accounts that have failed before"),
        pytest.param([("a", False), ("b", False), None] * 3, id="some that it can run between them"),
    ],
)
def test_accounts_that_no_machine_can_run_do_not_keep_a_worker_from_the_others(clock, tried):
    """It is they that lack something."""
    rest = Rest(lambda: clock.now)
    for each in tried:
        name, has_failed_before = each or ("fine", False)
        rest.record(name, UNABLE if each else DONE, has_failed_before=has_failed_before)

    assert rest.may_take()


@pytest.fixture
def connection(database):
    """A connection to a fleet of two accounts."""
    with database.connect() as made:
        for name in ("maison", "other"):
            add_account(made, name, f"account: {name}", first_run=False)
        yield made


def alive(connection, *machines):
    """Each of these machines has a worker that lives, and two if it is named twice; one more machine's is dead."""
    connection.execute("DELETE FROM procrastinate_workers")
    for each in machines:
        queue.register(connection, each)
    dead = queue.register(connection, "dead")
    connection.execute(
        "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '2 min' WHERE id = %s", [dead]
    )


def ran(connection, machine, result=UNABLE, account="maison"):
    """The state of the first account, and why, after a run on a machine that ended so."""
    version = latest_settings(connection, account).version
    asked_at = latest_settings(connection, account).asked_at
    run = queue.begin_run(connection, account, job=1, machine=machine, version=version, asked_at=asked_at)
    assert _end_run(connection, account, run, result)
    found = {each.account: each for each in load_fleet_status(connection, silent_for=timedelta(minutes=1)).accounts}
    told = found["maison"]
    assert (told.state is HUMAN) == any("maison" in each.accounts for each in read_fleet_problems(connection))
    return told.state, told.exit_code, told.why


HUMAN, WAITING = AccountState.NEEDS_A_HUMAN, AccountState.WAITING


def missing_on(machine):
    """What is told of an account that a machine could not run."""
    return f"{machine}: {MISSING}"


def test_human_is_told_once_every_machine_lacks_what_an_account_needs(connection):
    """Until then, another may run it; what is missing is told with the machine, and over once one could."""
    alive(connection, "a", "b")

    assert (WAITING, 75, missing_on("a")) == ran(connection, "a")
    assert (WAITING, 75, missing_on("a")) == ran(connection, "a")
    assert (HUMAN, 2, missing_on("b")) == ran(connection, "b")
    assert (AccountState.OK, 0, None) == ran(connection, "b", DONE)
    assert (WAITING, 75, missing_on("a")) == ran(connection, "a")


def test_human_is_told_at_once_where_there_is_no_other_machine(connection):
    """One whose worker died counts for none."""
    alive(connection, "a")

    assert (HUMAN, 2, missing_on("a")) == ran(connection, "a")


def test_three_machines_that_lack_what_an_account_needs_are_enough(connection):
    """Of many, it would take long until each has tried."""
    alive(connection, *"abcdefghi")

    assert [75, 75, 2] == [ran(connection, machine)[1] for machine in "abc"]


def test_machine_with_several_workers_counts_once(connection):
    """However often they are started again: one that can run the account still gets it, as somebody asked."""
    request_immediate_run(connection, "maison")
    alive(connection, "able", "b", "b")
    before = [ran(connection, "b")[1] for _ in range(2)]
    alive(connection, "able", "b", "b", "b")
    after = [ran(connection, "b")[1] for _ in range(3)]

    assert [75] * 5 == before + after
    assert latest_settings(connection, "maison").asked_at is not None
    alive(connection, "b", "b", "b")
    assert 2 == ran(connection, "b")[1]
    assert latest_settings(connection, "maison").asked_at is not None


def test_machine_without_a_living_worker_counts_for_none(connection):
    """In a container, a worker that is started again is on a new one."""
    alive(connection, "a", "b")
    ran(connection, "b")
    alive(connection, "a", "c")

    assert (WAITING, 75, missing_on("c")) == ran(connection, "c")


def test_machines_that_can_run_nothing_need_not_try_every_account(connection):
    """Each found that out at another one, after which it rests."""
    alive(connection, "a", "b")
    ran(connection, "b", account="other")

    assert (HUMAN, 2, missing_on("a")) == ran(connection, "a")


def test_new_settings_are_tried_by_all(connection):
    """What was missing for the old ones says nothing of them."""
    alive(connection, "a", "b")
    ran(connection, "b")
    ran(connection, "b", DONE, "other")
    add_account(connection, "maison", "account: maison # mended", first_run=False)

    assert (WAITING, 75, missing_on("a")) == ran(connection, "a")


def test_months_of_runs_do_not_hold_up_a_result(connection):
    """An account that is looked at every few minutes has many of them, also of machines that could not run it."""
    connection.execute(
        """
        INSERT INTO fleet_run (account, job, machine, settings_version, started_at, ended_at, task)
        SELECT 'maison', 1, 'b', 1, now() - interval '1 day', now(),
            CASE WHEN n > 20000 THEN 'unable' ELSE 'inbox' END
        FROM generate_series(1, 40000) n
        """
    )
    alive(connection, "a", "b")
    connection.execute("SET LOCAL statement_timeout = '5s'")

    assert 2 == ran(connection, "a")[1]


def test_vault_that_is_away_needs_nobody(connection):
    """It comes back by itself."""
    alive(connection, "a")

    assert (WAITING, 75, "a: away") == ran(connection, "a", WorkResult(DidTask.UNABLE, Exit.HELD, why="away"))
