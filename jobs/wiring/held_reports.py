"""Finds what webhooks have reported of leads and still waits for a reading of Oplead to show it."""

from collections.abc import Iterator
from datetime import datetime

from sqlmodel import Session

from connectors.records import LeadId
from jobs.ledger.leads import leads
from jobs.rules.model import LeadFacts
from jobs.rules.reported_statuses import HeldReport, ReportStanding, UnconfirmedReport, unconfirmed_reports
from jobs.rules.webhook_history import lead_history_from_webhooks
from jobs.settings.compile import Rulebook
from jobs.webhooks.inbox_reader import InboxReader


def held_reports(session: Session, book: Rulebook, inbox: InboxReader, now: datetime) -> tuple[HeldReport, ...]:
    """Return what is held now, the oldest first; of leads on record, as whoever reaches the receiver may name any."""
    reported = inbox.leads_with_events_since(now - book.webhooks.confirm_within)
    known = leads.load_lead_facts(session, book.account, reported) if reported else {}
    found = (
        HeldReport(lead, report.label, report.received_at, report.at)
        for lead, report in _unconfirmed(known, book, inbox, now)
        if report.standing is ReportStanding.HELD
    )
    return tuple(sorted(found, key=lambda one: (one.received_at, one.lead, one.label)))


def reports_of_lead(lead: LeadFacts, book: Rulebook, inbox: InboxReader, now: datetime) -> list[UnconfirmedReport]:
    """Return what webhooks have reported of one lead and no reading has shown, whatever became of it."""
    return [report for _, report in _unconfirmed({lead.id: lead}, book, inbox, now)]


def _unconfirmed(
    known: dict[LeadId, LeadFacts], book: Rulebook, inbox: InboxReader, now: datetime
) -> Iterator[tuple[LeadId, UnconfirmedReport]]:
    for lead, events in (inbox.webhook_events_of(known) if known else {}).items():
        history = lead_history_from_webhooks(events, known[lead].created_at, book.zone)
        for report in unconfirmed_reports(known[lead], history, book.webhooks, now):
            yield lead, report
