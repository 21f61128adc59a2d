"""One connection to Oplead, which another thread can abort: what is sent on it, and how much of an answer is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import httpx

from connectors.http import TooLargeError, decompress_body, shut_down_socket

_LARGEST_REFUSAL = 65_536  # bytes; a longer error body is dropped
_LARGEST_RECEIPT = 1024 * 1024
"""Bytes of an answer to a write; a longer one is dropped."""
_CONNECTED = ("connect_tcp.complete", "start_tls.complete")
_SENDING = "send_request_headers.started"


@dataclass(frozen=True, slots=True)
class FilePart:
    """An open file to send as one part of a form, read in pieces as it is sent."""

    part: str
    """The part's name."""
    name: str
    """The file's name."""
    media_type: str
    file: BinaryIO = field(repr=False)
    size: int
    """Bytes."""


@dataclass(slots=True)
class AbortableClient:
    """A client that holds at most one connection, abortable from another thread."""

    client: httpx.Client
    is_aborted: bool = field(default=False, init=False)
    has_begun: bool = field(default=False, init=False)
    """Whether the latest request may have sent a byte."""
    _stream: Any = field(default=None, init=False)
    """The httpcore stream of the latest connection."""

    def get(self, address: str, most: int) -> tuple[httpx.Response, bytes]:
        """Return the response and its unpacked body, of at most `most` bytes; a long error body comes back empty."""
        with self.client.stream("GET", address, extensions={"trace": self._trace}) as response:
            if response.is_success:
                return response, _body(response, most)
            try:
                return response, _body(response, _LARGEST_REFUSAL)
            except (TooLargeError, ValueError):
                return response, b""

    def send_write_request(
        self, verb: str, address: str, body: bytes | FilePart | None
    ) -> tuple[httpx.Response, bytes]:
        """Return the response to one write and its body, empty where it cannot be had."""
        self.has_begun = False
        with self.client.stream(verb, address, extensions={"trace": self._trace}, **_content_of(body)) as response:
            try:
                return response, _body(response, _LARGEST_RECEIPT)
            except (httpx.HTTPError, TooLargeError, ValueError):
                return response, b""

    def abort(self) -> None:
        """End the request running in another thread."""
        self.is_aborted = True
        if self._stream is not None:
            shut_down_socket(self._stream.get_extra_info("socket"))

    def _trace(self, event: str, info: Mapping[str, object]) -> None:
        """Keep the stream of a new connection: https://www.python-httpx.org/advanced/extensions/#trace."""
        if event.endswith(_CONNECTED):
            self._stream = info["return_value"]
            if self.is_aborted:
                self.abort()
        self.has_begun |= event.endswith(_SENDING)


def _content_of(body: bytes | FilePart | None) -> Mapping[str, Any]:
    """Return the arguments with which httpx sends a body."""
    match body:
        case FilePart():
            return {"files": {body.part: (body.name, body.file, body.media_type)}}
        case bytes():
            return {"content": body, "headers": {"Content-Type": "application/json"}}
        case None:
            return {}


def _body(response: httpx.Response, most: int) -> bytes:
    return decompress_body(response.iter_raw(), response.headers.get("Content-Encoding", ""), most=most)
