"""Create leads, each once: on record before its request, and looked up before it is sent again."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

from connectors.crm import LeadToWrite, LeadWriter, WriteAccepted, WriteReceipt, WriteRefusalReason, WriteRefused
from connectors.errors import Misconfigured, Transient, WrongClock
from connectors.language import _, _n
from connectors.ports import LeadSource
from connectors.records import AnswerLost, Lead, LeadId, ListedLead, RequestNotSent, UnreadableLead
from jobs.exit_codes import UsageError
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.creation.identity import LeadFingerprint, creation_key_of, lead_content_hash, lead_fingerprint
from jobs.oplead_commands.creation.outbox import LeadCreationOutbox, LeadCreationRecord, LeadToCreate
from jobs.oplead_commands.creation.recognition import LeadNotFoundReason, SeenLead, recognise_created_leads
from jobs.pull.sync import MAX_CLOCK_SKEW
from jobs.wiring.texts import click_ids_in

TRIES = 3
"""How often a lead that is certain not to be there is sent in one run."""
_IN_A_ROW = 10
"""After so many lost answers in a row, look before any other lead is sent."""
_LOOKS_FOR = timedelta(minutes=30)
"""How long leads are read to look some of them up: no other command creates leads meanwhile."""
_SETTLES_IN = timedelta(minutes=2)
"""How long after an answer was lost its lead is looked up: Oplead may still be at work on the request."""


@dataclass(frozen=True, slots=True)
class WantedLead:
    """A lead to create, and what is put on record about it."""

    lead: LeadToWrite = field(repr=False)
    new: LeadToCreate


def add_reference_to_lead(context: OpleadContext, lead: LeadToWrite, reference: str | None) -> LeadToWrite:
    """Return a lead with its own reference in it, where the settings say where that goes.

    Raises:
        UsageError: something else goes there already.
    """
    path = _reference_path(context)
    if reference is None or path is None:
        return lead
    if path in lead.fields:
        raise UsageError(
            _("two values go to {path}, where oplead.write.fields.reference puts yours: write one", path=path)
        )
    return replace(lead, fields={**lead.fields, path: reference})


def lead_to_create(context: OpleadContext, lead: LeadToWrite, reference: str | None, salt: bytes) -> WantedLead:
    """Return a lead to create, known by its own reference if it has one; `salt` is the outbox's."""
    content, external = lead_content_hash(lead, salt), lead.external_id
    ids = click_ids_in(context.known.settings, external, lead.utm.source) if external else lead.click_ids
    kept = reference if _reference_path(context) is not None else None
    mark = lead_fingerprint(ids, lead.contact, salt, reference=kept)
    return WantedLead(
        lead, LeadToCreate(creation_key_of(reference, content, salt), content, mark, lead.provider_url is not None)
    )


def _reference_path(context: OpleadContext) -> str | None:
    return context.known.settings.oplead.write.fields.reference


class OpleadLeadCreator:
    """Creates the wanted leads, as far as Oplead takes them."""

    def __init__(
        self,
        context: OpleadContext,
        outbox: LeadCreationOutbox,
        wanted: Mapping[str, WantedLead],
        on_settled: Callable[[], None] = lambda: None,
    ) -> None:
        """Send nothing yet; of `wanted`, by key, what is on record is looked up at most."""
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
        """Send what is certain not to be there and look up what is in doubt, until nothing changes any more."""
        path = _reference_path(self._context)
        with self._context.writer() as writer, self._context.source(frozenset([path] if path else ())) as source:
            while True:
                last = self._send(writer)
                found = self._look_up(source)
                if last is not None and not found:
                    self.stop = self.stop or last
                if self.stop is not None or not self._sendable():
                    return

    def _sendable(self) -> list[str]:
        """Return the keys of what may be sent, in order."""
        settled = self._outbox.find(self._wanted).keys() | self.refusals.keys()
        return [key for key in self._wanted if key not in settled and self._tries[key] < TRIES]

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    def _send(self, writer: LeadWriter) -> WriteReceipt | None:
        """Send one after the other; return the last answer if too many in a row were lost."""
        in_a_row = 0
        for key in self._sendable():
            self._context.cancel_token()
            self._tries[key] += 1
            receipt = self._context.retry_write_if_not_received(partial(self._attempt, writer, key))
            if isinstance(receipt, RequestNotSent) or _affects_every_lead(receipt):
                self.stop = receipt
                return None
            self._record(key, receipt)
            in_a_row = in_a_row + 1 if isinstance(receipt, AnswerLost) else 0
            if in_a_row == _IN_A_ROW:
                return receipt
        return None

    def _attempt(self, writer: LeadWriter, key: str) -> WriteReceipt:
        """Make one request, on record right before it leaves; what was not taken leaves the record at once."""
        wanted = self._wanted[key]
        try:
            receipt = writer.create(wanted.lead, leaving=partial(self._begin, wanted.new))
        except Misconfigured:  # no request can be made
            self._outbox.drop(key)
            raise
        if isinstance(receipt, RequestNotSent | WriteRefused):
            self._outbox.drop(key)
        return receipt

    def _begin(self, new: LeadToCreate) -> None:
        self._outbox.record_request_in_flight(new, now=self._context.clock.now())

    def _record(self, key: str, receipt: WriteAccepted | WriteRefused | AnswerLost) -> None:
        match receipt:
            case WriteAccepted(id=lead):
                self._outbox.record_lead_created(key, lead)
            case WriteRefused():
                self.refusals[key] = receipt
            case AnswerLost():
                self._outbox.record_lost_answer(key, "no_answer", now=self._context.clock.now())
                return
            case _:
                assert_never(receipt)
        self._on_settled()

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    def _look_up(self, source: LeadSource) -> int:
        """Look for the wanted leads in doubt, two minutes after the last answer was lost; return how many are there.

        Others in doubt are left to their own commands: they only keep a lead from being taken for the wrong one.
        """
        self._outbox.erase_recognition_marks(now=self._context.clock.now())
        marked = self._outbox.leads_recognisable_in_oplead()
        doubtful = [one for one in marked if not one.is_in_oplead and one.key in self._wanted]
        if not doubtful:
            return 0
        self._context.clock.sleep_until(max(one.lost_at or one.sent_at for one in doubtful) + _SETTLES_IN)
        first = min(one.sent_at for one in doubtful)
        claimed = self._outbox.created_lead_ids()
        try:
            seen, is_whole = self._read(source, marked, claimed, first - MAX_CLOCK_SKEW)
        except (Misconfigured, WrongClock, Transient) as error:
            self.unreadable = str(error)
            for one in doubtful:
                self._outbox.record_reason_in_doubt(one.key, "not_looked_up")
            return 0
        judged = recognise_created_leads(marked, seen, claimed=claimed, is_whole=is_whole, skew=MAX_CLOCK_SKEW)
        for one in marked:
            lead = judged.get(one.key, LeadNotFoundReason.UNPROVEN)
            if one.is_in_oplead and one.sent_at >= first and not isinstance(lead, LeadNotFoundReason):
                self._outbox.record_created_lead_id(one.key, lead)
        return sum(self._record_lookup_result(one.key, judged[one.key]) for one in doubtful)

    def _record_lookup_result(self, key: str, judged: LeadId | LeadNotFoundReason) -> bool:
        """Put on record what a look-up says of a lead in doubt; return whether it is there."""
        match judged:
            case LeadNotFoundReason.NOT_THERE:
                self._outbox.drop(key)
            case LeadNotFoundReason():
                self._outbox.record_reason_in_doubt(key, judged)
            case lead:
                self._outbox.record_lead_created(key, lead)
                self._on_settled()
                return True
        return False

    def _read(
        self, source: LeadSource, marked: list[LeadCreationRecord], claimed: frozenset[LeadId], since: datetime
    ) -> tuple[list[SeenLead], bool]:
        """Return the leads that share a value with one of ours, and whether every lead could be read."""
        ours = frozenset().union(*(one.mark.distinctive_hashes for one in marked if one.mark))
        # Of our own, the marked ones prove that leads are recognised; the others need no page.
        passed_over = claimed - {one.lead for one in marked}
        seen: list[SeenLead] = []
        is_whole, resume, until = True, None, self._context.clock.now() + _LOOKS_FOR

        def find_known(listed: Sequence[ListedLead]) -> Collection[ListedLead]:
            return [one for one in listed if one.id in passed_over]

        with closing(source.fetch_changes(since, resume=None, find_known=find_known)) as pages:
            for page in pages:
                resume = page.resume
                is_whole &= not page.moved and not page.missing
                is_whole &= all(_cannot_be_wanted_lead(one, claimed, since) for one in page.unreadable)
                for lead in page.leads:
                    mark = self._mark(lead)
                    if mark and mark.distinctive_hashes & ours and lead.created_at >= since:
                        seen.append(SeenLead(lead.id, lead.created_at, mark))
                if resume is not None and self._context.clock.now() >= until:
                    self.unreadable = _n(
                        "the list has not come to its end within {count} minute",
                        "the list has not come to its end within {count} minutes",
                        _LOOKS_FOR.seconds // 60,
                    )
                    break
        return seen, is_whole and resume is None

    def _mark(self, lead: Lead) -> LeadFingerprint | None:
        path = _reference_path(self._context)
        reference = lead.fields.get(path) if path else None
        kept = None if reference is None else str(reference)
        return lead_fingerprint(lead.click_ids, lead.contact, self._outbox.salt, reference=kept)


def _cannot_be_wanted_lead(one: UnreadableLead, claimed: frozenset[LeadId], since: datetime) -> bool:
    """Whether a lead that cannot be read is none that is looked for."""
    # A day without its hour is read as its beginning.
    is_older = one.created_at is not None and one.created_at < since - timedelta(days=1)
    return is_older or one.id in claimed


def _affects_every_lead(receipt: WriteReceipt) -> bool:
    """Whether the refusal would befall every other lead too."""
    everyones = {WriteRefusalReason.ACCESS, WriteRefusalReason.PATH, WriteRefusalReason.PACE}
    return isinstance(receipt, WriteRefused) and receipt.fault in everyones
