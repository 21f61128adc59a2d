"""Shapes are strict about their positions, drawn alike everywhere, and meet in pairs in a short list."""

from dataclasses import asdict

import pytest

from connectors.sandbox.oplead.shape import (
    AXES,
    CONFLICTS,
    Shape,
    can_stand_together,
    drawn_shape,
    shape_of,
)
from connectors.sandbox.rules import oplead_rules
from tests.e2e.support.shapes import pairs_of, possible_pairs, shapes


def test_the_first_position_of_every_axis_is_the_default():
    """They apply where nothing is chosen."""
    assert {axis: positions[0] for axis, positions in AXES.items()} == asdict(Shape())


def test_every_position_is_a_rule():
    """And no rule is about a position that there is not."""
    about_positions = {name: rule.rule for name, rule in oplead_rules.by_id.items() if "=" in name}

    assert [f"{axis}={position}" for axis in AXES for position in AXES[axis]] == list(about_positions)
    assert len(set(about_positions.values())) == len(about_positions)


def test_a_shape_comes_back_from_its_positions():
    """As a switch or a saved state names them."""
    shape = Shape(auth="query_token", page_size=25, filters="updatedAfter", list_has_details="ids")

    assert shape == shape_of(asdict(shape))


@pytest.mark.parametrize("positions", [{"auth": "basic"}, {"page_size": True}, {"filters": 1}, {"colour": "red"}])
def test_what_is_no_position_is_refused(positions):
    """Neither an unknown axis, nor an unknown value, nor a number where a truth is meant."""
    with pytest.raises(ValueError, match=next(iter(positions))):
        shape_of(positions)


@pytest.mark.parametrize("conflict", CONFLICTS, ids=lambda conflict: f"{conflict.first} and {conflict.second}")
def test_a_conflict_is_about_positions_and_never_about_two_defaults(conflict):
    """So every axis always has a position left."""
    assert set(conflict.positions) <= set(AXES[conflict.first])
    assert set(conflict.others) <= set(AXES[conflict.second])
    assert AXES[conflict.second][0] not in conflict.others
    assert conflict.because


def test_a_drawn_shape_is_the_same_for_the_same_seed_and_can_be():
    """Other seeds draw others, all of positions that can stand together."""
    drawn = [drawn_shape(seed) for seed in range(200)]

    assert drawn == [drawn_shape(seed) for seed in range(200)]
    assert len(set(drawn)) == 200
    assert set().union(*(pairs_of(asdict(each)) for each in drawn)) <= set(possible_pairs())


def test_every_two_positions_that_can_stand_together_meet_in_a_listed_shape():
    """That is what makes the list enough."""
    met = set().union(*(pairs_of(asdict(each)) for each in shapes()))

    assert set(possible_pairs()) == met


@pytest.mark.exhaustive
def test_the_list_is_short_and_the_same_at_every_call():
    """Eight envelopes by nine ways to go on, less four that cannot be, need 68 shapes at least."""
    assert 68 <= len(shapes()) <= 92
    assert len(set(shapes())) == len(shapes())
    assert shapes() == shapes.__wrapped__()
    assert shapes()[0] == Shape()


def test_positions_are_identified_by_their_axis():
    """The same word on two axes is two positions."""
    assert can_stand_together("envelope", "items", "pagination", "page")
    assert not can_stand_together("envelope", "array", "pagination", "next_url")
    assert not can_stand_together("pagination", "next_url", "envelope", "array")
