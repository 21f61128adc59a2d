"""Create leads, each once: on record before its request, and looked up before it is sent again."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from operator import attrgetter
from typing import assert_never

from connectors.crm import LeadData, LeadWriter, WriteFault, WriteReceipt, WriteRefused, Written
from connectors.errors import Misconfigured, Transient, WrongClock
from connectors.ports import LeadSource
from connectors.records import Lead, LeadId, Lost, NotSent
from jobs.exit_codes import UsageError
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.creation.identity import Mark, Parts, content_of, key_of, mark_of, reference_mark
from jobs.oplead_commands.creation.outbox import Creation, CreationState, NewCreation, Outbox
from jobs.oplead_commands.creation.recognition import Absence, SeenLead, recognise
from jobs.pull.sync import MAX_CLOCK_SKEW
from jobs.wiring.texts import click_ids_in

TRIES = 3
"""How often a lead that is certain not to be there is sent in one run."""
_IN_A_ROW = 10
"""After so many lost answers in a row, look before any other lead is sent."""
_SETTLES_IN = timedelta(minutes=2)
"""How long after an answer was lost its lead is looked up: Oplead may still be at work on the request."""

_PROOFS = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lead to create, and what is put on record about it."""

    lead: LeadData = field(repr=False)
    new: NewCreation


def wanted_of(context: OpleadContext, lead: LeadData, reference: str | None) -> Wanted:
    """Return a lead to create; its own reference is written too, where the settings say where.

    Raises:
        UsageError: something else goes there already.
    """
    look = context.known.settings
    content, path = content_of(lead), look.oplead.write.fields.reference
    if reference is not None and path is not None:
        if path in lead.fields:
            raise UsageError(f"two values go to {path}, where oplead.write.fields.reference puts yours: write one")
        lead = replace(lead, fields={**lead.fields, path: reference})
        mark: Mark | None = reference_mark(reference)
    else:
        ids = lead.click_ids
        if lead.external_id is not None:
            ids = click_ids_in(look, lead.external_id, lead.utm.source)
        mark = mark_of(ids, lead.contact)
    return Wanted(lead, NewCreation(key_of(reference, content), content, mark, lead.provider_url is not None))


class Creating:
    """Creates the wanted leads, as far as Oplead takes them."""

    def __init__(
        self,
        context: OpleadContext,
        outbox: Outbox,
        wanted: Mapping[str, Wanted],
        on_settled: Callable[[], None] = lambda: None,
    ) -> None:
        """Send nothing yet; every lead of `wanted`, by key, is on record."""
        self._context = context
        self._outbox = outbox
        self._wanted = wanted
        self._on_settled = on_settled
        self._tries: Counter[str] = Counter()
        self.refusals: dict[str, WriteRefused] = {}
        """What Oplead says of those it refused."""
        self.stop: WriteReceipt | None = None
        """The answer after which no other lead was sent."""
        self.unreadable: str | None = None
        """Why leads could not be looked up."""

    def run(self) -> None:
        """Send what is pending and look up what is in doubt, until nothing changes any more."""
        with self._context.writer() as writer, self._context.source(self._wanted_fields) as source:
            while True:
                last = self._send_pending(writer)
                found = self._look_up(source)
                if last is not None and not found:
                    self.stop = self.stop or last
                if self.stop is not None or not self._sendable():
                    return

    @property
    def _wanted_fields(self) -> frozenset[str]:
        path = self._context.known.settings.oplead.write.fields.reference
        return frozenset([path] if path else ())

    def _sendable(self) -> list[str]:
        """Return the keys of what may be sent, in order."""
        states = {key: one.state for key, one in self._outbox.find(self._wanted).items()}
        return [key for key in self._wanted if states.get(key) is CreationState.PENDING and self._tries[key] < TRIES]

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    def _send_pending(self, writer: LeadWriter) -> WriteReceipt | None:
        """Send one after the other; return the last answer if too many in a row were lost."""
        in_a_row = 0
        for key in self._sendable():
            self._context.cancel_token()
            self._tries[key] += 1
            receipt = self._context.until_taken(partial(self._attempt, writer, key))
            if isinstance(receipt, NotSent) or _is_everyones(receipt):
                self.stop = receipt
                return None
            self._record(key, receipt)
            in_a_row = in_a_row + 1 if isinstance(receipt, Lost) else 0
            if in_a_row == _IN_A_ROW:
                return receipt
        return None

    def _attempt(self, writer: LeadWriter, key: str) -> WriteReceipt:
        """Make one request, on record right before it leaves; what was not taken in is pending again at once."""
        try:
            receipt = writer.create(self._wanted[key].lead, leaving=partial(self._begin, key))
        except Misconfigured:  # no request can be made
            self._unsend(key)
            raise
        if isinstance(receipt, NotSent) or _is_everyones(receipt):
            self._unsend(key)
        return receipt

    def _begin(self, key: str) -> None:
        self._outbox.begin(key, now=self._context.clock.now())

    def _unsend(self, key: str) -> None:
        if self._outbox.find([key])[key].state is CreationState.IN_FLIGHT:
            self._outbox.unsend(key)

    def _record(self, key: str, receipt: Written | WriteRefused | Lost) -> None:
        match receipt:
            case Written(id=lead):
                self._outbox.settle(key, CreationState.CREATED, lead=lead)
            case WriteRefused(status=status):
                self.refusals[key] = receipt
                self._outbox.settle(key, CreationState.REFUSED, reason=f"refused_{status}")
            case Lost():
                self._outbox.settle(key, CreationState.IN_DOUBT, reason="no_answer", lost_at=self._context.clock.now())
                return
            case _:
                assert_never(receipt)
        self._on_settled()

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    def _look_up(self, source: LeadSource) -> int:
        """Look for what is in doubt, two minutes or more after the last answer was lost; return how many were found."""
        marked = self._outbox.marked()
        doubtful = [one for one in marked if one.state is CreationState.IN_DOUBT]
        if not doubtful:
            return 0
        self._context.clock.sleep_until(
            max(filter(None, (one.lost_at or one.sent_at for one in doubtful))) + _SETTLES_IN
        )
        claimed = self._outbox.claimed()
        try:
            seen, is_whole = self._read(source, marked, claimed)
        except (Misconfigured, WrongClock, Transient) as error:
            self.unreadable = str(error)
            for one in doubtful:
                self._outbox.doubt(one.key, "not_looked_up")
            return 0
        judged = recognise(marked, seen, claimed=claimed, is_whole=is_whole, skew=MAX_CLOCK_SKEW)
        return sum(self._settle(one, judged[one.key]) for one in marked if one.key in judged)

    def _settle(self, one: Creation, judged: LeadId | Absence) -> bool:
        """Put on record what a look-up says of a lead; return whether it was in doubt and is there."""
        if one.state is CreationState.CREATED:
            if not isinstance(judged, Absence):
                self._outbox.name(one.key, judged)
            return False
        match judged:
            case Absence.NOT_THERE if one.key in self._wanted:
                self._outbox.renew(self._wanted[one.key].new)
            case Absence.NOT_THERE:
                self._outbox.settle(one.key, CreationState.PENDING)
            case Absence():
                self._outbox.doubt(one.key, judged)
            case lead:
                self._outbox.settle(one.key, CreationState.CREATED, lead=lead)
                if one.key in self._wanted:
                    self._on_settled()
                return True
        return False

    def _read(
        self, source: LeadSource, marked: list[Creation], claimed: Collection[LeadId]
    ) -> tuple[list[SeenLead], bool]:
        """Return the leads with a mark of ours, and whether every lead could be read."""
        ours = {one.mark.digest for one in marked if one.mark}
        # Of our own, the last few with each kind of mark prove that leads are recognised; the others need no page.
        by_parts: dict[Parts, list[Creation]] = defaultdict(list)
        for one in sorted((one for one in marked if one.lead and one.sent_at), key=attrgetter("sent_at")):
            by_parts[one.mark.parts if one.mark else Parts(0)].append(one)
        proofs = {one.lead for same in by_parts.values() for one in same[-_PROOFS:]}
        passed_over = frozenset(claimed) - proofs
        since = min(one.first_sent_at for one in marked if one.first_sent_at) - MAX_CLOCK_SKEW
        seen: list[SeenLead] = []
        is_whole, resume = True, None
        for page in source.fetch_changes(since, resume=None, is_known=lambda lead_id, _digest: lead_id in passed_over):
            resume = page.resume
            is_whole &= not page.moved and not page.missing
            is_whole &= all(one.id is not None and one.id in claimed for one in page.unreadable)
            for lead in page.leads:
                marks = frozenset(self._marks(lead) & ours)
                if marks and lead.created_at >= since:
                    seen.append(SeenLead(lead.id, lead.created_at, marks))
        return seen, is_whole and resume is None

    def _marks(self, lead: Lead) -> set[str]:
        path = self._context.known.settings.oplead.write.fields.reference
        reference = lead.fields.get(path) if path else None
        own = mark_of(lead.click_ids, lead.contact)
        marks = (own, reference_mark(str(reference)) if reference is not None else None)
        return {mark.digest for mark in marks if mark}


def _is_everyones(receipt: WriteReceipt) -> bool:
    """Whether the refusal would befall every other lead too."""
    return isinstance(receipt, WriteRefused) and receipt.fault in {
        WriteFault.ACCESS,
        WriteFault.PATH,
        WriteFault.PACE,
    }
