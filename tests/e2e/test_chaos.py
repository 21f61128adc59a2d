"""Runs killed at any time, with platforms that fail: nothing is lost, nothing counts twice, all of it is told.

`make chaos` goes on for more than 200 kills; the tests for a few.
"""

import os

import pytest

from tests import suite
from tests.e2e.support.chaos import Chaos

KILLS = int(os.environ.get("CHAOS_KILLS", "0"))
"""How many kills all of it is to see; 0 for a few."""
SEED = int(os.environ.get("CHAOS_SEED", "0"))
COMPANIES = 12 if KILLS else 2
NIGHTS = 5 if KILLS else 2
KILLS_A_NIGHT = -(-KILLS // (COMPANIES * NIGHTS)) if KILLS else 2


@pytest.mark.parametrize("number", suite.mostly_exhaustive(range(COMPANIES), 0))
def test_nights_of_chaos(company, number, record_property):
    """At the end books and ledger agree on every conversion and every correction, and the state is whole."""
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
