"""What adding an account to a fleet changes."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg.errors import LockNotAvailable

from jobs.exit_codes import Exit, UsageError
from jobs.fleet import accounts
from jobs.fleet.accounts import (
    AddedAccount,
    accounts_sending_to,
    accounts_told_apart,
    accounts_with_runs,
    add_account,
    erase_account,
    is_told_apart_from_all,
    latest_settings,
    remove_account,
    settings_of_others,
    wait_for_other_additions,
)
from jobs.fleet.database import FleetAwayError
from jobs.fleet.problems import record_problems
from jobs.fleet.queue import begin_run, end_run, release_lost_runs
from jobs.fleet.work import DidTask, WorkResult
from tests.postgresql import wait_until

pytestmark = pytest.mark.xdist_group("postgresql")


@pytest.fixture
def connection(database):
    """A connection to a fleet that has the account `one`, which may not create its state, and fails."""
    with database.connect() as made:
        add_account(made, "one", "account: one", first_run=False)
        made.execute("UPDATE fleet_account SET failures = 3, due_at = now() + interval '1 hour'")
        yield made


def failures(connection):
    """How often in a row the account has failed; none once it is looked at anew."""
    return connection.execute("SELECT failures FROM fleet_account").fetchone()["failures"]


def test_nothing_changes_nothing(connection):
    """The same settings again."""
    added = add_account(connection, "one", "account: one", first_run=False)

    assert (AddedAccount(None), False, 3) == (added, added.changed, failures(connection))


def test_account_that_only_comes_back_has_changed(connection):
    """It is due now, since it may have missed a night."""
    remove_account(connection, "one")

    added = add_account(connection, "one", "account: one", first_run=False)

    assert (AddedAccount(None, revived=True), True, 0) == (added, added.changed, failures(connection))
    assert AddedAccount(None) == add_account(connection, "one", "account: one", first_run=False)


def test_account_that_may_have_its_first_run_now_has_changed(connection):
    """Which was forgotten the first time."""
    added = add_account(connection, "one", "account: one", first_run=True)

    assert (AddedAccount(None, allowed_first_run=True), True, 0) == (added, added.changed, failures(connection))
    assert AddedAccount(None) == add_account(connection, "one", "account: one", first_run=True)


def test_new_settings_are_a_version(connection):
    """They count from one."""
    assert AddedAccount(1) == add_account(connection, "two", "account: two", first_run=True)
    assert AddedAccount(2) == add_account(connection, "two", "account: two # new", first_run=True)


def test_others_are_those_in_the_fleet_whose_current_settings_hold_a_word(connection):
    """Neither the account itself, nor one that was removed, nor what settings held before."""
    for name in ("two", "three", "four"):
        add_account(connection, name, "metrics: m.prom", first_run=True)
    remove_account(connection, "three")
    add_account(connection, "four", "nothing", first_run=True)

    assert [("two", "metrics: m.prom")] == [*settings_of_others(connection, "one", ["x", "m.prom"])]
    assert [] == [*settings_of_others(connection, "two", ["m.prom"])]


def test_no_settings_are_visited_where_there_is_nothing_to_look_for():
    """As for most accounts, which have no file and no webhooks: thousands of others cost them nothing."""
    assert [] == [*settings_of_others(None, "one", [])]


def test_others_are_read_a_few_at_a_time(connection, database, monkeypatch):
    """The server ends a transaction that is idle for long, and loading each of thousands takes a while."""
    monkeypatch.setattr(accounts, "_ROWS_AT_ONCE", 1)
    for name in ("two", "three", "four"):
        add_account(connection, name, "metrics: m.prom", first_run=True)
    asked = "SELECT query_start FROM pg_stat_activity WHERE pid = %s"

    times = []
    for _other in settings_of_others(connection, "one", ["m.prom"]):
        with database.connect() as looking:
            times.append(looking.execute(asked, [connection.info.backend_pid]).fetchone()["query_start"])

    assert (3, times) == (len(set(times)), sorted(times))


def test_account_knows_where_it_has_ever_sent(connection):
    """With each version of its settings; others that send there are found, also once it was removed."""
    add_account(connection, "two", "account: two", first_run=True, sends_to=["123", "456"])
    add_account(connection, "two", "account: two, elsewhere", first_run=False, sends_to=["789"])
    remove_account(connection, "two")

    assert {"two": frozenset({"456", "789"})} == accounts_sending_to(connection, "one", ["456", "789", "0"])
    assert {} == accounts_sending_to(connection, "two", ["456"])
    assert {} == accounts_sending_to(connection, "one", [])


def test_settings_for_a_first_run_name_those_that_a_human_told_apart(connection):
    """From whichever side; not those that merely send there too, whenever they were added."""
    add_account(connection, "two", "account: two", first_run=True, sends_to=["123"])
    add_account(connection, "three", "account: three", first_run=True, sends_to=["123"], told_apart=["two"])
    add_account(connection, "four", "account: four", first_run=False, sends_to=["123"])
    add_account(connection, "three", "account: three", first_run=False, sends_to=["123"])

    names = ("one", "two", "three", "four")
    assert [[], ["three"], ["two"], []] == [latest_settings(connection, name).others for name in names]
    assert [set(), {"three"}, {"two"}, set()] == [accounts_told_apart(connection, name) for name in names]


def test_account_is_told_apart_from_one_that_the_fleet_does_not_have(connection):
    """Whose ledger was found; it joins later without being asked about again."""
    add_account(connection, "two", "account: two", first_run=True, told_apart=["three"])

    assert {"two"} == accounts_told_apart(connection, "three")


def test_account_that_is_told_apart_from_all_has_changed(connection):
    """Or from one other: it may have been refused before. That it is none of all holds until it sends elsewhere."""
    add_account(connection, "two", "account: two", first_run=True, sends_to=["123"])
    for more in ({"told_apart": ["three"]}, {"not_renamed": True}):
        added = add_account(connection, "two", "account: two", first_run=False, sends_to=["123"], **more)
        assert AddedAccount(None, allowed_first_run=True) == added

    assert latest_settings(connection, "two").others is None
    for owner, others in (("123", None), ("456", ["three"]), ("123", ["three"])):
        assert (others is None) is is_told_apart_from_all(connection, "two", [owner])
        add_account(connection, "two", "account: two", first_run=False, sends_to=[owner])
        assert others == latest_settings(connection, "two").others


def test_only_of_a_first_run_it_counts_that_an_account_is_no_other(connection):
    """One that joined with a state was not compared with the ledgers."""
    add_account(connection, "two", "account: two", first_run=False, sends_to=["123"], not_renamed=True)
    assert not is_told_apart_from_all(connection, "two", ["123"])

    add_account(connection, "two", "account: two", first_run=True, sends_to=["123"])
    assert is_told_apart_from_all(connection, "two", ["123"])


def test_settings_are_read_with_what_a_human_said_of_them(database):
    """While an account is added, a worker that begins it waits: old settings are not run as the new ones may be."""
    with database.connect() as adding:
        add_account(adding, "one", "account: one", first_run=True)
    with ThreadPoolExecutor(1) as threads, database.connect() as adding:
        add_account(adding, "one", "account: one # new", first_run=True, not_renamed=True)
        begun = threads.submit(_begin, database, "one")
        with database.connect() as looking:
            looking.autocommit = True
            waiting = "SELECT FROM pg_locks WHERE NOT granted"
            wait_until(lambda: begun.done() or looking.execute(waiting).fetchone() is not None)
        adding.commit()

        assert (2, None) == begun.result(30)


def _begin(database, name):
    """The version that a worker would run, and the accounts that it is told apart from."""
    with database.connect() as worker:
        settings = latest_settings(worker, name)
        return settings.version, settings.others


def test_account_has_run_once_a_run_wrote_to_its_state(connection):
    """Or may have, as long as it is open or if its worker died. Not by being tried; until it is erased."""
    for name, result in (
        ("two", WorkResult(DidTask.NIGHT, Exit.DONE, ledger_run=1)),
        ("three", WorkResult(DidTask.NOTHING, Exit.CONFIGURATION, why="no state")),
    ):
        add_account(connection, name, f"account: {name}", first_run=True)
        end_run(connection, begin_run(connection, name, job=1, machine="machine", version=1), result)
    remove_account(connection, "two")

    assert {"two"} == accounts_with_runs(connection, ["one", "two", "three", "four"])
    assert set() == accounts_with_runs(connection, ["one"])
    begin_run(connection, "one", job=1, machine="machine", version=1)
    assert {"one"} == accounts_with_runs(connection, ["one"])
    release_lost_runs(connection)
    assert {"one"} == accounts_with_runs(connection, ["one"])
    erase_account(connection, "two")
    assert set() == accounts_with_runs(connection, ["two"])


def test_one_account_is_added_at_a_time(database, monkeypatch):
    """What it was compared with stays as it is until it is stored; whoever waits does so for a bounded time."""
    monkeypatch.setattr(accounts, "_LOCK_WAIT", "10ms")
    with database.connect() as one:
        wait_for_other_additions(one)

        with pytest.raises(FleetAwayError), database.connect() as other:
            wait_for_other_additions(other)
    with database.connect() as other:
        wait_for_other_additions(other)


def test_erased_account_leaves_its_name_and_where_it_sent(connection):
    """Settings, runs and problems are gone, also of one that was removed before; added again, it counts from one."""
    add_account(connection, "two", "account: two", first_run=True, sends_to=["123"])
    for name in ("one", "two"):
        run = begin_run(connection, name, job=1, machine="machine", version=1)
        with pytest.raises(UsageError, match="a worker is running this account"):
            erase_account(connection, name)
        result = WorkResult(DidTask.NIGHT, Exit.CONFIGURATION, why="no token")
        end_run(connection, run, result)
        record_problems(connection, name, result, asked=False)
    remove_account(connection, "two")
    for _again in range(2):
        erase_account(connection, "two")

    for table in ("fleet_settings", "fleet_run", "fleet_problem"):
        assert [{"account": "one"}] == connection.execute(f"SELECT account FROM {table}").fetchall()  # noqa: S608
    assert {"two": frozenset({"123"})} == accounts_sending_to(connection, "one", ["123"])
    assert AddedAccount(1, revived=True) == add_account(connection, "two", "account: two", first_run=False)
    with pytest.raises(UsageError, match="the fleet has no account three"):
        erase_account(connection, "three")


def test_account_that_a_worker_begins_is_not_erased_meanwhile(database):
    """Its run would be of an account that is gone; whoever erases it waits, and then sees the run."""
    with database.connect() as worker:
        add_account(worker, "one", "account: one", first_run=True)
    with database.connect() as worker:
        latest_settings(worker, "one")
        with database.connect() as other:
            other.execute("SET lock_timeout = '10ms'")
            with pytest.raises(LockNotAvailable):
                erase_account(other, "one")
        begin_run(worker, "one", job=1, machine="machine", version=1)

    with database.connect() as other, pytest.raises(UsageError, match="a worker is running this account"):
        erase_account(other, "one")
