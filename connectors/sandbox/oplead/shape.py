"""The possible shapes of Oplead's API: its responses aren't public, so every plausible variant has a position.

`rules.csv` says what each position means.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal, get_args, get_type_hints

from connectors.sandbox.platform import require_switch_position
from connectors.sandbox.population.lives import Dice


@dataclass(frozen=True, slots=True)
class ApiShape:
    """One shape of the API: a position on every axis. Each axis lists its default first."""

    auth: Literal["bearer", "authorization", "x_api_key", "token_header", "query_token", "query_api_key"] = "bearer"
    path_prefix: Literal["/v1", "", "/api/v1"] = "/v1"
    lead_path: Literal["/leads", "/lead"] = "/leads"
    envelope: Literal["data", "array", "items", "results", "leads", "data.items", "fiches", "included"] = "data"
    pagination: Literal[
        "next_url",
        "cursor",
        "page",
        "page_from_0",
        "offset",
        "next_path",
        "links_next",
        "link_header",
        "none",
        "after_id",
    ] = "next_url"
    page_parameter: Literal["page", "p", "pageNumber"] = "page"
    offset_parameter: Literal["offset", "skip"] = "offset"
    size_parameter: Literal["size", "limit", "per_page"] = "size"
    size_is: Literal["honoured", "ignored"] = "honoured"
    page_size: Literal[100, 20, 25, 50] = 100
    page_total: Literal[False, True, "header"] = False
    past_end: Literal["empty", "not_found", "last_again"] = "empty"
    unknown_parameters: Literal["refused", "ignored"] = "refused"
    filters: Literal[False, True, "updatedAfter", "modified_since", "created_since", "date_from"] = False
    order: Literal["oldest_first", "newest_first"] = "oldest_first"
    list_has_details: Literal[True, False, "ids"] = True
    names: Literal["camel", "snake", "run_together", "french"] = "camel"
    ids: Literal["prefixed", "int", "uuid"] = "prefixed"
    lead_data: Literal["object", "name_value", "key_value"] = "object"
    external_id: Literal["externalID", "externalId", "external_id", "tracking"] = "externalID"
    status: Literal["label", "code", "label_code", "id_name"] = "label"
    status_dates: Literal["history", "status_date", "none"] = "history"
    history_order: Literal["oldest", "newest"] = "oldest"
    dates: Literal["naive", "iso", "french", "epoch_s", "epoch_ms", "php"] = "naive"
    status_day: Literal["timed", "day"] = "timed"
    amounts: Literal["typed", "number"] = "typed"
    contact: Literal["nested", "flat", "customer"] = "nested"


Position = str | int | bool
AXES: Final[Mapping[str, tuple[Position, ...]]] = {
    name: get_args(positions) for name, positions in get_type_hints(ApiShape).items()
}
"""Every position of every axis, the default first."""


@dataclass(frozen=True, slots=True)
class IncompatibleShapePositions:
    """Positions of two axes that are impossible or meaningless together."""

    first: str
    positions: tuple[Position, ...]
    second: str
    because: str
    excluded: tuple[Position, ...] = ()
    """Positions of the second axis; empty means every position but the default."""

    @property
    def excluded_shape_positions(self) -> tuple[Position, ...]:
        """The excluded positions of the second axis."""
        return self.excluded or AXES[self.second][1:]


NUMBERED: Final = ("page", "page_from_0", "offset")
"""The kinds of pagination that ask for a page by its number or its first lead."""
_BY_BODY: Final = ("next_url", "cursor", "next_path", "links_next")
_UNNUMBERED: Final = (*_BY_BODY, "link_header", "none", "after_id")
_NOT_BY_PAGE: Final = (*_UNNUMBERED, "offset")
_NOT_BY_OFFSET: Final = (*_UNNUMBERED, "page", "page_from_0")
CONFLICTS: Final = (
    IncompatibleShapePositions(
        "pagination", _BY_BODY, "envelope", "a bare array has no room for the next page's address", ("array",)
    ),
    IncompatibleShapePositions("envelope", ("array",), "page_total", "a bare array has no room for a total", (True,)),
    IncompatibleShapePositions("pagination", _NOT_BY_PAGE, "page_parameter", "no page is numbered"),
    IncompatibleShapePositions("pagination", _NOT_BY_OFFSET, "offset_parameter", "no leads are counted"),
    IncompatibleShapePositions(
        "page_parameter", ("p", "pageNumber"), "offset_parameter", "a list goes by page or by offset, not both"
    ),
    IncompatibleShapePositions("pagination", _UNNUMBERED, "size_parameter", "only numbered pages take a size"),
    IncompatibleShapePositions("pagination", _UNNUMBERED, "size_is", "only numbered pages take a size"),
    IncompatibleShapePositions("pagination", _UNNUMBERED, "past_end", "nobody can ask past an end that is known"),
    IncompatibleShapePositions("pagination", ("none",), "page_size", "everything comes at once"),
    IncompatibleShapePositions("status_dates", ("status_date", "none"), "history_order", "there is no history"),
    IncompatibleShapePositions("status_dates", ("none",), "status_day", "there are no dates of a status"),
    IncompatibleShapePositions("dates", ("epoch_s", "epoch_ms", "php"), "status_day", "an instant has a time of day"),
)
"""The positions that never occur in one shape, and why."""

_EXCLUDED: Final = frozenset(
    frozenset({(conflict.first, position), (conflict.second, other)})
    for conflict in CONFLICTS
    for position, other in product(conflict.positions, conflict.excluded_shape_positions)
)


def can_api_shape_have_both(axis: str, position: Position, other_axis: str, other: Position) -> bool:
    """Return whether one shape can have both positions."""
    return frozenset({(axis, position), (other_axis, other)}) not in _EXCLUDED


def shape_from_axis_positions(positions: Mapping[str, object]) -> ApiShape:
    """Return the shape with these positions and the defaults elsewhere; raise ValueError naming an unknown one."""
    for axis, position in positions.items():
        if axis not in AXES:
            raise ValueError(f"there is no axis {axis!r}")
        require_switch_position(AXES, axis, position)
    return ApiShape(**positions)  # type: ignore[arg-type]  # each position was checked above


def drawn_shape(seed: int) -> ApiShape:
    """Draw a random shape without conflicts, the same for the same seed."""
    dice = Dice(seed)
    drawn: dict[str, Position] = {}
    for axis in sorted(AXES, key=lambda axis: axis != "pagination"):  # first the axis with the most conflicts
        fitting = [
            position
            for position in AXES[axis]
            if all(can_api_shape_have_both(axis, position, other, drawn[other]) for other in drawn)
        ]
        drawn[axis] = dice.pick(fitting)
    return shape_from_axis_positions(drawn)
