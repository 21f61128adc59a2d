"""Goes through a list's pages, refusing to guess, to stray to another host or to run in circles. Pure."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from urllib.parse import SplitResult, unquote_plus, urlencode, urljoin, urlsplit

from connectors.errors import Misconfigured
from connectors.oplead.client import Answer, Refused
from connectors.oplead.fields import first, raw, shape, text_of
from connectors.oplead.options import PaginationOptions, PaginationStyle

_NEXT_URLS = (
    *("next.href", "next.url", "next", "links.next.href", "links.next", "nextUrl", "nextPageUrl", "nextLink"),
    *("paging.next", "pagination.next", "pagination.nextUrl", "meta.next", "meta.nextUrl"),
)
_CURSORS = (
    *("nextCursor", "cursor.next", "cursors.next", "paging.nextCursor", "paging.cursors.after"),
    *("pagination.nextCursor", "meta.nextCursor", "nextPageToken", "continuationToken"),
)
_ENDS = (*_NEXT_URLS, *_CURSORS)
_MORE = ("hasMore", "hasNext", "pagination.hasMore", "pagination.hasNext", "meta.hasMore", "paging.hasMore")
_TOTALS = ("total", "totalCount", "totalElements", "totalItems", "pagination.total", "meta.total")
_PAGE_SIZES = frozenset({10, 20, 25, 30, 50, 100, 200, 250, 500, 1000})
_NUMBER = re.compile(r"\d{1,12}", re.ASCII)
_PORTS = {"http": 80, "https": 443}


_CIRCLE = "the list's pages repeat: see oplead.pagination (style, and the parameter's name)"
_NOT_FOUND = 404

Kind = Literal["start", "page", "offset", "cursor", "target"]
_NUMBERED = frozenset({"page", "offset"})
_KINDS: Mapping[PaginationStyle, tuple[Kind, ...]] = {
    "auto": ("target", "cursor"),
    "none": (),
    "page": ("page",),
    "offset": ("offset",),
    "cursor": ("cursor",),
    "next_url": ("target",),
    "link_header": ("target",),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of the list is asked for: a number, a cursor, or a path and query (`target`)."""

    kind: Kind
    value: str = ""

    @property
    def token(self) -> str:
        """The place as one text, to be kept and read again by `Walk.resume`."""
        return f"{self.kind}:{self.value}"


class Walk:
    """One way through a list's pages; it remembers where it was."""

    def __init__(
        self,
        options: PaginationOptions,
        *,
        origin: str,
        path: str,
        query: Mapping[str, str],
        secret: str | None = None,
    ) -> None:
        """Stand before the list at `path` of `origin`, asked for with `query`.

        Args:
            options: how the list goes on.
            origin: scheme, host and port, which no next page may leave.
            path: the list's path.
            query: what every page is asked for with; a next URL is followed as it is.
            secret: the query parameter that carries the token, left out of every place.
        """
        self._options = options
        self._origin = origin
        self._path = path
        self._query = dict(query)
        self._secret = secret
        self._places: set[Place] = set()
        self._pages: set[bytes] = set()
        self._resumed = False

    def start(self) -> Place:
        """The first page."""
        match self._options.style:
            case "page":
                return Place("page", str(self._options.first_page))
            case "offset":
                return Place("offset", "0")
            case _:
                return Place("start")

    def resume(self, token: str) -> Place:
        """The place an earlier walk's token names; the first page where the settings have changed since.

        Raises:
            Misconfigured: it leads to another host.
        """
        named, _, value = token.partition(":")
        kind = next((kind for kind in _KINDS[self._options.style] if kind == named), None)
        if kind is None or (kind in _NUMBERED and not _NUMBER.fullmatch(value)):
            return self.start()
        self._resumed = True
        return self._target(value, self._origin) if kind == "target" else Place(kind, value)

    def address(self, place: Place) -> str:
        """The path and query that ask for a place."""
        if place.kind == "target":
            return place.value
        options, query = self._options, dict(self._query)
        if options.size_param and options.size:
            query[options.size_param] = str(options.size)
        if place.kind != "start":
            params = {
                "page": options.page_param,
                "offset": options.offset_param,
                "cursor": options.cursor_param,
            }
            query[params[place.kind]] = place.value
        return self._path + ("?" + urlencode(query) if query else "")

    def after(self, place: Place, answer: Answer, marks: Sequence[str]) -> Place | None:
        """The place that follows; None at the end.

        Args:
            place: where the answer was asked for.
            answer: the page.
            marks: what tells the page's entries apart, one each.

        Raises:
            Misconfigured: the list cannot be followed, may be cut, leaves the host or runs in circles.
        """
        self._places.add(place)
        following = self._following(place, answer, len(marks)) if marks else None
        if self._is_repeated(marks):
            # A list that is numbered may serve its last page again and again.
            if place.kind in _NUMBERED and (self._resumed or len(self._pages) > 1):
                return None
            raise Misconfigured(_CIRCLE)
        if following in self._places:
            raise Misconfigured(_CIRCLE)
        if following and len(self._places) >= self._options.max_pages:
            raise Misconfigured(f"more than {len(self._places)} pages: see oplead.pagination.max_pages")
        return following

    def after_refusal(self, place: Place, refusal: Refused) -> Place | None:
        """Where to go when a page is refused: nowhere past the end, to the start from a place grown stale.

        Raises:
            Refused: it means neither.
        """
        if place.kind in _NUMBERED and refusal.status == _NOT_FOUND and place != self.start():
            return None
        if self._resumed and not self._places:
            self._resumed = False
            return self.start()
        raise refusal

    def _is_repeated(self, marks: Sequence[str]) -> bool:
        if not marks:
            return False
        page = hashlib.sha256("\n".join(sorted(marks)).encode(errors="replace")).digest()
        repeated = page in self._pages
        self._pages.add(page)
        return repeated

    def _following(self, place: Place, answer: Answer, count: int) -> Place | None:
        match self._options.style:
            case "none":
                return None
            case "page" | "offset":
                return self._numbered(place, count)
            case "link_header":
                return self._target(answer.next_link, answer.url) if answer.next_link else None
            case "next_url":
                written = _told(answer.body, self._next_paths(_NEXT_URLS))
                return self._target(_text(written), answer.url) if written is not None else None
            case "cursor":
                written = _told(answer.body, self._next_paths(_CURSORS))
                return Place("cursor", _text(written)) if written is not None else None
            case "auto":
                return self._self_described(place, answer, count)

    def _numbered(self, place: Place, count: int) -> Place | None:
        """The next number: a page's length proves nothing, as the platform may leave leads out after it has cut."""
        step = 1 if place.kind == "page" else count
        return Place(place.kind, str(int(place.value) + step))

    def _self_described(self, place: Place, answer: Answer, count: int) -> Place | None:
        """Only what an answer says of itself: a next URL, a Link header, a cursor."""
        written = _told(answer.body, self._next_paths(_NEXT_URLS))
        if isinstance(written, str) and written.startswith(("http://", "https://", "/", "?")):
            return self._target(written, answer.url)
        if written is not None and self._options.next is None:
            raise Misconfigured("a next page is told of, but not by its address: write oplead.pagination.style")
        if answer.next_link:
            return self._target(answer.next_link, answer.url)
        cursor = written if written is not None else _told(answer.body, self._next_paths(_CURSORS))
        if cursor is not None:
            return Place("cursor", _text(cursor))
        if _may_be_cut(answer.body, count, is_first=place.kind == "start", paths=self._next_paths(_ENDS)):
            raise Misconfigured(
                f"the list may be cut: {count} leads, and nothing tells how to go on; "
                "write oplead.pagination.style (none, if these are all)"
            )
        return None

    def _next_paths(self, candidates: tuple[str, ...]) -> tuple[str, ...]:
        return candidates if self._options.next is None else (self._options.next,)

    def _target(self, written: str, base: str) -> Place:
        """An address as a place, on our own scheme and host whatever it says."""
        try:
            there, here = urlsplit(urljoin(base, written)), urlsplit(self._origin)
            same = _host(there) == _host(here)
        except ValueError:
            raise Misconfigured("the next page's address is none: see oplead.pagination") from None
        if not same:
            raise Misconfigured("the next page is on another host, where the token must not go: see oplead.base_url")
        pairs = (pair for pair in there.query.split("&") if pair)
        query = "&".join(pair for pair in pairs if unquote_plus(pair.partition("=")[0]) != self._secret)
        # Two slashes before it would make a host of its first part where the place is read again.
        path = "/" + there.path.lstrip("/")
        return Place("target", path + ("?" + query if query else ""))


def _told(body: object, paths: Sequence[str]) -> object:
    """What an answer says at the first of the paths that says anything; `false` says there is nothing."""
    value = first(body, paths) if isinstance(body, Mapping) else None
    return None if value is False else value


def _text(value: object) -> str:
    text = text_of(value) if isinstance(value, str | Decimal) else None
    if text is None:
        raise Misconfigured(f"no next page can be read ({shape(value)}): see oplead.pagination.next")
    return text


def _may_be_cut(body: object, count: int, *, is_first: bool, paths: Sequence[str]) -> bool:
    """Whether there may be more than an answer holds that names no next page."""
    if not isinstance(body, Mapping):
        return is_first and count in _PAGE_SIZES
    if first(body, _MORE) is True:
        return True
    if not is_first or any(raw(body, path) for path in paths):
        return False  # what told of a next page before, or has a place for it, would tell
    total = first(body, _TOTALS)
    return total > count if isinstance(total, Decimal) else count in _PAGE_SIZES


def _host(address: SplitResult) -> tuple[str | None, int | None]:
    port = address.port
    return address.hostname, None if port == _PORTS.get(address.scheme) else port
