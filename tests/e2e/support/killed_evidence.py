"""Kills the process that gathers evidence with SIGKILL at one chosen point; everything before it is its own."""

from functools import partial

from jobs.evidence.folder import EvidenceFolder
from tests.e2e.support.killed_run import after, before

POINTS = {
    "before a verdict is saved": partial(before, EvidenceFolder, "save"),
    "verdict saved": partial(after, EvidenceFolder, "save"),
    "exchanges written": partial(after, EvidenceFolder, "add"),
}
