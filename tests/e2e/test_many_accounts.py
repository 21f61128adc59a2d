"""Accounts of one command run in several processes: each ends on its own, in the order given, and none is left held."""

import json
import signal
import time

import pytest

from jobs.ledger.schema import Run
from tests import quick

TWO_CORES = "import jobs.processes; jobs.processes.available_cores = lambda: 2\n"
SECOND = "maison-deux"
DIES_IN_THE_FIRST = """
import os, signal
import jobs.nightly
from jobs.ledger.runs import Ledger
began = Ledger.read_transaction
def dying(ledger):
    if ledger.account == "maison-test":
        os.kill(os.getpid(), signal.SIGKILL)
    return began(ledger)
Ledger.read_transaction = dying
"""
WAITS_FOR_A_STOP = """
import jobs.nightly
def waiting(run, *_, **__):
    open(f"{run.ledger.state}.waits", "w").close()
    while True:
        run.deps.cancel_token()
        __import__("time").sleep(0.01)
import jobs.account.night
jobs.account.night.run_night = waiting
"""


@pytest.fixture
def second(company):
    """Another account's settings, with the same leads and destinations of its own."""
    company.serve(company.lead(1, ("Gagné", company.START), clicks=company.both(1)))
    state = quick.with_state(company.state.with_name("second.db"))
    told = json.loads(company.config.read_text()) | {"account": SECOND, "state": f"sqlite:///{state}"}
    path = company.config.with_name("second.yaml")
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def results(out):
    """What each account's line says."""
    return [json.loads(line) for line in out.splitlines()]


def run_both(company, second, prelude=""):
    """Run the second account and then the first one."""
    return company.command("run", "--json", "--config", second, prelude=TWO_CORES + prelude)


def test_results_come_in_the_order_of_the_files(company, second):
    """The first file's account is printed first, whichever ends first, and each process ends with its accounts."""
    code, out, said = run_both(company, second)

    assert 0 == code, said
    assert [SECOND, "maison-test"] == [one["account"] for one in results(out)]


def test_a_killed_process_leaves_the_other_account_and_no_lease(company, second):
    """Its account ends with 70 and says why; the next run goes on from there."""
    code, out, said = run_both(company, second, DIES_IN_THE_FIRST)
    completed, killed = results(out)

    assert 70 == code, said
    assert (SECOND, 0) == (completed["account"], completed["exit_code"])
    assert (str(company.config), 70) == (killed["config"], killed["exit_code"])
    assert "its process was ended by SIGKILL" in killed["error"]
    assert [(70, "maison-test")] == [
        (line["exit_code"], line["account"]) for line in results(said) if line["level"] == "error"
    ]

    code, out, said = run_both(company, second)

    assert 0 == code, said
    assert [] == company.disagreements()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_account_and_its_run(company, second, number):
    """The command exits with the signal's code, and so does the run of each account."""
    process = company.start_command("run", "--json", "--config", second, prelude=TWO_CORES + WAITS_FOR_A_STOP)
    with company.ended(process):
        waiting = [company.state.with_name(f"{name}.waits") for name in (company.state.name, "second.db")]
        end = time.monotonic() + 30
        while not all(each.exists() for each in waiting):
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(number)
        out, said = process.communicate(timeout=30)

    assert 128 + number == process.returncode, said
    assert "" == out
    assert [128 + number] == [run.exit_code for run in company.rows(Run)]
    assert 1 == said.count("the next run goes on from here")
