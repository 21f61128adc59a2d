"""A transport change with answers outstanding: each is requested where it was sent, and nothing is sent twice."""

import json
from datetime import timedelta

import pytest

from tests.builders import stops
from tests.e2e.support.traffic import INGEST, UPLOAD

FOREVER = 1_000
STATUS = "/v1/requestStatus:retrieve"
REFUSED = json.dumps({"error": {"code": 403, "message": "An invented error.", "status": "PERMISSION_DENIED"}})
TOLD = ("appointment", "sale", "quote")
"""In the order in which they are sent."""

both_positions = pytest.mark.parametrize(
    "across",
    [
        pytest.param(False, id="each API for itself"),
        pytest.param(True, id="known across APIs", marks=pytest.mark.exhaustive),
    ],
)
"""Whether one of Google's APIs knows what the other has counted: not documented."""
each_loss = pytest.mark.parametrize(
    ("loss", "across"),
    [
        pytest.param("cut_after", False, id="counted, each API for itself"),
        pytest.param("cut_before", True, id="not counted, known across APIs", marks=pytest.mark.exhaustive),
    ],
)


@pytest.fixture
def company(company):
    """A company with a third conversion."""
    company.settings["conversions"].append(
        {
            "id": "quote",
            "stage": "quote_sent",
            "since": "2026-08-20",
            "google_ads": {"conversion_action": "987654323"},
        }
    )
    return company


def sold(company, number):
    """A lead that was quoted and won the day before: an appointment, a sale and a quote to send."""
    yesterday = company.START - timedelta(days=1)
    return company.lead(number, ("Devis à relancer", yesterday - timedelta(hours=1)), ("Gagné", yesterday))


def keys(company, lead, *conversions):
    """The keys of some conversions of a lead."""
    return {company.deliveries()[lead, conversion].key for conversion in conversions}


def everything_counted_once(company, *leads):
    """Assert that the ledger accepted, and the API it was sent to counted, each conversion of these leads."""
    names = sorted((lead, conversion) for lead in leads for conversion in TOLD)
    assert dict.fromkeys(names, "accepted") == dict(sorted(company.states().items()))
    assert names == sorted(company.taken())
    assert [] == company.disagreements()


@each_loss
def test_change_from_data_manager_to_google_ads_api(company, loss, across):
    """Data Manager is asked for submitted rows and gets the replays of those in doubt; the rest uses the new API."""
    company.sandbox.google_ads.set_switch("ads_api_cross_dedup", across)
    company.serve(sold(company, 1))
    company.fail("data_manager", loss, path=INGEST, after=1, count=FOREVER)

    assert 1 == company.night().exit_code
    assert ["submitted", "in_doubt", "in_doubt"] == [company.states()["L-1", conversion] for conversion in TOLD]

    company.heal()
    company.use_ads_api()
    company.serve(sold(company, 2))
    before = len(company.times("data_manager", INGEST))
    summary = company.later()

    assert 0 == summary.exit_code
    assert ["accepted", "submitted", "submitted"] == [company.states()["L-1", conversion] for conversion in TOLD]
    assert 2 == len(company.times("data_manager", INGEST)) - before
    replayed = {event["transactionId"] for ingest, _ in company.ingests[-2:] for event in ingest["events"]}
    assert keys(company, "L-1", "sale", "quote") == replayed
    assert keys(company, "L-2", *TOLD) == set(company.sent("google_ads"))

    company.later()

    everything_counted_once(company, "L-1", "L-2")
    assert keys(company, "L-1", *TOLD) == set(company.sent("data_manager"))


@each_loss
def test_change_from_google_ads_api_to_data_manager(company, loss, across):
    """Rows in doubt are replayed to the Google Ads API; the rest goes to Data Manager."""
    company.sandbox.google_ads.set_switch("ads_api_cross_dedup", across)
    company.use_ads_api()
    company.serve(sold(company, 1))
    company.fail("google_ads", loss, path=UPLOAD, after=1, count=FOREVER)

    assert 1 == company.night().exit_code
    assert ["accepted", "in_doubt", "in_doubt"] == [company.states()["L-1", conversion] for conversion in TOLD]

    company.heal()
    company.settings["google_ads"]["transport"] = "data_manager"
    company.serve(sold(company, 2))
    before = len(company.calls)
    summary = company.later()

    assert 0 == summary.exit_code
    assert ["accepted", "accepted", "accepted"] == [company.states()["L-1", conversion] for conversion in TOLD]
    assert 2 == len(company.calls) - before
    assert "ORDER_ID_ALREADY_IN_USE" == company.deliveries()["L-1", "sale"].code or loss == "cut_before"

    company.later()

    everything_counted_once(company, "L-1", "L-2")
    assert keys(company, "L-1", *TOLD) == set(company.sent("google_ads"))
    assert keys(company, "L-2", *TOLD) == set(company.sent("data_manager"))


def test_closed_old_transport_does_not_block_the_new_one(company):
    """Rows in doubt wait and are reported under the old transport's name; everything else is sent."""
    company.serve(sold(company, 1))
    company.fail("data_manager", "cut_after", path=INGEST, after=1, count=FOREVER)
    company.night()
    company.heal()
    company.fail("data_manager", "status", path=INGEST, status=403, body=REFUSED, count=FOREVER)
    company.use_ads_api()
    company.serve(sold(company, 2))

    summary = company.later()

    assert 3 == summary.exit_code
    (stopped,) = stops(summary)
    assert f"(before: {company.CUSTOMER} by data_manager)" in stopped
    assert ["accepted", "in_doubt", "in_doubt"] == [company.states()["L-1", conversion] for conversion in TOLD]
    assert {"accepted"} == {company.states()["L-2", conversion] for conversion in TOLD}

    company.heal()
    company.later()
    company.later()

    everything_counted_once(company, "L-1", "L-2")


def test_changing_transport_twice_resends_nothing(company):
    """A request is being processed meanwhile."""
    company.serve(sold(company, 1))
    company.night()

    company.use_ads_api()
    early = company.later(timedelta(minutes=10))
    company.settings["google_ads"]["transport"] = "data_manager"
    company.later(timedelta(minutes=10))

    assert 3 == early.resolved.pending
    assert [] == company.times("data_manager", STATUS)
    assert {"submitted"} == set(company.states().values())

    company.later()

    everything_counted_once(company, "L-1")
    assert 3 == len(company.ingests)
    assert [] == company.calls


@both_positions
def test_event_returned_by_data_manager_uses_the_new_api(company, across):
    """It was too early for Data Manager, becomes due again, and goes to the Google Ads API once."""
    company.sandbox.google_ads.set_switch("ads_api_cross_dedup", across)
    company.platform.plant_event_rulings(
        {company.gclid(1): {"when": "processing", "reason": "PROCESSING_ERROR_REASON_TOO_RECENT_CLICK"}}
    )
    company.serve(sold(company, 1))
    company.night()
    company.use_ads_api()

    assert 0 == company.later().exit_code
    assert {"pending"} == set(company.states().values())

    company.later(timedelta(hours=7))

    everything_counted_once(company, "L-1")
    assert 3 == len(company.ingests) == len(company.calls)


def test_closed_google_ads_api_names_the_transport_to_write(company):
    """Once it is written, everything that waited is sent that way, once."""
    company.use_ads_api()
    company.sandbox.google_ads.set_switch("ads_api_allowlisted", False)
    company.serve(sold(company, 1))

    summary = company.night()

    assert 3 == summary.exit_code
    assert "write transport: data_manager" in stops(summary)["google_ads"]
    assert 1 == len(company.calls)
    assert {"pending"} == set(company.states().values())

    company.settings["google_ads"]["transport"] = "data_manager"

    assert 0 == company.later().exit_code

    company.later()

    everything_counted_once(company, "L-1")
