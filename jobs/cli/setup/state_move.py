"""`state move`: moves an account's ledger from its file to a database."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from connectors.language import _, _n
from jobs.cli.accounts import answering, open_account
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.storage.move import move_state
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.oplead_commands.creation.outbox import outbox_path
from jobs.reporting.console import say
from jobs.settings import Settings
from jobs.settings.load import read_state_address
from jobs.settings.types import StateDatabase, StateFile
from jobs.wiring.account import inbox_file
from jobs.wiring.state import folder_beside_state, state_of


def move_account(file: Path, to: str) -> int:
    """Move the ledger, and say what to write in the settings."""
    account = open_account(file, secrets=False)
    with answering(account, json_wanted=False):
        settings = account.settings
        if not isinstance(settings.state, StateFile):
            raise UsageError(_("{file}: this account's state is in a database already", file=file))
        moved = settings.model_copy(update={"state": _address(to, file, settings.account)})
        _expect_files_in_place(settings, moved)
        source, target = SqliteState(settings.state.path), state_of(moved.state, moved.account)
        count = move_state(source, target, now=datetime.now(UTC))
        if count:
            say(_n("{count} row was moved and compared.", "{count} rows were moved and compared.", count))
        else:
            say(_("This state was moved before; nothing was changed."))
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


def _address(to: str, file: Path, account: str) -> StateFile | StateDatabase:
    try:
        return read_state_address(to, file, account, os.environ)
    except ValueError as error:
        raise UsageError(f"--to: {error}") from None


def _expect_files_in_place(settings: Settings, moved: Settings) -> None:
    """Check that what lies beside the state will be found from its new place.

    Raises:
        UsageError: a file has to be moved first.
    """
    wrong = [
        _("{old}: move this file to {new} first, while nothing runs", old=old, new=new)
        for old, new in zip(_files_beside(settings), _files_beside(moved), strict=True)
        if old != new and old is not None and old.exists()
    ]
    if wrong:
        raise UsageError("\n".join(wrong))


def _files_beside(settings: Settings) -> Iterator[Path | None]:
    yield inbox_file(settings)
    yield outbox_path(folder_beside_state(settings), settings.account)
