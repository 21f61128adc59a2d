"""`oplead-sync oplead …`: leads, documents, statuses and webhooks in Oplead; the only commands that write to it."""

import typer

from jobs.cli.options import Configs, Json, command

app = typer.Typer(
    name="oplead", help="Work with Oplead itself: leads, documents, statuses and webhooks.", no_args_is_help=True
)
leads = typer.Typer(name="leads", help="Create, read, change, import and export leads.", no_args_is_help=True)
document = typer.Typer(name="document", help="Add quotes and invoices to a lead.", no_args_is_help=True)
status = typer.Typer(name="status", help="Set the status of leads.", no_args_is_help=True)
settings = typer.Typer(name="settings", help="What Oplead is set up for.", no_args_is_help=True)
webhooks = typer.Typer(name="webhooks", help="Have changes reported when they happen.", no_args_is_help=True)
for group in (leads, document, status, settings, webhooks):
    app.add_typer(group)

# ── leads ────────────────────────────────────────────────────────────────────────────────────────

# ── documents ────────────────────────────────────────────────────────────────────────────────────

# ── statuses ─────────────────────────────────────────────────────────────────────────────────────

# ── settings ─────────────────────────────────────────────────────────────────────────────────────

# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────


@command(webhooks, "Exit codes: 0 stopped as asked; 2 wrong usage or settings; 70 a bug.")
def serve(config: Configs, *, json: Json = False) -> int:
    """Take webhooks into the inbox.

    Goes on until Ctrl-C, SIGTERM or SIGHUP, behind a proxy that speaks TLS; the next night reads what has come in. An
    event is acknowledged once it is stored. Supports systemd's Type=notify and WatchdogSec.
    """
    from jobs.cli.serve import serve_webhooks  # noqa: PLC0415

    return serve_webhooks(config, json_wanted=json)
