"""`oplead leads feedback`: where each lead that we created with a `provider.url` stands, and since when."""

import csv
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from connectors.language import N_, _, _n, format_integer
from connectors.records import LeadId
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.report.queries import recorded_lead_statuses
from jobs.ledger.runs import open_for_reading
from jobs.ledger.storage.state_file import NoStateError
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.creation.outbox import LeadCreationRecord, lead_creation_outbox_path, open_outbox
from jobs.reporting.console import day_and_time, print_rows, say
from jobs.reporting.presentation import print_json
from jobs.webhooks.inbox import InboxLocation
from jobs.wiring.inbox import inbox_location
from jobs.wiring.state import state_at_address

_NOTHING = N_("nothing heard yet")
_NAMELESS = N_("its id is not known")
_HEARD_BY = {"webhook": N_("webhook"), "night": N_("night")}
_TITLES = ("lead", "created_at", "status", "since", "heard_by")


@dataclass(frozen=True, slots=True)
class LatestLeadFeedback:
    """What was heard last of a lead."""

    status: str
    since: datetime | date
    by: str
    """`webhook`, or `night` if the nightly job read it."""


def show_lead_feedback(context: OpleadContext, file: Path | None) -> int:
    """Show each lead, or write it to a new CSV file."""
    if file is not None and file.exists():
        raise UsageError(_("{file}: it exists already; name another file, or remove it", file=file))
    look = context.known.settings
    with open_outbox(lead_creation_outbox_path(context.known.state_folder, look.account)) as outbox:
        created = outbox.created_leads_with_provider_url() if outbox else []
    created = sorted(created, key=lambda one: (one.sent_at.replace(microsecond=0), one.lead or ""))
    ids = [one.lead for one in created if one.lead]
    zone = look.zone
    heard = latest_feedback_of_each_lead(
        _feedback_from_webhooks(context, ids), _feedback_from_nights(context, ids), zone
    )
    if file is not None:
        _write(file, created, heard)
    if context.approval.json_wanted:
        for one in created:
            print_json(dict(zip(_TITLES, _values(one, heard), strict=True)))
        return Exit.DONE
    if created and file is None:
        _print(created, heard, zone)
    silent = sum(one.lead not in heard for one in created)
    say(
        _n(
            "{count} lead created with provider.url; nothing heard yet of {silent}.",
            "{count} leads created with provider.url; nothing heard yet of {silent}.",
            len(created),
            silent=format_integer(silent),
        )
    )
    if not_understood := _count_not_understood(context):
        say(
            _n(
                "{count} webhook was heard and not understood: the run report shows what it holds, for "
                "`webhooks.fields`.",
                "{count} webhooks were heard and not understood: the run report shows what they hold, for "
                "`webhooks.fields`.",
                not_understood,
            )
        )
    if silent and not _inbox_location(context).exists():
        serve = context.account_command_line("webhooks serve")
        say(_("No receiver has run here: start `{command}` where provider.url leads.", command=serve))
    return Exit.DONE


def latest_feedback_of_each_lead(
    first: Mapping[LeadId, LatestLeadFeedback], second: Mapping[LeadId, LatestLeadFeedback], zone: ZoneInfo
) -> Mapping[LeadId, LatestLeadFeedback]:
    """Return of each lead what was heard last; what is equally old is taken from `first`."""

    def order(one: LatestLeadFeedback) -> datetime:
        since = one.since
        return since if isinstance(since, datetime) else datetime(since.year, since.month, since.day, tzinfo=zone)

    merged = dict(first)
    for lead, one in second.items():
        if lead not in merged or order(one) > order(merged[lead]):
            merged[lead] = one
    return merged


# ── where it was heard ───────────────────────────────────────────────────────────────────────────


def _inbox_location(context: OpleadContext) -> InboxLocation:
    look = context.known.settings
    assert look.account is not None  # noqa: S101 - the outbox's path has been found
    return inbox_location(context.known.state, look.account, look.webhooks)


def _feedback_from_webhooks(context: OpleadContext, ids: Collection[LeadId]) -> Mapping[LeadId, LatestLeadFeedback]:
    inbox = _inbox_location(context).open_inbox_for_reading()
    if inbox is None:
        return {}
    with closing(inbox):
        events = inbox.webhook_events_of(ids)
    heard: Mapping[LeadId, LatestLeadFeedback] = {}
    for lead, received in events.items():
        for one in received:
            if one.event.label is not None:
                at = one.event.at.at if one.event.at else one.received_at
                # Of one lead, webhooks may arrive in another order than things happened.
                heard = latest_feedback_of_each_lead(
                    heard, {lead: LatestLeadFeedback(one.event.label, at, "webhook")}, context.known.settings.zone
                )
    return heard


def _count_not_understood(context: OpleadContext) -> int:
    """Return how many webhooks in the inbox say nothing that we understand, whichever lead they may be about."""
    inbox = _inbox_location(context).open_inbox_for_reading()
    if inbox is None:
        return 0
    with closing(inbox):
        return sum(inbox.count_unknown_event_structures(after=0, to=inbox.latest_event_id()).values())


def _feedback_from_nights(context: OpleadContext, ids: Collection[LeadId]) -> Mapping[LeadId, LatestLeadFeedback]:
    address, account = context.known.state, context.known.settings.account
    if address is None or account is None:
        return {}
    try:
        with open_for_reading(state_at_address(address, account)) as session:
            found = recorded_lead_statuses(session, account, ids)
    except NoStateError:
        return {}
    zone = context.known.settings.zone
    return {
        lead: LatestLeadFeedback(one.label, one.since.astimezone(zone).date() if one.date_only else one.since, "night")
        for lead, one in found.items()
    }


# ── how it is shown ──────────────────────────────────────────────────────────────────────────────


def _values(one: LeadCreationRecord, heard: Mapping[LeadId, LatestLeadFeedback]) -> Sequence[object]:
    known = heard.get(one.lead) if one.lead else None
    return (one.lead, one.sent_at, *((known.status, known.since, known.by) if known else (None, None, None)))


def _print(created: Sequence[LeadCreationRecord], heard: Mapping[LeadId, LatestLeadFeedback], zone: ZoneInfo) -> None:
    rows = []
    for one in created:
        known = heard.get(one.lead) if one.lead else None
        said = (known.status, _time(known.since, zone), _(_HEARD_BY[known.by])) if known else (_(_NOTHING), "", "")
        rows.append([one.lead or _(_NAMELESS), _time(one.sent_at, zone), *said])
    print_rows((_("Lead"), _("Created"), _("Status"), _("Since"), _("Heard by")), rows)


def _time(moment: datetime | date | None, zone: ZoneInfo) -> str:
    if moment is None:
        return ""
    return day_and_time(moment, zone) if isinstance(moment, datetime) else moment.isoformat()


def _write(file: Path, created: Sequence[LeadCreationRecord], heard: Mapping[LeadId, LatestLeadFeedback]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(_TITLES)
        for one in created:
            cells = (cell.isoformat() if isinstance(cell, date) else cell for cell in _values(one, heard))
            rows.writerow(["" if cell is None else cell for cell in cells])
