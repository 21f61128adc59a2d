"""Writes a large ledger: large.py FILE LEADS, in the folder of the revision that is to read it."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from jobs.ledger.database import create_state, open_engine
from jobs.rules.delivery_state import DeliveryState
from tests.large_ledger import Past, Some

SHARES = ((DeliveryState.ACCEPTED, 0.94, None), (DeliveryState.SKIPPED, 0.05, "before_since"))
WITHHELD = (DeliveryState.WITHHELD, "consent_missing")


def write(path, leads):
    """Write a ledger with this many leads of 400 nights, the last of which was yesterday's."""
    create_state(path)
    engine = open_engine(path, for_writing=True)
    past = Past(engine, now=datetime.now(UTC))
    left = leads
    for state, share, reason in SHARES:
        past.add(Some(int(leads * share), state, named=state.value, reason=reason))
        left -= int(leads * share)
    state, reason = WITHHELD
    past.add(Some(left, state, named=state.value, reason=reason))
    engine.dispose()


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
