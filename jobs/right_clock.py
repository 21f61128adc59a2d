"""Sees to it that nothing is called too late by a clock that is wrong; what expires once has expired for good."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from connectors.errors import Misconfigured, Transient, WrongClock
from jobs.ledger import leads, starts
from jobs.ledger.ledger import Ledger

CLOCKS_WITHIN = timedelta(hours=2)
"""How far the source's clock may be from ours: a zone taken for another one is further."""
_UNASKED_FOR = timedelta(days=14)
"""How long our clock is believed though the source cannot be asked: a quiet account sees no lead for a week."""


def expect_plausible(ledger: Ledger, now: datetime) -> None:
    """Return where a time that the source could not confirm may be right, by when leads were last read.

    Raises:
        WrongClock: it lies before that, or long after it.
    """
    with ledger.reading() as session:
        last = leads.last_read(session, ledger.account)
    if last is not None and not last - CLOCKS_WITHIN <= now <= last + _UNASKED_FOR:
        raise WrongClock(
            f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC, leads were last read on {last:%Y-%m-%d %H:%M} UTC, "
            "and Oplead cannot be asked what time it is: see that the clock is right. Until Oplead answers nothing is "
            "sent, and nothing expires"
        )


@contextmanager
def confirmed(ledger: Ledger, began: datetime) -> Iterator[None]:
    """Read from a source in the block, which compares its clock with ours; where it fails, be content with less.

    Raises:
        WrongClock: the time cannot be right. Starts that this run took from it at `began` are taken back.
    """
    try:
        try:
            yield
        except (Transient, Misconfigured):
            expect_plausible(ledger, began)
            raise
    except WrongClock:
        with ledger.writing() as session:
            starts.take_back(session, ledger.account, since=began)
        raise
