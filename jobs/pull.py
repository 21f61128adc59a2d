"""Reads what changed in Oplead into the ledger, a transaction a page."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from connectors.errors import Misconfigured
from connectors.ports import Clock, LeadSource
from connectors.records import DestinationId, Identifier, Lead, LeadId, LeadPage, UnreadableLead
from jobs.ledger import labels, leads
from jobs.ledger.ledger import Ledger
from jobs.rulebook import Rulebook, Sinks
from jobs.rules.consent import may_keep_contact
from jobs.rules.facts import Answer, LeadFacts
from jobs.rules.intake import amounts, answer, new_click_ids, where_facts
from jobs.rules.labels import normalise_label
from jobs.rules.timing import Seen, observe

FULL_READ_EVERY = timedelta(days=7)
"""A filter or a drifting page may miss a lead; a full read now and then does not."""


@dataclass(slots=True)
class Pulled:
    """What a pull read."""

    pages: int = 0
    seen: int = 0
    changed: int = 0
    unreadable: list[UnreadableLead] = field(default_factory=list)
    complete: bool = False
    """False where the time budget ended the pull before its last page; the next one goes on there."""

    def count(self, page: LeadPage) -> None:
        """Add a page."""
        self.pages += 1
        self.seen += len(page.leads) + len(page.unchanged)
        self.changed += len(page.leads)
        self.unreadable += page.unreadable


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a pull reaches."""

    filtered: bool
    """Whether the source lists only what changed since a time; otherwise every pull reads every page."""
    overlap: timedelta
    """How far before the start of this pull the next one begins."""
    budget: timedelta
    """After this long a pull stops at a page's end; the next one goes on there."""


def pull(ledger: Ledger, source: LeadSource, intake: "Intake", clock: Clock, *, reach: Reach, done: Pulled) -> None:
    """Read the leads that changed since the last complete pull, and keep what the rules need of them.

    Args:
        ledger: where they are kept.
        source: where they are read.
        intake: what is wanted of them.
        clock: for the time budget, and the start of the pull where the source does not tell its own time.
        reach: how far to read.
        done: counts what was read, also up to a failure.

    Raises:
        Misconfigured: the source refuses us. What was read until then is kept; the next pull starts over.
        Transient: the source kept failing. What was read until then is kept; the next pull goes on there.
    """
    began = clock.now()
    since, resume = _begin(ledger, filtered=reach.filtered, now=began)

    def is_known(lead: LeadId, digest: str) -> bool:
        with ledger.reading() as session:
            return leads.is_known(session, ledger.account, lead, digest)

    started: datetime | None = None
    try:
        for page in source.fetch_changes(since, resume=resume, is_known=is_known):
            # By the source's own clock. A pull that goes on days later observes what it reads now, not then.
            started = started or page.served_at or began
            _keep(ledger, page, intake, _Reading(started, page.served_at or started, clock.now()))
            done.count(page)
            if page.resume is not None and clock.now() - began > reach.budget:
                return
    except Misconfigured:
        _start_over(ledger)
        raise
    _finish(ledger, reach.overlap)
    done.complete = True


@dataclass(frozen=True, slots=True)
class _Reading:
    """When a page was read: the pull's start, when the source served it, and when the last of it had come."""

    started: datetime
    served: datetime
    ended: datetime


def _keep(ledger: Ledger, page: LeadPage, intake: "Intake", when: _Reading) -> None:
    with ledger.writing() as session:
        place = leads.cursor(session, ledger.account)
        place.pull_started_at = place.pull_started_at or when.started
        place.resume = page.resume
        session.add(place)
        intake.store(session, ledger.account, page, when)


def _start_over(ledger: Ledger) -> None:
    """Forget an interrupted pull's place: it may be the very thing the source refuses."""
    with ledger.writing() as session:
        place = leads.cursor(session, ledger.account)
        place.resume = None
        session.add(place)


def _begin(ledger: Ledger, *, filtered: bool, now: datetime) -> tuple[datetime | None, str | None]:
    """Where to read from: an interrupted pull goes on, else a new one starts."""
    with ledger.writing() as session:
        place = leads.cursor(session, ledger.account)
        if place.resume is None:
            full = not filtered or place.full_read_at is None or now - place.full_read_at > FULL_READ_EVERY
            place.pull_since = None if full else place.since
            place.pull_started_at = None
            session.add(place)
        return place.pull_since, place.resume


def _finish(ledger: Ledger, overlap: timedelta) -> None:
    with ledger.writing() as session:
        place = leads.cursor(session, ledger.account)
        if place.pull_started_at is not None:
            place.since = place.pull_started_at - overlap
            if place.pull_since is None:
                place.full_read_at = place.pull_started_at
                labels.settle(session, ledger, since=place.pull_started_at)
            elif not labels.are_all_settled(session, ledger.account):
                # Only among all leads a new status can be told from one that was renamed.
                place.full_read_at = None
        place.pull_started_at = place.pull_since = place.resume = None
        session.add(place)


@dataclass(frozen=True, slots=True)
class Intake:
    """What is wanted of leads: the rules' facts, and each sink's hashes of contact data."""

    book: Rulebook
    sinks: Sinks

    def store(self, session: Session, account: str, page: LeadPage, when: _Reading) -> None:
        """Keep what the rules need of a page."""
        # A page that drifts may list a lead twice; the later entry is the fresher one.
        latest = {lead.id: lead for lead in page.leads}
        ids = list(latest)
        known = leads.facts(session, account, ids)
        last_seen = leads.observed(session, account, ids)
        readings = [self._reading(lead, known.get(lead.id), last_seen.get(lead.id), when) for lead in latest.values()]
        leads.store(session, account, readings, seen_at=when.served)
        leads.touch(session, account, page.unchanged, seen_at=when.served)
        for unreadable in page.unreadable:
            leads.store_unreadable(session, account, unreadable, seen_at=when.served)

    def _reading(
        self, lead: Lead, known: LeadFacts | None, previously: datetime | None, when: _Reading
    ) -> leads.Reading:
        wanted = self.book.extraction
        user_data = answer(wanted.ad_user_data, lead)
        personalization = answer(wanted.ad_personalization, lead)
        changes = known.changes if known else ()
        return leads.Reading(
            lead=lead,
            label=None if lead.label is None else normalise_label(lead.label),
            ad_user_data=user_data,
            ad_personalization=personalization,
            where=where_facts(wanted.where, lead),
            amounts=amounts(wanted.amounts, lead),
            changes=observe(
                changes,
                lead,
                seen=Seen(previously, when.started, max(when.served, when.ended)),
                zone=self.book.zone,
            ),
            click_ids=new_click_ids(
                known.click_ids if known else (), lead, previously=_clicks_since(known, previously)
            ),
            identifiers=self._identifiers(lead, user_data, personalization),
        )

    def _identifiers(
        self, lead: Lead, user_data: Answer, personalization: Answer
    ) -> dict[DestinationId, tuple[Identifier, ...]]:
        """Contact data leaves the lead here, hashed by each platform's own rules, and goes no further."""
        wanted = {
            route.destination for route in self.book.routes if may_keep_contact(route, user_data, personalization)
        }
        return {destination: self.sinks[destination].identify(lead.contact) for destination in sorted(wanted)}


def _clicks_since(known: LeadFacts | None, previously: datetime | None) -> datetime | None:
    """From when an id counts that was not on record; one that could not be read before is as old as the lead."""
    unread_before = known is None or known.stale or known.click_id_problem is not None
    return None if unread_before else previously
