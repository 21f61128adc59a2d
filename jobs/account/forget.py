"""Forgetting: erases what is held on a person, found by a lead's id or by the hashes still held.

What the ledger has goes first, in one transaction with the tombstones. Everything after it is done anew, for every
forgotten lead, each time that somebody is forgotten: a command that was killed is finished by the next one.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlmodel import Session

from connectors.language import _
from connectors.ports import Clock
from connectors.records import Contact, LeadId
from jobs.account.hold import hold_account_for_run
from jobs.account.pages import write_page_of_usual_period
from jobs.account.state import open_state_read_only
from jobs.exit_codes import CommandError, Exit, UsageError
from jobs.ledger.incidents import incidents_naming
from jobs.ledger.retention.erasure import all_forgotten_leads, forgotten_among
from jobs.ledger.runs import Ledger, finish_run
from jobs.ledger.schema import FormerFile
from jobs.ledger.storage.database import remove_stale_copies
from jobs.ledger.storage.forgotten_place import read_forgotten_place
from jobs.ledger.storage.state_file import explaining_errors
from jobs.ledger.weekly_summaries import last_summary_dates
from jobs.oplead_commands.context import parse_lead_id_argument
from jobs.oplead_commands.creation.identity import lead_fingerprint
from jobs.oplead_commands.creation.outbox import (
    LeadCreationOutbox,
    lead_creation_outbox_path,
    lock_lead_creation_outbox,
    open_outbox,
)
from jobs.privacy.compaction import compact
from jobs.privacy.find import leads_of_person, leads_sharing_marks
from jobs.privacy.forget import DataHeldOnLead, data_held_on_leads, forget_leads
from jobs.privacy.former_files import (
    FormerFileContents,
    FormerFileError,
    count_in_former_file,
    erase_in_former_file,
    former_files,
    held_in_former_file,
)
from jobs.privacy.webhook_events import erase_webhook_events
from jobs.reporting.forget_report import (
    ForgetReport,
    SummaryRecipients,
    former_file_sentences,
    platform_erasure_offers,
)
from jobs.reporting.page.leads.archive import monthly_lead_counter
from jobs.reporting.page.writing import page_name
from jobs.settings import Settings
from jobs.wiring.account import account_inbox, compile_rules_only, identifiers_of_person
from jobs.wiring.state import account_state, folder_beside_state

# ── finding ──────────────────────────────────────────────────────────────────────────────────────


def _marks_of(settings: Settings, contact: Contact) -> tuple[bytes, ...]:
    """Return by what leads of a person that have no click would be known again, where a key for it lies apart."""
    if settings.forgotten is None:
        return ()
    from connectors.contact import addresses_of  # noqa: PLC0415 - the numbering plans of the world are slow to load

    place = read_forgotten_place(settings.forgotten, settings.account)
    return tuple(map(place.mark_contact, addresses_of(contact)))


@dataclass(frozen=True, slots=True)
class PersonFinder:
    """Finds a person's leads in whatever holds something of them."""

    account: str
    lead: LeadId | None
    contact: Contact = field(repr=False)
    may_be_unknown: bool = False
    marks: tuple[bytes, ...] = ()
    """By which the person's leads without a click would be known again under other ids."""

    @classmethod
    def of(
        cls, settings: Settings, lead: str | None, contact: Contact, *, may_be_unknown: bool = False
    ) -> "PersonFinder":
        """Read what identifies the person: a lead's id, or else contact data.

        Raises:
            UsageError: it is no lead's id, address or number.
        """
        if lead is not None:
            return cls(settings.account, parse_lead_id_argument(lead), Contact(), may_be_unknown)
        if not identifiers_of_person(contact):
            raise UsageError(
                _("this is no e-mail address, or no phone number: write a foreign number with its country code, +32…")
            )
        return cls(settings.account, None, contact, marks=_marks_of(settings, contact))

    def in_ledger(self, session: Session) -> list[LeadId]:
        """Return the leads by their id, or by the hashes held of them."""
        if self.lead is not None:
            return [self.lead]
        return leads_of_person(session, self.account, identifiers_of_person(self.contact), self.marks)

    def in_outbox(self, outbox: LeadCreationOutbox | None) -> dict[str, LeadId | None]:
        """Return the keys of leads created from here, and their ids where known."""
        if outbox is None:
            return {}
        if self.lead is not None:
            return {one.key: one.lead for one in outbox.records_of([self.lead])}
        mark = lead_fingerprint((), self.contact, outbox.salt)
        return {} if mark is None else outbox.keys_of_leads_with_hashes(mark.distinctive_hashes)

    def expect_on_record(
        self, settings: Settings, held: Sequence[DataHeldOnLead], created: Collection[str], found: "_Found"
    ) -> None:
        """Refuse a lead that nothing here knows: nobody can take back that a mistyped id is forgotten.

        Raises:
            UsageError: nothing is held on the lead, and it is not to be kept out all the same.
        """
        is_held = any(each.is_on_record for each in held) or created
        if self.lead is None or self.may_be_unknown or is_held or _count_events(settings, [self.lead]):
            return
        former = list(found.in_files([self.lead]))
        if any(each.events for each in former):
            return
        refused = _(
            "nothing is held on lead {lead}, and nothing was written: is the id right? A lead that Oplead has and "
            "no night has read yet is kept out by --not-on-record; it cannot be taken back",
            lead=self.lead,
        )
        raise UsageError("\n".join([refused, *former_file_sentences(former), *found.problems.values()]))


def _all_leads(found: Sequence[LeadId], created: Collection[LeadId | None]) -> list[LeadId]:
    return list(dict.fromkeys([*found, *(lead for lead in created if lead is not None)]))


# ── forgetting ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Found:
    """The leads to forget."""

    leads: list[LeadId]
    created: dict[str, LeadId | None]
    in_former: list[DataHeldOnLead]
    """What the file that the state was moved from holds on them."""
    former: list[FormerFile]
    problems: dict[str, str]
    """Why nothing could be found, or then erased, in a former file, by its path."""
    was_in_notice: bool = False
    """Whether an incident named one of them, of which people were told."""
    sharing: tuple[LeadId, ...] = ()
    """Other leads, which may be the same person's."""

    def in_files(self, leads: Collection[LeadId]) -> Iterator[FormerFileContents]:
        """Yield how much on these leads former files hold."""
        return self.each_file(lambda file: count_in_former_file(file, leads))

    def each_file(self, do: Callable[[FormerFile], FormerFileContents | None]) -> Iterator[FormerFileContents]:
        """Yield what this returns for each former file; why it could not be done is kept among the problems."""
        for file in self.former:
            try:
                held = do(file)
            except FormerFileError as error:
                self.problems[file.path] = str(error)
                continue
            if held is not None:
                yield held

    def completed(self, held: Sequence[DataHeldOnLead]) -> list[DataHeldOnLead]:
        """Return what is held on each lead: of those that have left, what the former file holds."""
        former = {each.lead: each for each in self.in_former}
        return [each if each.is_on_record else former.get(each.lead, each) for each in held]


def _find(session: Session, settings: Settings, find: PersonFinder, outbox: LeadCreationOutbox | None) -> _Found:
    """Return the leads to forget, wherever something is held on them."""
    created = find.in_outbox(outbox)
    leads = _all_leads(find.in_ledger(session), created.values())
    found = _Found(leads, created, [], former_files(session, settings.account), {})
    for file in found.former:
        try:
            found.in_former.extend(held_in_former_file(file, find.in_ledger, leads))
        except FormerFileError as error:
            found.problems[file.path] = str(error)
    every = _all_leads(leads, [each.lead for each in found.in_former])
    was_in_notice = any(each.notified_at for each in incidents_naming(session, settings.account, every))
    sharing = leads_sharing_marks(session, settings.account, every)
    return replace(found, leads=every, was_in_notice=was_in_notice, sharing=tuple(sharing))


def rehearse_forgetting(settings: Settings, find: PersonFinder) -> ForgetReport:
    """Report what forgetting would do, and change nothing."""
    folder = folder_beside_state(settings)
    with (
        open_state_read_only(settings) as session,
        open_outbox(lead_creation_outbox_path(folder, settings.account)) as outbox,
    ):
        found = _find(session, settings, find, outbox)
        created = found.created | (
            {} if outbox is None else {one.key: one.lead for one in outbox.records_of(found.leads)}
        )
        held = found.completed(data_held_on_leads(session, settings.account, found.leads))
        find.expect_on_record(settings, held, created, found)
        every = {*found.leads, *all_forgotten_leads(session, settings.account)}
        events = _count_events(settings, every)
        report = _report(settings, session, held, rehearsed=True, events=events, creations=len(created))
        return replace(
            report,
            former_files=tuple(found.in_files(every)),
            was_in_notice=found.was_in_notice,
            sharing=found.sharing,
            unfinished=tuple(found.problems.values()),
        )


def forget(
    settings: Settings, find: PersonFinder, clock: Clock, show_sharing: Callable[[Sequence[LeadId]], None]
) -> ForgetReport:
    """Forget, and report what was held; `show_sharing` is given the leads that may be the same person's."""
    with ExitStack() as stack:
        outbox = stack.enter_context(held_outbox(settings, clock))
        ledger = stack.enter_context(hold_account_for_run(settings, account_state(settings), "forget", clock))
        now = clock.now()
        with ledger.read_transaction() as session:
            found = _find(session, settings, find, outbox)
            held = found.completed(data_held_on_leads(session, settings.account, found.leads))
            find.expect_on_record(settings, held, found.created, found)
        # Before: once the leads are erased, nothing shows it any more.
        show_sharing(found.sharing)
        count = monthly_lead_counter(settings, compile_rules_only(settings), now)
        today = now.astimezone(settings.zone).date()
        held = found.completed(forget_leads(ledger, found.leads, now=now, today=today, count_by_month=count))
        report = _Aftermath(settings, ledger, outbox, now).finish(held, found)
        finish_run(ledger, forget_exit_code(report), now=clock.now())
        return report


def forget_exit_code(report: ForgetReport) -> Exit:
    """Return the exit code of forgetting: 1 if nothing could be matched, or something could not be rewritten."""
    return Exit.DONE if (report.leads or report.creations) and not report.unfinished else Exit.ATTENTION


@contextmanager
def held_outbox(settings: Settings, clock: Clock) -> Iterator[LeadCreationOutbox | None]:
    """Hold the record of leads created from here; None if there is none."""
    path = lead_creation_outbox_path(folder_beside_state(settings), settings.account)
    if not path.exists():
        yield None
        return
    with lock_lead_creation_outbox(path, now=clock.now) as outbox:
        yield outbox


def finish_forgetting(
    settings: Settings, ledger: Ledger, outbox: LeadCreationOutbox | None, now: datetime
) -> tuple[str, ...]:
    """Erase whatever is left of every lead that is known as forgotten, and return what could not be."""
    with ledger.read_transaction() as session:
        found = _Found([], {}, [], former_files(session, settings.account), {})
    return _Aftermath(settings, ledger, outbox, now).finish((), found).unfinished


@dataclass(frozen=True, slots=True)
class _Aftermath:
    """What follows once leads are forgotten in the ledger; each step may be repeated."""

    settings: Settings
    ledger: Ledger
    outbox: LeadCreationOutbox | None
    now: datetime
    unfinished: list[str] = field(default_factory=list)

    def finish(self, held: Sequence[DataHeldOnLead], found: _Found) -> ForgetReport:
        """Erase what other files have on every forgotten lead, rewrite all of them, and report.

        A step that fails does not keep the others from being done, nor what platforms were sent from being listed: the
        ledger has forgotten that by now.
        """
        events = creations = 0
        with self.ledger.read_transaction() as session:
            forgotten = all_forgotten_leads(session, self.ledger.account)
            days = forgotten_among(session, self.ledger.account, forgotten)
        with self._trying():
            events = erase_webhook_events(account_inbox(self.settings), forgotten)
        with self._trying():
            creations = self._erase_creations(forgotten, found.created.keys())
        with self._trying():
            remove_stale_copies()
        self._compact()
        former = tuple(found.each_file(lambda file: erase_in_former_file(file, days)))
        self.unfinished.extend(found.problems.values())
        if None in found.created.values():
            self.unfinished.append(
                _("a lead created from here, whose id is not known yet: forget it by `--lead` once Oplead shows it")
            )
        with self.ledger.read_transaction() as session:
            self._rewrite_page(session)
            report = _report(self.settings, session, held, rehearsed=False, events=events, creations=creations)
        return replace(
            report,
            former_files=former,
            was_in_notice=found.was_in_notice,
            sharing=found.sharing,
            unfinished=tuple(self.unfinished),
        )

    @contextmanager
    def _trying(self) -> Iterator[None]:
        """Note an error of a step instead of raising it."""
        try:
            yield
        except CommandError as error:
            self.unfinished.append(str(error))
        except (sqlite3.Error, OSError) as error:
            self.unfinished.append(type(error).__name__)

    def _erase_creations(self, forgotten: Collection[LeadId], keys: Collection[str]) -> int:
        if self.outbox is None:
            return 0
        every = {*keys, *(one.key for one in self.outbox.records_of(forgotten))}
        self.outbox.erase(every)
        return len(every)

    def _compact(self) -> None:
        outbox = lead_creation_outbox_path(folder_beside_state(self.settings), self.settings.account)
        for path in (*self.ledger.state.storage_files, *account_inbox(self.settings).storage_files, outbox):
            if not path.exists() or not path.stat().st_size:
                continue
            with self._trying(), explaining_errors(path):
                if not compact(path):
                    self.unfinished.append(
                        _("{path}: another program is reading it, so its journal still has old pages", path=path)
                    )

    def _rewrite_page(self, session: Session) -> None:
        folder = self.settings.report.folder
        if folder is None:
            return
        page = folder / page_name(self.settings.account)
        for draft in folder.glob(f".{page.name}.*"):
            draft.unlink(missing_ok=True)
        if not page.exists():
            return
        try:
            write_page_of_usual_period(session, self.settings, compile_rules_only(self.settings), folder, now=self.now)
        except OSError as error:
            self.unfinished.append(f"{page}: {error.strerror or type(error).__name__}")


def _report(
    settings: Settings,
    session: Session,
    held: Sequence[DataHeldOnLead],
    *,
    rehearsed: bool,
    events: int,
    creations: int,
) -> ForgetReport:
    sent = [each for lead in held for each in lead.sent]
    taken = last_summary_dates(session, settings.account)
    return ForgetReport(
        settings.account,
        rehearsed,
        tuple(held),
        events,
        creations,
        tuple(platform_erasure_offers(sent, compile_rules_only(settings).routes)),
        SummaryRecipients(len(taken), max(taken)) if taken else None,
    )


def _count_events(settings: Settings, leads: Collection[LeadId]) -> int:
    inbox = account_inbox(settings).open_inbox_for_reading()
    if inbox is None:
        return 0
    with closing(inbox):
        return sum(map(len, inbox.webhook_events_of(leads).values()))
