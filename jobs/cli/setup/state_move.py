"""`state move`: moves an account's ledger from its file to a database."""

import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from connectors.language import _, _n
from jobs.account.files import SecretsUnavailableError, load_account, speaking_account_language
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.storage.move import move_state
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.ledger.storage.state_file import explaining_errors
from jobs.oplead_commands.creation.outbox import lead_creation_outbox_path
from jobs.reporting.console import say
from jobs.settings import Settings
from jobs.settings.load import read_state_address
from jobs.settings.secrets_command import SecretsCommandFailedError
from jobs.settings.types import StateDatabaseAddress, StateFile
from jobs.webhooks.file_inbox import WebhookInboxFile, set_aside_name
from jobs.webhooks.move import move_inbox_to_database
from jobs.webhooks.postgresql_inbox import WebhookInboxTable
from jobs.wiring.account import account_inbox
from jobs.wiring.state import folder_beside_state, state_at_address


def move_account(file: Path, to: str) -> int:
    """Move the ledger, and say what to write in the settings."""
    account = load_account(file, secrets=False)
    with speaking_account_language(account, json_wanted=False):
        settings = account.settings
        if not isinstance(settings.state, StateFile):
            raise UsageError(_("{file}: this account's state is in a database already", file=file))
        moved = settings.model_copy(update={"state": _address(to, file, settings.account)})
        _expect_outbox_in_place(settings, moved)
        source, target = SqliteState(settings.state.path), state_at_address(moved.state, moved.account)
        count = move_state(source, target, moved.account, now=datetime.now(UTC), inboxes=_inbox_files(settings))
        if count:
            say(_n("{count} row was moved and compared.", "{count} rows were moved and compared.", count))
        else:
            say(_("This state was moved before; nothing was changed."))
        _move_events(settings, moved)
        say(
            _(
                "Write `state: {to}` in {file}. Then {path} is no longer used: delete it after the first good night, "
                "since it holds personal data.",
                to=to,
                file=file,
                path=source,
            )
        )
        return Exit.DONE


def _inbox_files(settings: Settings) -> dict[Path, str | None]:
    """Return where events of webhooks are in a file before they are moved, and where after, with the inbox's identity.

    A move that is repeated may find the one or the other.
    """
    source = account_inbox(settings)
    if not isinstance(source, WebhookInboxFile):
        return {}
    aside = set_aside_name(source.path)
    here, there = _identity(source.path), _identity(aside)
    return {source.path: here or there, aside: there or here}


def _identity(path: Path) -> str | None:
    with explaining_errors(path):
        inbox = WebhookInboxFile(path).open_inbox_for_reading()
        if inbox is None:
            return None
        with closing(inbox):
            return inbox.identity()


def _move_events(settings: Settings, moved: Settings) -> None:
    """Move the webhooks' inbox, if it is a file."""
    source, target = account_inbox(settings), account_inbox(moved)
    if not isinstance(source, WebhookInboxFile) or not isinstance(target, WebhookInboxTable):
        return
    with explaining_errors(source.path):
        count = move_inbox_to_database(source, target)
    if count:
        say(
            _n(
                "{count} event of the webhooks' inbox was moved too. Start the receiver again with the new settings; "
                "{path} is no longer used: delete it with the state's file.",
                "{count} events of the webhooks' inbox were moved too. Start the receiver again with the new settings; "
                "{path} is no longer used: delete it with the state's file.",
                count,
                path=set_aside_name(source.path),
            )
        )


def _address(to: str, file: Path, account: str) -> StateDatabaseAddress:
    try:
        address = read_state_address(to, file, account, os.environ)
    except ValueError as error:
        raise (SecretsUnavailableError if isinstance(error, SecretsCommandFailedError) else UsageError)(
            f"--to: {error}"
        ) from None
    if isinstance(address, StateFile):
        raise UsageError(_("--to: this names a file; a state is moved to a database"))
    return address


def _expect_outbox_in_place(settings: Settings, moved: Settings) -> None:
    """Check that the record of created leads, which lies beside the state, will be found from its new place.

    Raises:
        UsageError: it has to be moved first.
    """
    old, new = (lead_creation_outbox_path(folder_beside_state(each), each.account) for each in (settings, moved))
    if old != new and old.exists():
        raise UsageError(_("{old}: move this file to {new} first, while nothing runs", old=old, new=new))
