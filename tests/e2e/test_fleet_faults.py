"""A fleet whose database, workers and tables misbehave."""

import json
import signal
import time
from collections import Counter
from datetime import timedelta

import pytest

from tests.contract.endless import body_without_end, dripping_head, endless
from tests.e2e.support.fleet import ELSEWHERE, IMPATIENT, PATIENCE, stop_all
from tests.postgresql import server


def test_night_goes_on_while_the_database_is_away(fleet):
    """It is done again once the database is back, nothing is sent twice, and the worker works on."""
    reached, opened = fleet.gate()
    fleet.add("maison-00")

    with fleet.worker(prelude=IMPATIENT) as worker:
        assert reached.wait(PATIENCE)
        server().halt()
        opened.set()
        time.sleep(3)
        server().start()
        fleet.wait_for(lambda: fleet.ended_nights() == 1)
        fleet.add("maison-01")
        fleet.wait_for(lambda: fleet.ended_nights() == 2)
        worker.send_signal(signal.SIGTERM)
        assert 0 == worker.wait(PATIENCE)

    assert {0, 75} == {run["exit_code"] for run in fleet.runs("task = 'night'")}
    told = [json.loads(line)["event"] for line in fleet.said.splitlines()]
    away = ("the fleet's database does not answer, and is tried until it does", "the fleet's database answers again")
    assert [*away] == [each for each in told if each in away]
    assert [] == [each for each in told if "reported something" in each]
    assert [("2026-09-10", 0)] == [night for night in fleet.nights("maison-00") if night[0]]
    fleet.company.clock.advance(fleet.company.START + fleet.company.OUTCOMES_AFTER)
    keys = fleet.keys("maison-00", "maison-01")
    assert dict.fromkeys(keys, 1) == {line.key: line.times for line in fleet.company.counted()}
    assert [] == fleet.rows("SELECT * FROM procrastinate_jobs")


def test_commands_and_workers_say_that_the_database_is_away_and_may_be_tried_again(fleet):
    """With 75, by which a service manager or cron knows that nobody has to mend anything."""
    server().halt()
    try:
        said = [fleet.command(*words) for words in (("status",), ("run", "maison-00"), ("deploy",), ("worker",))]
    finally:
        server().start()

    assert [75] * 4 == [code for code, _, _ in said]
    assert ["see that it runs" in err for _, _, err in said] == [True] * 4


def test_night_that_is_tried_again_says_why(fleet):
    """Nobody needs to do anything yet; who looks sees what holds it up."""
    fleet.add("maison-00")
    fleet.execute("UPDATE fleet_account SET due_at = now() + interval '1 hour'")
    fleet.execute(
        "INSERT INTO fleet_run (account, job, machine, settings_version, ended_at, task, exit_code, why) "
        "VALUES ('maison-00', 1, 'w', 1, now(), 'night', 75, 'another program holds what this one needs; try again "
        "when that has ended')"
    )

    code, out, _ = fleet.command("status")
    fleet.environ["LANGUAGE"] = fleet.environ["LC_ALL"] = "fr_FR.UTF-8"
    _, french, _ = fleet.command("status")

    assert 0 == code
    assert "another program holds" in " ".join(out.partition("Being retried")[2].split())
    assert "un autre programme" in " ".join(french.partition("Nouvelle tentative prévue")[2].split())


def test_what_a_night_told_outlives_its_worker(fleet):
    """A worker may die between the night's end and its record in the fleet: the ledger still knows."""
    fleet.company.fail("data_manager", "status", path="/v1/events:ingest", status=401, count=99)
    fleet.add("maison-00")
    with fleet.worker():
        fleet.wait_for(lambda: fleet.runs("exit_code = 3"))
        known = fleet.rows("SELECT account, cause, same_as FROM fleet_problem")
        fleet.execute("UPDATE fleet_run SET task = NULL, exit_code = NULL, ledger_run = NULL, why = NULL")
        fleet.execute("DELETE FROM fleet_problem")
        fleet.execute("UPDATE fleet_account SET due_at = now()")
        fleet.wait_for(lambda: fleet.runs("exit_code = 3"))
        fleet.execute("UPDATE fleet_account SET due_at = now()")
        fleet.wait_for(lambda: fleet.runs("task = 'nothing'"))

    assert [{"account": "maison-00", "cause": known[0]["cause"], "same_as": known[0]["same_as"]}] == known
    assert known == fleet.rows("SELECT account, cause, same_as FROM fleet_problem")
    assert [None, "night", "nothing"] == [run["task"] for run in fleet.runs()]
    assert [("2026-09-10", 3)] == fleet.nights("maison-00")


def test_paused_worker_s_account_is_held_until_its_night_ends(fleet):
    """Another worker takes the account for left behind, finds it held, and runs no second night."""
    reached, opened = fleet.gate()
    fleet.add("maison-00")

    with fleet.worker() as paused:
        assert reached.wait(PATIENCE)
        paused.send_signal(signal.SIGSTOP)
        with fleet.worker(prelude=IMPATIENT) as other:
            fleet.wait_for(lambda: fleet.runs("exit_code = 75"))
            opened.set()
            fleet.wait_for(lambda: fleet.ended_nights() == 1)
            paused.send_signal(signal.SIGCONT)
            fleet.add("maison-01", "maison-02")
            fleet.wait_for(lambda: fleet.ended_nights() == 4)  # the first account's by both, which did it once
            for each in (paused, other):
                each.send_signal(signal.SIGTERM)
            assert [0, 0] == [each.wait(PATIENCE) for each in (paused, other)]

    assert [("2026-09-10", 0)] == fleet.nights("maison-00")
    assert {"submitted": 2} == fleet.states("maison-00")
    assert [] == fleet.rows("SELECT * FROM procrastinate_jobs")


@pytest.mark.parametrize(
    ("place", "uploads"),
    [
        pytest.param(("data_manager", "/v1/events:ingest"), 3, id="while sending"),
        pytest.param(("oplead", "/v1/leads"), 2, id="while reading", marks=pytest.mark.exhaustive),
    ],
)
def test_paused_night_that_was_taken_over_sends_and_writes_nothing_more(fleet, place, uploads):
    """Only the call that it had begun reaches a platform; its successor takes that for in doubt, and repeats it."""
    reached, opened = fleet.gate(*place)
    fleet.add("maison-00")

    with fleet.worker() as paused:
        assert reached.wait(PATIENCE)
        go_on = stop_all(paused.pid)
        opened.set()
        fleet.cut()
        with fleet.worker(prelude=IMPATIENT) as other:
            fleet.wait_for(lambda: fleet.ended_nights() == 1)
            written = fleet.written("maison-00")
            other.send_signal(signal.SIGTERM)
            assert 0 == other.wait(PATIENCE)
        go_on()
        fleet.add("maison-01")
        fleet.wait_for(lambda: fleet.ended_nights() == 2)
        paused.send_signal(signal.SIGTERM)
        assert 0 == paused.wait(PATIENCE)

    assert written == fleet.written("maison-00")
    sent = fleet.company.sent()
    assert uploads == sum(len(sent[key]) for key in fleet.keys("maison-00"))
    assert [] == fleet.company.traffic.changed(Counter())
    fleet.company.clock.advance(fleet.company.START + fleet.company.OUTCOMES_AFTER)
    assert {1} == {line.times for line in fleet.company.counted()}


SLOW_TO_WAIT = """
import httpx
from connectors.oplead import client
client.TIMEOUT = httpx.Timeout(1)
"""


@pytest.mark.parametrize(
    ("script", "dates"),
    [
        pytest.param(body_without_end, ["2026-09-10", "2026-09-11", "2026-09-12"], id="a page without end"),
        pytest.param(dripping_head, ["2026-09-10"], id="a page that never begins", marks=pytest.mark.exhaustive),
    ],
)
def test_account_that_fails_every_night_costs_the_others_nothing(fleet, script, dates):
    """Its Oplead answers without end: each of its nights is given up in time and tried once, the others' are done."""
    others = ["maison-01", "maison-02"]
    with endless(script) as server, fleet.worker("--concurrency", 1, prelude=SLOW_TO_WAIT) as worker:
        oplead = json.loads(fleet.company.config.read_text())["oplead"]
        fleet.add("maison-00", oplead=oplead | {"base_url": server.url})
        fleet.add(*others)
        for number in range(len(dates)):
            if number:
                fleet.company.clock.advance(fleet.company.clock.now() + timedelta(days=1))
                fleet.execute("UPDATE fleet_account SET due_at = now()")
            fleet.wait_for(lambda wanted=3 * (number + 1): len(fleet.runs("task = 'night'")) >= wanted)
        worker.send_signal(signal.SIGTERM)
        assert 0 == worker.wait(PATIENCE)

    assert [[(date, 0) for date in dates]] * 2 == [fleet.nights(name) for name in others]
    assert [(date, 3) for date in dates] == fleet.nights("maison-00")
    assert not server.waited_out
    sent = [key for name in others for key in fleet.keys(name)]
    assert Counter(sent) == Counter({key: len(events) for key, events in fleet.company.sent().items()})


OTHERS_FIRST = """
from datetime import timedelta
import jobs.fleet.work as work
work.OTHERS_FIRST = timedelta(seconds=0.1)
"""
"""A worker that offers others at once what it cannot run."""


def test_machine_that_lacks_a_secret_takes_no_night_away(fleet):
    """It would be done with each account in no time; it leaves them to the other one, and nobody is needed."""
    names = [f"maison-{number:02}" for number in range(8)]
    fleet.add(*names)
    reached, opened = fleet.gate()
    with fleet.worker("--concurrency", 1) as well:
        assert reached.wait(PATIENCE)
        token = fleet.environ.pop("OPLEAD_TOKEN")
        with fleet.worker("--concurrency", 1, prelude=ELSEWHERE + OTHERS_FIRST):
            fleet.environ["OPLEAD_TOKEN"] = token
            fleet.wait_for(lambda: len(fleet.runs("task = 'unable'")) >= 3)
            told, status, _ = fleet.command("status")
            opened.set()
            fleet.wait_for(lambda: fleet.ended_nights() == len(names))
        said = fleet.said
        assert well.poll() is None

    assert [1] * len(names) == [len(fleet.nights(each)) for each in names]
    assert len(fleet.runs("task = 'unable'")) < len(names)
    assert {75} == {run["exit_code"] for run in fleet.runs("task = 'unable'")}
    assert 1 == said.count("this machine lacks what several accounts in a row need")
    assert 0 == told
    assert "OPLEAD_TOKEN is not set" in " ".join(status.partition("Being retried")[2].split())
    assert fleet.runs("task = 'unable'")[0]["machine"] in status


@pytest.mark.parametrize("command", ["worker", "backfill maison-00 --from 2026-08-01 --to 2026-08-10"])
def test_folder_that_is_not_there_is_refused_at_the_start(fleet, command):
    """Nothing would be found that settings name."""
    code, _, err = fleet.command(*command.split(), "--folder", "/no/such/folder")

    assert (2, ["--folder /no/such/folder: there is no such folder"]) == (code, err.splitlines())


def test_deployments_at_once_do_the_work_once(fleet):
    """The second waits for the first, and finds all done; so does each later one."""
    fleet.execute("DROP SCHEMA oplead_fleet CASCADE")

    both = [fleet.start("deploy"), fleet.start("deploy")]
    said = [each.communicate(timeout=PATIENCE) for each in both]

    assert [0, 0] == [each.returncode for each in both], said
    assert 1 == sum("The fleet's tables: created" in out for out, _ in said)
    assert "The fleet's tables are up to date.\n" == fleet.done("deploy")


def test_worker_whose_database_is_upgraded_ends_and_leaves_the_accounts_to_the_new_version(fleet):
    """With 75, so that it is started again; the same version is then refused with 2, and a new one takes over."""
    fleet.add("maison-00")
    with fleet.worker() as worker:
        fleet.wait_for(lambda: fleet.ended_nights() == 1)
        fleet.execute("INSERT INTO fleet_revision VALUES ('ledgers-9999', now())")
        assert 75 == worker.wait(PATIENCE)
    assert "no longer of this worker's version" in fleet.said
    code, _, err = fleet.command("worker")
    assert (2, True) == (code, "newer than this version" in err)

    fleet.execute("DELETE FROM fleet_revision WHERE name = 'ledgers-9999'")
    fleet.add("maison-01")
    with fleet.worker():
        fleet.wait_for(lambda: fleet.ended_nights() == 2)

    assert {0} == {run["exit_code"] for run in fleet.runs()}


def test_commands_refuse_tables_of_another_version(fleet):
    """Older ones name the command that upgrades them, newer ones the machine."""
    fleet.execute("INSERT INTO fleet_revision VALUES ('fleet-9999', now())")
    code, _, err = fleet.command("worker")
    assert (2, True) == (code, "newer than this version" in err)

    fleet.execute("DELETE FROM fleet_revision WHERE name LIKE 'fleet-%'")
    code, _, err = fleet.command("status")
    assert (2, True) == (code, "run `oplead-sync fleet deploy`" in err)

    fleet.execute("DROP SCHEMA oplead_fleet CASCADE")
    code, _, err = fleet.command("status")
    assert (2, True) == (code, "run `oplead-sync fleet deploy`" in err)
