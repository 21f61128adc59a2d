"""Walk a paginated list: find the position of the next page, and whether the list is whole."""

import hashlib
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from math import ceil
from typing import Literal
from urllib.parse import SplitResult, quote, unquote_plus, urlencode, urljoin, urlsplit

from connectors.errors import Misconfigured
from connectors.language import N_, _, _n
from connectors.oplead.answers import OpleadAnswer, OpleadRefused
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import PaginationOptions, PaginationStyle
from connectors.oplead.parsing.fields import first_value_at_paths, raw_values_at_path, shape, text_of

NEXT_URLS = (
    *("next.href", "next.url", "next", "links.next.href", "links.next", "nextUrl", "nextPageUrl", "nextLink"),
    *("paging.next", "pagination.next", "pagination.nextUrl", "meta.next", "meta.nextUrl"),
)
CURSORS = (
    *("nextCursor", "cursor.next", "cursors.next", "paging.nextCursor", "paging.cursors.after"),
    *("pagination.nextCursor", "meta.nextCursor", "nextPageToken", "continuationToken"),
)
_MORE = ("hasMore", "hasNext", "pagination.hasMore", "pagination.hasNext", "meta.hasMore", "paging.hasMore")
_TOTALS = ("total", "totalCount", "totalElements", "totalItems", "pagination.total", "meta.total")
_PAGE_SIZES = frozenset({10, 20, 25, 30, 50, 100, 200, 250, 500, 1000})
_NUMBER = re.compile(r"\d{1,12}", re.ASCII)
_PORTS = {"http": 80, "https": 443}
_CIRCLE = N_("the list's pages repeat: see oplead.pagination (style, first_page, and the parameter's name)")
_EMPTY_PAGES = 3
"""Consecutive empty pages that end a list which always names a next page."""
_TOLERATED = 50
"""One lead in this many may be missing at the end: platforms count some leads they do not list."""
_NOT_FOUND = 404
_WITHOUT_ID = "\0"
"""The prefix of the mark of an entry without an id."""
_LONGEST_POSITION = 4_000  # characters; servers reject longer URLs

Kind = Literal["start", "page", "offset", "cursor", "target"]
_NUMBERED = frozenset({"page", "offset"})
_KINDS: Mapping[PaginationStyle, tuple[Kind, ...]] = {
    "auto": ("target", "cursor"),
    "none": (),
    "page": ("page",),
    "offset": ("offset",),
    "cursor": ("cursor",),
    "last_id": ("cursor",),
    "next_url": ("target",),
    "link_header": ("target",),
}


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of the list."""

    answer: OpleadAnswer
    items: tuple[object, ...] = field(repr=False)
    marks: tuple[str, ...] = field(repr=False)
    """One mark per entry that identifies it: its id, or else the result of `hash_entry_without_id`."""


@dataclass(frozen=True, slots=True)
class PagePosition:
    """The position of a page in the list: a number, a cursor, or a path and query (`target`)."""

    kind: Kind
    value: str = ""

    @property
    def resume_token(self) -> str:
        """The position as a string that `PageWalk.resume_position` accepts."""
        return f"{self.kind}:{self.value}"


Pages = Generator[Callable[[], ListedPage], None, None]
"""For each address, in order, a callable that returns its page or raises why there is none."""


def lazy_page_reader(read: Callable[[str], ListedPage]) -> Callable[[Iterable[str]], Pages]:
    """Return a reader of pages that requests each page only once it is called for."""
    return lambda addresses: (partial(read, address) for address in addresses)


@dataclass(eq=False, repr=False)
class PageWalk:
    """One traversal of a list's pages; it detects cycles, repeated pages and missing leads."""

    options: PaginationOptions
    client: OpleadClient
    """Next pages must stay on its scheme, host and port."""
    changes: Mapping[str, str] = field(default_factory=dict)
    """The query parameters of the change filter; they are not added to a next URL."""
    path: str = ""
    """The list's path; the leads' if empty."""
    may_read_ahead: Callable[[], bool] = lambda: False
    """Whether pages that follow by number may be requested before the pages in front of them are handed on."""
    ahead: int = field(default=0, init=False)
    """At most how many earlier pages were still to be handed on when the latest was requested."""
    moved: bool = field(default=False, init=False)
    """Whether the list is known to have shifted while it was read: an entry came twice or the total changed."""
    _requested: set[str] = field(default_factory=set, init=False)
    """The addresses of the pages read: two positions may share one, as the start and a next link of `#` do."""
    _asked_after: deque[int] = field(default_factory=deque, init=False)
    """For each page requested and not yet read, how many had been handed on."""
    _pages: set[bytes] = field(default_factory=set, init=False)
    _recent: deque[frozenset[str]] = field(default_factory=lambda: deque(maxlen=2), init=False)
    """The marks of the last two pages: when a list shifts, entries reappear on the next page."""
    _listed: int = field(default=0, init=False)
    _totals: list[int] = field(default_factory=list, init=False)
    """The first and the latest stated total."""
    _longest: int = field(default=0, init=False)
    """The number of entries on the longest page."""
    _latest: int = field(default=0, init=False)
    """The number of entries on the latest page."""
    _empty_in_a_row: int = field(default=0, init=False)
    _is_resumed: bool = field(default=False, init=False)

    @property
    def stated_total(self) -> int | None:
        """How many leads the whole walk lists, as the latest page says; None if none says so of this walk."""
        is_part = self._is_resumed or self.changes
        return None if is_part or not self._totals else self._totals[-1]

    @property
    def missing_lead_count(self) -> int:
        """How many of the leads counted by the platform were not listed, once the end is reached.

        0 if unknown: the total is missing or varies, the list shifted, a change filter is set, or the walk was resumed.
        """
        if self._is_resumed or self.moved or self.changes or len(set(self._totals)) != 1:
            return 0
        return max(0, self._totals[0] - self._listed)

    def require_complete_list(self) -> None:
        """Compare the leads listed with the stated total, if any; call this at the end.

        Raises:
            Misconfigured: clearly fewer leads were listed than the platform states.
        """
        if self.missing_lead_count * _TOLERATED > sum(self._totals[:1]):
            raise Misconfigured(
                _(
                    "Oplead says that there are {total} leads, and lists {listed}: see oplead.pagination (style, "
                    "first_page, next, and total where another number is meant), and oplead.token, whose key may "
                    "see only some leads",
                    total=self._totals[0],
                    listed=self._listed,
                )
            )

    def first_page_position(self) -> PagePosition:
        """Return the position of the first page."""
        numbers = {"page": PagePosition("page", str(self.options.first_page)), "offset": PagePosition("offset", "0")}
        return numbers.get(self.options.style, PagePosition("start"))

    def resume_position(self, token: str) -> PagePosition:
        """Return the position for an earlier walk's token, or the first page if the token does not fit the settings.

        Raises:
            Misconfigured: it leads to another host.
        """
        name, _, value = token.partition(":")
        kind = next((kind for kind in _KINDS[self.options.style] if kind == name), None)
        if kind is None or (kind in _NUMBERED and not _NUMBER.fullmatch(value)):
            return self.first_page_position()
        self._is_resumed = True
        return self._target(value, self.client.origin) if kind == "target" else PagePosition(kind, value)

    def pages(
        self, position: PagePosition, fetch: Callable[[Iterable[str]], Pages]
    ) -> Generator[tuple[ListedPage | None, PagePosition | None], None, None]:
        """Yield each page from `position` on, as `fetch` hands it on for its address, with the position after it.

        A refusal that marks the end is yielded as None. Raises what `position_after` and `position_after_refusal` do.
        """
        following: PagePosition | None = position
        while following is not None:
            self._asked_after.clear()
            with closing(fetch(self._addresses_from(following))) as fetched:
                for page_of in fetched:
                    self.ahead = len(self._requested) - self._asked_after.popleft()
                    try:
                        page = page_of()
                    except OpleadRefused as refusal:
                        following = self.position_after_refusal(following, refusal)
                        if following is None:
                            yield None, None
                        break
                    following = self.position_after(following, page.answer, page.marks)
                    yield page, following
                    if following is None:
                        break

    def _addresses_from(self, position: PagePosition) -> Iterator[str]:
        """Yield the address of a position, then those that follow it by number and probably exist."""
        number = int(position.value) if position.kind == "page" else None
        while True:
            self._asked_after.append(len(self._requested))
            yield self.request_target(position)
            if number is None or not self.may_read_ahead():
                return
            number += 1
            if not self._probably_exists(number):
                return
            position = PagePosition("page", str(number))

    def _probably_exists(self, number: int) -> bool:
        """Whether a page that nobody has asked for yet is likely to hold leads, by the pages read so far."""
        pages_left = self.options.max_pages - len(self._requested) - len(self._asked_after)
        if self._longest == 0 or pages_left <= 0:
            return False
        if self._totals and self._totals[-1] >= self._listed:
            return number < self.options.first_page + ceil(self._totals[-1] / self._longest)
        # Without a total, a short page may be the last one, unless the platform serves fewer than it is asked for.
        return self._latest >= (self.options.size or 1) or (len(self._pages) > 1 and self._latest == self._longest)

    def request_target(self, position: PagePosition) -> str:
        """Return the path and query that request a position."""
        if position.kind == "target":
            return position.value
        options, query = self.options, dict(self.changes)
        if options.size_param and options.size:
            query[options.size_param] = str(options.size)
        if position.kind != "start":
            params = {"page": options.page_param, "offset": options.offset_param, "cursor": options.cursor_param}
            query[params[position.kind]] = position.value
        return (self.path or self.client.list_path) + ("?" + urlencode(query, quote_via=quote) if query else "")

    def position_after(self, position: PagePosition, answer: OpleadAnswer, marks: Sequence[str]) -> PagePosition | None:
        """Return the position that follows a page; None at the end.

        `marks` identifies the page's entries, one mark each: the id, or the result of `hash_entry_without_id`.

        Raises:
            Misconfigured: the list cannot be followed, may be truncated, leaves the host, repeats or is too long.
        """
        self._requested.add(self.request_target(position))
        is_repeated = self._is_repeated(position, answer, marks)
        self._empty_in_a_row = 0 if marks else self._empty_in_a_row + 1
        # A platform may filter leads out of a page until it is empty, but a numbered list ends with an empty page.
        goes_on = self._empty_in_a_row < (1 if position.kind in _NUMBERED else _EMPTY_PAGES)
        following = self._following(position, answer, marks) if goes_on else None
        # A numbered list may repeat its last page past the end.
        may_be_past_end = self._is_resumed or len(self._pages) > 1 or self._totals[-1:] == [self._listed]
        if is_repeated and may_be_past_end and position.kind in _NUMBERED:
            return None
        if is_repeated or (following and self.request_target(following) in self._requested):
            raise Misconfigured(_(_CIRCLE))
        if following and len(self._requested) >= self.options.max_pages:
            raise Misconfigured(
                _("more than {count} pages: see oplead.pagination.max_pages", count=len(self._requested))
            )
        return following

    def position_after_refusal(self, position: PagePosition, refusal: OpleadRefused) -> PagePosition | None:
        """Return where to go after a refused page: None past the end, the start if a resumed position is stale.

        Raises:
            OpleadRefused: neither applies.
        """
        if position.kind in _NUMBERED and refusal.status == _NOT_FOUND and position != self.first_page_position():
            return None
        if self._is_resumed and not self._requested:
            self._is_resumed = False
            return self.first_page_position()
        raise refusal

    def _is_repeated(self, position: PagePosition, answer: OpleadAnswer, marks: Sequence[str]) -> bool:
        """Count a page's leads and note its total; return whether its leads were all listed before."""
        named = frozenset(mark for mark in marks if not lacks_id(mark))
        recent = frozenset[str]().union(*self._recent)
        self._recent.append(frozenset(marks))
        self._longest, self._latest = max(self._longest, len(marks)), len(marks)
        page = hashlib.sha256("\n".join(sorted(marks)).encode(errors="replace")).digest()
        is_repeated = bool(marks) and (page in self._pages or recent.issuperset(marks))
        if marks:
            self._pages.add(page)
        if not is_repeated:
            self._listed += len(named - recent) + sum(map(lacks_id, marks))
            self.moved |= not recent.isdisjoint(named)
        total = self._total(answer)
        # A number below the leads listed is no total: some platforms state the size of the page.
        if total is not None and total >= self._listed:
            # A cursor skips nothing, whatever is added or removed meanwhile.
            self.moved |= position.kind != "cursor" and self._totals[-1:] not in ([], [total])
            self._totals = [*self._totals[:1], total]
        return is_repeated

    def _total(self, answer: OpleadAnswer) -> int | None:
        if self.options.total_header is not None:
            return answer.totals.get(self.options.total_header)
        value = _stated_value(answer.body, _TOTALS if self.options.total is None else (self.options.total,))
        text = text_of(value) if isinstance(value, str | Decimal) else None
        return int(text) if text and _NUMBER.fullmatch(text) else None

    def _following(self, position: PagePosition, answer: OpleadAnswer, marks: Sequence[str]) -> PagePosition | None:
        paths: tuple[str, ...] = ()
        match self.options.style:
            case "none":
                return None
            # A short page proves nothing: the platform may filter leads after slicing the page.
            case "page":
                return PagePosition("page", str(int(position.value) + 1))
            case "offset":
                return PagePosition("offset", str(int(position.value) + len(marks)))
            case "last_id":
                return _after_last_id(marks)
            case "link_header":
                following = self._position_from_link(answer.next_link or None, answer)
            case "next_url":
                paths = self._next_paths(NEXT_URLS)
                following = self._position_from_link(_stated_value(answer.body, paths), answer)
            case "cursor":
                paths = self._next_paths(CURSORS)
                following = _cursor(_stated_value(answer.body, paths))
            case "auto":
                paths = self._next_paths((*NEXT_URLS, *CURSORS))
                following = self._stated_next_position(answer)
        if following is None:
            is_first = position.kind == "start" and (not self.changes or self.options.style == "auto")
            self._refuse_if_more(answer, len(marks), is_first=is_first, paths=paths)
        return following

    def _stated_next_position(self, answer: OpleadAnswer) -> PagePosition | None:
        """Return the next position if the response states it: a next URL, a Link header or a cursor."""
        value = _stated_value(answer.body, self._next_paths(NEXT_URLS))
        if isinstance(value, str) and value.startswith(("http://", "https://", "/", "?")):
            return self._position_from_link(value, answer)
        if value is not None and self.options.next is None:
            raise Misconfigured(
                _("the answer names a next page, but not by its address: write oplead.pagination.style")
            )
        if answer.next_link:
            return self._position_from_link(answer.next_link, answer)
        return _cursor(value if value is not None else _stated_value(answer.body, self._next_paths(CURSORS)))

    def _next_paths(self, candidates: tuple[str, ...]) -> tuple[str, ...]:
        return candidates if self.options.next is None else (self.options.next,)

    def _refuse_if_more(self, answer: OpleadAnswer, count: int, *, is_first: bool, paths: Sequence[str]) -> None:
        """Raise Misconfigured if the list may continue after a response that names no next page."""
        body, total, style = answer.body, self._total(answer), self.options.style
        if not isinstance(body, Mapping):
            may_be_cut = is_first and count in _PAGE_SIZES
        elif first_value_at_paths(body, _MORE) is True:
            may_be_cut = True
        elif not is_first or any(raw_values_at_path(body, path) for path in paths):
            may_be_cut = False  # a later page, or one whose next-page field is empty
        else:
            may_be_cut = count in _PAGE_SIZES if total is None else total > count
        if may_be_cut:
            written = style == "auto"
            way = (
                _("write oplead.pagination.style")
                if written
                else _("see oplead.pagination.style ({style}) and next", style=style)
            )
            raise Misconfigured(
                _(
                    "the list may be cut: {entries}, and the answer does not say how to go on; {way} (none, if "
                    "these are all)",
                    entries=_n("{count} entry", "{count} entries", count),
                    way=way,
                )
            )

    def _position_from_link(self, value: object, answer: OpleadAnswer) -> PagePosition | None:
        return None if value is None else self._target(_position_text(value), answer.url)

    def _target(self, written: str, base: str) -> PagePosition:
        """Return a URL as a position on our own scheme and host, without the token; raise if it names another host."""
        try:
            there, here = urlsplit(urljoin(base, written)), urlsplit(self.client.origin)
            is_ours = _host(there) == _host(here)
        except ValueError:
            raise Misconfigured(_("the next page's address is invalid: see oplead.pagination")) from None
        if not is_ours:
            raise Misconfigured(_("the next page is on another host, where the token must not go: see oplead.base_url"))
        pairs = (pair for pair in there.query.split("&") if pair)
        query = "&".join(pair for pair in pairs if unquote_plus(pair.partition("=")[0]) != self.client.secret)
        # With two leading slashes, resuming would parse the first segment as a host.
        path = "/" + there.path.lstrip("/")
        return PagePosition("target", path + ("?" + query if query else ""))


def hash_entry_without_id(item: object) -> str:
    """Return the mark of an entry without an id: a hash, which reveals nothing; identical entries each count."""
    return _WITHOUT_ID + hashlib.sha256(str(item).encode(errors="replace")).hexdigest()


def lacks_id(mark: str) -> bool:
    """Whether a mark stands for an entry without an id."""
    return mark.startswith(_WITHOUT_ID)


def _stated_value(body: object, paths: Sequence[str]) -> object:
    """Return the first value at the paths of a response; `false` counts as none."""
    value = first_value_at_paths(body, paths) if isinstance(body, Mapping) else None
    return None if value is False else value


def _after_last_id(marks: Sequence[str]) -> PagePosition | None:
    """Return the position after the last entry with an id, the only part fit to store or put in a URL."""
    if not marks:
        return None
    last = next((mark for mark in reversed(marks) if not lacks_id(mark)), None)
    if last is None:
        raise Misconfigured(
            _n(
                "no id to go on after, on a page of {count} lead: see oplead.fields.id",
                "no id to go on after, on a page of {count} leads: see oplead.fields.id",
                len(marks),
            )
        )
    return PagePosition("cursor", last)


def _cursor(value: object) -> PagePosition | None:
    return None if value is None else PagePosition("cursor", _position_text(value))


def _position_text(value: object) -> str:
    text = text_of(value) if isinstance(value, str | Decimal) else None
    if text is None:
        raise Misconfigured(_("no next page can be read ({shape}): see oplead.pagination.next", shape=shape(value)))
    if len(text) > _LONGEST_POSITION:
        raise Misconfigured(
            _(
                "the next page's place has {count} characters, more than a request may: see oplead.pagination",
                count=len(text),
            )
        )
    return text


def _host(address: SplitResult) -> tuple[str | None, int | None]:
    port = address.port
    return address.hostname, None if port == _PORTS.get(address.scheme) else port
