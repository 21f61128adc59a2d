"""Reads single leads, and detects those that were deleted in Oplead."""

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
"""Leads kept in one transaction, after which the time is looked at."""
_OTHER_LEAD = "its own page is another lead's, see oplead.fields.id"


@dataclass(frozen=True, slots=True)
class FetchedDetails:
    """The outcome of asking for leads."""

    ids: list[LeadId] = field(default_factory=list)
    """Those that were asked for before time was up, in order."""
    deleted: list[LeadId] = field(default_factory=list)
    """Those of them that do not exist any more."""
    as_asked: list[LeadId] = field(default_factory=list)
    """Those of them whose own page was read."""
    merged: dict[LeadId, LeadId] = field(default_factory=dict)
    """Deleted leads whose own page shows another lead that is on record, and which."""


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
    """Called with what was read and kept, each time."""
    started: datetime
    """The start of the pull, on the source's clock."""
    ahead: timedelta = timedelta()
    """How far the source's clock is ahead of ours."""
    afresh: bool = False
    """Whether unchanged leads are stored again, because their contact data may have been erased."""

    def read(self, ids: Sequence[LeadId]) -> FetchedDetails:
        """Read leads in this order until all are read, time is up or the source gives no more tonight.

        Raises:
            Misconfigured: the source refuses us. What was read until then is kept.
            Transient: the source kept failing. What was read until then is kept.
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
                found.append(one)  # noqa: PERF402 - what came before a failure is kept too
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
            # Each was as it is no earlier than the first was asked for, and no later than the last had come.
            when = ReadTimes(self.started, max(self.started, began + self.ahead), self.clock.now())
            kept = self.ingest.store(session, self.ledger.account, page, when)
            leads.note_asked(session, self.ledger.account, [lead for lead, _ in found], at=self.started)
        asked.ids.extend(lead for lead, _ in found)
        asked.deleted.extend(lead for lead, one in found if one is None or lead in merged)
        asked.as_asked.extend(lead for lead, one in found if isinstance(one, Lead))
        asked.merged.update(merged)
        self.count(page, kept)

    def _merged(self, session: Session, found: Sequence[tuple[LeadId, Found]]) -> dict[LeadId, LeadId]:
        """Leads on record with the page of another lead on record; with any other page, ids may be read wrongly."""
        others = {lead: one.id for lead, one in found if isinstance(one, OtherLead)}
        on_record = leads.on_record(session, self.ledger.account, {*others, *others.values()})
        return {lead: other for lead, other in others.items() if {lead, other} <= on_record}


ASKED_A_NIGHT = 200
"""How many leads that the list did not show are asked for by their own pages."""
BELIEVED_AFTER = timedelta(hours=12)
"""From the first time a lead is found missing until that is believed: two nights, not two runs of one."""
MANY = 5
SHARE = 0.2
"""So many leads, and such a part of those with open deliveries, are not deleted in one night: the key sees less."""


def detect_deleted(
    session: Session, account: str, asked: FetchedDetails, candidates: Collection[LeadId], *, now: datetime
) -> tuple[int, int]:
    """Note which leads are missing; those found missing a second time are planned, which cancels what is open.

    Of the `candidates` that were not asked for, as large a share is taken to be missing as of the others.

    Returns:
        How many deletions are believed, and how many are too suspicious for that: so many that nothing is cancelled.
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
