"""Clocks show an hour of autumn twice: a change without a zone after its lead's creation is the second pass."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from connectors.crm import CrmEventKind
from connectors.oplead.options import OpleadOptions, WebhookFieldPaths
from connectors.oplead.parsing.lead_parser import LeadParser
from connectors.oplead.parsing.webhook_parser import WebhookParser
from connectors.records import LeadId

OPTIONS = OpleadOptions(token="t", zone=ZoneInfo("Europe/Paris"))
PARSER = LeadParser(OPTIONS)
WEBHOOKS = WebhookParser(OPTIONS, WebhookFieldPaths({CrmEventKind.STATUS_CHANGE: "status_changed"}))
FIRST, SECOND = datetime(2026, 10, 25, 0, 5, tzinfo=UTC), datetime(2026, 10, 25, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("created", "changed", "at"),
    [
        ("2026-10-25 02:50:00", "2026-10-25 02:05:00", SECOND),
        ("2026-10-25 02:01:00", "2026-10-25 02:05:00", FIRST),
        ("2026-10-25 02:50:00", "2026-10-25T02:05:00+02:00", FIRST),
        ("2026-10-25T02:10:00+01:00", "2026-10-25 02:05:00", FIRST),
    ],
)
@pytest.mark.parametrize("where", ["history", "status_at"])
def test_change_before_its_creation_by_the_first_pass_is_the_second(created, changed, at, where):
    """One that neither pass explains stays as it is written, and so does one with an offset."""
    item = {"id": 1, "createdAt": created, "status": "Gagn\u00e9"}
    item |= (
        {"statusHistory": [{"status": "Gagn\u00e9", "date": changed}]}
        if where == "history"
        else {"statusUpdatedAt": changed}
    )
    (entry,) = PARSER.parse(item, LeadId("1"), "digest").history

    assert at == entry.at.at


@pytest.mark.parametrize(
    ("arrived", "written", "at"),
    [
        (SECOND + timedelta(seconds=1), "2026-10-25 02:05:00", SECOND),
        (SECOND, "2026-10-25 02:05:00", SECOND),
        (SECOND - timedelta(seconds=1), "2026-10-25 02:05:00", FIRST),
        (FIRST + timedelta(seconds=1), "2026-10-25 02:05:00", FIRST),
        (SECOND + timedelta(seconds=1), "2026-10-25T02:05:00+02:00", FIRST),
        (FIRST - timedelta(minutes=1), "2026-10-25 02:05:00", FIRST),
    ],
)
@pytest.mark.parametrize("where", ["occurredAt", "date", "leadData.statusDate"])
def test_webhook_is_of_the_last_pass_before_its_arrival(arrived, written, at, where):
    """Under whatever name it has its time; one that is ahead of its arrival in both passes stays as it is written."""
    body = {"event": "status_changed", "lead": {"id": 1, "status": "Gagn\u00e9"}}
    if where.startswith("leadData"):
        body["lead"]["statusDate"] = written
    else:
        body[where] = written
    (event,) = WEBHOOKS.parse(json.dumps(body).encode(), arrived)

    assert at == event.event.at.at
