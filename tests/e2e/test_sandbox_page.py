"""The sandbox's page shows which lead's conversion was counted, over either transport."""

import json
from datetime import timedelta
from urllib.request import urlopen

import pytest

from tests.browser import shown
from tests.e2e.support.company import START, fbclid, gclid, lead


@pytest.mark.parametrize("way", ["data_manager", "google_ads_api"])
def test_page_lists_each_counted_lead_by_name(company, way):
    """Each line begins with the lead's id and the conversion's name, for Google and for Meta."""
    if way == "google_ads_api":
        company.use_ads_api()
    company.use_meta(funnel={})
    clicks = f"gclid={gclid(7)}&fbclid={fbclid(7)}"
    company.night()
    company.serve(
        lead(7, ("Rendez-vous", START + timedelta(hours=1)), created=START - timedelta(days=2), clicks=clicks)
    )
    company.night(START + timedelta(days=1))
    company.clock.advance(company.clock.now() + timedelta(hours=1))
    control = company.sandbox.sandbox_server_urls["control"]
    with urlopen(f"{control}/page.json", timeout=10) as answer:  # noqa: S310 - the sandbox's own
        state = json.load(answer)
    google = [(state["leads"].get(line["transaction_id"]), line["action"]) for line in state["data_manager"]["book"]]
    meta = [(state["leads"].get(line["event_id"]), line["event_name"]) for line in state["meta"]["book"]]

    assert ("L-7", "987654321") in google
    assert "Rendez-vous pris" == state["names"]["987654321"]
    assert ("L-7", "Schedule") in meta

    rows = shown(control).rows

    assert ["L-7", "Rendez-vous pris", "987654321"] in [row[:3] for row in rows]
    assert ["L-7", "Schedule"] in [row[:2] for row in rows]
