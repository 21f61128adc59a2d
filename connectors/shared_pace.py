"""One platform's pace in a small file, for every process of this machine that asks it."""

import fcntl
import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path

from connectors.errors import Transient
from connectors.pacing import WINDOW, Trace

_log = logging.getLogger(__name__)
_LONGEST_FILE = 1_000_000
_PAUSE = 0.005  # seconds between two looks at the lock
_START = datetime(1970, 1, 1, tzinfo=UTC)
_UNKNOWN = "unknown"
"""Whose trace stands for what could not be read."""


def pace_file(folder: Path, address: str, token: str) -> Path:
    """The file of the platform at `address` asked with `token`, neither of which can be read from its name."""
    digest = hashlib.sha256(f"{address}\0{token}".encode(errors="replace")).hexdigest()
    return folder / f"oplead-sync-{digest[:16]}.pace"


class SharedPace:
    """What the processes that ask one platform have asked of it lately, in one file.

    A file that cannot be read costs a minute, in which nothing goes out. Where it cannot be written (a folder
    that is read-only, a disk that is full), a warning is logged and this process keeps the pace by itself.
    """

    def __init__(self, path: Path, *, patience: float = 10.0) -> None:
        """Open nothing yet; `patience` bounds the wait for another process, in real seconds."""
        self._path = path
        self._patience = patience
        self._me = secrets.token_hex(8)
        self._alone = False

    @contextmanager
    def opened(self, own: Trace, now: datetime) -> Iterator[Sequence[Trace]]:
        """Keep the others out while the block runs; gives their traces, and tells them `own` as it is at the end.

        Raises:
            Transient: another process keeps us out for too long.
        """
        file = None if self._alone else self._open()
        if file is None:
            yield ()
            return
        with file:
            others = self._others(file, now)
            yield tuple(others.values())
            self._write(file, {**others, self._me: own})

    def _open(self) -> FileIO | None:
        """The file, locked; the system lets go of it should this process die."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = FileIO(self._path, "r+", opener=_privately)
        except OSError as error:
            self._leave_it(error)
            return None
        try:
            self._lock(file)
        except OSError as error:
            file.close()
            self._leave_it(error)
            return None
        except BaseException:
            file.close()
            raise
        return file

    def _lock(self, file: FileIO) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Transient(f"another process holds {self._path.name}, by which we share a pace") from None
                time.sleep(_PAUSE)
            else:
                return

    def _others(self, file: FileIO, now: datetime) -> dict[str, Trace]:
        try:
            content = file.read(_LONGEST_FILE)
            told = {name: _trace(one).at(now) for name, one in json.loads(content or b"{}").items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            told = {_UNKNOWN: Trace(closed_until=now + WINDOW)}
        return {name: trace for name, trace in told.items() if trace and name != self._me}

    def _write(self, file: FileIO, traces: Mapping[str, Trace]) -> None:
        content = json.dumps({name: _plain(trace) for name, trace in traces.items()}).encode()
        try:
            # Written over first and cut off then: whoever dies in between leaves no JSON, never an empty file.
            file.seek(0)
            file.write(content)
            file.truncate()
        except OSError as error:
            self._leave_it(error)

    def _leave_it(self, error: OSError) -> None:
        self._alone = True
        _log.warning("no pace is shared with other processes: %s (%s)", self._path.name, error.strerror)


def _privately(name: str, flags: int) -> int:
    # Its name is ours; what a link of that name leads to is not.
    return os.open(name, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _plain(trace: Trace) -> dict[str, object]:
    return {
        "running": [_written(at) for at in trace.running],
        "answered": [_written(at) for at in trace.answered],
        "throttled_until": trace.throttled_until and _written(trace.throttled_until),
        "closed_until": trace.closed_until and _written(trace.closed_until),
    }


def _trace(plain: Mapping[str, object]) -> Trace:
    return Trace(
        running=_moments(plain["running"]),
        answered=_moments(plain["answered"]),
        throttled_until=_moment(plain["throttled_until"]) if plain["throttled_until"] is not None else None,
        closed_until=_moment(plain["closed_until"]) if plain["closed_until"] is not None else None,
    )


def _moments(written: object) -> list[datetime]:
    if not isinstance(written, list):
        raise TypeError("no list of times")
    return [_moment(one) for one in written]


def _moment(written: object) -> datetime:
    if not isinstance(written, int):
        raise TypeError("no time")
    return _START + timedelta(microseconds=written)


def _written(at: datetime) -> int:
    return (at - _START) // timedelta(microseconds=1)
