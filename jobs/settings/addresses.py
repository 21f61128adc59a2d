"""Which addresses may be used: https anywhere, plain http only on this machine."""

from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, AnyUrl

from connectors.host_names import is_loopback

_DOCUMENTATION = frozenset(
    {"documentation", "docs", "doc", "swagger", "swagger-ui", "api-docs", "apidoc", "redoc", "openapi"}
)
_FILES = (".html", ".json", ".yaml", ".yml")
_LEADS = frozenset({"leads", "lead"})


def taken_apart(address: str) -> tuple[str, str | None]:
    """An address as people copy it, from documentation or of the list itself: the host's, and how its paths begin.

    None where it does not tell how they begin. Oplead's guide names a page of documentation:
    https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead
    """
    try:
        told = urlsplit(address)
    except ValueError:
        return address, None
    names = [name for name in told.path.split("/") if name]
    ends = (place for place, name in enumerate(names) if _is_documented(name) or name in _LEADS)
    end = next(ends, None)
    if not names:
        return address, None
    query, fragment = (told.query, told.fragment) if end is None else ("", "")
    start = "".join(f"/{name}" for name in names[:end])
    is_page = end is not None and names[end] not in _LEADS
    return urlunsplit((told.scheme, told.netloc, "", query, fragment)), None if is_page and not start else start


def _is_documented(name: str) -> bool:
    return name.casefold() in _DOCUMENTATION or name.casefold().endswith(_FILES)


def is_local(url: AnyUrl) -> bool:
    """Whether an address is on this machine."""
    return is_loopback(url.host or "")


def _usable(url: AnyUrl) -> AnyUrl:
    if url.scheme not in {"https", "http"} or not url.host:
        raise ValueError("write an address as https://host")
    if url.scheme == "http" and not is_local(url):
        raise ValueError("plain http is for this machine only (127.0.0.1, localhost); write https://")
    if url.username or url.password:
        raise ValueError("an address carries no user name or password; take them out")
    if url.query or url.fragment:
        raise ValueError("an address ends before any ? or #; take out what follows")
    return url


Address = Annotated[AnyUrl, AfterValidator(_usable)]
"""An absolute https address without user, query or fragment; http where the host is this machine."""
