"""A body as it was before it was packed for the way, and no more of it than it may have."""

import zlib
from collections.abc import Iterable, Iterator

PACKINGS = "gzip, deflate"
"""What a request may say that it accepts."""
_UNPACKED = frozenset({"", "identity"})
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
_EITHER = 32 + zlib.MAX_WBITS  # the head tells which of the two formats it is


class TooLargeError(Exception):
    """A body is larger than it may be."""


def unpacked(parts: Iterable[bytes], packing: str, *, most: int) -> bytes:
    """The body whose parts come in, unpacked by what `Content-Encoding` says; never more than `most` bytes are held.

    Raises:
        TooLargeError: it has more.
        ValueError: it is packed otherwise, more than once, or not as it says.
    """
    known = packing.strip().casefold()
    if known in _UNPACKED:
        return _joined(parts, most)
    if known not in _KNOWN:
        raise ValueError("packed in another way than was asked for")
    unpack = zlib.decompressobj(_EITHER)
    try:
        body = _joined(_unpacked_parts(unpack, parts, most), most)
    except zlib.error:
        raise ValueError("not packed as it says") from None
    if not unpack.eof:
        raise ValueError("cut short")
    return body


def _unpacked_parts(unpack: "zlib._Decompress", parts: Iterable[bytes], most: int) -> Iterator[bytes]:
    for part in parts:
        yield unpack.decompress(part, most + 1)
        if unpack.unused_data:
            raise ValueError("something follows what is packed")


def _joined(parts: Iterable[bytes], most: int) -> bytes:
    body = bytearray()
    for part in parts:
        body += part
        if len(body) > most:
            raise TooLargeError
    return bytes(body)
