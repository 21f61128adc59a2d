"""Find the URL, header and parameters that give access."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from connectors.errors import KeyRefused, Misconfigured, Transient
from connectors.language import _
from connectors.oplead.answers import OpleadAnswer, OpleadRefused, TokenRefused
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import PUT_THE_KEY, ApiAuthScheme, OpleadOptions
from connectors.oplead.probe.asking import ProbeRequestSender

OpenClient = Callable[[OpleadOptions], OpleadClient]
"""Opens a client; all clients share one rate limit."""

# The query comes last: servers and proxies log URLs.
_STYLES = (
    ApiAuthScheme(),
    ApiAuthScheme(style="header", name="X-API-KEY"),
    ApiAuthScheme(style="header", name="Authorization"),
    ApiAuthScheme(style="header", name="Authorization", prefix="Token "),
    *(ApiAuthScheme(style="header", name=name) for name in ("apikey", "X-Auth-Token", "token")),
    *(ApiAuthScheme(style="query", name=name) for name in ("token", "api_key", "access_token")),
)
_PREFIXES = ("/v1", "", "/api", "/api/v1")
_FORBIDDEN = 403
_NOT_FOUND = 404
_REDIRECTS = range(300, 400)
_ELSEWHERE = frozenset({None, _NOT_FOUND, 405, 410, *_REDIRECTS})


def find_working_access_options(
    options: OpleadOptions, open_client: OpenClient, most: int, specified: ApiAuthScheme | None = None
) -> tuple[ProbeRequestSender, OpleadAnswer]:
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
    forbidden: list[ApiAuthScheme] = []  # returned 403: the token is known there
    statuses: list[int | None] = []
    styles_left, prefixes_left = iter(styles), iter(prefixes)
    auth, prefix = next(styles_left, None), next(prefixes_left, None)
    is_first = True
    while auth is not None and prefix is not None:
        client = open_client(replace(options, auth=auth, path_prefix=prefix))
        asker = ProbeRequestSender(client, most)
        try:
            with closing(client):
                return asker, asker.request_lead_list({})
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
            raise Transient(_("Oplead kept failing on the list of leads: try again later, or see oplead.base_url"))
        is_first = False
        if status in _ELSEWHERE:
            statuses.append(status)
            prefix = next(prefixes_left, None)
        elif auth.style == "query" and auth != options.auth:
            auth = next(styles_left, None)  # the platform rejects unknown parameters
        else:
            raise Misconfigured(
                _(
                    "Oplead answered {status} to the bare list of leads: it may want parameters; see Oplead's API "
                    "page, and write them as oplead.extra_query or oplead.extra_headers",
                    status=status,
                )
            )
    raise _no_list(options, prefixes, statuses) if prefix is None else _refused_token(styles, forbidden)


def _example(auth: ApiAuthScheme) -> str:
    match auth.style:
        case "bearer":
            return "Authorization: Bearer TOKEN"
        case "header":
            return f"{auth.name}: {auth.prefix}TOKEN"
        case "query":
            return f"?{auth.name}=TOKEN"
        case "none":
            return _("no token")


def _refused_token(tried: Mapping[ApiAuthScheme, None], forbidden: Sequence[ApiAuthScheme]) -> Misconfigured:
    if forbidden:
        return KeyRefused(
            _(
                "Oplead knows the token but lets it read no leads (403, sent as {example}): {advice}; other keys see "
                "only some leads",
                example=_example(forbidden[0]),
                advice=_(PUT_THE_KEY),
            )
        )
    return KeyRefused(
        _(
            "Oplead refuses the token however it is sent: {advice} (gear, API, tab API Oplead), or, if Oplead names "
            "a way that was not tried, write it as oplead.auth. Tried: {tried}",
            advice=_(PUT_THE_KEY),
            tried=", ".join(dict.fromkeys(map(_example, tried))),
        )
    )


def _no_list(options: OpleadOptions, prefixes: Sequence[str], statuses: Sequence[int | None]) -> Misconfigured:
    places = ", ".join(prefix + options.leads_path for prefix in prefixes)
    if any(status in _REDIRECTS for status in statuses):
        return Misconfigured(
            _(
                "no list of leads is found at {places} (redirects are not followed: the token would go along): write "
                "its address as oplead.base_url, oplead.path_prefix and oplead.leads_path",
                places=places,
            )
        )
    return Misconfigured(
        _(
            "no list of leads is found at {places}: write its address as oplead.base_url, oplead.path_prefix and "
            "oplead.leads_path",
            places=places,
        )
    )


def auth_and_path_notes(
    found: OpleadOptions, configured: OpleadOptions, specified: ApiAuthScheme | None = None
) -> Iterator[str]:
    """Yield a sentence on the auth style, and one for each problem or difference from the configured options."""
    source = _("as the settings say") if found.auth == configured.auth else _("found by trying")
    source = _("as the specification says") if found.auth == specified else source
    yield _("The token is sent as {example} ({source}).", example=_example(found.auth), source=source)
    if found.auth.style == "query":
        yield _("A token in the address ends up in the logs of servers between here and Oplead: ask for a header.")
    if found.path_prefix != configured.path_prefix:
        yield _(
            "The list of leads is at {found}, not at {configured}.",
            found=found.path_prefix + found.leads_path,
            configured=configured.path_prefix,
        )
