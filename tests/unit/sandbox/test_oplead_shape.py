"""Shapes accept only known positions, are drawn reproducibly, and cover all possible pairs in a short list."""

from dataclasses import asdict

import pytest

from connectors.sandbox.oplead.server import SWITCHES
from connectors.sandbox.oplead.shape import (
    AXES,
    CONFLICTS,
    ApiShape,
    can_api_shape_have_both,
    drawn_shape,
    shape_from_axis_positions,
)
from connectors.sandbox.rules import oplead_rules
from tests.e2e.support.shapes import pairs_of, possible_pairs, shapes


def test_first_position_of_every_axis_is_the_default():
    """It applies where nothing is chosen."""
    assert {axis: positions[0] for axis, positions in AXES.items()} == asdict(ApiShape())


def test_every_position_has_exactly_one_rule():
    """No rule describes a position that does not exist."""
    about_positions = {name: rule.rule for name, rule in oplead_rules.by_id.items() if "=" in name}

    assert [f"{name}={position}" for name in SWITCHES for position in SWITCHES[name]] == list(about_positions)
    assert len(set(about_positions.values())) == len(about_positions)


def test_shape_round_trips_through_its_positions():
    """A switch or a saved state names positions in this form."""
    shape = ApiShape(auth="query_token", page_size=25, filters="updatedAfter", list_has_details="ids")

    assert shape == shape_from_axis_positions(asdict(shape))


@pytest.mark.parametrize("positions", [{"auth": "basic"}, {"page_size": True}, {"filters": 1}, {"colour": "red"}])
def test_invalid_positions_are_refused(positions):
    """The axis or value is unknown, or a number stands where a boolean is meant."""
    with pytest.raises(ValueError, match=next(iter(positions))):
        shape_from_axis_positions(positions)


@pytest.mark.parametrize("conflict", CONFLICTS, ids=lambda conflict: f"{conflict.first} and {conflict.second}")
def test_conflicts_never_exclude_the_default_of_the_second_axis(conflict):
    """Conflicts name only known positions, and every axis always has one left."""
    assert set(conflict.positions) <= set(AXES[conflict.first])
    assert set(conflict.excluded_shape_positions) <= set(AXES[conflict.second])
    assert AXES[conflict.second][0] not in conflict.excluded_shape_positions
    assert conflict.because


def test_drawn_shapes_are_valid_and_reproducible_by_seed():
    """Different seeds draw different shapes."""
    drawn = [drawn_shape(seed) for seed in range(200)]

    assert drawn == [drawn_shape(seed) for seed in range(200)]
    assert len(set(drawn)) == 200
    assert set().union(*(pairs_of(asdict(each)) for each in drawn)) <= set(possible_pairs())


def test_listed_shapes_cover_every_possible_pair():
    """Pairwise coverage is what makes the list sufficient."""
    met = set().union(*(pairs_of(asdict(each)) for each in shapes()))

    assert set(possible_pairs()) == met


@pytest.mark.exhaustive
def test_shape_list_is_short_and_stable():
    """Eight envelopes by nine paginations, less four impossible pairs, need at least 68 shapes."""
    assert 68 <= len(shapes()) <= 92
    assert len(set(shapes())) == len(shapes())
    assert shapes() == shapes.__wrapped__()
    assert shapes()[0] == ApiShape()


def test_positions_are_identified_by_their_axis():
    """The same word on two axes means two positions."""
    assert can_api_shape_have_both("envelope", "items", "pagination", "page")
    assert not can_api_shape_have_both("envelope", "array", "pagination", "next_url")
    assert not can_api_shape_have_both("pagination", "next_url", "envelope", "array")
