"""`export-person`: write all that is held on a lead as JSON, for somebody who asks what is held on them."""

import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.crm import ReceivedEvent
from connectors.language import _, format_day
from connectors.records import LeadId
from jobs.account.files import reading_settings
from jobs.account.state import open_state_read_only
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.retention import retention
from jobs.ledger.schema import FormerFile
from jobs.ledger.storage.state_file import open_privately
from jobs.oplead_commands.context import parse_lead_id_argument
from jobs.oplead_commands.creation.outbox import LeadCreationRecord, lead_creation_outbox_path, open_outbox
from jobs.privacy.former_files import FormerFileError, events_in_former_file, export_from_former_file, former_files
from jobs.privacy.person_export import ledger_data_of_lead
from jobs.reporting.presentation import as_json_value
from jobs.settings import Settings
from jobs.wiring.account import account_inbox
from jobs.wiring.state import folder_beside_state


def export_person(lead_id: str, file: Path, out: Path | None) -> int:
    """Write what is held on a lead to a file that only its owner can read, or to stdout.

    Raises:
        UsageError: nothing is held on it.
    """
    with reading_settings(file, json_wanted=False) as settings:
        person = data_held_on_person(settings, parse_lead_id_argument(lead_id))
    text = json.dumps(as_json_value(person), ensure_ascii=False)
    if out is None:
        sys.stdout.write(f"{text}\n")
    else:
        with open_privately(out, "w") as written:
            # An existing file may be open to others.
            out.chmod(0o600)
            written.write(f"{text}\n")
    return Exit.DONE


def data_held_on_person(settings: Settings, lead: LeadId) -> dict[str, Any]:
    """Return what each file holds on a lead.

    Raises:
        UsageError: nothing is held on it.
    """
    with open_state_read_only(settings) as session:
        found = ledger_data_of_lead(session, settings.account, lead)
        left_before = retention.retention_cutoff(session, settings.account)
        former = former_files(session, settings.account)
    found["webhook_events"] = [_event(each) for each in _events(settings, lead)]
    found["created_from_here"] = [_creation(each) for each in _creations(settings, lead)]
    found["former_files"], unread = _in_former_files(former, lead)
    if not any(found.values()):
        raise UsageError("\n".join([_nothing_held(settings, lead, left_before), *unread]))
    return {"account": settings.account, "id": lead, **found, "unread_files": unread}


def _nothing_held(settings: Settings, lead: LeadId, left_before: datetime | None) -> str:
    if left_before is None:
        return _("nothing is held on lead {lead}; check the id", lead=lead)
    return _(
        "nothing is held on lead {lead}. If it was created before {day}, and nothing had happened to it for as long as "
        "`retention.leads` says, it has left, and no record of it was kept; otherwise check the id",
        lead=lead,
        day=format_day(left_before.astimezone(settings.zone).date()),
    )


def _in_former_files(files: Sequence[FormerFile], lead: LeadId) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what the files hold that the state was moved from, and of those that cannot be read, why not."""
    found, unread = [], []
    for file in files:
        try:
            ledger, events = export_from_former_file(file, lead), events_in_former_file(file, lead)
        except FormerFileError as error:
            unread.append(str(error))
            continue
        if ledger or events:
            found.append(
                {"path": file.path, "ledger": ledger or None, "webhook_events": [_event(each) for each in events]}
            )
    return found, unread


def _events(settings: Settings, lead: LeadId) -> Sequence[ReceivedEvent]:
    inbox = account_inbox(settings).open_inbox_for_reading()
    if inbox is None:
        return ()
    with closing(inbox):
        return inbox.webhook_events_of([lead]).get(lead, ())


def _event(received: ReceivedEvent) -> dict[str, Any]:
    event = received.event
    return {
        "received_at": received.received_at,
        "kind": event.kind,
        "label": event.label,
        "at": event.at and event.at.at,
        "appointment_at": event.appointment_at and event.appointment_at.at,
        "digest": received.digest,
    }


def _creations(settings: Settings, lead: LeadId) -> Sequence[LeadCreationRecord]:
    path = lead_creation_outbox_path(folder_beside_state(settings), settings.account)
    with open_outbox(path) as outbox:
        return [] if outbox is None else outbox.records_of([lead])


def _creation(created: LeadCreationRecord) -> dict[str, Any]:
    columns = {each.name: getattr(created, each.name) for each in fields(created) if each.name not in ("lead", "mark")}
    return columns | {"recognised_by": sorted(created.mark.hashes) if created.mark else []}
