"""How a new decision changes a delivery that already has a state."""

import pytest

from connectors.records import OutcomeClass
from jobs.rules.decision import Decision, DeliveryStatus, NoSuchConversion, next_delivery_state
from jobs.rules.delivery_state import ENTRY, MOVES, DeliveryState
from jobs.rules.reasons import Reason
from tests.fakes import NIGHT

# Only the kind and reason of a decision matter here.
DECISIONS = {
    "nothing": NoSuchConversion(Reason.STAGE_NOT_REACHED),
    "another's": NoSuchConversion(Reason.ANOTHER_PLATFORM, "only fbclid"),
    "skip": Decision(DeliveryState.SKIPPED, Reason.BEFORE_SINCE, None),
    "withhold": Decision(DeliveryState.WITHHELD, Reason.NO_CLICK_ID, None),
    "refused": Decision(DeliveryState.WITHHELD, Reason.CONSENT_REFUSED, None),
    "expire": Decision(DeliveryState.EXPIRED, Reason.WINDOW_CLOSED, None),
    "call off": Decision(DeliveryState.CANCELLED, Reason.UNDONE, None),
    "wait": Decision(DeliveryState.PENDING, Reason.VALUE_AWAITED, None, not_before=NIGHT),
    "send": Decision(DeliveryState.PENDING, Reason.DUE, None),
}
ALONE = dict.fromkeys(DECISIONS)
TABLE = {
    None: {
        "nothing": None,
        "another's": None,
        "skip": DeliveryState.SKIPPED,
        "withhold": DeliveryState.WITHHELD,
        "refused": DeliveryState.WITHHELD,
        "expire": DeliveryState.EXPIRED,
        "call off": DeliveryState.CANCELLED,
        "wait": DeliveryState.PENDING,
        "send": DeliveryState.PENDING,
    },
    DeliveryState.SKIPPED: {
        "nothing": None,
        "another's": DeliveryState.SKIPPED,
        "skip": DeliveryState.SKIPPED,
        "withhold": DeliveryState.WITHHELD,
        "refused": DeliveryState.WITHHELD,
        "expire": DeliveryState.EXPIRED,
        "call off": None,
        "wait": DeliveryState.PENDING,
        "send": DeliveryState.PENDING,
    },
    DeliveryState.PENDING: {
        "nothing": DeliveryState.WITHHELD,
        "another's": DeliveryState.SKIPPED,
        "skip": DeliveryState.WITHHELD,
        "withhold": DeliveryState.WITHHELD,
        "refused": DeliveryState.CANCELLED,
        "expire": DeliveryState.EXPIRED,
        "call off": DeliveryState.CANCELLED,
        "wait": DeliveryState.PENDING,
        "send": DeliveryState.PENDING,
    },
    DeliveryState.WITHHELD: {
        "nothing": DeliveryState.WITHHELD,
        "another's": DeliveryState.SKIPPED,
        "skip": DeliveryState.WITHHELD,
        "withhold": DeliveryState.WITHHELD,
        "refused": DeliveryState.WITHHELD,
        "expire": DeliveryState.EXPIRED,
        "call off": DeliveryState.CANCELLED,
        "wait": DeliveryState.PENDING,
        "send": DeliveryState.PENDING,
    },
    DeliveryState.CANCELLED: ALONE | {"wait": DeliveryState.PENDING, "send": DeliveryState.PENDING},
    DeliveryState.IN_DOUBT: ALONE | {"refused": DeliveryState.UNCONFIRMED},
    DeliveryState.REJECTED: ALONE,
    DeliveryState.IN_FLIGHT: ALONE,
    DeliveryState.SUBMITTED: ALONE,
    DeliveryState.ACCEPTED: ALONE,
    DeliveryState.EXPIRED: ALONE,
    DeliveryState.UNCONFIRMED: ALONE,
}
CELLS = [(state, name) for state in TABLE for name in DECISIONS]


def test_table_covers_every_state():
    """A new state needs a new row."""
    assert {None, *DeliveryState} == set(TABLE)


@pytest.mark.parametrize(("state", "name"), CELLS)
def test_reconcile_follows_the_table_for_every_state_and_decision(state, name):
    """The expected states are written out by hand, cell by cell."""
    standing = None if state is None else DeliveryStatus(state, withdrawn=name == "refused")

    assert TABLE[state][name] == next_delivery_state(standing, DECISIONS[name])


@pytest.mark.parametrize(("state", "name"), CELLS)
def test_every_reconciliation_is_a_legal_move(state, name):
    """It may also leave the delivery where it is."""
    to = next_delivery_state(
        None if state is None else DeliveryStatus(state, withdrawn=name == "refused"), DECISIONS[name]
    )
    allowed = ENTRY if state is None else {state, *MOVES[state]}

    assert to is None or to in allowed


@pytest.mark.parametrize("state", [DeliveryState.PENDING, DeliveryState.WITHHELD])
def test_delivery_of_another_platform_is_skipped_not_expired(state):
    """It never belonged here; one that a human declared sent by other means stays unchanged."""
    assert DeliveryState.SKIPPED == next_delivery_state(DeliveryStatus(state, closed=True), DECISIONS["another's"])
    assert None is next_delivery_state(
        DeliveryStatus(DeliveryState.SKIPPED, sent_elsewhere=True), DECISIONS["another's"]
    )


@pytest.mark.parametrize("kind", list(OutcomeClass))
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("name", list(DECISIONS))
def test_rejected_delivery_returns_only_with_corrected_data(kind, same, name):
    """Its data must have been at fault, must have changed, and must be ready to send."""
    mended = kind is OutcomeClass.FIX_DATA and not same and name in {"send", "wait"}

    assert (DeliveryState.PENDING if mended else None) == next_delivery_state(
        DeliveryStatus(DeliveryState.REJECTED, kind, mended=not same), DECISIONS[name]
    )
