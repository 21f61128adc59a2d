"""The command line: each command's arguments, and nothing else that would have to be loaded for `--help`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="oplead-sync",
    help="Tells Google Ads, every night, what became of the leads in Oplead.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Configs = Annotated[
    list[Path],
    typer.Option("--config", "-c", metavar="FILE", help="An account's YAML file; repeat it for several accounts."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print results as JSON, one object a line.")]


def main() -> None:
    """Run the command line and leave with its exit code."""
    app()


@app.callback()
def _options() -> None:
    pass


@app.command()
def run(
    config: Configs,
    *,
    as_json: AsJson = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen; send and change nothing.")
    ] = False,
) -> None:
    """Do tonight's work: read what changed, decide, send, and ask what became of it."""
    from jobs.cli.run import run_accounts  # noqa: PLC0415

    raise typer.Exit(run_accounts(config, as_json=as_json, dry_run=dry_run, wait=timedelta()))
