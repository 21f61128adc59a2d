"""Output that cannot be written: what a command does and its exit code stay the same."""

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
    """A pipe whose reader has closed, as with `| head`."""
    ear, mouth = os.pipe()
    os.close(ear)
    try:
        yield mouth
    finally:
        os.close(mouth)


@contextmanager
def full_disk():
    """A file that accepts no data."""
    with Path("/dev/full").open("wb") as file:
        yield file


@pytest.fixture(params=[closed_pipe, full_disk])
def nobody(request):
    """An output that accepts nothing."""
    with request.param() as made:
        yield made


def code_of(company, *arguments, redirected=None, **streams):
    """Run the command with these streams."""
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
def test_run_completes_with_unwritable_output(company, nobody, stdout, stderr):
    """Everything is sent and recorded, and the exit code is 0."""
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
def test_unwritable_output_does_not_change_the_exit_code(company, nobody, command):
    """This holds for every command."""
    company.serve(company.lead(1, ("Gagné", company.clock.now() - DAY)))
    company.night()

    assert 0 == code_of(company, *command, stdout=nobody, stderr=nobody).returncode


def test_invalid_settings_exit_with_2_despite_unwritable_output(company, nobody):
    """The exit code is 2, not 120 or 1."""
    company.settings["stages"] = {}

    assert 2 == code_of(company, "run", stdout=nobody, stderr=nobody).returncode


def test_full_disk_is_reported_on_stderr(company):
    """A closed pipe is not reported, as its reader wants no more output."""
    with full_disk() as full:
        told = code_of(company, "check", stdout=full, stderr=subprocess.PIPE)
    with closed_pipe() as deleted:
        untold = code_of(company, "check", stdout=deleted, stderr=subprocess.PIPE)

    assert b"the results could not be written: No space left on device\n" == told.stderr
    assert b"" == untold.stderr


def test_closed_descriptors_do_not_reach_our_files(company):
    """Output must not end up in the lock file because that was opened first."""
    company.serve(company.lead(1, ("Gagné", company.clock.now() - DAY)))
    done = code_of(company, "run", redirected="<&- >&- 2>&-")

    assert 0 == done.returncode
    assert company.lock.read_text().startswith('{"program": "oplead-sync"')
    assert company.lock.read_text().endswith("}")
    assert 0 == company.night().exit_code
