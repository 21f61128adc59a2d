"""Connections to Oplead that are kept open, and several requests at a time over them."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import httpx

from connectors.http import WAITS, CancelToken, TooLargeError, authorities, bounded, hang_up, is_loopback, unpacked

_LARGEST_REFUSAL = 65_536  # bytes of an error's body that are worth reading
_CONNECTED = ("connect_tcp.complete", "start_tls.complete")


class Connections:
    """As many connections as are used at once, each kept for the next request."""

    def __init__(
        self, base: httpx.URL, headers: httpx.Headers, timeout: httpx.Timeout, cancel_token: CancelToken | None
    ) -> None:
        """Open nothing yet; `cancel_token` is asked while an answer is waited for."""
        self._headers = headers
        self._timeout = timeout
        self._cancel_token = cancel_token
        self._may_be_proxied = not is_loopback(base.host)
        self._trusted = authorities(str(base))
        self._idle: deque[_Connection] = deque()

    @property
    def seconds(self) -> float:
        """How long one exchange may take, from connecting to the last byte of the answer."""
        return (self._timeout.read or 30.0) * WAITS

    def close(self) -> None:
        """Close the connections that nothing uses."""
        while self._idle:
            self._idle.pop().client.close()

    def get(self, address: str, *, most: int) -> tuple[httpx.Response, bytes]:
        """The answer at an address, and its body unpacked; of an error's body only what is short.

        Raises:
            TimeoutError: no whole answer came in time, or before a stop.
            TooLargeError: its body has more than `most` bytes.
            ValueError: its body cannot be unpacked.
            httpx.HTTPError: the wire failed.
        """
        try:
            line = self._idle.pop()
        except IndexError:
            line = _Connection(self._client())
        try:
            return bounded(
                partial(line.get, address, most), self.seconds, cancel_token=self._cancel_token, abort=line.cut
            )
        finally:
            if not line.is_cut:  # else its request may still be ending in the other thread
                self._idle.append(line)

    def _client(self) -> httpx.Client:
        # Redirects are refused: the token would follow them.
        return httpx.Client(
            headers=self._headers,
            timeout=self._timeout,
            follow_redirects=False,
            trust_env=self._may_be_proxied,
            verify=self._trusted,
        )


@dataclass(slots=True)
class _Connection:
    """One connection at most."""

    client: httpx.Client
    is_cut: bool = field(default=False, init=False)
    _stream: Any = field(default=None, init=False)
    """httpcore's, of the connection made last."""

    def get(self, address: str, most: int) -> tuple[httpx.Response, bytes]:
        with self.client.stream("GET", address, extensions={"trace": self._trace}) as response:
            if response.is_success:
                return response, _body(response, most)
            try:
                return response, _body(response, _LARGEST_REFUSAL)
            except (TooLargeError, ValueError):
                return response, b""

    def cut(self) -> None:
        """End the request that is under way in another thread."""
        self.is_cut = True
        if self._stream is not None:
            hang_up(self._stream.get_extra_info("socket"))

    def _trace(self, event: str, told: Mapping[str, object]) -> None:
        """https://www.python-httpx.org/advanced/extensions/#trace."""
        if event.endswith(_CONNECTED):
            self._stream = told["return_value"]
            if self.is_cut:
                self.cut()


def _body(response: httpx.Response, most: int) -> bytes:
    return unpacked(response.iter_raw(), response.headers.get("Content-Encoding", ""), most=most)


_AHEAD = 4  # times as many as are under way may have come and wait for one before them

K = TypeVar("K")
T = TypeVar("T")


def in_order(
    ask: Callable[[K], T],
    keys: Iterable[K],
    *,
    at_once: int,
    may_begin: Callable[[int], bool],
    stops: Callable[[BaseException], bool],
    pauses: Callable[[BaseException], bool],
) -> Generator[tuple[K, Future[T]], None, None]:
    """Each key and what came of asking for it, in order, while up to `at_once` more are asked for.

    Only the calling thread waits for its turn and takes keys, a bounded number ahead of what it was given. Close
    the generator, or run it to its end: it then returns when every answer has come.

    Args:
        ask: asks for one, on another thread.
        keys: what to ask for.
        at_once: how many may be under way.
        may_begin: told how many are under way, waits until one more may be; False to have one of those end first.
        stops: whether a failure is everyone's; then nothing more is asked for, and it is raised at once.
        pauses: whether nothing more is asked for until a failure has been handed out.
    """
    line: deque[tuple[K, Future[T]]] = deque()
    with ThreadPoolExecutor(at_once, thread_name_prefix="oplead") as pool:
        for key in keys:
            while True:
                yield from _come(line, stops)
                under_way = [future for _, future in line if not future.done()]
                has_room = len(under_way) < at_once and len(line) < _AHEAD * at_once
                paused = any(pauses(failure) for failure in _failures(line))
                if has_room and not paused and may_begin(len(under_way)):
                    break
                wait(under_way, return_when=FIRST_COMPLETED)
            line.append((key, pool.submit(ask, key)))
        while line:
            wait([line[0][1]])
            yield from _come(line, stops)


def _come(line: deque[tuple[K, Future[T]]], stops: Callable[[BaseException], bool]) -> Iterator[tuple[K, Future[T]]]:
    """What has come and stands at the head of the line, unless something in it stops everyone."""
    for failure in _failures(line):
        if stops(failure):
            raise failure
    while line and line[0][1].done():
        yield line.popleft()


def _failures(line: Iterable[tuple[K, Future[T]]]) -> Iterator[BaseException]:
    for _, future in line:
        if future.done() and (failure := future.exception()) is not None:
            yield failure
