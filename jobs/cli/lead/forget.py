"""`forget`: have what is held on a person erased, and print what that came to."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from connectors.records import Contact, LeadId
from jobs.account.files import AccountFile, load_account, presentation_of_account, speaking_account_language
from jobs.account.forget import PersonFinder, forget, forget_exit_code, rehearse_forgetting
from jobs.cli.output import signals_and_logging
from jobs.reporting.console import results_console
from jobs.reporting.forget_report import (
    ForgetReport,
    former_file_sentences,
    nothing_found_sentence,
    print_forget_report,
    print_not_erased,
    sharing_sentences,
    unreachable_data_sentences,
)
from jobs.reporting.presentation import print_json
from jobs.wiring.account import open_clock

_STDIN = "-"
_LONGEST = 1_000  # characters


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """Whom to forget: a lead by its id, or a person; never shown, logged or stored."""

    lead: str | None = None
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    may_be_unknown: bool = False
    """Whether a lead that is not on record is kept out all the same: no night has read it yet."""

    @property
    def contact(self) -> Contact:
        """The person's contact data; a `-` is read from stdin, so that it stands in no history or list of processes.

        Raises:
            UsageError: it is no address or number.
        """
        return Contact(emails=_given(self.email), phones=_given(self.phone))


def _given(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    return ((sys.stdin.readline(_LONGEST) if text == _STDIN else text).strip(),)


def forget_person(wanted: ForgetRequest, file: Path, *, dry_run: bool, json_wanted: bool) -> int:
    """Forget a lead or a person, print what that came to, and return the exit code.

    1 means that a human is needed: nothing could be matched, or something could not be rewritten.
    """
    account = load_account(file, secrets=False)
    with (
        signals_and_logging() as (stop, _redaction),
        speaking_account_language(account, json_wanted=json_wanted),
        structlog.contextvars.bound_contextvars(account=account.settings.account),
        open_clock(account.settings, stop) as clock,
    ):
        settings = account.settings
        find = PersonFinder.of(settings, wanted.lead, wanted.contact, may_be_unknown=wanted.may_be_unknown)
        done = rehearse_forgetting(settings, find) if dry_run else forget(settings, find, clock, _print_sharing)
        report = replace(done, is_by_contact=find.lead is None)
        _print(account, file, report, json_wanted=json_wanted)
    return forget_exit_code(report)


def _print_sharing(leads: Sequence[LeadId]) -> None:
    sys.stderr.write("".join(f"{each}\n" for each in sharing_sentences(leads)))


def _print(account: AccountFile, file: Path, report: ForgetReport, *, json_wanted: bool) -> None:
    if json_wanted:
        print_json(_as_json(report))
        return
    console = results_console()
    if not report.leads and not report.creations:
        for sentence in (nothing_found_sentence(), *former_file_sentences(report.former_files)):
            console.print(sentence, markup=False, soft_wrap=True)
        print_not_erased(console, report)
        return
    print_forget_report(console, presentation_of_account(account.settings, file), report)


def _as_json(report: ForgetReport) -> dict[str, object]:
    return {
        "account": report.account,
        "rehearsed": report.is_rehearsed,
        "found": report.was_found,
        "leads": report.leads,
        "events": report.events,
        "creations": report.creations,
        "sharing": report.sharing,
        "former_files": report.former_files,
        "offers": report.offers,
        "remains": tuple(unreachable_data_sentences(report)),
        "unfinished": report.unfinished,
    }
