"""`oplead-sync state …`: where an account's state lies."""

from typing import Annotated

import typer

from jobs.cli.options import Config, DryRun, Yes, command

app = typer.Typer(name="state", help="Move an account's state, or go on from a restored backup.", no_args_is_help=True)

To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="STATE",
        help="What will stand under `state:`, such as '${OPLEAD_SYNC_DATABASE}', in single quotes.",
    ),
]


@command(app, "Exit codes: 0 done; 2 wrong usage, settings or state; 75 a run holds the account.", name="move")
def move(config: Config, *, to: To) -> int:
    """Move an account's state from its file to a database.

    The file is closed to runs, every row is copied and compared, and the database has all of it or nothing. Repeat it
    if it was interrupted.
    """
    from jobs.cli.setup.state_move import move_account  # noqa: PLC0415

    return move_account(config, to)


@command(
    app,
    """
    Exit codes: 0 done; 1 something could not be rewritten; 2 wrong usage, settings or state; 75 a run holds the
    account.
    """,
    name="restored",
)
def restored(config: Config, *, yes: Yes = False, dry_run: DryRun = False) -> int:
    """Declare that the state was restored from a backup.

    Runs then go on from it. What may have been sent since the backup is in doubt: where a platform would count it
    twice, it is flagged, or with `in_doubt: ask` held for you. This command says so and asks first; it sends nothing.
    """
    from jobs.cli.night.approval import ApprovalOptions  # noqa: PLC0415
    from jobs.cli.setup.state_restored import declare_restored  # noqa: PLC0415

    return declare_restored(config, ApprovalOptions(yes, dry_run))
