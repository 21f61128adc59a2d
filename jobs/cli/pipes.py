"""Keeps output that cannot be written, by a closed pipe or a full disk, from changing a command or its exit code."""

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
    """A descriptor to which every write succeeds: what cannot be written is dropped."""

    lost: int | None = None
    """The system's number of why something was."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, or drop it."""
        try:
            written: int | None = super().write(data)
        except OSError as error:
            self.lost = error.errno
            return memoryview(data).nbytes
        if written is None:  # nobody reads from a pipe that does not wait
            self.lost = errno.EAGAIN
            return memoryview(data).nbytes
        return written


@contextmanager
def unfailing_output() -> Iterator[None]:
    """Have stdout and stderr take everything while the block runs; lost results are reported on stderr at the end.

    A conversion's name must not end the night because a mail's encoding has no é, nor may `| head`.
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
    """A stream like the one it takes the place of, which is None where its descriptor was closed."""
    encoding = "utf-8" if replaced is None else replaced.encoding
    is_by_line = raw.isatty() or raw.fileno() == _STDERR
    return TextIOWrapper(BufferedWriter(raw), encoding, errors="replace", line_buffering=is_by_line)


def _open_standard_descriptors() -> None:
    """Open those that are closed: else the next file, perhaps a lock, would get their number and what is printed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)
