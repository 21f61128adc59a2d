"""Kills the process that imports leads with SIGKILL at one chosen point; everything before it is the command's own."""

from functools import partial

from connectors.oplead.client import OpleadClient
from jobs.oplead_commands.creation.outbox import LeadCreationOutbox
from tests.e2e.support.killed_run import after, before, countdown

POINTS = {
    "before it is on record": partial(before, LeadCreationOutbox, "record_request_in_flight"),
    "on record, not sent": partial(after, LeadCreationOutbox, "record_request_in_flight"),
    "accepted, answer unread": partial(after, OpleadClient, "attempt"),
    "answer on record": partial(after, LeadCreationOutbox, "record_lead_created"),
}


def kill_at(point, nth):
    """Die at this point the nth time it is reached."""
    POINTS[point](countdown(nth))
