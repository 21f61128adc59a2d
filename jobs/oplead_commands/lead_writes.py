"""`oplead leads create` and `update`."""

from dataclasses import replace
from typing import assert_never

from connectors.crm import LeadToWrite, WriteAccepted, WriteReceipt, WriteRefusalReason, WriteRefused
from connectors.language import N_, _, join_with_newlines
from connectors.records import AnswerLost, LeadId, RequestNotSent
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands.context import OpleadContext, parse_lead_id_argument
from jobs.oplead_commands.creation.creating import (
    CHANGED_MEANWHILE,
    OpleadLeadCreator,
    Verdict,
    WantedLead,
    add_reference_to_lead,
    lead_to_create,
    may_send,
)
from jobs.oplead_commands.creation.identity import creation_key_of
from jobs.oplead_commands.creation.outbox import (
    LeadCreationOutbox,
    LeadCreationRecord,
    lead_creation_outbox_path,
    lock_lead_creation_outbox,
    open_outbox,
)
from jobs.oplead_commands.outcomes import ADMIN, ANY_KEY, exit_code_of_write, write_outcome_sentence
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
    with open_outbox(path) as known:
        wanted = lead_to_create(context, lead, reference, known.salt if known else b"")
        wanted, one = _on_record(known, wanted, again=again) if known else (wanted, None)
    if one is not None and one.is_in_oplead:
        return _report_created_before(context, one, wanted)
    if one is None and verdict is not None:
        raise verdict.refusal()
    is_sent = may_send(one, verdict, context.clock.now())
    if one is not None and not is_sent and context.approval.dry_run:
        return _rehearse_note(context, one, verdict)
    if is_sent and not _is_confirmed(context, lead, None):
        return Exit.DONE
    with lock_lead_creation_outbox(
        path, now=context.clock.now, patience=_PATIENCE, cancel_token=context.cancel_token
    ) as outbox:
        wanted, one = _on_record(outbox, lead_to_create(context, lead, reference, outbox.salt), again=again)
        if one is not None and one.is_in_oplead:
            return _report_created_before(context, one, wanted)
        if one is None and not is_sent:
            raise UsageError(_(CHANGED_MEANWHILE))
        key = wanted.new.key
        # Before Oplead has had its time, nothing was asked and nothing is sent.
        said = verdict if is_sent or verdict is not Verdict.CREATE_AGAIN else None
        creating = OpleadLeadCreator(context, outbox, {key: wanted}, verdict=said)
        creating.run()
        outbox.erase_recognition_marks(now=context.clock.now())
        one = outbox.find([key]).get(key)
    return _report_creation(context, creating, wanted, one)


def _on_record(
    outbox: LeadCreationOutbox, wanted: WantedLead, *, again: bool
) -> tuple[WantedLead, LeadCreationRecord | None]:
    """Return a lead by its key, and what is on record of it last; nothing if it is in Oplead and created `again`.

    Each creation of one lead has a key of its own.
    """
    last, key = None, wanted.new.key
    while (one := outbox.find([key]).get(key)) is not None:
        last, key = one, creation_key_of(key, one.content, outbox.salt)
    if last is not None and not (last.is_in_oplead and again):
        key = last.key
    else:
        last = None
    return replace(wanted, new=replace(wanted.new, key=key)), last


def _report_creation(
    context: OpleadContext, creating: OpleadLeadCreator, wanted: WantedLead, one: LeadCreationRecord | None
) -> int:
    verdict = creating.verdict
    if one is not None and one.is_in_oplead:
        if one.content != wanted.new.content or verdict is Verdict.NOT_CREATED:
            return _report_created_before(context, one, wanted)
        if verdict is Verdict.CREATED:
            return _report_noted(context, one)
    if one is None and verdict is Verdict.NOT_CREATED and creating.stop is None:
        return _report_taken_off(context)
    look = "" if one is None or one.is_in_oplead else _what_to_do(context, one)
    return _report(context, _receipt(creating, wanted, one), _("Lead created"), ANY_KEY, look)


def _what_to_do(context: OpleadContext, one: LeadCreationRecord) -> str:
    """Return what becomes of a lead in doubt, and what a human can do."""
    if not one.is_for_humans:
        return _(
            "It is not sent again by itself. The next look is on {time}: by `schedule`, or by the same command then.",
            time=day_and_time(one.next_look_at, context.known.settings.zone),
        )
    return _(
        "It was not found. Look for it: `{command}`. Then type the same command with --created if it is there, with "
        "--create-again to send it once more, or with --not-created to forget it.",
        command=_list_command(context, one),
    )


def _list_command(context: OpleadContext, one: LeadCreationRecord) -> str:
    """Return the command line that lists the leads among which one of ours is."""
    day = one.sent_at.astimezone(context.known.settings.zone).date()
    return context.account_command_line(f"leads list --since {day} --contact")


def _rehearse_note(context: OpleadContext, one: LeadCreationRecord, verdict: Verdict | None) -> int:
    """Say what would become of a lead in doubt, which is not sent."""
    match verdict:
        case Verdict.CREATED:
            outcome, text = "noted", _("It would be noted that this lead is in Oplead. Nothing would be sent.")
        case Verdict.NOT_CREATED if one.has_had_time(context.clock.now()):
            outcome = "not_created"
            text = _("It would be looked for once more, and if not found, taken off the record. Nothing would be sent.")
        case Verdict.NOT_CREATED | Verdict.CREATE_AGAIN | None:
            outcome, what_to_do = "lost", _what_to_do(context, one)
            text = _("Its answer was lost: it would be looked for, and not sent. {what_to_do}", what_to_do=what_to_do)
        case _:
            assert_never(verdict)
    if context.approval.json_wanted:
        print_json({"rehearsed": True, "outcome": outcome})
    else:
        say(text)
    return Exit.DONE


def _report_noted(context: OpleadContext, one: LeadCreationRecord) -> int:
    if context.approval.json_wanted:
        print_json({"outcome": "noted", "id": one.lead, "exit_code": Exit.DONE})
    elif one.lead:
        say(_("Noted: it is in Oplead, as {lead}. Nothing was sent.", lead=one.lead))
    else:
        say(_("Noted: it is in Oplead. Nothing was sent."))
    return Exit.DONE


def _report_taken_off(context: OpleadContext) -> int:
    if context.approval.json_wanted:
        print_json({"outcome": "not_created", "exit_code": Exit.DONE})
    else:
        say(_("Nothing was sent. It is no longer on record: the same command creates it."))
    return Exit.DONE


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
    command = context.account_command_line(f"leads update {one.lead or 'LEAD'}")
    if one.lead:
        look = _("To change it, use `{command}`; to create it once more, add --again.", command=command)
    else:
        look = _(
            "To change it, find its id (LEAD) by `{listing}` and use `{command}`; to create it once more, add --again.",
            listing=_list_command(context, one),
            command=command,
        )
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
    text = write_outcome_sentence(receipt, done, key=key, look=look)
    if isinstance(receipt, WriteRefused) and receipt.status and receipt.fault is WriteRefusalReason.DATA:
        text = join_with_newlines([text, _(_PLACES)])
    todo = {"look": look} if isinstance(receipt, AnswerLost) else {}
    return context.report_write(receipt, {}, text, **todo, exit_code=exit_code_of_write(receipt))
