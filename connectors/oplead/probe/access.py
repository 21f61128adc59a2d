"""Finds how the token is shown and where the list of leads is, at the configured host and nowhere else."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from connectors.errors import KeyRefused, Misconfigured, Transient
from connectors.oplead.client import Answer, TokenRefused
from connectors.oplead.options import PUT_THE_KEY, AuthOptions, OpleadOptions
from connectors.oplead.probe.asking import Asker, Bound, Declined, Open

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
    answer: Answer
    how: tuple[str, ...]


@dataclass(slots=True)
class _Tried:
    """What came of the ways that did not work."""

    forbidden: list[str]
    """The styles that were answered 403: the token is known there."""
    statuses: set[int]


def find_access(options: OpleadOptions, open_client: Open, bound: Bound) -> Access:
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
            answer = Declined(None)
        if isinstance(answer, Answer):
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
