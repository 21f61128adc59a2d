"""One night of one account, on record from its start to its exit code; `run`, `schedule` and `demo` share it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import structlog
from sqlmodel import Session

from connectors.bounded import Heed
from connectors.errors import ConnectorError
from connectors.ports import Clock
from jobs.cli.accounts import state_of
from jobs.cli.exits import failure_of
from jobs.cli.first_run import expect_no_other, expect_state
from jobs.cli.progress import WatchedSource, Watcher
from jobs.cli.telling import tell, watched
from jobs.ledger import views
from jobs.ledger.copies import sweep, throwaway
from jobs.ledger.engine import LedgerError, has_state
from jobs.ledger.fates import Fate
from jobs.ledger.ledger import Ledger, finish, held
from jobs.ledger.runs import NIGHTLY, RESOLVING
from jobs.nightly import Deps, Summary, await_outcomes, rehearse, run_night, validate
from jobs.reporting.night import Mode, Night
from jobs.settings import Settings
from jobs.stopping import Stop, go_on
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
    first_run: bool = False
    """Whether the account never ran before, so that its state is made."""
    others: frozenset[str] = frozenset()
    """Accounts known to be others: their states are not taken for this one's under an older name."""


def do_night(settings: Settings, watcher: Watcher, wanted: Wanted, *, stop: Stop | None = None) -> Night:
    """One night for one account; what it raises, `failure_of` explains.

    It is the night of the local date on which it began, unless that date has had one.
    """
    with open_clock(settings, stop) as clock:
        return do_night_of(settings, watcher, wanted, clock, heed=go_on if stop is None else stop.heed)


def do_night_of(
    settings: Settings,
    watcher: Watcher,
    wanted: Wanted,
    clock: Clock,
    *,
    heed: Heed,
    night: date | None = None,
    unless: Callable[[Session], None] | None = None,
) -> Night:
    """The same by a clock that is open already.

    Args:
        settings: the account.
        watcher: sees the steps and the pages.
        wanted: what kind of night.
        clock: the account's own.
        heed: asked before each request and each intent.
        night: which date's night it is; by default that of the local date on which it begins.
        unless: asked with the account in hand; what it raises leaves no trace of the run.
    """
    with watched(settings) as codes:
        expect_state(settings, first_run=wanted.first_run, others=wanted.others)
        sweep()
        with (
            connect(settings, clock, heed=heed) as (book, deps),
            taken(settings, state_of(settings), NIGHTLY, clock, unless, first_run=wanted.first_run) as ledger,
        ):
            seen = _seen(deps, watcher, wanted)
            summary = run_night(ledger, book, seen, watch=watcher.step)
            if wanted.wait:
                await_outcomes(ledger, book, seen, summary, until=clock.now() + wanted.wait, watch=watcher.step)
            night = night or summary.started_at.astimezone(settings.zone).date()
            done = tell(ledger, book, deps, settings, _ended(ledger, summary, clock, night))
        codes.append(done.summary.exit_code)
        return done


def ask_for_outcomes(settings: Settings, watcher: Watcher, clock: Clock, *, heed: Heed) -> Night:
    """Ask what became of what was sent, and send what has come due; no lead is read. A run of its own, and no night."""
    with (
        connect(settings, clock, heed=heed) as (book, deps),
        taken(settings, state_of(settings), RESOLVING, clock) as ledger,
    ):
        summary = run_night(ledger, book, deps, reading=False, watch=watcher.step)
        return tell(ledger, book, deps, settings, _ended(ledger, summary, clock, None))


def try_night(settings: Settings, watcher: Watcher, wanted: Wanted, *, stop: Stop | None = None) -> Night:
    """What the night would do, found out on a copy of the state that is gone afterwards."""
    validating = wanted.mode is Mode.VALIDATION
    heed = go_on if stop is None else stop.heed
    if not has_state(state_of(settings)):
        expect_no_other(settings, wanted.others)
        _log.warning("there is no state yet: what follows is what a first run would do", state=str(state_of(settings)))
    with (
        throwaway(state_of(settings)) as copy,
        open_clock(settings, stop) as clock,
        connect(settings, clock, validate_only=validating, heed=heed) as (book, deps),
        taken(settings, copy, wanted.mode, clock) as ledger,
    ):
        tried = validate if validating else rehearse
        summary = tried(ledger, book, _seen(deps, watcher, wanted), watch=watcher.step)
        now = clock.now()
        with ledger.reading() as session:
            standing = views.tallies(session, ledger.account, now=now)
            moved = views.tallies(session, ledger.account, now=now, run=ledger.run)
    open_ones = [tally for tally in standing if tally.fate in (Fate.PENDING, Fate.IN_DOUBT, Fate.WITHHELD)]
    expired = [tally for tally in moved if tally.fate in (Fate.EXPIRED, Fate.CANCELLED)]
    return Night(summary, now, views.ordered([*open_ones, *expired]), wanted.mode)


def log_night(night: Night) -> None:
    """Say what a night did on one line, and why a human is needed on others."""
    summary = night.summary
    if summary.source_stopped:
        _log.error("reading stopped", why=summary.source_stopped)
    for where, why in summary.stopped.items():
        _log.error("destination stopped", destination=where, why=why)
    for sentence in summary.attention:
        _log.warning("a human is needed", why=sentence)
    _log.info(
        "outcomes asked for" if summary.only_outcomes else "night ended",
        run=summary.run,
        seen=summary.pulled.seen,
        changed=summary.pulled.changed,
        requests=summary.delivered.requests,
        exit_code=summary.exit_code,
    )


def _ended(ledger: Ledger, summary: Summary, clock: Clock, night: date | None) -> Night:
    """Put a run's end on record; what it did."""
    now = clock.now()
    finish(ledger, summary.exit_code, night=night, now=now)
    with ledger.reading() as session:
        moved = views.tallies(session, ledger.account, now=now, run=ledger.run)
    return Night(summary, now, moved)


def _seen(deps: Deps, watcher: Watcher, wanted: Wanted) -> Deps:
    return replace(deps, source=WatchedSource(deps.source, watcher.page), accept_surge=wanted.accept_surge)


@contextmanager
def taken(
    settings: Settings,
    state: Path,
    command: str,
    clock: Clock,
    unless: Callable[[Session], None] | None = None,
    *,
    first_run: bool = False,
) -> Iterator[Ledger]:
    """The account, held for one run; a run that breaks is on record with the exit code it ends with."""
    now = clock.now()
    with held(state, settings.account, command, pid=os.getpid(), now=now, first_run=first_run, unless=unless) as ledger:
        try:
            yield ledger
        except BaseException as error:
            # Where even that cannot be written, the error itself still tells.
            with suppress(LedgerError, ConnectorError):
                finish(ledger, failure_of(error).exit_code, now=clock.now())
            raise
