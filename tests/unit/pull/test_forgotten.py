"""Forgotten leads are not read in again, whatever shows them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import Contact, LeadId, LeadPage, Moment, UnreadableLead
from jobs.ledger.retention.erasure import erase_leads, remember_forgotten
from jobs.ledger.schema import LeadRow, UnreadableLeadRow
from jobs.nightly import run_night
from jobs.pull.ingest import PullResult, ReadTimes, store_lead_page
from jobs.pull.sync import read_leads_for_backfill
from jobs.run_context import RunReadingScope, SyncMode
from jobs.webhooks.file_inbox import WebhookInboxFile
from tests.builders import ACCOUNT, CREATED, REACH, changed, lead
from tests.fakes import NIGHT

DAY = timedelta(days=1)
RENAMED = Contact(emails=("renamed@example.org",))


def forget(account, *names):
    """Erase leads, and remember that."""
    with account.hold() as ledger, ledger.write_transaction() as session:
        erase_leads(session, ACCOUNT, names)
        remember_forgotten(session, ACCOUNT, names, on=NIGHT.date())


def report_by_webhook(account, *names):
    """Have the receiver take an event of each lead."""
    inbox = WebhookInboxFile(account.inbox).open_inbox_for_writing()
    told = [WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId(name), "Gagné", Moment(NIGHT), None, "") for name in names]
    inbox.append_events([ReceivedEvent(one, NIGHT, f"digest of {one.lead}", is_unique=True) for one in told])
    inbox.close()


def stored(account):
    """Return the ids of the stored leads."""
    return [row.id for row in account.rows(LeadRow)]


@pytest.fixture
def asked_to_hash(account):
    """Return the contacts that a platform was asked to hash."""
    asked, hash_contact = [], account.sink.hash_contact
    account.sink.hash_contact = lambda contact: asked.append(contact) or hash_contact(contact)
    return asked


@pytest.mark.parametrize("style", list(SyncMode))
def test_forgotten_lead_is_not_read_in_whichever_way_leads_are_read(account, style, asked_to_hash):
    """It is listed every night, changed or not, and neither is its own page asked for nor its contact data hashed."""
    account.sync_window = replace(REACH, style=style)
    account.source.filters = style is SyncMode.SINCE
    account.put(lead("L-1"), lead("L-2"))
    account.night()
    forget(account, "L-1")
    account.source.read_whole.clear()
    account.source.asked.clear()
    account.clock.time += DAY
    account.put(changed(account.source.leads["L-1"], updated_at=account.clock.time, contact=RENAMED))
    summary = account.night()

    assert ["L-2"] == stored(account)
    assert 1 == summary.pulled.forgotten
    assert "L-1" not in [*account.source.read_whole, *account.source.asked]
    assert RENAMED not in asked_to_hash


def test_forgotten_lead_that_a_source_shows_all_the_same_is_not_stored(account, asked_to_hash):
    """A source of files hands on every lead: nothing of it is kept, unreadable or not."""
    account.put(lead("L-2"))
    forget(account, "L-1", "L-3")
    done = PullResult()
    page = LeadPage(
        leads=(lead("L-1", contact=RENAMED), lead("L-2")),
        unchanged=(),
        unreadable=(UnreadableLead("L-3", "its date"),),
        served_at=None,
        resume=None,
    )
    with account.hold() as ledger, ledger.write_transaction() as session:
        store_lead_page(session, account.run(ledger), page, ReadTimes(NIGHT, NIGHT, NIGHT, 0), done)

    assert (2, 1) == (done.forgotten, done.changed)
    assert (["L-2"], []) == (stored(account), account.rows(UnreadableLeadRow))
    assert RENAMED not in asked_to_hash


def test_webhook_does_not_bring_a_forgotten_lead_back(account, tmp_path):
    """Its events count as taken, and only the other leads are read."""
    account.inbox = tmp_path / "inbox.db"
    account.put(lead("L-1"), lead("L-2"))
    forget(account, "L-1")
    report_by_webhook(account, "L-1", "L-2")
    with account.hold() as ledger:
        summary = run_night(account.run(ledger), reading=RunReadingScope.WEBHOOKS)

    assert (["L-2"], ["L-2"]) == (stored(account), account.source.asked)
    assert (1, 1, 2) == (
        summary.pulled.webhooks.forgotten,
        summary.pulled.webhooks.leads,
        summary.pulled.webhooks.read_to,
    )


def test_backfill_does_not_bring_a_forgotten_lead_back(account):
    """Although it reads everything in full."""
    account.put(lead("L-1"), lead("L-2"))
    account.night()
    forget(account, "L-1")
    done = PullResult()
    with account.hold() as ledger:
        read_leads_for_backfill(account.run(ledger), CREATED - DAY, fresh_to=NIGHT, done=done)

    assert (["L-2"], 1) == (stored(account), done.forgotten)


def test_lead_merged_into_a_forgotten_one_is_gone(account):
    """Its own page shows the forgotten lead, which is no sign that ids are misread."""
    account.sync_window = replace(REACH, style=SyncMode.DETAILS)
    account.put(lead("L-1"), lead("L-2"), lead("L-3"))
    account.night()
    forget(account, "L-1")
    account.clock.time += DAY
    account.source.merged["L-2"] = "L-1"
    account.night()

    assert {"L-2": "L-1", "L-3": None} == {row.id: row.merged_into for row in account.rows(LeadRow)}
    assert [] == account.rows(UnreadableLeadRow)
