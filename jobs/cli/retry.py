"""`retry`: what platforms rejected, sent anew because a human agreed."""

import sys
from dataclasses import dataclass
from pathlib import Path

import structlog

from connectors.text import counted, number
from jobs import requeue
from jobs.cancellation import StopSignal, stoppable
from jobs.cli.accounts import heading_of, load_account, secrets_of
from jobs.cli.backfill import check_names, state_for
from jobs.cli.exits import Exit, WrongUsageError, failure_of
from jobs.cli.init.prompts import agrees, somebody_must_answer
from jobs.cli.output import report, start_logging, watching
from jobs.cli.session import taken
from jobs.ledger import queries
from jobs.ledger import requeue as ledger_requeue
from jobs.ledger.requeue import Refusals
from jobs.ledger.runs import Ledger, finish
from jobs.nightly import Deps, NightStep, begin
from jobs.reporting import console
from jobs.reporting.backfill_report import print_refusals, print_sent, sending_json
from jobs.reporting.console import results
from jobs.requeue import Chosen, Requeued
from jobs.settings import Settings
from jobs.settings.compile import Rulebook
from jobs.wiring import connect, open_clock

COMMAND = "retry"


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """What is typed."""

    refusals: Refusals
    yes: bool = False
    dry_run: bool = False
    json: bool = False


def retry_account(file: Path, wanted: RetryOptions) -> int:
    """Show what was rejected, ask, and send it anew; the exit code."""
    redaction = start_logging(as_json=not sys.stderr.isatty())
    with stoppable() as stop:
        try:
            somebody_must_answer(yes=wanted.yes, dry_run=wanted.dry_run, json_wanted=wanted.json)
            settings = load_account(file).settings
            redaction.learn(secrets_of(settings))
            with structlog.contextvars.bound_contextvars(account=settings.account):
                return _play(settings, wanted, stop)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a person reads a sentence, never a traceback
            return report(failure_of(error))


def _play(settings: Settings, wanted: RetryOptions, stop: StopSignal) -> int:
    with (
        open_clock(settings, stop) as clock,
        connect(settings, clock, cancel_token=stop.cancel_token) as (book, deps),
        state_for(settings, dry_run=wanted.dry_run) as state,
        taken(settings, state, COMMAND, clock) as ledger,
    ):
        check_names(book, wanted.refusals.conversion, wanted.refusals.destination)
        code = _do(ledger, book, deps, settings, wanted)
        finish(ledger, code, now=clock.now())
        return code


def _do(ledger: Ledger, book: Rulebook, deps: Deps, settings: Settings, wanted: RetryOptions) -> int:
    summary = begin(ledger, book, deps)
    _check_code(ledger, wanted.refusals.code)
    chosen = requeue.look(ledger, book, wanted.refusals, now=deps.clock.now())
    console = results()
    if not wanted.json:
        print_refusals(console, heading_of(settings), chosen)
    if wanted.dry_run or not chosen.count:
        if wanted.json:
            _print_json(chosen, sending_json(summary, (), Exit.DONE), wanted, Requeued(), sent=False)
        elif wanted.dry_run:
            console.print("Nothing was sent or changed.")
        return Exit.DONE
    if not agrees(f"Send {_named(chosen)} anew?", yes=wanted.yes, cancel_token=deps.cancel_token):
        console.print("Nothing was sent.")
        return Exit.DONE
    with watching(settings.account) as watcher:
        with watcher.step(NightStep.PULL):
            back = requeue.requeue(ledger, book, deps, chosen, summary)
        requeue.send(ledger, book, deps, summary, watcher.step)
    with ledger.reading() as session:
        tallies = queries.tallies(session, ledger.account, now=deps.clock.now(), approved_in=ledger.run)
    if wanted.json:
        _print_json(chosen, sending_json(summary, tallies, summary.exit_code), wanted, back, sent=True)
    else:
        print_sent(console, heading_of(settings), summary, tallies)
        if back.corrections:
            console.print(f"{counted(back.corrections, 'correction')} will go out with the next night.")
        if unread := chosen.count - back.count:
            console.print(f"{number(unread)} stay rejected: their leads could not be read again.")
    return summary.exit_code


def _named(chosen: Chosen) -> str:
    """How many conversions and corrections."""
    both = ((len(chosen.deliveries), "conversion"), (len(chosen.corrections), "correction"))
    return " and ".join(counted(count, what) for count, what in both if count)


def _check_code(ledger: Ledger, code: str | None) -> None:
    with ledger.reading() as session:
        known = ledger_requeue.codes(session, ledger.account)
    if code is not None and code not in known:
        what = f"nothing was rejected with it; the codes there are: {', '.join(known)}"
        raise WrongUsageError(f"--code {code}: {what if known else 'nothing was rejected at all'}")


def _print_json(
    chosen: Chosen, sending: dict[str, object], wanted: RetryOptions, back: Requeued, *, sent: bool
) -> None:
    document = {
        "command": COMMAND,
        "rehearsed": wanted.dry_run,
        "agreed": sent,
        "rejected": console.as_plain(chosen.alike),
        "left": chosen.left,
        "requeued": console.as_plain(back),
    }
    results().out(console.line(document | sending), highlight=False)
