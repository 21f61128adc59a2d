"""When a worker takes others for dead, and what it does where the database is away or refuses something."""

import asyncio
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import psycopg
import pytest
from procrastinate.jobs import Job
from psycopg_pool import PoolTimeout
from structlog.testing import capture_logs

from jobs.cancellation import StopSignal
from jobs.exit_codes import Exit
from jobs.fleet import queue
from jobs.fleet.accounts import add_account, latest_settings, request_immediate_run
from jobs.fleet.children import ChildDiedError
from jobs.fleet.database import UpgradedError
from jobs.fleet.problems import read_fleet_problems
from jobs.fleet.status import AccountState, load_fleet_status
from jobs.fleet.work import MOST_LOST_RUNS, DidTask, WorkResult
from jobs.fleet.worker import (
    MOST_REFUSALS,
    RESULT_REFUSED,
    WORKERS_DIED,
    FleetWorker,
    WorkerIntervals,
    _release_lost_runs,
)

pytestmark = pytest.mark.xdist_group("postgresql")


class Manager:
    """The library's, as far as a worker asks it who is dead."""

    def __init__(self):
        self.asked = 0
        self.finished = []

    async def get_stalled_jobs(self, **_):
        """None is."""
        self.asked += 1
        return []

    async def prune_stalled_workers(self, _):
        """None is there."""

    async def list_jobs_async(self, **_):
        """None is under way."""
        return []

    async def unregister_worker(self, _):
        """It is no longer known."""

    async def finish_job(self, job, *_, **__):
        """It is ended, unless the database refuses that."""
        self.finished.append(job)


@pytest.fixture
def worker(database):
    """A worker that has registered, in a database of its own."""
    with ThreadPoolExecutor(1) as threads:
        with database.connect() as connection:
            number = queue.register(connection, "machine")
        made = FleetWorker(database, None, None, 1, WorkerIntervals(poll=0.01))
        made._manager, made._threads, made._id = Manager(), threads, number
        yield made


def test_log_says_once_that_the_database_is_away_and_once_that_it_is_back(worker):
    """However often it was tried; and what is wrong."""
    with capture_logs() as logged:
        for _ in range(3):
            asyncio.run(worker._keep_alive())
            for _ in range(2):
                worker._note_failure(psycopg.OperationalError("connection refused"))

    away, back = (
        "the fleet's database does not answer, and is tried until it does",
        "the fleet's database answers again",
    )
    assert {away: 3, back: 2} == Counter(each["event"] for each in logged)
    assert "(connection refused)" in logged[0]["why"]


def test_queue_is_found_again_soon_after_the_database_is_back(worker, monkeypatch):
    """However long that was away: the pool's own waits double until it gives up and begins anew."""
    monkeypatch.setattr("jobs.fleet.worker._CONNECTION_SECONDS", 0.5)
    tries = []

    class Away(psycopg.AsyncConnection):
        @classmethod
        async def connect(cls, *_, **__):
            tries.append(time.monotonic())
            raise psycopg.OperationalError("connection refused")

    async def try_for_a_connection(queue):
        pool = queue._pool_factory(**queue._pool_args, connection_class=Away, open=False)
        await pool.open()
        for _ in range(7):
            with pytest.raises(PoolTimeout):
                await pool.getconn()
        await pool.close()

    asyncio.run(try_for_a_connection(worker._queue()))

    assert max(later - earlier for earlier, later in pairwise(tries)) < 1.5


def test_log_says_what_the_database_refuses_and_does_not_call_it_away(worker):
    """Once, however often it was tried."""
    with capture_logs() as logged:
        for _ in range(3):
            worker._note_failure(psycopg.errors.InsufficientPrivilege("permission denied for table fleet_run"))

    (line,) = logged
    assert "error" == line["log_level"]
    assert "the fleet's database refuses what a worker asks of it, and is asked again" == line["event"]
    assert "permission denied for table fleet_run" in line["why"]


NUL, SURROGATE = "no text holds \0", "nor \udc80"
REFUSES_ALL = "ALTER TABLE fleet_run ADD CHECK (exit_code IS NULL)"
STOPPED = 128 + 15


@pytest.mark.parametrize(
    ("ended", "why", "statement", "recorded"),
    [
        pytest.param(Exit.DONE, "fine", "", Exit.DONE, id="nothing"),
        pytest.param(Exit.DONE, NUL, "", Exit.ATTENTION, id="this result"),
        pytest.param(Exit.DONE, SURROGATE, "", Exit.ATTENTION, id="what no text can hold"),
        pytest.param(Exit.STOPPED, NUL, "", Exit.STOPPED, id="one that asked for a human itself"),
        pytest.param(Exit.HELD, NUL, "", Exit.HELD, id="one that is tried again"),
        pytest.param(STOPPED, NUL, "", STOPPED, id="one of a worker that stops"),
        pytest.param(Exit.DONE, "fine", REFUSES_ALL, None, id="every result"),
    ],
)
def test_night_whose_result_the_database_refuses_is_not_done_again(worker, ended, why, statement, recorded):
    """Nor is one forgotten that somebody asked for and that was not done; where all is refused, the job stays."""
    with worker.database.connect() as connection:
        add_account(connection, "one", "account: one", first_run=True)
        request_immediate_run(connection, "one")
        connection.execute(statement)

    with capture_logs() as logged:
        asyncio.run(asyncio.wait_for(worker._do(JOB, child_that_ends_with(ended, why)), 30))

    assert (recorded == Exit.DONE) == (not logged)
    assert ["one"] * len(logged) == [each["account"] for each in logged]
    assert all("fleet's database" in each["why"] for each in logged)
    assert ([] if recorded is None else [JOB]) == worker._manager.finished
    with worker.database.connect() as connection:
        (run,) = connection.execute("SELECT exit_code, ledger_run, why FROM fleet_run").fetchall()
        (told,) = load_fleet_status(connection, silent_for=timedelta(minutes=1)).accounts
        is_asked_for = latest_settings(connection, "one").asked_at is not None
    assert (recorded, None if recorded is None else 9) == (run["exit_code"], run["ledger_run"])
    assert (recorded is None or recorded >= Exit.HELD) == is_asked_for
    assert (why != "fine") == (run["why"] == RESULT_REFUSED)
    assert (recorded in {Exit.ATTENTION, Exit.STOPPED}) == (told.state is AccountState.NEEDS_A_HUMAN)


def standby(database, *, refuses):
    """Have the database be as a standby that became nobody's primary, or no longer."""
    set_read_only(database, "on" if refuses else "off")


def other_grants(database, *, refuses):
    """Have the database let nobody record results, or everybody again."""
    with database.connect() as connection:
        connection.execute(
            f"{'REVOKE UPDATE ON fleet_run FROM' if refuses else 'GRANT UPDATE ON fleet_run TO'} CURRENT_USER"
        )


@pytest.mark.parametrize(("have", "why"), [(standby, "read-only"), (other_grants, "permission denied")])
def test_result_is_kept_until_the_database_takes_results_again(worker, monkeypatch, have, why):
    """What it refuses to everybody says nothing of the result, however long it does."""
    refused = []

    def note(_worker, error):
        refused.append(str(error))
        if len(refused) == MOST_REFUSALS + 1:
            have(worker.database, refuses=False)

    def do(_order):
        have(worker.database, refuses=True)
        return WorkResult(DidTask.NIGHT, Exit.ATTENTION, why="the token expired", ledger_run=9)

    with worker.database.connect() as connection:
        add_account(connection, "one", "account: one", first_run=True)
    monkeypatch.setattr(FleetWorker, "_note_failure", note)
    worker.pace = WorkerIntervals(poll=0)
    asyncio.run(asyncio.wait_for(worker._do(JOB, SimpleNamespace(execute_work_order=do)), 30))

    assert why in refused[0]
    with worker.database.connect() as connection:
        (run,) = connection.execute("SELECT exit_code, why FROM fleet_run").fetchall()
    assert {"exit_code": Exit.ATTENTION, "why": "the token expired"} == run


def test_night_whose_beginning_the_database_refuses_is_left_to_another(worker, monkeypatch):
    """After a while, in which somebody may mend it: nothing was done."""
    monkeypatch.setattr("jobs.fleet.worker.MOST_REFUSALS", 3)
    with worker.database.connect() as connection:
        add_account(connection, "one", "account: one", first_run=True)
        connection.execute("ALTER TABLE fleet_run RENAME TO fleet_run_of_another_version")
    with capture_logs() as logged:
        asyncio.run(asyncio.wait_for(worker._do(JOB, None), 30))

    assert "what became of the account cannot be recorded; it is tried again" == logged[-1]["event"]
    assert [] == worker._manager.finished


def test_worker_does_not_rest_for_accounts_that_no_other_machine_may_run(worker):
    """The ones after them would wait for nothing: it is the only one."""
    worker._machine = "machine"
    names = [f"account-{number}" for number in range(5)]
    with worker.database.connect() as connection:
        for name in names:
            add_account(connection, name, f"account: {name}", first_run=True)
    unable = WorkResult(DidTask.UNABLE, Exit.CONFIGURATION, why="no token")
    child = SimpleNamespace(execute_work_order=lambda _order: unable)
    for number, name in enumerate(names):
        job = JOB.evolve(id=number, task_kwargs={"account": name})
        asyncio.run(asyncio.wait_for(worker._do(job, child), 30))

    assert worker._rest.may_take()


@pytest.mark.parametrize(
    ("asked", "answered", "error"),
    [
        pytest.param(-12, -12, -12, id="behind"),
        pytest.param(12, 12, 12, id="ahead"),
        pytest.param(0, 0, 0, id="right"),
        pytest.param(-10, 0, 0, id="right, and paused before the server looked"),
        pytest.param(0, 10, 0, id="right, and paused after the server looked"),
        pytest.param(-30, -20, -20, id="behind, and paused"),
    ],
)
def test_order_says_how_wrong_this_machine_s_clock_is(worker, monkeypatch, asked, answered, error):
    """By the database's; that the worker was paused while it asked makes no clock wrong."""
    offsets = iter((asked, answered))

    class Machine(datetime):
        @classmethod
        def now(cls, zone):
            return datetime.now(zone) + timedelta(minutes=next(offsets))

    monkeypatch.setattr("jobs.fleet.database.datetime", Machine)
    with worker.database.connect() as connection:
        add_account(connection, "one", "account: one", first_run=True)
    with worker.database.connect() as connection:
        _run, order = worker._begin(connection, "one", JOB)

    assert timedelta(minutes=error) == round(order.clock_error / timedelta(minutes=1)) * timedelta(minutes=1)


UPGRADE = "INSERT INTO fleet_revision VALUES ('ledgers-9999', now())"


@pytest.mark.parametrize("upgrade", [UPGRADE, UPGRADE.replace("ledgers", "fleet"), "DELETE FROM fleet_revision"])
def test_worker_whose_database_is_upgraded_begins_nothing_and_has_itself_started_again(worker, upgrade):
    """The account is as due as it was, and nobody is told that something is wrong with it."""
    with worker.database.connect() as connection:
        add_account(connection, "one", "account: one", first_run=True)
        connection.execute(upgrade)
    with pytest.raises(UpgradedError, match="no longer of this worker's version") as raised:
        asyncio.run(asyncio.wait_for(worker._do(JOB, None), 30))

    assert 75 == raised.value.exit_code
    assert [JOB] == worker._manager.finished
    with worker.database.connect() as connection:
        assert [] == connection.execute("SELECT 1 FROM fleet_run").fetchall()
        assert latest_settings(connection, "one") is not None


def test_worker_whose_database_is_upgraded_notices_though_no_job_comes(worker):
    """The functions that would give it one may be gone with the upgrade."""
    with worker.database.connect() as connection:
        connection.execute(UPGRADE)

    with pytest.raises(UpgradedError):
        asyncio.run(asyncio.wait_for(worker._every(60, worker._look_after_the_queue), 30))


class Upgraded(FleetWorker):
    """A worker that finds its database upgraded, with a night at work that goes on for long."""

    async def _look_after_the_queue(self):
        raise UpgradedError("upgraded")

    async def _serve(self, _child):
        await asyncio.sleep(60)

    async def _keep_alive(self):
        await asyncio.sleep(60)

    _watch = _keep_alive


def test_worker_whose_database_is_upgraded_has_the_processes_at_work_stop_in_time(worker):
    """As at SIGTERM: killed after a minute, they would leave what they send in doubt."""
    with closing(StopSignal()) as stop:
        nursery = SimpleNamespace(close=lambda: None)
        upgraded = Upgraded(worker.database, nursery, stop, 1, WorkerIntervals(drain=0.1))
        upgraded._manager, upgraded._id, upgraded._stopping = worker._manager, 1, asyncio.Event()
        with pytest.raises(UpgradedError):
            asyncio.run(asyncio.wait_for(upgraded._work(), 30))

        assert signal.SIGTERM == stop.signal_number


class Slow(FleetWorker):
    """A worker that neither looks after the queue nor tells people anything."""

    async def _look_after_the_queue(self):
        await asyncio.sleep(60)

    _keep_alive = _watch = _look_after_the_queue


def test_night_that_is_killed_for_want_of_time_after_a_stop_is_not_lost_with_a_worker(database):
    """Its worker lives, and says so: otherwise two restarts would make it a suspect. It is due at once."""
    ended = threading.Event()

    def work(_order):
        stop.request_graceful_stop(signal.SIGTERM)
        assert ended.wait(30)
        raise ChildDiedError

    with database.connect() as connection:
        add_account(connection, "one", "account: one", first_run=True)
        queue.enqueue_due_accounts(connection)
    with closing(StopSignal()) as stop, pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.fleet.worker.Child", lambda _nursery: SimpleNamespace(execute_work_order=work))
        slow = Slow(database, SimpleNamespace(close=ended.set), stop, 1, WorkerIntervals(drain=0.1, record=30))
        asyncio.run(asyncio.wait_for(slow.run(), 30))

    with database.connect() as connection:
        assert [] == queue.release_lost_runs(connection)
        (run,) = connection.execute("SELECT exit_code FROM fleet_run").fetchall()
        (account,) = connection.execute("SELECT lost, failures, due_at <= now() AS due FROM fleet_account").fetchall()
        assert [] == connection.execute("SELECT FROM procrastinate_jobs").fetchall()
    assert STOPPED == run["exit_code"]
    assert {"lost": 0, "failures": 0, "due": True} == account


class Busy(FleetWorker):
    """A worker whose places note who is at work beside whom, and stop once nothing is left."""

    async def _do(self, job, _child):
        self.watch(job)
        for _ in range(20):
            await asyncio.sleep(0)
        self.watch(job)


def test_worker_has_one_suspect_at_work_beside_all_others(database):
    """So that the one that kills it takes no other suspect along; once it has ended, the next is begun."""
    waiting = [JOB.evolve(id=number, queue=(queue.QUEUE, queue.SUSPECTS)[number % 2]) for number in range(6)]
    at_work, seen = [], []

    async def fetch_job(queues, _worker):
        await asyncio.sleep(0)
        found = next((each for each in waiting if each.queue in queues), None)
        if found:
            waiting.remove(found)
        return found

    def note(job):
        (at_work.remove if job in at_work else at_work.append)(job)
        seen.append(Counter(each.queue for each in at_work))
        if not at_work and not waiting:
            busy._stopping.set()

    async def serve():
        busy._stopping = asyncio.Event()
        await asyncio.gather(*[busy._serve(object()) for _ in range(6)])

    busy = Busy(database, None, None, 6, WorkerIntervals(poll=0.001), watch=note)
    busy._manager = SimpleNamespace(fetch_job=fetch_job)
    asyncio.run(asyncio.wait_for(serve(), 30))

    assert (1, 3) == tuple(max(each[name] for each in seen) for name in (queue.SUSPECTS, queue.QUEUE))


JOB = Job(id=7, queue="x", lock=None, queueing_lock=None, task_name="x", task_kwargs={"account": "one"})


def child_that_ends_with(exit_code, why):
    """A child whose night ends so."""
    result = WorkResult(DidTask.NIGHT, exit_code, why=why, ledger_run=9)
    return SimpleNamespace(execute_work_order=lambda _order: result)


def set_read_only(database, value):
    """Have new transactions be read-only, as on a standby, or writable again."""
    with database.connect() as connection:
        connection.read_only = False
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = {value}")


@pytest.mark.parametrize(
    ("start", "beats", "asks"),
    [
        pytest.param(50, range(60, 101, 10), 0, id="not long after its start"),
        pytest.param(40, range(50, 101, 10), 1, id="a minute after it"),
        pytest.param(0, range(10, 61, 10), 0, id="while no heartbeat gets through"),
        pytest.param(0, [*range(10, 61, 10), 100], 0, id="as soon as one does again"),
        pytest.param(0, [10, *range(50, 101, 10)], 0, id="not long after that"),
        pytest.param(0, range(40, 101, 10), 1, id="a minute after that"),
        pytest.param(0, [*range(10, 61, 10), 85, 100], 1, id="where but one was missed"),
    ],
)
def test_nobody_is_taken_for_dead_until_all_could_be_heard(worker, monkeypatch, start, beats, asks):
    """A look, at second 100, asks for the dead only after a minute in which heartbeats came in."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("jobs.fleet.worker.time", SimpleNamespace(monotonic=lambda: clock.now))

    def wait_until(second):
        with worker.database.connect() as connection:
            connection.execute(
                "UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - %s",
                [timedelta(seconds=second - clock.now)],
            )
        clock.now = second

    async def play():
        wait_until(start)
        await worker._register()
        for beat in beats:
            wait_until(beat)
            await worker._keep_alive()
        wait_until(100)
        await worker._look_after_the_queue()

    asyncio.run(play())

    assert asks == worker._manager.asked


def test_what_the_database_refuses_keeps_no_account_from_the_others(worker):
    """Each step of a look is taken by itself: here, a lost run cannot be released."""
    with worker.database.connect() as connection:
        for name in ("one", "two"):
            add_account(connection, name, f"account: {name}", first_run=False)
        begin(connection)
        connection.execute("ALTER TABLE fleet_run ADD CHECK (ended_at IS NULL)")

    with capture_logs() as logged:
        asyncio.run(worker._look_after_the_queue())

    with worker.database.connect() as connection:
        assert {"lock": "two"} in connection.execute("SELECT lock FROM procrastinate_jobs").fetchall()
    assert ["error"] == [each["log_level"] for each in logged]


def test_account_whose_workers_keep_dying_has_failed_and_waits_for_its_next_night(database):
    """It is told once, also to whoever asked for it; each further night it is tried once, until one ends."""
    with database.connect() as connection:
        add_account(connection, "one", "account: one", first_run=False)
        request_immediate_run(connection, "one")
        for _ in range(MOST_LOST_RUNS - 1):
            assert (False, []) == (lose_a_run(connection), read_fleet_problems(connection))
        for _ in range(2):
            assert lose_a_run(connection)

            (told,) = load_fleet_status(connection, silent_for=timedelta(minutes=1)).accounts
            assert (AccountState.NEEDS_A_HUMAN, Exit.BUG, WORKERS_DIED) == (told.state, told.exit_code, told.why)
            assert [["one"]] == [each.accounts for each in read_fleet_problems(connection)]
            assert latest_settings(connection, "one").asked_at is None
        queue.end_run(connection, begin(connection), WorkResult(DidTask.NIGHT, Exit.DONE, timedelta(days=1)))
        assert not lose_a_run(connection)


@pytest.mark.parametrize(
    ("night", "hours"),
    [(timedelta(hours=-5), 19), (timedelta(hours=-53), 19), (timedelta(hours=3), 3), (None, 24)],
    ids=["last night", "a night long ago", "tonight", "unknown"],
)
def test_account_whose_workers_keep_dying_waits_no_longer_than_until_its_next_night(database, night, hours):
    """At the time of day when it is due, whenever it was given up."""
    with database.connect() as connection:
        add_account(connection, "one", "account: one", first_run=False)
        connection.execute(
            "UPDATE fleet_account SET lost = %s, night_at = now() + %s::interval", [MOST_LOST_RUNS - 1, night]
        )
        begin(connection)
        _release_lost_runs(connection)

        (account,) = connection.execute("SELECT due_at - now() AS wait FROM fleet_account").fetchall()
    assert timedelta(hours=hours) == account["wait"]


@pytest.mark.parametrize("is_asked_before", [False, True])
def test_request_that_came_during_the_last_run_whose_worker_died_is_answered(database, is_asked_before):
    """By one more try, and not by the run that began before it."""
    with database.connect() as connection:
        add_account(connection, "one", "account: one", first_run=False)
        connection.execute("UPDATE fleet_account SET lost = %s", [MOST_LOST_RUNS - 1])
        if is_asked_before:
            request_immediate_run(connection, "one")
        begin(connection)
        connection.execute("UPDATE fleet_run SET started_at = now() - interval '1 minute'")
        request_immediate_run(connection, "one")
        _release_lost_runs(connection)

        due = "SELECT asked_at IS NOT NULL AS is_asked, due_at <= now() AS is_due FROM fleet_account"
        assert [{"is_asked": True, "is_due": True}] == connection.execute(due).fetchall()


def test_account_that_another_worker_has_taken_over_is_not_given_up(database):
    """What becomes of it, that one says."""
    with database.connect() as connection:
        add_account(connection, "one", "account: one", first_run=False)
        connection.execute("UPDATE fleet_account SET lost = %s", [MOST_LOST_RUNS - 1])
        begin(connection)
        queue.enqueue_due_accounts(connection)
        (job,) = connection.execute("SELECT id FROM procrastinate_jobs").fetchall()
        connection.execute("UPDATE fleet_run SET job = -1")
        queue.begin_run(connection, "one", job=job["id"], machine="machine", version=1)
        _release_lost_runs(connection)

        assert [] == read_fleet_problems(connection)


def test_worker_that_died_before_the_server_s_clock_was_set_back_is_not_taken_for_alive(worker):
    """Its last heartbeat lies ahead; it counts from now, as those of living workers do."""
    with worker.database.connect() as connection:
        dead = queue.register(connection, "other")
        ahead = "UPDATE procrastinate_workers SET last_heartbeat = now() + interval '2 hours' WHERE id = %s"
        connection.execute(ahead, [dead])

    worker._heard_since = float("-inf")
    asyncio.run(worker._give_up_dead_workers())

    with worker.database.connect() as connection:
        found = connection.execute("SELECT id FROM procrastinate_workers WHERE last_heartbeat <= now()").fetchall()
    assert {dead, worker._id} == {each["id"] for each in found}


def begin(connection):
    """A run of the account."""
    asked_at = latest_settings(connection, "one").asked_at
    return queue.begin_run(connection, "one", job=JOB.id, machine="machine", version=1, asked_at=asked_at)


def lose_a_run(connection):
    """Whether the account then waits for another day."""
    begin(connection)
    _release_lost_runs(connection)
    return connection.execute("SELECT due_at > now() + interval '1 hour' AS far FROM fleet_account").fetchone()["far"]
