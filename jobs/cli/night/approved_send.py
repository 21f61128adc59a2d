"""`backfill` and `retry`: sends outside the nightly run that need a human's approval."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import ClassVar

import structlog
from rich.console import Console

from connectors.language import N_, _, _n, format_list
from connectors.records import LeadId
from jobs import backfill_and_retry
from jobs.account.files import AccountFile, presentation_of_account, speaking_account_language
from jobs.account.hold import expect_state_exists, hold_account_for_run
from jobs.backfill_and_retry import AlreadySent, Requeued
from jobs.cli.night.approval import ApprovalOptions
from jobs.cli.output import signals_and_logging
from jobs.cli.progress import show_progress
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.outbox import backfill_and_retry as in_ledger
from jobs.ledger.outbox.backfill_and_retry import BackfillRequest, RejectionFilter
from jobs.ledger.report import queries
from jobs.ledger.report.queries import StateCount
from jobs.ledger.retention import retention
from jobs.ledger.runs import Ledger, finish_run
from jobs.nightly import begin_run
from jobs.plan.planner import erase_unusable_personal_data, plan, with_missing_value_guard
from jobs.reporting.backfill_report import (
    BackfillPreview,
    leads_read_sentence,
    print_preview,
    print_rejections_to_retry,
    print_sent,
    run_outcome_json,
)
from jobs.reporting.console import facts_grid, results_console
from jobs.reporting.presentation import AccountPresentation, print_json
from jobs.reporting.run_report import print_what_needs_humans, what_needs_a_human
from jobs.reporting.sentences import code_names, short_code, typed_name
from jobs.run_context import Deps, NightStep, ProgressDisplay, RunContext, no_progress_display
from jobs.run_summary import RunSummary
from jobs.settings import Settings
from jobs.settings.compile import Rulebook
from jobs.wiring.account import open_clock
from jobs.wiring.night import open_connectors
from jobs.wiring.state import account_state

_HEADINGS = frozenset({"lead", "lead_id", "id"})
_UNSENT, _UNCHANGED = N_("Nothing was sent."), N_("Nothing was sent or changed.")


@dataclass(slots=True)
class _ApprovedSend(ABC):
    """One approved send for one account."""

    account: AccountFile
    approval: ApprovalOptions
    book: Rulebook
    deps: Deps
    console: Console
    """Silent if the report is JSON."""
    command: ClassVar[str]

    @property
    def settings(self) -> Settings:
        """The account's settings."""
        return self.account.settings

    @property
    def heading(self) -> AccountPresentation:
        """How reports present the account."""
        return presentation_of_account(self.settings, self.account.file)

    def run(self) -> int:
        """Do the send in a run of its own and return its exit code; with `--dry-run`, on a copy of the state."""
        account, clock = account_state(self.settings), self.deps.clock
        if not self.approval.dry_run:
            expect_state_exists(self.settings)
        with (
            account.open_temporary_copy() if self.approval.dry_run else nullcontext(account) as state,
            hold_account_for_run(self.settings, state, self.command, clock) as ledger,
        ):
            code = self.preview_and_send(ledger)
            finish_run(ledger, code, now=clock.now())
            return code

    @abstractmethod
    def preview_and_send(self, ledger: Ledger) -> int:
        """Preview, ask, send, report, and return the exit code."""

    def run_context(self, ledger: Ledger, watch: ProgressDisplay = no_progress_display) -> RunContext:
        """Return the run that holds the ledger; `watch` shows its steps."""
        return RunContext(ledger, self.book, replace(self.deps, watch=watch))

    def expect_names(self, conversion: str | None, destination: str | None) -> None:
        """Check that the settings have this conversion and destination; None passes.

        Raises:
            UsageError: the settings don't have one of them.
        """
        for option, name, known in (
            ("--conversion", conversion, {route.conversion for route in self.book.routes}),
            ("--destination", destination, {route.destination for route in self.book.routes}),
        ):
            if name is not None and name not in known:
                raise UsageError(
                    _(
                        "{option} {name}: the settings have {known}",
                        option=option,
                        name=name,
                        known=", ".join(sorted(known)),
                    )
                )

    def say(self, text: str) -> None:
        """Print a line as is, without markup or wrapping."""
        self.console.print(text, markup=False, soft_wrap=True)

    def count_approved(self, ledger: Ledger) -> tuple[StateCount, ...]:
        """Return the delivery states of everything approved in this run."""
        with ledger.read_transaction() as session:
            return queries.count_by_state_and_reason(
                session, ledger.account, now=self.deps.clock.now(), approved_in=ledger.run
            )

    def report_sent(
        self, document: Mapping[str, object], summary: RunSummary, ledger: Ledger, *, approved: bool
    ) -> int:
        """Report what was sent."""
        tallies = self.count_approved(ledger)
        print_sent(self.console, self.heading, summary, tallies)
        return self.finish_with_report(document, summary, summary.exit_code, tallies, approved=approved)

    def finish_with_report(
        self,
        document: Mapping[str, object],
        summary: RunSummary,
        code: int = Exit.DONE,
        tallies: Sequence[StateCount] = (),
        *,
        approved: bool = False,
    ) -> int:
        """Print the report if it is JSON, and return the exit code."""
        if self.approval.json_wanted:
            head = {"command": self.command, "rehearsed": self.approval.dry_run, "approved": approved}
            print_json({**head, **document, **run_outcome_json(summary, tallies, code)})
        return code


def send_approved(
    open_account: Callable[[], AccountFile],
    approval: ApprovalOptions,
    make: Callable[[AccountFile, ApprovalOptions, Rulebook, Deps, Console], _ApprovedSend],
) -> int:
    """Make a `Backfill` or a `RetryRejected` of an account, run it, and return the exit code."""
    with signals_and_logging() as (stop, redaction):
        approval.require_approver()
        account, console = open_account(), results_console()
        settings, console.quiet = account.settings, approval.json_wanted
        redaction.register_secrets(account.secrets)
        with (
            speaking_account_language(account, json_wanted=approval.json_wanted),
            structlog.contextvars.bound_contextvars(account=settings.account),
            open_clock(settings, stop) as clock,
            open_connectors(settings, clock, cancel_token=stop.raise_if_stop_requested) as (book, deps),
        ):
            return make(account, approval, book, deps, console).run()


# ── retry ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True, kw_only=True)
class RetryRejected(_ApprovedSend):
    """Shows what was rejected, asks, and sends it again, for one account."""

    code: str | None
    """One of the code's names; None for all."""
    conversion: str | None
    destination: str | None
    command = "retry"

    def preview_and_send(self, ledger: Ledger) -> int:
        """Look, ask, read each lead again and send."""
        run = self.run_context(ledger)
        self.expect_names(self.conversion, self.destination)
        summary = begin_run(run)
        codes = None if self.code is None else _codes_named(ledger, self.code)
        chosen = backfill_and_retry.find_rejected(run, RejectionFilter(codes, self.destination, self.conversion))
        document = {"rejected": chosen.alike, "left": chosen.left, "requeued": Requeued()}
        print_rejections_to_retry(self.console, self.heading, chosen)
        if self.approval.dry_run:
            self.say(_(_UNCHANGED))
        if self.approval.dry_run or not chosen.rows:
            return self.finish_with_report(document, summary)
        conversions = len(chosen.rows) - chosen.corrections
        both = (
            _n("{count} conversion", "{count} conversions", conversions) if conversions else "",
            _n("{count} correction", "{count} corrections", chosen.corrections) if chosen.corrections else "",
        )
        named = format_list([*filter(None, both)])
        if not self.approval.ask_approval(_("Send {named} again?", named=named), self.deps.cancel_token):
            self.say(_(_UNSENT))
            return Exit.DONE
        with show_progress() as watch:
            with watch(NightStep.PULL, summary):
                requeued = backfill_and_retry.requeue_rejected(run, chosen, summary)
            backfill_and_retry.send_requeued(self.run_context(ledger, watch), summary)
        code = self.report_sent(document | {"requeued": requeued}, summary, ledger, approved=True)
        if requeued.corrections:
            later = _n(
                "{count} correction will go out with the next night.",
                "{count} corrections will go out with the next night.",
                requeued.corrections,
            )
            self.say(later)
        if unread := len(chosen.rows) - requeued.deliveries - requeued.corrections:
            still = _n(
                "{count} stays rejected: its lead could not be read again.",
                "{count} stay rejected: their leads could not be read again.",
                unread,
            )
            self.say(still)
        return code


def _codes_named(ledger: Ledger, name: str) -> list[str]:
    """Return the codes of rejected deliveries that bear a name."""
    with ledger.read_transaction() as session:
        known = in_ledger.rejection_codes(session, ledger.account)
    found = [code for code in known if typed_name(name) in code_names(code)]
    if not found:
        shown = ", ".join(sorted({*map(short_code, known)}))
        what = (
            _("nothing was rejected with it; the codes there are: {known}", known=shown)
            if known
            else _("nothing was rejected at all")
        )
        raise UsageError(f"--code {name}: {what}")
    return found


# ── backfill ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True, kw_only=True)
class Backfill(_ApprovedSend):
    """Shows what would be sent, asks, and sends it, for one account."""

    days: tuple[date, date] | None
    """The first and the last day; None if only a file is given."""
    conversion: str | None
    destination: str | None
    assume_time: bool
    already_sent: Path | None
    listed: list[AlreadySent] | None = field(default=None, init=False)
    request: BackfillRequest | None = field(default=None, init=False)
    command = "backfill"

    def __post_init__(self) -> None:
        now, zone = self.deps.clock.now(), self.settings.zone
        if self.already_sent is not None:
            self.listed = list(read_already_sent_list(self.already_sent))
        self.expect_names(self.conversion, self.destination)
        if self.days is not None:
            first, last = self.days
            start, end = (
                datetime.combine(day, time_of_day(), zone).astimezone(UTC) for day in (first, last + timedelta(days=1))
            )
            if start > now:
                raise UsageError(
                    _(
                        "--from {first} is in the future, where nothing has happened yet; write a day up to {today}. "
                        "What happens from now on goes out with the nights",
                        first=first,
                        today=now.astimezone(zone).date(),
                    )
                )
            self.request = BackfillRequest(start, end, self.conversion, self.destination, self.assume_time)
        known = {route.conversion for route in self.book.routes}
        listed = {one.conversion for one in self.listed or () if one.conversion}
        if unknown := sorted(listed - known):
            raise UsageError(
                _(
                    "{file}: no conversion is called {unknown}; the settings have {known}",
                    file=self.already_sent,
                    unknown=", ".join(map(repr, unknown)),
                    known=", ".join(sorted(known)),
                )
            )

    def preview_and_send(self, ledger: Ledger) -> int:
        """Read, preview, ask and send."""
        self._expect_leads_on_record(ledger)
        summary = self._read(ledger)
        if not summary.pulled.complete:
            return self._report_incomplete_reading(summary)
        with (
            ledger.state.open_temporary_copy() as copy,
            hold_account_for_run(self.settings, copy, self.command, self.deps.clock) as trial,
        ):
            preview = self._apply(trial)
        print_preview(self.console, self.heading, preview)
        if self.approval.dry_run:
            self.say(_(_UNCHANGED))
            return self.finish_with_report(self._document(preview), summary)
        question = preview.question
        if question is not None:
            if not self.approval.ask_approval(question, self.deps.cancel_token):
                erase_unusable_personal_data(self.run_context(ledger))
                self.say(_(_UNSENT))
                return Exit.DONE
            self._apply(ledger)
        # An interrupted backfill's deliveries were approved then: resolve them even if nothing is left to send.
        with show_progress() as watch:
            backfill_and_retry.send_requeued(self.run_context(ledger, watch), summary)
        return self.report_sent(self._document(preview), summary, ledger, approved=question is not None)

    def _expect_leads_on_record(self, ledger: Ledger) -> None:
        """Refuse a period that reaches back to leads that have left: what was sent of them is no longer known.

        Raises:
            UsageError: it does; the message names the first day that may be asked for.
        """
        with ledger.read_transaction() as session:
            before = retention.retention_cutoff(session, ledger.account)
        if self.request is not None and before is not None and self.request.start < before:
            raise UsageError(
                _(
                    "--from must be {day} or later: leads to which nothing had happened for long have left (see "
                    "`retention`), so what was sent of them is no longer known; and no platform takes what is so old",
                    day=before.astimezone(self.settings.zone).date() + timedelta(days=1),
                )
            )

    def _read(self, ledger: Ledger) -> RunSummary:
        """Read the leads that the request needs and judge them; without a request, judge those on record."""
        run = self.run_context(ledger)
        summary = begin_run(run)
        if self.request is None:
            plan(with_missing_value_guard(run), shown_since=None)
            summary.pulled.complete = True
            return summary
        with show_progress() as watch, watch(NightStep.PULL, summary):
            backfill_and_retry.read_requested(run, self.request, summary)
        self.console.print(facts_grid([(_("read"), leads_read_sentence(summary))]))
        self.console.print()
        return summary

    def _apply(self, ledger: Ledger) -> BackfillPreview:
        """Settle the listed conversions and pick the requested ones; on a copy of the state this is a preview."""
        run, settled = self.run_context(ledger), None
        if self.listed is not None:
            settled = backfill_and_retry.mark_listed_as_already_sent(
                run, self.listed, conversion=self.conversion, destination=self.destination
            )
        if self.request is None:
            return BackfillPreview(already_sent=settled)
        undated = backfill_and_retry.plan_requested_backfill(run, self.request)
        return BackfillPreview(
            backfill_and_retry.count_backfill_by_age(run), self.count_approved(ledger), undated, settled
        )

    def _report_incomplete_reading(self, summary: RunSummary) -> int:
        print_what_needs_humans(self.console, what_needs_a_human(summary))
        if not summary.source_stopped:
            self.say(_("Time or requests are used up before all leads were read."))
        self.say(_("Nothing was sent. Type the same again: reading goes on where it stopped."))
        return self.finish_with_report(
            self._document(BackfillPreview()), summary, Exit.STOPPED if summary.source_stopped else Exit.ATTENTION
        )

    def _document(self, preview: BackfillPreview) -> dict[str, object]:
        return {
            "from": self.request and self.request.start,
            "before": self.request and self.request.end,
            "groups": preview.groups,
            "stands": preview.tallies,
            "undated": [] if preview.undated is None else preview.undated,
            "already_sent": preview.already_sent,
        }


def read_already_sent_list(file: Path) -> Iterator[AlreadySent]:
    """Read a list of conversions already sent: one `LEAD` or `LEAD,CONVERSION` a line.

    Semicolons and tabs separate too; a heading line, `#` comments and blank lines are skipped.

    Raises:
        UsageError: a line has another form, or the file is not UTF-8 text.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError(_("{file}: this is not UTF-8 text; save the list as CSV UTF-8", file=file)) from None
    for line_number, line in enumerate(lines, start=1):
        cells = [cell.strip().strip('"') for cell in re.split(r"[,;\t]", line)]
        filled = [cell for cell in cells if cell]
        if not filled or filled[0].startswith("#") or (line_number == 1 and filled[0].casefold() in _HEADINGS):
            continue
        if len(filled) > 2 or not cells[0]:  # noqa: PLR2004 - the lead and its conversion
            raise UsageError(_("{file}:{line}: write a lead's id, or LEAD,CONVERSION", file=file, line=line_number))
        yield AlreadySent(LeadId(filled[0]), filled[1] if len(filled) > 1 else None)
