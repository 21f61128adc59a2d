"""Look in Oplead for the leads whose answer was lost: at once, after 15 and 30 minutes, then each night."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from connectors.errors import Misconfigured, Transient, WrongClock
from connectors.http import CancelToken
from connectors.language import _n
from connectors.ports import Clock, LeadSource
from connectors.records import Lead, LeadId, ListedLead
from jobs.oplead_commands.creation.identity import LeadFingerprint, lead_fingerprint
from jobs.oplead_commands.creation.outbox import (
    LeadCreationOutbox,
    LeadCreationRecord,
    lock_lead_creation_outbox,
    open_outbox,
)
from jobs.oplead_commands.creation.recognition import NotFound, SeenLead, recognise_created_leads
from jobs.pull.clock import MAX_CLOCK_SKEW
from jobs.wiring.account import Look

_LOOKS_FOR = timedelta(minutes=30)
"""How long leads are read to look for some of them: no other command creates leads meanwhile."""


@dataclass(frozen=True, slots=True)
class Search:
    """What came of looking for leads in doubt."""

    found: Collection[str] = ()
    """The keys of those that are in Oplead."""
    missing: Collection[str] = ()
    """The keys of those that have not been found."""
    problem: str | None = None
    """Why leads could not be read, or not all of them."""
    still_in_doubt: Sequence[LeadCreationRecord] = ()
    """What the outbox has in doubt after it."""


def reference_path(look: Look) -> str | None:
    """Return where an account's own reference of a lead goes, if anywhere."""
    return look.oplead.write.fields.reference


def leads_in_doubt(path: Path) -> list[LeadCreationRecord]:
    """Return the leads in doubt of an outbox, which need not be there.

    Raises:
        UsageError: it cannot be used.
    """
    with open_outbox(path) as outbox:
        return outbox.in_doubt() if outbox else []


def search_outbox(
    path: Path,
    doubtful: Sequence[LeadCreationRecord],
    clock: Clock,
    reference: str | None,
    open_source: Callable[[frozenset[str]], AbstractContextManager[LeadSource]],
    *,
    cancel_token: CancelToken,
    every: bool = False,
) -> Search:
    """Look for the leads of an outbox that are in doubt and due, or for all in doubt, if there are any.

    Raises:
        LeaseHeldError: another process holds the outbox, and looks itself.
        UsageError: it cannot be used.
    """
    if not any(every or one.next_look_at <= clock.now() for one in doubtful):
        return Search(still_in_doubt=doubtful)
    with (
        lock_lead_creation_outbox(path, now=clock.now, cancel_token=cancel_token) as held,
        open_source(frozenset([reference] if reference else ())) as source,
    ):
        search = look_for_leads_in_doubt(held, source, clock, reference, every=every)
        return replace(search, still_in_doubt=held.in_doubt())


def look_for_leads_in_doubt(
    outbox: LeadCreationOutbox,
    source: LeadSource,
    clock: Clock,
    reference: str | None,
    *,
    also: Collection[str] = (),
    every: bool = False,
) -> Search:
    """Look for the leads in doubt whose look is due, and put on record what is found; nothing is ever sent.

    Args:
        outbox: the account's outbox, which is held.
        source: reads Oplead's leads, with what is at `reference`.
        clock: tells the time.
        reference: where the account's own reference of a lead is, if anywhere.
        also: keys of leads to look for even if that is not due.
        every: whether to look for all of them.
    """
    now = clock.now()
    outbox.erase_recognition_marks(now=now)
    marked = outbox.leads_recognisable_in_oplead()
    doubtful = [one for one in marked if not one.is_in_oplead and (every or one.key in also or one.next_look_at <= now)]
    if not doubtful:
        return Search()
    search = _Search(outbox, source, clock, reference)
    claimed = outbox.created_lead_ids()
    first = min(one.sent_at for one in doubtful)
    try:
        seen = search.read(marked, claimed, first - MAX_CLOCK_SKEW)
    except (Misconfigured, Transient, WrongClock) as error:
        for one in doubtful:
            # An outage passes; but where it lasts, somebody must decide, as where the key may not read at all.
            if isinstance(error, Misconfigured) or (isinstance(error, Transient) and one.is_old(now)):
                outbox.record_look(one.key, NotFound.UNREADABLE, now=now)
        return Search(missing=[one.key for one in doubtful], problem=str(error))
    judged = recognise_created_leads(marked, seen, claimed=claimed, skew=MAX_CLOCK_SKEW)
    looked_for = {one.key for one in doubtful}
    found = []
    for one in marked:
        match judged.get(one.key):
            case NotFound() as reason if one.key in looked_for:
                outbox.record_look(one.key, reason, now=now)
            case NotFound() | None:
                pass
            case lead if one.is_in_oplead:
                outbox.record_created_lead_id(one.key, lead)
            case lead:
                outbox.record_lead_created(one.key, lead)
                found.append(one.key)
    return Search(found, looked_for.difference(found), search.problem)


class _Search:
    """One reading of Oplead's leads for those in doubt."""

    def __init__(self, outbox: LeadCreationOutbox, source: LeadSource, clock: Clock, reference: str | None) -> None:
        self._outbox = outbox
        self._source = source
        self._clock = clock
        self._reference = reference
        self.problem: str | None = None

    def read(
        self, marked: Sequence[LeadCreationRecord], claimed: frozenset[LeadId], since: datetime
    ) -> Sequence[SeenLead]:
        """Return the leads created since then that share a value with one of ours."""
        ours = frozenset().union(*(one.mark.distinctive_hashes for one in marked if one.mark))
        seen: list[SeenLead] = []
        until = self._clock.now() + _LOOKS_FOR

        def find_known(listed: Sequence[ListedLead]) -> Collection[ListedLead]:
            return [one for one in listed if one.id in claimed]  # need no page of their own

        with closing(self._source.fetch_changes(since, resume=None, find_known=find_known)) as pages:
            for page in pages:
                for lead in page.leads:
                    mark = self._mark(lead)
                    if mark and mark.distinctive_hashes & ours and lead.created_at >= since:
                        seen.append(SeenLead(lead.id, lead.created_at, mark))
                if page.resume is not None and self._clock.now() >= until:
                    self.problem = _n(
                        "the list has not come to its end within {count} minute",
                        "the list has not come to its end within {count} minutes",
                        _LOOKS_FOR.seconds // 60,
                    )
                    break
        return seen

    def _mark(self, lead: Lead) -> LeadFingerprint | None:
        reference = lead.fields.get(self._reference) if self._reference else None
        kept = None if reference is None else str(reference)
        return lead_fingerprint(lead.click_ids, lead.contact, self._outbox.salt, reference=kept)
