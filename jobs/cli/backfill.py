"""`backfill`: changes from before their start, sent because a human agreed."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from connectors.ports import Clock
from connectors.records import LeadId
from jobs import requeue
from jobs.cancellation import StopSignal, stoppable
from jobs.cli.accounts import heading_of, load_account, secrets_of, state_of
from jobs.cli.exits import Exit, WrongUsageError, failure_of
from jobs.cli.init.prompts import agrees, somebody_must_answer
from jobs.cli.output import WatchedSource, report, start_logging, watching
from jobs.cli.session import expect_state, taken
from jobs.ledger import queries
from jobs.ledger.database import throwaway
from jobs.ledger.requeue import BackfillRequest
from jobs.ledger.runs import Ledger, finish
from jobs.nightly import Deps, NightStep, begin
from jobs.plan.planner import erase_idle
from jobs.reporting import console
from jobs.reporting.backfill_report import Preview, print_needs, print_preview, print_sent, read_lines, sending_json
from jobs.reporting.console import facts, results
from jobs.requeue import AlreadySent
from jobs.run_summary import RunSummary
from jobs.settings import Settings
from jobs.settings.compile import Rulebook
from jobs.wiring import connect, open_clock

COMMAND = "backfill"
_HEADINGS = frozenset({"lead", "lead_id", "id"})


@dataclass(frozen=True, slots=True)
class BackfillOptions:
    """What is typed."""

    first: date | None = None
    last: date | None = None
    conversion: str | None = None
    destination: str | None = None
    assume_time: bool = False
    already_sent: Path | None = None
    yes: bool = False
    dry_run: bool = False
    json: bool = False


def backfill_account(file: Path, wanted: BackfillOptions) -> int:
    """Show what would be sent, ask, and send it; the exit code."""
    redaction = start_logging(as_json=not sys.stderr.isatty())
    with stoppable() as stop:
        try:
            somebody_must_answer(yes=wanted.yes, dry_run=wanted.dry_run, json_wanted=wanted.json)
            settings = load_account(file).settings
            redaction.learn(secrets_of(settings))
            with structlog.contextvars.bound_contextvars(account=settings.account):
                return _Backfill(settings, wanted, stop).play()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a person reads a sentence, never a traceback
            return report(failure_of(error))


@dataclass(slots=True)
class _Backfill:
    """One backfill of one account."""

    settings: Settings
    wanted: BackfillOptions
    stop: StopSignal

    def play(self) -> int:
        listed = [] if self.wanted.already_sent is None else list(listed_in(self.wanted.already_sent))
        with (
            open_clock(self.settings, self.stop) as clock,
            connect(self.settings, clock, cancel_token=self.stop.cancel_token) as (book, deps),
        ):
            self._check(book, listed, clock.now())
            with (
                state_for(self.settings, dry_run=self.wanted.dry_run) as state,
                taken(self.settings, state, COMMAND, clock) as ledger,
            ):
                code = self._do(ledger, book, deps, listed, clock)
                finish(ledger, code, now=clock.now())
                return code

    def _do(self, ledger: Ledger, book: Rulebook, deps: Deps, listed: list[AlreadySent], clock: Clock) -> int:
        summary = self._read(ledger, book, deps)
        if not summary.pulled.complete:
            return self._broken_off(summary)
        with throwaway(ledger.path) as copy, taken(self.settings, copy, COMMAND, clock) as trial:
            preview = self._apply(trial, book, deps, listed, clock)
        if not self.wanted.json:
            print_preview(results(), heading_of(self.settings), preview)
        question = preview.question
        if self.wanted.dry_run:
            return self._nothing_sent(summary, preview)
        if question is not None:
            if not agrees(question, yes=self.wanted.yes, cancel_token=self.stop.cancel_token):
                erase_idle(ledger, deps.sinks, now=clock.now())
                results().print("Nothing was sent.")
                return Exit.DONE
            self._apply(ledger, book, deps, listed, clock)
        # What an interrupted backfill may have sent was agreed to then, and is asked about whatever is left.
        with watching(self.settings.account) as watcher:
            requeue.send(ledger, book, deps, summary, watcher.step)
        with ledger.reading() as session:
            tallies = queries.tallies(session, ledger.account, now=clock.now(), approved_in=ledger.run)
        if self.wanted.json:
            self._print_json(preview, sending_json(summary, tallies, summary.exit_code), sent=question is not None)
        else:
            print_sent(results(), heading_of(self.settings), summary, tallies)
        return summary.exit_code

    def _read(self, ledger: Ledger, book: Rulebook, deps: Deps) -> RunSummary:
        """What is needed of Oplead, read and judged; without a time asked for, what is on record."""
        summary = begin(ledger, book, deps)
        asked = self._asked
        if asked is None:
            requeue.judge(ledger, book, deps)
            summary.pulled.complete = True
            return summary
        with watching(self.settings.account) as watcher:
            seen = replace(deps, source=WatchedSource(deps.source, watcher.page))
            with watcher.step(NightStep.PULL):
                requeue.read(ledger, book, seen, asked, summary)
        if not self.wanted.json:
            results().print(facts(read_lines(summary)))
            results().print()
        return summary

    def _apply(self, ledger: Ledger, book: Rulebook, deps: Deps, listed: list[AlreadySent], clock: Clock) -> Preview:
        """Settle what is listed and pick what is asked for; on a copy that shows what would become of it."""
        settled = None
        if self.wanted.already_sent is not None:
            settled = requeue.settle_already_sent(
                ledger,
                listed,
                conversion=self.wanted.conversion,
                destination=self.wanted.destination,
                now=clock.now(),
            )
        asked = self._asked
        if asked is None:
            return Preview(already_sent=settled)
        undated = requeue.pick(ledger, book, deps, asked)
        now = clock.now()
        with ledger.reading() as session:
            tallies = queries.tallies(session, ledger.account, now=now, approved_in=ledger.run)
        return Preview(requeue.groups(ledger, now=now), tallies, undated, settled)

    def _broken_off(self, summary: RunSummary) -> int:
        code = Exit.STOPPED if summary.source_stopped else Exit.ATTENTION
        if self.wanted.json:
            self._print_json(Preview(), sending_json(summary, (), code), sent=False)
            return code
        console = results()
        print_needs(console, summary)
        if not summary.source_stopped:
            console.print("Time or requests are used up before all leads were read.")
        console.print("Nothing was sent. Type the same again: reading goes on where it stopped.")
        return code

    def _nothing_sent(self, summary: RunSummary, preview: Preview) -> int:
        if self.wanted.json:
            self._print_json(preview, sending_json(summary, (), Exit.DONE), sent=False)
        elif self.wanted.dry_run:
            results().print("Nothing was sent or changed.")
        return Exit.DONE

    def _print_json(self, preview: Preview, sending: dict[str, object], *, sent: bool) -> None:
        asked = self._asked
        document = {
            "command": COMMAND,
            "rehearsed": self.wanted.dry_run,
            "agreed": sent,
            "from": asked and console.as_plain(asked.start),
            "before": asked and console.as_plain(asked.end),
            "groups": console.as_plain(preview.groups),
            "stands": console.as_plain(preview.tallies),
            "undated": console.as_plain([] if preview.undated is None else preview.undated),
            "already_sent": console.as_plain(preview.already_sent),
        }
        results().out(console.line(document | sending), highlight=False)

    @property
    def _asked(self) -> BackfillRequest | None:
        """The time asked for: both days from their beginning to their end, in the account's zone."""
        first, last, zone = self.wanted.first, self.wanted.last, self.settings.zone
        if first is None or last is None:
            return None
        return BackfillRequest(
            _midnight(first, zone),
            _midnight(last + timedelta(days=1), zone),
            self.wanted.conversion,
            self.wanted.destination,
            self.wanted.assume_time,
        )

    def _check(self, book: Rulebook, listed: list[AlreadySent], now: datetime) -> None:
        check_names(book, self.wanted.conversion, self.wanted.destination)
        if self._asked is not None and self._asked.start > now:
            today = now.astimezone(self.settings.zone).date()
            raise WrongUsageError(
                f"--from {self.wanted.first} lies in the future, and nothing has happened there yet; "
                f"write a day up to {today}. What happens from now on goes out with the nights"
            )
        known = {route.conversion for route in book.routes}
        unknown = sorted({one.conversion for one in listed if one.conversion is not None} - known)
        if unknown:
            raise WrongUsageError(
                f"{self.wanted.already_sent}: no conversion is called {', '.join(map(repr, unknown))}; "
                f"the settings have {', '.join(sorted(known))}"
            )


def check_names(book: Rulebook, conversion: str | None, destination: str | None) -> None:
    """Refuse a conversion or destination that the settings do not have.

    Raises:
        WrongUsageError: they have others.
    """
    for option, name, known in (
        ("--conversion", conversion, {route.conversion for route in book.routes}),
        ("--destination", destination, {route.destination for route in book.routes}),
    ):
        if name is not None and name not in known:
            raise WrongUsageError(f"{option} {name}: the settings have {', '.join(sorted(known))}")


def listed_in(file: Path) -> Iterator[AlreadySent]:
    """What a file lists: a lead's id a line, perhaps followed by a comma and a conversion's id.

    Raises:
        WrongUsageError: a line holds more than that, or the file is no text.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise WrongUsageError(f"{file}: this is no text in UTF-8; save the list as CSV UTF-8") from None
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip().strip('"') for cell in re.split(r"[,;\t]", line)]
        filled = [cell for cell in cells if cell]
        if not filled or filled[0].startswith("#") or (number == 1 and filled[0].casefold() in _HEADINGS):
            continue
        if len(filled) > 2 or not cells[0]:  # noqa: PLR2004 - the lead and its conversion
            raise WrongUsageError(f"{file}:{number}: write a lead's id, or LEAD,CONVERSION")
        yield AlreadySent(LeadId(filled[0]), filled[1] if len(filled) > 1 else None)


@contextmanager
def state_for(settings: Settings, *, dry_run: bool) -> Iterator[Path]:
    """The account's state; where nothing may change, a copy of it."""
    if dry_run:
        with throwaway(state_of(settings)) as copy:
            yield copy
    else:
        expect_state(settings)
        yield state_of(settings)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
