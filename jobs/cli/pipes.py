"""Prevent output errors, such as a closed pipe or a full disk, from changing a command or its exit code."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDOUT, _STDERR = 1, 2


class _Unfailing(FileIO):
    """A file on which every write succeeds; output that cannot be written is dropped."""

    lost: int | None = None
    """The errno of the last dropped write."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write the data, or drop it."""
        try:
            written: int | None = super().write(data)
        except OSError as error:
            self.lost = error.errno
            return memoryview(data).nbytes
        if written is None:  # a non-blocking pipe is full
            self.lost = errno.EAGAIN
            return memoryview(data).nbytes
        return written


@contextmanager
def unfailing_output() -> Iterator[None]:
    """Make writes to stdout and stderr succeed inside the block, and report lost results on stderr at its end.

    Neither `| head` nor an é missing from the encoding of cron's mail may end the night.
    """
    _open_standard_descriptors()
    results = _Unfailing(_STDOUT, "w", closefd=False)
    sys.stdout = _text(results, sys.stdout)
    sys.stderr = _text(_Unfailing(_STDERR, "w", closefd=False), sys.stderr)
    try:
        yield
    finally:
        sys.stdout.flush()
        if results.lost not in (None, errno.EPIPE):
            sys.stderr.write(f"the results could not be written: {os.strerror(results.lost or 0)}\n")
        sys.stderr.flush()


def _text(raw: _Unfailing, replaced: TextIO | None) -> TextIOWrapper:
    """Build a stream like the one it replaces, which is None if its descriptor was closed."""
    encoding = "utf-8" if replaced is None else replaced.encoding
    is_by_line = raw.isatty() or raw.fileno() == _STDERR
    return TextIOWrapper(BufferedWriter(raw), encoding, errors="replace", line_buffering=is_by_line)


def _open_standard_descriptors() -> None:
    """Open closed ones: otherwise the next file opened, perhaps a lock, would get their number and the output."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)
