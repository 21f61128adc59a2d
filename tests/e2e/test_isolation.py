"""Three bad events among two thousand: only they are rejected, by key, and bisecting takes few requests."""

import functools
import random
import shutil
from datetime import timedelta

import pytest

FULL = 2_000
"""The most events that one request may carry."""
FEW = 200
BAD = 3
# An error no local check can detect: the click was on another account's ad.
REASON = "INVALID_AD_IDENTIFIER_FOR_ACCOUNT"
SEED = 20_260_910
ONE_NAMED = {"violation_index": True, "violations_named": "first"}
ALL_NAMED = {"violation_index": True, "violations_named": "all"}
NONE_NAMED = {"violation_index": False, "violations_named": "all"}


def cost_unnamed(events):
    """How many requests find the bad events where no refusal names one."""
    return 2 * BAD * (events - 1).bit_length() + 1


def places_of(where, events):
    """The positions of the bad events in the batch."""
    starts = {"first": 0, "middle": events // 2 - 1, "last": events - BAD}
    if where in starts:
        return range(starts[where], starts[where] + BAD)
    return random.Random(SEED).sample(range(events), BAD)


def frugal(company):
    """Reduce a company to one conversion without contact data: only the wire matters here."""
    company.settings["google_ads"]["contact_data"] = "none"
    company.settings["conversions"] = [company.conversion("appointment")]
    company.max_per_run = 10_000
    return company


@pytest.fixture(scope="module")
def due(companies):
    """Make companies whose state has this many deliveries due, oldest first, none ever sent."""

    @functools.cache
    def planned(events):
        company = frugal(companies())
        company.serve(
            *(
                company.lead(f"{number:04}", ("RDV pris", company.CREATED + timedelta(minutes=number + 1)))
                for number in range(events)
            )
        )
        company.sandbox.oauth.set_switch("refuse_tokens", True)
        summary = company.night()

        assert events == summary.pulled.seen
        assert {"pending"} == set(company.states().values())

        company.sandbox.oplead.book.clear()  # so that later runs have nothing to read
        return company

    def make(events):
        before, company = planned(events), frugal(companies())
        company.state.parent.mkdir(exist_ok=True)
        shutil.copy(before.state, company.state)
        # With another address every lead would have to be read again.
        company.settings["oplead"] = {"base_url": before.sandbox.sandbox_server_urls["oplead"]}
        company.platform.register_clicks(before.platform.dump()["clicks"])
        return company

    return make


@pytest.mark.parametrize(
    ("events", "switches", "where", "cost"),
    [
        pytest.param(FULL, ONE_NAMED, "scattered", BAD + 1, id="one of 2000 named at a time"),
        pytest.param(FULL, NONE_NAMED, "middle", 67, id="none of 2000 named, bad ones in the middle"),
        pytest.param(FULL, NONE_NAMED, "first", 67, id="none of 2000 named, bad ones first"),
        pytest.param(FULL, NONE_NAMED, "scattered", 67, id="none of 2000 named, bad ones anywhere"),
        pytest.param(FEW, ONE_NAMED, "last", BAD + 1, id="one named at a time, bad ones last"),
        pytest.param(FEW, ALL_NAMED, "scattered", 2, id="all named at once"),
        pytest.param(FEW, NONE_NAMED, "last", cost_unnamed(FEW), id="none named, bad ones last"),
    ],
)
def test_bisect_finds_bad_events_within_the_request_bound(due, events, switches, where, cost):
    """Every good event is accepted, and the bad ones are rejected by key."""
    company = due(events)
    for name, position in switches.items():
        company.platform.set_switch(name, position)
    bad = {f"{place:04}" for place in places_of(where, events)}
    company.platform.plant_event_rulings(
        {company.gclid(number): {"when": "submit", "reason": REASON} for number in bad}
    )

    summary = company.night()

    assert len(company.ingests) == summary.delivered.requests
    assert len(company.ingests) <= cost
    assert 1 == summary.exit_code

    company.later()

    deliveries = company.deliveries()
    rejected = {row.lead: row for row in deliveries.values() if row.state == "rejected"}
    assert {f"L-{number}" for number in bad} == set(rejected)
    assert {REASON} == {row.code for row in rejected.values()}
    assert events - BAD == sum(row.state == "accepted" for row in deliveries.values())
    assert [] == company.disagreements()
