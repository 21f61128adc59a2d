"""A fleet whose workers are killed and paused, and whose database and platforms fail: every account's books are right.

`make chaos-fleet` plays more accounts and nights; the test suite a few.
"""

import os

import pytest

from tests.e2e.support.fleet_chaos import FleetChaos

ACCOUNTS = int(os.environ.get("CHAOS_ACCOUNTS", "6"))
NIGHTS = int(os.environ.get("CHAOS_NIGHTS", "3"))
SEED = int(os.environ.get("CHAOS_SEED", "0"))


@pytest.mark.exhaustive
@pytest.mark.timeout(20 * ACCOUNTS * NIGHTS)
def test_ledgers_survive_what_befalls_a_fleet(fleet, record_property):
    """Nothing is lost, a double is flagged, and every account has each night once; each webhook is stored once."""
    with FleetChaos(fleet, ACCOUNTS, SEED) as chaos:
        for _ in range(NIGHTS):
            chaos.night(blows=2)
        chaos.quiet_nights()
        wrongs = list(chaos.wrongs())

    record_property("blows", chaos.done.total())
    print(f"{chaos.done} {chaos.story.done}")  # noqa: T201 - shown with -s, or where it fails
    assert [] == wrongs
