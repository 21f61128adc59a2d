"""`run`: run the nights of one or more accounts now."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from connectors.language import N_, _, in_english, using_language
from jobs.account.after_a_night import log_night
from jobs.account.failures import CommandFailure, failure_from_error, log_failure, signal_exit_code, worst_exit_code
from jobs.account.files import (
    AccountFile,
    common_language,
    find_settings_files,
    load_accounts,
    presentation_of_account,
)
from jobs.account.night import RunOptions, do_night, process_webhook_inbox, rehearse_or_validate_night
from jobs.account.state import open_state_read_only
from jobs.cancellation import StoppedBySignal, StopSignal
from jobs.cli.output import signals_and_logging
from jobs.cli.progress import show_progress
from jobs.exit_codes import CommandError, Exit
from jobs.faults import ContainedFault
from jobs.processes import run_in_parallel
from jobs.reporting.console import results_console
from jobs.reporting.page.gather import gather_brief
from jobs.reporting.presentation import AccountPresentation, print_json
from jobs.reporting.run_report import Mode, Night, NightResult, night_json, print_accounts, print_night
from jobs.settings import Settings, ValidSettings
from jobs.wiring.account import compile_rules_only
from jobs.wiring.night import import_connector_modules

STOPPED = N_("stopped")
_log = structlog.stdlib.get_logger()


def run_accounts(paths: Sequence[Path], options: RunOptions, *, at_once: int, json_wanted: bool) -> int:
    """Run each account's night, print the results, and return the worst exit code.

    One account's failure does not affect the others; a signal stops them all.
    """
    with signals_and_logging() as (stop, redaction):
        accounts = load_accounts(find_settings_files(paths))
        for account in accounts:
            redaction.register_secrets(account.secrets)
        alone = len(accounts) == 1
        options = replace(options, others=frozenset(account.name for account in accounts))
        tasks = [partial(_account, each, options, stop, alone=alone, in_brief=not json_wanted) for each in accounts]
        ended: list[NightResult] = []
        if not alone:
            # Once, and not again in each process.
            import_connector_modules(
                each.loaded.settings for each in accounts if isinstance(each.loaded, ValidSettings)
            )
        for one in run_in_parallel(tasks, partial(_lost, accounts), at_once=at_once):
            ended.append(one)
            if one.night is not None and one.account is not None:
                print_one_night(one.night, one.account, json_wanted=json_wanted)
            elif json_wanted and in_english(one.why) != STOPPED:
                print_json({"config": one.name, "error": one.why, "exit_code": one.exit_code})
        if not alone and not json_wanted:
            with using_language(common_language(accounts)):
                print_accounts(results_console(), ended)
    if stop.signal_number is not None and any(one.exit_code == signal_exit_code(stop.signal_number) for one in ended):
        return log_failure(failure_from_error(StoppedBySignal(stop.signal_number)))
    return worst_exit_code(one.exit_code for one in ended)


def _account(
    account: AccountFile, options: RunOptions, stop: StopSignal, *, alone: bool, in_brief: bool
) -> NightResult:
    """Run one account's night and return its result or failure; never raises, so that the other nights go on."""
    bound = {"config": str(account.file)} if alone else {"config": str(account.file), "account": account.name}
    with structlog.contextvars.bound_contextvars(**bound), using_language(account.language):
        try:
            valid = account.settings_with_notes
            stop.raise_if_stop_requested()
            return _night(account.file, valid, options, stop, alone=alone, in_brief=in_brief)
        except StoppedBySignal as signal:
            return NightResult(account.name, failure_from_error(signal).exit_code, why=_(STOPPED))
        except Exception as error:  # noqa: BLE001 - the other accounts' nights must not depend on this one's
            failure = failure_from_error(error)
            log_failure(failure)
            return NightResult(str(account.file), failure.exit_code, why=failure.message)


def _lost(accounts: Sequence[AccountFile], index: int, why: str) -> NightResult:
    """Return the result of an account whose process died or which raised what it never should."""
    account = accounts[index]
    with (
        structlog.contextvars.bound_contextvars(config=str(account.file), account=account.name),
        using_language(account.language),
    ):
        message = _(
            "the run did not end by itself: {why}. What was committed is safe, and the next run goes on from here",
            why=why,
        )
        failure = CommandFailure(message, Exit.BUG)
        log_failure(failure)
    return NightResult(str(account.file), failure.exit_code, why=failure.message)


def _night(
    file: Path, loaded: ValidSettings, options: RunOptions, stop: StopSignal, *, alone: bool, in_brief: bool
) -> NightResult:
    settings = loaded.settings
    with structlog.contextvars.bound_contextvars(account=settings.account):
        for note in loaded.notes:
            _log.info("setting noted", note=str(note))
        with show_progress(alone=alone) as watch:
            if options.inbox_only:
                night = process_webhook_inbox(settings, watch=watch, stop=stop)
            else:
                play = do_night if options.mode is Mode.RUN else rehearse_or_validate_night
                night = play(settings, options, watch=watch, stop=stop)
        if not sys.stderr.isatty():
            log_night(night)
        if in_brief:
            night = with_brief(settings, night)
    return NightResult(settings.account, night.summary.exit_code, night, presentation_of_account(settings, file))


def with_brief(settings: Settings, night: Night) -> Night:
    """Return a run with what there is to say first, if that can be read; one that was only tried as it is."""
    if night.mode is not Mode.RUN or night.brief is not None:
        return night
    said = _("what needs doing could not be counted")
    with (
        ContainedFault(night.summary.other_faults, said, foreseen=(CommandError,)),
        open_state_read_only(settings) as session,
    ):
        book = compile_rules_only(settings)
        return replace(night, brief=gather_brief(session, book, currency=settings.currency, now=night.ended_at))
    return night


def print_one_night(night: Night, account: AccountPresentation, *, json_wanted: bool) -> None:
    """Print what one account's run did."""
    if json_wanted:
        print_json(night_json(night, account.currency))
        return
    with using_language(account.language):
        print_night(results_console(), account, night)
