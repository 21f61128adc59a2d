"""Where a delivery may stand, and every move it may make: one pure table."""

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never

from connectors.records import OutcomeClass


class Fate(StrEnum):
    """Where a delivery stands."""

    SKIPPED = "skipped"
    """Stood before the conversion's start, told by other means, or found to be another platform's; kept so that it can
    be explained."""
    PENDING = "pending"
    WITHHELD = "withheld"
    """Not sent for a reason that may still mend."""
    IN_FLIGHT = "in_flight"
    SUBMITTED = "submitted"
    """Received by the platform; its outcome is not known yet."""
    IN_DOUBT = "in_doubt"
    """Sent, and the answer was lost."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNCONFIRMED = "unconfirmed"
    """The platform will never tell, or not for this row."""


# Back to `skipped` goes what a human says the platform has by other means, and what proves to be another platform's.
MOVES: Mapping[Fate, frozenset[Fate]] = {
    Fate.SKIPPED: frozenset({Fate.PENDING, Fate.WITHHELD, Fate.EXPIRED}),
    # A refusal that blames a row stands once something sent with it has passed; until then the row is as it was.
    Fate.PENDING: frozenset({Fate.IN_FLIGHT, Fate.WITHHELD, Fate.EXPIRED, Fate.CANCELLED, Fate.REJECTED, Fate.SKIPPED}),
    Fate.WITHHELD: frozenset({Fate.PENDING, Fate.EXPIRED, Fate.CANCELLED, Fate.SKIPPED}),
    Fate.IN_FLIGHT: frozenset(
        {Fate.SUBMITTED, Fate.ACCEPTED, Fate.REJECTED, Fate.EXPIRED, Fate.PENDING, Fate.IN_DOUBT}
    ),
    Fate.SUBMITTED: frozenset({Fate.ACCEPTED, Fate.REJECTED, Fate.PENDING, Fate.EXPIRED, Fate.UNCONFIRMED}),
    Fate.IN_DOUBT: frozenset({Fate.IN_FLIGHT, Fate.UNCONFIRMED, Fate.REJECTED}),
    Fate.REJECTED: frozenset({Fate.PENDING, Fate.SKIPPED}),
    Fate.CANCELLED: frozenset({Fate.PENDING, Fate.SKIPPED}),
    Fate.ACCEPTED: frozenset(),
    Fate.EXPIRED: frozenset(),
    Fate.UNCONFIRMED: frozenset(),
}

ENTRY = frozenset({Fate.SKIPPED, Fate.PENDING, Fate.WITHHELD, Fate.EXPIRED, Fate.CANCELLED})
"""How a delivery may begin; called off, where its lead was lost again before anybody looked."""

FROZEN = frozenset({Fate.IN_FLIGHT, Fate.SUBMITTED, Fate.IN_DOUBT})
"""While a delivery stands here its bytes may be with the platform, so they do not change."""

OPEN = frozenset({Fate.PENDING, Fate.WITHHELD})
"""While a delivery stands here it follows the lead's latest data."""


NOT_OUT = frozenset({Fate.SKIPPED, *OPEN, Fate.REJECTED, Fate.CANCELLED})
"""While a delivery stands here the platform has nothing of it by us, and may get it yet."""


COUNTING = frozenset({Fate.PENDING, *FROZEN, Fate.ACCEPTED, Fate.UNCONFIRMED})
"""While a delivery stands here it goes out, or the platform may have it: its conversion counts by it."""


class IllegalMoveError(Exception):
    """A move the table does not have: a bug of ours, never data."""


def check_move(current: Fate | None, to: Fate) -> None:
    """Raise `IllegalMoveError` unless the table has the move; None is a delivery not begun yet."""
    if to not in (ENTRY if current is None else MOVES[current]):
        raise IllegalMoveError(f"{current or 'new'} → {to}")


def after_answer(kind: OutcomeClass, *, tried_before: bool, asynchronous: bool) -> Fate:
    """Where an answer about one row leaves its delivery.

    Args:
        kind: what the answer means.
        tried_before: whether the ledger holds an earlier attempt of this key whose answer was lost; only then is
            "already there" our own doing, and only then must the bytes stay frozen.
        asynchronous: whether the answer came later, for a submitted row.
    """
    again = Fate.IN_DOUBT if tried_before and not asynchronous else Fate.PENDING
    match kind:
        case OutcomeClass.DONE:
            return Fate.ACCEPTED
        case OutcomeClass.DUPLICATE:
            return Fate.ACCEPTED if tried_before else Fate.REJECTED
        case OutcomeClass.RETRY | OutcomeClass.DEFER | OutcomeClass.FIX_CONFIG | OutcomeClass.BUG:
            return again
        case OutcomeClass.FIX_DATA | OutcomeClass.DROP | OutcomeClass.DROP_EXPECTED:
            return Fate.REJECTED
        case OutcomeClass.EXPIRED:
            # Too old now says nothing of the first time, when nobody heard the answer.
            return Fate.IN_DOUBT if tried_before and not asynchronous else Fate.EXPIRED
        case OutcomeClass.UNKNOWN:
            return Fate.UNCONFIRMED if asynchronous else Fate.IN_DOUBT
    assert_never(kind)
