"""Machines that cannot run accounts: who comes first then, and when a human is told."""

from datetime import timedelta
from heapq import heappop, heappush
from itertools import count
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
        made.record(account, UNABLE, is_for_others=True, has_failed_before=False)
    return made


def test_worker_whose_machine_lacks_something_takes_one_account_after_each_ever_longer_rest(rest, clock):
    """The others get the rest; it goes on trying, so that it takes part again once somebody has mended it."""
    rests = []
    for _ in range(7):
        since = clock.now
        while not rest.may_take():
            clock.now += 1
        assert not rest.may_take()  # a second place of the same worker
        rest.record("four", UNABLE, is_for_others=True, has_failed_before=False)
        rests.append(clock.now - since)

    assert [FIRST_REST, 60, 120, 240, *[LONGEST_REST] * 3] == rests


def test_worker_whose_machine_was_mended_takes_accounts_as_before(rest, clock):
    """As soon as one account could be run, whatever became of it; it says so, and said once that it leaves them."""
    with capture_logs() as logged:
        clock.now += FIRST_REST
        assert rest.may_take()
        stopped = WorkResult(DidTask.NIGHT, Exit.STOPPED)
        rest.record("one", stopped, is_for_others=False, has_failed_before=True)
        assert [True] * 3 == [rest.may_take() for _ in range(3)]
        for account in ("one", "two", "three", "four"):
            rest.record(account, UNABLE, is_for_others=True, has_failed_before=False)

    assert ["info", "error"] == [each["log_level"] for each in logged]
    assert (["one", "three", "two"], MISSING) == (logged[1]["accounts"], logged[1]["why"])


@pytest.mark.parametrize(
    "tried",
    [
        pytest.param([("one", True, False)] * 9, id="one account again and again"),
        pytest.param([(name, True, True) for name in "abcdefg"], id="accounts that have failed before"),
        pytest.param([(name, False, False) for name in "abcdefg"], id="accounts that nobody else may run"),
        pytest.param([("a", True, False), ("b", True, False), None] * 3, id="some that it can run between them"),
    ],
)
def test_accounts_that_no_machine_can_run_do_not_keep_a_worker_from_the_others(clock, tried):
    """It is they that lack something."""
    rest = Rest(lambda: clock.now)
    for each in tried:
        name, is_for_others, has_failed_before = each or ("fine", False, False)
        result = UNABLE if each else DONE
        rest.record(name, result, is_for_others=is_for_others, has_failed_before=has_failed_before)

    assert rest.may_take()


def test_worker_that_rests_goes_on_at_once_from_accounts_that_nobody_else_may_run(rest, clock):
    """However many there are: it leaves them to nobody; another one it leaves to others after a first rest."""
    clock.now += FIRST_REST
    for number in range(20):
        assert rest.may_take()
        rest.record(f"nobody-{number}", UNABLE, is_for_others=False, has_failed_before=False)

    assert rest.may_take()
    rest.record("four", UNABLE, is_for_others=True, has_failed_before=False)
    clock.now += 2 * FIRST_REST - 1
    assert not rest.may_take()
    clock.now += 1
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
    assert _end_run(connection, account, run, result).counts
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


NIGHT, POLL = 30.0, 5.0  # seconds
EVERYWHERE, ON_A = "lacks-everywhere", "lacks-on-a"


@pytest.mark.parametrize(
    ("machines", "lacking", "most_minutes"),
    [
        pytest.param({"a": 2}, {EVERYWHERE: 60}, 6, id="one machine with two workers"),
        pytest.param({"a": 1, "b": 1}, {EVERYWHERE: 60}, 6, id="two machines that lack the same"),
        pytest.param({"a": 1, "b": 1, "c": 1}, {EVERYWHERE: 60}, 6, id="three machines that lack the same"),
        pytest.param({"a": 1, "b": 1}, {EVERYWHERE: 30, ON_A: 30}, 9, id="one of which lacks more"),
        pytest.param({"a": 1, "b": 1}, {ON_A: 90}, 16, id="one of which lacks what most need"),
    ],
)
def test_accounts_that_no_machine_can_run_cost_the_others_minutes(connection, machines, lacking, most_minutes):
    """Sixty healthy accounts take four minutes by two workers of four places; those that lack something come first."""
    alive(connection, *(each for each, workers in machines.items() for _ in range(workers)))
    names = [f"{number:02}-{lacks}" for lacks, many in lacking.items() for number in range(many)]
    healthy = [f"healthy-{number:02}" for number in range(60)]
    for name in names + healthy:
        add_account(connection, name, f"account: {name}", first_run=False)

    assert play(connection, machines, names, healthy) <= most_minutes


def play(connection, machines, names, healthy):
    """After how many minutes all healthy nights are done, by workers that take what has been due longest."""
    now, due, at_work, undone = 0.0, dict.fromkeys(names + healthy, 0.0), set(), set(healthy)
    workers = [(machine, Rest(lambda: now)) for machine, many in machines.items() for _ in range(many)]
    numbers = count(1)
    moments = [(now, next(numbers), worker, None, None) for worker in range(len(workers)) for _place in range(4)]
    while undone and now < 3600:
        now, number, worker, name, run = heappop(moments)
        machine, rest = workers[worker]
        if name is not None:
            result = DONE if can_run(machine, name) else UNABLE
            recorded = _end_run(connection, name, run, result)
            rest.record(
                name,
                result,
                is_for_others=recorded.is_for_others,
                has_failed_before=run.failures + run.held > 0,
            )
            at_work.remove(name)
            if result is DONE:
                undone.discard(name)
                del due[name]
            else:
                due[name] = now + due_in(connection, name)
        waiting = sorted((since, each) for each, since in due.items() if since <= now and each not in at_work)
        if not waiting or not rest.may_take():
            heappush(moments, (now + POLL, next(numbers), worker, None, None))
            continue
        name = waiting[0][1]
        at_work.add(name)
        run = queue.begin_run(connection, name, job=number, machine=machine, version=1)
        takes = NIGHT if can_run(machine, name) else 0.1
        heappush(moments, (now + takes, next(numbers), worker, name, run))
    return now / 60


def can_run(machine, name):
    """Whether a machine has what an account needs."""
    return not (EVERYWHERE in name or (ON_A in name and machine == "a"))


def due_in(connection, name):
    """In how many seconds an account is due, in a transaction that takes no time."""
    row = connection.execute("SELECT due_at - now() AS wait FROM fleet_account WHERE name = %s", [name]).fetchone()
    return row["wait"].total_seconds()
