"""A loopback server that never lets a client go: dripping headers, endless hints, unlimited bodies."""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PATIENCE = 20  # seconds after which the server gives up by itself
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_PART = 1 << 16


class _WaitedOutError(Exception):
    """The client is still connected."""


Script = Callable[[socket.socket, threading.Event], None]


class Endless:
    """Reads each request's head and plays a script on its connection; counts requests and bytes."""

    def __init__(self, script: Script) -> None:
        self.asked = 0
        self.ended = threading.Semaphore(0)
        """Released each time a connection ends, whichever side ended it."""
        self.waited_out = False
        """Whether a client was still connected when `PATIENCE` ran out."""
        self._script = script
        self._over = threading.Event()
        self._ear = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._ear.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Release every client."""
        self._over.set()
        self._ear.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._ear.accept()
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            read = b""
            while b"\r\n\r\n" not in read:
                read += line.recv(_PART)
            self.asked += 1
            try:
                self._script(line, self._over)
            except _WaitedOutError:
                self.waited_out = True
        self.ended.release()


@contextmanager
def endless(script: Script) -> Iterator[Endless]:
    """Run such a server and release its clients at the end."""
    server = Endless(script)
    yield server
    server.close()


def _goes_on(over: threading.Event, every: float) -> Iterator[None]:
    end = time.monotonic() + PATIENCE
    while not over.wait(every):
        if time.monotonic() > end:
            raise _WaitedOutError
        yield


def dripping_head(line: socket.socket, over: threading.Event) -> None:
    """One endless header, a byte at a time."""
    line.sendall(OK + b"X-Slow: ")
    for _ in _goes_on(over, 0.02):
        line.sendall(b"a")


def hints_without_end(line: socket.socket, over: threading.Event) -> None:
    """Informational responses without end."""
    for _ in _goes_on(over, 0.02):
        line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def dripping_body(line: socket.socket, over: threading.Event) -> None:
    """Blanks, which may precede a JSON value."""
    line.sendall(OK + b"\r\n")
    for _ in _goes_on(over, 0.02):
        line.sendall(b" ")


def body_without_end(line: socket.socket, over: threading.Event) -> None:
    """A body as long as the client keeps reading."""
    line.sendall(OK + b"\r\n")
    while not over.is_set():
        line.sendall(b" " * _PART)


def error_without_end(line: socket.socket, over: threading.Event) -> None:
    """The same with an error status."""
    line.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
    while not over.is_set():
        line.sendall(b" " * _PART)


def cut_after(seconds: float, script: Script) -> Script:
    """A script whose connection the server closes after some time."""

    def play(line: socket.socket, _over: threading.Event) -> None:
        over = threading.Event()
        threading.Timer(seconds, over.set).start()
        script(line, over)

    return play


def bomb(megabytes: int) -> Script:
    """A body that is small on the wire and huge when decompressed."""
    packed = gzip.compress(b" " * (megabytes << 20))

    def play(line: socket.socket, _over: threading.Event) -> None:
        head = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
        line.sendall(OK + head.encode() + packed)

    return play


ENDLESS: dict[str, Script] = {
    "head": dripping_head,
    "hints": hints_without_end,
    "body": dripping_body,
}
"""Answers that never end although every part arrives in time."""
