"""Kills the process that forgets a person with SIGKILL at one chosen point; everything before it is its own code."""

from functools import partial

from jobs.account import forget
from jobs.privacy import former_files
from tests.e2e.support.killed_run import after, before, committing

POINTS = {
    "in the ledger's commit": partial(committing, forget, "forget_leads"),
    "ledger committed": partial(after, forget, "forget_leads"),
    "events erased": partial(after, forget, "erase_webhook_events"),
    "creations erased": partial(after, forget.LeadCreationOutbox, "erase"),
    "a file rewritten": partial(after, forget, "compact"),
    "page to be written": partial(before, forget, "write_page_of_usual_period"),
    "in the commit to the old state": partial(committing, former_files, "_erase_leads"),
    "old state to be rewritten": partial(before, former_files, "_rewrite"),
    "old state rewritten": partial(after, former_files, "_rewrite"),
    "old events erased": partial(after, former_files, "_erase_events"),
}
