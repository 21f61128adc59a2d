"""Writes a large ledger: large.py FILE LEADS [SHARE], in the folder of the revision that is to read it."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from jobs.ledger.storage.database import create_state, open_engine
from jobs.rules.delivery_state import DeliveryState
from tests.large_ledger import Past, Some

SKIPPED, WITHHELD = 0.21, 0.09
"""Shares of the leads; all others are accepted. What is withheld is recent, and keeps its hashed contact data."""


def write(path, leads, share=1.0):
    """Write a ledger with this many leads of 400 nights, the last of which was yesterday's; a share has deliveries."""
    create_state(path)
    engine = open_engine(path, for_writing=True)
    past = Past(engine, now=datetime.now(UTC))
    reported = int(leads * share)
    skipped, withheld = int(reported * SKIPPED), int(reported * WITHHELD)
    past.add(Some(reported - skipped - withheld, named="accepted"))
    past.add(Some(leads - reported, None, named="other"))
    past.add(Some(skipped, DeliveryState.SKIPPED, named="skipped", reason="before_since"))
    past.add(
        Some(
            withheld,
            DeliveryState.WITHHELD,
            named="withheld",
            reason="consent_missing",
            ago=range(1, 80),
            hashed=True,
        )
    )
    engine.dispose()


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
