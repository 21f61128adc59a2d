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


def alive(connection, *workers):
    """These workers are alive, by their numbers; one more is dead."""
    connection.execute("DELETE FROM procrastinate_workers")
    for each, ago in [*((each, "0 s") for each in workers), (99, "2 min")]:
        connection.execute(
            "INSERT INTO procrastinate_workers OVERRIDING SYSTEM VALUE VALUES (%s, now() - %s::interval)", [each, ago]
        )


def ran(connection, worker, result=UNABLE, account="maison"):
    """The state of the first account, and why, after a worker's run that ended so."""
    version = latest_settings(connection, account).version
    asked_at = latest_settings(connection, account).asked_at
    run = queue.begin_run(connection, account, job=1, worker=worker, version=version, asked_at=asked_at)
    assert _end_run(connection, account, run, result)
    found = {each.account: each for each in load_fleet_status(connection, silent_for=timedelta(minutes=1)).accounts}
    told = found["maison"]
    assert (told.state is HUMAN) == any("maison" in each.accounts for each in read_fleet_problems(connection))
    return told.state, told.exit_code, told.why


HUMAN, WAITING = AccountState.NEEDS_A_HUMAN, AccountState.WAITING


def missing_on(worker):
    """What is told of an account that a worker could not run."""
    return f"{worker}: {MISSING}"


def test_human_is_told_once_every_worker_lacks_what_an_account_needs(connection):
    """Until then, another may run it; what is missing is told with the worker, and over once one could."""
    alive(connection, 1, 2)

    assert (WAITING, 75, missing_on("a:1")) == ran(connection, "a:1")
    assert (WAITING, 75, missing_on("a:1")) == ran(connection, "a:1")
    assert (HUMAN, 2, missing_on("b:2")) == ran(connection, "b:2")
    assert (AccountState.OK, 0, None) == ran(connection, "b:2", DONE)
    assert (WAITING, 75, missing_on("a:1")) == ran(connection, "a:1")


def test_human_is_told_at_once_where_there_is_no_other_worker(connection):
    """One that died counts for none."""
    alive(connection, 1)

    assert (HUMAN, 2, missing_on("a:1")) == ran(connection, "a:1")


def test_three_workers_that_lack_what_an_account_needs_are_enough(connection):
    """Of many, it would take long until each has tried."""
    alive(connection, *range(1, 10))

    assert [75, 75, 2] == [ran(connection, worker)[1] for worker in ("a:1", "b:2", "c:3")]


def test_worker_that_is_started_again_is_no_further_machine(connection):
    """Nor is one beside it, so that the machine that can run the account still gets it, as somebody asked."""
    request_immediate_run(connection, "maison")
    alive(connection, 1, 2, 3)
    ran(connection, "able:1", DONE, "other")
    before = [ran(connection, worker)[1] for worker in ("b:2", "b:3")]
    alive(connection, 1, 4, 5, 6)
    after = [ran(connection, worker)[1] for worker in ("b:4", "b:5", "b:6")]

    assert [75] * 5 == before + after
    assert latest_settings(connection, "maison").asked_at is not None
    alive(connection, 4, 5, 6)
    assert 2 == ran(connection, "b:4")[1]
    assert latest_settings(connection, "maison").asked_at is not None


def test_machine_without_a_living_worker_counts_for_none(connection):
    """In a container, a worker that is started again is on a new one."""
    alive(connection, 1, 2)
    ran(connection, "b:2")
    alive(connection, 1, 3)

    assert (WAITING, 75, missing_on("c:3")) == ran(connection, "c:3")


def test_workers_that_can_run_nothing_need_not_try_every_account(connection):
    """Each found that out at another one, after which it rests."""
    alive(connection, 1, 2)
    ran(connection, "b:2", account="other")

    assert (HUMAN, 2, missing_on("a:1")) == ran(connection, "a:1")


def test_new_settings_are_tried_by_all(connection):
    """What was missing for the old ones says nothing of them."""
    alive(connection, 1, 2)
    ran(connection, "b:2")
    ran(connection, "b:2", DONE, "other")
    add_account(connection, "maison", "account: maison # mended", first_run=False)

    assert (WAITING, 75, missing_on("a:1")) == ran(connection, "a:1")


def test_months_of_runs_do_not_hold_up_a_result(connection):
    """An account that is looked at every few minutes has many of them, also of machines that could not run it."""
    connection.execute(
        """
        INSERT INTO fleet_run (account, job, worker, settings_version, started_at, ended_at, task)
        SELECT 'maison', 1, 'b:2', 1, now() - interval '1 day', now(),
            CASE WHEN n > 20000 THEN 'unable' ELSE 'inbox' END
        FROM generate_series(1, 40000) n
        """
    )
    alive(connection, 1, 2)
    connection.execute("SET LOCAL statement_timeout = '5s'")

    assert 2 == ran(connection, "a:1")[1]


def test_vault_that_is_away_needs_nobody(connection):
    """It comes back by itself."""
    alive(connection, 1)

    assert (WAITING, 75, "a:1: away") == ran(connection, "a:1", WorkResult(DidTask.UNABLE, Exit.HELD, why="away"))
