"""What adding an account to a fleet changes."""

import pytest

from jobs.fleet.accounts import AddedAccount, add_account, remove_account, settings_of_others

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
    assert [] == [*settings_of_others(connection, "one", [])]
