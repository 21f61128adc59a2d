"""Kept connections to Oplead, by which one request at a time is asked, bounded in time and size."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from connectors.authorities import authorities
from connectors.bounded import WAITS, Heed, bounded, hang_up
from connectors.host_names import is_loopback
from connectors.unpacked import TooLargeError, unpacked

_LARGEST_REFUSAL = 65_536  # bytes of an error's body that are worth reading
_CONNECTED = ("connect_tcp.complete", "start_tls.complete")


class Lines:
    """As many connections as are used at once, each kept for the next request."""

    def __init__(self, base: httpx.URL, headers: httpx.Headers, timeout: httpx.Timeout, heed: Heed | None) -> None:
        """Open nothing yet; `heed` is asked while an answer is waited for."""
        self._headers = headers
        self._timeout = timeout
        self._heed = heed
        self._may_be_proxied = not is_loopback(base.host)
        self._trusted = authorities(str(base))
        self._idle: deque[_Line] = deque()

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
            line = _Line(self._client())
        try:
            return bounded(partial(line.get, address, most), self.seconds, heed=self._heed, abort=line.cut)
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
class _Line:
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
