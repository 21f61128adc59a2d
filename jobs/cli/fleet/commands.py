"""`oplead-sync fleet …`: the commands; they load their code, and the fleet's libraries, when they run."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.language import _
from jobs.cli.options import (
    EXIT_CODES,
    AlreadySentFile,
    AssumeTime,
    Conversion,
    Destination,
    DryRun,
    FirstChange,
    Json,
    LastChange,
    P,
    Yes,
    command,
)

if TYPE_CHECKING:
    from jobs.fleet.database import FleetDatabase

app = typer.Typer(name="fleet", help="Run many accounts on many machines, by way of PostgreSQL.", no_args_is_help=True)
accounts = typer.Typer(name="accounts", help="Which accounts the fleet runs.", no_args_is_help=True)
app.add_typer(accounts)

Database = Annotated[
    str | None,
    typer.Option(
        metavar="REFERENCE",
        help="Where the database's address is: file:/path or ${VARIABLE}. Default: OPLEAD_SYNC_DATABASE, or the file "
        "that OPLEAD_SYNC_DATABASE_FILE names.",
    ),
]
Names = Annotated[list[str], typer.Argument(metavar="ACCOUNT...", help="The accounts' names.")]
Folder = Annotated[
    Path,
    typer.Option(metavar="DIR", help="Where relative paths in settings start, and where .env is. Default: here."),
]
_HERE = Path()
_CODES = "Exit codes: 0 done; 2 wrong usage, settings or database; 70 a bug"


def _command(
    app: typer.Typer, codes: str = _CODES, *, name: str | None = None
) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Register a command as `command` does; what it ends with where the fleet is out of reach is the same for all."""
    return command(app, f"{codes}; 75 the database or the secrets command is unavailable, try again.", name=name)


def _existing(folder: Path) -> Path:
    """Return the folder; without it, nothing would be found that settings name.

    Raises:
        UsageError: there is none.
    """
    from jobs.exit_codes import UsageError  # noqa: PLC0415

    if not folder.is_dir():
        raise UsageError(_("--folder {folder}: there is no such folder", folder=folder))
    return folder


def _open_database(written: str | None) -> "FleetDatabase":
    """Return the fleet's database.

    Raises:
        UsageError: none is named, or the fleet's libraries are not installed.
    """
    import os  # noqa: PLC0415

    from jobs.exit_codes import UsageError  # noqa: PLC0415

    try:
        import procrastinate  # noqa: F401, PLC0415
        import psycopg  # noqa: F401, PLC0415
    except ImportError:
        raise UsageError(
            _(
                "this needs libraries that `make install` leaves out: use the program that "
                "`make runtime TREE=/opt/oplead-sync` installs"
            )
        ) from None
    from jobs.fleet.database import find_fleet_database  # noqa: PLC0415

    return find_fleet_database(written, os.environ, Path.cwd())


@_command(app)
def deploy(*, database: Database = None) -> int:
    """Create the fleet's tables, or bring them up to date.

    Once for each database, and again with each new version, before its workers start. Repeating it does no harm.
    """
    from jobs.cli.fleet.accounts import deploy_fleet_database  # noqa: PLC0415

    return deploy_fleet_database(_open_database(database))


@_command(accounts, "Exit codes: 0 all stored; 2 one or more were not, or wrong usage or database; 70 a bug")
def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILE|DIR...", help="Settings files, or folders of them.")],
    *,
    first_run: Annotated[
        bool, typer.Option("--first-run", help="These accounts have never run: a worker may create their state.")
    ] = False,
    not_renamed: Annotated[
        bool,
        typer.Option(
            "--not-renamed",
            help="None of these has run under another name, although another account sends to the same ad account or "
            "dataset.",
        ),
    ] = False,
    database: Database = None,
) -> int:
    """Store accounts' settings, or new versions of them.

    Comments are left out. Each file is checked first, as `check` does; one that must not run is refused, and the others
    are stored. Secrets stay references, which each worker resolves on its machine.
    """
    from jobs.cli.fleet.accounts import add_accounts  # noqa: PLC0415

    return add_accounts(_open_database(database), files, first_run=first_run, not_renamed=not_renamed)


@_command(accounts, name="list")
def list_(*, database: Database = None, json: Json = False) -> int:
    """List the accounts."""
    from jobs.cli.fleet.accounts import show_accounts  # noqa: PLC0415

    return show_accounts(_open_database(database), json_wanted=json)


@_command(accounts)
def pause(names: Names, *, database: Database = None) -> int:
    """Have accounts run no more until they are resumed.

    A run under way ends by itself.
    """
    from jobs.cli.fleet.accounts import change_accounts  # noqa: PLC0415

    return change_accounts(_open_database(database), names, "pause")


@_command(accounts)
def resume(names: Names, *, database: Database = None) -> int:
    """Have paused accounts run again.

    A night that they missed is made up for.
    """
    from jobs.cli.fleet.accounts import change_accounts  # noqa: PLC0415

    return change_accounts(_open_database(database), names, "resume")


@_command(accounts)
def remove(
    names: Names,
    *,
    erase: Annotated[
        bool, typer.Option("--erase", help="Delete their stored settings and runs too, also of those removed before.")
    ] = False,
    database: Database = None,
) -> int:
    """Take accounts out of the fleet.

    Their states are not touched.
    """
    from jobs.cli.fleet.accounts import change_accounts  # noqa: PLC0415

    return change_accounts(_open_database(database), names, "erase" if erase else "remove")


@_command(app, "Exit codes: 0 stopped as asked; 2 wrong usage, or the database cannot be used; 70 a bug")
def worker(
    *,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="How many accounts are at work at a time.")] = 4,
    folder: Folder = _HERE,
    health: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Touched every few seconds while the worker is alive.")
    ] = None,
    database: Database = None,
) -> int:
    """Run accounts when they are due.

    Goes on until Ctrl-C, SIGTERM or SIGHUP; then it takes no new account, and those at work have a minute to come to a
    safe end. Any number of workers share the accounts; what a worker that died had begun, others take up within two
    minutes. One whose database is upgraded meanwhile ends with 75, to be started again. Supports systemd's Type=notify
    and WatchdogSec.
    """
    from jobs.account.fleet_worker import run_worker  # noqa: PLC0415
    from jobs.cli.output import signals_and_logging  # noqa: PLC0415

    found, opened = _existing(folder), _open_database(database)
    with signals_and_logging() as (stop, redaction):
        return run_worker(opened, stop, redaction, concurrency=concurrency, folder=found, health=health)


@_command(
    app, "Exit codes: 0 every account is fine; 1 a human is needed, or nights are late; 2 wrong usage or database"
)
def status(
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one HTML page: causes, late nights, all accounts.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show that page in the browser.")] = False,
    metrics: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write metrics for Prometheus, for node_exporter's textfile collector."),
    ] = None,
    database: Database = None,
    json: Json = False,
) -> int:
    """Show how the accounts fare, the worst first."""
    from jobs.cli.fleet.status import FleetStatusFiles, show_fleet  # noqa: PLC0415

    return show_fleet(_open_database(database), FleetStatusFiles(out, metrics, opens=open_), json_wanted=json)


@_command(app)
def run(names: Names, *, database: Database = None) -> int:
    """Have workers run accounts' nights now, before all others."""
    from jobs.cli.fleet.accounts import change_accounts  # noqa: PLC0415

    return change_accounts(_open_database(database), names, "run")


@command(app, EXIT_CODES)
def backfill(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.")],
    *,
    first: FirstChange = None,
    last: LastChange = None,
    conversion: Conversion = None,
    destination: Destination = None,
    assume_time: AssumeTime = None,
    already_sent: AlreadySentFile = None,
    folder: Folder = _HERE,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
    database: Database = None,
) -> int:
    """Send what happened before a conversion's start.

    For one account and from this machine, as `backfill` does, by the settings that the fleet has; this machine needs
    the account's secrets and its state.
    """
    from jobs.cli.fleet.accounts import backfill_account  # noqa: PLC0415
    from jobs.cli.night.approval import ApprovalOptions  # noqa: PLC0415
    from jobs.cli.night.backfill_options import chosen_backfill  # noqa: PLC0415

    chosen = chosen_backfill(
        first, last, conversion=conversion, destination=destination, assume_time=assume_time, already_sent=already_sent
    )
    found = _existing(folder)
    return backfill_account(_open_database(database), account, found, ApprovalOptions(yes, dry_run, json), chosen)
