"""The sandbox's page tells whose conversion was counted, by whichever way it went."""

import re
from datetime import timedelta
from urllib.request import urlopen

import pytest

from tests.e2e.support.company import START, fbclid, gclid, lead


@pytest.mark.parametrize("way", ["data_manager", "google_ads_api"])
def test_a_person_finds_a_lead_on_the_page(company, way):
    """Its id and the conversion's name lead each line, at Google and at Meta."""
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
    with urlopen(company.sandbox.addresses["control"], timeout=10) as answer:  # noqa: S310 - the sandbox's own
        page = answer.read().decode()
    rows = [re.sub(r"<[^>]*>", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", page)]

    assert ["L-7", "Rendez-vous", "pris", "987654321"] in [row[:4] for row in rows]
    assert ["L-7", "Schedule"] in [row[:2] for row in rows]
