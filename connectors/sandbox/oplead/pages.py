"""One page of Oplead's list of leads: pure, in each of the ways that its list may go on."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, assert_never
from urllib.parse import quote, urlencode

from connectors.sandbox.oplead.leads import ZONE, instant, wire_id
from connectors.sandbox.oplead.shape import Shape

LONGEST_PAGE = 100

Query = Mapping[str, tuple[str, ...]]


_UNTIL: Final = "date_to"


class BadQueryError(Exception):
    """A query that the list does not understand, and why; never quotes a value."""


class PastEndError(Exception):
    """A page after the last one, where that is no page."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some leads of the list, and how it goes on."""

    leads: Sequence[object]
    total: int
    """How many there are on all pages."""
    cursor: str | None = None
    """What the parameter `cursor` takes for the next page; None at the end, or where nothing tells of it."""


def page_of(leads: Mapping[str, object], asked: Mapping[str, str], shape: Shape) -> Page:
    """The page that a query asks for; None among the leads marks a deleted one.

    Args:
        leads: by id, oldest first.
        asked: as `parameters` read it.
        shape: how the list speaks.

    Raises:
        BadQueryError: a parameter is unreadable.
        PastEndError: the page lies past the end, and is therefore none.
    """
    order = list(leads) if shape.order == "oldest_first" else list(leads)[::-1]
    wanted = _wanted([lead_id for lead_id in order if leads[lead_id] is not None], leads, asked, shape)
    match shape.pagination:
        case "none":
            return Page([leads[lead_id] for lead_id in wanted], len(wanted))
        case "page" | "page_from_0" | "offset":
            return _numbered([leads[lead_id] for lead_id in wanted], asked, shape)
        case "after_id":
            return _after(order, {lead_id: leads[lead_id] for lead_id in wanted}, asked, shape)
        case "next_url" | "cursor" | "next_path" | "links_next" | "link_header":
            return _following(order, {lead_id: leads[lead_id] for lead_id in wanted}, asked, shape)
    assert_never(shape.pagination)


def parameters(query: Query, known: frozenset[str], shape: Shape) -> dict[str, str]:
    """The query, each parameter known and given once; else BadQueryError, or without what is not understood."""
    if shape.unknown_parameters == "ignored":
        return {name: values[-1] for name, values in query.items() if name in known}
    for name, values in query.items():
        if name not in known:
            raise BadQueryError("unknown query parameter")
        if len(values) != 1:
            raise BadQueryError(f"{name} is given more than once")
    return {name: values[0] for name, values in query.items()}


def known_parameters(shape: Shape) -> frozenset[str]:
    """The parameters that the list understands."""
    ends = [_UNTIL] if shape.filters == "date_from" else []
    return frozenset({*_paging(shape), *([_filter(shape), *ends] if shape.filters else [])})


def envelope(page: Page, asked: Mapping[str, str], shape: Shape, url: str) -> tuple[object, dict[str, str]]:
    """The body and the headers that carry a page of the list at this address."""
    following = urlencode({**asked, "cursor": page.cursor}, quote_via=quote) if page.cursor else None
    address = f"{url}?{following}" if following else None
    path = f"/{url.split('/', 3)[3]}?{following}" if following else None
    beside: dict[str, object] = {"total": page.total} if shape.page_total is True else {}
    headers = {"X-Total-Count": str(page.total)} if shape.page_total == "header" else {}
    match shape.pagination:
        case "next_url":
            beside["next"] = address
        case "next_path":
            beside["next"] = path
        case "links_next":
            beside["links"] = {"next": address}
        case "cursor":
            beside["nextCursor"] = page.cursor
        case "link_header":
            headers |= {"Link": f'<{url}>; rel="first"' + (f', <{address}>; rel="next"' if address else "")}
        case "page" | "page_from_0" | "offset" | "none" | "after_id":
            pass
        case _:
            assert_never(shape.pagination)
    return _enveloped(page.leads, beside, shape), headers


_AGENCIES: Final = [{"type": "agency", "id": 1, "name": "Nantes"}, {"type": "agency", "id": 2, "name": "Rennes"}]


def _enveloped(leads: Sequence[object], beside: Mapping[str, object], shape: Shape) -> object:
    match shape.envelope:
        case "array":
            return leads
        case "data.items":
            return {"data": {"items": leads, **beside}}
        case "included":
            return {"leads": leads, "included": _AGENCIES, **beside}
        case "data" | "items" | "results" | "leads" | "fiches":
            return {shape.envelope: leads, **beside}
    assert_never(shape.envelope)


def _paging(shape: Shape) -> tuple[str, ...]:
    match shape.pagination:
        case "none":
            return ()
        case "page" | "page_from_0":
            return (shape.page_parameter, shape.size_parameter)
        case "offset":
            return (shape.offset_parameter, shape.size_parameter)
        case "after_id":
            return ("after_id",)
        case "next_url" | "cursor" | "next_path" | "links_next" | "link_header":
            return ("cursor",)
    assert_never(shape.pagination)


def _filter(shape: Shape) -> str:
    return "updated_since" if shape.filters is True else str(shape.filters)


def _wanted(there: Sequence[str], leads: Mapping[str, object], asked: Mapping[str, str], shape: Shape) -> Sequence[str]:
    """The leads that pass the filter; one whose dates read badly is served rather than hidden."""
    name = _filter(shape)
    if shape.filters == "date_from" and (name in asked) != (_UNTIL in asked):
        raise BadQueryError(f"{name} and {_UNTIL} are given together")
    if name not in asked:
        return there
    until = instant(asked[_UNTIL]) if shape.filters == "date_from" else datetime.max.replace(tzinfo=UTC)
    if until is None:
        raise BadQueryError(f"{_UNTIL} does not read as it must")
    since, told = _SINCE[name](asked[name]), _created if shape.filters == "created_since" else _changed
    if since is None:
        raise BadQueryError(f"{name} does not read as it must")
    moments = {lead_id: told(leads[lead_id]) for lead_id in there}
    return [lead_id for lead_id, moment in moments.items() if moment is None or since <= moment <= until]


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=ZONE)
    except ValueError:
        return None


def _epoch(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if re.fullmatch(r"[0-9]{1,10}", text) else None


_SINCE: Final[Mapping[str, Callable[[str], datetime | None]]] = {
    "updated_since": instant,
    "updatedAfter": _day,
    "modified_since": _epoch,
    "created_since": instant,
    "date_from": instant,
}
"""How each filter reads."""


def _created(lead: object) -> datetime | None:
    return instant(lead.get("createdAt")) if isinstance(lead, Mapping) else None


def _changed(lead: object) -> datetime | None:
    return instant(lead.get("updatedAt") or lead.get("createdAt")) if isinstance(lead, Mapping) else None


def _numbered(wanted: Sequence[object], asked: Mapping[str, str], shape: Shape) -> Page:
    """Pages by number or offset, which drift when a lead before them goes or comes."""
    size = _whole(asked, shape.size_parameter, 1, shape.page_size) if shape.size_is == "honoured" else shape.page_size
    if size > LONGEST_PAGE:
        raise BadQueryError(f"{shape.size_parameter} is at most {LONGEST_PAGE}")
    if shape.pagination == "offset":
        first = _whole(asked, shape.offset_parameter, 0, 0)
    else:
        least = 0 if shape.pagination == "page_from_0" else 1
        first = (_whole(asked, shape.page_parameter, least, least) - least) * size
    if first and first >= len(wanted):
        if shape.past_end == "not_found":
            raise PastEndError
        if shape.past_end == "last_again":
            first = max(0, (len(wanted) - 1) // size * size)
    return Page(wanted[first : first + size], len(wanted))


def _after(order: Sequence[str], wanted: Mapping[str, object], asked: Mapping[str, str], shape: Shape) -> Page:
    """The leads after the one whose id is given, as it is served."""
    served = [str(wire_id(lead_id, shape.ids)) for lead_id in order]
    named = asked.get("after_id")
    if named is not None and named not in served:
        raise BadQueryError("after_id names no lead")
    first = 0 if named is None else served.index(named) + 1
    rest = [wanted[lead_id] for lead_id in order[first:] if lead_id in wanted]
    return Page(rest[: shape.page_size], len(wanted))


def _following(order: Sequence[str], wanted: Mapping[str, object], asked: Mapping[str, str], shape: Shape) -> Page:
    """The leads after the one that the cursor names, deleted though that one may be meanwhile."""
    first = _position(order, asked["cursor"]) + 1 if "cursor" in asked else 0
    rest = [lead_id for lead_id in order[first:] if lead_id in wanted]
    size = shape.page_size
    cursor = _cursor(rest[size - 1]) if len(rest) > size else None
    return Page([wanted[lead_id] for lead_id in rest[:size]], len(wanted), cursor)


def _whole(asked: Mapping[str, str], name: str, least: int, default: int) -> int:
    text = asked.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
        raise BadQueryError(f"{name} is a whole number from {least}")
    return int(text)


def _cursor(lead_id: str) -> str:
    return base64.urlsafe_b64encode(lead_id.encode()).decode()


def _position(order: Sequence[str], cursor: str) -> int:
    try:
        return order.index(base64.urlsafe_b64decode(cursor).decode())
    except ValueError:
        raise BadQueryError("unknown cursor") from None
