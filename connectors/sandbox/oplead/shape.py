"""How an Oplead might speak: nobody outside has seen its answers, so each way it could has a position here."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import product
from typing import Final, Literal, get_args, get_type_hints

from connectors.sandbox.population.lives import Dice
from connectors.sandbox.rules import Evidence, Rule


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to speak: a position on every axis, what this sandbox speaks by default standing first."""

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
    name: get_args(positions) for name, positions in get_type_hints(Shape).items()
}
"""Every position of every axis, the default first."""

_GUIDE: Final = "https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead"
_CHANNELS: Final = (
    "https://aide.eldo.com/en/knowledge/-how-to-differentiate-between-active-and-passive-marketing-channels-in-oplead"
)
_SAID: Final[Mapping[str, Mapping[Position, str]]] = {
    "auth": {
        "bearer": "the key goes as Authorization: Bearer KEY",
        "authorization": "the key goes as Authorization: KEY, without a scheme",
        "x_api_key": "the key goes as X-API-KEY: KEY",
        "token_header": "the key goes as X-Oplead-Auth: Token KEY",
        "query_token": "the key goes in the query as token",
        "query_api_key": "the key goes in the query as api_key",
    },
    "path_prefix": {
        "/v1": "paths begin with /v1",
        "": "paths begin with nothing before /leads",
        "/api/v1": "paths begin with /api/v1",
    },
    "lead_path": {"/leads": "one lead is read at /leads/{id}", "/lead": "one lead is read at /lead/{id}"},
    "envelope": {
        "data": "the list stands under data",
        "array": "the list is the whole body, a bare array",
        "items": "the list stands under items",
        "results": "the list stands under results",
        "leads": "the list stands under leads",
        "data.items": "the list stands under items within data, and so does what tells of the next page",
        "fiches": "the list stands under fiches, a name nobody would guess",
        "included": "the list stands under leads, beside a second list under included",
    },
    "pagination": {
        "next_url": "next holds the next page's whole address, null at the end",
        "cursor": "nextCursor holds what the parameter cursor takes, null at the end",
        "page": "pages are numbered from 1, and say nothing of the next",
        "page_from_0": "pages are numbered from 0, and say nothing of the next",
        "offset": "pages begin after a number of leads, and say nothing of the next",
        "next_path": "next holds the next page's path and query, null at the end",
        "links_next": "links.next holds the next page's whole address, null at the end",
        "link_header": "a Link header with rel=next holds the next page's whole address, and is missing at the end",
        "none": "every lead comes at once",
        "after_id": "pages begin after the lead whose id after_id names, and say nothing of the next",
    },
    "page_parameter": {name: f"{name} numbers the pages" for name in ("page", "p", "pageNumber")},
    "offset_parameter": {name: f"{name} counts the leads before a page" for name in ("offset", "skip")},
    "size_parameter": {name: f"{name} asks for so many leads a page" for name in ("size", "limit", "per_page")},
    "size_is": {
        "honoured": "a numbered page is as long as it is asked to be, 1 to 100",
        "ignored": "a numbered page has its own length, whatever is asked",
    },
    "page_size": {size: f"a page holds {size} leads where nothing is asked" for size in (100, 20, 25, 50)},
    "page_total": {
        False: "no page tells how many leads there are",
        True: "total tells how many leads there are",
        "header": "the header X-Total-Count tells how many leads there are",
    },
    "past_end": {
        "empty": "a page past the end is empty",
        "not_found": "a page past the end is answered 404",
        "last_again": "a page past the end is the last one again",
    },
    "unknown_parameters": {
        "refused": "an unknown or repeated query parameter is answered 400",
        "ignored": "an unknown query parameter is ignored, and of a repeated one the last counts",
    },
    "filters": {
        False: "no parameter filters the list",
        True: "updated_since filters by change, an ISO 8601 time",
        "updatedAfter": "updatedAfter filters by change, a date",
        "modified_since": "modified_since filters by change, in epoch seconds",
        "created_since": "created_since filters by creation, an ISO 8601 time, and nothing filters by change",
        "date_from": "date_from and date_to filter by change, ISO 8601 times, and only both together",
    },
    "order": {
        "oldest_first": "the list begins with the oldest lead",
        "newest_first": "the list begins with the newest lead",
    },
    "list_has_details": {
        True: "the list has whole leads",
        False: "the list leaves out leadData and tracking",
        "ids": "the list has nothing but ids",
    },
    "names": {
        "camel": "fields are named in camelCase",
        "snake": "fields are named in snake_case",
        "run_together": "fields are named in lower case, words run together",
        "french": "fields are named in French",
    },
    "ids": {
        "prefixed": "a lead's id is a text with a prefix",
        "int": "a lead's id is a number",
        "uuid": "a lead's id is a UUID",
    },
    "lead_data": {
        "object": "leadData is an object",
        "name_value": "leadData is a list of pairs under name and value",
        "key_value": "leadData is a list of pairs under key and value",
    },
    "external_id": {
        "externalID": "the click id stands in leadData, as externalID",
        "externalId": "the click id stands in leadData, as externalId",
        "external_id": "the click id stands in leadData, as external_id",
        "tracking": "the click id stands as externalID in tracking, an object of its own, with the UTM fields",
    },
    "status": {
        "label": "a status is its label",
        "code": "a status is its code, the labels nowhere",
        "label_code": "a status is an object of label and code",
        "id_name": "a status is an object of id and name",
    },
    "status_dates": {
        "history": "the date of the status is told, and the history of all",
        "status_date": "the date of the status is told, and no history",
        "none": "neither the date of the status is told, nor a history",
    },
    "history_order": {
        "oldest": "the history begins with the oldest status",
        "newest": "the history begins with the newest status",
    },
    "dates": {
        "naive": "times are YYYY-MM-DD HH:MM:SS, without a zone",
        "iso": "times are ISO 8601 with their zone",
        "french": "times are DD/MM/YYYY HH:MM, without a zone",
        "epoch_s": "times are epoch seconds",
        "epoch_ms": "times are epoch milliseconds",
        "php": "times are objects of date, timezone_type and timezone, as PHP writes them",
    },
    "status_day": {
        "timed": "dates of a status have a time of day",
        "day": "dates of a status have no time of day",
    },
    "amounts": {
        "typed": "an amount is whatever was typed",
        "number": "an amount is a number, null where what was typed is none",
    },
    "contact": {
        "nested": "people stand under contact, their address under address",
        "flat": "people and their address stand in the lead itself",
        "customer": "people stand under customer, and their address within",
    },
}
_EVIDENCE: Final[Mapping[tuple[str, Position], tuple[Evidence, str]]] = {
    ("path_prefix", "/v1"): ("documented", _CHANNELS),
    ("lead_path", "/leads"): ("documented", _CHANNELS),
    ("external_id", "externalID"): ("documented", _GUIDE),
}
"""How little of it is known."""

RULES: Final[tuple[Rule, ...]] = tuple(
    Rule("oplead", f"{said}, by switch", *_EVIDENCE.get((axis, position), ("assumed", "assumed")))
    for axis, positions in _SAID.items()
    for position, said in positions.items()
)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Positions of two axes that cannot stand together, or mean nothing together."""

    first: str
    positions: tuple[Position, ...]
    second: str
    others: tuple[Position, ...]
    because: str


_BY_BODY: Final = ("next_url", "cursor", "next_path", "links_next")
_UNNUMBERED: Final = (*_BY_BODY, "link_header", "none", "after_id")
CONFLICTS: Final[tuple[Conflict, ...]] = (
    Conflict("pagination", _BY_BODY, "envelope", ("array",), "a bare array has no room for the next page's address"),
    Conflict("envelope", ("array",), "page_total", (True,), "a bare array has no room for a total"),
    Conflict(
        "pagination",
        (*_UNNUMBERED, "offset"),
        "page_parameter",
        ("p", "pageNumber"),
        "no page is numbered",
    ),
    Conflict(
        "pagination",
        (*_UNNUMBERED, "page", "page_from_0"),
        "offset_parameter",
        ("skip",),
        "no leads are counted",
    ),
    Conflict(
        "page_parameter",
        ("p", "pageNumber"),
        "offset_parameter",
        ("skip",),
        "a list goes by page or by offset, not both",
    ),
    Conflict(
        "pagination",
        _UNNUMBERED,
        "size_parameter",
        ("limit", "per_page"),
        "only numbered pages take a size",
    ),
    Conflict("pagination", _UNNUMBERED, "size_is", ("ignored",), "only numbered pages take a size"),
    Conflict(
        "pagination",
        _UNNUMBERED,
        "past_end",
        ("not_found", "last_again"),
        "nobody can ask past an end that is told",
    ),
    Conflict("pagination", ("none",), "page_size", (20, 25, 50), "everything comes at once"),
    Conflict("status_dates", ("status_date", "none"), "history_order", ("newest",), "there is no history"),
    Conflict("status_dates", ("none",), "status_day", ("day",), "there are no dates of a status"),
    Conflict("dates", ("epoch_s", "epoch_ms", "php"), "status_day", ("day",), "an instant has a time of day"),
)
"""Which positions never meet in one shape, and why."""

_APART: Final = frozenset(
    frozenset({(conflict.first, position), (conflict.second, other)})
    for conflict in CONFLICTS
    for position, other in product(conflict.positions, conflict.others)
)


def can_stand_together(axis: str, position: Position, other_axis: str, other: Position) -> bool:
    """Whether one shape can have both positions."""
    return frozenset({(axis, position), (other_axis, other)}) not in _APART


def positions_of(shape: Shape) -> dict[str, Position]:
    """The shape by the names of its axes."""
    return {axis.name: getattr(shape, axis.name) for axis in fields(shape)}


def shape_of(positions: Mapping[str, object]) -> Shape:
    """The shape with these positions, and the default on every other axis; ValueError names what is unknown."""
    for axis, position in positions.items():
        known = AXES.get(axis)
        if known is None:
            raise ValueError(f"there is no axis {axis!r}")
        if not any(type(position) is type(each) and position == each for each in known):
            raise ValueError(f"{axis} is one of {', '.join(map(repr, known))}")
    return Shape(**positions)  # type: ignore[arg-type]  # each position was checked above


def drawn_shape(seed: int) -> Shape:
    """One shape by chance, the same for the same seed, of positions that can stand together."""
    dice = Dice(seed)
    drawn: dict[str, Position] = {}
    for axis in sorted(AXES, key=lambda axis: axis != "pagination"):  # what most other axes hang on comes first
        fitting = [
            position
            for position in AXES[axis]
            if all(can_stand_together(axis, position, other, drawn[other]) for other in drawn)
        ]
        drawn[axis] = dice.pick(fitting)
    return shape_of(drawn)
