"""The settings are passed on to the connectors."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from connectors.oplead.options import OpleadOptions, SinceQueryParameters
from jobs.settings.load import OpleadSection
from jobs.settings.oplead_schema import OpleadSettings, WebhookSettings
from jobs.settings.schema import UnlabelledClickIdSettings
from jobs.settings.types import StateFile
from jobs.webhooks.file_inbox import WebhookInboxFile
from jobs.wiring.account import inbox_of
from jobs.wiring.oplead import build_oplead_options, pacer_for
from tests.fakes import FakeClock, slot

WRITTEN = {
    "token": "tok-1",
    "base_url": "https://crm.example.org/gate/",
    "path_prefix": "",
    "leads_path": "/all",
    "lead_path": "/one/{id}",
    "extra_headers": {"X-Tenant": "durand"},
    "extra_query": {"archived": "1"},
    "auth": {"style": "query", "name": "k", "prefix": "p"},
    "pagination": {
        "style": "page",
        "items": "a",
        "next": "b",
        "page_param": "c",
        "first_page": 0,
        "size_param": "d",
        "size": 7,
        "offset_param": "e",
        "cursor_param": "f",
        "total": "g",
        "total_header": "X-Total",
        "max_pages": 9,
    },
    "since_filter": {"param": "from", "format": "%d/%m/%Y", "until_param": "to"},
    "detail": "never",
    "fields": {"id": ["ref"]},
    "in_flight": 2,
    "max_requests": 77,
    "largest_page_mb": 9,
}


def told(**changes):
    """Return the connector options for these settings."""
    written, click_ids = (
        OpleadSettings(**(WRITTEN | changes)),
        UnlabelledClickIdSettings(bare="gclid", bare_digits="lead_id"),
    )
    return build_oplead_options(OpleadSection(oplead=written, click_ids=click_ids, stages={"won": ["Gagné"]}))


def test_every_oplead_setting_reaches_the_connector():
    """No option keeps its default if the settings differ."""
    plain, options = OpleadOptions(token="tok", zone=ZoneInfo("UTC")), told()

    assert [] == [one.name for one in fields(options) if getattr(options, one.name) == getattr(plain, one.name)]
    assert [] == [
        one.name
        for one in fields(options.pagination)
        if getattr(options.pagination, one.name) == getattr(plain.pagination, one.name)
    ]
    assert SinceQueryParameters("from", "%d/%m/%Y", "to") == options.since_filter


@pytest.mark.parametrize(
    ("pull", "filters", "detail"), [("since", True, "auto"), ("list", False, "auto"), ("details", False, "always")]
)
def test_pull_mode_sets_filter_and_detail(pull, filters, detail):
    """Only `since` filters; `details` fetches the detail page of every unknown lead."""
    options = told(pull=pull, detail="auto")

    assert (filters, detail) == (options.since_filter is not None, options.detail)


def test_commands_with_one_key_and_folder_share_a_rate_limit(tmp_path: Path):
    """Accounts with their states in one folder share it, and another key has its own."""
    clock = FakeClock()
    asked = {"rate": 1, "base_url": "https://crm.example.org", "token": "tok-1"}
    state = StateFile(tmp_path / "state.db")
    with slot(pacer_for(OpleadSettings(**asked), clock, state=state)):
        pass

    assert pacer_for(OpleadSettings(**asked), clock, state=state).take_request_slot() > clock.now()
    assert pacer_for(OpleadSettings(**asked | {"token": "tok-2"}), clock, state=state).take_request_slot() is None
    assert (
        pacer_for(OpleadSettings(**asked), clock, state=StateFile(tmp_path / "other" / "state.db")).take_request_slot()
        is None
    )
    assert pacer_for(OpleadSettings(**asked), clock, state=None).take_request_slot() is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [(None, None), ({}, "/states/maison-test.inbox.db"), ({"inbox": Path("/hooks/in.db")}, "/hooks/in.db")],
)
def test_the_inbox_is_that_of_an_account_with_webhooks(written, expected):
    """It stands beside the state, or where the settings say; without webhooks, none is opened."""
    settings = SimpleNamespace(
        account="maison-test",
        state=StateFile(Path("/states/state.db")),
        webhooks=None if written is None else WebhookSettings(secret="s" * 20, **written),
    )

    assert (None if expected is None else WebhookInboxFile(Path(expected))) == inbox_of(settings)._location
