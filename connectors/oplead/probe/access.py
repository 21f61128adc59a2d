"""Find the URL, header and parameters that give access, within a request limit."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import cached_property
from urllib.parse import quote, urlencode

from connectors.errors import KeyRefused, Misconfigured, Transient, UnknownHost
from connectors.http import ATTEMPTS
from connectors.oplead.client import OpleadAnswer, OpleadClient, OpleadRefused, TokenRefused
from connectors.oplead.fields import first, text_of
from connectors.oplead.options import PUT_THE_KEY, AuthOptions, OpleadOptions, PaginationOptions
from connectors.oplead.pagination import PagePosition, PageWalk, find_items, nameless

OpenClient = Callable[[OpleadOptions], OpleadClient]
"""Opens a client; all clients share one rate limit."""

_FAILURES_IN_A_ROW = 2


class QuestionLimitReached(Exception):
    """The request limit is reached; whatever is unknown stays undecided."""


@dataclass(frozen=True, slots=True)
class DeclinedQuestion:
    """A request the platform declined."""

    status: int | None
    """None if every attempt failed (5xx, not JSON)."""
    body: bytes = field(default=b"", repr=False)
    """The response body, for comparison only."""


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of the list."""

    answer: OpleadAnswer
    items: tuple[object, ...] = field(repr=False)
    marks: tuple[str, ...] = field(repr=False)
    """One mark per entry that identifies it: its id, or else the result of `nameless`."""


@dataclass(slots=True)
class QuestionLimit:
    """The number of requests left, shared by every search."""

    left: int
    failures: int = 0
    """Consecutive failures; a declined request is not one."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Sends requests to a platform within a limit."""

    client: OpleadClient
    limit: QuestionLimit

    def list(self, query: Mapping[str, str]) -> OpleadAnswer | DeclinedQuestion:
        """Request the list with `query`."""
        return self.ask(self.client.list_path + (f"?{urlencode(query)}" if query else ""))

    def ask(self, target: str) -> OpleadAnswer | DeclinedQuestion:
        """Request a path and query on this platform.

        Raises:
            QuestionLimitReached: the limit is used up; nothing was sent.
            Misconfigured: the token is refused.
            Transient: the platform is down: two requests in a row failed, and so did the bare list.
        """
        limit = self.limit
        if limit.left <= 0:
            raise QuestionLimitReached
        limit.left -= 1
        try:
            answer = self.client.get(target)
        except OpleadRefused as refusal:
            limit.failures = 0
            return DeclinedQuestion(refusal.status, refusal.body)
        except UnknownHost:
            raise
        except Transient:
            limit.left -= ATTEMPTS - 1
            limit.failures += 1
            if limit.failures % _FAILURES_IN_A_ROW == 0:
                # Some platforms return 500 for unknown parameters: only a failing bare list means an outage.
                with suppress(OpleadRefused):
                    self.client.get(self.client.list_path)
            return DeclinedQuestion(None)
        limit.failures = 0
        return answer


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
        return ListedPage(answer, items, tuple(text_of(first(item, self.ids)) or nameless(item) for item in items))

    def page(self, target: str) -> ListedPage | DeclinedQuestion:
        """Request the page at a path and query on this platform."""
        answer = self.asker.ask(target)
        return answer if isinstance(answer, DeclinedQuestion) else self.read(answer)

    def pages(self, options: PaginationOptions, known: ListedPage) -> Iterator[ListedPage]:
        """Yield every page; `known` is the bare list, which is not requested again."""
        walk = PageWalk(options, self.asker.client)
        position: PagePosition | None = walk.start()
        while position is not None:
            target = walk.address(position)
            page = known if target == self.asker.client.list_path else self.page(target)
            if isinstance(page, DeclinedQuestion):
                refusal = OpleadRefused("a page is refused: see oplead.pagination", _NOT_FOUND)
                position = walk.after_refusal(position, refusal)
                continue
            position = walk.after(position, page.answer, page.marks)
            yield page

    def following(self, options: PaginationOptions, first: ListedPage) -> PagePosition | None:
        """Return the position after the first page, or None."""
        walk = PageWalk(options, self.asker.client)
        return walk.after(walk.start(), first.answer, first.marks)

    def second(self, options: PaginationOptions, first: ListedPage) -> ListedPage | DeclinedQuestion | None:
        """Request the page after the first one, or return None if there is none."""
        position = self.following(options, first)
        return None if position is None else self.page(PageWalk(options, self.asker.client).address(position))

    def numbered(self, options: PaginationOptions, index: int, page_size: int) -> tuple[str, ...]:
        """Return the marks of a numbered page by its zero-based index; empty past the end."""
        if options.style == "offset":
            position = PagePosition("offset", str(index * page_size))
        else:
            position = PagePosition("page", str(index + options.first_page))
        page = self.page(PageWalk(options, self.asker.client).address(position))
        return () if isinstance(page, DeclinedQuestion) else page.marks


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
    options: OpleadOptions, open_client: OpenClient, limit: QuestionLimit
) -> tuple[OpleadOptions, OpleadAnswer]:
    """Return the first options that give access, and the list's response with them.

    Tries the configured options, then other common auth styles (after 401, 403) and path prefixes (after 404 etc.).

    Raises:
        Misconfigured: none works; the message lists what was tried and which setting to write.
        Transient: it kept failing.
        QuestionLimitReached: the request limit is used up.
    """
    styles = dict.fromkeys((options.auth, *_STYLES))
    configured = options.path_prefix
    below = () if configured in _PREFIXES else (configured + prefix for prefix in _PREFIXES)
    prefixes = tuple(dict.fromkeys((configured, *below, *_PREFIXES)))
    forbidden: list[AuthOptions] = []  # returned 403: the token is known there
    statuses: list[int | None] = []
    styles_left, prefixes_left = iter(styles), iter(prefixes)
    auth, prefix = next(styles_left, None), next(prefixes_left, None)
    is_first = True
    while auth is not None and prefix is not None:
        way = replace(options, auth=auth, path_prefix=prefix)
        try:
            with open_client(way) as client:
                answer = Asker(client, limit).list({})
        except TokenRefused as refusal:
            if refusal.status == _FORBIDDEN:
                forbidden.append(auth)
            auth = next(styles_left, None)
            continue
        except Transient:
            if is_first:
                raise
            answer = DeclinedQuestion(None)
        if isinstance(answer, OpleadAnswer):
            return way, answer
        if answer.status is None and is_first:
            raise Transient("Oplead kept failing on the list of leads: try again later, or see oplead.base_url")
        is_first = False
        if answer.status in _ELSEWHERE:
            statuses.append(answer.status)
            prefix = next(prefixes_left, None)
        elif auth.style == "query" and auth != options.auth:
            auth = next(styles_left, None)  # the platform rejects unknown parameters
        else:
            raise Misconfigured(
                f"Oplead answered {answer.status} to the bare list of leads: it may want parameters; see Oplead's "
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
        f"Oplead refuses the token in every usual way it can be shown: {PUT_THE_KEY} (gear, API, tab API Oplead), "
        f"or, if Oplead names another way than these, write that way as oplead.auth. Tried: "
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


def access_notes(way: OpleadOptions, configured: OpleadOptions) -> Iterator[str]:
    """Yield a sentence on the auth style, and one for each problem or difference from the configured options."""
    found = "as the settings say" if way.auth == configured.auth else "found by trying"
    yield f"The token goes as {_example(way.auth)} ({found})."
    if way.auth.style == "query":
        yield "A token in the address ends up in the logs of servers between here and Oplead: ask for a header."
    if way.path_prefix != configured.path_prefix:
        yield f"The list of leads is at {way.path_prefix}{way.leads_path}, not at {configured.path_prefix}."


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
    def refusal(self) -> DeclinedQuestion | None:
        """How an unknown parameter is refused; None if it is ignored."""
        answer = self._page({_UNKNOWN_NAME: "1"})
        return answer if isinstance(answer, DeclinedQuestion) else None

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

    def _refused(self, answer: DeclinedQuestion, query: Mapping[str, str]) -> Effect:
        known = self.refusal
        if answer.status == _NOT_FOUND and (known is None or known.status != _NOT_FOUND):
            return Effect.PAST
        if known is None:
            return Effect.WRONG
        is_alike = _comparable(answer, query) == _comparable(known, {_UNKNOWN_NAME: "1"})
        return Effect.UNKNOWN if is_alike or answer.status is None else Effect.WRONG

    def _page(self, query: Mapping[str, str]) -> ListedPage | DeclinedQuestion:
        answer = self.leads.asker.list(query)
        try:
            return answer if isinstance(answer, DeclinedQuestion) else self.leads.read(answer)
        except Misconfigured:  # a response without a list counts as a refusal
            return DeclinedQuestion(200)


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


def _comparable(answer: DeclinedQuestion, query: Mapping[str, str]) -> tuple[int | None, bytes]:
    """Return a refusal's status and body without digits and whatever echoes the request."""
    body = answer.body
    for text in {repeated for pair in query.items() for one in pair for repeated in (one, quote(one, safe=""))}:
        body = body.replace(text.encode(), b"")
    return answer.status, _DIGITS.sub(b"", body)
