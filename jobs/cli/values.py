"""`oplead-sync values …`: what leads are worth, by the account's own history."""

from datetime import date
from typing import Annotated

import typer

from jobs.cli.options import Config, Json, command, parse_day_option

app = typer.Typer(name="values", help="Find values that teach bidding.", no_args_is_help=True)

Since = Annotated[
    date | None,
    typer.Option(
        "--from", metavar="DAY", parser=parse_day_option, help="Only leads that entered a stage on this day or later."
    ),
]


@app.callback()
def _values() -> None:
    # With a callback, its only command still has to be named.
    pass


@command(app, "Exit codes: 0 done, even if leads are too few; 2 wrong usage, settings or state.", name="suggest")
def suggest(config: Config, *, since: Since = None, json: Json = False) -> int:
    """Show what a lead in each stage is worth.

    The share of such leads that were won, times the average sale, each with its interval: from the leads on record of
    the last two years. Reads the account's state and changes nothing.
    """
    from jobs.cli.reporting.value_suggestions import suggest_values  # noqa: PLC0415

    return suggest_values(config, since=since, json_wanted=json)
