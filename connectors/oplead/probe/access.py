"""Find the URL, header and parameters that give access, within a request limit."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property
from urllib.parse import quote, urlencode

from connectors.errors import KeyRefused, Misconfigured, Transient, UnknownHost
from connectors.http import ATTEMPTS
from connectors.oplead.answers import OpleadAnswer, OpleadRefused, TokenRefused
from connectors.oplead.client import OpleadClient
from connectors.oplead.fields import first, text_of
from connectors.oplead.items import find_items
from connectors.oplead.options import PUT_THE_KEY, AuthOptions, OpleadOptions, PaginationOptions
from connectors.oplead.pagination import ListedPage, PagePosition, PageWalk, mark_without_id

OpenClient = Callable[[OpleadOptions], OpleadClient]
"""Opens a client; all clients share one rate limit."""

_FAILURES_IN_A_ROW = 2


class RequestLimitReached(Exception):
    """The request limit is reached; whatever is unknown stays undecided."""


@dataclass(slots=True)
class Asker:
    """Sends a limited number of requests to a platform."""

    client: OpleadClient
    left: int
    """The number of requests left."""
    _failures: int = 0
    """Consecutive failures; a refused request is not one."""

    def list(self, query: Mapping[str, str]) -> OpleadAnswer:
        """Request the list with `query`; raises what `ask` does."""
        return self.ask(self.client.list_path + (f"?{urlencode(query)}" if query else ""))

    def ask(self, target: str) -> OpleadAnswer:
        """Request a path and query on this platform.

        Raises:
            RequestLimitReached: the limit is used up; nothing was sent.
            OpleadRefused: the platform declined the request, or every attempt failed (5xx, not JSON).
            Misconfigured: the token is refused.
            Transient: the platform is down: two requests in a row failed, and so did the bare list.
        """
        if self.left <= 0:
            raise RequestLimitReached
        self.left -= 1
        failures, self._failures = self._failures, 0
        try:
            return self.client.get(target)
        except UnknownHost:
            raise
        except Transient as failure:
            self.left -= ATTEMPTS - 1
            self._failures = failures + 1
            if self._failures % _FAILURES_IN_A_ROW == 0:
                # Some platforms return 500 for unknown parameters: only a failing bare list means an outage.
                with suppress(OpleadRefused):
                    self.client.get(self.client.list_path)
            raise OpleadRefused(str(failure), None) from None


@dataclass(frozen=True, slots=True)
class LeadList:
    """The platform's list, read page by page; a response without a list, or an unusable one, raises Misconfigured."""

    asker: Asker
    items: str | None
    """`oplead.pagination.items`."""
    ids: tuple[str, ...]
    """The candidate paths of an entry's id."""

    def read(self, answer: OpleadAnswer) -> ListedPage:
        """Parse a response as a page of the list."""
        items = tuple(find_items(answer.body, self.items))
        return ListedPage(
            answer, items, tuple(text_of(first(item, self.ids)) or mark_without_id(item) for item in items)
        )

    def pages(self, options: PaginationOptions, known: ListedPage) -> Iterator[ListedPage]:
        """Yield every page; `known` is the bare list, which is not requested again."""

        def read(target: str) -> ListedPage:
            try:
                return known if target == self.asker.client.list_path else self.read(self.asker.ask(target))
            except OpleadRefused:
                raise OpleadRefused("a page is refused: see oplead.pagination", _NOT_FOUND) from None

        walk = PageWalk(options, self.asker.client)
        return (page for page, _ in walk.pages(walk.start(), read) if page is not None)

    def following(self, options: PaginationOptions, first: ListedPage) -> PagePosition | None:
        """Return the position after the first page, or None."""
        walk = PageWalk(options, self.asker.client)
        return walk.position_after(walk.start(), first.answer, first.marks)

    def page(self, options: PaginationOptions, position: PagePosition) -> ListedPage:
        """Request the page at a position."""
        return self.read(self.asker.ask(PageWalk(options, self.asker.client).address(position)))

    def numbered(self, options: PaginationOptions, index: int, page_size: int) -> tuple[str, ...]:
        """Return the marks of a numbered page by its zero-based index; empty past the end."""
        if options.style == "offset":
            position = PagePosition("offset", str(index * page_size))
        else:
            position = PagePosition("page", str(index + options.first_page))
        try:
            return self.page(options, position).marks
        except OpleadRefused:
            return ()


# ── access ───────────────────────────────────────────────────────────────────────────────────────

# The query comes last: servers and proxies log URLs.
_STYLES = (
    AuthOptions(),
    AuthOptions(style="header", name="X-API-KEY"),
    AuthOptions(style="header", name="Authorization"),
    AuthOptions(style="header", name="Authorization", prefix="Token "),
    *(AuthOptions(style="header", name=name) for name in ("apikey", "X-Auth-Token", "token")),
    *(AuthOptions(style="query", name=name) for name in ("token", "api_key", "access_token")),
)
_PREFIXES = ("/v1", "", "/api", "/api/v1")
_FORBIDDEN = 403
_NOT_FOUND = 404
_REDIRECTS = range(300, 400)
_ELSEWHERE = frozenset({None, _NOT_FOUND, 405, 410, *_REDIRECTS})


def find_access(
    options: OpleadOptions, open_client: OpenClient, most: int, specified: AuthOptions | None = None
) -> tuple[Asker, OpleadAnswer]:
    """Return an asker with the first options that give access, and the list's response with them.

    Tries the configured options, then the specified auth style, then other common auth styles (after 401, 403) and
    path prefixes (after 404 etc.).

    Raises:
        Misconfigured: none works; the message lists what was tried and which setting to write.
        Transient: it kept failing.
        RequestLimitReached: `most` requests were made.
    """
    styles = dict.fromkeys((options.auth, *filter(None, [specified]), *_STYLES))
    configured = options.path_prefix
    below = () if configured in _PREFIXES else (configured + prefix for prefix in _PREFIXES)
    prefixes = tuple(dict.fromkeys((configured, *below, *_PREFIXES)))
    forbidden: list[AuthOptions] = []  # returned 403: the token is known there
    statuses: list[int | None] = []
    styles_left, prefixes_left = iter(styles), iter(prefixes)
    auth, prefix = next(styles_left, None), next(prefixes_left, None)
    is_first = True
    while auth is not None and prefix is not None:
        client = open_client(replace(options, auth=auth, path_prefix=prefix))
        asker = Asker(client, most)
        try:
            with closing(client):
                return asker, asker.list({})
        except TokenRefused as refusal:
            if refusal.status == _FORBIDDEN:
                forbidden.append(auth)
            auth = next(styles_left, None)
            continue
        except Transient:
            if is_first:
                raise
            status = None
        except OpleadRefused as refusal:
            status = refusal.status
        finally:
            most = asker.left
        if status is None and is_first:
            raise Transient("Oplead kept failing on the list of leads: try again later, or see oplead.base_url")
        is_first = False
        if status in _ELSEWHERE:
            statuses.append(status)
            prefix = next(prefixes_left, None)
        elif auth.style == "query" and auth != options.auth:
            auth = next(styles_left, None)  # the platform rejects unknown parameters
        else:
            raise Misconfigured(
                f"Oplead answered {status} to the bare list of leads: it may want parameters; see Oplead's "
                "API page, and write them as oplead.extra_query or oplead.extra_headers"
            )
    raise _no_list(options, prefixes, statuses) if prefix is None else _refused_token(styles, forbidden)


def _example(auth: AuthOptions) -> str:
    match auth.style:
        case "bearer":
            return "Authorization: Bearer TOKEN"
        case "header":
            return f"{auth.name}: {auth.prefix}TOKEN"
        case "query":
            return f"?{auth.name}=TOKEN"
        case "none":
            return "no token"


def _refused_token(tried: Mapping[AuthOptions, None], forbidden: Sequence[AuthOptions]) -> Misconfigured:
    if forbidden:
        return KeyRefused(
            f"Oplead knows the token but lets it read no leads (403, sent as {_example(forbidden[0])}): "
            f"{PUT_THE_KEY}; other keys see only some leads"
        )
    return KeyRefused(
        f"Oplead refuses the token however it is sent: {PUT_THE_KEY} (gear, API, tab API Oplead), "
        f"or, if Oplead names a way that was not tried, write it as oplead.auth. Tried: "
        f"{', '.join(dict.fromkeys(map(_example, tried)))}"
    )


def _no_list(options: OpleadOptions, prefixes: Sequence[str], statuses: Sequence[int | None]) -> Misconfigured:
    places = ", ".join(prefix + options.leads_path for prefix in prefixes)
    is_redirected = any(status in _REDIRECTS for status in statuses)
    redirected = " (redirects are not followed: the token would go along)" if is_redirected else ""
    return Misconfigured(
        f"no list of leads is found at {places}{redirected}: write its address as oplead.base_url, "
        "oplead.path_prefix and oplead.leads_path"
    )


def access_notes(
    found: OpleadOptions, configured: OpleadOptions, specified: AuthOptions | None = None
) -> Iterator[str]:
    """Yield a sentence on the auth style, and one for each problem or difference from the configured options."""
    source = "as the settings say" if found.auth == configured.auth else "found by trying"
    source = "as the specification says" if found.auth == specified else source
    yield f"The token is sent as {_example(found.auth)} ({source})."
    if found.auth.style == "query":
        yield "A token in the address ends up in the logs of servers between here and Oplead: ask for a header."
    if found.path_prefix != configured.path_prefix:
        yield f"The list of leads is at {found.path_prefix}{found.leads_path}, not at {configured.path_prefix}."


# ── the effect of a parameter ────────────────────────────────────────────────────────────────────

_UNKNOWN_NAME = "oplead_sync_probe"
_MOSTLY, _HARDLY = 0.8, 0.2
_DIGITS = re.compile(rb"\d+")


class Effect(Enum):
    """The effect of a parameter on the first page."""

    SAME = auto()  # the first page again: the parameter is ignored or changes nothing
    OTHER = auto()  # other leads
    FEWER = auto()  # some of the same leads
    EMPTY = auto()  # no leads
    PAST = auto()  # not found (404), unlike the response to an unknown parameter
    WRONG = auto()  # the parameter is known, but the value is rejected
    UNKNOWN = auto()  # refused like any unknown parameter


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a request with one or more parameters."""

    name: str
    effect: Effect
    page: ListedPage | None


@dataclass(frozen=True)
class Trials:
    """Tries parameters on a list and compares each result with the same first page."""

    leads: LeadList
    first: ListedPage

    @cached_property
    def refusal(self) -> OpleadRefused | None:
        """How an unknown parameter is refused; None if it is ignored."""
        answer = self._page({_UNKNOWN_NAME: "1"})
        return answer if isinstance(answer, OpleadRefused) else None

    def each(self, names: Sequence[str], value: str) -> Iterator[Trial]:
        """Yield the trials of `names` with a value, lazily, so that the caller can stop early.

        If the platform ignores unknown parameters, bisect: try all names at once, then halve each group that has an
        effect, and yield only names that have one alone. Otherwise yield a trial for every name.
        """
        if self.refusal is not None:
            yield from (self.ask({name: value}) for name in names)
        elif len(names) == 1:
            if (trial := self.ask({names[0]: value})).effect is not Effect.SAME:
                yield trial
        elif names and self.ask(dict.fromkeys(names, value)).effect is not Effect.SAME:
            middle = len(names) // 2
            yield from self.each(names[:middle], value)
            yield from self.each(names[middle:], value)

    def ask(self, query: Mapping[str, str]) -> Trial:
        """Try one or more parameters in one request."""
        answer = self._page(query)
        if isinstance(answer, ListedPage):
            return Trial("&".join(query), filter_effect(self.first, answer), answer)
        return Trial("&".join(query), Effect.WRONG if len(query) > 1 else self._refused(answer, query), None)

    def _refused(self, answer: OpleadRefused, query: Mapping[str, str]) -> Effect:
        known = self.refusal
        if answer.status == _NOT_FOUND and (known is None or known.status != _NOT_FOUND):
            return Effect.PAST
        if known is None:
            return Effect.WRONG
        is_alike = _comparable(answer, query) == _comparable(known, {_UNKNOWN_NAME: "1"})
        return Effect.UNKNOWN if is_alike or answer.status is None else Effect.WRONG

    def _page(self, query: Mapping[str, str]) -> ListedPage | OpleadRefused:
        try:
            answer = self.leads.asker.list(query)
        except OpleadRefused as refusal:
            return refusal
        try:
            return self.leads.read(answer)
        except Misconfigured as error:  # a response without a list counts as a refusal
            return OpleadRefused(str(error), 200)


def filter_effect(first: ListedPage, page: ListedPage) -> Effect:
    """Classify how a page differs from the first one, tolerating a few leads added or removed meanwhile."""
    if not page.marks:
        return Effect.EMPTY if first.marks else Effect.SAME
    shared = len({*page.marks} & {*first.marks})
    if shared <= _HARDLY * len(page.marks):
        return Effect.OTHER
    if shared >= _MOSTLY * len(first.marks):
        return Effect.SAME
    return Effect.FEWER


def _comparable(answer: OpleadRefused, query: Mapping[str, str]) -> tuple[int | None, bytes]:
    """Return a refusal's status and body without digits and whatever echoes the request."""
    body = answer.body
    for text in {repeated for pair in query.items() for one in pair for repeated in (one, quote(one, safe=""))}:
        body = body.replace(text.encode(), b"")
    return answer.status, _DIGITS.sub(b"", body)
