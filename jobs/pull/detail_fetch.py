"""Detail fetch: reads single leads and detects those deleted in Oplead."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from connectors.ports import Clock, LeadSource
from connectors.records import Found, Lead, LeadId, LeadPage, OtherLead, UnreadableLead
from jobs.ledger import leads
from jobs.ledger.runs import Ledger
from jobs.pull.ingest import Ingest, Ingested, ReadTimes

AT_ONCE = 50
"""Leads stored per transaction; the time limit is checked after each."""
_OTHER_LEAD = "its own page is another lead's, see oplead.fields.id"


@dataclass(frozen=True, slots=True)
class FetchedDetails:
    """The outcome of asking for single leads."""

    ids: list[LeadId] = field(default_factory=list)
    """Leads asked for before time was up, in order."""
    deleted: list[LeadId] = field(default_factory=list)
    """Those that no longer exist."""
    as_asked: list[LeadId] = field(default_factory=list)
    """Those whose own page was read."""
    merged: dict[LeadId, LeadId] = field(default_factory=dict)
    """Deleted leads whose own page shows another lead on record, and that lead."""


@dataclass(slots=True)
class DetailFetch:
    """Reads single leads within one pull."""

    ledger: Ledger
    source: LeadSource
    ingest: Ingest
    clock: Clock
    until: datetime
    """When time is up, by our clock."""
    count: Callable[[LeadPage, Ingested], None]
    """Called after each transaction with what was read and stored."""
    started: datetime
    """Start of the pull, by the source's clock."""
    ahead: timedelta = timedelta()
    """How far the source's clock is ahead of ours."""
    afresh: bool = False
    """Whether to store unchanged leads again, since their contact hashes may have been erased."""

    def read(self, ids: Sequence[LeadId]) -> FetchedDetails:
        """Read leads in the given order until all are read, time is up or the source yields no more tonight.

        Raises:
            Misconfigured: the source refuses us. What was read so far is kept.
            Transient: the source kept failing. What was read so far is kept.
        """
        asked = FetchedDetails()
        for start in range(0, len(ids), AT_ONCE):
            if self.clock.now() > self.until:
                break
            part = ids[start : start + AT_ONCE]
            self._read(part, asked)
            if len(asked.ids) < start + len(part):
                break
        return asked

    def _read(self, part: Sequence[LeadId], asked: FetchedDetails) -> None:
        began, found = self.clock.now(), []
        try:
            for one in self.source.fetch_each(part):
                found.append(one)  # noqa: PERF402 - keeps what arrived before a failure
        finally:
            self._keep(found, began, asked)

    def _keep(self, found: Sequence[tuple[LeadId, Found]], began: datetime, asked: FetchedDetails) -> None:
        with self.ledger.writing() as session:
            merged = self._merged(session, found)
            read = [
                UnreadableLead(lead, _OTHER_LEAD) if isinstance(one, OtherLead) and lead not in merged else one
                for lead, one in found
            ]
            known = {
                one.id
                for one in read
                if isinstance(one, Lead)
                and not self.afresh
                and leads.is_known(session, self.ledger.account, one.id, one.digest)
            }
            page = LeadPage(
                leads=tuple(one for one in read if isinstance(one, Lead) and one.id not in known),
                unchanged=tuple(known),
                unreadable=tuple(one for one in read if isinstance(one, UnreadableLead)),
                served_at=None,
                resume=None,
            )
            # Each lead was observed between the request for the first and the arrival of the last.
            when = ReadTimes(self.started, max(self.started, began + self.ahead), self.clock.now())
            kept = self.ingest.store(session, self.ledger.account, page, when)
            leads.note_asked(session, self.ledger.account, [lead for lead, _ in found], at=self.started)
        asked.ids.extend(lead for lead, _ in found)
        asked.deleted.extend(lead for lead, one in found if one is None or lead in merged)
        asked.as_asked.extend(lead for lead, one in found if isinstance(one, Lead))
        asked.merged.update(merged)
        self.count(page, kept)

    def _merged(self, session: Session, found: Sequence[tuple[LeadId, Found]]) -> dict[LeadId, LeadId]:
        """Leads on record whose page shows another lead on record; if it shows any other, ids may be misread."""
        others = {lead: one.id for lead, one in found if isinstance(one, OtherLead)}
        on_record = leads.on_record(session, self.ledger.account, {*others, *others.values()})
        return {lead: other for lead, other in others.items() if {lead, other} <= on_record}


ASKED_A_NIGHT = 200
"""Maximum number of unlisted leads to ask for by their own pages."""
BELIEVED_AFTER = timedelta(hours=12)
"""Delay between first finding a lead missing and believing it: two nights, not two runs of one night."""
MANY = 5
SHARE = 0.2
"""So many leads, and such a share of those with open deliveries, missing at once suggest an API key that sees less."""


def detect_deleted(
    session: Session, account: str, asked: FetchedDetails, candidates: Collection[LeadId], *, now: datetime
) -> tuple[int, int]:
    """Record missing leads; those found missing a second time are planned, which cancels their open deliveries.

    Among `candidates` not asked for, the share missing is assumed to be the same as among those asked for.

    Returns:
        The number of deletions believed, and the number missing if too many to believe, in which case none is believed.
    """
    if not asked.deleted:
        return 0, 0
    leads.note_merged(session, account, asked.deleted, asked.merged)
    with_open = leads.with_open_deliveries(session, account)
    missing = len(with_open.intersection(asked.deleted))
    likely = missing * len(with_open.intersection(candidates)) / max(1, len(with_open.intersection(asked.ids)))
    believed, suspicious = 0, 0
    if likely >= MANY and likely > SHARE * len(with_open):
        suspicious = missing
    else:
        believed = leads.confirm_deleted(session, account, asked.deleted, missing_before=now - BELIEVED_AFTER, now=now)
    leads.note_missing(session, account, asked.deleted, now=now)
    return believed, suspicious
