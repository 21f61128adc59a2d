"""Kinds and states of deliveries, and the table of every allowed transition. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never

from connectors.records import OutcomeClass


class DeliveryKind(StrEnum):
    """What a delivery tells the platform."""

    CONVERSION = "conversion"
    RESTATEMENT = "restatement"
    """A correction of an accepted conversion's value."""
    RETRACTION = "retraction"
    """A correction that takes an accepted conversion back."""


class DeliveryState(StrEnum):
    """The state of a delivery."""

    SKIPPED = "skipped"
    """Predates the conversion's start, was sent by other means, or belongs to another platform; kept for `explain`."""
    PENDING = "pending"
    WITHHELD = "withheld"
    """Not sent, for a reason that may still be resolved."""
    IN_FLIGHT = "in_flight"
    SUBMITTED = "submitted"
    """Received by the platform; outcome not yet known."""
    IN_DOUBT = "in_doubt"
    """Sent, but the answer was lost."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNCONFIRMED = "unconfirmed"
    """The platform will never report an outcome, or not for this row."""


_S = DeliveryState
# A delivery returns to `skipped` if the platform has it by other means, or if it proves to be another platform's.
MOVES: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    # What a restored state finds too late may have been sent before the restore.
    _S.SKIPPED: frozenset({_S.PENDING, _S.WITHHELD, _S.EXPIRED, _S.UNCONFIRMED}),
    # A refusal that blames a row is final only once something sent with it has passed; until then the row is unchanged.
    _S.PENDING: frozenset(
        {_S.IN_FLIGHT, _S.WITHHELD, _S.EXPIRED, _S.CANCELLED, _S.REJECTED, _S.SKIPPED, _S.UNCONFIRMED}
    ),
    _S.WITHHELD: frozenset({_S.PENDING, _S.EXPIRED, _S.CANCELLED, _S.SKIPPED, _S.UNCONFIRMED}),
    # Only a forgotten lead's delivery goes from in flight to unconfirmed: nobody will ask for its answer.
    _S.IN_FLIGHT: frozenset(
        {_S.SUBMITTED, _S.ACCEPTED, _S.REJECTED, _S.EXPIRED, _S.PENDING, _S.IN_DOUBT, _S.UNCONFIRMED}
    ),
    _S.SUBMITTED: frozenset({_S.ACCEPTED, _S.REJECTED, _S.PENDING, _S.EXPIRED, _S.UNCONFIRMED}),
    _S.IN_DOUBT: frozenset({_S.IN_FLIGHT, _S.UNCONFIRMED, _S.REJECTED}),
    _S.REJECTED: frozenset({_S.PENDING, _S.SKIPPED}),
    # That of a forgotten lead is erased in the transaction that cancels it, so it never comes back.
    _S.CANCELLED: frozenset({_S.PENDING, _S.SKIPPED}),
    _S.ACCEPTED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.UNCONFIRMED: frozenset(),
}

ENTRY = frozenset({_S.SKIPPED, _S.PENDING, _S.WITHHELD, _S.EXPIRED, _S.CANCELLED, _S.UNCONFIRMED})
"""Initial states; `cancelled` is for a lead that was lost again before it was first judged, `unconfirmed` for what a
restored state finds too late."""

FROZEN = frozenset({_S.IN_FLIGHT, _S.SUBMITTED, _S.IN_DOUBT})
"""States in which the platform may hold the bytes, so they must not change."""

SENT = frozenset({*FROZEN, _S.ACCEPTED, _S.UNCONFIRMED})
"""States in which a platform has it, or may have it."""

OPEN = frozenset({_S.PENDING, _S.WITHHELD})
"""States in which a delivery follows the lead's latest data."""

NOT_OUT = frozenset({_S.SKIPPED, *OPEN, _S.REJECTED, _S.CANCELLED})
"""States in which the platform doesn't have the conversion from us, but may still get it."""

COUNTING = frozenset({_S.PENDING, *SENT})
"""States in which the conversion counts: it will be sent, or the platform may have it."""


class IllegalMoveError(Exception):
    """A transition not in the table: always a bug, never caused by data."""


def state_once_forgotten(current: DeliveryState) -> DeliveryState:
    """Return the final state of a delivery whose lead is forgotten; what has an answer, or was never due, keeps its."""
    if current in OPEN:
        return DeliveryState.CANCELLED
    return DeliveryState.UNCONFIRMED if current in FROZEN else current


def check_delivery_move(current: DeliveryState | None, to: DeliveryState) -> None:
    """Raise `IllegalMoveError` unless the table allows the transition; `current` is None for a new delivery."""
    if to not in (ENTRY if current is None else MOVES[current]):
        raise IllegalMoveError(f"{current or 'new'} → {to}")


def state_after_answer(kind: OutcomeClass, *, tried_before: bool, asynchronous: bool) -> DeliveryState:
    """Return the state an answer about one row puts its delivery in.

    `tried_before` is whether an earlier attempt with this key lost its answer: only then can "already there" be our own
    doing, and only then must the bytes stay frozen. `asynchronous` answers come later, for submitted rows.
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
            # "Too old" now doesn't settle the first attempt, whose answer was lost.
            return DeliveryState.IN_DOUBT if tried_before and not asynchronous else DeliveryState.EXPIRED
        case OutcomeClass.UNKNOWN:
            return DeliveryState.UNCONFIRMED if asynchronous else DeliveryState.IN_DOUBT
    assert_never(kind)
