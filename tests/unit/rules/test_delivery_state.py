"""The table of states, move by move, and where each answer leaves a delivery."""

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
    after_answer,
    check_move,
)

# Written out by hand. `skipped` comes to life only by a start moved back or a backfill, and takes back what went
# out by other means; an answer in flight may be "too old"; blame laid on a row stands once something else has passed,
# and the row waits for that as it was.
LEGAL = {
    "skipped": {"pending", "withheld", "expired"},
    "pending": {"in_flight", "withheld", "expired", "cancelled", "rejected", "skipped"},
    "withheld": {"pending", "expired", "cancelled", "skipped"},
    "in_flight": {"submitted", "accepted", "rejected", "expired", "pending", "in_doubt"},
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
        check_move(current, to)
    except IllegalMoveError:
        return False
    return True


def test_the_table_has_a_row_for_every_fate():
    """And for nothing else."""
    assert set(LEGAL) == set(DeliveryState) == set(MOVES)


@pytest.mark.parametrize(("current", "to"), PAIRS)
def test_every_move(current, to):
    """Only those of the table are made; staying is no move."""
    assert (to in LEGAL[current]) == goes(DeliveryState(current), DeliveryState(to))


@pytest.mark.parametrize("state", list(DeliveryState))
def test_how_a_delivery_begins(state):
    """Never as something already sent."""
    assert (state in {"skipped", "pending", "withheld", "expired", "cancelled"}) == goes(None, state)


def test_an_illegal_move_names_both_ends():
    """It is a bug of ours, and should say which."""
    with pytest.raises(IllegalMoveError, match="accepted → pending"):
        check_move(DeliveryState.ACCEPTED, DeliveryState.PENDING)
    with pytest.raises(IllegalMoveError, match="new → accepted"):
        check_move(None, DeliveryState.ACCEPTED)


def test_what_is_final_stays():
    """Nothing leads out of it."""
    assert {"accepted", "expired", "unconfirmed"} == {state for state in DeliveryState if not MOVES[state]}


def test_frozen_fates_are_those_in_which_a_platform_may_hold_the_bytes():
    """And open ones follow the lead; no state is both, none begins frozen."""
    assert {"in_flight", "submitted", "in_doubt"} == FROZEN
    assert {"pending", "withheld"} == OPEN
    assert frozenset() == FROZEN & (OPEN | ENTRY)


def test_every_fate_that_is_not_final_can_still_end():
    """No delivery is stuck for ever by the table."""
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
# A lost answer keeps the bytes frozen until the platform has spoken about them: an answer that is no verdict on the
# row leaves it in doubt. "Already there" is our own doing only after an earlier attempt.
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


def test_every_class_of_outcome_has_a_row():
    """A new class asks for a decision."""
    assert set(ANSWERS) == set(OutcomeClass)


@pytest.mark.parametrize("kind", list(OutcomeClass))
@pytest.mark.parametrize("column", range(4))
def test_where_each_answer_leaves_a_delivery(kind, column):
    """Written out by hand, cell by cell."""
    tried, later = COLUMNS[column]

    assert ANSWERS[kind][column] == after_answer(kind, tried_before=tried, asynchronous=later)


@pytest.mark.parametrize("kind", list(OutcomeClass))
@pytest.mark.parametrize(("tried", "later"), COLUMNS)
def test_every_answer_is_a_move_the_table_has(kind, tried, later):
    """From in flight at once, from submitted later."""
    assert goes(
        DeliveryState.SUBMITTED if later else DeliveryState.IN_FLIGHT,
        after_answer(kind, tried_before=tried, asynchronous=later),
    )


@pytest.mark.parametrize("kind", [kind for kind in OutcomeClass if kind not in ("done", "duplicate")])
@pytest.mark.parametrize(("tried", "later"), COLUMNS)
def test_nothing_but_done_is_ever_accepted(kind, tried, later):
    """An unknown answer is never success."""
    assert DeliveryState.ACCEPTED is not after_answer(kind, tried_before=tried, asynchronous=later)
