"""Open one account's Oplead for a command under `oplead`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import typer

from connectors.errors import Transient
from connectors.language import _, chosen_language, using_language
from jobs.account.failures import CommandFailure, log_failure, signal_exit_code
from jobs.account.files import invalid_settings_error, log_env_files, secrets_of
from jobs.cancellation import StoppedBySignal
from jobs.cli.night.approval import ApprovalOptions
from jobs.cli.output import signals_and_logging
from jobs.cli.progress import open_clock_showing_waits
from jobs.exit_codes import Exit
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.creation.due import search_due_leads
from jobs.settings import InvalidSettings
from jobs.settings.load import load_partial

_NEEDED = ("account", "webhooks")
"""Optional keys of the settings that must be valid if they are there."""


@contextmanager
def open_oplead(
    file: Path, *, asks: bool = False, yes: bool = False, dry_run: bool = False, json: bool = False
) -> Iterator[OpleadContext]:
    """Yield what a command works with; a stop request ends it between two requests.

    Args:
        file: the account's settings; its account, oplead and webhooks are enough.
        asks: whether the command asks before it writes.
        yes: whether somebody has agreed beforehand.
        dry_run: whether nothing is written.
        json: whether results are printed as JSON.

    Raises:
        UsageError: the settings cannot be used, or nobody is there to be asked.
    """
    approval = ApprovalOptions(yes, dry_run, json)
    with signals_and_logging() as (stop, redaction):
        if asks:
            approval.require_approver()
        known = load_partial(file, os.environ, needed=_NEEDED)
        log_env_files([known.env_file])
        if isinstance(known, InvalidSettings):
            raise invalid_settings_error(known)
        look = known.settings
        redaction.register_secrets(secrets_of(look))
        with (
            structlog.contextvars.bound_contextvars(account=look.account or file.stem),
            open_clock_showing_waits(look, stop) as clock,
            using_language(chosen_language() or known.language),
        ):
            try:
                context = OpleadContext(known, clock, approval, stop.raise_if_stop_requested)
                yield context
                if asks and not dry_run:
                    search_due_leads(context)
            except StoppedBySignal as stopped:
                written = _("stopped; what has been written is shown above")
                said = written if approval.is_given else _("stopped; nothing was written")
                raise typer.Exit(log_failure(CommandFailure(said, signal_exit_code(stopped.number)))) from None
            except Transient as error:
                raise typer.Exit(log_failure(CommandFailure(str(error), Exit.STOPPED))) from None
