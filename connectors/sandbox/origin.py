"""Keeps the pages of other sites, open in a browser of this machine, from having a hand on the sandbox."""

from collections.abc import Callable
from urllib.parse import urlsplit

from connectors.sandbox.http import Request, Response, json_response

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def for_own_pages(handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """The handler, asked only by its own pages and by what is no browser; 403 for everybody else.

    A host name that is not this machine's is one that was bound to it anew (DNS rebinding); the other headers are
    browsers' own (https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site).
    """

    def guarded(request: Request) -> Response:
        if _is_own(request):
            return handler(request)
        return json_response(403, {"error": "only the sandbox's own page, and what is no browser, may ask this"})

    return guarded


def _is_own(request: Request) -> bool:
    host = request.headers.get("host", "localhost")
    return (
        _name(host) in _LOOPBACK
        and request.headers.get("origin", f"http://{host}") == f"http://{host}"
        and request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    )


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
