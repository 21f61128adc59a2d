"""`state restored`: declares an account's state a restored backup."""

from pathlib import Path

import structlog

from connectors.language import _
from jobs.account.files import load_account, speaking_account_language
from jobs.account.forget import finish_forgetting, held_outbox
from jobs.account.hold import expect_state_exists, hold_account_for_run
from jobs.cli.night.approval import ApprovalOptions
from jobs.cli.output import signals_and_logging
from jobs.exit_codes import Exit
from jobs.ledger.runs import finish_run
from jobs.oplead_commands.creation.outbox import lead_creation_outbox_path
from jobs.reporting.console import say
from jobs.settings import Settings
from jobs.wiring.account import open_clock
from jobs.wiring.state import account_state, folder_beside_state

COMMAND = "restored"


def declare_restored(file: Path, approval: ApprovalOptions) -> int:
    """Say what becomes of what may have been sent until now, ask, and record that it may have been.

    Raises:
        UsageError: nobody is there to be asked.
    """
    approval.require_approver()
    account = load_account(file, secrets=False)
    settings = account.settings
    with (
        signals_and_logging() as (stop, _redaction),
        speaking_account_language(account, json_wanted=False),
        structlog.contextvars.bound_contextvars(account=settings.account),
        open_clock(settings, stop) as clock,
    ):
        expect_state_exists(settings)
        say(
            _(
                "Once this state is declared restored, runs go on from it. What happened until now, and it does not "
                "know as sent, may have been sent:"
            )
        )
        follows = (*_what_follows(settings), *_who_was_forgotten(settings), _what_was_created(settings))
        say(*(f"- {sentence}" for sentence in follows))
        question = _("Declare this state a restored backup?")
        if approval.dry_run or not approval.ask_approval(question, stop.raise_if_stop_requested):
            say(_("Nothing was declared."))
            return Exit.DONE
        with (
            held_outbox(settings, clock) as outbox,
            hold_account_for_run(settings, account_state(settings), COMMAND, clock, restored=True) as ledger,
        ):
            # Files beside the state may have been restored with it.
            unfinished = finish_forgetting(settings, ledger, outbox, clock.now())
            if outbox is not None:
                outbox.declare_restored()
            code = Exit.ATTENTION if unfinished else Exit.DONE
            finish_run(ledger, code, now=clock.now())
        say(_("Declared: runs go on from this state."), *(f"- {sentence}" for sentence in unfinished))
        return code


def _who_was_forgotten(settings: Settings) -> list[str]:
    if settings.forgotten is None:
        return [_("people who were forgotten since the backup are back: forget them again (see `forgotten`)")]
    return [_("people who were forgotten since the backup, as {path} knows, are erased again", path=settings.forgotten)]


def _what_was_created(settings: Settings) -> str:
    return _(
        "leads that were imported since the backup: if {path} is there, the next import looks in Oplead for each lead "
        "that it does not know, and sends it only if it is not found. If that file is lost, import only new leads",
        path=lead_creation_outbox_path(folder_beside_state(settings), settings.account),
    )


def _what_follows(settings: Settings) -> list[str]:
    """Return what becomes of it at each destination, in sentences."""
    at_google = _("it is sent again, and Google counts it once")
    at_meta = {
        "resend": _("it is sent again, flagged as perhaps counting twice; `in_doubt: ask` would hold it for you"),
        "ask": _("it waits for you (`in_doubt: ask`): each night says how much, and what you can do"),
    }
    google = [f"{each.id}: {at_google}" for each in settings.google_ads]
    return [*google, *(f"{each.id}: {at_meta[each.in_doubt]}" for each in settings.meta)]
