"""What `check --live` makes of a key by what it may read."""

import pytest

from connectors.records import CheckVerdict
from jobs.oplead_commands.key_access import KeyAccess, key_finding

YES, NO, UNKNOWN = KeyAccess.GRANTED, KeyAccess.REFUSED, KeyAccess.UNKNOWN


@pytest.mark.parametrize(
    ("leads", "settings", "owners", "verdict", "said"),
    [
        (NO, YES, None, CheckVerdict.FAILED, "seems to be a supplier's"),
        (YES, YES, 1, CheckVerdict.DOUBTFUL, "may be one user's"),
        (YES, NO, 1, CheckVerdict.DOUBTFUL, "may be one user's"),
        (YES, YES, 3, CheckVerdict.VERIFIED, "seems to be the client admin's: the latest leads belong to 3 users"),
        (YES, UNKNOWN, None, CheckVerdict.VERIFIED, "whether all of them cannot be told"),
    ],
)
def test_says_which_key_it_seems_to_be_and_what_a_narrower_one_hides(leads, settings, owners, verdict, said):
    """A supplier's reads settings and no leads; a user's shows one user's leads."""
    found = key_finding(leads, settings, owners)

    assert verdict is found.verdict
    assert said in found.found
    assert (verdict is not CheckVerdict.VERIFIED) == bool(found.advice)


@pytest.mark.parametrize(("leads", "settings"), [(NO, NO), (UNKNOWN, YES), (UNKNOWN, UNKNOWN), (NO, UNKNOWN)])
def test_says_nothing_where_nothing_is_known(leads, settings):
    """An unknown key, or a platform that does not answer: other findings say that."""
    assert key_finding(leads, settings, None) is None
