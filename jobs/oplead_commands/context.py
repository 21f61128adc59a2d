"""What a command under `oplead` works with: unfinished settings are enough, and somebody agrees to each write."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from connectors.crm import (
    CrmEventKind,
    CrmLists,
    LeadWriter,
    PreviewsWrites,
    WriteReceipt,
    WriteRefusalReason,
    WriteRefused,
)
from connectors.http import CancelToken
from connectors.language import _
from connectors.ports import Clock, LeadSource
from connectors.records import LeadId, RequestNotSent
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.outcomes import exit_code_of_write, write_outcome_for_json
from jobs.reporting.console import say
from jobs.reporting.presentation import pasteable_command_line, print_json
from jobs.settings.load import PartialSettings
from jobs.wiring.oplead import oplead_source, oplead_statuses, oplead_writer
from jobs.wiring.texts import parse_lead_id

ATTEMPTS = 5
_A_MINUTE = timedelta(minutes=1)
_FIRST_WAIT = timedelta(seconds=1)


class OpleadWriteAccess(LeadWriter, PreviewsWrites, CrmLists, Protocol):
    """Everything that can be written to one Oplead, and what it is set up for."""

    def oplead_event_name(self, event: CrmEventKind) -> str:
        """Return Oplead's name for a kind of event."""


class WriteApproval(Protocol):
    """How a write is agreed to and reported."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing is written."""

    @property
    def json_wanted(self) -> bool:
        """Whether results are printed as JSON."""

    def ask_approval(self, question: str, cancel_token: CancelToken) -> bool:
        """Whether somebody agrees, now or beforehand."""


@dataclass(frozen=True, slots=True)
class OpleadContext:
    """One account's Oplead, for one command."""

    known: PartialSettings
    clock: Clock
    approval: WriteApproval
    cancel_token: CancelToken

    def writer(self) -> AbstractContextManager[OpleadWriteAccess]:
        """Open a writer."""
        return oplead_writer(self.known, self.clock, cancel_token=self.cancel_token)

    def source(self, wanted_fields: frozenset[str] = frozenset()) -> AbstractContextManager[LeadSource]:
        """Open a reader, which copies the values at `wanted_fields` too."""
        return oplead_source(self.known, self.clock, wanted_fields=wanted_fields, cancel_token=self.cancel_token)

    def official_statuses(self) -> Mapping[str, str]:
        """Return what Oplead itself calls its statuses, by their codes; empty if it does not say so."""
        return oplead_statuses(self.known, self.clock, cancel_token=self.cancel_token)

    def account_command_line(self, words: str) -> str:
        """Return a command line for this account: `leads list` becomes a whole command."""
        words = f"oplead {words}"
        return f"oplead-sync {words}" if self.known.file is None else pasteable_command_line(words, self.known.file)

    def ask_write_approval(self, question: str) -> bool:
        """Whether somebody agrees to a write."""
        return self.approval.ask_approval(question, self.cancel_token)

    def is_write_confirmed(
        self, question: str, *, rehearsed: Mapping[str, object], show: Callable[[], None], nothing: str | None = None
    ) -> bool:
        """Show what would be written, and ask; in a dry run, only show it, as JSON what is `rehearsed`.

        A no is answered with "Nothing was written.", or with `nothing`.
        """
        dry_run, json = self.approval.dry_run, self.approval.json_wanted
        if dry_run and json:
            print_json({"rehearsed": True, **rehearsed})
        elif not json:
            show()
        if not dry_run and self.ask_write_approval(question):
            return True
        if not json:
            say(nothing or _("Nothing was written."))
        return False

    def report_write(self, receipt: WriteReceipt, subject: Mapping[str, object], text: str, **more: object) -> Exit:
        """Say what became of a write, as JSON with what it was about and what more there is; return its exit code."""
        if self.approval.json_wanted:
            print_json({**subject, **write_outcome_for_json(receipt), **more})
        else:
            say(text)
        return exit_code_of_write(receipt)

    def retry_write_if_not_received(self, write: Callable[[], WriteReceipt]) -> WriteReceipt:
        """Repeat a write, at most five times, as long as nothing of it can have arrived: no connection, or a 429."""
        wait = _FIRST_WAIT
        for _attempt in range(ATTEMPTS - 1):
            match receipt := write():
                case RequestNotSent(is_unknown_host=False):
                    self.clock.sleep_until(self.clock.now() + wait)
                    wait *= 2
                case WriteRefused(fault=WriteRefusalReason.PACE):
                    self.clock.sleep_until(self.clock.now() + _A_MINUTE)
                case _:
                    return receipt
            self.cancel_token()
        return write()


def parse_lead_id_argument(text: str) -> LeadId:
    """Return the lead that is named.

    Raises:
        UsageError: no lead can have such an id, and a path with it would be another one.
    """
    lead_id = parse_lead_id(text)
    if lead_id is None:
        raise UsageError(_("LEAD: write the lead's id as Oplead shows it: at most 200 printable characters"))
    return lead_id
