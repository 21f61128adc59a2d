"""Ingest: stores the facts the rules need and each sink's contact hashes; test leads are left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from connectors.records import DestinationId, Identifier, Lead, LeadPage
from jobs.ledger import leads
from jobs.rules.eligibility import may_keep_contact
from jobs.rules.extraction import LeadReading, amounts, answer, new_click_ids, where_facts
from jobs.rules.model import ConsentAnswer, KnownClickId, LeadFacts, normalise_label
from jobs.rules.status_changes import observe
from jobs.settings.compile import Rulebook, Sinks


@dataclass(frozen=True, slots=True)
class ReadTimes:
    """When leads were read: start of the pull, time served by the source, and end of the last read."""

    started: datetime
    served: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Ingested:
    """Counts for the leads of one page."""

    changed: int
    excluded: int
    """Test leads, including those on record from before they were excluded."""
    back: int
    """Leads that had been considered deleted."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """Extracts the rules' facts and each sink's contact hashes from leads."""

    book: Rulebook
    sinks: Sinks

    def store(self, session: Session, account: str, page: LeadPage, when: ReadTimes) -> Ingested:
        """Store what the rules need from a page; for a test lead never on record, only its digest."""
        # A page may list a lead twice if the list shifts meanwhile; the later entry is fresher.
        latest = {lead.id: lead for lead in page.leads}
        ids = list(latest)
        known = leads.facts(session, account, ids)
        tests = {lead.id for lead in latest.values() if self.book.extraction.exclude.covers(lead)}
        readings = [
            self._reading(lead, known.get(lead.id), when, excluded=lead.id in tests)
            for lead in latest.values()
            if lead.id in known or lead.id not in tests
        ]
        leads.forget_unreadable(session, account, ids)
        leads.store(session, account, readings, seen_at=when.served)
        left_out = {lead.id: lead.digest for lead in latest.values() if lead.id in tests and lead.id not in known}
        leads.remember_test_leads(session, account, left_out, read_at=when.served)
        leads.forget_test_leads(session, account, latest.keys() - left_out.keys())
        leads.touch(session, account, page.unchanged, seen_at=when.served)
        for unreadable in page.unreadable:
            leads.store_unreadable(session, account, unreadable, seen_at=when.served)
        unchanged_tests = leads.count_test_leads(session, account, page.unchanged)
        back = sum(one.deleted for one in known.values())
        return Ingested(changed=len(readings), excluded=len(tests) + unchanged_tests, back=back)

    def _reading(self, lead: Lead, known: LeadFacts | None, when: ReadTimes, *, excluded: bool) -> LeadReading:
        wanted = self.book.extraction
        user_data = answer(wanted.ad_user_data, lead)
        personalization = answer(wanted.ad_personalization, lead)
        changes, clicks = (known.changes, known.click_ids) if known else ((), ())
        new_clicks = new_click_ids(clicks, lead, previously=_clicks_since(known))
        return LeadReading(
            lead=lead,
            label=None if lead.label is None else normalise_label(lead.label),
            ad_user_data=user_data,
            ad_personalization=personalization,
            where=where_facts(wanted.where, lead),
            amounts=amounts(wanted.amounts, lead),
            changes=observe(
                changes,
                lead,
                previously=known.seen_at if known else None,
                started=when.started,
                ended=max(when.served, when.ended),
                zone=self.book.zone,
            ),
            click_ids=new_clicks,
            identifiers={} if excluded else self._identifiers(lead, user_data, personalization, [*clicks, *new_clicks]),
            excluded=excluded,
        )

    def _identifiers(
        self, lead: Lead, user_data: ConsentAnswer, personalization: ConsentAnswer, clicks: Sequence[KnownClickId]
    ) -> dict[DestinationId, tuple[Identifier, ...]]:
        """Hash contact data by each platform's own rules; raw contact data goes no further than this."""
        wanted = {
            route.destination
            for route in self.book.routes
            if may_keep_contact(route, user_data, personalization, clicks)
        }
        return {destination: self.sinks[destination].identify(lead.contact) for destination in sorted(wanted)}


def _clicks_since(known: LeadFacts | None) -> datetime | None:
    """When a new click id starts to count; None, the lead's creation, if click ids couldn't be read before."""
    return None if known is None or known.stale or known.click_id_problem is not None else known.seen_at
