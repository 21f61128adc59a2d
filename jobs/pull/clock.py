"""Checks this machine's clock against what was read last, where no answer of Oplead's shows the time."""

from datetime import datetime, timedelta

from connectors.errors import WrongClock
from connectors.language import _
from jobs.ledger import reading_progress
from jobs.ledger.runs import Ledger

MAX_CLOCK_SKEW = timedelta(hours=2)
"""How far the source's clock may differ from ours; a wrong time zone that differs more is caught."""
_UNCONFIRMED_FOR = timedelta(days=14)
"""How long to trust our clock while the source can't be asked: a quiet account may see no lead for a week."""


def check_clock_plausible(ledger: Ledger, now: datetime, *, newest: datetime | None = None) -> None:
    """Check an unconfirmed time against the last reading of leads, and the newest time that leads themselves show.

    Raises:
        WrongClock: it is before that reading, or long after both.
    """
    with ledger.read_transaction() as session:
        last = reading_progress.last_read(session, ledger.account)
    if last is not None and not last - MAX_CLOCK_SKEW <= now <= max(last, newest or last) + _UNCONFIRMED_FOR:
        raise WrongClock(
            _(
                "this machine's clock says {now:%Y-%m-%d %H:%M} UTC, leads were last read on {last:%Y-%m-%d "
                "%H:%M} UTC, and Oplead cannot be asked what time it is: see that the clock is right. Until "
                "Oplead answers nothing is sent, and nothing expires",
                now=now,
                last=last,
            )
        )
