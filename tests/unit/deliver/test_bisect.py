"""Bisecting a refused batch isolates its bad rows within a bounded number of requests."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records import Outcome, OutcomeClass
from jobs.deliver.bisect import CircuitBreaker, SuspectRow, batches_with_sample_first, bisect, split_rows_sharing_keys

REFUSALS = [Outcome(OutcomeClass.FIX_DATA, code) for code in ("BAD", "WORSE", "WORST")]


def play(rows, bad, *, named):
    """Send rows to a platform that refuses requests with a bad row; return (requests, blamed, accepted)."""
    waiting, requests, blamed, taken = [rows], 0, [], []
    while waiting:
        batch = waiting.pop(0)
        requests += 1
        guilty = [position for position, row in enumerate(batch) if row in bad]
        if not guilty:
            taken += batch
            continue
        found, rest = bisect(batch, guilty[:1] if named else [])
        blamed += found
        waiting = [*rest, *waiting]
    return requests, blamed, taken


def bound(size, bad):
    """Return the most requests that k bad rows among n may cost if no row is named."""
    return 2 * bad * math.ceil(math.log2(size)) + 1 if size > 1 else 1


@pytest.mark.parametrize(("named", "most"), [(True, 4), (False, 67)])
def test_three_of_two_thousand_rows_are_found_within_the_bound(named, most):
    """200 placements cost at most k + 1 requests if each answer names a row, else 2k⌈log₂ n⌉ + 1."""
    dice = random.Random(20260910)
    rows = list(range(2000))
    costs = [play(rows, set(dice.sample(rows, 3)), named=named)[0] for _ in range(200)]

    assert max(costs) <= most


@given(st.integers(1, 200), st.data(), st.booleans())
def test_exactly_the_bad_rows_are_blamed(size, data, named):
    """Every good row is accepted once and every bad one blamed once, within the bound."""
    rows = list(range(size))
    bad = data.draw(st.sets(st.sampled_from(rows), max_size=6))
    requests, blamed, taken = play(rows, bad, named=named)

    assert sorted(bad) == sorted(blamed)
    assert sorted(set(rows) - bad) == sorted(taken)
    assert requests <= (len(bad) + 1 if named else max(1, bound(size, len(bad))))


@given(st.lists(st.tuples(st.integers(), st.frozensets(st.integers(0, 5), max_size=3)), unique_by=lambda row: row[0]))
def test_partition_never_puts_a_shared_mark_in_one_part(rows):
    """Each row is in one part, in order, and there is a single part if no mark is shared."""
    batch, marks = [row for row, _ in rows], dict(rows)
    parts = split_rows_sharing_keys(batch, marks)
    marked = [[mark for row in part for mark in marks[row]] for part in parts]
    every = [mark for each in marked for mark in each]

    assert sorted(batch) == sorted(row for part in parts for row in part)
    assert all(list(part) == sorted(part, key=batch.index) for part in parts)
    assert all(len(each) == len(set(each)) for each in marked)
    assert len(parts) == min(1, len(batch)) or len(every) > len(set(every))


def test_partition_keeps_rows_without_shared_marks_together():
    """Only rows that share a mark are separated."""
    assert [(1, 2, 4), (3,)] == split_rows_sharing_keys([1, 2, 3, 4], {1: {"a"}, 3: {"a"}, 4: {"b"}})


def test_rows_named_together_are_removed_together():
    """One answer may blame several rows."""
    assert ([1, 3], [(0, 2)]) == bisect([0, 1, 2, 3], [3, 1, 1])


def test_batch_with_every_row_named_leaves_nothing_to_send():
    """An empty request is never made."""
    assert ([0, 1], []) == bisect([0, 1], [0, 1])


@pytest.mark.parametrize("named", [[], [7], [-1]])
def test_row_outside_the_batch_blames_none(named):
    """An answer about rows that were not sent halves the batch instead."""
    assert ([], [(0, 1), (2, 3, 4)]) == bisect([0, 1, 2, 3, 4], named)


def test_refused_single_row_is_blamed():
    """There is nothing left to halve."""
    assert (["row"], []) == bisect(["row"], [])


def play_with_trial(rows, bad, *, named, codes=1):
    """Play with a circuit breaker and this many codes; return (requests, at fault, accepted, given up)."""
    waiting, requests, at_fault, taken, trial = [tuple(rows)], 0, [], [], CircuitBreaker()
    while waiting:
        batch = waiting.pop(0)
        requests += 1
        guilty = [position for position, row in enumerate(batch) if row in bad]
        if not guilty:
            taken += batch
            at_fault += trial.record_accepted_request()
            continue
        found, rest = bisect(batch, guilty[:1] if named else [])
        refusal = REFUSALS[batch[guilty[0]] % codes]
        trial.record_refused_request(refusal, [SuspectRow(row, 1, refusal) for row in found])
        waiting = trial.next_batches([*(tuple(part) for part in rest), *waiting])
        if trial.is_sample_refused:
            return requests, [one.delivery for one in at_fault], taken, True
    given_up = trial.are_refusals_systematic
    at_fault += [] if given_up else trial.take_suspects()
    return requests, [one.delivery for one in at_fault], taken, given_up


@pytest.mark.parametrize("codes", [1, 2, 3])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("size", [5, 7, 20, 100, 1000, 2000])
def test_batch_of_only_bad_rows_trips_the_circuit_breaker(size, named, codes):
    """Whatever its size and the reasons, it takes at most fifteen requests, and no row is at fault."""
    requests, at_fault, taken, given_up = play_with_trial(range(size), set(range(size)), named=named, codes=codes)

    assert given_up
    assert requests <= 15
    assert ([], []) == (at_fault, taken)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_few_bad_rows_do_not_trip_the_circuit_breaker(size, named):
    """Four leads with broken click ids do not mean broken settings."""
    _, at_fault, _, given_up = play_with_trial(range(size), set(range(size)), named=named)

    assert not given_up
    assert list(range(size)) == sorted(at_fault)


@pytest.mark.parametrize("codes", [1, 3])
@pytest.mark.parametrize(("named", "most"), [(True, 4), (False, 61)])
def test_three_bad_rows_never_trip_the_circuit_breaker(named, most, codes):
    """Wherever they are and whatever the reasons, all others are accepted within the bound."""
    dice = random.Random(20261125)
    placements = [{0, 1, 2}, {997, 998, 999}, {498, 499, 500}, {0, 1, 999}, {0, 998, 999}, {0, 500, 999}]
    placements += [{start, start + 1, start + 2} for start in range(0, 998, 7)]
    placements += [set(dice.sample(range(1000), 3)) for _ in range(100)]
    for bad in placements:
        requests, at_fault, taken, given_up = play_with_trial(range(1000), bad, named=named, codes=codes)

        assert not given_up
        assert sorted(bad) == sorted(at_fault)
        assert 997 == len(set(taken))
        assert requests <= most


@pytest.mark.parametrize("codes", [1, 3])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("size", "bad"),
    [
        (1000, {0, 1, 2, 999}),
        (1000, set(range(100))),
        (40, {*range(13), 39}),
        (20, {0, 1, 2, 3, 4, 5, 6, 19}),
        (20, set(range(12, 20))),
    ],
)
def test_bad_rows_among_good_ones_are_all_found(size, bad, named, codes):
    """Wherever they are, the circuit breaker stays closed while something passes."""
    _, at_fault, taken, given_up = play_with_trial(range(size), bad, named=named, codes=codes)

    assert not given_up
    assert sorted(bad) == sorted(at_fault)
    assert size - len(bad) == len(set(taken))


def test_circuit_breaker_keeps_each_reason_once():
    """The reasons are for the report, and a row that passes clears them."""
    trial = CircuitBreaker()
    for number in range(6):
        trial.record_refused_request(REFUSALS[number % 2], [SuspectRow(number, 1, REFUSALS[number % 2])])
    told = list(trial.reasons.values())
    trial.record_accepted_request()

    assert (REFUSALS[:2], {}) == (told, trial.reasons)


@given(st.lists(st.lists(st.integers(), min_size=1, max_size=9, unique=True), max_size=5))
def test_sample_keeps_every_row_exactly_once(batches):
    """A few rows from across the batches go alone, and all others stay."""
    rows = [(number, row) for number, batch in enumerate(batches) for row in batch]
    waiting = [tuple((number, row) for row in batch) for number, batch in enumerate(batches)]
    sampled = batches_with_sample_first(waiting)

    assert sorted(rows) == sorted(row for batch in sampled for row in batch)
    assert min(3, len(rows)) == len([batch for batch in sampled[:3] if len(batch) == 1][:3])
