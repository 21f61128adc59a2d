"""Erases webhook events about forgotten leads: when they are forgotten, and what still arrives, every night."""

from collections.abc import Collection
from pathlib import Path

from connectors.records import LeadId
from jobs.ledger.storage.state_file import explaining_errors
from jobs.webhooks.inbox import Inbox


def erase_events(path: Path | None, leads: Collection[LeadId]) -> int:
    """Erase the events about these leads, and return how many there were; the receiver may go on."""
    if not leads or path is None or not path.exists() or not path.stat().st_size:
        return 0
    with explaining_errors(path):
        inbox = Inbox.open_for_writing(path)
        try:
            return inbox.erase(leads)
        finally:
            inbox.close()
