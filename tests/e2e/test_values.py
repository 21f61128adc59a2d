"""Values that teach bidding, from the suggestion to what a platform received."""

from datetime import timedelta

import pytest

from tests.e2e.support.company import START
from tests.e2e.support.typed import documented

DAY = timedelta(days=1)


@pytest.fixture
def experienced(company):
    """A company with 160 appointments of the last ten months, of which every fourth was won after a week."""
    company.settings["conversions"][0] |= {"value": "expected", "implied_by": []}
    leads = []
    for number in range(160):
        visited = START - (70 + 230 * number / 160) * DAY
        steps = [("Rendez-vous", visited), *([("Gagné", visited + 7 * DAY)] if number % 4 == 0 else [])]
        leads.append(company.lead(1000 + number, *steps, created=visited - DAY))
    company.serve(*leads, company.lead(1, ("Rendez-vous", START - DAY)), company.lead(2, ("Gagné", START - DAY)))
    return company


def values_of(company):
    """What Google received for each action."""
    events = [event for body, _ in company.ingests for event in body["events"]]
    return {event["transactionId"]: event.get("conversionValue") for event in events}


def test_what_is_suggested_is_what_is_sent(experienced):
    """The night, `explain` and `values suggest` tell one value."""
    code, _, _ = experienced.command("run")
    _, suggested, _ = experienced.command("values", "suggest", "--json")
    _, explained, _ = experienced.command("explain", "L-1", "--json")
    _, text, _ = experienced.command("explain", "L-1")

    assert 0 == code
    value = documented(suggested)["stages"][0]["value"]["expected"]["value"]
    verdict = next(one for one in documented(explained)["verdicts"] if one["conversion"] == "appointment")
    assert ("expected", value, 40, 161) == (
        verdict["value_from"],
        verdict["value"],
        verdict["estimate"]["won"],
        verdict["estimate"]["leads"],
    )
    assert float(value) == values_of(experienced)[verdict["key"]]
    assert "value from the estimate of Thu 10 Sep 2026: 40 of 161 leads were won" in " ".join(text.split())
    sale = experienced.command("explain", "L-2")[1]
    assert "value from the lead's own amount" in " ".join(sale.split())


def test_a_rehearsal_estimates_and_keeps_nothing(experienced):
    """It shows what the night would send."""
    _, out, _ = experienced.command("run", "--dry-run")

    assert [] == experienced.rows_of("expected_value")
    assert "no expected value yet" not in out


def test_a_company_without_a_past_holds_its_appointments(company):
    """The report says why, and how to learn what is missing."""
    company.settings["conversions"][0] |= {"value": "expected", "implied_by": []}
    company.serve(company.lead(1, ("Rendez-vous", START - DAY)))
    _, out, _ = company.command("run")
    _, explained, _ = company.command("explain", "L-1")
    _, suggested, _ = company.command("values", "suggest")

    assert "no expected value yet" in " ".join(out.split())
    assert "`oplead-sync values suggest` tells how many" in " ".join(explained.split())
    assert "won: 0; with an amount: 0. At least 19 more leads are needed." in " ".join(suggested.split())
