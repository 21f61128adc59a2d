"""Kills the process that forgets a person with SIGKILL at one chosen point; everything before it is its own code."""

from functools import partial

from jobs.cli.lead import forget
from tests.e2e.support.killed_run import after, before, committing

POINTS = {
    "in the ledger's commit": partial(committing, forget, "forget_leads"),
    "ledger committed": partial(after, forget, "forget_leads"),
    "events erased": partial(after, forget, "erase_events"),
    "creations erased": partial(after, forget.Outbox, "erase"),
    "a file rewritten": partial(after, forget, "compact"),
    "page to be written": partial(before, forget, "write_usual_page"),
}
