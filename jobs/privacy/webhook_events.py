"""Erases webhook events about forgotten leads: when they are forgotten, and what still arrives, every night."""

from collections.abc import Collection
from contextlib import closing, suppress

from connectors.records import LeadId
from jobs.ledger.retention.erasure import all_forgotten_leads
from jobs.ledger.runs import Ledger
from jobs.ledger.storage.state_file import explaining_errors
from jobs.privacy.compaction import compact
from jobs.webhooks.inbox import INBOX_ERRORS, InboxLocation


def erase_webhook_events(location: InboxLocation, leads: Collection[LeadId]) -> int:
    """Erase the events about these leads, and return how many there were; the receiver may go on."""
    with explaining_errors(str(location)):
        if not leads or not location.exists():
            return 0
        with closing(location.open_inbox_for_writing()) as inbox:
            return inbox.erase(leads)


def leads_with_events(location: InboxLocation) -> list[LeadId]:
    """Return the leads that the inbox has events about; none if it cannot be read."""
    with suppress(*INBOX_ERRORS):
        inbox = location.open_inbox_for_reading()
        if inbox is not None:
            with closing(inbox):
                return list(inbox.leads_with_events(after=0, to=inbox.latest_event_id()))
    return []


def erase_events_of_forgotten(ledger: Ledger, location: InboxLocation) -> None:
    """Erase what webhooks have reported of leads since they were forgotten."""
    with ledger.read_transaction() as session:
        forgotten = all_forgotten_leads(session, ledger.account)
    if erase_webhook_events(location, forgotten):
        for file in location.storage_files:
            # Out of its journal too, unless somebody is reading it.
            compact(file)
