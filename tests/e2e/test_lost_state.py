"""A missing state is reported and never silently recreated: it alone records what was sent."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from jobs.ledger.storage import database
from jobs.ledger.storage.state_file import has_state
from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)
NO_STATE = "there is no state here. If there was one, bring it back first"


def sold(company, number):
    """A lead sold yesterday."""
    return company.lead(number, ("Gagné", company.clock.now() - DAY), clicks=company.both(number))


@pytest.fixture
def unmounted(company):
    """A company after a night whose volume is not mounted: its state's folder exists and is empty."""
    company.serve(sold(company, 1))
    company.night()
    company.later()
    company.settings["schedule"] = {"daily": "05:30"}
    company.state = company.directory / "mnt" / "state.db"
    company.state.parent.mkdir()
    return company


def asked(company):
    """The requests to any platform."""
    return [path for server, path, _ in company.arrivals if server not in ("clock", "control")]


@pytest.mark.parametrize("command", [("run",), ("backfill", "--already-sent", "list", "--yes"), ("retry", "--yes")])
def test_missing_state_is_refused_without_any_request(unmounted, command):
    """The command exits with 2 and says what to do; it sends and creates nothing."""
    (unmounted.directory / "list").write_text("L-1\n")
    before = asked(unmounted)
    words = [str(unmounted.directory / "list") if word == "list" else word for word in command]
    done = type_in(unmounted, *words)

    assert 2 == done.code
    assert f"{unmounted.state}: {NO_STATE}" in done.err
    assert before == asked(unmounted)
    assert [] == list(unmounted.state.parent.iterdir())


def test_schedule_without_a_state_does_not_start(unmounted):
    """This is a service after a reboot."""
    done = type_in(unmounted, "schedule")

    assert 2 == done.code
    assert NO_STATE in done.err
    assert [] == list(unmounted.state.parent.iterdir())


def test_dry_run_and_check_work_without_a_state(unmounted):
    """A dry run says that there is no state and leaves none; `check` does not need one."""
    rehearsed = type_in(unmounted, "run", "--dry-run")
    checked = type_in(unmounted, "check")
    status = type_in(unmounted, "status")

    assert (0, 0, 2) == (rehearsed.code, checked.code, status.code)
    assert "there is no state yet: what follows is what a first run would do" in rehearsed.err
    assert NO_STATE in status.err
    assert [] == [file for file in unmounted.state.parent.iterdir() if file.suffix != ".pace"]


def test_first_run_option_works_only_once(company):
    """It creates the state; a second use is refused, so that the option does not stay in a crontab."""
    company.state.unlink()
    first = type_in(company, "run", "--first-run")
    again = type_in(company, "run", "--first-run")
    plain = type_in(company, "run")

    assert (0, 2, 0) == (first.code, again.code, plain.code)
    assert "has its state already; leave --first-run out" in again.err


def test_schedule_first_run_refuses_an_existing_state(company):
    """It refuses before doing anything."""
    company.settings["schedule"] = {"daily": "05:30"}
    done = type_in(company, "schedule", "--first-run")

    assert 2 == done.code
    assert "leave --first-run out" in done.err


def test_deleted_state_is_not_recreated(company):
    """Not even `--first-run` recreates it: the lock file remembers earlier runs."""
    company.serve(sold(company, 1))
    company.night()
    company.state.unlink()
    done = type_in(company, "run", "--first-run")

    assert 2 == done.code
    assert "this account has run here before (run 1 was the last): restore it from a backup" in done.err
    assert "`oplead-sync state restored`" in done.err
    assert not has_state(company.state)


def test_beginning_anew_as_told_sends_nothing_again(company):
    """Whoever has lost the state and every backup, and does what the refusal says, counts nothing twice."""
    company.use_meta_alone()
    company.serve(sold(company, 1))
    company.night()
    company.state.unlink()
    sent = len(company.posts)
    told = type_in(company, "run", "--first-run").err
    assert f"delete {company.lock.name}" in told
    assert "write today as `since:` of every conversion" in told
    company.lock.unlink()
    for conversion in company.settings["conversions"]:
        conversion["since"] = company.clock.now().date().isoformat()

    assert 0 == type_in(company, "run", "--first-run").code
    assert sent == len(company.posts)
    assert {"skipped"} == set(company.states("meta").values())


def test_restored_backup_sends_nothing_until_a_human_agrees(company):
    """The backup lacks what was sent since, and Meta would count it twice."""
    company.use_meta_alone()
    company.night()
    backup = shutil.copy(company.state, company.state.with_name("backup"))
    company.serve(sold(company, 1))
    company.later()
    sent = len(company.posts)
    shutil.copy(backup, company.state)
    refused = type_in(company, "run")

    assert (2, sent) == (refused.code, len(company.posts))
    assert "declare it by `oplead-sync state restored`" in refused.err

    assert 0 == type_in(company, "state", "restored", "--yes").code
    assert sent == len(company.posts)
    agreed = type_in(company, "run")

    assert 0 == agreed.code
    assert len(company.posts) > sent


# ── a renamed account ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def renamed(company):
    """A company that has sent to Meta under an account name that its settings no longer have."""
    company.use_meta_alone()
    company.conversion("appointment").pop("implied_by")
    company.serve(sold(company, 1))
    company.night()
    assert 1 == len(company.posts)
    company.settings["account"] = "maison-neuve"
    company.state = company.state.with_name("maison-neuve.db")
    return company


@pytest.mark.parametrize("more", [[], ["--first-run"], ["--dry-run"], ["--validate-only"]])
def test_renamed_account_is_refused_beside_its_old_state(renamed, more):
    """The account name is part of every key, and the old state beside it has the same dataset."""
    done = type_in(renamed, "run", *more)

    assert 2 == done.code
    assert "there is no state of this account, but account 'maison-test' sends to" in done.err
    assert "write `account: maison-test`" in done.err
    assert 1 == len(renamed.posts)
    assert not renamed.state.exists()


def test_restoring_the_old_account_name_resumes(renamed):
    """This is what the message advises."""
    renamed.settings["account"] = "maison-test"
    renamed.state = renamed.state.with_name("state.db")

    assert 0 == type_in(renamed, "run").code
    assert 1 == len(renamed.posts)


def test_state_of_another_account_is_refused(renamed):
    """`state:` names the old account's file."""
    renamed.state = renamed.state.with_name("state.db")
    done = type_in(renamed, "run")

    assert 2 == done.code
    assert "this state holds account 'maison-test', not 'maison-neuve'" in done.err
    assert 1 == len(renamed.posts)


def test_state_beside_with_other_destinations_is_ignored(renamed):
    """An agency keeps the states of several accounts side by side."""
    renamed.settings["meta"]["dataset_id"] = "9876543210987"
    done = type_in(renamed, "run", "--dry-run")
    first = type_in(renamed, "run", "--first-run")

    assert 0 == done.code
    assert "beside it" not in first.err


@pytest.mark.parametrize("broken", ["damaged", "locked"])
def test_unreadable_state_beside_is_only_a_warning(renamed, broken, monkeypatch):
    """It may be that of the old account name, so it is reported, but the run is not refused."""
    monkeypatch.setattr(database, "BUSY_MS", 100)
    beside = renamed.state.with_name("state.db")
    with closing(sqlite3.connect(beside)) as other:
        if broken == "locked":
            other.execute("PRAGMA locking_mode=exclusive")
            other.execute("UPDATE lease SET pid = pid + 1")
            other.commit()
        else:
            spoil(beside)
        done = type_in(renamed, "run", "--first-run")

    (warning,) = [line for line in done.err.splitlines() if str(beside) in line]
    assert 0 == done.code
    assert {"damaged": "it is damaged", "locked": "another program is writing to it"}[broken] in warning


def spoil(state):
    """Overwrite everything but the header."""
    with state.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (state.stat().st_size - 100))


def test_two_configured_accounts_may_share_a_dataset(renamed, tmp_path):
    """Both have settings, so neither is the other under an old name."""
    new = json.loads(renamed.config.read_text())
    new_file = tmp_path / "new.yaml"
    new_file.write_text(json.dumps(new))
    renamed.settings["account"] = "maison-test"
    renamed.state = renamed.state.with_name("state.db")
    done = type_in(renamed, "run", "--first-run", "--config", str(new_file))

    # The account that already has a state is refused for its `--first-run`.
    assert 2 == done.code
    assert has_state(renamed.state.with_name("maison-neuve.db"))


def test_moved_state_of_the_same_account_is_named(renamed):
    """The message says to name it under `state:`."""
    renamed.settings["account"] = "maison-test"
    done = type_in(renamed, "run", "--first-run")

    assert 2 == done.code
    assert "state.db beside it is one of this account. Name it under `state:`" in done.err
