"""Nights of an account whose state is in a database, and whose Google Cloud project's quota is used up."""

import json
from datetime import timedelta

import pytest

from tests import postgresql

HOUR = timedelta(hours=1)
ONE_A_DAY = "import connectors.google_ads.quota as quota; quota.PER_DAY = 1"


@pytest.fixture
def night(company):
    """Runs a night of a company whose state is in a new database; returns its exit code and what it printed."""
    with postgresql.server().database(like="deployed") as url:
        company.environ["DATABASE"] = url

        def run(*options, prelude=ONE_A_DAY):
            config = company.config
            config.write_text(json.dumps(json.loads(config.read_text()) | {"state": "${DATABASE}"}))
            command = ("run", "--json", *options)
            with company.ended(company.start_command(*command, config=config, prelude=prelude)) as process:
                out, err = process.communicate(timeout=60)
                return process.returncode, out + err

        yield run


def test_a_night_that_finds_the_quota_used_up_ends_and_the_next_one_sends_the_rest(company, night):
    """It neither waits nor tries on, says which project it is, and no conversion is lost or counted twice."""
    company.serve(company.lead(1, ("RDV pris", company.START - HOUR)), company.lead(2, ("Gagné", company.START - HOUR)))
    began, nights = company.clock.now(), []
    code, said = night("--first-run")

    assert 3 == code
    assert "share has no room left; there is room again in 2" in said
    assert company.clock.now() - began < HOUR
    for options in ({}, {}, {"prelude": ""}):
        company.clock.advance(company.clock.now() + HOUR)  # Google takes a while to count
        nights.append(len(company.counted()))
        company.clock.advance(company.clock.now() + 26 * HOUR)
        code, _ = night(**options)

    assert [0 < nights[0] < 3, 3, 3] == [True, *nights[1:]]
    assert {1} == {line.times for line in company.counted()}
    assert 0 == code
