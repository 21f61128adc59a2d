"""`oplead leads create` and `update`."""

from connectors.crm import LeadData, WriteFault, WriteReceipt, WriteRefused
from connectors.records import LeadId, Lost
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.outcomes import ADMIN, ANY_KEY, document_of, exit_of, sentence_of
from jobs.reporting.console import facts, print_json, results, say

_PLACES = (
    "Where each value goes is assumed: `oplead-sync probe` shows where leads hold them; write other places under "
    "oplead.write.fields."
)


def create(context: OpleadContext, lead: LeadData) -> int:
    """Show a new lead, ask, create it, and say what became of it."""
    if not _is_agreed(context, lead, None):
        return Exit.DONE
    today = context.clock.now().astimezone(context.known.settings.zone).date()
    look = (
        f"Look for it before you create it again: `oplead-sync oplead leads list --since {today} --contact` shows the "
        "leads of today."
    )
    return _told(context, create_one(context, lead), "Lead created", ANY_KEY, look)


def create_one(context: OpleadContext, lead: LeadData) -> WriteReceipt:
    """Create one lead by one request."""
    with context.writer() as writer:
        return writer.create(lead)


def update(context: OpleadContext, lead_id: str, lead: LeadData) -> int:
    """Show what changes in a lead, ask, change it, and say what became of it."""
    if not _is_agreed(context, lead, lead_id):
        return Exit.DONE
    with context.writer() as writer:
        receipt = writer.update(LeadId(lead_id), lead)
    look = f"Compare with `oplead-sync oplead leads get {lead_id}`; writing the same values again does no harm."
    return _told(context, receipt, "Lead changed", ADMIN, look)


def _is_agreed(context: OpleadContext, lead: LeadData, lead_id: str | None) -> bool:
    """Show what would be written, and ask; in a dry run, only show it."""
    with context.writer() as writer:
        try:
            preview = writer.preview(lead, LeadId(lead_id) if lead_id else None)
        except ValueError as error:
            raise UsageError(f"this lead cannot be written: {error}") from None
    dry_run, json = context.approval.dry_run, context.approval.json
    if not json:
        say(preview.request)
        results().print(facts(tuple(preview.values.items())))
    elif dry_run:
        print_json({"rehearsed": True, "request": preview.request, "values": preview.values})
    if dry_run:
        if not json:
            say("Nothing was written.")
        return False
    if not context.agrees("Write this to Oplead?"):
        say("Nothing was written.")
        return False
    return True


def _told(context: OpleadContext, receipt: WriteReceipt, done: str, key: str, look: str) -> int:
    if context.approval.json:
        todo = {"look": look} if isinstance(receipt, Lost) else {}
        print_json({**document_of(receipt), **todo, "exit_code": exit_of(receipt)})
    else:
        say(sentence_of(receipt, done, key=key, look=look))
        if isinstance(receipt, WriteRefused) and receipt.status and receipt.fault is WriteFault.DATA:
            say(_PLACES)
    return exit_of(receipt)
