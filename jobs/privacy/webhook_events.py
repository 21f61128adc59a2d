"""Erases webhook events about leads that nobody wants or that do not exist."""

from collections.abc import Collection
from contextlib import closing, suppress
from datetime import datetime, timedelta

from connectors.records import LeadId
from jobs.ledger.leads import reported_leads
from jobs.ledger.retention.erasure import all_forgotten_leads
from jobs.ledger.runs import Ledger
from jobs.ledger.storage.state_file import explaining_errors
from jobs.privacy.compaction import compact
from jobs.webhooks.inbox import INBOX_ERRORS, InboxLocation

UNKNOWN_KEPT = timedelta(days=7)
"""How long events about a lead that is not on record are kept: by then, nights have read every lead that exists."""


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


def erase_events_without_lead(ledger: Ledger, location: InboxLocation, *, now: datetime) -> None:
    """Erase what webhooks have reported of leads since they were forgotten, and of leads that were never found."""
    account = ledger.account
    with ledger.read_transaction() as session:
        forgotten = all_forgotten_leads(session, account)
        looked_up = reported_leads.leads_looked_up_before(session, account, now - UNKNOWN_KEPT)
        known = reported_leads.leads_on_record(session, account, looked_up)
    if erase_webhook_events(location, [*forgotten, *(lead for lead in looked_up if lead not in known)]):
        for file in location.storage_files:
            # Out of its journal too, unless somebody is reading it.
            compact(file)
    if looked_up:
        with ledger.write_transaction() as session:
            reported_leads.delete_lookups(session, account, looked_up)
