"""`oplead-sync state …`: where an account's state lies."""

from typing import Annotated

import typer

from jobs.cli.options import Config, command

app = typer.Typer(name="state", help="Move an account's state to a database.", no_args_is_help=True)

To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="STATE",
        help="What will stand under `state:`, such as '${OPLEAD_SYNC_DATABASE}', in single quotes.",
    ),
]


@app.callback()
def _state() -> None:
    # With a callback, its only command still has to be named.
    pass


@command(app, "Exit codes: 0 done; 2 wrong usage, settings or state; 75 a run holds the account.", name="move")
def move(config: Config, *, to: To) -> int:
    """Move an account's state from its file to a database.

    The file is closed to runs, every row is copied and compared, and the database has all of it or nothing. Repeat it
    if it was interrupted.
    """
    from jobs.cli.setup.state_move import move_account  # noqa: PLC0415

    return move_account(config, to)
