"""Nights in worlds that mean ill: nothing counts twice unflagged, nothing is lost, and no state is untrue.

`make chaos` continues for more than 300 kills; the test suite plays each world once.
"""

import os

import pytest

from tests import suite
from tests.e2e.support.chaos import WAYS
from tests.e2e.support.hostile import TURN, WORLDS, Emptied, Renumbered, Restored

KILLS = 7 if os.environ.get("CHAOS_KILLS") else 1
"""How many kills to try each night."""


@pytest.mark.parametrize("way", suite.mostly_exhaustive(range(len(WAYS)), 0))
@pytest.mark.parametrize("kind", WORLDS, ids=lambda kind: kind.__name__)
def test_every_conversion_counts_once_in_a_hostile_world(company, kind, way, record_property):
    """By Data Manager or the Google Ads API, and at Meta: whatever was reached was counted once, or is flagged."""
    world = kind(company, way)
    world.play(KILLS)

    record_property("kills", world.done.kills)
    print(f"{kind.__name__} {world.way}: {world.done}")  # noqa: T201 - shown with -s, or where it fails
    assert [] == world.wrongs()


@pytest.mark.parametrize("kind", [Renumbered, Emptied], ids=lambda kind: kind.__name__)
def test_a_human_is_told_as_the_world_turns(company, kind):
    """The night in which ids change or leads are missing ends with 1, and the quiet ones at the end with 0."""
    world = kind(company, 0)
    world.play(kills=0)

    assert 1 == world.codes[TURN - 1]
    assert [0, 0] == world.codes[-2:]


def test_a_restored_state_is_refused_until_it_is_declared(company):
    """The night after a restore ends with 2; `state restored` has the next one go on."""
    world = Restored(company, 0)
    world.play(kills=0)

    assert 2 == world.refused
    assert 0 == world.answered.code, world.answered.err
    assert 0 == world.codes[-1]
