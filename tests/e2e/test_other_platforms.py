"""A lead that came from another platform's ad is not applicable here and in none of the counts."""

from datetime import timedelta

import pytest

from tests.e2e.support.typed import type_in


@pytest.fixture
def company(company):
    """A company that sends sales to both platforms, with one lead from each and one from neither."""
    company.use_meta()
    at = company.START - timedelta(hours=20)
    by_meta = {"externalID": f"fbclid={company.fbclid(2)}", "consent": "oui"}
    company.serve(
        company.lead(1, ("Gagné", at)),
        company.lead(2, ("Gagné", at), leadData=by_meta),
        company.lead(3, ("Gagné", at), leadData={"consent": "oui"}),
    )
    company.night()
    return company


def sold(company, destination):
    """The state of each lead's sale."""
    return {lead: state for (lead, conversion), state in company.states(destination).items() if conversion == "sale"}


def test_each_platform_has_its_own_leads_and_unattributed_ones(company):
    """A lead without any click id may still get one, so it is withheld; another platform's lead is not listed."""
    assert {"L-1": "submitted", "L-3": "withheld"} == sold(company, "google_ads")
    assert {"L-2": "accepted", "L-3": "withheld"} == sold(company, "meta")


def test_explain_says_the_lead_came_from_another_platform(company):
    """No delivery is stored, so `explain` evaluates the rules again."""
    told = type_in(company, "explain", "L-1")
    (found,) = type_in(company, "explain", "L-1", "--json").objects
    verdict = next(each for each in found["verdicts"] if each["destination"] == "meta")

    assert "→ meta: not applicable" in told.lines
    assert "The lead came from another platform's ad. Found: only gclid." in told.lines
    assert ("another_platform", "only gclid", None) == (verdict["reason"], verdict["detail"], verdict["state"])


def test_click_id_added_later_brings_its_conversion(company):
    """The lead is read again when it changes."""
    ids = f"gclid={company.gclid(2)}&gclid_ts=2026-09-01T08:55:00&fbclid={company.fbclid(2)}"
    at = company.START - timedelta(hours=20)
    edited = company.START + timedelta(hours=2)
    company.serve(
        company.lead(
            2, ("Gagné", at), leadData={"externalID": ids, "consent": "oui"}, updatedAt=f"{edited:%Y-%m-%d %H:%M:%S}"
        )
    )
    company.later()

    assert "submitted" == sold(company, "google_ads")["L-2"]
    assert {"L-2", "L-3"} == set(sold(company, "meta"))
