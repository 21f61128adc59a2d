"""Which addresses may be used: https anywhere, plain http only on this machine."""

from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, AnyUrl


def is_loopback(url: AnyUrl) -> bool:
    """Whether an address is on this machine: `localhost`, 127.0.0.0/8 or ::1."""
    host = (url.host or "").strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _usable(url: AnyUrl) -> AnyUrl:
    if url.scheme not in {"https", "http"} or not url.host:
        raise ValueError("write an address as https://host")
    if url.scheme == "http" and not is_loopback(url):
        raise ValueError("plain http is for this machine only (127.0.0.1, localhost); write https://")
    if url.username or url.password:
        raise ValueError("an address carries no user name or password; take them out")
    if url.query or url.fragment:
        raise ValueError("an address ends before any ? or #; take out what follows")
    return url


Address = Annotated[AnyUrl, AfterValidator(_usable)]
"""An absolute https address without user, query or fragment; http where the host is this machine."""
