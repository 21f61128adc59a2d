"""Sessions of `requests` that make one call and no other: no retry, no redirect, bounded waits."""

import ssl
import time
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

import requests
from requests.exceptions import ConnectTimeout, ProxyError, ReadTimeout
from urllib3 import HTTPResponse
from urllib3.exceptions import NewConnectionError

from connectors.errors import Misconfigured

_NO_HANDSHAKE = {
    "NO_PROTOCOLS_AVAILABLE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "WRONG_VERSION_NUMBER",
}
"""OpenSSL's reasons that only arise before the first byte of a request."""

_WHOLE_ANSWER = 4  # times the timeout; a body that drips for longer than this is none
_PART = 65_536  # bytes


def checked_address(url: str, what: str) -> str:
    """The address without a closing slash.

    Raises Misconfigured unless it is https, or http to this machine.
    """
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))):
        raise Misconfigured(f"{what} must be an https address (http only to this machine)")
    return url.rstrip("/")


def restrain(session: requests.Session, url: str) -> None:
    """Follow no redirect, wait for no dripping answer, use no proxy of the environment towards this machine."""
    session.hooks["response"].append(_bound_body)  # type: ignore[arg-type]  # the stubs leave out the options
    session.max_redirects = 0
    session.trust_env = not is_loopback(url)


def never_connected(error: requests.RequestException) -> bool:
    """Whether it failed before anything was sent: no address, connection, TLS or way through the proxy."""
    return isinstance(error, ConnectTimeout | ProxyError) or any(_is_before(cause) for cause in _causes(error))


def nobody_answers(error: BaseException) -> bool:
    """Whether there is no such host, or no connection to it; one that takes too long may be there."""
    return any(isinstance(cause, NewConnectionError) for cause in _causes(error))


def _bound_body(response: requests.Response, *, timeout: float | tuple[float, float], **_sent: object) -> None:
    """Give the whole body a few timeouts: the timeout alone bounds only the wait for each part of it."""
    for_a_part = timeout[1] if isinstance(timeout, tuple) else timeout
    deadline = time.monotonic() + for_a_part * _WHOLE_ANSWER
    response.raw.stream = partial(_parts, response.raw, deadline)  # type: ignore[method-assign]  # requests reads by it


def _parts(raw: HTTPResponse, deadline: float, _size: int, *, decode_content: bool) -> Iterator[bytes]:
    while part := raw.read1(_PART, decode_content=decode_content):
        if time.monotonic() > deadline:
            raw.close()
            raise ReadTimeout("the answer drips")
        yield part


def _is_before(cause: object) -> bool:
    if isinstance(cause, ssl.SSLError) and cause.reason in _NO_HANDSHAKE:
        return True
    return isinstance(cause, NewConnectionError | ssl.SSLCertVerificationError)


def _causes(error: BaseException) -> Iterator[object]:
    """The error, what it wraps, and so on; requests and urllib3 wrap by `args` or `reason`."""
    found: list[object] = [error]
    for cause in found:
        yield cause
        wrapped = [
            *getattr(cause, "args", ()),
            getattr(cause, "reason", None),
            getattr(cause, "__cause__", None),
        ]
        found.extend(each for each in wrapped if isinstance(each, BaseException) and each not in found)


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
