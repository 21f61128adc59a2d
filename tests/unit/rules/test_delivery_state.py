"""The delivery state machine, move by move, and the state after each answer."""

import itertools

import pytest

from connectors.records import OutcomeClass
from jobs.rules.delivery_state import (
    ENTRY,
    FROZEN,
    MOVES,
    OPEN,
    DeliveryState,
    IllegalMoveError,
    check_delivery_move,
    state_after_answer,
    state_once_forgotten,
)

# Written out by hand. `skipped` is left only when a start is moved back or by a backfill, and a delivery returns to it
# when its conversion went out by other means; an answer to an in_flight row may be "too old"; a suspect row waits
# unchanged and is rejected once another row has passed. Only a forgotten lead's row is unconfirmed from in_flight.
LEGAL = {
    "skipped": {"pending", "withheld", "expired", "unconfirmed"},
    "pending": {"in_flight", "withheld", "expired", "cancelled", "rejected", "skipped", "unconfirmed"},
    "withheld": {"pending", "expired", "cancelled", "skipped", "unconfirmed"},
    "in_flight": {"submitted", "accepted", "rejected", "expired", "pending", "in_doubt", "unconfirmed"},
    "submitted": {"accepted", "rejected", "pending", "expired", "unconfirmed"},
    "in_doubt": {"in_flight", "unconfirmed", "rejected"},
    "rejected": {"pending", "skipped"},
    "cancelled": {"pending", "skipped"},
    "accepted": set(),
    "expired": set(),
    "unconfirmed": set(),
}
PAIRS = list(itertools.product(LEGAL, LEGAL))


def goes(current, to):
    """Whether the table has the move."""
    try:
        check_delivery_move(current, to)
    except IllegalMoveError:
        return False
    return True


def test_table_has_a_row_for_every_state():
    """It has rows for nothing else."""
    assert set(LEGAL) == set(DeliveryState) == set(MOVES)


@pytest.mark.parametrize(("current", "to"), PAIRS)
def test_only_listed_moves_are_legal(current, to):
    """Staying in the same state is not a move."""
    assert (to in LEGAL[current]) == goes(DeliveryState(current), DeliveryState(to))


@pytest.mark.parametrize("state", list(DeliveryState))
def test_delivery_begins_only_in_an_entry_state(state):
    """It never begins as something already sent."""
    assert (state in {"skipped", "pending", "withheld", "expired", "cancelled", "unconfirmed"}) == goes(None, state)


def test_illegal_move_error_names_both_states():
    """An illegal move is our own bug, and the message locates it."""
    with pytest.raises(IllegalMoveError, match="accepted → pending"):
        check_delivery_move(DeliveryState.ACCEPTED, DeliveryState.PENDING)
    with pytest.raises(IllegalMoveError, match="new → accepted"):
        check_delivery_move(None, DeliveryState.ACCEPTED)


def test_final_states_have_no_moves():
    """Accepted, expired and unconfirmed deliveries never change again."""
    assert {"accepted", "expired", "unconfirmed"} == {state for state in DeliveryState if not MOVES[state]}


def test_forgotten_lead_leaves_nothing_under_way():
    """What was never sent is cancelled, what may have arrived is unconfirmed, and what has an answer keeps it."""
    ends = {state.value: state_once_forgotten(state).value for state in DeliveryState}
    changed = {"pending": "cancelled", "withheld": "cancelled"} | dict.fromkeys(FROZEN, "unconfirmed")

    assert changed == {state: end for state, end in ends.items() if state != end}
    assert all(goes(DeliveryState(state), DeliveryState(end)) for state, end in changed.items())


def test_frozen_and_open_states_are_disjoint():
    """A platform may hold the bytes in frozen states; open ones follow the lead, and none begins frozen."""
    assert {"in_flight", "submitted", "in_doubt"} == FROZEN
    assert {"pending", "withheld"} == OPEN
    assert frozenset() == FROZEN & (OPEN | ENTRY)


def test_every_state_can_reach_an_end():
    """The table leaves no delivery stuck for ever."""
    ends = {
        DeliveryState.ACCEPTED,
        DeliveryState.EXPIRED,
        DeliveryState.UNCONFIRMED,
        DeliveryState.REJECTED,
        DeliveryState.CANCELLED,
        DeliveryState.SKIPPED,
    }
    reached = {state: set(MOVES[state]) for state in DeliveryState}
    for _ in DeliveryState:
        reached = {state: moves | {far for near in moves for far in reached[near]} for state, moves in reached.items()}

    assert all(state in ends or reached[state] & ends for state in DeliveryState)


# One row per class; columns: (at once, first try), (at once, after a lost answer), (later, first), (later, after one).
# A lost answer keeps the bytes frozen until the platform answers for them: an answer without a verdict on the row
# leaves it in_doubt. A duplicate is our own upload only after an earlier attempt.
ANSWERS = {
    "done": ("accepted", "accepted", "accepted", "accepted"),
    "duplicate": ("rejected", "accepted", "rejected", "accepted"),
    "retry": ("pending", "in_doubt", "pending", "pending"),
    "defer": ("pending", "in_doubt", "pending", "pending"),
    "expired": ("expired", "in_doubt", "expired", "expired"),
    "fix_data": ("rejected", "rejected", "rejected", "rejected"),
    "drop": ("rejected", "rejected", "rejected", "rejected"),
    "drop_expected": ("rejected", "rejected", "rejected", "rejected"),
    "fix_config": ("pending", "in_doubt", "pending", "pending"),
    "bug": ("pending", "in_doubt", "pending", "pending"),
    "unknown": ("in_doubt", "in_doubt", "unconfirmed", "unconfirmed"),
}
COLUMNS = [(False, False), (True, False), (False, True), (True, True)]


def test_every_outcome_class_has_a_row():
    """A new class needs a decision here."""
    assert set(ANSWERS) == set(OutcomeClass)


@pytest.mark.parametrize("kind", list(OutcomeClass))
@pytest.mark.parametrize("column", range(4))
def test_state_after_each_outcome_class(kind, column):
    """The expected states are written out by hand, cell by cell."""
    tried, later = COLUMNS[column]

    assert ANSWERS[kind][column] == state_after_answer(kind, tried_before=tried, asynchronous=later)


@pytest.mark.parametrize("kind", list(OutcomeClass))
@pytest.mark.parametrize(("tried", "later"), COLUMNS)
def test_every_answer_leads_to_a_legal_move(kind, tried, later):
    """Synchronous answers move from in_flight, asynchronous ones from submitted."""
    assert goes(
        DeliveryState.SUBMITTED if later else DeliveryState.IN_FLIGHT,
        state_after_answer(kind, tried_before=tried, asynchronous=later),
    )


@pytest.mark.parametrize("kind", [kind for kind in OutcomeClass if kind not in ("done", "duplicate")])
@pytest.mark.parametrize(("tried", "later"), COLUMNS)
def test_only_done_or_duplicate_is_ever_accepted(kind, tried, later):
    """An unknown answer is never a success."""
    assert DeliveryState.ACCEPTED is not state_after_answer(kind, tried_before=tried, asynchronous=later)
