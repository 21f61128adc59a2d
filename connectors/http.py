"""What every HTTP exchange shares: a time limit, trusted certificates, retries, and what an error was caused by."""

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
from typing import TypeVar

from connectors.errors import Transient, UnknownHost
from connectors.ports import Clock

BoundedAnswer = TypeVar("BoundedAnswer")
CancelToken = Callable[[], object]
"""A cancel token: returns where work may go on, raises where somebody asked to stop."""

WAITS = 4
"""An exchange may take as long as so many waits: to connect, to send, for the head, for the body."""
_CANCEL_POLL = 0.5  # seconds; how long somebody who asks us to stop may wait for us to notice


def bounded(
    call: Callable[[], BoundedAnswer],
    seconds: float,
    *,
    cancel_token: CancelToken | None = None,
    grace: float = 0.0,
    abort: Callable[[], object] | None = None,
) -> BoundedAnswer:
    """What the call returns or raises, where it does so within `seconds`.

    A call that takes longer goes on in a thread of its own, which does not keep the process from ending.

    Args:
        call: made in another thread.
        seconds: the deadline of the whole call.
        cancel_token: asked twice a second; once it raises, only `grace` is left of the time.
        grace: seconds that an answer may still take after a stop was asked for.
        abort: ends the call from outside, so that its thread ends too.

    Raises:
        TimeoutError: it has not come back, in time or before the stop.
    """
    future: Future[BoundedAnswer] = Future()
    Thread(target=copy_context().run, args=(_resolve, future, call), daemon=True).start()
    try:
        _wait(future, seconds, cancel_token, grace)
    finally:
        # What comes back after this comes because it is ended here: an error of ours, or a torn answer.
        is_cut = future.cancel()
        if is_cut and abort is not None:
            abort()
    if is_cut:
        raise TimeoutError
    return future.result()


def _resolve(future: Future[BoundedAnswer], call: Callable[[], BoundedAnswer]) -> None:
    with suppress(InvalidStateError):  # nobody waits for it any more
        try:
            answer = call()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            future.set_exception(error)
        else:
            future.set_result(answer)


def _wait(future: Future[BoundedAnswer], seconds: float, cancel_token: CancelToken | None, grace: float) -> None:
    deadline = time.monotonic() + seconds
    while not future.done() and (left := deadline - time.monotonic()) > 0:
        wait([future], min(left, _CANCEL_POLL))
        if cancel_token is not None and _is_stopped(cancel_token):
            cancel_token, deadline = None, min(deadline, time.monotonic() + grace)


def _is_stopped(cancel_token: CancelToken) -> bool:
    try:
        cancel_token()
    except BaseException:  # noqa: BLE001 - any of them asks for a stop; whoever waits for the call asks again
        return True
    return False


def shut_down_socket(line: socket.socket) -> None:
    """End a connection that another thread is using.

    By the plain socket's own shutdown: TLS's forgets its keys first, and what the other thread sends next would go out
    unencrypted.
    """
    plain = getattr(line, "socket", line)  # TLS inside a proxy's TLS wraps one
    with suppress(OSError):  # it has ended already
        socket.socket.shutdown(plain, socket.SHUT_RDWR)


def authorities(url: str) -> ssl.SSLContext | bool:
    """The usual ones; for plain text, which shows no certificate, nobody: reading their list outlasts a request."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.lower().startswith("http://") else True


ATTEMPTS = 5
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=60)
LONGEST_ASKED_FOR = timedelta(minutes=5)

T = TypeVar("T")


# stamina would be the library for this, but its synchronous retries end in tenacity's `time.sleep` and take
# no sleep of ours (26.1.0); every wait here must go through the clock, which may be a sandbox's.
def retry_read(read: Callable[[], T], *, clock: Clock, jitter: Callable[[], float] = random.random) -> T:
    """Return what `read` returns, calling it again while it is `Transient`, five times in all.

    Waits 1 s, doubling to 60 s, each shortened by up to half (`jitter` is from 0 to 1, where 1 is the whole wait). A
    delay the platform asks for is waited for instead; one longer than five minutes is not waited for here.

    Raises:
        Transient: the last one, with the platform's own delay where it named one; an UnknownHost at once.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return read()
        except UnknownHost:
            raise
        except Transient as failure:
            asked = failure.retry_after
            if asked is not None and asked > LONGEST_ASKED_FOR:
                raise
        backoff = min(FIRST_WAIT * (1 << (attempt - 1)), LONGEST_WAIT) * (0.5 + jitter() / 2)
        clock.sleep_until(clock.now() + (asked or backoff))
    return read()


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it wraps, and so on; requests and urllib3 wrap by `args` or `reason`.

    Not what was merely being handled when it was raised (`__context__`): a call made because another one failed has
    reasons of its own, and may have sent something though that one did not.
    """
    found = [error]
    for cause in found:
        yield cause
        wrapped = (*cause.args, getattr(cause, "reason", None), cause.__cause__)
        found += [each for each in wrapped if isinstance(each, BaseException) and all(each is not old for old in found)]


_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""Name servers that do not answer are EAI_AGAIN (https://man7.org/linux/man-pages/man3/getaddrinfo.3.html)."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost`, 127.0.0.0/8 or ::1, with or without brackets."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_unknown_host(error: BaseException) -> bool:
    """Whether a name server has said that there is no such host: asking again in a minute cannot help."""
    return any(isinstance(cause, socket.gaierror) and cause.errno in _NO_SUCH_NAME for cause in causes(error))


PACKINGS = "gzip, deflate"
"""What a request may say that it accepts."""
_UNPACKED = frozenset({"", "identity"})
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_EITHER = 32 + zlib.MAX_WBITS  # the head says which of the two formats it is


class TooLargeError(Exception):
    """A body is larger than it may be."""


def unpacked(parts: Iterable[bytes], packing: str, *, most: int) -> bytes:
    """The body whose parts come in, unpacked by what `Content-Encoding` says; never more than `most` bytes are held.

    Raises:
        TooLargeError: it has more.
        ValueError: it is packed otherwise, more than once, or not as it says.
    """
    known = packing.strip().casefold()
    if known not in _UNPACKED | _PACKED:
        raise ValueError("packed in another way than was asked for")
    unpack = zlib.decompressobj(_EITHER) if known in _PACKED else None
    body = bytearray()
    try:
        for part in parts:
            body += unpack.decompress(part, most + 1) if unpack else part
            if len(body) > most:
                raise TooLargeError
            if unpack and unpack.unused_data:
                raise ValueError("something follows what is packed")
    except zlib.error:
        raise ValueError("not packed as it says") from None
    if unpack and not unpack.eof:
        raise ValueError("cut short")
    return bytes(body)
