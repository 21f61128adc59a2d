"""`oplead leads create` and `update`."""

from dataclasses import replace

from connectors.crm import LeadToWrite, WriteAccepted, WriteReceipt, WriteRefusalReason, WriteRefused
from connectors.language import N_, _
from connectors.records import AnswerLost, LeadId, RequestNotSent
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import OpleadContext, parse_lead_id_argument
from jobs.oplead_commands.creation.creating import (
    OpleadLeadCreator,
    Verdict,
    WantedLead,
    add_reference_to_lead,
    lead_to_create,
)
from jobs.oplead_commands.creation.identity import creation_key_of
from jobs.oplead_commands.creation.outbox import (
    LeadCreationOutbox,
    LeadCreationRecord,
    lead_creation_outbox_path,
    lock_lead_creation_outbox,
)
from jobs.oplead_commands.outcomes import (
    ADMIN,
    ANY_KEY,
    exit_code_of_write,
    write_outcome_for_json,
    write_outcome_sentence,
)
from jobs.reporting.console import day_and_time, facts_grid, results_console, say
from jobs.reporting.presentation import print_json

_PLACES = N_(
    "Where each value goes is assumed: `oplead-sync probe` shows where leads hold them; write other places under "
    "oplead.write.fields."
)

_PATIENCE = 60.0
"""How many seconds to wait for another command that creates leads: a website may send two at once."""


def create(
    context: OpleadContext,
    lead: LeadToWrite,
    *,
    reference: str | None = None,
    again: bool = False,
    verdict: Verdict | None = None,
) -> int:
    """Show a new lead, ask, create it once, and say what became of it.

    Args:
        context: the account's Oplead.
        lead: the lead.
        reference: the user's own reference of it; one without is known again by its content.
        again: whether to send it although it was created before.
        verdict: what a human says of it if it is in doubt.
    """
    if reference is not None and not (reference := reference.strip()):
        raise UsageError(_("--reference: write a value, or leave it out"))
    lead = add_reference_to_lead(context, lead, reference)
    path = lead_creation_outbox_path(context.known.state_folder, context.known.settings.account)
    if not _is_confirmed(context, lead, None):
        return Exit.DONE
    with lock_lead_creation_outbox(
        path, now=context.clock.now, patience=_PATIENCE, cancel_token=context.cancel_token
    ) as outbox:
        wanted = lead_to_create(context, lead, reference, outbox.salt)
        key, one = _latest(outbox, wanted.new.key)
        if one is not None and one.is_in_oplead and not again:
            return _report_created_before(context, one, wanted)
        if one is not None and not one.is_in_oplead:
            key = one.key
        wanted = replace(wanted, new=replace(wanted.new, key=key))
        creating = OpleadLeadCreator(context, outbox, {key: wanted}, verdict=verdict)
        creating.run()
        outbox.erase_recognition_marks(now=context.clock.now())
        one = outbox.find([key]).get(key)
    if one is not None and one.is_in_oplead and one.content != wanted.new.content:
        return _report_created_before(context, one, wanted)
    if one is None and verdict is Verdict.NOT_CREATED and creating.stop is None:
        return _report_taken_off(context)
    look = "" if one is None or one.is_in_oplead else _what_to_do(context, one)
    is_noted = verdict is Verdict.CREATED and one is not None and one.lead is None
    done = _("Noted: it is in Oplead. Nothing was sent") if is_noted else _("Lead created")
    return _report(context, _receipt(creating, wanted, one), done, ANY_KEY, look)


def _what_to_do(context: OpleadContext, one: LeadCreationRecord) -> str:
    """Return what becomes of a lead in doubt, and what a human can do."""
    zone = context.known.settings.zone
    if not one.is_for_humans:
        return _(
            "It is not sent again by itself. The next look is on {time}: by `schedule`, or by the same command then.",
            time=day_and_time(one.next_look_at, zone),
        )
    day = one.sent_at.astimezone(zone).date()
    return _(
        "It was not found. Look for it: `{command}`. Then type the same command with --created if it is there, with "
        "--create-again to send it once more, or with --not-created to forget it.",
        command=context.account_command_line(f"leads list --since {day} --contact"),
    )


def _report_taken_off(context: OpleadContext) -> int:
    if context.approval.json_wanted:
        print_json({"outcome": "not_created", "exit_code": Exit.DONE})
    else:
        say(_("Nothing was sent. It is no longer on record: the same command creates it."))
    return Exit.DONE


def _latest(outbox: LeadCreationOutbox, key: str) -> tuple[str, LeadCreationRecord | None]:
    """Return the key for a lead's next `--again`, each of which has its own, and what is on record of it last."""
    last = None
    while (one := outbox.find([key]).get(key)) is not None:
        last, key = one, creation_key_of(key, one.content, outbox.salt)
    return key, last


def _receipt(creating: OpleadLeadCreator, wanted: WantedLead, one: LeadCreationRecord | None) -> WriteReceipt:
    """Return what became of a lead as the answer to its creation."""
    key = wanted.new.key
    if creating.stop is not None or key in creating.refusals:
        return creating.stop or creating.refusals[key]
    if one is None:
        return RequestNotSent(_("it is not in Oplead"))
    if one.is_in_oplead:
        return WriteAccepted(one.lead)
    if one.content != wanted.new.content:
        reason = _("its answer was lost when it had other data: those of now were not sent")
    else:
        reason = _("its answer was lost")
    if creating.unreadable:
        reason = _("{reason}; leads cannot be looked for: {why}", reason=reason, why=creating.unreadable)
    return AnswerLost(reason)


def _report_created_before(context: OpleadContext, one: LeadCreationRecord, wanted: WantedLead) -> int:
    command = context.account_command_line(f"leads update {one.lead}" if one.lead else "leads update")
    look = _("To change it, use `{command}`; to create it once more, add --again.", command=command)
    if context.approval.json_wanted:
        print_json({"outcome": "created_before", "id": one.lead, "look": look, "exit_code": Exit.ATTENTION})
    else:
        created = _("Created before as {lead}", lead=one.lead) if one.lead else _("Created before")
        said = N_("{created}: nothing was written. {look}")
        if one.content != wanted.new.content:
            said = N_("{created}: it has other data, and those of now were not sent. {look}")
        say(_(said, created=created, look=look))
    return Exit.ATTENTION


def update(context: OpleadContext, lead_id: str, lead: LeadToWrite) -> int:
    """Show what changes in a lead, ask, change it, and say what became of it."""
    named = parse_lead_id_argument(lead_id)
    if not _is_confirmed(context, lead, named):
        return Exit.DONE
    with context.writer() as writer:
        receipt = writer.update(named, lead)
    look = _(
        "Compare with `{command}`; writing the same values again does no harm.",
        command=context.account_command_line(f"leads get {named}"),
    )
    return _report(context, receipt, _("Lead changed"), ADMIN, look)


def _is_confirmed(context: OpleadContext, lead: LeadToWrite, lead_id: LeadId | None) -> bool:
    """Show what would be written, and ask; in a dry run, only show it."""
    with context.writer() as writer:
        try:
            preview = writer.preview_write(lead, lead_id)
        except ValueError as error:
            raise UsageError(_("this lead cannot be written: {error}", error=error)) from None

    def show() -> None:
        say(preview.request)
        results_console().print(facts_grid(tuple(preview.values.items())))

    rehearsed = {"request": preview.request, "values": preview.values}
    return context.is_write_confirmed(_("Write this to Oplead?"), rehearsed=rehearsed, show=show)


def _report(context: OpleadContext, receipt: WriteReceipt, done: str, key: str, look: str) -> int:
    if context.approval.json_wanted:
        todo = {"look": look} if isinstance(receipt, AnswerLost) else {}
        print_json({**write_outcome_for_json(receipt), **todo, "exit_code": exit_code_of_write(receipt)})
    else:
        say(write_outcome_sentence(receipt, done, key=key, look=look))
        if isinstance(receipt, WriteRefused) and receipt.status and receipt.fault is WriteRefusalReason.DATA:
            say(_(_PLACES))
    return exit_code_of_write(receipt)
