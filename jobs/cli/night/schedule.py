"""`schedule`: run the nights of one or more accounts when they are due."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog

from connectors.language import _, using_language
from connectors.signals.liveness import LivenessReporter
from jobs.account.failures import failure_from_error, log_failure, worst_exit_code
from jobs.account.files import AccountFile, find_settings_files, load_accounts, presentation_of_account
from jobs.account.hold import expect_state_exists
from jobs.account.runner import AccountNightRunner, SharedByAccounts
from jobs.cancellation import StoppedBySignal
from jobs.cli.night.run import print_one_night, with_brief
from jobs.cli.output import signals_and_logging
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.storage.state_file import LedgerError
from jobs.reporting.console import day_and_time, say
from jobs.reporting.run_report import Night
from jobs.scheduler import NightScheduler
from jobs.timetable import DueNight
from jobs.wiring.account import open_clock

_log = structlog.stdlib.get_logger()

_A_DAY = 86_400.0  # seconds; the loop may have to wait that long for a night's work
_PRINTING = threading.Lock()


def run_accounts_on_schedule(
    paths: Sequence[Path], *, at_once: int, json_wanted: bool, first_run: bool, health: Path | None
) -> int:
    """Run every account's nights until a signal requests a stop, then return 0.

    One account's failure does not affect the others; if none of them can run, return their worst exit code at once.
    The file `health` is touched regularly while the service is alive.
    """
    with signals_and_logging() as (stop, redaction), suppress(StoppedBySignal):
        show = partial(_print_night, json_wanted=json_wanted)
        shared = SharedByAccounts(stop, redaction, show, None if json_wanted else _print_next_night)
        shared.accounts = [
            AccountNightRunner(one, shared, first_run=first_run) for one in load_accounts(find_settings_files(paths))
        ]
        for each in shared.accounts if first_run else ():
            with suppress(UsageError):
                expect_state_exists(each.account.settings, first_run=True, others=shared.names)
        usable, failures = [], []
        for each in shared.accounts:
            with using_language(each.account.language):
                try:
                    each.timetable()
                    usable.append(each.account.settings)
                except (UsageError, LedgerError) as error:
                    failures.append(failure_from_error(error))
        if not usable:
            return worst_exit_code(map(log_failure, failures))
        shared.clock = usable[0].clock
        with open_clock(usable[0], stop, patience=_A_DAY) as clock:
            NightScheduler(shared.accounts, clock, stop, at_once=at_once, liveness=LivenessReporter(health)).run()
    _log.info("stopped, as asked; what was sent is on record")
    return Exit.DONE


def _print_night(account: AccountFile, night: Night, *, json_wanted: bool) -> None:
    settings = account.settings
    told = night if json_wanted else with_brief(settings, night)
    with _PRINTING:
        print_one_night(told, presentation_of_account(settings, account.file), json_wanted=json_wanted)


def _print_next_night(account: AccountFile, firing: DueNight) -> None:
    settings = account.settings
    at = day_and_time(firing.at, settings.zone)
    with _PRINTING:
        say(_("{account} · next night {time} ({zone})", account=account.name, time=at, zone=settings.timezone))
