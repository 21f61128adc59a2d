"""Where a delivery may stand, and every move it may make: one pure table."""

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never

from connectors.records import OutcomeClass


class DeliveryState(StrEnum):
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


_S = DeliveryState
# Back to `skipped` goes what a human says the platform has by other means, and what proves to be another platform's.
MOVES: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    _S.SKIPPED: frozenset({_S.PENDING, _S.WITHHELD, _S.EXPIRED}),
    # A refusal that blames a row stands once something sent with it has passed; until then the row is as it was.
    _S.PENDING: frozenset({_S.IN_FLIGHT, _S.WITHHELD, _S.EXPIRED, _S.CANCELLED, _S.REJECTED, _S.SKIPPED}),
    _S.WITHHELD: frozenset({_S.PENDING, _S.EXPIRED, _S.CANCELLED, _S.SKIPPED}),
    _S.IN_FLIGHT: frozenset({_S.SUBMITTED, _S.ACCEPTED, _S.REJECTED, _S.EXPIRED, _S.PENDING, _S.IN_DOUBT}),
    _S.SUBMITTED: frozenset({_S.ACCEPTED, _S.REJECTED, _S.PENDING, _S.EXPIRED, _S.UNCONFIRMED}),
    _S.IN_DOUBT: frozenset({_S.IN_FLIGHT, _S.UNCONFIRMED, _S.REJECTED}),
    _S.REJECTED: frozenset({_S.PENDING, _S.SKIPPED}),
    _S.CANCELLED: frozenset({_S.PENDING, _S.SKIPPED}),
    _S.ACCEPTED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.UNCONFIRMED: frozenset(),
}

ENTRY = frozenset({_S.SKIPPED, _S.PENDING, _S.WITHHELD, _S.EXPIRED, _S.CANCELLED})
"""How a delivery may begin; cancelled, where its lead was lost again before anybody looked."""

FROZEN = frozenset({_S.IN_FLIGHT, _S.SUBMITTED, _S.IN_DOUBT})
"""While a delivery stands here its bytes may be with the platform, so they do not change."""

OPEN = frozenset({_S.PENDING, _S.WITHHELD})
"""While a delivery stands here it follows the lead's latest data."""

NOT_OUT = frozenset({_S.SKIPPED, *OPEN, _S.REJECTED, _S.CANCELLED})
"""While a delivery stands here the platform has nothing of it by us, and may get it yet."""

COUNTING = frozenset({_S.PENDING, *FROZEN, _S.ACCEPTED, _S.UNCONFIRMED})
"""While a delivery stands here it goes out, or the platform may have it: its conversion counts by it."""


class IllegalMoveError(Exception):
    """A move the table does not have: a bug of ours, never data."""


def check_move(current: DeliveryState | None, to: DeliveryState) -> None:
    """Raise `IllegalMoveError` unless the table has the move; None is a delivery not begun yet."""
    if to not in (ENTRY if current is None else MOVES[current]):
        raise IllegalMoveError(f"{current or 'new'} → {to}")


def after_answer(kind: OutcomeClass, *, tried_before: bool, asynchronous: bool) -> DeliveryState:
    """Where an answer about one row leaves its delivery.

    Args:
        kind: what the answer means.
        tried_before: whether the ledger holds an earlier attempt of this key whose answer was lost; only then is
            "already there" our own doing, and only then must the bytes stay frozen.
        asynchronous: whether the answer came later, for a submitted row.
    """
    again = DeliveryState.IN_DOUBT if tried_before and not asynchronous else DeliveryState.PENDING
    match kind:
        case OutcomeClass.DONE:
            return DeliveryState.ACCEPTED
        case OutcomeClass.DUPLICATE:
            return DeliveryState.ACCEPTED if tried_before else DeliveryState.REJECTED
        case OutcomeClass.RETRY | OutcomeClass.DEFER | OutcomeClass.FIX_CONFIG | OutcomeClass.BUG:
            return again
        case OutcomeClass.FIX_DATA | OutcomeClass.DROP | OutcomeClass.DROP_EXPECTED:
            return DeliveryState.REJECTED
        case OutcomeClass.EXPIRED:
            # Too old now says nothing of the first time, when nobody heard the answer.
            return DeliveryState.IN_DOUBT if tried_before and not asynchronous else DeliveryState.EXPIRED
        case OutcomeClass.UNKNOWN:
            return DeliveryState.UNCONFIRMED if asynchronous else DeliveryState.IN_DOUBT
    assert_never(kind)
