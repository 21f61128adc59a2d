"""`run` and `schedule`: nights of one or more accounts, now or when due."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path

import structlog
from sqlmodel import Session

from connectors.liveness import Liveness
from connectors.ports import Clock
from jobs.cancellation import StoppedBySignal, StopSignal, run_in_threads, stoppable
from jobs.cli.accounts import Opened, clash_of, files_of, heading_of, open_account, open_accounts, state_of
from jobs.cli.exits import Exit, Failure, WrongFilesError, failure_of, stopped_by, worst
from jobs.cli.output import Redaction, report, start_logging, watching
from jobs.cli.session import RunOptions, ask_for_outcomes, do_night, do_night_of, expect_state, log_night, try_night
from jobs.ledger import runs
from jobs.ledger.database import LedgerError, has_state, open_engine
from jobs.ledger.runs import reading
from jobs.reporting import console
from jobs.reporting.console import day_and_time, results
from jobs.reporting.run_report import Ended, Mode, Night, night_json, print_accounts, print_night
from jobs.scheduler import AFTER_A_NIGHT, AccountScheduler, TaskOutcome
from jobs.settings import Settings, Valid
from jobs.timetable import Firing, Timetable, by_cron, daily
from jobs.wiring import open_clock

STOPPED = "stopped"
_log = structlog.stdlib.get_logger()


def run_accounts(paths: Sequence[Path], wanted: RunOptions, *, at_once: int, json_wanted: bool) -> int:
    """Do the night of each account and print what it did; the exit code of the one that needs a human soonest.

    An account that fails does not keep the others from their night; a signal ends them all.
    """
    redaction = start_logging(as_json=not sys.stderr.isatty())
    with stoppable() as stop:
        try:
            accounts = open_accounts(files_of(paths))
        except WrongFilesError as error:
            return report(failure_of(error))
        for account in accounts:
            redaction.learn(account.secrets)
        alone = len(accounts) == 1
        wanted = replace(wanted, others=frozenset(account.name for account in accounts))
        ended: list[Ended] = []
        for one in run_in_threads(
            [partial(_account, account, wanted, stop, alone=alone) for account in accounts], at_once=at_once
        ):
            ended.append(one)
            _print(one, json_wanted=json_wanted)
        if not alone and not json_wanted:
            print_accounts(results(), ended)
    if stop.number is not None and any(one.exit_code == stopped_by(stop.number) for one in ended):
        return report(failure_of(StoppedBySignal(stop.number)))
    return worst(one.exit_code for one in ended)


def _account(account: Opened, wanted: RunOptions, stop: StopSignal, *, alone: bool) -> Ended:
    """One account's night, or why there was none; whatever happens, the others' nights go on."""
    bound = {"config": str(account.file)} if alone else {"config": str(account.file), "account": account.name}
    with structlog.contextvars.bound_contextvars(**bound):
        if isinstance(account.found, Failure):
            return _failed(account, account.found)
        try:
            stop.cancel_token()
            return _night(account.found, wanted, stop, alone=alone)
        except StoppedBySignal as signal:
            return Ended(account.name, failure_of(signal).exit_code, why=STOPPED)
        except Exception as error:  # noqa: BLE001 - the next account's night must not depend on this one's
            return _failed(account, failure_of(error))


def _night(loaded: Valid, wanted: RunOptions, stop: StopSignal, *, alone: bool) -> Ended:
    settings = loaded.settings
    with structlog.contextvars.bound_contextvars(account=settings.account):
        for note in loaded.notes:
            _log.info("setting noted", note=str(note))
        with watching(settings.account, alone=alone) as watcher:
            play = do_night if wanted.mode is Mode.RUN else try_night
            night = play(settings, watcher, wanted, stop=stop)
        if not sys.stderr.isatty():
            log_night(night)
    return Ended(settings.account, night.summary.exit_code, night, heading_of(settings))


def _failed(account: Opened, failure: Failure) -> Ended:
    report(failure)
    return Ended(str(account.file), failure.exit_code, why=failure.message)


def _print(one: Ended, *, json_wanted: bool) -> None:
    if one.night is None or one.account is None:
        if json_wanted and one.why != STOPPED:
            _print_json({"config": one.name, "error": one.why, "exit_code": one.exit_code})
    elif json_wanted:
        _print_json(night_json(one.night, one.account.currency))
    else:
        print_night(results(), one.account, one.night)


def _print_json(document: dict[str, object]) -> None:
    results().out(console.line(document), highlight=False)


_A_DAY = 86_400.0  # seconds; the loop may wait for a night's work as long as that


@dataclass(frozen=True, slots=True)
class Service:
    """How the nights are to be done."""

    at_once: int = 4
    json: bool = False
    first_run: bool = False
    """Whether none of the accounts ran before, so that their states are made."""
    health: Path | None = None
    """A file whose age tells when the service was last alive."""


def schedule_accounts(paths: Sequence[Path], service: Service) -> int:
    """Do every account's nights until a signal asks to stop, then 0; an account that fails keeps no other from its own.

    With `first_run` none of them may have a state yet.
    """
    redaction = start_logging(as_json=not sys.stderr.isatty())
    with stoppable() as stop:
        try:
            shared = _Shared(stop, redaction, json_wanted=service.json)
            shared.accounts = [
                _ServedAccount(opened, shared, first_run=service.first_run) for opened in open_accounts(files_of(paths))
            ]
            for settings in [each.settings for each in shared.accounts if service.first_run and each.may_run]:
                expect_state(settings, first_run=True, others=shared.names)
            first = next((each.settings for each in shared.accounts if not each.failures()), None)
            if first is None:
                return worst(report(failure) for each in shared.accounts for failure in each.failures())
            shared.clock = str(first.clock) if first.clock else None
            with open_clock(first, stop, patience=_A_DAY) as clock:
                liveness = Liveness(service.health)
                AccountScheduler(shared.accounts, clock, stop, at_once=service.at_once, liveness=liveness).run()
        except StoppedBySignal:
            pass
        except Exception as error:  # noqa: BLE001 - a person reads a sentence, never a traceback
            return report(failure_of(error))
    _log.info("stopped, as asked; what was sent is on record")
    return Exit.DONE


def timetable_of(settings: Settings) -> Timetable | None:
    """When the settings want a night; None where they do not say."""
    when = settings.schedule
    if when is None:
        return None
    if when.daily is not None:
        return daily(when.daily, settings.zone)
    return by_cron(when.cron, settings.zone) if when.cron is not None else None


@dataclass(slots=True)
class _Shared:
    """What the accounts of one process have in common."""

    stop: StopSignal
    redaction: Redaction
    json_wanted: bool
    accounts: "list[_ServedAccount]" = field(default_factory=list)
    clock: str | None = None
    """The address of the sandbox's clock that all of them go by; None for the machine's."""
    printing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def names(self) -> frozenset[str]:
        """What the accounts are called."""
        return frozenset(each.name for each in self.accounts)


class _ServedAccount:
    """A settings file and its nights, as the loop has them done; whatever fails is told here."""

    def __init__(self, opened: Opened, shared: _Shared, *, first_run: bool) -> None:
        self._opened = opened
        self._shared = shared
        self._first_run = first_run

    @property
    def key(self) -> str:
        """The file: an account's name may be mended."""
        return str(self._opened.file)

    @property
    def name(self) -> str:
        """The account's."""
        return self._opened.name

    @property
    def may_run(self) -> bool:
        """Whether what stands in the file may."""
        return not isinstance(self._opened.found, Failure)

    @property
    def settings(self) -> Settings:
        """What stands in the file, which may run."""
        if isinstance(self._opened.found, Failure):
            raise TypeError("these settings may not run")
        return self._opened.found.settings

    def failures(self) -> list[Failure]:
        """Why there can be no nights; nothing where there can."""
        found = self._opened.found
        if isinstance(found, Failure):
            return [found]
        clash = clash_of(self._opened, [each._opened for each in self._shared.accounts])  # noqa: SLF001 - one of us
        if clash:
            return [clash]
        said = []
        if timetable_of(found.settings) is None:
            said.append('schedule: write when the night is due, as schedule: { daily: "05:30" }')
        address = str(found.settings.clock) if found.settings.clock else None
        if self._shared.clock is not None and address != self._shared.clock:
            said.append("clock: the accounts of one schedule go by one clock; write the others' here, or none")
        if said:
            return [Failure(f"{self._opened.file}: {each}", Exit.CONFIGURATION) for each in said]
        try:
            expect_state(found.settings, first_run=self._makes_state(), others=self._shared.names)
        except LedgerError as error:
            return [failure_of(error)]
        return []

    def _makes_state(self) -> bool:
        """Whether the account's state is to be made: one that was there once and is gone is lost."""
        self._first_run = self._first_run and not has_state(state_of(self.settings))
        return self._first_run

    def read(self) -> Timetable | None:
        """Read the file anew, as marketing may have changed it; None where it must not run, which is told."""
        self._opened = open_account(self._opened.file)
        self._shared.redaction.learn(self._opened.secrets)
        with self._bound():
            for failure in (failures := self.failures()):
                report(failure)
        return None if failures else timetable_of(self.settings)

    def planned(self, firing: Firing | None) -> None:
        """Say when the next night is due."""
        if firing is None:
            return
        with self._bound():
            _log.info("next night", night=firing.night.isoformat(), at=firing.at.isoformat())
        if not self._shared.json_wanted:
            at = day_and_time(firing.at, self.settings.zone)
            with self._shared.printing:
                results().print(f"{self._opened.name} · next night {at} ({self.settings.timezone})", markup=False)

    def open_clock(self) -> AbstractContextManager[Clock]:
        """A clock of the account's own."""
        return open_clock(self.settings, self._shared.stop)

    def night(self, night: date, clock: Clock, *, if_missed: bool) -> TaskOutcome:
        """Do a date's night unless it is done."""
        settings, cancel_token = self.settings, self._shared.stop.cancel_token

        def unless(session: Session) -> None:
            today = clock.now().astimezone(settings.zone).date()
            account, passes = settings.account, AFTER_A_NIGHT
            runs.expect_undone(session, account, night, today=today, if_missed=if_missed, passes=passes)

        with self._bound():
            try:
                with watching(settings.account, alone=False) as watcher:
                    if if_missed:
                        _log.info("looking for a missed night", night=night.isoformat())
                    wanted = RunOptions(first_run=self._makes_state(), others=self._shared.names)
                    done = do_night_of(
                        settings, watcher, wanted, clock, cancel_token=cancel_token, night=night, unless=unless
                    )
            except runs.NightDoneError as error:
                if error.run is not None and not if_missed:
                    _log.info("this night is done already", night=night.isoformat(), run=error.run)
                return TaskOutcome(error.next_pass)
            except Exception as error:  # noqa: BLE001 - the others' nights must not depend on this one's
                return self._failed(error)
            return self._ended(done)

    def outcomes(self, clock: Clock) -> TaskOutcome:
        """Ask for outcomes, and send what has come due."""
        with self._bound():
            try:
                with watching(self.settings.account, alone=False) as watcher:
                    done = ask_for_outcomes(self.settings, watcher, clock, cancel_token=self._shared.stop.cancel_token)
            except Exception as error:  # noqa: BLE001 - the others' nights must not depend on this one's
                return self._failed(error)
            return self._ended(done)

    def _ended(self, night: Night) -> TaskOutcome:
        settings = self.settings
        log_night(night)
        with self._shared.printing:
            if self._shared.json_wanted:
                results().out(console.line(night_json(night, settings.currency)), highlight=False)
            else:
                print_night(results(), heading_of(settings), night)
        try:
            return TaskOutcome(_next_outcomes(settings))
        except LedgerError as error:
            return self._failed(error)

    @staticmethod
    def _failed(error: Exception) -> TaskOutcome:
        report(failure_of(error))
        return TaskOutcome(undone=True)

    @contextmanager
    def _bound(self) -> Iterator[None]:
        with structlog.contextvars.bound_contextvars(config=self.key, account=self._opened.name):
            yield


def _next_outcomes(settings: Settings) -> datetime | None:
    path = state_of(settings)
    engine = open_engine(path, for_writing=False)
    try:
        with reading(engine, path) as session:
            return runs.next_pass(session, settings.account, AFTER_A_NIGHT)
    finally:
        engine.dispose()
