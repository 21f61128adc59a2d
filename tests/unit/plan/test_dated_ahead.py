"""A status dated in the future is judged again once that moment has passed, without anything else having changed."""

from datetime import timedelta

from connectors.records import Moment, StatusEntry
from tests.builders import lead
from tests.fakes import NIGHT

DAY = timedelta(days=1)


def test_status_dated_ahead_is_withheld_until_then_and_sent_afterwards(account):
    """As after a night whose clock, or Oplead's, was slow."""
    account.put(lead("L-1", history=(StatusEntry("Gagn\u00e9", Moment(NIGHT + 2 * DAY)),)))
    told = []
    for _ in range(4):
        account.night()
        told.append((account.states["L-1"], account.reasons["L-1"]))
        account.clock.time += DAY

    assert [("withheld", "time")] * 2 == told[:2]
    assert "withheld" != told[3][0]
    assert [NIGHT + 2 * DAY] == [row.at for row in account.rows()]


def test_status_before_its_lead_stays_withheld(account):
    """No time makes that right."""
    account.put(lead("L-1", history=(StatusEntry("Gagn\u00e9", Moment(NIGHT - 900 * DAY)),)))
    for _ in range(2):
        account.night()
        account.clock.time += DAY

    assert "accepted" not in account.states.values()
