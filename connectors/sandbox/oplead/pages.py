"""One page of Oplead's lead list, in every kind of pagination; pure functions."""

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlencode

from connectors.sandbox.oplead.gate import RefusedError
from connectors.sandbox.oplead.leads.rendering import ZONE, parse_lead_time, wire_lead_id
from connectors.sandbox.oplead.shape import NUMBERED, ApiShape

LONGEST_PAGE = 100

UNTIL: Final = "date_to"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of leads, and the cursor of the next."""

    leads: Sequence[object]
    total: int
    """The number of leads on all pages."""
    cursor: str | None = None
    """The next page's `cursor` parameter; None on the last page or in another kind of pagination."""


def page_of(leads: Mapping[str, object], query: Mapping[str, str], shape: ApiShape) -> Page:
    """Return the requested page of `leads`, which are by id, oldest first, with None for a deleted lead.

    Raise RefusedError if a parameter is unreadable, or if the page is past the end and the shape answers 404 there.
    """
    order = list(leads) if shape.order == "oldest_first" else list(leads)[::-1]
    wanted = _filtered({lead_id: leads[lead_id] for lead_id in order if leads[lead_id] is not None}, query, shape)
    if shape.pagination == "none":
        return Page(list(wanted.values()), len(wanted))
    if shape.pagination in NUMBERED:
        return _page_by_number(list(wanted.values()), query, shape)
    return _page_after_cursor(order, wanted, query, shape)


def parameters(query: Mapping[str, tuple[str, ...]], known: frozenset[str], shape: ApiShape) -> dict[str, str]:
    """Return the query's parameters; raise RefusedError for an unknown or repeated one.

    If the shape ignores unknown parameters, drop them, and use the last value of a repeated one.
    """
    if shape.unknown_parameters == "ignored":
        return {name: values[-1] for name, values in query.items() if name in known}
    for name, values in query.items():
        if name not in known:
            raise RefusedError(400, "unknown query parameter")
        if len(values) != 1:
            raise RefusedError(400, f"{name} is given more than once")
    return {name: values[0] for name, values in query.items()}


def known_parameters(shape: ApiShape) -> frozenset[str]:
    """Return the parameters that the list accepts."""
    filters = {filter_parameter_name(shape)} if shape.filters else set()
    if shape.filters == "date_from":
        filters.add(UNTIL)
    if shape.pagination in NUMBERED:
        first = shape.offset_parameter if shape.pagination == "offset" else shape.page_parameter
        return frozenset({*filters, first, shape.size_parameter})
    following = {"none": set(), "after_id": {"after_id"}}.get(shape.pagination, {"cursor"})
    return frozenset(filters | following)


def page_body_and_headers(
    page: Page, query: Mapping[str, str], shape: ApiShape, url: str
) -> tuple[object, dict[str, str]]:
    """Return the body and headers of a page of the list at this URL."""
    following = urlencode({**query, "cursor": page.cursor}, quote_via=quote) if page.cursor else None
    address = f"{url}?{following}" if following else None
    path = f"/{url.split('/', 3)[3]}?{following}" if following else None
    fields: dict[str, object] = {"total": page.total} if shape.page_total is True else {}
    headers = {"X-Total-Count": str(page.total)} if shape.page_total == "header" else {}
    in_body: Mapping[str, dict[str, object]] = {
        "next_url": {"next": address},
        "next_path": {"next": path},
        "links_next": {"links": {"next": address}},
        "cursor": {"nextCursor": page.cursor},
    }
    if shape.pagination == "link_header":
        headers["Link"] = f'<{url}>; rel="first"' + (f', <{address}>; rel="next"' if address else "")
    return list_body(page.leads, fields | in_body.get(shape.pagination, {}), shape), headers


_AGENCIES: Final = [{"type": "agency", "id": 1, "name": "Nantes"}, {"type": "agency", "id": 2, "name": "Rennes"}]


def list_body(leads: Sequence[object], fields: Mapping[str, object], shape: ApiShape) -> object:
    """Return the body of a list: its items, and beside them these fields."""
    special = {
        "array": leads,
        "data.items": {"data": {"items": leads, **fields}},
        "included": {"leads": leads, "included": _AGENCIES, **fields},
    }
    return special.get(shape.envelope, {shape.envelope: leads, **fields})


def filter_parameter_name(shape: ApiShape) -> str:
    """Return the name of the filter's parameter."""
    return "updated_since" if shape.filters is True else str(shape.filters)


def _filtered(leads: Mapping[str, object], query: Mapping[str, str], shape: ApiShape) -> Mapping[str, object]:
    """Return the leads that pass the filter; a lead with an unreadable date passes."""
    name = filter_parameter_name(shape)
    if shape.filters == "date_from" and (name in query) != (UNTIL in query):
        raise RefusedError(400, f"{name} and {UNTIL} are given together")
    if name not in query:
        return leads
    since = _SINCE.get(name, parse_lead_time)(query[name])
    until = parse_lead_time(query[UNTIL]) if shape.filters == "date_from" else datetime.max.replace(tzinfo=UTC)
    if since is None or until is None:
        raise RefusedError(400, f"{name if since is None else UNTIL} does not read as it must")
    dates = ("createdAt",) if shape.filters == "created_since" else ("updatedAt", "createdAt")
    moments = {lead_id: _first_available_date(lead, dates) for lead_id, lead in leads.items()}
    return {lead_id: leads[lead_id] for lead_id, at in moments.items() if at is None or since <= at <= until}


def _first_available_date(lead: object, dates: Iterable[str]) -> datetime | None:
    """Return the first of these dates that the lead has."""
    return parse_lead_time(next(filter(None, map(lead.get, dates)), None)) if isinstance(lead, Mapping) else None


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=ZONE)
    except ValueError:
        return None


def _epoch(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if re.fullmatch(r"[0-9]{1,10}", text) else None


_SINCE: Final[Mapping[str, Callable[[str], datetime | None]]] = {"updatedAfter": _day, "modified_since": _epoch}
"""The parsers of the filters that don't take an ISO 8601 time."""


def _page_by_number(wanted: Sequence[object], query: Mapping[str, str], shape: ApiShape) -> Page:
    """Return a page by number or offset; its content shifts when an earlier lead appears or disappears."""
    size = (
        _parse_integer_parameter(query, shape.size_parameter, 1, shape.page_size)
        if shape.size_is == "honoured"
        else shape.page_size
    )
    if size > LONGEST_PAGE:
        raise RefusedError(400, f"{shape.size_parameter} is at most {LONGEST_PAGE}")
    if shape.pagination == "offset":
        first = _parse_integer_parameter(query, shape.offset_parameter, 0, 0)
    else:
        least = 0 if shape.pagination == "page_from_0" else 1
        first = (_parse_integer_parameter(query, shape.page_parameter, least, least) - least) * size
    if first and first >= len(wanted):
        if shape.past_end == "not_found":
            raise RefusedError(404, "there are no more leads")
        if shape.past_end == "last_again":
            first = max(0, (len(wanted) - 1) // size * size)
    return Page(wanted[first : first + size], len(wanted))


def _parse_integer_parameter(query: Mapping[str, str], name: str, least: int, default: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
        raise RefusedError(400, f"{name} is a whole number from {least}")
    return int(text)


def _page_after_cursor(
    order: Sequence[str], wanted: Mapping[str, object], query: Mapping[str, str], shape: ApiShape
) -> Page:
    """Return the leads after the one in the query, even if that one has since been deleted."""
    by_id = shape.pagination == "after_id"
    parameter = "after_id" if by_id else "cursor"
    first = 0
    if parameter in query:
        names = (str(wire_lead_id(lead_id, shape.ids)) if by_id else _cursor(lead_id) for lead_id in order)
        position = next((at for at, name in enumerate(names) if name == query[parameter]), None)
        if position is None:
            raise RefusedError(400, f"unknown {parameter}")
        first = position + 1
    rest = [lead_id for lead_id in order[first:] if lead_id in wanted]
    leads = [wanted[lead_id] for lead_id in rest[: shape.page_size]]
    more = not by_id and len(rest) > shape.page_size
    return Page(leads, len(wanted), _cursor(rest[shape.page_size - 1]) if more else None)


def _cursor(lead_id: str) -> str:
    return base64.urlsafe_b64encode(lead_id.encode()).decode()
