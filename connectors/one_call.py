"""`requests` sessions that make a single call: no retries or redirects, bounded in time and size."""

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout, ProxyError, ReadTimeout
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from connectors.errors import NothingSent
from connectors.http import (
    WAITS,
    CancelToken,
    error_chain,
    is_loopback,
    is_unknown_host,
    run_with_timeout,
    shut_down_socket,
)
from connectors.language import _
from connectors.records import AnswerLost, RequestNotSent

Answer = TypeVar("Answer")

_NO_HANDSHAKE = {
    "NO_PROTOCOLS_AVAILABLE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "WRONG_VERSION_NUMBER",
}
"""OpenSSL reasons that can only occur before the first byte of a request is sent."""

UPLOAD_GRACE = 5.0
"""Seconds an upload's answer may still take after a cancellation; without it the outcome is lost."""
LARGEST_ANSWER = 4 * 1024 * 1024
"""Bytes, decompressed; an answer that faults 2,000 events takes a tenth of this."""
_PART = 65_536  # bytes


class AnswerTooLarge(requests.RequestException):
    """An answer exceeds LARGEST_ANSWER."""


def silence_vendor_logging(*loggers: str, below: int = logging.WARNING) -> None:
    """Keep a vendor library's requests, addresses and tokens out of the logs."""
    for name in loggers:
        logging.getLogger(name).setLevel(below)


def restrict_http_session(session: requests.Session, url: str) -> None:
    """Disable redirects, bound the size of answers, and ignore environment proxies for loopback addresses."""
    session.hooks["response"].append(_bound_body)
    session.max_redirects = 0
    session.trust_env = not is_loopback(urlsplit(url).hostname or "")
    session.mount(_EVERYWHERE, _Connections())
    session.mount("http://", session.get_adapter(_EVERYWHERE))


def run_call(
    session: requests.Session,
    call: Callable[[], Answer],
    timeout: float | tuple[float, float],
    *,
    cancel_token: CancelToken | None,
    grace: float = 0.0,
) -> Answer:
    """Run a call made through a restrained session and return or raise what it does.

    The whole exchange may take four times `timeout` (seconds per wait) and ends at most `grace` seconds after
    `cancel_token` raises. A timeout alone bounds only each wait: headers may trickle in byte by byte, or follow endless
    interim responses.

    Raises:
        ConnectTimeout: no connection was established, so nothing was sent.
        ReadTimeout: no complete answer arrived; the request may have.
    """
    line = cast(_Connections, session.get_adapter(_EVERYWHERE))
    wait = max(timeout) if isinstance(timeout, tuple) else timeout
    try:
        return run_with_timeout(
            call, wait * WAITS, cancel_token=cancel_token, grace=grace, abort=line.shut_down_connections
        )
    except TimeoutError:
        if not line.has_connected:
            raise ConnectTimeout(_("no connection in time")) from None
        raise ReadTimeout(_("no whole answer in time")) from None


@contextmanager
def before_any_byte(session: requests.Session | None = None) -> Iterator[None]:
    """Say of what fails in this block, and nobody foresaw, that nothing was sent: no call has begun.

    With a restrained `session`, the call is made in the block; then that is so until there is a connection, and the
    network's errors pass.

    Raises:
        NothingSent: from the error.
    """
    try:
        yield
    except NothingSent:
        raise
    except Exception as error:
        if session is not None and (
            isinstance(error, OSError) or cast(_Connections, session.get_adapter(_EVERYWHERE)).has_connected
        ):
            raise
        raise NothingSent from error


def never_connected(error: requests.RequestException) -> bool:
    """Return whether a call failed before sending anything: in DNS, connect, TLS handshake or proxy."""
    return isinstance(error, ConnectTimeout | ProxyError) or any(
        isinstance(cause, NewConnectionError | ssl.SSLCertVerificationError)
        or (isinstance(cause, ssl.SSLError) and cause.reason in _NO_HANDSHAKE)
        for cause in error_chain(error)
    )


def is_host_unreachable(error: BaseException) -> bool:
    """Return whether DNS lookup or connecting failed; a connect timeout doesn't count, as the host may be there."""
    return any(isinstance(cause, NewConnectionError) for cause in error_chain(error))


def receipt_of(error: OSError, address: str) -> RequestNotSent | AnswerLost:
    """Return the receipt of an upload that raised, without the error's text, which may hold the address and events.

    Args:
        error: what the call raised; requests wraps network errors in its own.
        address: the address called, or the setting that holds it.
    """
    if is_unknown_host(error):
        return RequestNotSent(
            _("the host name in {address} does not exist", address=address), address, is_unknown_host=True
        )
    reason = type(error).__name__
    if not isinstance(error, requests.RequestException):  # no CA bundle at the path the environment sets
        return RequestNotSent(reason)
    if never_connected(error):
        return RequestNotSent(
            _("no connection: {reason}", reason=reason), address if is_host_unreachable(error) else ""
        )
    return AnswerLost(reason)


_EVERYWHERE = "https://"


class _Connections(HTTPAdapter):
    """A session's connections, which can be cut while a call is running in another thread.

    A handshake in progress is left to its own timeouts, since the TLS library owns its socket.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sockets: list[socket.socket] = []
        self._is_cut = False

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        """Return the pool that requests takes connections from; an official override point."""
        pool = cast(HTTPConnectionPool, super().get_connection_with_tls_context(*args, **kwargs))
        pool.ConnectionCls = partial(self._connection, pool.ConnectionCls)  # type: ignore[assignment, arg-type]  # only ever called
        return pool

    def shut_down_connections(self) -> None:
        """Shut down every connection and any opened later."""
        self._is_cut = True
        for line in self._sockets:
            shut_down_socket(line)

    @property
    def has_connected(self) -> bool:
        """Whether any connection was established; one opened after `cut` is shut down before it carries data."""
        return bool(self._sockets)

    def _connection(self, kind: type[HTTPConnection], *args: Any, **kwargs: Any) -> HTTPConnection:
        connection = kind(*args, **kwargs)
        connection.connect = partial(self._connect, connection, connection.connect)  # type: ignore[method-assign]
        return connection

    def _connect(self, connection: HTTPConnection, connect: Callable[[], None]) -> None:
        """Keep the socket: the connection drops its reference once the headers of its last answer have arrived."""
        connect()
        self._sockets.append(cast(socket.socket, connection.sock))
        if self._is_cut:
            self.shut_down_connections()


def _bound_body(response: requests.Response, **_sent: object) -> None:
    response.raw.stream = partial(_parts, response.raw)  # type: ignore[method-assign]  # requests reads bodies through it


def _parts(raw: HTTPResponse, _size: int, *, decode_content: bool) -> Iterator[bytes]:
    read = 0
    while part := raw.read1(_PART, decode_content=decode_content):  # decompresses at most _PART at a time
        read += len(part)
        if read > LARGEST_ANSWER:
            raw.close()
            raise AnswerTooLarge
        yield part
