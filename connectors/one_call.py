"""Sessions of `requests` that make one call and no other: no retry, no redirect, bounded in time and size."""

import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout, ProxyError, ReadTimeout
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from connectors.errors import Misconfigured
from connectors.http import WAITS, CancelToken, bounded, causes, is_loopback, is_unknown_host, shut_down_socket
from connectors.records import Lost, NotSent

Answer = TypeVar("Answer")

_NO_HANDSHAKE = {
    "NO_PROTOCOLS_AVAILABLE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "WRONG_VERSION_NUMBER",
}
"""OpenSSL's reasons that only arise before the first byte of a request."""

UPLOAD_GRACE = 5.0
"""Seconds that an upload's answer may still take after a stop was asked for: without it nobody knows what counts."""
LARGEST_ANSWER = 4 * 1024 * 1024
"""Bytes, unpacked; an answer that blames two thousand events is a tenth of it."""
_PART = 65_536  # bytes


class AnswerTooLarge(requests.RequestException):
    """An answer larger than any that is meant."""


def checked_address(url: str, what: str) -> str:
    """The address without a closing slash.

    Raises Misconfigured unless it is https, or http to this machine.
    """
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))):
        raise Misconfigured(f"{what} must be an https address (http only to this machine)")
    return url.rstrip("/")


def restrain(session: requests.Session, url: str) -> None:
    """Follow no redirect, read no endless answer, use no proxy of the environment towards this machine."""
    session.hooks["response"].append(_bound_body)
    session.max_redirects = 0
    session.trust_env = not is_loopback(urlsplit(url).hostname or "")
    session.mount(_EVERYWHERE, _Connections())
    session.mount("http://", session.get_adapter(_EVERYWHERE))


def exchange(
    session: requests.Session,
    call: Callable[[], Answer],
    timeout: float | tuple[float, float],
    *,
    cancel_token: CancelToken | None,
    grace: float = 0.0,
) -> Answer:
    """What a call by a restrained session returns or raises, from connecting to the last byte of the answer.

    All of it may take four times as long as one wait (`timeout`, in seconds), and ends `grace` seconds after
    `cancel_token` raises: a timeout bounds only the wait for each part, and a head may come byte by byte, or after
    hints without end.

    Raises:
        ConnectTimeout: no connection came about, so nothing was sent.
        ReadTimeout: no whole answer came; what was asked may have arrived.
    """
    line = cast(_Connections, session.get_adapter(_EVERYWHERE))
    wait = max(timeout) if isinstance(timeout, tuple) else timeout
    try:
        return bounded(call, wait * WAITS, cancel_token=cancel_token, grace=grace, abort=line.cut)
    except TimeoutError:
        if not line.has_connected:
            raise ConnectTimeout("no connection in time") from None
        raise ReadTimeout("no whole answer in time") from None


def never_connected(error: requests.RequestException) -> bool:
    """Whether it failed before anything was sent: no address, connection, TLS or way through the proxy."""
    return isinstance(error, ConnectTimeout | ProxyError) or any(
        isinstance(cause, NewConnectionError | ssl.SSLCertVerificationError)
        or (isinstance(cause, ssl.SSLError) and cause.reason in _NO_HANDSHAKE)
        for cause in causes(error)
    )


def nobody_answers(error: BaseException) -> bool:
    """Whether there is no such host, or no connection to it; one that takes too long may be there."""
    return any(isinstance(cause, NewConnectionError) for cause in causes(error))


def receipt_of(error: requests.RequestException, address: str, *, unreachable: str = "") -> NotSent | Lost:
    """What comes of an upload that failed so; the error's own message may hold the address, its request the events.

    Args:
        error: what the call raised.
        address: where it went, or the setting that says so.
        unreachable: the address to name where no connection to it comes about at all.
    """
    reason = type(error).__name__
    if is_unknown_host(error):
        return NotSent(f"the host name in {address} does not exist", unreachable, is_unknown_host=True)
    if never_connected(error):
        return NotSent(f"no connection: {reason}", unreachable if nobody_answers(error) else "")
    return Lost(reason)


_EVERYWHERE = "https://"


class _Connections(HTTPAdapter):
    """A session's connections, which may be cut while its call is under way in another thread.

    A handshake that is under way is left to its own timeouts: its socket is the TLS library's.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sockets: list[socket.socket] = []
        self._is_cut = False

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        """The pool requests takes each connection from; made for being overridden."""
        pool = cast(HTTPConnectionPool, super().get_connection_with_tls_context(*args, **kwargs))
        pool.ConnectionCls = partial(self._connection, pool.ConnectionCls)  # type: ignore[assignment, arg-type]  # only ever called
        return pool

    def cut(self) -> None:
        """End every connection there is, and make no other."""
        self._is_cut = True
        for line in self._sockets:
            shut_down_socket(line)

    @property
    def has_connected(self) -> bool:
        """Whether any connection came about before it was cut; one that does later is cut before it carries a thing."""
        return bool(self._sockets)

    def _connection(self, kind: type[HTTPConnection], *args: Any, **kwargs: Any) -> HTTPConnection:
        connection = kind(*args, **kwargs)
        connection.connect = partial(self._connect, connection, connection.connect)  # type: ignore[method-assign]
        return connection

    def _connect(self, connection: HTTPConnection, connect: Callable[[], None]) -> None:
        """Keep the socket: the connection itself forgets it as soon as the head of its last answer is there."""
        connect()
        self._sockets.append(cast(socket.socket, connection.sock))
        if self._is_cut:
            self.cut()


def _bound_body(response: requests.Response, **_sent: object) -> None:
    response.raw.stream = partial(_parts, response.raw)  # type: ignore[method-assign]  # requests reads by it


def _parts(raw: HTTPResponse, _size: int, *, decode_content: bool) -> Iterator[bytes]:
    read = 0
    while part := raw.read1(_PART, decode_content=decode_content):  # unpacks no more than that at a time
        read += len(part)
        if read > LARGEST_ANSWER:
            raw.close()
            raise AnswerTooLarge
        yield part
