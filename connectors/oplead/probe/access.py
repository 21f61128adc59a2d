"""Which address, header and parameters give access, and the requests that find out."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlencode

from connectors.errors import KeyRefused, Misconfigured, Transient, UnknownHost
from connectors.http import ATTEMPTS
from connectors.oplead.client import OpleadAnswer, OpleadClient, OpleadRefused, TokenRefused
from connectors.oplead.fields import first, text_of
from connectors.oplead.options import PUT_THE_KEY, AuthOptions, OpleadOptions
from connectors.oplead.pagination import find_items, nameless
from connectors.rate_limit import Pacer

Open = Callable[[OpleadOptions], OpleadClient]
"""Makes a client; all of them share one pace."""

_FAILURES_IN_A_ROW = 2


class QuestionLimitReached(Exception):
    """The bound on questions is reached: what is not known by now stays undecided."""


@dataclass(frozen=True, slots=True)
class DeclinedQuestion:
    """A question the platform did not take."""

    status: int | None
    """None where it failed each time it was asked (5xx, no JSON)."""
    said: bytes = field(default=b"", repr=False)
    """What it answered; only ever compared."""


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of the list."""

    answer: OpleadAnswer
    items: tuple[object, ...] = field(repr=False)
    marks: tuple[str, ...] = field(repr=False)
    """What tells the entries apart, one each: their ids, or else `nameless`."""


@dataclass(slots=True)
class QuestionLimit:
    """How many questions may still be asked, by everything that asks."""

    left: int
    failures: int = 0
    """How many in a row failed rather than being declined."""

    def take(self) -> None:
        """Take one, or raise `QuestionLimitReached`."""
        if self.left <= 0:
            raise QuestionLimitReached
        self.left -= 1

    def failed(self) -> None:
        """A question was asked as often as may help, and failed each time."""
        self.left -= ATTEMPTS - 1
        self.failures += 1


class Asker:
    """Asks a platform the way its options say."""

    def __init__(self, options: OpleadOptions, open_client: Open, bound: QuestionLimit) -> None:
        """Ask nothing yet."""
        self.options = options
        self._client = open_client(options)
        self._bound = bound

    def __enter__(self) -> Self:
        """Use it in a `with`, so that its connections end with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def origin(self) -> str:
        """Scheme, host and port, which no request leaves."""
        return self._client.origin

    @property
    def host(self) -> str:
        """The host alone."""
        return self._client.host

    @property
    def list_path(self) -> str:
        """The list's whole path."""
        return self._client.list_path

    def list(self, query: Mapping[str, str]) -> OpleadAnswer | DeclinedQuestion:
        """The list, asked for with `query`."""
        return self.ask(self.list_path + (f"?{urlencode(query)}" if query else ""))

    def lead(self, lead_id: str, lead_path: str) -> OpleadAnswer | DeclinedQuestion:
        """A lead's own page."""
        return self.ask(self._client.root + lead_path.replace("{id}", quote(lead_id, safe="")))

    def ask(self, target: str) -> OpleadAnswer | DeclinedQuestion:
        """What stands at a path and query of this platform.

        Raises:
            NoMoreQuestions: the bound is reached.
            Misconfigured: the token is refused.
            Transient: the platform is not well: two questions in a row failed, and so does the bare list.
        """
        self._bound.take()
        try:
            answer = self._client.get(target)
        except OpleadRefused as refusal:
            self._bound.failures = 0
            return DeclinedQuestion(refusal.status, refusal.said)
        except UnknownHost:
            raise
        except Transient:
            self._bound.failed()
            if self._bound.failures % _FAILURES_IN_A_ROW == 0:
                # Some platforms break (500) on what they do not know: only one that fails at its bare list is ill.
                with suppress(OpleadRefused):
                    self._client.get(self.list_path)
            return DeclinedQuestion(None)
        self._bound.failures = 0
        return answer


@dataclass(frozen=True, slots=True)
class ListReader:
    """Reads pages of a list whose array and ids are known."""

    items: str | None
    """`oplead.pagination.items`."""
    ids: tuple[str, ...]
    """Where an entry's id stands."""

    def listed(self, answer: OpleadAnswer) -> ListedPage:
        """The answer as a page of the list.

        Raises:
            Misconfigured: it holds no list.
        """
        items = tuple(find_items(answer.body, self.items))
        return ListedPage(answer, items, tuple(self._mark(item) for item in items))

    def _mark(self, item: object) -> str:
        found = text_of(first(item, self.ids))
        return found or nameless(item)


# The query comes last: servers and proxies write addresses into their logs.
_STYLES = (
    AuthOptions(),
    AuthOptions(style="header", name="X-API-KEY"),
    AuthOptions(style="header", name="Authorization"),
    AuthOptions(style="header", name="Authorization", prefix="Token "),
    AuthOptions(style="header", name="apikey"),
    AuthOptions(style="header", name="X-Auth-Token"),
    AuthOptions(style="header", name="token"),
    AuthOptions(style="query", name="token"),
    AuthOptions(style="query", name="api_key"),
    AuthOptions(style="query", name="access_token"),
)
_PREFIXES = ("/v1", "", "/api", "/api/v1")
T = TypeVar("T")

_FORBIDDEN = 403
_REDIRECTS = range(300, 400)
_ELSEWHERE = frozenset({404, 405, 410, *_REDIRECTS})


@dataclass(frozen=True, slots=True)
class Access:
    """A way in, and what the list answered there."""

    options: OpleadOptions
    answer: OpleadAnswer
    how: tuple[str, ...]


@dataclass(slots=True)
class _Tried:
    """What came of the ways that did not work."""

    forbidden: list[str]
    """The styles that were answered 403: the token is known there."""
    statuses: set[int]


def find_access(options: OpleadOptions, open_client: Open, bound: QuestionLimit) -> Access:
    """The first way in: as configured, then by other usual styles (401, 403) and path prefixes (404).

    Raises:
        Misconfigured: none works; the message tells which were tried and what to write.
        Transient: it kept failing.
        NoMoreQuestions: the bound is reached.
    """
    tried = _Tried([], set())
    styles, prefixes = _auths(options.auth), _prefixes(options.path_prefix)
    auth, prefix = next(styles), next(prefixes)
    is_first = True
    while True:
        way = replace(options, auth=auth, path_prefix=prefix)
        try:
            with Asker(way, open_client, bound) as asker:
                answer = asker.list({})
        except TokenRefused as refusal:
            if refusal.status == _FORBIDDEN:
                tried.forbidden.append(said_of(auth))
            auth = _next(styles, _refused_token(tried, options))
            continue
        except Transient:
            if is_first:
                raise
            answer = DeclinedQuestion(None)
        if isinstance(answer, OpleadAnswer):
            return Access(way, answer, tuple(_told(way, options)))
        if answer.status is None and is_first:
            raise Transient("Oplead kept failing on the list of leads: try again later, or see oplead.base_url")
        is_first = False
        if answer.status is None or answer.status in _ELSEWHERE:
            tried.statuses.add(answer.status or 0)
            prefix = _next(prefixes, _no_list(tried, options))
        elif auth.style == "query" and auth != options.auth:
            auth = _next(styles, _refused_token(tried, options))  # a platform that takes no unknown parameter
        else:
            raise Misconfigured(
                f"Oplead answered {answer.status} to the bare list of leads: it may want parameters; see Oplead's "
                "API page, and write them as oplead.extra_query or oplead.extra_headers"
            )


def said_of(auth: AuthOptions) -> str:
    """A way to show the token, in a few words."""
    match auth.style:
        case "bearer":
            return "Authorization: Bearer TOKEN"
        case "header":
            return f"{auth.name}: {auth.prefix}TOKEN"
        case "query":
            return f"?{auth.name}=TOKEN"
        case "none":
            return "no token"


def _auths(configured: AuthOptions) -> Iterator[AuthOptions]:
    yield configured
    yield from (style for style in _STYLES if style != configured)


def _prefixes(configured: str) -> Iterator[str]:
    """As configured, then the usual ones below an unusual one, then those by themselves."""
    below = () if configured in _PREFIXES else (configured + prefix for prefix in _PREFIXES)
    yield from dict.fromkeys((configured, *below, *_PREFIXES))


def _next(left: Iterator[T], otherwise: Misconfigured) -> T:
    for one in left:
        return one
    raise otherwise


def _refused_token(tried: _Tried, options: OpleadOptions) -> Misconfigured:
    ways = ", ".join(dict.fromkeys(said_of(style) for style in _auths(options.auth)))
    if tried.forbidden:
        return KeyRefused(
            f"Oplead knows the token but lets it read no leads (403, sent as {tried.forbidden[0]}): "
            f"{PUT_THE_KEY}; other keys see only some leads"
        )
    return KeyRefused(
        f"Oplead refuses the token in every usual way it can be shown: {PUT_THE_KEY} (gear, API, tab API Oplead), "
        f"or, if Oplead names another way than these, write that way as oplead.auth. Tried: {ways}"
    )


def _no_list(tried: _Tried, options: OpleadOptions) -> Misconfigured:
    places = ", ".join(prefix + options.leads_path for prefix in _prefixes(options.path_prefix))
    redirected = " (redirects are not followed: the token would go along)" if tried.statuses & {*_REDIRECTS} else ""
    return Misconfigured(
        f"no list of leads is found at {places}{redirected}: write its address as oplead.base_url, "
        "oplead.path_prefix and oplead.leads_path"
    )


def _told(way: OpleadOptions, configured: OpleadOptions) -> Iterator[str]:
    found = "as the settings say" if way.auth == configured.auth else "found by trying"
    yield f"The token goes as {said_of(way.auth)} ({found})."
    if way.auth.style == "query":
        yield "A token in the address ends up in the logs of servers between here and Oplead: ask for a header."
    if way.path_prefix != configured.path_prefix:
        yield f"The list of leads is at {way.path_prefix}{way.leads_path}, not at {configured.path_prefix}."


class CountingPacer(Pacer):
    """Stands before a pacer that others use too, and counts what goes through here."""

    def __init__(self, pacer: Pacer) -> None:
        """Count from nought."""
        self._pacer = pacer
        self.asked = 0

    def take(self) -> datetime | None:
        """Take one of the pacer's slots, or say when there may be one."""
        free_at = self._pacer.take()
        self.asked += free_at is None
        return free_at

    def give_back(self) -> None:
        """Free a slot that was taken."""
        self._pacer.give_back()

    def throttled(self) -> None:
        """Pass it on."""
        self._pacer.throttled()
