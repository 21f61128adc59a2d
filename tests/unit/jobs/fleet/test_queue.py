"""The queue in a real database: who comes first, and that nobody comes twice."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from procrastinate.manager import JobManager
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector

from jobs.exit_codes import Exit
from jobs.fleet import queue
from jobs.fleet.accounts import (
    accounts_with_runs,
    add_account,
    erase_account,
    latest_settings,
    pause_account,
    remove_account,
    request_immediate_run,
)
from jobs.fleet.status import load_fleet_status
from jobs.fleet.work import DidTask, WorkResult
from tests.postgresql import wait_until

pytestmark = pytest.mark.xdist_group("postgresql")
DONE = WorkResult(DidTask.NIGHT, Exit.DONE, timedelta(hours=1), timedelta(days=1), ledger_run=1)


@contextmanager
def fleet_of(database, *names):
    """A connection to a fleet of these accounts, due one after the other."""
    with database.connect() as connection:
        for number, name in enumerate(names):
            add_account(connection, name, f"account: {name}", first_run=True)
            due = timedelta(minutes=len(names) - number)
            connection.execute("UPDATE fleet_account SET due_at = now() - %s WHERE name = %s", [due, name])
        yield connection


def taken(connection, *queues):
    """The accounts in the order in which workers take them, each fetched as a worker does."""
    names = []
    while row := connection.execute(
        "SELECT id, lock FROM procrastinate_fetch_job_v2(%s::varchar[], NULL) WHERE id IS NOT NULL",
        [list(queues) or [queue.QUEUE]],
    ).fetchone():
        names.append(row["lock"])
    return names


def test_oldest_comes_first_the_asked_for_before_and_the_failing_after(database):
    """An account that fails every night costs the others nothing."""
    with fleet_of(database, "fails", "older", "newer", "asked") as connection:
        connection.execute("UPDATE fleet_account SET failures = 1 WHERE name = 'fails'")
        request_immediate_run(connection, "asked")

        assert 4 == queue.enqueue_due_accounts(connection)
        assert ["asked", "older", "newer", "fails"] == taken(connection)


def test_account_asked_for_comes_first_though_it_is_enqueued_already(database):
    """Also before those that were asked for after it."""
    with fleet_of(database, "older", "newer", "asked", "last") as connection:
        queue.enqueue_due_accounts(connection)
        request_immediate_run(connection, "asked")
        assert 0 == queue.enqueue_due_accounts(connection)

        assert ["asked", "older", "newer", "last"] == taken(connection)


def test_turn_of_a_failing_account_comes(database):
    """After what came due within an hour of it, and before what came due later, whichever is enqueued first."""
    with fleet_of(database, "fails", "before", "after") as connection:
        connection.execute("UPDATE fleet_account SET failures = 1, due_at = now() - interval '3 hours'")
        for name, ago in (("before", "2 hours 1 minute"), ("after", "1 hour 59 minutes")):
            connection.execute(
                "UPDATE fleet_account SET failures = 0, due_at = now() - %s::interval WHERE name = %s", [ago, name]
            )
        connection.execute("UPDATE fleet_account SET paused = name <> 'after'")
        queue.enqueue_due_accounts(connection)
        connection.execute("UPDATE fleet_account SET paused = false")
        queue.enqueue_due_accounts(connection)

        assert ["before", "fails", "after"] == taken(connection)


def test_accounts_whose_workers_died_are_kept_apart_in_a_queue_of_their_own(database):
    """All of them in the order of all others, so that each worker may take one, and what is asked for comes first."""
    with fleet_of(database, "one", "two", "new", "asked") as connection:
        connection.execute("UPDATE fleet_account SET lost = 2 WHERE name <> 'new'")
        queue.enqueue_due_accounts(connection)
        request_immediate_run(connection, "asked")
        queue.enqueue_due_accounts(connection)

        assert ["new"] == taken(connection)
        assert ["asked", "one", "two"] == taken(connection, queue.QUEUE, queue.SUSPECTS)


@pytest.mark.parametrize("take_out", [pause_account, remove_account])
def test_account_that_is_taken_out_while_it_is_at_work_does_not_let_another_suspect_in(database, take_out):
    """It is still at work: which of the others may be begun beside it, its worker knows."""
    with fleet_of(database, "one", "two") as connection:
        connection.execute("UPDATE fleet_account SET lost = 2")
        queue.enqueue_due_accounts(connection)
        assert "one" == taken(connection, queue.SUSPECTS)[0]
        take_out(connection, "one")
        connection.execute("DELETE FROM procrastinate_jobs WHERE lock = 'two'")
        queue.enqueue_due_accounts(connection)

        assert ([], ["two"]) == (taken(connection), taken(connection, queue.SUSPECTS))


def test_worker_begins_one_suspect_at_a_time_unless_it_takes_for_long():
    """One that hangs keeps no others waiting for hours, and one that was overtaken keeps none apart when it ends."""
    clock = SimpleNamespace(now=1000.0)
    lane = queue.SuspectLane(lambda: clock.now)

    assert [True, False] == [lane.enter("a"), lane.enter("b")]
    lane.leave("b")
    assert not lane.enter("b")
    lane.leave("a")
    assert lane.enter("b")
    clock.now += queue.SUSPECT_ALONE.total_seconds() - 1
    assert not lane.enter("c")
    clock.now += 1
    assert [True, False] == [lane.enter("c"), lane.enter("d")]
    lane.leave("b")
    assert not lane.enter("d")


def test_account_whose_worker_died_once_is_due_as_it_was(database):
    """Most often its worker did not die of it."""
    with fleet_of(database, "one", "two", "three") as connection:
        connection.execute("UPDATE fleet_account SET lost = 1")
        queue.enqueue_due_accounts(connection)

        assert ["one", "two", "three"] == taken(connection)


def test_account_is_enqueued_once(database):
    """Neither again while it waits nor while it is at work."""
    with fleet_of(database, "one") as connection:
        assert [1, 0] == [queue.enqueue_due_accounts(connection) for _ in range(2)]
        assert ["one"] == taken(connection)
        assert 0 == queue.enqueue_due_accounts(connection)


def test_two_workers_do_not_look_at_once(database):
    """The second finds the first at it, and leaves it to it."""
    with fleet_of(database, "one") as connection, database.connect() as other:
        connection.commit()
        assert 1 == queue.enqueue_due_accounts(connection)
        assert 0 == queue.enqueue_due_accounts(other)


def due_in(connection, name="one"):
    """When an account is due."""
    row = connection.execute("SELECT due_at - now() AS wait FROM fleet_account WHERE name = %s", [name]).fetchone()
    return row["wait"]


def failures_of(connection):
    """How often in a row the account has failed."""
    return connection.execute("SELECT failures FROM fleet_account").fetchone()["failures"]


def begun(connection, *, job=1, version=1, asked_at=None):
    """A run of the account, an hour ago."""
    run = queue.begin_run(connection, "one", job=job, machine="machine", version=version, asked_at=asked_at)
    connection.execute("UPDATE fleet_run SET started_at = now() - interval '1 hour' WHERE id = %s", [run.id])
    return run


def test_result_says_when_the_account_is_due(database):
    """And the account's state may not be created any more."""
    with fleet_of(database, "one") as connection:
        assert queue.end_run(connection, begun(connection), DONE)

        assert timedelta(hours=1) == due_in(connection)
        assert [{"first_run": False}] == connection.execute("SELECT first_run FROM fleet_account").fetchall()


def test_what_was_asked_or_changed_meanwhile_is_due_at_once(database):
    """A run that began before does not stand for it."""
    with fleet_of(database, "one") as connection:
        run = begun(connection)
        request_immediate_run(connection, "one")
        queue.end_run(connection, run, DONE)
        assert timedelta() == due_in(connection)

        run = begun(connection)
        connection.execute("UPDATE fleet_account SET asked_at = NULL")
        add_account(connection, "one", "account: one # changed", first_run=False)
        queue.end_run(connection, run, DONE)
        assert timedelta() == due_in(connection)
        assert [{"asked_at": None}] == connection.execute("SELECT asked_at FROM fleet_account").fetchall()


def test_request_that_a_run_did_not_know_of_is_kept_whenever_it_was_written(database):
    """It may carry a time before the run's start, and be committed after it."""
    with fleet_of(database, "one") as connection:
        for known, is_kept in (("2 hours", False), ("3 hours", True)):
            connection.execute("UPDATE fleet_account SET asked_at = now() - interval '2 hours'")
            asked_at = connection.execute("SELECT now() - %s::interval AS at", [known]).fetchone()["at"]
            queue.end_run(connection, begun(connection, asked_at=asked_at), DONE)

            assert is_kept == (latest_settings(connection, "one").asked_at is not None)
            assert is_kept == (due_in(connection) == timedelta())


def test_run_without_a_job_is_lost_and_due_again(database):
    """Twice as it was, since a minute ago, then ever later; it did not fail."""
    with fleet_of(database, "one") as connection:
        waits = []
        for _ in range(5):
            run = begun(connection)
            ((name, lost),) = queue.release_lost_runs(connection)
            assert ("one", run.id, run.lost + 1) == (name, lost.id, lost.lost)
            waits.append(due_in(connection))

        assert [timedelta(minutes=minutes) for minutes in (-1, -1, 1, 2, 3)] == waits
        assert 0 == failures_of(connection)
        assert [] == queue.release_lost_runs(connection)


def test_account_that_a_dead_worker_still_holds_is_tried_again_soon_and_has_not_failed(database):
    """The server needs a while to see that the worker's machine is gone; what ends well clears the account."""
    held = WorkResult(DidTask.NIGHT, Exit.HELD, timedelta(hours=9))
    with fleet_of(database, "one") as connection:
        begun(connection)
        queue.release_lost_runs(connection)
        waits = []
        for _ in range(3):
            queue.end_run(connection, begun(connection), held)
            waits.append(due_in(connection).seconds)
        assert ([20, 40, 80], 0) == (waits, failures_of(connection))

        queue.end_run(connection, begun(connection), DONE)
        assert (0, 0) == (begun(connection).lost, begun(connection).held)


@pytest.mark.parametrize(
    ("task", "code", "lost"),
    [
        (DidTask.NIGHT, Exit.DONE, 0),
        (DidTask.NOTHING, Exit.BUG, 0),
        (DidTask.NOTHING, 128 + 15, 0),
        (DidTask.NIGHT, Exit.HELD, 1),
        (DidTask.UNABLE, Exit.CONFIGURATION, 1),
    ],
)
def test_workers_die_in_a_row_only_if_none_survives_work_on_the_account(database, task, code, lost):
    """Also one whose process dies, or that is told to stop; one that could not begin has survived nothing."""
    with fleet_of(database, "one") as connection:
        begun(connection)
        queue.release_lost_runs(connection)
        queue.end_run(connection, begun(connection), WorkResult(task, code))

        assert lost == begun(connection).lost


def test_run_is_begun_once_for_each_job(database):
    """A worker that did not hear that it was recorded records it again, with what is true by then."""
    with fleet_of(database, "one") as connection:
        first = begun(connection)
        again = begun(connection, version=2)

        assert first.id == again.id
        assert queue.end_run(connection, again, DONE)
        assert [] == queue.release_lost_runs(connection)
        assert first.id < begun(connection).id


def results(connection):
    """The exit code of each run, in order."""
    return [row["exit_code"] for row in connection.execute("SELECT exit_code FROM fleet_run ORDER BY id")]


def test_result_that_comes_late_is_recorded_though_another_worker_has_taken_over(database):
    """What the first worker did was done; when the account is due, and how often it failed, the second says."""
    with fleet_of(database, "one") as connection, database.connect() as other:
        run = begun(connection)
        queue.release_lost_runs(connection)
        connection.commit()
        taken_over = begun(other, job=2)
        other.commit()

        assert not queue.end_run(connection, run, WorkResult(DidTask.NIGHT, Exit.BUG))
        assert ([Exit.BUG, None], 0) == (results(connection), failures_of(connection))
        connection.commit()
        assert queue.end_run(other, taken_over, WorkResult(DidTask.NIGHT, Exit.CONFIGURATION, timedelta(hours=9)))
        assert ([Exit.BUG, Exit.CONFIGURATION], 1) == (results(other), failures_of(other))


def test_what_a_night_told_is_unknown_where_another_worker_has_taken_over(database):
    """Nobody has heard of it: the next run asks the account's ledger. What that one tells is known."""
    with fleet_of(database, "one") as connection:
        run = begun(connection)
        queue.release_lost_runs(connection)
        queue.end_run(connection, begun(connection, job=2), WorkResult(DidTask.NIGHT, Exit.HELD))
        assert not queue.end_run(connection, run, DONE)

        recalling = begun(connection, job=3)
        assert 0 == recalling.last_run
        assert queue.end_run(connection, recalling, DONE)
        assert 1 == begun(connection, job=4).last_run


def test_settings_that_are_stored_while_a_run_ends_are_due_at_once(database):
    """The end waits for them, and sees them then."""
    with fleet_of(database, "one") as connection:
        run = begun(connection)
    ended = []

    def end():
        with database.connect() as ending:
            (pid,) = ending.execute("SELECT pg_backend_pid() AS pid").fetchall()
            ended.append(pid["pid"])
            queue.end_run(ending, run, WorkResult(DidTask.NIGHT, Exit.CONFIGURATION, timedelta(hours=9)))

    with database.connect() as connection, ThreadPoolExecutor(1) as threads:
        add_account(connection, "one", "account: one # mended", first_run=False)
        ending = threads.submit(end)
        waits = "SELECT FROM pg_locks WHERE NOT granted AND pid = ANY(%s)"
        wait_until(lambda: ended and connection.execute(waits, [ended]).rowcount == 1)
        connection.commit()
        ending.result(30)

        assert due_in(connection) <= timedelta()


@contextmanager
def waiting_for_the_account(database, do):
    """A connection that holds the row of the account, for which what is done on another one waits; yield both."""
    pids = []

    def in_transaction():
        with database.connect() as connection:
            pids.append(connection.info.backend_pid)
            return do(connection)

    with ThreadPoolExecutor(1) as threads, database.connect() as connection:
        connection.execute("SELECT FROM fleet_account FOR UPDATE")
        doing = threads.submit(in_transaction)
        waits = "SELECT FROM pg_locks WHERE NOT granted AND pid = ANY(%s)"
        wait_until(lambda: pids and connection.execute(waits, [pids]).rowcount == 1)
        yield connection, doing


def test_account_is_erased_while_a_run_that_was_given_up_ends(database):
    """Neither waits for the other at once; of the run, nothing is left to end."""
    with fleet_of(database, "one") as connection:
        run = begun(connection)
        queue.release_lost_runs(connection)
    with waiting_for_the_account(database, lambda ending: queue.end_run(ending, run, DONE)) as (erasing, ending):
        erase_account(erasing, "one")
        erasing.commit()

        assert not ending.result(30)


def test_run_ends_while_it_is_given_up(database):
    """Neither waits for the other at once, and what has ended is not lost."""
    with fleet_of(database, "one") as connection:
        run = begun(connection)
    with waiting_for_the_account(database, queue.release_lost_runs) as (ending, releasing):
        assert queue.end_run(ending, run, DONE)
        ending.commit()

        assert [] == releasing.result(30)


def test_result_that_comes_late_counts_where_nobody_has_taken_over(database):
    """And is recorded once."""
    with fleet_of(database, "one") as connection:
        run = begun(connection)
        queue.release_lost_runs(connection)

        assert queue.end_run(connection, run, DONE)
        assert (timedelta(hours=1), 0) == (due_in(connection), failures_of(connection))
        assert not queue.end_run(connection, run, WorkResult(DidTask.NIGHT, Exit.BUG))
        assert [Exit.DONE] == results(connection)


def test_run_with_a_job_is_not_lost(database):
    """Its worker is at it."""
    with fleet_of(database, "one") as connection:
        queue.enqueue_due_accounts(connection)
        row = connection.execute("SELECT id FROM procrastinate_jobs").fetchone()
        begun(connection, job=row["id"])

        assert [] == queue.release_lost_runs(connection)


def test_account_enqueued_meanwhile_keeps_no_other_waiting(database):
    """The library refuses it, and takes the others."""
    with fleet_of(database, "one", "two") as connection:
        job = queue._job("one", datetime.now(UTC), asked=False, suspect=False)
        with connection.transaction():
            JobManager(SyncPsycopgConnector()).batch_defer_jobs([job.evolve(lock="other")], connection=connection)

        assert 1 == queue.enqueue_due_accounts(connection)


@pytest.mark.parametrize(
    ("runs", "left"),
    [
        pytest.param([("nothing", 0, 3), ("nothing", 0, 2), ("nothing", 0, 0.5)], [3], id="sooner without work"),
        pytest.param([("nothing", 0, 0.9), ("nothing", 0, 0.5)], [1, 2], id="not at once"),
        pytest.param([("nothing", 75, 3), ("nothing", 0, 2), ("night", 0, 1)], [1, 2, 3], id="not the last one"),
        pytest.param([("nothing", 2, 3), ("unable", 2, 3), ("nothing", 0, 2), ("nothing", 0, 0)], [1, 2, 4], id="told"),
    ],
)
def test_runs_for_which_nothing_was_due_do_not_pile_up(database, runs, left):
    """The last of them stays, and tells that what held the account before is over; so do other accounts'."""
    with fleet_of(database, "one", "two") as connection:
        ids = [ended(connection, "two", "nothing", 0, hours=3)]
        ids += [ended(connection, "one", task, code, hours=hours) for task, code, hours in runs]
        found = {row["id"] for row in connection.execute("SELECT id FROM fleet_run")}

    assert [0, *left] == [number for number, each in enumerate(ids) if each in found]


def ended(connection, name, task, code, *, hours):
    """The id of a run of an account that began so many hours ago, and has ended."""
    run = queue.begin_run(connection, name, job=1, machine="machine", version=1)
    connection.execute("UPDATE fleet_run SET started_at = now() - %s WHERE id = %s", [timedelta(hours=hours), run.id])
    queue.end_run(connection, run, WorkResult(DidTask(task), code, timedelta(hours=1), timedelta(hours=1)))
    return run.id


def test_old_runs_are_deleted(database):
    """By when they began."""
    with fleet_of(database, "one") as connection:
        _old, young = (ended(connection, "one", "night", 0, hours=days * 24) for days in (91, 89))
        queue.delete_old_runs(connection)

        assert [{"id": young}] == connection.execute("SELECT id FROM fleet_run").fetchall()


def test_last_run_that_may_have_written_to_a_state_stays(database):
    """Else an account whose state is in another database could have a second first run after a pause."""
    wrote, lost, tried = ("night", 0, 1), (None, None, None), ("nothing", 2, None)
    with fleet_of(database, "one", "two") as connection:
        for account, runs in (("one", (wrote, lost, wrote, tried)), ("two", (tried, wrote, lost))):
            for row in runs:
                run = queue.begin_run(connection, account, job=1, machine="machine", version=1)
                connection.execute(
                    "UPDATE fleet_run SET task = %s, exit_code = %s, ledger_run = %s, ended_at = now(), "
                    "started_at = now() - interval '91 days' WHERE id = %s",
                    [*row, run.id],
                )
        queue.delete_old_runs(connection)

        left = connection.execute("SELECT account, ledger_run FROM fleet_run ORDER BY account")
        assert [("one", 1), ("two", None)] == [tuple(row.values()) for row in left]
        assert {"one", "two"} == accounts_with_runs(connection, ["one", "two"])


def test_account_that_was_held_once_is_not_called_held_again(database):
    """What it was held by is over, though most that tells so is deleted."""
    with fleet_of(database, "one") as connection:
        shown = []
        for code, hours in ((Exit.HELD, 4), (Exit.DONE, 3), (Exit.DONE, 2)):
            ended(connection, "one", "nothing", code, hours=hours)
            (account,) = load_fleet_status(connection, silent_for=timedelta(minutes=1)).accounts
            shown.append((account.state, account.why))

        assert shown[0] != shown[1] == shown[2]
        assert 2 == connection.execute("SELECT count(*) AS count FROM fleet_run").fetchone()["count"]
