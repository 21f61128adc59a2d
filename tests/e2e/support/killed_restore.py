"""Kills the process that declares a restore with SIGKILL at one chosen point; everything before it is its own code."""

from functools import partial

from jobs.ledger import runs
from jobs.ledger.storage.lock import FileLock
from tests.e2e.support.killed_run import after, committed, committing

POINTS = {
    "in the commit": partial(committing, runs, "_begin"),
    "committed": partial(committed, runs, "_begin"),
    "recorded": partial(after, FileLock, "record_ledger_progress"),
}
