"""`fleet backfill`: a backfill by the settings that the fleet has."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from connectors.language import _
from jobs.cli.accounts import expect_account_name, load_stored_account
from jobs.cli.night.approval import ApprovalOptions
from jobs.cli.night.approved_send import Backfill, send_approved
from jobs.exit_codes import UsageError
from jobs.fleet.accounts import latest_settings
from jobs.fleet.database import FleetDatabase


def backfill_account(
    database: FleetDatabase, name: str, folder: Path, approval: ApprovalOptions, chosen: Callable[..., Backfill]
) -> int:
    """Send an account's backfill from this machine, and return the exit code; a worker that is at it holds it off.

    Raises:
        UsageError: the fleet has no such account, or it is paused.
    """
    expect_account_name(name)
    with database.connect() as connection:
        stored = latest_settings(connection, name)
    if stored is None:
        raise UsageError(_("{name} is paused, or is not in the fleet; `fleet accounts list` shows which", name=name))
    return send_approved(partial(load_stored_account, name, stored.text, folder.absolute()), approval, chosen)
