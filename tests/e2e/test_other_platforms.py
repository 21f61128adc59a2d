"""A lead that came by another platform's ad: no business of this one, and in none of its numbers."""

from datetime import timedelta

import pytest

from tests.e2e.support.typed import type_in


@pytest.fixture
def company(company):
    """A company that tells both platforms of its sales, and that three leads came to: by each, and by neither."""
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
    """Where each lead's sale stands."""
    return {lead: state for (lead, conversion), state in company.states(destination).items() if conversion == "sale"}


def test_each_platform_has_its_own_leads_and_those_of_nobody(company):
    """Those without any click id may be mended; another platform's may not, and are no loss."""
    assert {"L-1": "submitted", "L-3": "withheld"} == sold(company, "google_ads")
    assert {"L-2": "accepted", "L-3": "withheld"} == sold(company, "meta")


def test_explain_says_whose_lead_it_is(company):
    """The rules are asked anew, for nothing is on record."""
    told = type_in(company, "explain", "L-1")
    (found,) = type_in(company, "explain", "L-1", "--json").objects
    verdict = next(each for each in found["verdicts"] if each["destination"] == "meta")

    assert "→ meta: not applicable" in told.lines
    assert "The lead came from another platform's ad. Found: only gclid." in told.lines
    assert ("another_platform", "only gclid", None) == (verdict["reason"], verdict["detail"], verdict["state"])


def test_a_click_id_of_this_platforms_that_comes_up_later_brings_its_conversion(company):
    """With the contact data that goes along: the lead is read anew when it changes."""
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
