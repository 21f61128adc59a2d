"""A call that is waited for no longer than it may take, whatever a library does meanwhile."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import TypeVar

Answer = TypeVar("Answer")
Heed = Callable[[], object]
"""A cancel token: returns where work may go on, raises where somebody asked to stop."""

WAITS = 4
"""An exchange may take as long as so many waits: to connect, to send, for the head, for the body."""
_HEEDED_EVERY = 0.5  # seconds; how long somebody who asks us to stop may wait for us to hear it


def bounded(
    call: Callable[[], Answer],
    seconds: float,
    *,
    heed: Heed | None = None,
    grace: float = 0.0,
    abort: Callable[[], object] | None = None,
) -> Answer:
    """What the call returns or raises, where it does so within `seconds`.

    A call that takes longer goes on in a thread of its own, which does not keep the process from ending.

    Args:
        call: made in another thread.
        seconds: the deadline of all of it.
        heed: asked twice a second; once it raises, only `grace` is left of the time.
        grace: seconds that an answer may still take after a stop was asked for.
        abort: ends the call from outside, so that its thread ends too.

    Raises:
        TimeoutError: it has not come back, in time or before the stop.
    """
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def make() -> None:
        try:
            answers.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            errors.append(error)

    thread = Thread(target=copy_context().run, args=(make,), daemon=True)
    thread.start()
    try:
        _wait(thread, seconds, heed, grace)
    finally:
        # What comes back after this comes because it is ended here: an error of ours, or a torn answer.
        answered, failed = tuple(answers), tuple(errors)
        if abort is not None and not (answered or failed):
            abort()
    if failed:
        raise failed[0]
    if answered:
        return answered[0]
    raise TimeoutError


def _wait(thread: Thread, seconds: float, heed: Heed | None, grace: float) -> None:
    deadline = time.monotonic() + seconds
    while thread.is_alive() and (left := deadline - time.monotonic()) > 0:
        thread.join(min(left, _HEEDED_EVERY))
        if heed is not None and _is_stopped(heed):
            heed, deadline = None, min(deadline, time.monotonic() + grace)


def _is_stopped(heed: Heed) -> bool:
    try:
        heed()
    except BaseException:  # noqa: BLE001 - a stop is told by any; whoever waits for the call asks again
        return True
    return False


def hang_up(line: socket.socket) -> None:
    """End a connection that another thread is in the middle of using.

    By the plain socket's own shutdown: TLS's forgets its keys first, and what the other thread sends next would go out
    unencrypted.
    """
    plain = getattr(line, "socket", line)  # TLS inside a proxy's TLS wraps one
    with suppress(OSError):  # it has ended already
        socket.socket.shutdown(plain, socket.SHUT_RDWR)
