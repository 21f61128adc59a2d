"""What the report tells leads apart by is kept: their UTM fields, and the value at `report.by`."""

import json
from dataclasses import replace

import pytest

from connectors.records import Contact, Utm
from jobs.ledger.schema import LeadRow
from tests.builders import changed, lead


def test_utm_fields_are_kept_with_the_lead(account):
    """They follow the lead, and are empty where it has none."""
    account.put(lead("L-1", utm=Utm("google", "cpc", "Pompes à chaleur")), lead("L-2"))
    account.prepare()

    assert [("google", "cpc", "Pompes à chaleur"), (None, None, None)] == utm(account)
    account.put(changed(account.source.leads["L-1"], utm=Utm("bing", None, None)))
    account.prepare()

    assert [("bing", None, None), (None, None, None)] == utm(account)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("lea.petit@example.com", "<text, 21 characters>"),
        ("relance someone@example.com", "<text, 27 characters>"),
        ("tel-06 12 34 56 78", "<text, 18 characters>"),
        ("33612345678", None),
        ("PETIT Léa", "<text, 9 characters>"),
        ("Petit prix", "Petit prix"),
        ("12345678901", "12345678901"),
        # Another person's: whoever recommended the company.
        ("parrain 07 98 76 54 32", "<text, 22 characters>"),
        ("+33798765432", "<text, 12 characters>"),
    ],
)
def test_contact_data_in_a_utm_field_is_not_kept(account, text, kept):
    """Some websites write it into the addresses of their links."""
    contact = Contact(
        emails=("lea.petit@example.com",), phones=("06 12 34 56 78",), first_name="Léa", last_name="Petit"
    )
    account.put(lead("L-1", contact=contact, utm=Utm(None, None, text)))
    account.prepare()

    ((_, _, stored),) = utm(account)
    assert stored.startswith("<") if kept is None else stored == kept


def utm(account):
    """The UTM fields of each lead on record."""
    return [(row.utm_source, row.utm_medium, row.utm_campaign) for row in account.rows(LeadRow)]


@pytest.mark.parametrize(
    ("raw", "kept"),
    [("  Lyon\u0000\u202e Sud\n", "Lyon Sud"), ("x" * 900, "x" * 200), (" \t", None)],
    ids=["control characters", "long", "blank"],
)
def test_texts_are_tidied_before_they_are_kept(account, raw, kept):
    """Reports show them: one line, without what could hide in it, and not too long."""
    account.book = replace(account.book, extraction=replace(account.book.extraction, report_by="agency.name"))
    account.put(lead(utm=Utm(raw, raw, raw), fields={"consent": "oui", "agency.name": raw}))
    account.prepare()
    (row,) = account.rows(LeadRow)

    assert [kept] * 4 == [row.utm_source, row.utm_medium, row.utm_campaign, json.loads(row.facts).get("by")]


def test_no_agency_is_kept_unless_the_report_tells_leads_apart_by_it(account):
    """Only fields that the settings name are kept."""
    account.put(lead(fields={"consent": "oui", "agency.name": "Lyon"}))
    account.prepare()
    (row,) = account.rows(LeadRow)

    assert "Lyon" not in row.facts
