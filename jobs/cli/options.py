"""Options that several commands share, and the decorator that makes a function a command.

Commands import their code when they run, so that `--help` stays fast.
"""

from collections.abc import Callable
from datetime import date
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Literal, ParamSpec

import typer

from connectors.days import parse_day
from jobs.cli.setup.init.questions import PATH_PREFIX

P = ParamSpec("P")

EXIT_CODES = """
Exit codes: 0 done; 1 done, and a human is needed; 2 wrong usage, settings or state; 3 the source or a destination
stopped; 70 a bug; 75 another run holds the account, or its database or vault is away; 128 + n stopped by signal n.
"""
_FILES = "An account's YAML file, or a folder of them; may be repeated."
_FIRST_RUN = "This account has never run: create its state. Without this, a missing state is reported."


def parse_day_option(text: str) -> date:
    """Read a day."""
    try:
        return parse_day(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Config = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The account's YAML file.")]
Configs = Annotated[list[Path], typer.Option("--config", "-c", metavar="FILE|DIR", help=_FILES)]
AtOnce = Annotated[int, typer.Option(min=1, max=64, help="How many accounts are at work at a time.")]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON, one object a line.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen; send and change nothing.")]
FirstRun = Annotated[bool, typer.Option("--first-run", help=_FIRST_RUN)]
Yes = Annotated[bool, typer.Option("--yes", help="Agree beforehand: ask nothing.")]
PathPrefix = Annotated[str | None, typer.Option(metavar="PATH", help=f"{PATH_PREFIX}.")]
Specification = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="A copy of Oplead's OpenAPI specification, in JSON or YAML, instead of asking for it."
    ),
]
Conversion = Annotated[str | None, typer.Option(metavar="ID", help="Only this conversion.")]
Destination = Annotated[str | None, typer.Option(metavar="ID", help="Only to this destination.")]
FirstChange = Annotated[
    date | None,
    typer.Option("--from", metavar="DAY", parser=parse_day_option, help="Changes from this day on, as 2026-09-01."),
]
LastChange = Annotated[
    date | None, typer.Option("--to", metavar="DAY", parser=parse_day_option, help="And up to and including this day.")
]
AssumeTime = Annotated[
    Literal["updated_at"] | None,
    typer.Option(help="Take a lead's last update for the time of a change Oplead does not date; never to Meta."),
]
AlreadySentFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="What was sent by other means, never to send: LEAD or LEAD,CONVERSION a line."),
]
Seed = Annotated[int, typer.Option(min=0, help="Which invented leads: the same number gives the same ones.")]
Leads = Annotated[int, typer.Option(min=1, max=20_000, help="How many invented leads, over 90 days.")]
GoogleTransport = Annotated[
    Literal["data_manager", "google_ads_api"], typer.Option(help="The Google interface that carries conversions.")
]


def command(
    app: typer.Typer, epilog: str | None = None, *, name: str | None = None
) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Register a command of `app` that returns its exit code; a failure prints one sentence to stderr."""

    def register(function: Callable[P, int]) -> Callable[P, int]:
        @app.command(name, epilog=epilog)
        @wraps(function)
        def run(*args: P.args, **options: P.kwargs) -> None:
            from jobs.cli.output import run_guarded  # noqa: PLC0415

            raise typer.Exit(run_guarded(partial(function, *args, **options)))

        return function

    return register
