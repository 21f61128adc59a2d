"""Create leads, each once: on record before its request, and never sent again by itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import assert_never

from connectors.crm import LeadToWrite, LeadWriter, WriteAccepted, WriteReceipt, WriteRefusalReason, WriteRefused
from connectors.errors import Misconfigured
from connectors.http import LONGEST_ASKED_FOR
from connectors.language import N_, _
from connectors.ports import LeadSource
from connectors.records import AnswerLost, RequestNotSent
from jobs.exit_codes import UsageError
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.creation.identity import creation_key_of, lead_content_hash, lead_fingerprint
from jobs.oplead_commands.creation.looking import Search, look_for_leads_in_doubt, reference_path
from jobs.oplead_commands.creation.outbox import LeadCreationOutbox, LeadCreationRecord, LeadToCreate
from jobs.oplead_commands.creation.recognition import NotFound
from jobs.wiring.texts import click_ids_in

_IN_A_ROW = 10
"""After so many lost answers in a row, look before any other lead is sent."""
_DELAYS_IN_A_ROW = 2
"""After so many of them in a row that ask to wait, look too: sending goes too fast, and each leaves a lead in doubt."""

CHANGED_MEANWHILE = N_("Another command has changed what is on record meanwhile. Nothing was sent: type it again.")


class Verdict(StrEnum):
    """What a human who has looked in Oplead says of leads in doubt."""

    CREATED = "created"
    """They are there."""
    NOT_CREATED = "not_created"
    """They are not there, and are not sent now."""
    CREATE_AGAIN = "create_again"
    """They are not there, and are sent again."""

    def refusal(self) -> UsageError:
        """Return the refusal of values of which nothing is in doubt: mistyped, they would be sent as a new lead."""
        option = f"--{self.replace('_', '-')}"
        return UsageError(
            _(
                "Nothing is in doubt under these values, and nothing was sent: type exactly the values of the first "
                "time, or leave {option} out.",
                option=option,
            )
        )


def may_send(one: LeadCreationRecord | None, verdict: Verdict | None, now: datetime) -> bool:
    """Whether a lead may be sent: one in doubt is only if a human says so, once Oplead has had its time."""
    return one is None or (not one.is_in_oplead and verdict is Verdict.CREATE_AGAIN and one.has_had_time(now))


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
    path = reference_path(context.known.settings)
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
    kept = reference if reference_path(context.known.settings) is not None else None
    mark = lead_fingerprint(ids, lead.contact, salt, reference=kept)
    return WantedLead(
        lead, LeadToCreate(creation_key_of(reference, content, salt), content, mark, lead.provider_url is not None)
    )


class OpleadLeadCreator:
    """Creates the wanted leads, as far as Oplead takes them."""

    def __init__(
        self,
        context: OpleadContext,
        outbox: LeadCreationOutbox,
        wanted: Mapping[str, WantedLead],
        on_settled: Callable[[], None] = lambda: None,
        verdict: Verdict | None = None,
    ) -> None:
        """Send nothing yet; of `wanted`, by key, what is on record is looked for at most.

        `verdict` is what a human who has looked says of those that are in doubt.
        """
        self._context = context
        self._outbox = outbox
        self._wanted = wanted
        self._on_settled = on_settled
        self.verdict = verdict
        """What a human says of those that are in doubt."""
        self._left: set[str] = set()
        self.refusals: dict[str, WriteRefused] = {}
        """What Oplead says of those it refused."""
        self.stop: WriteReceipt | None = None
        """The answer after which no other lead was sent."""
        self.unreadable: str | None = None
        """Why leads could not be looked for."""

    def run(self) -> None:
        """Send what is not on record, and look for what is in doubt.

        Raises:
            UsageError: a human says something of leads in doubt, and none of the wanted ones is.
        """
        self._expect_doubt()
        path = reference_path(self._context.known.settings)
        with self._context.writer() as writer, self._context.source(frozenset([path] if path else ())) as source:
            if self.verdict is not None:
                self._look(source)
                self._obey(self.verdict)
            self._look_for_leads_of_lost_outbox(source)
            while True:
                last = self._send(writer)
                search = self._look(source)
                if last is not None and not search.found:
                    self.stop = self.stop or last
                if self.stop is not None or not self._sendable():
                    return

    def _expect_doubt(self) -> None:
        if self.verdict is not None and self._wanted and not self._doubtful():
            raise self.verdict.refusal()

    def _doubtful(self) -> list[LeadCreationRecord]:
        return [one for one in self._outbox.find(self._wanted).values() if not one.is_in_oplead]

    def _look(self, source: LeadSource) -> Search:
        path = reference_path(self._context.known.settings)
        search = look_for_leads_in_doubt(self._outbox, source, self._context.clock, path, also=self._wanted)
        self.unreadable = search.problem
        for _key in search.found:
            self._on_settled()
        return search

    def _look_for_leads_of_lost_outbox(self, source: LeadSource) -> None:
        """After a restore, doubt what is not on record, until a look shows that it was not created since the backup.

        What cannot be looked for, or is found in part, stays in doubt.
        """
        known_until, keys = self._outbox.complete_until(), self._sendable()
        if known_until is None or not keys:
            return
        for key in keys:
            self._outbox.record_request_in_flight(self._wanted[key].new, now=known_until)
            self._outbox.record_lost_answer(key, "restored", now=self._context.clock.now())
        if self._look(source).problem is None:
            for one in self._outbox.find(keys).values():
                if one.reason == NotFound.NOT_SEEN and one.mark is not None and one.mark.distinctive_hashes:
                    self._outbox.drop(one.key)

    def _obey(self, verdict: Verdict) -> None:
        """Do as a human says of what is in doubt; only what Oplead had time to finish can be called missing."""
        for one in self._doubtful():
            match verdict:
                case Verdict.CREATED:
                    self._outbox.record_lead_created(one.key, None, "by_hand")
                    self._on_settled()
                case Verdict.CREATE_AGAIN | Verdict.NOT_CREATED if one.is_for_humans:
                    self._outbox.drop(one.key)
                    if verdict is Verdict.NOT_CREATED:
                        self._left.add(one.key)
                case Verdict.CREATE_AGAIN | Verdict.NOT_CREATED:
                    pass
                case _:
                    assert_never(verdict)

    def _sendable(self) -> list[str]:
        """Return the keys of what may be sent, in order."""
        settled = self._outbox.find(self._wanted).keys() | self.refusals.keys() | self._left
        return [key for key in self._wanted if key not in settled]

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    def _send(self, writer: LeadWriter) -> WriteReceipt | None:
        """Send one after the other; return the last answer if too many in a row were lost."""
        in_a_row = delays = 0
        for key in self._sendable():
            self._context.cancel_token()
            receipt = self._context.retry_write_if_not_received(partial(self._attempt, writer, key))
            if isinstance(receipt, RequestNotSent) or _affects_every_lead(receipt):
                self.stop = receipt
                return None
            self._record(key, receipt)
            if not isinstance(receipt, AnswerLost):
                in_a_row = delays = 0
                continue
            wait = receipt.retry_after or timedelta()
            in_a_row, delays = in_a_row + 1, delays + 1 if wait else 0
            if in_a_row == _IN_A_ROW or delays == _DELAYS_IN_A_ROW or wait > LONGEST_ASKED_FOR:
                return receipt
            self._context.clock.sleep_until(self._context.clock.now() + wait)
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


def _affects_every_lead(receipt: WriteReceipt) -> bool:
    """Whether the refusal would befall every other lead too."""
    everyones = {WriteRefusalReason.ACCESS, WriteRefusalReason.PATH, WriteRefusalReason.PACE}
    return isinstance(receipt, WriteRefused) and receipt.fault in everyones
