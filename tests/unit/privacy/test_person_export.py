"""An export leaves out nothing that the ledger holds on a lead, and has nothing of another."""

import json

import pytest

from jobs.privacy.person_export import ledger_data_of_lead
from jobs.reporting.presentation import as_json_value
from tests.builders import ACCOUNT
from tests.unit.ledger.retention.test_erasure import GONE, KEPT, about_leads, fill, row

JOINED = ("account", "lead", "inbox", "facts", "amount_paths")
"""Columns that join rows, or are not kept as text."""


@pytest.fixture
def exported(account):
    """The export of a lead that has a row in every table."""
    with account.hold() as ledger, ledger.write_transaction() as session:
        fill(session)
        (lead,) = [each for each in about_leads() if each.name == "lead"]
        session.connection().execute(lead.update().values(facts='{"where": {}}', amount_paths="[]"))
        return ledger_data_of_lead(session, ACCOUNT, GONE)


def test_every_table_about_leads_is_exported(exported):
    """A table that has a lead's rows is covered from the day it is added."""
    text = json.dumps(as_json_value(exported))
    told = {
        table.name: [
            value
            for name, value in row(table, GONE).items()
            if isinstance(value, str) and name not in JOINED and f'"{value}"' not in text
        ]
        for table in about_leads()
    }

    assert {name: [] for name in told} == told
    assert f"of {KEPT}" not in text


def test_deliveries_are_exported_with_their_requests(exported):
    """A correction stands by itself, and names its conversion."""
    conversion, correction = exported["deliveries"]

    assert [101] == [each["request"] for each in conversion["attempts"]]
    assert (None, conversion["id"]) == (conversion["corrects"], correction["corrects"])
    assert [] == correction["attempts"]
