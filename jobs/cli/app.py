"""The command line: each command's arguments, and nothing else, so that `--help` has nothing heavy to load."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from jobs.cli.pipes import unfailing_output

app = typer.Typer(
    name="oplead-sync",
    help="Tells Google Ads and Meta, every night, what became of the leads in Oplead.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Config = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The account's YAML file.")]
Configs = Annotated[
    list[Path],
    typer.Option(
        "--config", "-c", metavar="FILE|DIR", help="An account's YAML file, or a folder of them; may be repeated."
    ),
]
AtOnce = Annotated[int, typer.Option("--at-once", min=1, max=64, help="How many accounts are at work at a time.")]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON, one object a line.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen; send and change nothing.")]
FirstRun = Annotated[
    bool,
    typer.Option(
        "--first-run", help="This account has never run: create its state. Without this, a missing state is reported."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Agree beforehand: ask nothing.")]
PathPrefix = Annotated[
    str | None,
    typer.Option("--path-prefix", metavar="PATH", help="How Oplead's paths begin, as /v1; found by looking if usual."),
]
Seed = Annotated[int, typer.Option(min=0, help="Which invented leads: the same number gives the same ones.")]
Leads = Annotated[int, typer.Option(min=1, max=20_000, help="How many invented leads, over 90 days.")]

GoogleTransport = Annotated[
    Literal["data_manager", "google_ads_api"],
    typer.Option("--google-transport", help="The Google interface that carries conversions."),
]

EXIT_CODES = """
Exit codes: 0 done; 1 done, and a human is needed; 2 wrong usage, settings or state; 3 the source or a destination
stopped; 70 a bug; 75 another run holds the account; 128 + n stopped by signal n.
"""


def main() -> None:
    """Run the command line and leave with its exit code."""
    with unfailing_output():
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
    dry_run: DryRun = False,
    validate_only: Annotated[
        bool,
        typer.Option("--validate-only", help="Have Google check what would be sent; nothing counts, nothing is kept."),
    ] = False,
    wait: Annotated[
        str, typer.Option(metavar="SPAN", help="Wait this long for outcomes, as 45m; ends once all are known.")
    ] = "0s",
    accept_volume: Annotated[
        bool, typer.Option("--accept-volume", help="Send also where far more is due than a night usually sends.")
    ] = False,
    first_run: FirstRun = False,
    at_once: AtOnce = 4,
    json: Json = False,
) -> None:
    """Read what changed, decide, send, and ask.

    One night's work for each account, some of them side by side; what was sent before is asked about.
    """
    from jobs.cli.init.answers import span  # noqa: PLC0415
    from jobs.cli.run import run_accounts  # noqa: PLC0415
    from jobs.cli.session import RunOptions  # noqa: PLC0415
    from jobs.reporting.run_report import Mode  # noqa: PLC0415

    if dry_run and validate_only:
        raise typer.BadParameter("choose one: --dry-run asks no platform, --validate-only does")
    if (dry_run or validate_only) and span(wait):
        raise typer.BadParameter("nothing is sent, so there is nothing to wait for", param_hint="--wait")
    if (dry_run or validate_only) and first_run:
        raise typer.BadParameter("nothing is kept, so no state is made", param_hint="--first-run")
    mode = Mode.REHEARSAL if dry_run else Mode.VALIDATION if validate_only else Mode.RUN
    wanted = RunOptions(mode, span(wait), accept_volume, first_run)
    raise typer.Exit(run_accounts(config, wanted, at_once=at_once, json_wanted=json))


@app.command(epilog="Exit codes: 0 stopped as asked; 2 no account's nights can be done; 70 a bug.")
def schedule(
    config: Configs,
    *,
    first_run: FirstRun = False,
    health: Annotated[
        Path | None,
        typer.Option("--health", metavar="FILE", help="Touched every minute while nights are done, or waited for."),
    ] = None,
    at_once: AtOnce = 4,
    json: Json = False,
) -> None:
    """Do every night when it is due.

    Runs until Ctrl-C, SIGTERM or SIGHUP, by each file's `schedule`; outcomes are asked for an hour and six hours after
    a night. systemd is told what it asks for (Type=notify, WatchdogSec).
    """
    from jobs.cli.run import Service, schedule_accounts  # noqa: PLC0415

    raise typer.Exit(schedule_accounts(config, Service(at_once, json, first_run, health)))


@app.command()
def init(
    *,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where pipeline.yaml and .env.example go.")
    ] = Path("config"),
    account: Annotated[str | None, typer.Option(help="A short name, as maison-durand.")] = None,
    timezone: Annotated[str, typer.Option(help="The zone of Oplead's times.")] = "Europe/Paris",
    currency: Annotated[str, typer.Option(help="The currency of all values.")] = "EUR",
    base_url: Annotated[
        str, typer.Option(help="Oplead's address; one of its documentation or of its list will do.")
    ] = "https://api.oplead.com",
    path_prefix: PathPrefix = None,
    clock: Annotated[str | None, typer.Option(metavar="URL", help="A sandbox's clock, on this machine.")] = None,
    auth: Annotated[
        Literal["bearer", "header", "query", "none"] | None,
        typer.Option(help="How the key is shown; found by looking where it is usual."),
    ] = None,
    auth_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The header's or query parameter's name, as X-API-KEY.")
    ] = None,
    auth_prefix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What stands before the key in a header, as 'Token '.")
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE=LABEL,LABEL", help="A stage's labels, as won=Gagné,Vendu; repeat it."),
    ] = None,
    consent_field: Annotated[str | None, typer.Option(metavar="PATH", help="Where the consent stands.")] = None,
    granted: Annotated[str, typer.Option(metavar="ANSWER,…", help="Its answers that mean yes.")] = "",
    refused: Annotated[str, typer.Option(metavar="ANSWER,…", help="Its answers that mean no.")] = "",
    personalization_field: Annotated[
        str | None, typer.Option(metavar="PATH", help="Where consent to personal ads stands, if asked apart.")
    ] = None,
    personalization_granted: Annotated[
        str, typer.Option(metavar="ANSWER,…", help="Its answers that mean yes; else as the first's.")
    ] = "",
    personalization_refused: Annotated[
        str, typer.Option(metavar="ANSWER,…", help="Its answers that mean no; else as the first's.")
    ] = "",
    amount_field: Annotated[str | None, typer.Option(metavar="PATH", help="Where a sale's amount stands.")] = None,
    tax: Annotated[
        str | None, typer.Option(metavar="included|excluded", help="Whether tax is in it (TTC), or not (HT).")
    ] = None,
    otherwise: Annotated[str | None, typer.Option(metavar="AMOUNT", help="Sent where no amount is typed.")] = None,
    google_customer_id: Annotated[str | None, typer.Option(help="As 123-456-7890.")] = None,
    google_login_customer_id: Annotated[str | None, typer.Option(help="The manager's, where one gives access.")] = None,
    action: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE=ID", help="A stage's Google conversion action, as won=987654322; repeat it."),
    ] = None,
    endpoint: Annotated[str | None, typer.Option(metavar="URL", help="A stand-in for the Data Manager API.")] = None,
    ads_api_endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="A stand-in for the Google Ads API.")
    ] = None,
    meta_dataset_id: Annotated[str | None, typer.Option(help="Meta's dataset, digits.")] = None,
    graph_url: Annotated[str | None, typer.Option(metavar="URL", help="A stand-in for Meta's Graph API.")] = None,
    contact_data: Annotated[
        Literal["attach", "none"] | None,
        typer.Option(help="Whether hashed e-mail and phone go beside the click id."),
    ] = None,
    imported_until: Annotated[
        str | None, typer.Option(metavar="DAY", help="Conversions up to this day were imported by other means.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: take the options and the proposals.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Write a first settings file.

    Asks the few questions that matter; with OPLEAD_TOKEN set it looks at Oplead first and proposes the answers.
    """
    from jobs.cli.init import answers  # noqa: PLC0415
    from jobs.cli.init import command as first  # noqa: PLC0415
    from jobs.cli.init.answers import labels_of  # noqa: PLC0415
    from jobs.cli.output import guarded  # noqa: PLC0415

    shown = {"style": auth or "header", "name": auth_name, "prefix": auth_prefix}
    stand_ins = {"endpoint": endpoint, "ads_api_endpoint": ads_api_endpoint}
    try:
        stages = {name: labels_of(labels) for name, labels in answers.pairs_of(stage)} if stage else None
        answers.refuse_shared_labels(stages or {})
        told = answers.Answers(
            account=account,
            timezone=timezone,
            currency=currency,
            base_url=base_url,
            path_prefix=path_prefix,
            clock=clock,
            auth={key: said for key, said in shown.items() if said} if auth or auth_name or auth_prefix else None,
            stages=stages,
            consent_field=consent_field,
            consent_granted=labels_of(granted),
            consent_refused=labels_of(refused),
            personalization_field=personalization_field,
            personalization_granted=labels_of(personalization_granted),
            personalization_refused=labels_of(personalization_refused),
            amount_field=amount_field,
            amount_tax=answers.tax_of(tax) if tax else None,
            otherwise=otherwise,
            google_customer_id=google_customer_id,
            google_login_customer_id=google_login_customer_id,
            actions=dict(answers.pairs_of(action or [])),
            google_addresses={key: address for key, address in stand_ins.items() if address},
            meta_dataset_id=meta_dataset_id,
            graph_url=graph_url,
            contact_data=contact_data,
            imported_until=imported_until,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    ask = first.is_interactive() and not yes
    raise typer.Exit(guarded(lambda: first.write_first_settings(folder, told, force=force, ask=ask)))


@app.command(epilog="Exit codes: 0 fine; 1 something looked up failed; 2 the file must not run.")
def check(
    config: Configs,
    *,
    live: Annotated[bool, typer.Option("--live", help="Ask Oplead, Google and Meta too; nothing is changed.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="With --live: list also what is well.")] = False,
    json: Json = False,
) -> None:
    """Check configuration files.

    By themselves, or with --live against what the platforms know.
    """
    from jobs.cli.accounts import files_of  # noqa: PLC0415
    from jobs.cli.check import check_files  # noqa: PLC0415
    from jobs.cli.output import guarded  # noqa: PLC0415

    raise typer.Exit(guarded(lambda: check_files(files_of(config), live=live, json_wanted=json, verbose=verbose)))


@app.command(epilog="Exit codes: 0 all told; 1 something could not be told; 2 refused, or wrong usage or settings.")
def probe(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="A YAML file; its oplead section is enough."),
    ] = None,
    *,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Without a file: Oplead's address.")
    ] = None,
    path_prefix: PathPrefix = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="Without a file: where the key is; else OPLEAD_TOKEN."),
    ] = None,
    clock: Annotated[
        str | None, typer.Option("--clock", metavar="URL", help="Without a file: a sandbox's clock, on this machine.")
    ] = None,
    leads: Annotated[int, typer.Option("--leads", min=1, max=20_000, help="About how many leads to look at.")] = 300,
    json: Json = False,
) -> None:
    """Find out how Oplead answers.

    Reads some leads and prints where things stand, what a night will take, and the settings to paste.
    """
    from jobs.cli.output import guarded  # noqa: PLC0415
    from jobs.cli.probe import from_file, from_options  # noqa: PLC0415
    from jobs.cli.probe import probe as look  # noqa: PLC0415

    if config is not None and any(told is not None for told in (base_url, path_prefix, token_file, clock)):
        raise typer.BadParameter(
            "a file says these itself: write either --config, or --base-url, --path-prefix, --token-file and --clock"
        )

    def asked() -> int:
        told = from_options(base_url, path_prefix, token_file, clock) if config is None else from_file(config)
        return look(told, file=config, leads=leads, json_wanted=json)

    raise typer.Exit(guarded(asked))


@app.command(epilog=EXIT_CODES)
def backfill(
    config: Config,
    *,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="Changes from this day on, as 2026-09-01.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="And up to this day, itself included.")
    ] = None,
    conversion: Annotated[str | None, typer.Option(metavar="ID", help="Only this conversion.")] = None,
    destination: Annotated[str | None, typer.Option(metavar="ID", help="Only to this destination.")] = None,
    assume_time: Annotated[
        Literal["updated_at"] | None,
        typer.Option(help="Take a lead's last update for the time of a change Oplead does not date; never to Meta."),
    ] = None,
    already_sent: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What was told by other means, and must never go out: LEAD or LEAD,CONVERSION a line."
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Send what happened before a conversion's start.

    Shows what would go out, what waits, what is held back and what is too late, and asks; the nights stay as they are.
    """
    from jobs.cli.backfill import BackfillOptions, backfill_account  # noqa: PLC0415
    from jobs.cli.init.answers import day  # noqa: PLC0415

    if (first is None) != (last is None) or (first is None and already_sent is None):
        raise typer.BadParameter("write --from DAY and --to DAY, or --already-sent FILE, or all of them")
    begins, ends = (day(text, option) if text else None for text, option in ((first, "--from"), (last, "--to")))
    if begins is not None and ends is not None and begins > ends:
        raise typer.BadParameter("--from is after --to")
    if assume_time and first is None:
        raise typer.BadParameter("write --from DAY and --to DAY with it", param_hint="--assume-time")
    wanted = BackfillOptions(
        begins, ends, conversion, destination, assume_time is not None, already_sent, yes, dry_run, json
    )
    raise typer.Exit(backfill_account(config, wanted))


@app.command(epilog=EXIT_CODES)
def retry(
    config: Config,
    *,
    code: Annotated[str | None, typer.Option(metavar="CODE", help="Only what was rejected with this code.")] = None,
    destination: Annotated[str | None, typer.Option(metavar="ID", help="Only at this destination.")] = None,
    conversion: Annotated[str | None, typer.Option(metavar="ID", help="Only this conversion.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Send anew what was rejected.

    Each lead is read again first; what is out of time says so instead. At most 1,000 at once.
    """
    from jobs.cli.retry import RetryOptions, retry_account  # noqa: PLC0415
    from jobs.ledger.requeue import Refusals  # noqa: PLC0415

    wanted = RetryOptions(Refusals(code, destination, conversion), yes, dry_run, json)
    raise typer.Exit(retry_account(config, wanted))


@app.command()
def status(
    config: Config,
    *,
    reason: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="Name the leads that stand so: a reason or a state, as consent_unknown."),
    ] = None,
    json: Json = False,
) -> None:
    """Show where every delivery stands, and why."""
    from jobs.cli.inspect import show_leads, show_status  # noqa: PLC0415
    from jobs.cli.output import guarded  # noqa: PLC0415

    if reason is None:
        raise typer.Exit(guarded(lambda: show_status(config, json_wanted=json)))
    raise typer.Exit(guarded(lambda: show_leads(config, reason, json_wanted=json)))


@app.command()
def explain(
    lead: Annotated[str, typer.Argument(metavar="LEAD", help="Oplead's id of the lead.")],
    config: Config,
    *,
    json: Json = False,
) -> None:
    """Tell why a lead was sent or not.

    Everything known of it, and for each conversion its state, the reason and what to do.
    """
    from jobs.cli.inspect import explain_lead  # noqa: PLC0415
    from jobs.cli.output import guarded  # noqa: PLC0415

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
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="N|FILE",
            help="Have Oplead speak in a way picked by this number and not told, for `probe` to find; or as a YAML "
            "file says, an axis a line (--rules names them).",
        ),
    ] = None,
    google_transport: GoogleTransport = "data_manager",
) -> None:
    """Play Oplead, Google and Meta on this machine.

    A strict stand-in for each, to rehearse with no account anywhere; it serves until Ctrl-C.
    """
    from jobs.cli.demo.sandbox import cast_of, print_rules, serve  # noqa: PLC0415
    from jobs.cli.output import guarded  # noqa: PLC0415

    if rules:
        raise typer.Exit(guarded(print_rules))
    if out is None:
        raise typer.BadParameter("say where the sandbox lives: --out DIR", param_hint="--out")
    try:
        cast = cast_of(seed, leads, shape)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shape") from None
    raise typer.Exit(guarded(lambda: serve(out, cast, google_transport)))


@app.command()
def demo(
    *,
    keep: Annotated[Path | None, typer.Option("--keep", metavar="DIR", help="Keep everything there.")] = None,
    seed: Seed = 7,
    leads: Leads = 1500,
    nights: Annotated[int, typer.Option(min=1, max=50, help="Nights to play before it may end.")] = 14,
    google_transport: GoogleTransport = "data_manager",
) -> None:
    """Watch two weeks go by in a minute.

    Invented leads, a played Oplead, Google and Meta, and everything going wrong that can; no account is needed.
    """
    from jobs.cli.demo.play import play  # noqa: PLC0415
    from jobs.cli.demo.sandbox import Cast  # noqa: PLC0415
    from jobs.cli.output import guarded  # noqa: PLC0415

    raise typer.Exit(guarded(lambda: play(keep, Cast(seed, leads), nights, google_transport)))
