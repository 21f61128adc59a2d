"""`backfill` and `retry`: sends outside the nightly run that need a human's approval."""

import re
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path

import structlog

from connectors.http import CancelToken
from connectors.records import LeadId
from connectors.text import counted, number
from jobs import requeue
from jobs.cli.accounts import heading_of, load_account, secrets_of, state_of
from jobs.cli.exits import Exit, UsageError
from jobs.cli.output import Watcher, at_work, print_json, say, unwatched, watching
from jobs.cli.session import expect_state, taken
from jobs.ledger import queries
from jobs.ledger import requeue as ledger_requeue
from jobs.ledger.database import throwaway
from jobs.ledger.queries import StateCount
from jobs.ledger.requeue import BackfillRequest, Refusals
from jobs.ledger.runs import Ledger, finish
from jobs.ledger.schema import Adjustment, Delivery
from jobs.nightly import begin
from jobs.plan.planner import erase_idle, guarded, plan
from jobs.reporting.backfill_report import (
    Preview,
    print_preview,
    print_refusals,
    print_sent,
    read_lines,
    sending_json,
)
from jobs.reporting.console import facts, results
from jobs.reporting.run_report import needs, print_needs
from jobs.requeue import AlreadySent, Chosen, Requeued
from jobs.run_context import Deps, NightStep, RunContext
from jobs.run_summary import RunSummary
from jobs.settings import Settings
from jobs.settings.compile import Rulebook
from jobs.wiring import connect, open_clock

PATIENCE_SECONDS = 600
"""How long to wait for an answer; the account is held meanwhile, and no night can run."""
_LOOK_EVERY = 0.5
_HEADINGS = frozenset({"lead", "lead_id", "id"})


@dataclass(frozen=True, slots=True)
class Approval:
    """How a send is approved and reported."""

    yes: bool = False
    dry_run: bool = False
    json: bool = False

    def expect_somebody(self) -> None:
        """Check that somebody can approve, or that no approval is needed.

        Raises:
            UsageError: approval is needed and nobody is at the terminal, or `--json` is given.
        """
        if self.yes or self.dry_run:
            return
        if self.json:
            raise UsageError("--json asks nobody: write --yes to agree, or --dry-run to look only")
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError("nobody is there to agree: write --yes to agree, or --dry-run to look only")

    def agrees(self, question: str, cancel_token: CancelToken) -> bool:
        """Whether somebody agrees, now or beforehand with `--yes`; any other answer means no.

        Raises:
            UsageError: nobody answered within `PATIENCE_SECONDS`.
        """
        if self.yes:
            return True
        results().out(f"{question} [y/N]: ", end="", highlight=False)
        sys.stdout.flush()
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            ready, _, _ = select.select([sys.stdin], [], [], _LOOK_EVERY)
            cancel_token()
            if ready:
                return sys.stdin.readline().strip().casefold() in {"y", "yes", "o", "oui"}
        raise UsageError("nobody answered for ten minutes: nothing was done; write --yes to agree beforehand")


@dataclass(slots=True)
class _Send:
    """One approved send for one account."""

    command: str
    settings: Settings
    approval: Approval
    book: Rulebook
    deps: Deps

    def run(self, ledger: Ledger, watcher: Watcher | None = None) -> RunContext:
        """Return the run that holds the ledger; `watcher` shows its steps and pages."""
        shown = watcher or unwatched()
        return RunContext(ledger, self.book, replace(self.deps, watch=shown.step, on_page=shown.page))

    def on_record(self, do: Callable[[Ledger], int]) -> int:
        """Call `do` in a run of its own and record its exit code; with `--dry-run`, on a copy of the state."""
        path, clock = state_of(self.settings), self.deps.clock
        if not self.approval.dry_run:
            expect_state(self.settings)
        with (
            throwaway(path) if self.approval.dry_run else nullcontext(path) as state,
            taken(self.settings, state, self.command, clock) as ledger,
        ):
            code = do(ledger)
            finish(ledger, code, now=clock.now())
            return code

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
                raise UsageError(f"{option} {name}: the settings have {', '.join(sorted(known))}")

    def standing(self, ledger: Ledger) -> tuple[StateCount, ...]:
        """Return the delivery states of everything approved in this run."""
        with ledger.reading() as session:
            return queries.tallies(session, ledger.account, now=self.deps.clock.now(), approved_in=ledger.run)

    def nothing_sent(self, document: Mapping[str, object], summary: RunSummary) -> int:
        """Report that there was nothing to send."""
        if self.approval.json:
            self.print_json(document, sending_json(summary, (), Exit.DONE), approved=False)
        elif self.approval.dry_run:
            say("Nothing was sent or changed.")
        return Exit.DONE

    def sent(
        self, document: Mapping[str, object], summary: RunSummary, ledger: Ledger, *, approved: bool = True
    ) -> int:
        """Report what was sent."""
        tallies = self.standing(ledger)
        if self.approval.json:
            self.print_json(document, sending_json(summary, tallies, summary.exit_code), approved=approved)
        else:
            print_sent(results(), heading_of(self.settings), summary, tallies)
        return summary.exit_code

    def print_json(self, document: Mapping[str, object], sending: Mapping[str, object], *, approved: bool) -> None:
        """Print the report as JSON."""
        head = {"command": self.command, "rehearsed": self.approval.dry_run, "agreed": approved}
        print_json({**head, **document, **sending})


@contextmanager
def _opened(command: str, file: Path, approval: Approval) -> Iterator[_Send]:
    with at_work() as (stop, redaction):
        approval.expect_somebody()
        settings = load_account(file)
        redaction.learn(secrets_of(settings))
        with (
            structlog.contextvars.bound_contextvars(account=settings.account),
            open_clock(settings, stop) as clock,
            connect(settings, clock, cancel_token=stop.cancel_token) as (book, deps),
        ):
            yield _Send(command, settings, approval, book, deps)


# ── retry ────────────────────────────────────────────────────────────────────────────────────────


def retry_account(file: Path, refusals: Refusals, approval: Approval) -> int:
    """Show what was rejected, ask, send it again, and return the exit code."""
    with _opened("retry", file, approval) as send:
        return send.on_record(lambda ledger: _retry(send, ledger, refusals))


def _retry(send: _Send, ledger: Ledger, refusals: Refusals) -> int:
    send.expect_names(refusals.conversion, refusals.destination)
    summary = begin(send.run(ledger))
    _expect_code(ledger, refusals.code)
    chosen = requeue.look(send.run(ledger), refusals)
    if not send.approval.json:
        print_refusals(results(), heading_of(send.settings), chosen)
    if send.approval.dry_run or not chosen.rows:
        return send.nothing_sent(_retry_json(chosen, Requeued()), summary)
    both = ((len(chosen.ids(Delivery)), "conversion"), (len(chosen.ids(Adjustment)), "correction"))
    named = " and ".join(counted(count, what) for count, what in both if count)
    if not send.approval.agrees(f"Send {named} again?", send.deps.cancel_token):
        say("Nothing was sent.")
        return Exit.DONE
    with watching(send.settings.account) as watcher:
        with watcher.step(NightStep.PULL):
            requeued = requeue.requeue(send.run(ledger, watcher), chosen, summary)
        requeue.send(send.run(ledger, watcher), summary)
    code = send.sent(_retry_json(chosen, requeued), summary, ledger)
    if not send.approval.json:
        if requeued.corrections:
            say(f"{counted(requeued.corrections, 'correction')} will go out with the next night.")
        if unread := len(chosen.rows) - requeued.deliveries - requeued.corrections:
            say(f"{number(unread)} stay rejected: their leads could not be read again.")
    return code


def _expect_code(ledger: Ledger, code: str | None) -> None:
    with ledger.reading() as session:
        known = ledger_requeue.codes(session, ledger.account)
    if code is not None and code not in known:
        what = f"nothing was rejected with it; the codes there are: {', '.join(known)}"
        raise UsageError(f"--code {code}: {what if known else 'nothing was rejected at all'}")


def _retry_json(chosen: Chosen, requeued: Requeued) -> dict[str, object]:
    return {"rejected": chosen.alike, "left": chosen.left, "requeued": requeued}


# ── backfill ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """The options of `backfill`."""

    first: date | None = None
    last: date | None = None
    conversion: str | None = None
    destination: str | None = None
    assume_time: bool = False
    already_sent: Path | None = None


def backfill_account(file: Path, options: BackfillOptions, approval: Approval) -> int:
    """Show what would be sent, ask, send it, and return the exit code."""
    with _opened("backfill", file, approval) as send:
        already_sent = None if options.already_sent is None else list(listed_in(options.already_sent))
        work = _Backfill(send, options, already_sent, _request(options, send.settings))
        work.check()
        return send.on_record(work.do)


def _request(options: BackfillOptions, settings: Settings) -> BackfillRequest | None:
    """Build the requested period, both days inclusive, in the account's zone."""
    if options.first is None or options.last is None:
        return None
    start, end = (
        datetime.combine(day, time_of_day(), settings.zone).astimezone(UTC)
        for day in (options.first, options.last + timedelta(days=1))
    )
    return BackfillRequest(start, end, options.conversion, options.destination, options.assume_time)


@dataclass(slots=True)
class _Backfill:
    """One backfill for one account."""

    send: _Send
    options: BackfillOptions
    already_sent: list[AlreadySent] | None
    request: BackfillRequest | None

    def check(self) -> None:
        """Reject names that the settings lack, and a period that starts in the future."""
        options, now = self.options, self.send.deps.clock.now()
        self.send.expect_names(options.conversion, options.destination)
        if self.request is not None and self.request.start > now:
            today = now.astimezone(self.send.settings.zone).date()
            raise UsageError(
                f"--from {options.first} is in the future, where nothing has happened yet; "
                f"write a day up to {today}. What happens from now on goes out with the nights"
            )
        known = {route.conversion for route in self.send.book.routes}
        listed = {one.conversion for one in self.already_sent or () if one.conversion}
        if unknown := sorted(listed - known):
            raise UsageError(
                f"{options.already_sent}: no conversion is called {', '.join(map(repr, unknown))}; "
                f"the settings have {', '.join(sorted(known))}"
            )

    def do(self, ledger: Ledger) -> int:
        """Read, preview, ask and send."""
        send, deps = self.send, self.send.deps
        summary = self._read(ledger)
        if not summary.pulled.complete:
            return self._broken_off(summary)
        with throwaway(ledger.path) as copy, taken(send.settings, copy, send.command, deps.clock) as trial:
            preview = self._apply(trial)
        if not send.approval.json:
            print_preview(results(), heading_of(send.settings), preview)
        if send.approval.dry_run:
            return send.nothing_sent(self._document(preview), summary)
        question = preview.question
        if question is not None:
            if not send.approval.agrees(question, deps.cancel_token):
                erase_idle(send.run(ledger))
                say("Nothing was sent.")
                return Exit.DONE
            self._apply(ledger)
        # An interrupted backfill's deliveries were approved then: resolve them even if nothing is left to send.
        with watching(send.settings.account) as watcher:
            requeue.send(send.run(ledger, watcher), summary)
        return send.sent(self._document(preview), summary, ledger, approved=question is not None)

    def _read(self, ledger: Ledger) -> RunSummary:
        """Read the leads that the request needs and judge them; without a request, judge those on record."""
        run = self.send.run(ledger)
        summary = begin(run)
        if self.request is None:
            plan(guarded(run))
            summary.pulled.complete = True
            return summary
        with watching(self.send.settings.account) as watcher, watcher.step(NightStep.PULL):
            requeue.read(self.send.run(ledger, watcher), self.request, summary)
        if not self.send.approval.json:
            results().print(facts(read_lines(summary)))
            results().print()
        return summary

    def _apply(self, ledger: Ledger) -> Preview:
        """Settle the listed conversions and pick the requested ones; on a copy of the state this is a preview."""
        run, options, settled = self.send.run(ledger), self.options, None
        if self.already_sent is not None:
            settled = requeue.settle_already_sent(
                run, self.already_sent, conversion=options.conversion, destination=options.destination
            )
        if self.request is None:
            return Preview(already_sent=settled)
        undated = requeue.pick(run, self.request)
        return Preview(requeue.groups(run), self.send.standing(ledger), undated, settled)

    def _broken_off(self, summary: RunSummary) -> int:
        code = Exit.STOPPED if summary.source_stopped else Exit.ATTENTION
        if self.send.approval.json:
            self.send.print_json(self._document(Preview()), sending_json(summary, (), code), approved=False)
            return code
        print_needs(results(), needs(summary))
        if not summary.source_stopped:
            say("Time or requests are used up before all leads were read.")
        say("Nothing was sent. Type the same again: reading goes on where it stopped.")
        return code

    def _document(self, preview: Preview) -> dict[str, object]:
        return {
            "from": self.request and self.request.start,
            "before": self.request and self.request.end,
            "groups": preview.groups,
            "stands": preview.tallies,
            "undated": [] if preview.undated is None else preview.undated,
            "already_sent": preview.already_sent,
        }


def listed_in(file: Path) -> Iterator[AlreadySent]:
    """Read a list of conversions already sent: one `LEAD` or `LEAD,CONVERSION` a line.

    Semicolons and tabs separate too; a heading line, `#` comments and blank lines are skipped.

    Raises:
        UsageError: a line has another form, or the file is not UTF-8 text.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{file}: this is not UTF-8 text; save the list as CSV UTF-8") from None
    for line_number, line in enumerate(lines, start=1):
        cells = [cell.strip().strip('"') for cell in re.split(r"[,;\t]", line)]
        filled = [cell for cell in cells if cell]
        if not filled or filled[0].startswith("#") or (line_number == 1 and filled[0].casefold() in _HEADINGS):
            continue
        if len(filled) > 2 or not cells[0]:  # noqa: PLR2004 - the lead and its conversion
            raise UsageError(f"{file}:{line_number}: write a lead's id, or LEAD,CONVERSION")
        yield AlreadySent(LeadId(filled[0]), filled[1] if len(filled) > 1 else None)
