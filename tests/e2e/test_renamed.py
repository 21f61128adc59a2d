"""An account on PostgreSQL that comes back under another name: nothing goes out twice without a word."""

import json

import psycopg
import pytest

from jobs.account.files import load_accounts
from jobs.cli.fleet.first_runs import refuse_first_runs
from jobs.fleet.database import FleetDatabase
from jobs.ledger.storage import postgresql as storage
from tests import postgresql
from tests.e2e.support.typed import type_in

RENAMED = "write `account: maison-00`"
TO = "${OPLEAD_SYNC_DATABASE}"
pytestmark = pytest.mark.xdist_group("postgresql")


def said(err):
    """A message as one line, as it was before it was wrapped."""
    return " ".join(err.split())


@pytest.fixture
def settled(fleet):
    """A fleet whose `maison-00` has had its night."""
    fleet.add("maison-00")
    night(fleet)
    assert 2 == len(fleet.company.sent())
    return fleet


def night(fleet, *options):
    """Have a worker do what is due once."""
    before = len(fleet.runs())
    with fleet.worker(*options):
        fleet.wait_for(lambda: len(fleet.runs()) > before)


def add_again(fleet, *names, options=()):
    """Add accounts that have never run."""
    return fleet.command("accounts", "add", "--first-run", *options, *map(fleet.file, names))


def run_outside(fleet, name):
    """Have an account have its first run on the fleet's database without the fleet, which does not know it."""
    fleet.company.environ["OPLEAD_SYNC_DATABASE"] = fleet.url
    done = type_in(fleet.company, "run", "--first-run", file=fleet.file(name))
    assert 0 == done.code, done.err


@pytest.mark.parametrize("goes", [[], ["remove"]], ids=["still there", "removed"])
def test_account_of_a_new_name_is_not_added(settled, goes):
    """By where it sends, also where the old one was removed, or writes its settings anew."""
    for change in goes:
        settled.done("accounts", change, "maison-00")

    code, _out, err = add_again(settled, "maison-zero")

    assert (2, True) == (code, RENAMED in said(err)), err
    assert "account 'maison-00' sends to" in said(err)
    assert [{"name": "maison-00"}] == settled.rows("SELECT name FROM fleet_account")


def test_folder_that_holds_both_names_tells_nothing_apart(settled):
    """Its files are added again after any change, and nobody thinks of a first run then."""
    both = [settled.file("maison-00"), settled.file("maison-zero")]
    for _again in range(2):
        settled.done("accounts", "add", *both)
    settled.done("accounts", "remove", "maison-00")

    code, _out, err = add_again(settled, "maison-zero")

    assert (2, True) == (code, RENAMED in said(err)), err
    settled.execute("UPDATE fleet_account SET added_at = now() - interval '1 day'")
    night(settled)
    assert ("maison-zero", 2) == (settled.runs()[-1]["account"], settled.runs()[-1]["exit_code"])
    assert 2 == len(settled.company.sent())


@pytest.mark.parametrize("known", ["to the fleet", "by its ledger"])
def test_first_run_of_what_has_run_is_refused(settled, known):
    """As beside a state in a file; nor is an account told apart from it by being named with it."""
    if known == "by its ledger":
        settled.done("accounts", "remove", "--erase", "maison-00")
    else:  # as where its state is in another database
        settled.in_ledger("maison-00", "DELETE FROM lease")

    for names in (["maison-00", "maison-zero"], ["maison-zero", "maison-00"]):
        code, _out, err = add_again(settled, *names)
        assert (2, True) == (code, "maison-00.yaml: this account has run: leave --first-run out" in said(err)), err
        assert RENAMED in said(err)
    assert [{"name": "maison-00"}] == settled.rows("SELECT name FROM fleet_account")

    settled.done("accounts", "add", settled.file("maison-00"))
    assert 0 == add_again(settled, "maison-zero", options=["--not-renamed"])[0]
    settled.done("accounts", "add", settled.file("maison-00"), settled.file("maison-zero", schedule={"daily": "06:00"}))


def test_whether_accounts_have_run_is_looked_up_over_kept_connections(fleet, monkeypatch):
    """One each would take a minute for thousands."""
    monkeypatch.setattr(storage, "_kept", None)
    connect, made = psycopg.connect, []
    monkeypatch.setattr(psycopg, "connect", lambda *args, **options: made.append(1) or connect(*args, **options))
    accounts = load_accounts([fleet.file(f"maison-{number}") for number in range(5)], {}, secrets=False)

    assert {} == refuse_first_runs(FleetDatabase(fleet.url), accounts)

    storage._kept._engine.pool.close()
    assert 2 == len(made)  # the first asks what the server is


def test_settings_that_change_before_the_first_night_are_compared_too(settled):
    """An account that may have its first run could else be brought to the same place by a second version."""
    google = json.loads(settled.company.config.read_text())["google_ads"] | {"customer_id": "999-888-7777"}
    settled.done("accounts", "add", "--first-run", settled.file("maison-zero", google_ads=google))

    code, _out, err = settled.command("accounts", "add", settled.file("maison-zero"), settled.file("maison-00"))

    assert (2, True) == (code, RENAMED in said(err)), err


def test_account_that_was_removed_goes_on_where_it_was(settled):
    """Under its own name, with or without its stored settings: what was sent is not sent again."""
    for erase in ([], ["--erase"]):
        settled.done("accounts", "remove", "maison-00", *erase)
        assert "" == settled.done("accounts", "list", "--json")
        settled.done("accounts", "add", settled.file("maison-00"))
        settled.done("run", "maison-00")
        night(settled)

    assert [0, 0, 0] == [code for _night, code in settled.nights("maison-00")]
    assert [1, 1] == [len(events) for events in settled.company.sent().values()]


def test_two_accounts_of_one_customer_are_added_at_once_or_told_apart(settled):
    """Those named in one command are no renames of one another, nor is one of which a human says so."""
    code, _out, err = add_again(settled, "maison-01", "maison-02")
    assert (2, 2) == (code, said(err).count(RENAMED)), err

    assert (0, "") == add_again(settled, "maison-01", "maison-02", options=["--not-renamed"])[::2]
    settled.execute("UPDATE fleet_account SET added_at = now() - interval '1 day'")
    with settled.worker():
        settled.wait_for(lambda: settled.ended_nights() == 3)
    assert 6 == len(settled.company.sent())


def test_accounts_that_were_told_apart_stay_so(fleet):
    """By name, for either: new settings before the first night need not say it again."""
    assert 0 == add_again(fleet, "maison-01", "maison-02")[0]
    for name in ("maison-01", "maison-02"):
        told = fleet.done("accounts", "add", fleet.file(name, schedule={"daily": "06:00"}))
        assert f"{name}: stored, version 2\n" == told


def test_every_account_that_it_may_be_is_named(fleet):
    """Whoever says that it is none of them has seen them all."""
    assert 0 == add_again(fleet, "maison-01", "maison-02")[0]

    for options in (["--first-run"], []):
        code, _out, err = fleet.command("accounts", "add", *options, fleet.file("maison-03"))
        assert 2 == code
        assert "maison-01 and maison-02" in said(err)
        assert "Is it one of them, renamed?" in said(err)


def test_accounts_that_only_ledgers_know_are_named_with_those_of_the_fleet(fleet):
    """In its database and beside the settings: `--not-renamed` is said of those that were named, and permits all."""
    company = fleet.company
    assert 0 == add_again(fleet, "aaa")[0]
    run_outside(fleet, "maison-00")
    company.night()
    company.state.rename(fleet.folder / "state.db")

    code, _out, err = add_again(fleet, "maison-zero")
    assert (2, True) == (code, "aaa, maison-00, and maison-test send to" in said(err)), err
    # Nor had anybody seen them when it was added.
    code, _out, err = fleet.command("accounts", "add", fleet.file("aaa", schedule={"daily": "06:00"}))
    assert (2, True) == (code, "maison-00 and maison-test send to" in said(err)), err

    sent = len(company.sent())
    fleet.done("accounts", "pause", "aaa")
    assert 0 == add_again(fleet, "maison-zero", options=["--not-renamed"])[0]
    assert 0 == add_again(fleet, "maison-zero")[0]
    fleet.execute("UPDATE fleet_account SET added_at = now() - interval '1 day'")
    night(fleet)
    assert sent + 2 == len(company.sent())


def test_account_that_is_no_other_stays_so_beside_one_that_joins_later(fleet):
    """One that has run elsewhere, and comes by the same folder, which tells none apart."""
    assert 0 == add_again(fleet, "maison-01", options=["--not-renamed"])[0]
    fleet.done("accounts", "add", fleet.file("maison-01"), fleet.file("maison-02"))

    both = [fleet.file("maison-01", schedule={"daily": "06:00"}), fleet.file("maison-02")]

    assert "maison-01: stored, version 2\nmaison-02: nothing has changed\n" == fleet.done("accounts", "add", *both)
    code, _out, err = fleet.command("accounts", "add", "--first-run", fleet.file("maison-03"))
    assert (2, True) == (code, "maison-01 and maison-02 send to" in said(err)), err


def test_account_that_was_refused_stays_so_when_its_old_name_joins_the_fleet(fleet):
    """Nobody has compared the two; the old one is not added in silence either."""
    assert 0 == add_again(fleet, "maison-zero")[0]
    run_outside(fleet, "maison-00")
    code, _out, err = fleet.command("accounts", "add", fleet.file("maison-00"))
    assert (2, True) == (code, "account 'maison-zero', which is or was in the fleet" in said(err)), err

    # As if it had been there before anyone looked where it sends.
    fleet.execute(
        "INSERT INTO fleet_account (name, first_run, sends_to, due_at) "
        "SELECT 'maison-00', false, sends_to, now() + interval '1 day' FROM fleet_account"
    )
    fleet.execute("UPDATE fleet_account SET added_at = now() - interval '1 day'")
    night(fleet)
    assert [{"account": "maison-zero", "exit_code": 2}] == fleet.rows("SELECT account, exit_code FROM fleet_run")
    assert 2 == len(fleet.company.sent())


def test_account_that_has_run_elsewhere_is_told_apart_too(fleet):
    """It joins the fleet with its state, so without --first-run."""
    fleet.add("maison-00")
    assert 2 == fleet.command("accounts", "add", fleet.file("maison-01"))[0]

    fleet.done("accounts", "add", "--not-renamed", fleet.file("maison-01"))
    fleet.done("accounts", "add", fleet.file("maison-01"))


def test_account_that_the_fleet_does_not_know_is_found_by_its_ledger(fleet):
    """Also one that came later, before anything is sent; the human who then says that they are two is believed."""
    assert 0 == add_again(fleet, "maison-zero")[0]
    run_outside(fleet, "maison-00")
    fleet.execute("UPDATE fleet_account SET added_at = now() - interval '1 day'")
    night(fleet)

    (run,) = fleet.runs("exit_code = 2")
    assert "account 'maison-00' sends to" in run["why"]
    assert 2 == len(fleet.company.sent())

    code, _out, err = add_again(fleet, "maison-zero")
    assert (2, True) == (code, RENAMED in said(err)), err
    assert 0 == add_again(fleet, "maison-zero", options=["--not-renamed"])[0]
    night(fleet)
    assert 4 == len(fleet.company.sent())


def test_plain_run_of_a_new_name_is_refused_and_names_the_old_one(settled):
    """Without a fleet, as beside a state in a file; named in one command, two accounts are two."""
    company = settled.company
    company.environ["OPLEAD_SYNC_DATABASE"] = settled.url
    renamed = settled.file("maison-zero")
    for more in (["--first-run"], ["--dry-run"], []):
        done = type_in(company, "run", *more, file=renamed)
        assert (2, True) == (done.code, RENAMED in said(done.err)), done.err
    assert 2 == len(company.sent())

    settled.file("maison-00")
    type_in(company, "run", "--first-run", "--config", str(settled.folder / "maison-00.yaml"), file=renamed)
    assert 4 == len(company.sent())

    done = type_in(company, "run", "--first-run", file=settled.file("maison-02"))
    assert (2, True) == (done.code, "but maison-00 and maison-zero send to" in said(done.err)), done.err


def test_moved_state_is_known_under_its_old_name(company):
    """The move brings along where it sends."""
    postgresql.needed()
    company.serve(company.lead(1, ("Gagné", company.CREATED)))
    company.night()
    company.later()
    sent = len(company.posts)
    with postgresql.server().database(like="deployed") as url:
        company.environ["OPLEAD_SYNC_DATABASE"] = url
        assert 0 == type_in(company, "state", "move", "--to", TO).code
        told = json.loads(company.config.read_text()) | {"account": "maison-zero", "state": TO}
        renamed = company.config.with_name("renamed.yaml")
        renamed.write_text(json.dumps(told))

        done = type_in(company, "run", "--first-run", file=renamed)

    assert (2, True) == (done.code, "account 'maison-test' sends to" in said(done.err)), done.err
    assert sent == len(company.posts)


def test_state_in_a_file_of_another_name_is_not_left_behind(fleet):
    """Also where the account has another name by now: its state lies beside its settings still."""
    company = fleet.company
    company.night()
    company.state.rename(fleet.folder / "state.db")

    for name, text in (("maison-test", "beside it is one of this account"), ("maison-00", "account 'maison-test'")):
        code, _out, err = add_again(fleet, name)
        assert (2, True) == (code, text in said(err)), err
    assert [] == fleet.rows("TABLE fleet_settings")
