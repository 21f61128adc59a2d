"""A fleet on a real PostgreSQL: workers share the accounts, and take up what a dead one left."""

import json
import os
import signal
from collections import Counter

import pytest

from jobs.fleet.work import MOST_LOST_RUNS
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.ledger.storage.state_file import mark_moved, seal
from tests.e2e.support.fleet import ELSEWHERE, IMPATIENT, PATIENCE
from tests.e2e.support.receiver import receiving
from tests.e2e.support.typed import documented

NAMES = [f"maison-{number:02}" for number in range(20)]
NIGHT = [("2026-09-10", 0)]
POISON = """
import os, signal
from jobs.ledger.runs import Ledger
began = Ledger.read_transaction
def dying(ledger):
    if ledger.account == "maison-00":
        os.kill(os.getpid(), signal.SIGKILL)
    return began(ledger)
Ledger.read_transaction = dying
"""
DEADLY = """
import os, signal
from jobs.ledger.runs import Ledger
worker, began = os.getpid(), Ledger.read_transaction
def dying(ledger):
    if ledger.account == "maison-00":
        os.kill(worker, signal.SIGKILL)
    return began(ledger)
Ledger.read_transaction = dying
"""


@pytest.mark.parametrize("names", [NAMES[:6], pytest.param(NAMES, marks=pytest.mark.exhaustive)], ids=len)
def test_two_workers_share_the_accounts(fleet, names):
    """Each account's night runs once, by one of them, and everything is sent once."""
    fleet.add(*names)

    with fleet.worker("--concurrency", 2) as one, fleet.worker("--concurrency", 2, prelude=ELSEWHERE) as other:
        fleet.wait_for(lambda: fleet.ended_nights() == len(names))
        for each in (one, other):
            each.send_signal(signal.SIGTERM)
        assert [0, 0] == [each.wait(PATIENCE) for each in (one, other)]

    assert [NIGHT] * len(names) == [fleet.nights(name) for name in names]
    assert 2 == len({run["machine"] for run in fleet.runs()})
    sent = [key for name in names for key in fleet.keys(name)]
    assert 2 * len(names) == len(sent)
    assert Counter(sent) == Counter({key: len(events) for key, events in fleet.company.sent().items()})
    assert [] == fleet.rows("SELECT * FROM procrastinate_jobs")
    assert [] == fleet.rows("SELECT * FROM procrastinate_workers")


def test_killed_worker_s_night_is_taken_up_by_another(fleet):
    """Killed with an upload under way: the other ends that night, with nothing lost and nothing counted twice."""
    reached, opened = fleet.gate()
    fleet.add("maison-00")
    with fleet.worker() as first:
        assert reached.wait(PATIENCE)
        first.kill()
        first.wait(PATIENCE)
        opened.set()
    with fleet.worker():
        fleet.wait_for(lambda: fleet.ended_nights() == 1)

    assert [None, 0] == [run["exit_code"] for run in fleet.runs()]
    assert [("2026-09-10", 0)] == [night for night in fleet.nights("maison-00") if night[0]]
    assert {"submitted": 2} == fleet.states("maison-00")
    fleet.company.clock.advance(fleet.company.START + fleet.company.OUTCOMES_AFTER)
    assert dict.fromkeys(fleet.keys("maison-00"), 1) == {line.key: line.times for line in fleet.company.counted()}


def test_account_that_kills_its_process_stops_no_other(fleet):
    """It is tried a bounded number of times, and then a human is told."""
    fleet.add(*NAMES[:4])

    with fleet.worker("--concurrency", 1, prelude=POISON + IMPATIENT) as worker:
        fleet.wait_for(lambda: len(fleet.runs("account = 'maison-00' AND exit_code = 70")) == 6)
        fleet.wait_for(lambda: fleet.ended_nights() == 3)
        worker.send_signal(signal.SIGTERM)
        assert 0 == worker.wait(PATIENCE)

    assert [NIGHT] * 3 == [fleet.nights(name) for name in NAMES[1:4]]
    code, out, _ = fleet.command("status", "--json")
    head, *accounts = map(documented, out.splitlines())
    assert 1 == code
    assert ("maison-00", "needs_a_human", 70) == tuple(accounts[0][key] for key in ("account", "state", "exit_code"))
    assert {"needs_a_human": 1, "ok": 3} == {state: count for state, count in head["states"].items() if count}
    (row,) = fleet.rows("SELECT due_at > now() + interval '1 hour' AS far FROM fleet_account WHERE name = 'maison-00'")
    assert row["far"]


@pytest.mark.exhaustive
def test_account_that_kills_its_workers_is_given_up_and_the_others_have_their_nights(fleet):
    """It takes along what is at work beside it, but none of that twice more; nobody else has failed."""
    fleet.add(*NAMES[:6])

    def is_over():
        fleet.execute("UPDATE fleet_account SET due_at = now() WHERE lost > 0 AND due_at < now() + interval '1 hour'")
        return fleet.runs("account = 'maison-00' AND exit_code = 70") and fleet.ended_nights() == 5

    workers = 0
    while not is_over():
        workers += 1
        with fleet.worker("--concurrency", 3, prelude=DEADLY) as worker:
            fleet.wait_for(lambda: worker.poll() is not None or is_over())

    assert MOST_LOST_RUNS + 1 == workers
    assert [None] * (MOST_LOST_RUNS - 1) + [70] == [run["exit_code"] for run in fleet.runs("account = 'maison-00'")]
    lost = Counter(run["account"] for run in fleet.runs("exit_code IS NULL AND account <> 'maison-00'"))
    assert max(lost.values()) <= 2
    assert [] == fleet.rows("SELECT name FROM fleet_account WHERE failures > 0 AND name <> 'maison-00'")
    _, out, _ = fleet.command("status")
    assert "the last workers that worked on it all died" in " ".join(out.split())


def test_bad_file_is_refused_and_the_others_are_stored(fleet):
    """Each file's fate is said; a secret written into a file never reaches the database."""
    bad = fleet.file("maison-01", currency="Euro")
    oplead = json.loads(fleet.company.config.read_text())["oplead"]
    leaky = fleet.file("maison-02", oplead=oplead | {"token": "sk-very-secret"})
    google = json.loads(fleet.company.config.read_text())["google_ads"]
    pasted = fleet.file("maison-04", google_ads=google | {"credentials": '{"private_key": "-----BEGIN PRIVATE KEY"}'})
    unplanned = fleet.file("maison-03", schedule=None)
    good = fleet.file("maison-00")
    good.write_text(f"{good.read_text()} # the old token: sk-very-secret\n")

    code, out, err = fleet.command("accounts", "add", bad, leaky, pasted, unplanned, good)

    assert 2 == code
    assert "maison-00: stored, version 1\n" == out
    for file in (bad, leaky, pasted, unplanned):
        assert str(file) in err
    for file in (leaky, pasted):
        assert f"{file}: a secret must not stand in this file" in err
    assert "very-secret" not in err
    (stored,) = fleet.rows("SELECT account, text FROM fleet_settings")
    assert ("maison-00", False) == (stored["account"], "very-secret" in stored["text"])


def test_account_is_checked_against_those_that_the_fleet_has(fleet):
    """Added one after the other, two clash as much as if added at once; an account never clashes with its old self."""
    hooks = {"secret": "${HOOKS}"}
    fleet.done("accounts", "add", fleet.file("maison-00", metrics="m.prom", webhooks=hooks))
    shares = [fleet.file("maison-01", metrics="./m.prom"), fleet.file("maison-02", webhooks=hooks)]

    code, _, err = fleet.command("accounts", "add", *shares)

    assert 2 == code
    for file, key in zip(shares, ("metrics", "webhooks.secret"), strict=True):
        assert f"{file}: maison-00, which is in the fleet, has the same `{key}:`" in err
    fleet.done("accounts", "add", fleet.file("maison-00", metrics="m.prom"), fleet.file("maison-03", metrics="n.prom"))
    assert ["maison-00", "maison-03"] == sorted({row["account"] for row in fleet.rows("TABLE fleet_settings")})


def test_account_reaches_no_secret_of_another(fleet):
    """Neither as it is added, nor by settings that were stored before; what the owner lists, all may name."""
    oplead = json.loads(fleet.company.config.read_text())["oplead"]
    fleet.environ |= {"MAISON_00__TOKEN": fleet.environ["OPLEAD_TOKEN"], "MAISON_01__TOKEN": "tok-0ther"}
    greedy = fleet.file("maison-00", oplead=oplead | {"token": "${MAISON_01__TOKEN}"})

    code, _, err = fleet.command("accounts", "add", "--first-run", greedy)
    assert (2, True) == (code, "oplead.token: MAISON_01__TOKEN does not belong to maison-00" in " ".join(err.split()))

    fleet.add("maison-00", oplead=oplead | {"token": "${MAISON_00__TOKEN}"})
    code, _, err = fleet.command("accounts", "add", fleet.file("maison_00"))
    assert (2, True) == (code, "the names of maison-00's secrets begin with MAISON_00__ too" in " ".join(err.split()))

    fleet.execute("UPDATE fleet_settings SET text = replace(text, '${MAISON_00__', '${MAISON_01__')")
    with fleet.worker():
        fleet.wait_for(lambda: fleet.runs("task = 'unable'"))
    assert "MAISON_01__TOKEN does not belong to maison-00" in " ".join(fleet.command("status")[1].split())


def test_former_secret_of_an_account_in_the_fleet_is_no_other_s(fleet):
    """Until its day it leads to its account; whatever the other wants it for."""
    fleet.environ["OPLEAD_SYNC_SHARED_SECRETS"] += ",NEW,BESIDE,OLD,S_2,S_3"
    own = {"secret": "${NEW}", "provider_secret": "${BESIDE}"}
    former = [{"secret": "${OLD}", "until": "2999-01-01"}]
    fleet.done("accounts", "add", fleet.file("maison-00", webhooks=own | {"accept_former": former}))
    wanted = {
        "webhooks.secret": {"secret": "${OLD}"},
        "webhooks.provider_secret": {"secret": "${S_2}", "provider_secret": "${NEW}"},
        "webhooks.accept_former": {"secret": "${S_3}", "accept_former": former},
    }
    names = ("maison-01", "maison-02", "maison-03")
    files = [fleet.file(name, webhooks=each) for name, each in zip(names, wanted.values(), strict=True)]

    code, _, err = fleet.command("accounts", "add", *files)

    assert 2 == code
    for file, key in zip(files, wanted, strict=True):
        assert f"{file}: maison-00, which is in the fleet, has the same `{key}:`" in err


def test_account_whose_state_is_in_a_file_is_not_begun_anew(fleet):
    """Without what it has on record, everything would be sent again; the message names the command that moves it."""
    file, path = fleet.file("maison-00"), fleet.folder / "maison-00.db"
    SqliteState(path).create()
    for said, changes in (("this account has run", {}), ("is on one machine", {"state": "sqlite:///maison-00.db"})):
        code, _, err = fleet.command("accounts", "add", "--first-run", fleet.file("maison-00", **changes))

        assert (2, True) == (code, said in err), err
        assert f"oplead-sync state move --config {file} --to '${{OPLEAD_SYNC_DATABASE}}'" in err.replace("\n", " ")
    seal(path, "the fleet's database")
    code, _, err = fleet.command("accounts", "add", "--first-run", fleet.file("maison-00"))
    assert (2, True) == (code, "that was interrupted: repeat `oplead-sync state move`" in err.replace("\n", " ")), err
    mark_moved(path)
    code, _, err = fleet.command("accounts", "add", "--first-run", fleet.file("maison-00"))
    assert (2, True) == (code, "was moved to a database; leave --first-run out" in err)
    fleet.done("accounts", "add", file)


@pytest.mark.parametrize(
    "command",
    [
        ["run"],
        ["accounts", "pause"],
        ["accounts", "remove", "--erase"],
        ["backfill", "--from", "2026-09-01", "--to", "2026-09-02"],
    ],
    ids=" ".join,
)
def test_name_that_no_account_can_have_is_refused(fleet, command):
    """As it comes from a terminal: also bytes that are no text, which no database takes."""
    for name in (os.fsdecode(b"a\xff"), "Maison", ""):
        code, _out, err = fleet.command(*command, name)
        assert (2, True) == (code, f"{name!a}: write a name of lowercase letters" in " ".join(err.split())), err


def test_settings_are_kept_version_by_version(fleet):
    """The same text adds none; a new one is looked at at once."""
    fleet.add("maison-00")

    assert "maison-00: nothing has changed\n" == fleet.done("accounts", "add", fleet.file("maison-00"))
    assert "maison-00: stored, version 2\n" == fleet.done(
        "accounts", "add", fleet.file("maison-00", schedule={"daily": "06:00"})
    )
    assert [1, 2] == [row["version"] for row in fleet.rows("SELECT version FROM fleet_settings ORDER BY version")]


def test_paused_account_runs_only_once_it_is_resumed(fleet):
    """Neither at its time nor when asked for; then it makes up for its night."""
    fleet.add(*NAMES[:2])
    fleet.done("accounts", "pause", "maison-00")

    with fleet.worker():
        fleet.wait_for(lambda: fleet.ended_nights() == 1)
        code, _, err = fleet.command("run", "maison-00")
        assert (2, True) == (code, "maison-00 is paused" in err)
        assert [] == fleet.nights("maison-00")
        fleet.done("accounts", "resume", "maison-00")
        fleet.wait_for(lambda: fleet.ended_nights() == 2)

    assert NIGHT == fleet.nights("maison-00")


def test_new_account_waits_for_its_first_night(fleet):
    """Before it was added, no night was missed; asked for, it runs at once."""
    fleet.done("accounts", "add", "--first-run", fleet.file("maison-00", schedule={"daily": "05:00"}))

    with fleet.worker():
        fleet.wait_for(lambda: fleet.runs("task = 'nothing' AND exit_code = 0"))
        assert [] == fleet.nights("maison-00")
        fleet.done("run", "maison-00")
        fleet.wait_for(lambda: fleet.ended_nights() == 1)

    assert NIGHT == fleet.nights("maison-00")


def test_stop_lets_a_night_come_to_a_safe_end(fleet):
    """A worker that is told to stop ends its uploads, and the next one goes on at once."""
    reached, opened = fleet.gate()
    fleet.add("maison-00")
    with fleet.worker() as worker:
        assert reached.wait(PATIENCE)
        worker.send_signal(signal.SIGTERM)
        opened.set()
        assert 0 == worker.wait(PATIENCE)
    assert [143] == [run["exit_code"] for run in fleet.runs()]
    assert [] == fleet.rows("SELECT * FROM procrastinate_jobs")

    with fleet.worker():
        fleet.wait_for(lambda: fleet.ended_nights() == 1)

    assert {"submitted": 2} == fleet.states("maison-00")


def test_backfill_goes_by_the_settings_that_the_fleet_has(fleet):
    """From the machine on which it is typed, for one account; the file is not asked."""
    fleet.add("maison-00")
    with fleet.worker():
        fleet.wait_for(lambda: fleet.ended_nights() == 1)
    (fleet.folder / "maison-00.yaml").unlink()
    days = ("--from", "2026-08-01", "--to", "2026-08-10")

    (line,) = fleet.done("backfill", "maison-00", *days, "--dry-run", "--json").splitlines()
    code, _, err = fleet.command("backfill", "maison-99", *days, "--dry-run")

    assert ("backfill", True) == tuple(documented(line)[key] for key in ("command", "rehearsed"))
    assert (2, True) == (code, "maison-99 is paused, or is not in the fleet" in err)


def test_cause_that_hits_many_accounts_is_named_once(fleet):
    """A secret that no worker finds is one line, not one for each account; new settings are tried at once."""
    del fleet.environ["OPLEAD_TOKEN"]
    fleet.add(*NAMES[:3])

    with fleet.worker():
        fleet.wait_for(lambda: len(fleet.runs("exit_code = 2")) == 3)
        code, out, _ = fleet.command("status")
    fleet.environ["LANGUAGE"] = fleet.environ["LC_ALL"] = "fr_FR.UTF-8"
    _, french, _ = fleet.command("status")
    *_, one = map(documented, fleet.command("status", "--json")[1].splitlines())

    assert 1 == code
    assert 1 == out.count("OPLEAD_TOKEN is not set")
    assert "3 accounts" in out.partition("These need a human")[2]
    assert 1 == french.count("OPLEAD_TOKEN n’est pas définie")
    assert "is not set" not in french
    assert "OPLEAD_TOKEN is not set" in one["why"]


def test_incident_that_a_night_leaves_open_is_told_after_the_night_is_done_again(fleet):
    """The second night of a date finds nothing new and ends with 0; what is wrong is wrong still."""
    fleet.add("maison-00")
    with fleet.worker():
        fleet.wait_for(lambda: fleet.ended_nights() == 1)
        # One of a kind that only a later version resolves.
        fleet.in_ledger(
            "maison-00",
            "INSERT INTO incident (account, cause, details, first_seen_at, undelivered) "
            """VALUES ('maison-00', '{"kind": "later"}', '{}', now(), '[]')""",
        )
        fleet.done("run", "maison-00")
        fleet.wait_for(lambda: fleet.ended_nights() == 2)

    code, out, _ = fleet.command("status", "--json")
    (account,) = map(documented, out.splitlines()[1:])
    assert (1, "needs_a_human", 0, True) == (code, account["state"], account["exit_code"], bool(account["why"]))


def test_password_is_shown_nowhere(fleet):
    """Neither in what commands say nor in a worker's log, even when the database refuses."""
    wrong = fleet.url.replace("/test_", "/no_such_")
    fleet.environ["OPLEAD_SYNC_DATABASE"] = wrong

    said = [fleet.command(*words) for words in (("status",), ("deploy",), ("worker",), ("status", "--database", wrong))]

    assert 0 not in [code for code, _, _ in said]
    assert "does not exist" in said[0][2]
    assert "s3cret-word" not in str(said)


def test_worker_says_where_it_works_and_when_it_drains(fleet):
    """In lines of its own; a superuser, whom PostgreSQL shows every account's rows, is refused."""
    with fleet.worker("--concurrency", 3) as worker:
        fleet.wait_for(lambda: fleet.rows("TABLE procrastinate_workers"))
        worker.send_signal(signal.SIGTERM)
        assert 0 == worker.wait(PATIENCE)
    lines = [json.loads(line) for line in fleet.said.splitlines()]
    started = next(line for line in lines if line["event"] == "the worker has started")
    drains = next(line for line in lines if line["event"] == "no new account is taken, and those at work end")

    assert (3, 0) == (started["concurrency"], drains["at_work"])
    assert started["version"]
    assert started["database"].startswith("postgresql://")
    assert "s3cret-word" not in fleet.said
    fleet.environ["OPLEAD_SYNC_DATABASE"] = fleet.url.replace("oplead:", "postgres:")
    code, _, err = fleet.command("worker")
    assert (2, True) == (code, "without SUPERUSER and BYPASSRLS" in err)


def test_list_and_status_read_well_in_both_languages(fleet):
    """Eighty columns suffice, and every state has its words."""
    fleet.add(*NAMES[:2])
    fleet.done("accounts", "pause", "maison-01")
    fleet.execute("UPDATE fleet_account SET night_at = now() - interval '26 hours' WHERE name = 'maison-00'")
    fleet.environ["COLUMNS"] = "80"

    assert ["maison-00", "maison-01"] == [
        documented(line)["name"] for line in fleet.done("accounts", "list", "--json").splitlines()
    ]
    code, english, _ = fleet.command("status")
    fleet.environ["LANGUAGE"] = fleet.environ["LC_ALL"] = "fr_FR.UTF-8"
    _, french, _ = fleet.command("status")

    assert 1 == code
    assert 80 >= max(map(len, (english + french).splitlines()))
    for said, words in (
        (english, ("2 accounts", "late", "paused", "2 nights late")),
        (french, ("2 comptes", "en retard", "en pause", "2 nuits en retard")),
    ):
        assert [] == [word for word in words if word not in said], said


def test_worker_shows_and_tells_how_the_fleet_fares(fleet):
    """One message for all accounts, at an address that stands in their settings too; a page and metrics beside it."""
    fleet.company.fail("data_manager", "status", path="/v1/events:ingest", status=401, count=99)
    with receiving() as receiver:
        fleet.environ |= {
            "OPLEAD_SYNC_FLEET_PAGE": "fleet.html",
            "OPLEAD_SYNC_FLEET_METRICS": "fleet.prom",
            "OPLEAD_SYNC_FLEET_NOTIFY": f"json://{receiver.address}/hook-t0ken",
            "NOTIFY_URL": f"json://{receiver.address}/hook-t0ken",
        }
        fleet.company.settings |= {"notify": ["${NOTIFY_URL}"]}
        fleet.add(*NAMES[:3])
        with fleet.worker():
            fleet.wait_for(lambda: len(fleet.runs("exit_code = 3")) == 3)
            fleet.wait_for(lambda: receiver.titles)
            code, out, _ = fleet.command("status", "--out", "own.html", "--metrics", "own.prom")
            fleet.company.heal()
            fleet.done("run", *NAMES[:3])
            fleet.wait_for(lambda: len(receiver.titles) == 2)

    (new, _), (over, _) = receiver.taken
    assert ("google_ads stopped", "Resolved: google_ads stopped") == (new.partition(": ")[2], over)
    assert (1, True) == (code, "The page is in own.html" in out)
    page, metrics = ((fleet.folder / name).read_text() for name in ("own.html", "own.prom"))
    assert 1 == page.count("</span> google_ads stopped")
    assert 'oplead_sync_fleet_open_incidents{severity="urgent"} 3.0' in metrics
    assert (fleet.folder / "fleet.html").read_text().startswith(page[:500])
    assert "# TYPE oplead_sync_fleet_accounts gauge" in (fleet.folder / "fleet.prom").read_text()
    assert "t0ken" not in page + out + fleet.said


def test_address_of_no_service_is_refused_at_the_start(fleet):
    """Without showing it: it may hold a password. So is a page that has no file."""
    fleet.environ["OPLEAD_SYNC_FLEET_NOTIFY"] = "json://127.0.0.1/x https://t0ken.example/x"

    code, _, err = fleet.command("worker")

    assert (2, True, False) == (code, "OPLEAD_SYNC_FLEET_NOTIFY: address 2" in err, "t0ken" in err)
    assert 2 == fleet.command("status", "--open")[0]
