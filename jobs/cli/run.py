"""`run`: one night for each account, one after the other."""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import structlog

from connectors.errors import ConnectorError
from connectors.ports import Clock
from jobs.cli.accounts import load_account, secrets_of, state_of, told
from jobs.cli.exits import StoppedBySignal, failure_of, stop_by_signal, worst
from jobs.cli.guarded import report
from jobs.cli.logs import Redaction, start_logging
from jobs.cli.progress import WatchedSource, Watcher, watching
from jobs.cli.telling import tell, watched
from jobs.ledger import views
from jobs.ledger.engine import LedgerError, copy_state
from jobs.ledger.fates import Fate
from jobs.ledger.ledger import Ledger, finish, held
from jobs.nightly import Deps, await_outcomes, rehearse, run_night, validate
from jobs.reporting import as_json
from jobs.reporting.night import Mode, Night, night_json, print_night
from jobs.reporting.terminal import results
from jobs.rulebook import Rulebook
from jobs.settings import Settings, Valid
from jobs.wiring import connect, open_clock

_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What kind of night is asked for."""

    mode: Mode = Mode.RUN
    wait: timedelta = timedelta()
    """How long to wait for outcomes."""
    accept_surge: bool = False
    """Whether more may go out than usual."""


def run_accounts(files: Sequence[Path], wanted: Wanted, *, json_wanted: bool) -> int:
    """Do the night of each account and print what it did; the exit code of the one that needs a human soonest.

    An account that fails does not keep the others from their night; a signal ends them all.
    """
    stop_by_signal()
    redaction = start_logging(as_json=not sys.stderr.isatty())
    codes = []
    for file in files:
        with structlog.contextvars.bound_contextvars(config=str(file)):
            try:
                codes.append(_account(file, redaction, wanted, json_wanted=json_wanted))
            except StoppedBySignal as stop:
                return report(failure_of(stop))
            except Exception as error:  # noqa: BLE001 - the next account's night must not depend on this one's
                failure = failure_of(error)
                codes.append(report(failure))
                if json_wanted:
                    _print_json({"config": str(file), "error": failure.message, "exit_code": failure.exit_code})
    return worst(codes)


def do_night(settings: Settings, watcher: Watcher, wanted: Wanted) -> Night:
    """One night for one account, on record from its start to its exit code; what it raises, `failure_of` explains."""
    with watched(settings) as codes:
        with (
            open_clock(settings) as clock,
            connect(settings, clock) as (book, deps),
            _taken(settings, state_of(settings), "run", clock) as ledger,
        ):
            night = _night(ledger, book, _watched(deps, watcher, wanted), watcher, wanted.wait)
            night = tell(ledger, book, deps, settings, night)
        codes.append(night.summary.exit_code)
        return night


def try_night(settings: Settings, watcher: Watcher, wanted: Wanted) -> Night:
    """What the night would do, found out on a copy of the state that is gone afterwards."""
    validating = wanted.mode is Mode.VALIDATION
    with (
        tempfile.TemporaryDirectory(prefix="oplead-sync-") as folder,
        open_clock(settings) as clock,
        connect(settings, clock, validate_only=validating) as (book, deps),
    ):
        copy = Path(folder) / "state.db"
        copy_state(state_of(settings), copy)
        with _taken(settings, copy, wanted.mode, clock) as ledger:
            tried = validate if validating else rehearse
            summary = tried(ledger, book, _watched(deps, watcher, wanted), watch=watcher.step)
            now = clock.now()
            with ledger.reading() as session:
                standing = views.tallies(session, ledger.account, now=now)
                moved = views.tallies(session, ledger.account, now=now, run=ledger.run)
    open_ones = [tally for tally in standing if tally.fate in (Fate.PENDING, Fate.IN_DOUBT, Fate.WITHHELD)]
    expired = [tally for tally in moved if tally.fate in (Fate.EXPIRED, Fate.CANCELLED)]
    return Night(summary, now, views.ordered([*open_ones, *expired]), wanted.mode)


def _account(file: Path, redaction: Redaction, wanted: Wanted, *, json_wanted: bool) -> int:
    loaded = load_account(file)
    settings = loaded.settings
    redaction.learn(secrets_of(settings))
    with structlog.contextvars.bound_contextvars(account=settings.account):
        _tell_notes(loaded)
        with watching(settings.account) as watcher:
            play = do_night if wanted.mode is Mode.RUN else try_night
            night = play(settings, watcher, wanted)
        if not sys.stderr.isatty():
            _log_night(night)
    if json_wanted:
        _print_json(night_json(night, settings.currency))
    else:
        print_night(results(), told(settings), night)
    return night.summary.exit_code


def _watched(deps: Deps, watcher: Watcher, wanted: Wanted) -> Deps:
    return replace(deps, source=WatchedSource(deps.source, watcher.page), accept_surge=wanted.accept_surge)


def _night(ledger: Ledger, book: Rulebook, deps: Deps, watcher: Watcher, wait: timedelta) -> Night:
    summary = run_night(ledger, book, deps, watch=watcher.step)
    if wait:
        await_outcomes(ledger, book, deps, summary, until=deps.clock.now() + wait, watch=watcher.step)
    now = deps.clock.now()
    finish(ledger, summary.exit_code, now=now)
    with ledger.reading() as session:
        moved = views.tallies(session, ledger.account, now=now, run=ledger.run)
    return Night(summary, now, moved)


@contextmanager
def _taken(settings: Settings, state: Path, command: str, clock: Clock) -> Iterator[Ledger]:
    """The account, held for one run; a run that breaks is on record with the exit code it ends with."""
    with held(state, settings.account, command, pid=os.getpid(), now=clock.now()) as ledger:
        try:
            yield ledger
        except BaseException as error:
            # Where even that cannot be written, the error itself still tells.
            with suppress(LedgerError, ConnectorError):
                finish(ledger, failure_of(error).exit_code, now=clock.now())
            raise


def _tell_notes(loaded: Valid) -> None:
    for note in loaded.notes:
        _log.info("setting not acted on yet", note=str(note))


def _log_night(night: Night) -> None:
    summary = night.summary
    if summary.source_stopped:
        _log.error("reading stopped", why=summary.source_stopped)
    for where, why in summary.stopped.items():
        _log.error("destination stopped", destination=where, why=why)
    for sentence in summary.attention:
        _log.warning("a human is needed", why=sentence)
    _log.info(
        "night ended",
        run=summary.run,
        seen=summary.pulled.seen,
        changed=summary.pulled.changed,
        requests=summary.delivered.requests,
        exit_code=summary.exit_code,
    )


def _print_json(document: dict[str, object]) -> None:
    results().out(as_json.line(document), highlight=False)
