"""After several failing nights the platforms' records match the ledger, delivery by delivery."""

import random
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest

from connectors.sandbox.population.company import FIRST_NIGHT, InventedLeads
from tests.e2e.support.traffic import GRAPH, INGEST, UPLOAD

NIGHTS = 5
SEED = 1
SINCE = "2026-08-01"
STATUS = "/v1/requestStatus:retrieve"
SHORT = 0.05
"""Seconds for which a server hangs or is slow."""
COMMON = (
    {"server": "oauth", "kind": "cut_before"},
    {"server": "oplead", "kind": "status", "status": 500},
    {"server": "oplead", "kind": "truncated"},
    {"server": "meta", "path": GRAPH, "kind": "cut_after"},
    {"server": "meta", "path": GRAPH, "kind": "truncated"},
    {"server": "meta", "path": GRAPH, "kind": "html"},
    {"server": "meta", "path": GRAPH, "kind": "hang", "seconds": SHORT},
)
DATA_MANAGER = (
    {"server": "data_manager", "path": INGEST, "kind": "cut_after"},
    {"server": "data_manager", "path": INGEST, "kind": "cut_before"},
    {"server": "data_manager", "path": INGEST, "kind": "truncated"},
    {"server": "data_manager", "path": INGEST, "kind": "html"},
    {"server": "data_manager", "path": INGEST, "kind": "status", "status": 503},
    {"server": "data_manager", "path": STATUS, "kind": "truncated"},
    {"server": "data_manager", "path": STATUS, "kind": "status", "status": 500},
)
ADS_API = (
    {"server": "google_ads", "path": UPLOAD, "kind": "cut_after"},
    {"server": "google_ads", "path": UPLOAD, "kind": "cut_before"},
    {"server": "google_ads", "path": UPLOAD, "kind": "truncated"},
    {"server": "google_ads", "path": UPLOAD, "kind": "html"},
    {"server": "google_ads", "path": UPLOAD, "kind": "status", "status": 503},
    {"server": "google_ads", "path": UPLOAD, "kind": "status", "status": 500},
    {"server": "google_ads", "path": UPLOAD, "kind": "hang", "seconds": SHORT},
    {"server": "google_ads", "path": UPLOAD, "kind": "latency", "seconds": SHORT},
)


@dataclass(frozen=True)
class Way:
    """A Google transport, the faults injected into it, and the position of each undocumented switch."""

    transport: str
    faults: tuple
    switches: tuple = ()
    """(platform, switch, position)."""
    unanswered: tuple = ()
    """States that the ledger may show for an event the platform has counted."""


UNANSWERED_IN_A_ROW = "counted by the platform, unconfirmed in the ledger"
MOST_UNHEARD = 3

BY_DATA_MANAGER = Way("data_manager", DATA_MANAGER)
ROWS_NOT_NAMED = Way(
    "data_manager",
    DATA_MANAGER,
    (("data_manager", "record_indices", False), ("meta", "meta_deduplication", False)),
    ("unconfirmed",),
)
BY_ADS_API = Way("google_ads_api", ADS_API, (("meta", "meta_deduplication", False),))


def bad_nights(company, faults):
    """Run nights and mornings on which servers fail at random, then two without faults; return the exit codes."""
    chance = random.Random(SEED)
    codes = []
    for night in range(NIGHTS):
        for _ in range(4):
            company.fail(**chance.choice(faults), count=chance.choice((1, 2, 6)), after=chance.choice((0, 1)))
        codes.append(company.night(FIRST_NIGHT + timedelta(days=night)).exit_code)
        codes.append(company.later().exit_code)
    company.heal()
    company.night(FIRST_NIGHT + timedelta(days=NIGHTS))
    company.later()
    return codes


def refusals(company):
    """The key of every event that Google found bad, with the reason it gave."""
    by_data_manager, by_ads_api = company.platform.state()["refused"], company.sandbox.google_ads.state()["refused"]
    found = [each for each in by_data_manager if each["when"] == "processing"]
    found += [each for each in by_ads_api if each["reason"] != "ORDER_ID_ALREADY_IN_USE"]
    return {each["transaction_id"]: each["reason"] for each in found}


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(BY_DATA_MANAGER, id="rows named", marks=pytest.mark.exhaustive),
        pytest.param(ROWS_NOT_NAMED, id="rows not named"),
        pytest.param(BY_ADS_API, id="the Google Ads API", marks=pytest.mark.exhaustive),
    ],
)
def test_platform_records_match_the_ledger_after_failing_nights(companies, way):
    """The ledger's accepted rows match in key, target, time, value, click id and bytes.

    Where Data Manager does not name the rows it refused, the platform counts the others and the ledger calls them
    unconfirmed, never the reverse. Events that Meta counted twice are flagged as possible duplicates in the ledger.
    """
    company = companies(start=FIRST_NIGHT, population=InventedLeads.generate(seed=SEED, leads=300))
    company.use_demo_settings()
    company.max_per_run = 1_000
    company.settings["google_ads"]["transport"] = way.transport
    company.settings["meta"]["funnel_since"] = SINCE
    for conversion in company.settings["conversions"]:
        conversion["since"] = SINCE
    company.conversion("appointment")["value"] = 60.25
    for platform, name, position in way.switches:
        getattr(company.sandbox, platform).set_switch(name, position)

    codes = bad_nights(company, (*COMMON, *way.faults))

    # A run that stops reports new problems as well, and its code is 3.
    assert {3} <= set(codes) <= {0, 1, 3}
    differing = company.disagreements(unanswered=way.unanswered)
    # Meta gets few copies of an unanswered event, so some stay unconfirmed after its two days.
    unanswered = [each for each in differing if each.startswith("meta ") and each.endswith(UNANSWERED_IN_A_ROW)]
    assert unanswered == differing
    assert len(unanswered) <= MOST_UNHEARD

    for destination, least in (("google_ads", 20), ("meta", 10)):
        rows = list(company.deliveries(destination).values())
        assert {"in_flight", "in_doubt", "submitted"}.isdisjoint(row.state for row in rows)
        assert len([row for row in rows if row.state == "accepted"]) >= least
    again = company.sent("google_ads" if way.transport == "google_ads_api" else "data_manager")
    assert any(len(events) > 1 for events in again.values())

    by_key = {row.key: row for row in company.deliveries().values()}
    refused = refusals(company)
    assert refused
    for key, reason in refused.items():
        assert by_key[key].state in ("rejected", "expired", *way.unanswered)
        assert reason in (by_key[key].code or by_key[key].detail)

    most = max(Counter(company.taken("meta")).values())
    assert (("meta", "meta_deduplication", False) in way.switches) == (most > 1)
