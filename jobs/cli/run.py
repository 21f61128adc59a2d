"""`run`: one night for each account, some of them side by side."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from jobs.beside import side_by_side
from jobs.cli.accounts import Opened, WrongFilesError, files_of, open_accounts, told
from jobs.cli.exits import Failure, failure_of, stopped_by, worst
from jobs.cli.guarded import report
from jobs.cli.logs import start_logging
from jobs.cli.nights import Wanted, do_night, log_night, try_night
from jobs.cli.progress import watching
from jobs.reporting import as_json
from jobs.reporting.accounts import Ended, print_accounts
from jobs.reporting.night import Mode, night_json, print_night
from jobs.reporting.terminal import results
from jobs.settings import Valid
from jobs.stopping import Stop, StoppedBySignal, stoppable

STOPPED = "stopped"
_log = structlog.stdlib.get_logger()


def run_accounts(paths: Sequence[Path], wanted: Wanted, *, at_once: int, json_wanted: bool) -> int:
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
        for one in side_by_side(
            [partial(_account, account, wanted, stop, alone=alone) for account in accounts], at_once=at_once
        ):
            ended.append(one)
            _print(one, json_wanted=json_wanted)
        if not alone and not json_wanted:
            print_accounts(results(), ended)
    if stop.number is not None and any(one.exit_code == stopped_by(stop.number) for one in ended):
        return report(failure_of(StoppedBySignal(stop.number)))
    return worst(one.exit_code for one in ended)


def _account(account: Opened, wanted: Wanted, stop: Stop, *, alone: bool) -> Ended:
    """One account's night, or why there was none; whatever happens, the others' nights go on."""
    bound = {"config": str(account.file)} if alone else {"config": str(account.file), "account": account.name}
    with structlog.contextvars.bound_contextvars(**bound):
        if isinstance(account.found, Failure):
            return _failed(account, account.found)
        try:
            stop.heed()
            return _night(account.found, wanted, stop, alone=alone)
        except StoppedBySignal as signal:
            return Ended(account.name, failure_of(signal).exit_code, why=STOPPED)
        except Exception as error:  # noqa: BLE001 - the next account's night must not depend on this one's
            return _failed(account, failure_of(error))


def _night(loaded: Valid, wanted: Wanted, stop: Stop, *, alone: bool) -> Ended:
    settings = loaded.settings
    with structlog.contextvars.bound_contextvars(account=settings.account):
        for note in loaded.notes:
            _log.info("setting noted", note=str(note))
        with watching(settings.account, alone=alone) as watcher:
            play = do_night if wanted.mode is Mode.RUN else try_night
            night = play(settings, watcher, wanted, stop=stop)
        if not sys.stderr.isatty():
            log_night(night)
    return Ended(settings.account, night.summary.exit_code, night, told(settings))


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
    results().out(as_json.line(document), highlight=False)
