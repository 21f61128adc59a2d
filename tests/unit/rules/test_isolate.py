"""Finding the bad rows of a refused batch, in as few requests as promised."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.rules.isolate import Streak, isolate


def play(rows, bad, *, named):
    """Send rows to a platform that refuses a request with a bad row; (requests, blamed, taken)."""
    waiting, requests, blamed, taken = [rows], 0, [], []
    while waiting:
        batch = waiting.pop(0)
        requests += 1
        guilty = [position for position, row in enumerate(batch) if row in bad]
        if not guilty:
            taken += batch
            continue
        found, rest = isolate(batch, guilty[:1] if named else [])
        blamed += found
        waiting = [*rest, *waiting]
    return requests, blamed, taken


def bound(size, bad):
    """The most requests k bad rows among n may cost where nothing is named."""
    return 2 * bad * math.ceil(math.log2(size)) + 1 if size > 1 else 1


@pytest.mark.parametrize(("named", "most"), [(True, 4), (False, 67)])
def test_three_bad_rows_of_two_thousand(named, most):
    """Two hundred placements: at most k + 1 requests where each answer names a row, 2k⌈log₂ n⌉ + 1 where none does."""
    dice = random.Random(20260910)
    rows = list(range(2000))
    costs = [play(rows, set(dice.sample(rows, 3)), named=named)[0] for _ in range(200)]

    assert max(costs) <= most


@given(st.integers(1, 200), st.data(), st.booleans())
def test_exactly_the_bad_rows_are_blamed(size, data, named):
    """Every good row is taken once, every bad one blamed once, within the bound."""
    rows = list(range(size))
    bad = data.draw(st.sets(st.sampled_from(rows), max_size=6))
    requests, blamed, taken = play(rows, bad, named=named)

    assert sorted(bad) == sorted(blamed)
    assert sorted(set(rows) - bad) == sorted(taken)
    assert requests <= (len(bad) + 1 if named else max(1, bound(size, len(bad))))


def test_rows_named_together_leave_together():
    """One answer may blame several."""
    assert ([1, 3], [[0, 2]]) == isolate([0, 1, 2, 3], [3, 1, 1])


def test_a_batch_of_nothing_but_bad_rows_leaves_nothing_to_send():
    """An empty request is never made."""
    assert ([0, 1], []) == isolate([0, 1], [0, 1])


@pytest.mark.parametrize("named", [[], [7], [-1]])
def test_a_row_outside_the_batch_names_nothing(named):
    """The batch is halved instead; an answer about rows we did not send blames none of ours."""
    assert ([], [[0, 1], [2, 3, 4]]) == isolate([0, 1, 2, 3, 4], named)


def test_a_single_row_is_to_blame_itself():
    """There is nothing left to halve."""
    assert (["row"], []) == isolate(["row"], [])


def play_with_streak(rows, bad, *, named):
    """As `play`, giving up where nothing passes; (requests, blamed, taken, given up)."""
    waiting, requests, blamed, taken, streak = [tuple(rows)], 0, [], [], Streak()
    while waiting:
        batch = waiting.pop(0)
        requests += 1
        guilty = [position for position, row in enumerate(batch) if row in bad]
        if not guilty:
            taken += batch
            streak.taken()
            continue
        found, rest = isolate(batch, guilty[:1] if named else [])
        streak.refused(found)
        if streak.is_general:
            return requests, streak.blamed, taken, True
        blamed += found
        waiting = streak.sample([*rest, *waiting])
    return requests, blamed, taken, False


@pytest.mark.parametrize("named", [True, False])
def test_a_batch_of_nothing_but_bad_rows_is_given_up(named):
    """Within fifteen requests, however large it is; every row that was blamed is told, to be taken back."""
    for size in (1000, 2000):
        requests, blamed, taken, given_up = play_with_streak(range(size), set(range(size)), named=named)

        assert given_up
        assert requests <= 15
        assert [] == taken
        assert blamed


@pytest.mark.parametrize(("named", "most"), [(True, 4), (False, 61)])
def test_three_bad_rows_of_a_thousand_are_never_taken_for_all(named, most):
    """Wherever they stand, side by side or apart: the others are taken, within the bound."""
    dice = random.Random(20261125)
    placements = [{0, 1, 2}, {997, 998, 999}, {498, 499, 500}, {0, 1, 999}, {0, 998, 999}]
    placements += [set(dice.sample(range(1000), 3)) for _ in range(100)]
    for bad in placements:
        requests, blamed, taken, given_up = play_with_streak(range(1000), bad, named=named)

        assert not given_up
        assert sorted(bad) == sorted(blamed)
        assert 997 == len(set(taken))
        assert requests <= most


@pytest.mark.parametrize("named", [True, False])
def test_many_bad_rows_among_good_ones_are_all_found(named):
    """A hundred in a row at the start are no reason to give up while something passes."""
    requests, blamed, taken, given_up = play_with_streak(range(1000), set(range(100)), named=named)

    assert not given_up
    assert (100, 900) == (len(blamed), len(set(taken)))
    assert requests <= (101 + 8 if named else bound(1000, 100))
