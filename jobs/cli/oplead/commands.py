"""`oplead-sync oplead …`: leads, documents, statuses and webhooks in Oplead; the only commands that write to it."""

from contextlib import AbstractContextManager
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from connectors.language import _
from jobs.cli.oplead.lead_options import with_lead_value_options
from jobs.cli.options import Config, Configs, DryRun, Json, Yes, command, parse_day_option

if TYPE_CHECKING:
    from jobs.oplead_commands.context import OpleadContext
    from jobs.oplead_commands.creation.creating import Verdict

app = typer.Typer(name="oplead", help="Work in Oplead: leads, documents, statuses, webhooks.", no_args_is_help=True)
leads = typer.Typer(name="leads", help="Create, read, change, import and export leads.", no_args_is_help=True)
document = typer.Typer(name="document", help="Add quotes and invoices to a lead.", no_args_is_help=True)
status = typer.Typer(name="status", help="Set the status of leads.", no_args_is_help=True)
settings = typer.Typer(name="settings", help="What Oplead is set up for.", no_args_is_help=True)
webhooks = typer.Typer(name="webhooks", help="Receive changes as they happen.", no_args_is_help=True)
for group in (leads, document, status, settings, webhooks):
    app.add_typer(group)

EXIT_CODES = """
Exit codes: 0 done; 1 refused, or nobody knows whether it was done: a human is needed; 2 wrong usage, settings or key;
3 Oplead could not be reached; 70 a bug; 128 + n stopped by signal n.
"""
CREATE_EXIT_CODES = """
Exit codes: 0 done; 1 refused, created before, or nobody knows whether it was done: a human is needed; 2 wrong usage,
settings or key; 3 Oplead could not be reached; 70 a bug; 75 another command that creates leads is at work; 128 + n
stopped by signal n.
"""
IMPORT_EXIT_CODES = """
Exit codes: 0 every lead is created; 1 some were refused, have changed or are in doubt; 2 the file, usage, settings or
key are wrong; 3 Oplead stopped; 70 a bug; 75 another command that creates leads is at work; 128 + n stopped by signal
n.
"""
LeadArgument = Annotated[str, typer.Argument(metavar="LEAD", help="Oplead's id of the lead.")]
Contact = Annotated[bool, typer.Option("--contact", help="Show contact data too.")]
CreateAgain = Annotated[
    bool, typer.Option("--create-again", help="You have looked: what is in doubt is not there, and is sent once more.")
]
NotCreated = Annotated[
    bool, typer.Option("--not-created", help="You have looked: what is in doubt is not there; forget it.")
]
Created = Annotated[bool, typer.Option("--created", help="You have looked: what is in doubt is there.")]
Since = Annotated[
    date | None,
    typer.Option("--since", metavar="DAY", parser=parse_day_option, help="Only leads created on this day or later."),
]


class CrmEventName(StrEnum):
    """The values of `CrmEventKind`, whose module is slow to load for `--help`."""

    NEW_LEAD = "new_lead"
    STATUS_CHANGE = "status_change"
    APPOINTMENT = "appointment"


def _oplead(config: Path, **options: bool) -> "AbstractContextManager[OpleadContext]":
    """Open an account's Oplead as `open_oplead` does, which is loaded when a command runs."""
    from jobs.cli.oplead.context import open_oplead  # noqa: PLC0415

    return open_oplead(config, **options)


def _verdict(**said: bool) -> "Verdict | None":
    """Return the verdict that is said, by the name of its option."""
    from jobs.oplead_commands.creation.creating import Verdict  # noqa: PLC0415

    names = [name for name, is_said in said.items() if is_said]
    if len(names) > 1:
        raise typer.BadParameter(_("write one of --created, --create-again and --not-created"))
    return Verdict(names[0]) if names else None


# ── leads ────────────────────────────────────────────────────────────────────────────────────────


@command(leads, CREATE_EXIT_CODES, name="create")
@with_lead_value_options
def create_lead(
    config: Config,
    *,
    field: list[str],
    reference: Annotated[
        str | None, typer.Option(help="Your own reference, by which it is known again; otherwise by its content.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Send it although it was created before.")] = False,
    create_again: CreateAgain = False,
    not_created: NotCreated = False,
    created: Created = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    **values: str | None,
) -> int:
    """Create a lead, once.

    The same command again creates no second one. Shows what it will write, and asks. Needs the client admin's key, a
    user's or a supplier's; where oplead.write.via is form, the form import's token. Other people's data typed here
    stays in the shell's history: for many leads see `import`.
    """
    from jobs.oplead_commands.creation.lead_values import lead_from_options  # noqa: PLC0415
    from jobs.oplead_commands.lead_writes import create  # noqa: PLC0415

    verdict = _verdict(created=created, not_created=not_created, create_again=create_again)
    asks = not (created or not_created)  # nothing is sent
    with _oplead(config, asks=asks, yes=yes, dry_run=dry_run, json=json) as context:
        lead = lead_from_options(values, field, context.known.settings.zone)
        return create(context, lead, reference=reference, again=again, verdict=verdict)


@command(leads, EXIT_CODES, name="update")
@with_lead_value_options
def update_lead(
    lead: LeadArgument,
    config: Config,
    *,
    field: list[str],
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
    **values: str | None,
) -> int:
    """Change a lead.

    Writes what is given and leaves the rest. Shows what it will write, and asks. Needs the client admin's key, or a
    user's.
    """
    from jobs.oplead_commands.creation.lead_values import lead_from_options  # noqa: PLC0415
    from jobs.oplead_commands.lead_writes import update  # noqa: PLC0415

    with _oplead(config, asks=True, yes=yes, dry_run=dry_run, json=json) as context:
        return update(context, lead, lead_from_options(values, field, context.known.settings.zone))


@command(leads, EXIT_CODES, name="get")
def get_lead(lead: LeadArgument, config: Config, *, contact: Contact = False, json: Json = False) -> int:
    """Show a lead.

    Its dates, statuses, UTMs and kinds of click ids. Needs the client admin's key, or that of a user who sees the lead.
    """
    from jobs.oplead_commands.lead_reads import show_lead  # noqa: PLC0415

    with _oplead(config, json=json) as context:
        return show_lead(context, lead, contact=contact)


@command(leads, EXIT_CODES, name="list")
def list_leads(
    config: Config,
    *,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most this many, the newest.")] = 20,
    contact: Contact = False,
    json: Json = False,
) -> int:
    """List the newest leads.

    Needs the client admin's key; with a user's, only that user's leads are listed.
    """
    from jobs.oplead_commands.lead_reads import show  # noqa: PLC0415

    with _oplead(config, json=json) as context:
        return show(context, since=since, limit=limit, contact=contact)


@command(leads, EXIT_CODES, name="export")
def export_leads(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new .csv or .jsonl file; - is stdout.")],
    config: Config,
    *,
    since: Since = None,
    field: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="One more column, as leadData.budget; may be repeated.")
    ] = None,
    form: Annotated[
        Literal["csv", "jsonl"] | None, typer.Option("--format", help="The format, if the name does not say.")
    ] = None,
) -> int:
    """Export leads to a file.

    With their contact data, in columns that `import` reads; only you may read the file. Needs the client admin's key;
    with a user's, only that user's leads are exported.
    """
    from jobs.oplead_commands.lead_reads import export_leads_to_file  # noqa: PLC0415

    with _oplead(config) as context:
        return export_leads_to_file(context, file, since=since, fields=field or [], form=form)


@command(leads, IMPORT_EXIT_CODES, name="import")
def import_leads(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .csv file, or .jsonl with one JSON object a line.")],
    config: Config,
    *,
    columns: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A YAML file with what each title means, as Courriel: email.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new CSV file: what became of each line, without contacts.")
    ] = None,
    create_again: CreateAgain = False,
    not_created: NotCreated = False,
    created: Created = False,
    encoding: Annotated[
        Literal["utf-8", "utf-16", "cp1252"] | None, typer.Option(help="The file's encoding, if it cannot be told.")
    ] = None,
    delimiter: Annotated[
        Literal[";", ",", "tab"] | None, typer.Option(help="What separates its columns, if it cannot be told.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Create the leads of a file, each once.

    Validates the file whole before the first request, shows what it will write, and asks. Stopped or killed, the same
    command goes on; a lead whose answer was lost is looked for, and never sent again by itself. Needs the client
    admin's key or a user's; with a supplier's, which reads no leads, lost answers are left to you.
    """
    from jobs.oplead_commands.importing.import_leads import ImportOptions, import_file_into_oplead  # noqa: PLC0415

    verdict = _verdict(created=created, not_created=not_created, create_again=create_again)
    options = ImportOptions(columns, encoding, delimiter, verdict, report)
    with _oplead(config, asks=True, yes=yes, dry_run=dry_run, json=json) as context:
        return import_file_into_oplead(context, file, options)


@command(leads, EXIT_CODES, name="feedback")
def lead_feedback(
    config: Config,
    *,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it to a new CSV file.")] = None,
    json: Json = False,
) -> int:
    """Show what has become of the leads created with a provider.url.

    Where each stands and since when, as its webhooks and, where there is one, the nightly job's state say. Asks Oplead
    nothing.
    """
    from jobs.oplead_commands.feedback import show_lead_feedback  # noqa: PLC0415

    with _oplead(config, json=json) as context:
        return show_lead_feedback(context, csv)


# ── documents ────────────────────────────────────────────────────────────────────────────────────


@command(document, EXIT_CODES, name="add")
def add_documents(
    lead: LeadArgument,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="pdf, doc(x), xls(x), ppt(x), jpg, gif, png, zip.")
    ],
    config: Config,
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Add quotes, invoices or other files to a lead.

    Checks every file before the first is sent, shows them, and asks. Needs the client admin's key, or a user's.
    """
    from jobs.oplead_commands.documents import send_lead_documents  # noqa: PLC0415

    with _oplead(config, asks=True, yes=yes, dry_run=dry_run, json=json) as context:
        return send_lead_documents(context, lead, files)


# ── statuses ─────────────────────────────────────────────────────────────────────────────────────


@command(status, EXIT_CODES, name="set")
def set_status(
    config: Config,
    lead: Annotated[str | None, typer.Argument(metavar="LEAD", help="Oplead's id of the lead.")] = None,
    label: Annotated[
        str | None, typer.Argument(metavar="STATUS", help="En cours, Nurserie or Devis à relancer.")
    ] = None,
    *,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead: a CSV file with the columns id and status.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Set any other status too.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Set the status of a lead, or of those in a file.

    A file is validated whole before the first request. Shows what it will write, and asks. Needs the client admin's
    key, or a user's.
    """
    from jobs.oplead_commands.statuses import set_lead_status, set_statuses_from_file  # noqa: PLC0415

    with _oplead(config, asks=True, yes=yes, dry_run=dry_run, json=json) as context:
        if lead is not None and label is not None and csv is None:
            return set_lead_status(context, lead, label, force=force)
        if csv is not None and lead is None:
            return set_statuses_from_file(context, csv, force=force)
        raise typer.BadParameter(_("write LEAD and STATUS, or --csv FILE"))


# ── settings ─────────────────────────────────────────────────────────────────────────────────────


@command(settings, EXIT_CODES, name="show")
def show_settings(config: Config, *, json: Json = False) -> int:
    """Show Oplead's marketing channels and custom fields.

    Any key may do: the client admin's, a user's or a supplier's. Says which of them this one may not read.
    """
    from jobs.oplead_commands.show_settings import show  # noqa: PLC0415

    with _oplead(config, json=json) as context:
        return show(context)


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────


@command(webhooks, EXIT_CODES, name="subscribe")
def subscribe(
    config: Config,
    *,
    event: Annotated[
        list[CrmEventName] | None, typer.Option(help="Only this event; may be repeated. Otherwise all three.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Do not look first whether it is subscribed already.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Have Oplead report new leads, status changes and appointments.

    To webhooks.public_url, with its secret; what is subscribed already is left. Shows what it will write, and asks. Any
    key may do; a supplier's hears only of its own leads.
    """
    from connectors.crm import CrmEventKind  # noqa: PLC0415
    from jobs.oplead_commands import subscriptions  # noqa: PLC0415

    with _oplead(config, asks=True, yes=yes, dry_run=dry_run, json=json) as context:
        return subscriptions.subscribe(context, list(map(CrmEventKind, event or CrmEventKind)), force=force)


@command(webhooks, EXIT_CODES, name="list")
def list_subscriptions(config: Config, *, json: Json = False) -> int:
    """List what Oplead reports, and where.

    Secrets in addresses are masked. Any key may do.
    """
    from jobs.oplead_commands import subscriptions  # noqa: PLC0415

    with _oplead(config, json=json) as context:
        return subscriptions.show(context)


@command(webhooks, EXIT_CODES, name="remove")
def remove_subscriptions(
    config: Config,
    ids: Annotated[list[str] | None, typer.Argument(metavar="SUBSCRIPTION…", help="As `list` shows them.")] = None,
    *,
    all_ours: Annotated[
        bool, typer.Option("--all", help="Every one that reports to webhooks.public_url, with an old secret too.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """End subscriptions.

    Shows which, and asks. Any key may do.
    """
    from jobs.oplead_commands import subscriptions  # noqa: PLC0415

    with _oplead(config, asks=True, yes=yes, dry_run=dry_run, json=json) as context:
        return subscriptions.remove(context, ids or [], all_ours=all_ours)


@command(webhooks, "Exit codes: 0 stopped as asked; 2 wrong usage or settings; 70 a bug.")
def serve(config: Configs, *, json: Json = False) -> int:
    """Take webhooks into the inbox.

    Goes on until Ctrl-C, SIGTERM or SIGHUP, behind a proxy that speaks TLS; the next night reads what has come in. An
    event is acknowledged once it is stored. Supports systemd's Type=notify and WatchdogSec.
    """
    from jobs.cli.oplead.serve import serve_webhooks  # noqa: PLC0415

    return serve_webhooks(config, json_wanted=json)
