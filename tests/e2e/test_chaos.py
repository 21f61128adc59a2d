"""Runs killed at any time while platforms fail: nothing is lost or counted twice, and everything is reported.

`make chaos` continues for more than 200 kills; the test suite does a few.
"""

import os

import pytest

from tests import suite
from tests.e2e.support.chaos import Chaos

KILLS = int(os.environ.get("CHAOS_KILLS", "0"))
"""How many kills to make in total; 0 for a few."""
SEED = int(os.environ.get("CHAOS_SEED", "0"))
COMPANIES = 12 if KILLS else 2
NIGHTS = 5 if KILLS else 2
KILLS_A_NIGHT = -(-KILLS // (COMPANIES * NIGHTS)) if KILLS else 2


@pytest.mark.parametrize("state_in", ["file", pytest.param("database", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("number", suite.mostly_exhaustive(range(COMPANIES), 0))
def test_ledger_survives_random_kills_and_platform_failures(company, number, record_property):
    """Platforms and ledger agree on every conversion and correction, and the state is intact."""
    chaos = Chaos(company, SEED * COMPANIES + number)
    for _ in range(NIGHTS):
        chaos.night(KILLS_A_NIGHT)
    while KILLS and chaos.done.kills < NIGHTS * KILLS_A_NIGHT:
        chaos.night(KILLS_A_NIGHT)
    chaos.quiet_nights()

    record_property("kills", chaos.done.kills)
    print(f"{chaos.way}: {chaos.done}")  # noqa: T201 - shown with -s, or where it fails
    assert [] == chaos.wrongs()
    assert chaos.done.kills > 0
