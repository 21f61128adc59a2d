"""One page of Oplead's list of leads: pure, in each of the styles that its list may have."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

PAGE_SIZE = 100
ZONE = ZoneInfo("Europe/Paris")
"""Oplead's times carry no zone; they are French wall-clock times."""

Query = Mapping[str, tuple[str, ...]]


class BadQueryError(Exception):
    """A query that the list does not understand, and why; never quotes a value."""


@dataclass(frozen=True, slots=True)
class Style:
    """How the list speaks."""

    pagination: str
    """`next_url`, `cursor` or `page`."""
    filters: bool
    """Whether `updated_since` is understood."""
    total: bool
    """Whether `page` tells the number of leads."""
    url: str
    """The list's own address, for `next_url`."""


class Page(TypedDict, total=False):
    """The body of one page."""

    data: list[object]
    next: str | None
    nextCursor: str | None
    total: int


def page_of(leads: Mapping[str, object], query: Query, style: Style) -> Page:
    """The page that a query asks for; None among the leads marks a deleted one.

    Raises:
        BadQueryError: a parameter is unknown, repeated or unreadable.
    """
    numbered = style.pagination == "page"
    known = {"page", "size"} if numbered else {"cursor"}
    asked = parameters(query, frozenset(known | ({"updated_since"} if style.filters else set())))
    wanted = {lead_id: lead for lead_id, lead in leads.items() if lead is not None}
    if "updated_since" in asked:
        since = _instant(asked["updated_since"])
        if since is None:
            raise BadQueryError("updated_since is ISO 8601")
        wanted = {lead_id: lead for lead_id, lead in wanted.items() if _changed_since(lead, since)}
    return _numbered(wanted, asked, style) if numbered else _following(list(leads), wanted, asked, style)


def parameters(query: Query, known: frozenset[str]) -> dict[str, str]:
    """The query, each parameter known and given once; else BadQueryError."""
    for name, values in query.items():
        if name not in known:
            raise BadQueryError("unknown query parameter")
        if len(values) != 1:
            raise BadQueryError(f"{name} is given more than once")
    return {name: values[0] for name, values in query.items()}


def _numbered(wanted: Mapping[str, object], asked: Mapping[str, str], style: Style) -> Page:
    """Pages by number, which drift when a lead before them goes."""
    page, size = _whole(asked, "page", 1), _whole(asked, "size", PAGE_SIZE)
    if size > PAGE_SIZE:
        raise BadQueryError(f"size is at most {PAGE_SIZE}")
    body = Page(data=list(wanted.values())[(page - 1) * size : page * size])
    return Page(**body, total=len(wanted)) if style.total else body


def _following(order: Sequence[str], wanted: Mapping[str, object], asked: Mapping[str, str], style: Style) -> Page:
    """The leads after the one that the cursor names, deleted though that one may be meanwhile."""
    first = _position(order, asked["cursor"]) + 1 if "cursor" in asked else 0
    rest = [lead_id for lead_id in order[first:] if lead_id in wanted]
    data = [wanted[lead_id] for lead_id in rest[:PAGE_SIZE]]
    cursor = _cursor(rest[PAGE_SIZE - 1]) if len(rest) > PAGE_SIZE else None
    if style.pagination == "cursor":
        return Page(data=data, nextCursor=cursor)
    following = f"{style.url}?{urlencode({**asked, 'cursor': cursor}, quote_via=quote)}" if cursor else None
    return Page(data=data, next=following)


def _whole(asked: Mapping[str, str], name: str, default: int) -> int:
    text = asked.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise BadQueryError(f"{name} is a whole number from 1")
    return int(text)


def _cursor(lead_id: str) -> str:
    return base64.urlsafe_b64encode(lead_id.encode()).decode()


def _position(order: Sequence[str], cursor: str) -> int:
    try:
        return order.index(base64.urlsafe_b64decode(cursor).decode())
    except ValueError:
        raise BadQueryError("unknown cursor") from None


def _changed_since(lead: object, since: datetime) -> bool:
    """Whether a lead changed since; one whose dates read badly is served rather than hidden."""
    changed = _instant(lead.get("updatedAt") or lead.get("createdAt")) if isinstance(lead, Mapping) else None
    return changed is None or changed >= since


def _instant(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZONE)
