"""The command line: each command's arguments, and nothing else, so that `--help` has nothing heavy to load."""

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="oplead-sync",
    help="Tells Google Ads, every night, what became of the leads in Oplead.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Config = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The account's YAML file.")]
Configs = Annotated[
    list[Path],
    typer.Option("--config", "-c", metavar="FILE", help="An account's YAML file; repeat it for several accounts."),
]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON, one object a line.")]
Seed = Annotated[int, typer.Option(min=0, help="Which invented leads: the same number gives the same ones.")]
Leads = Annotated[int, typer.Option(min=1, max=20_000, help="How many invented leads, over 90 days.")]

EXIT_CODES = """
Exit codes: 0 done; 1 done, and a human is needed; 2 wrong usage, settings or state; 3 the source or a destination
stopped; 70 a bug; 75 another run holds the account; 128 + n stopped by signal n.
"""


def main() -> None:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A conversion's name must not end the night because a mail's encoding has no é.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - how typer calls it
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"oplead-sync {version('oplead-sync')}")
        raise typer.Exit


@app.callback()
def _everywhere(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


@app.command(epilog=EXIT_CODES)
def run(
    config: Configs,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen; send and change nothing.")
    ] = False,
    wait: Annotated[
        str, typer.Option(metavar="SPAN", help="Wait this long for outcomes, as 45m; ends once all are known.")
    ] = "0s",
    json: Json = False,
) -> None:
    """Read what changed, decide, send, and ask.

    One night's work for each account, one after the other; what was sent before is asked about.
    """
    from jobs.cli.run import run_accounts  # noqa: PLC0415
    from jobs.cli.spans import span  # noqa: PLC0415

    raise typer.Exit(run_accounts(config, json_wanted=json, dry_run=dry_run, wait=span(wait)))


@app.command()
def check(config: Configs) -> None:
    """Check configuration files, asking no platform."""
    from jobs.cli.check import check_files  # noqa: PLC0415
    from jobs.cli.guarded import guarded  # noqa: PLC0415

    raise typer.Exit(guarded(lambda: check_files(config)))


@app.command()
def status(config: Config, *, json: Json = False) -> None:
    """Show where every delivery stands, and why."""
    from jobs.cli.guarded import guarded  # noqa: PLC0415
    from jobs.cli.status import show_status  # noqa: PLC0415

    raise typer.Exit(guarded(lambda: show_status(config, json_wanted=json)))


@app.command()
def explain(
    lead: Annotated[str, typer.Argument(metavar="LEAD", help="Oplead's id of the lead.")],
    config: Config,
    *,
    json: Json = False,
) -> None:
    """Tell why a lead was sent or not.

    Everything known of it, and for each conversion its fate, the reason and what to do.
    """
    from jobs.cli.explain import explain_lead  # noqa: PLC0415
    from jobs.cli.guarded import guarded  # noqa: PLC0415

    raise typer.Exit(guarded(lambda: explain_lead(lead, config, json_wanted=json)))


@app.command()
def sandbox(
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where it lives; made, or gone on with.")
    ] = None,
    rules: Annotated[
        bool, typer.Option("--rules", help="Print every rule it holds its callers to, and leave.")
    ] = False,
    seed: Seed = 7,
    leads: Leads = 1500,
) -> None:
    """Play Oplead and Google on this machine.

    A strict stand-in for both, to rehearse with no account anywhere; it serves until Ctrl-C.
    """
    from jobs.cli.demo.stage import Cast  # noqa: PLC0415
    from jobs.cli.guarded import guarded  # noqa: PLC0415
    from jobs.cli.sandbox import print_rules, serve  # noqa: PLC0415

    if rules:
        raise typer.Exit(guarded(print_rules))
    if out is None:
        raise typer.BadParameter("say where the sandbox lives: --out DIR", param_hint="--out")
    raise typer.Exit(guarded(lambda: serve(out, Cast(seed, leads))))


@app.command()
def demo(
    *,
    keep: Annotated[Path | None, typer.Option("--keep", metavar="DIR", help="Keep everything there.")] = None,
    seed: Seed = 7,
    leads: Leads = 1500,
    nights: Annotated[int, typer.Option(min=1, max=50, help="Nights to play before it may end.")] = 14,
) -> None:
    """Watch two weeks go by in a minute.

    Invented leads, a played Oplead and Google, and everything going wrong that can; no account is needed.
    """
    from jobs.cli.demo.play import play  # noqa: PLC0415
    from jobs.cli.demo.stage import Cast  # noqa: PLC0415
    from jobs.cli.guarded import guarded  # noqa: PLC0415

    raise typer.Exit(guarded(lambda: play(keep, Cast(seed, leads), nights)))
