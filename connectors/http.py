"""Shared HTTP plumbing: deadlines, trusted certificates, retries, error causes and bounded decompression."""

import random
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from contextvars import copy_context
from datetime import timedelta
from ipaddress import ip_address
from threading import Thread
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from connectors.errors import Misconfigured, OutOfTime, Transient, UnknownHost
from connectors.language import _

if TYPE_CHECKING:
    from connectors.ports import Clock

T = TypeVar("T")
CancelToken = Callable[[], object]
"""Returns while work may continue, raises once a stop has been requested."""

WAITS = 4
"""Timeouts allowed per exchange: one each to connect, send, read the headers and read the body."""
_CANCEL_POLL = 0.5  # seconds; maximum delay before a cancellation is noticed


def run_with_timeout(
    call: Callable[[], T],
    seconds: float,
    *,
    cancel_token: CancelToken | None = None,
    grace: float = 0.0,
    abort: Callable[[], object] | None = None,
) -> T:
    """Run `call` in a daemon thread and return or raise what it does, if it finishes within `seconds`.

    A call that overruns continues in its thread, which does not keep the process alive.

    Args:
        call: runs in another thread.
        seconds: deadline for the whole call.
        cancel_token: polled twice a second; once it raises, at most `grace` seconds remain.
        grace: seconds the call may still take after a cancellation.
        abort: ends the call from outside so that its thread exits too.

    Raises:
        TimeoutError: the call missed its deadline or was cancelled.
    """
    future: Future[T] = Future()
    Thread(target=copy_context().run, args=(_resolve, future, call), daemon=True).start()
    try:
        _wait(future, seconds, cancel_token, grace)
    finally:
        # Cancel before aborting: whatever the call yields afterwards is a result of the abort.
        is_cut = future.cancel()
        if is_cut and abort is not None:
            abort()
    if is_cut:
        raise TimeoutError
    try:
        return future.result()
    finally:
        del future  # an error that it raises holds this frame, and so would hold itself and what was sent


def _resolve(future: Future[T], call: Callable[[], T]) -> None:
    with suppress(InvalidStateError):  # the future was cancelled
        try:
            answer = call()
        except BaseException as error:  # noqa: BLE001 - re-raised by the waiting thread
            future.set_exception(error)
            del future  # the error holds this frame
        else:
            future.set_result(answer)


def _wait(future: Future[T], seconds: float, cancel_token: CancelToken | None, grace: float) -> None:
    deadline = time.monotonic() + seconds
    while not future.done() and (left := deadline - time.monotonic()) > 0:
        wait([future], min(left, _CANCEL_POLL))
        try:
            if cancel_token is not None:
                cancel_token()
        except BaseException:  # noqa: BLE001 - any exception requests a stop; the caller polls the token again
            cancel_token, deadline = None, min(deadline, time.monotonic() + grace)


def shut_down_socket(line: socket.socket) -> None:
    """Shut down a connection that another thread is using.

    Calls the plain socket's shutdown: the TLS one drops its keys first, so the other thread's next write would go out
    unencrypted.
    """
    plain = getattr(line, "socket", line)  # TLS inside a proxy's TLS wraps a socket
    with suppress(OSError):  # already closed
        socket.socket.shutdown(plain, socket.SHUT_RDWR)


def certificate_authorities(url: str) -> ssl.SSLContext | bool:
    """Return httpx's `verify` for a URL: the default CAs, or for plain HTTP no CAs, since loading them is slow."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.lower().startswith("http://") else True


ATTEMPTS = 5
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=60)
LONGEST_ASKED_FOR = timedelta(minutes=5)


# stamina would fit, but its synchronous retries (26.1.0) call tenacity's `time.sleep` and accept no custom sleep;
# every wait here must go through the clock, which may be a sandbox's.
def retry_read(read: Callable[[], T], *, clock: "Clock", jitter: Callable[[], float] = random.random) -> T:
    """Call `read` up to five times, retrying on `Transient`, and return its result.

    Waits start at 1 s and double up to 60 s, each shortened by up to half (`jitter` returns 0 to 1, where 1 is the full
    wait). A delay requested by the platform takes precedence; one over five minutes ends the retries.

    Raises:
        Transient: the last failure, with the delay the platform requested, if any; UnknownHost and OutOfTime are never
            retried.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return read()
        except (UnknownHost, OutOfTime):
            raise
        except Transient as failure:
            asked = failure.retry_after
            if asked is not None and asked > LONGEST_ASKED_FOR:
                raise
        backoff = min(FIRST_WAIT * (1 << (attempt - 1)), LONGEST_WAIT) * (0.5 + jitter() / 2)
        clock.sleep_until(clock.now() + (asked or backoff))
    return read()


def error_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and, transitively, what it wraps; requests and urllib3 wrap in `args` or `reason`.

    Ignores `__context__`: a call made while handling another failure fails for its own reasons, and may have sent
    something even if the earlier one did not.
    """
    found = [error]
    for cause in found:
        yield cause
        wrapped = (*cause.args, getattr(cause, "reason", None), cause.__cause__)
        found += [each for each in wrapped if isinstance(each, BaseException) and all(each is not old for old in found)]


_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""Excludes EAI_AGAIN, a name server that doesn't answer: https://man7.org/linux/man-pages/man3/getaddrinfo.3.html."""


def is_loopback(host: str) -> bool:
    """Return whether a host is `localhost`, in 127.0.0.0/8, or ::1 with or without brackets."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def checked_address(url: str, what: str) -> str:
    """Return the address without a trailing slash; raise Misconfigured unless https, or http to this machine."""
    parts = urlsplit(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))):
        raise Misconfigured(_("{what} must be an https address (http only to this machine)", what=what))
    return url.rstrip("/")


def is_unknown_host(error: BaseException) -> bool:
    """Return whether DNS reported that the host does not exist, so a retry in a minute cannot help."""
    return any(isinstance(cause, socket.gaierror) and cause.errno in _NO_SUCH_NAME for cause in error_chain(error))


PACKINGS = "gzip, deflate"
"""Value for `Accept-Encoding`."""
_UNPACKED = frozenset({"", "identity"})
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_EITHER = 32 + zlib.MAX_WBITS  # detect zlib or gzip from the header


class TooLargeError(Exception):
    """A body exceeds its size limit."""


def decompress_body(parts: Iterable[bytes], packing: str, *, most: int) -> bytes:
    """Join the parts of a body and decompress them according to `Content-Encoding`, up to `most` bytes.

    Raises:
        TooLargeError: the body is larger than `most`.
        ValueError: the encoding is unsupported or stacked, or the data is corrupt, truncated or followed by more.
    """
    known = packing.strip().casefold()
    if known not in _UNPACKED | _PACKED:
        raise ValueError(_("packed in another way than was asked for"))
    unpack = zlib.decompressobj(_EITHER) if known in _PACKED else None
    body = bytearray()
    try:
        for part in parts:
            body += unpack.decompress(part, most + 1) if unpack else part
            if len(body) > most:
                raise TooLargeError
            if unpack and unpack.unused_data:
                raise ValueError(_("something follows what is packed"))
    except zlib.error:
        raise ValueError(_("not packed as it says")) from None
    if unpack and not unpack.eof:
        raise ValueError(_("cut short"))
    return bytes(body)
