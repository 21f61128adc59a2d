"""Who counts tonight by one click or person: the same whatever the order they ask in."""

from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.records import LeadId
from jobs.ledger.deduplication import DedupClaims
from jobs.rules.deduplication import Claim, Rank
from tests.builders import WON

DAY = timedelta(days=1)
MONTH = 30 * DAY


def duplicates(claims, within):
    """Who gives way to whom."""
    with closing(DedupClaims()) as kept:
        for each in claims:
            kept.enter(each)
        kept.decide(within)
        return {each.lead: other for each in claims if (other := kept.rival(each.lead)) is not None}


def by_hand(claims, within):
    """The same, claim by claim and all in memory."""
    found, counting = {}, []
    for one in sorted(claims, key=order):
        near = [each for each in counting if each.marks & one.marks and abs(each.at - one.at) <= within]
        others = [each for each in near if each.lead != one.lead]
        if others and one.rank is not Rank.SENT:
            found[one.lead] = min(others, key=order).lead
        else:
            counting.append(one)
    return found


def order(one):
    """Who comes first."""
    return one.rank, one.at, one.lead


def claim(lead, *shared, at=WON, rank=Rank.ASKS):
    """A lead that is known by these."""
    return Claim(LeadId(lead), at, frozenset(shared), rank)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([claim("A", "x"), claim("B", "y")], {}),
        ([claim("A", "x"), claim("B", "x")], {"B": "A"}),
        ([claim("A", "x"), claim("B", "x", at=WON - DAY)], {"A": "B"}),
        ([claim("A", "x"), claim("B", "x", at=WON + DAY, rank=Rank.WAITS)], {"A": "B"}),
        ([claim("A", "x", rank=Rank.WAITS), claim("B", "x", at=WON + DAY, rank=Rank.SENT)], {"A": "B"}),
        ([claim("A", "x"), claim("B", "x", at=WON + MONTH)], {"B": "A"}),
        ([claim("A", "x"), claim("B", "x", at=WON + MONTH + DAY)], {}),
        ([claim("A", "x", rank=Rank.SENT), claim("B", "x", rank=Rank.SENT)], {}),
        # B gives way to A, and so keeps nobody back.
        ([claim("A", "x"), claim("B", "x", "y"), claim("C", "y")], {"B": "A"}),
        ([claim("A", "x"), claim("B", "y"), claim("C", "x", "y")], {"C": "A"}),
        ([claim("A"), claim("B")], {}),
    ],
)
def test_the_first_counts_and_the_others_give_way(claims, expected):
    """What was sent, what waits, the earlier conversion, the lower id: in this order."""
    assert expected == duplicates(claims, MONTH)


CLAIMS = st.lists(
    st.builds(
        Claim,
        lead=st.integers(0, 30).map(lambda number: LeadId(f"L-{number:02}")),
        at=st.integers(0, 100).map(lambda days: WON + days * DAY),
        marks=st.frozensets(st.sampled_from("abcdef"), max_size=3),
        rank=st.sampled_from(Rank),
    ),
    max_size=12,
    unique_by=lambda one: one.lead,
)


@settings(deadline=None)
@given(claims=CLAIMS, seed=st.randoms())
def test_no_two_that_count_are_the_same_and_none_gives_way_for_nothing(claims, seed):
    """Whatever order they come in."""
    found = duplicates(claims, MONTH)
    shuffled = list(claims)
    seed.shuffle(shuffled)

    assert found == duplicates(shuffled, MONTH)

    by_lead = {one.lead: one for one in claims}
    counting = [one for one in claims if one.lead not in found]
    for one in counting:
        for other in counting:
            same = one.marks & other.marks and abs(one.at - other.at) <= MONTH
            assert one is other or not same or (one.rank, other.rank) == (Rank.SENT, Rank.SENT)
    for lead, other in found.items():
        loser, winner = by_lead[lead], by_lead[other]
        assert other not in found
        assert loser.marks & winner.marks
        assert abs(loser.at - winner.at) <= MONTH
        assert (winner.rank, winner.at, winner.lead) < (loser.rank, loser.at, loser.lead)


@settings(deadline=None)
@given(claims=CLAIMS, within=st.integers(0, 60).map(lambda days: days * DAY + timedelta(microseconds=1)))
def test_it_is_as_if_all_claims_were_in_memory(claims, within):
    """A lead may be entered by one mark at a time, as those on record are."""
    parts = [Claim(one.lead, one.at, frozenset({mark}), one.rank) for one in claims for mark in sorted(one.marks)]

    assert by_hand(claims, within) == duplicates(claims, within)
    assert by_hand([*claims, *parts], within) == duplicates([*claims, *parts], within)


def test_claims_on_record_may_be_entered_while_the_marks_are_read():
    """Those share marks that are known."""
    with closing(DedupClaims()) as kept:
        for number in range(1200):
            kept.enter(claim(f"L-{number}", f"{number:04}"))
        seen = []
        for mark in kept.marks():
            seen.append(mark)
            kept.enter(claim(f"M-{mark}", mark))

    assert [f"{number:04}" for number in range(1200)] == seen
