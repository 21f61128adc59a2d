"""Platforms that accept every request but report failure, each in its own format, for four nights.

No conversion counts twice without being flagged, and the ledger states nothing false.
"""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.e2e.support.traffic import GRAPH, INGEST, UPLOAD

A_DAY = timedelta(days=1)
NIGHTS = 4
SALES = 3
FOREVER = 10_000
MOST_REQUESTS = 7
"""To a platform that answers none: five tries of one part, and one row each of two others."""
UNANSWERED_IN_A_ROW = ("in_doubt", "unconfirmed")
"""States allowed for a conversion that was counted without an answer."""


def of_meta(code, subcode=None, **more):
    """An error as Meta words it."""
    error = {"message": "An error occurred", "type": "OAuthException", "code": code, "fbtrace_id": "Ainvented"} | more
    return json.dumps({"error": error | ({"error_subcode": subcode} if subcode else {})})


def of_google(code, status, reason):
    """An error as Data Manager words it."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    return json.dumps({"error": {"code": code, "message": "An error occurred", "status": status, "details": [info]}})


@dataclass(frozen=True)
class Interface:
    """One platform interface: how its server fails, and where to look."""

    server: str
    path: str
    destination: str
    failure: dict
    deduplicates: bool = True


INTERFACES = {
    "data manager, 500": Interface("data_manager", INGEST, "google_ads", {}),
    "data manager, 503": Interface("data_manager", INGEST, "google_ads", {"status": 503}),
    "data manager, 504": Interface("data_manager", INGEST, "google_ads", {"status": 504}),
    "data manager, 499": Interface("data_manager", INGEST, "google_ads", {"status": 499}),
    "data manager, 500 with a refusal": Interface(
        "data_manager", INGEST, "google_ads", {"body": of_google(500, "INVALID_ARGUMENT", "INVALID_FORMAT")}
    ),
    "data manager, 500 with a setting": Interface(
        "data_manager", INGEST, "google_ads", {"body": of_google(500, "PERMISSION_DENIED", "PERMISSION_DENIED")}
    ),
    "google ads api, 500": Interface("google_ads", UPLOAD, "google_ads", {}),
    "google ads api, 503": Interface("google_ads", UPLOAD, "google_ads", {"status": 503}),
    "google ads api, 504": Interface("google_ads", UPLOAD, "google_ads", {"status": 504}),
    "meta, 500": Interface("meta", GRAPH, "meta", {}),
    "meta, 500, no deduplication": Interface("meta", GRAPH, "meta", {}, deduplicates=False),
    "meta, 503 with a limit": Interface("meta", GRAPH, "meta", {"status": 503, "body": of_meta(4)}, deduplicates=False),
    "meta, 500 with a setting": Interface("meta", GRAPH, "meta", {"body": of_meta(190, 463)}, deduplicates=False),
    "meta, 500 with a refusal": Interface("meta", GRAPH, "meta", {"body": of_meta(100, 2804001)}, deduplicates=False),
    "meta, 500 not ready": Interface("meta", GRAPH, "meta", {"body": of_meta(21009)}, deduplicates=False),
    "meta, 400 with code 1": Interface("meta", GRAPH, "meta", {"status": 400, "body": of_meta(1)}, deduplicates=False),
    "meta, 200 with code 2": Interface(
        "meta", GRAPH, "meta", {"status": 200, "body": of_meta(2, is_transient=True)}, deduplicates=False
    ),
}


@pytest.fixture(params=INTERFACES.values(), ids=INTERFACES)
def way(request):
    """One of the interfaces."""
    return request.param


@pytest.fixture
def company(company, way):
    """A company that sends over this interface alone."""
    if way.destination == "meta":
        company.use_meta_alone()
        company.sandbox.meta.set_switch("meta_deduplication", way.deduplicates)
    elif way.server == "google_ads":
        company.use_ads_api()
    return company


def sold(company, night, way):
    """Serve leads won the day before, each with an appointment and a sale to send."""
    yesterday = company.clock.now() - A_DAY
    for number in range(night * SALES, (night + 1) * SALES):
        click = company.fbclid(number) if way.destination == "meta" else company.gclid(number)
        kind = "fbclid" if way.destination == "meta" else "gclid"
        created = yesterday - timedelta(days=2)
        company.serve(company.lead(number, ("Gagné", yesterday), created=created, clicks=f"{kind}={click}"))


def is_told_truly(company, way):
    """Assert that platform and ledger agree, delivery by delivery, and that every duplicate is flagged."""
    rows, times = company.deliveries(way.destination), Counter(company.taken(way.destination))
    assert [] == company.disagreements(unanswered=UNANSWERED_IN_A_ROW)
    assert {name for name, count in times.items() if count > 1} <= {
        name for name, row in rows.items() if row.may_count_twice
    }
    untouched = {name for name, row in rows.items() if row.state in ("pending", "expired", "rejected", "withheld")}
    assert set() == untouched & set(times)


def test_ledger_stays_true_while_accepted_uploads_report_failure(company, way):
    """Four nights fail this way; once the platform answers, each delivery ends accepted or unconfirmed."""
    company.fail(way.server, "failed_after", path=way.path, count=FOREVER, **way.failure)
    asked = 0
    for night in range(NIGHTS):
        company.clock.advance(company.START + night * A_DAY)
        sold(company, night, way)
        summary = company.night()
        requests = len(company.times(way.server, way.path))

        assert 0 < summary.exit_code
        assert requests - asked <= MOST_REQUESTS
        assert 0 < summary.in_doubt
        is_told_truly(company, way)
        asked = requests

    company.heal()
    company.later(A_DAY)
    company.later()
    is_told_truly(company, way)

    states = Counter(company.states(way.destination).values())
    assert {"accepted", "unconfirmed"} >= set(states)
    assert 2 * NIGHTS * SALES == states.total()
    assert states["accepted"] > states["unconfirmed"]


def test_one_night_of_false_failures_settles_the_next_night(company, way):
    """Within the replay window everything ends accepted, counted once or flagged."""
    sold(company, 0, way)
    company.fail(way.server, "failed_after", path=way.path, count=FOREVER, **way.failure)
    company.night()
    company.heal()
    company.later(A_DAY)
    company.later()

    is_told_truly(company, way)
    assert {"accepted"} == set(company.states(way.destination).values())
    assert [] == company.disagreements()
