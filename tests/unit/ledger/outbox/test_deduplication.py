"""Which candidate counts among duplicates of one click or person, in whatever order they arrive."""

from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.records import LeadId
from jobs.ledger.outbox.deduplication import DedupCandidateLead, DedupCandidates, DuplicatePrecedence
from tests.builders import WON

DAY = timedelta(days=1)
MONTH = 30 * DAY


def duplicates(candidates, within):
    """The leads that give way, each with the lead that counts instead."""
    with closing(DedupCandidates()) as kept:
        for each in candidates:
            kept.add(each)
        kept.find_duplicates(within)
        return {each.lead: other for each in candidates if (other := kept.lead_counting_instead(each.lead)) is not None}


def by_hand(candidates, within):
    """A reference implementation, candidate by candidate and all in memory."""
    found, counting = {}, []
    for one in sorted(candidates, key=order):
        near = [each for each in counting if each.dedup_keys & one.dedup_keys and abs(each.at - one.at) <= within]
        others = [each for each in near if each.lead != one.lead]
        if others and one.rank is not DuplicatePrecedence.SENT:
            found[one.lead] = min(others, key=order).lead
        else:
            counting.append(one)
    return found


def order(one):
    """The sort key of a candidate."""
    return one.rank, one.at, one.lead


def candidate(lead, *shared, at=WON, rank=DuplicatePrecedence.NEW):
    """A candidate lead with these deduplication keys."""
    return DedupCandidateLead(LeadId(lead), at, frozenset(shared), rank)


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([candidate("A", "x"), candidate("B", "y")], {}),
        ([candidate("A", "x"), candidate("B", "x")], {"B": "A"}),
        ([candidate("A", "x"), candidate("B", "x", at=WON - DAY)], {"A": "B"}),
        ([candidate("A", "x"), candidate("B", "x", at=WON + DAY, rank=DuplicatePrecedence.PENDING)], {"A": "B"}),
        (
            [
                candidate("A", "x", rank=DuplicatePrecedence.PENDING),
                candidate("B", "x", at=WON + DAY, rank=DuplicatePrecedence.SENT),
            ],
            {"A": "B"},
        ),
        ([candidate("A", "x"), candidate("B", "x", at=WON + MONTH)], {"B": "A"}),
        ([candidate("A", "x"), candidate("B", "x", at=WON + MONTH + DAY)], {}),
        ([candidate("A", "x", rank=DuplicatePrecedence.SENT), candidate("B", "x", rank=DuplicatePrecedence.SENT)], {}),
        # B gives way to A, and so holds back no other lead.
        ([candidate("A", "x"), candidate("B", "x", "y"), candidate("C", "y")], {"B": "A"}),
        ([candidate("A", "x"), candidate("B", "y"), candidate("C", "x", "y")], {"C": "A"}),
        ([candidate("A"), candidate("B")], {}),
    ],
)
def test_first_candidate_counts_and_the_others_give_way(candidates, expected):
    """The order is: already sent, pending, the earlier conversion, the lower lead id."""
    assert expected == duplicates(candidates, MONTH)


CANDIDATES = st.lists(
    st.builds(
        DedupCandidateLead,
        lead=st.integers(0, 30).map(lambda number: LeadId(f"L-{number:02}")),
        at=st.integers(0, 100).map(lambda days: WON + days * DAY),
        dedup_keys=st.frozensets(st.sampled_from("abcdef"), max_size=3),
        rank=st.sampled_from(DuplicatePrecedence),
    ),
    max_size=12,
    unique_by=lambda one: one.lead,
)


@settings(deadline=None)
@given(candidates=CANDIDATES, seed=st.randoms())
def test_no_duplicates_count_and_no_lead_gives_way_needlessly(candidates, seed):
    """The result does not depend on the order of arrival."""
    found = duplicates(candidates, MONTH)
    shuffled = list(candidates)
    seed.shuffle(shuffled)

    assert found == duplicates(shuffled, MONTH)

    by_lead = {one.lead: one for one in candidates}
    counting = [one for one in candidates if one.lead not in found]
    for one in counting:
        for other in counting:
            same = one.dedup_keys & other.dedup_keys and abs(one.at - other.at) <= MONTH
            assert (
                one is other
                or not same
                or (one.rank, other.rank) == (DuplicatePrecedence.SENT, DuplicatePrecedence.SENT)
            )
    for lead, other in found.items():
        loser, winner = by_lead[lead], by_lead[other]
        assert other not in found
        assert loser.dedup_keys & winner.dedup_keys
        assert abs(loser.at - winner.at) <= MONTH
        assert (winner.rank, winner.at, winner.lead) < (loser.rank, loser.at, loser.lead)


@settings(deadline=None)
@given(candidates=CANDIDATES, within=st.integers(0, 60).map(lambda days: days * DAY + timedelta(microseconds=1)))
def test_matches_the_in_memory_reference(candidates, within):
    """A lead may be added one key at a time, as those on record are."""
    parts = [
        DedupCandidateLead(one.lead, one.at, frozenset({mark}), one.rank)
        for one in candidates
        for mark in sorted(one.dedup_keys)
    ]

    assert by_hand(candidates, within) == duplicates(candidates, within)
    assert by_hand([*candidates, *parts], within) == duplicates([*candidates, *parts], within)


def test_candidates_may_be_added_while_keys_are_read():
    """Candidates on record share keys that are already known."""
    with closing(DedupCandidates()) as kept:
        for number in range(1200):
            kept.add(candidate(f"L-{number}", f"{number:04}"))
        seen = []
        for mark in kept.dedup_keys():
            seen.append(mark)
            kept.add(candidate(f"M-{mark}", mark))

    assert [f"{number:04}" for number in range(1200)] == seen
