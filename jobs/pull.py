"""Reads what changed in Oplead into the ledger, a transaction a page."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors.errors import Misconfigured
from connectors.ports import Clock, LeadSource
from connectors.records import LeadId, LeadPage, UnreadableLead
from jobs.intake import Intake, Kept, Times
from jobs.ledger import leads
from jobs.ledger.ledger import Ledger

FULL_READ_EVERY = timedelta(days=7)
"""A filter or a drifting page may miss a lead; a full read now and then does not."""


@dataclass(slots=True)
class Pulled:
    """What a pull read."""

    pages: int = 0
    seen: int = 0
    changed: int = 0
    unreadable: list[UnreadableLead] = field(default_factory=list)
    excluded: int = 0
    """Test leads among those seen, left out."""
    complete: bool = False
    """False where the time budget ended the pull before its last page; the next one goes on there."""

    def count(self, page: LeadPage, kept: Kept) -> None:
        """Add a page."""
        self.pages += 1
        self.seen += len(page.leads) + len(page.unchanged)
        self.changed += kept.changed
        self.excluded += kept.excluded
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


def pull(ledger: Ledger, source: LeadSource, intake: Intake, clock: Clock, *, reach: Reach, done: Pulled) -> None:
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
            kept = _keep(ledger, page, intake, Times(started, page.served_at or started, clock.now()))
            done.count(page, kept)
            if page.resume is not None and clock.now() - began > reach.budget:
                return
    except Misconfigured:
        _start_over(ledger)
        raise
    _finish(ledger, reach.overlap)
    done.complete = True


def _keep(ledger: Ledger, page: LeadPage, intake: Intake, when: Times) -> Kept:
    with ledger.writing() as session:
        place = leads.cursor(session, ledger.account)
        place.pull_started_at = place.pull_started_at or when.started
        place.resume = page.resume
        session.add(place)
        return intake.store(session, ledger.account, page, when)


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
        place.pull_started_at = place.pull_since = place.resume = None
        session.add(place)
