"""After several bad nights the platform's book and the ledger agree, delivery by delivery."""

import random
from datetime import timedelta

import pytest

from connectors.sandbox.population import FIRST_NIGHT, Population

NIGHTS = 5
SEED = 7
SINCE = "2026-08-01"
INGEST = "/v1/events:ingest"
STATUS = "/v1/requestStatus:retrieve"
FAULTS = (
    {"server": "data_manager", "path": INGEST, "kind": "cut_after"},
    {"server": "data_manager", "path": INGEST, "kind": "cut_before"},
    {"server": "data_manager", "path": INGEST, "kind": "truncated"},
    {"server": "data_manager", "path": INGEST, "kind": "html"},
    {"server": "data_manager", "path": INGEST, "kind": "status", "status": 503},
    {"server": "data_manager", "path": STATUS, "kind": "truncated"},
    {"server": "data_manager", "path": STATUS, "kind": "status", "status": 500},
    {"server": "oauth", "kind": "cut_before"},
    {"server": "oplead", "kind": "status", "status": 500},
    {"server": "oplead", "kind": "truncated"},
)


def bad_nights(company):
    """Nights and mornings on which servers fail at random, then two on which they do not; the exit codes."""
    chance = random.Random(SEED)
    codes = []
    for night in range(NIGHTS):
        for _ in range(3):
            company.fail(**chance.choice(FAULTS), count=chance.choice((1, 2, 6)), after=chance.choice((0, 1)))
        codes.append(company.night(FIRST_NIGHT + timedelta(days=night)).exit_code)
        codes.append(company.later().exit_code)
    company.heal()
    company.night(FIRST_NIGHT + timedelta(days=NIGHTS))
    company.later()
    return codes


@pytest.mark.parametrize(
    ("indices", "unheard"),
    [
        pytest.param(True, (), id="rows named"),
        pytest.param(False, ("unconfirmed",), id="rows not named"),
    ],
)
def test_the_books_agree_after_bad_nights(companies, indices, unheard):
    """What the platform counted is what the ledger calls accepted, in key, target, time, value, click id and bytes.

    Where the platform does not name the rows it refused, the others are counted there and unconfirmed here: never
    the other way round.
    """
    company = companies(start=FIRST_NIGHT, population=Population.generate(seed=SEED, leads=300))
    company.use_demo_settings()
    for conversion in company.settings["conversions"]:
        conversion["since"] = SINCE
    company.conversion("appointment")["value"] = 60.25
    company.platform.switch("record_indices", indices)

    codes = bad_nights(company)

    assert {1, 3} <= set(codes) <= {0, 1, 3}
    assert [] == company.disagreements(unheard=unheard)
    assert {"in_flight", "in_doubt", "submitted"}.isdisjoint(company.fates().values())

    by_key = {row.key: row for row in company.deliveries().values()}
    assert len([row for row in by_key.values() if row.fate == "accepted"]) >= 20
    assert any(line["replays"] for line in company.platform.book())

    refused = [each for each in company.platform.state()["refused"] if each["when"] == "processing"]
    assert refused
    for each in refused:
        row = by_key[each["transaction_id"]]
        assert row.fate in ("rejected", "expired", *unheard)
        assert each["reason"] in row.code
