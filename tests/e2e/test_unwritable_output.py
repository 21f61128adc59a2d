"""What a command prints may be taken by nobody: what it does and its exit code stay the same."""

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.ledger.schema import Run

DAY = timedelta(days=1)
PATIENCE = 60
MAIN = "from jobs.cli import main\nmain()"


@contextmanager
def closed_pipe():
    """As of a reader that has gone: `| head`."""
    ear, mouth = os.pipe()
    os.close(ear)
    try:
        yield mouth
    finally:
        os.close(mouth)


@contextmanager
def full_disk():
    """A file that takes nothing."""
    with Path("/dev/full").open("wb") as file:
        yield file


@pytest.fixture(params=[closed_pipe, full_disk])
def nobody(request):
    """Where output goes that nobody takes."""
    with request.param() as made:
        yield made


def code_of(company, *arguments, redirected=None, **streams):
    """How the command ends with these streams."""
    command = [sys.executable, "-c", MAIN, *arguments, "--config", str(company.config)]
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    return subprocess.run(
        command if redirected is None else ["sh", "-c", f'exec "$@" {redirected}', "sh", *command],
        env=inherited | company.environ,
        timeout=PATIENCE,
        check=False,
        **streams,
    )


@pytest.mark.parametrize(("stdout", "stderr"), [(True, False), (False, True), (True, True)])
def test_a_night_that_nobody_hears_of_is_done(company, nobody, stdout, stderr):
    """Everything is sent and on record, and it ends with 0."""
    company.serve(company.lead(1, ("Gagné", company.clock.now() - DAY)))
    streams = {
        "stdout": nobody if stdout else subprocess.PIPE,
        "stderr": nobody if stderr else subprocess.PIPE,
    }
    done = code_of(company, "run", **streams)

    assert 0 == done.returncode, done
    assert [0] == [run.exit_code for run in company.rows(Run)]
    assert 2 == len(company.states())


@pytest.mark.parametrize(
    "command", [("run", "--json"), ("status",), ("check",), ("explain", "L-1"), ("run", "--dry-run")]
)
def test_no_command_changes_its_exit_code(company, nobody, command):
    """Whatever it prints."""
    company.serve(company.lead(1, ("Gagné", company.clock.now() - DAY)))
    company.night()

    assert 0 == code_of(company, *command, stdout=nobody, stderr=nobody).returncode


def test_wrong_settings_are_wrong_though_nobody_hears_of_it(company, nobody):
    """It ends with 2, not with 120 or 1."""
    company.settings["stages"] = {}

    assert 2 == code_of(company, "run", stdout=nobody, stderr=nobody).returncode


def test_results_that_a_full_disk_does_not_take_are_told(company):
    """On stderr; a reader that has gone wants to hear nothing."""
    with full_disk() as full:
        told = code_of(company, "check", stdout=full, stderr=subprocess.PIPE)
    with closed_pipe() as deleted:
        untold = code_of(company, "check", stdout=deleted, stderr=subprocess.PIPE)

    assert b"the results could not be written: No space left on device\n" == told.stderr
    assert b"" == untold.stderr


def test_descriptors_that_are_closed_get_into_no_file_of_ours(company):
    """What is printed must not stand in the lock file because that was opened first."""
    company.serve(company.lead(1, ("Gagné", company.clock.now() - DAY)))
    done = code_of(company, "run", redirected="<&- >&- 2>&-")

    assert 0 == done.returncode
    assert company.lock.read_text().startswith('{"program": "oplead-sync"')
    assert company.lock.read_text().endswith("}")
    assert 0 == company.night().exit_code
