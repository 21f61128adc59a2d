"""`oplead-sync oplead …`: leads, documents, statuses and webhooks in Oplead; the only commands that write to it."""

import typer

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
