"""The pace at which a platform is asked: by one process, and by all processes of a machine together."""

import fcntl
import hashlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Protocol

from connectors.errors import Transient
from connectors.http import CancelToken
from connectors.ports import Clock

# Whether the sixtieth second still counts differs from server to server: a millisecond more settles it.
WINDOW = timedelta(seconds=60, milliseconds=1)
THROTTLED_FOR = timedelta(minutes=10)
LONGEST_REQUEST = timedelta(minutes=5)
"""Longer than any request of ours takes: one that runs for longer belongs to a process that died."""
_LOOK_AGAIN = timedelta(seconds=1)


@dataclass(slots=True)
class RequestTrace:
    """What one process has asked of a platform lately."""

    running: list[datetime] = field(default_factory=list)
    """Since when each request runs that has no answer yet."""
    answered: list[datetime] = field(default_factory=list)
    throttled_until: datetime | None = None
    """The platform said that it was asked too fast; until then the pace is halved."""
    closed_until: datetime | None = None
    """Until then nothing goes out, because nobody knows what went out before."""

    def at(self, now: datetime) -> "RequestTrace":
        """What of it still counts now; a request that never ended counts as one answered when it must have been."""
        running = [_possible(since, now) for since in self.running]
        lost = [since + LONGEST_REQUEST for since in running if now - since >= LONGEST_REQUEST]
        return RequestTrace(
            running=[since for since in running if now - since < LONGEST_REQUEST],
            answered=[at for at in (*lost, *(_possible(at, now) for at in self.answered)) if now - at < WINDOW],
            throttled_until=_ahead(self.throttled_until, now, THROTTLED_FOR),
            closed_until=_ahead(self.closed_until, now, WINDOW),
        )

    def __bool__(self) -> bool:
        return bool(self.running or self.answered or self.throttled_until or self.closed_until)


class Shared(Protocol):
    """Where the processes that ask one platform tell each other what they asked."""

    def opened(self, own: RequestTrace, now: datetime) -> AbstractContextManager[Sequence[RequestTrace]]:
        """Keep the others out while the block runs; gives their traces, and tells them `own` as it is at the end.

        Raises:
            Transient: another process keeps us out for too long.
        """


class Pacer:
    """Lets at most `per_minute` requests into any minute, however many threads and processes ask.

    A slot is freed a minute after the response, not after the request: the platform may count a request when
    it has finished with it.
    """

    def __init__(
        self, clock: Clock, per_minute: int, *, shared: Shared | None = None, cancel_token: CancelToken | None = None
    ) -> None:
        """Start with what the other processes have left free.

        Args:
            clock: the only way to wait.
            per_minute: at least 1.
            shared: where the other processes tell of theirs.
            cancel_token: asked before each slot; it may raise, so that no request begins any more.
        """
        if per_minute < 1:
            raise ValueError("a pace is at least one request a minute")
        self._clock = clock
        self._per_minute = per_minute
        self._shared = shared
        self._cancel_token = cancel_token
        self._own = RequestTrace()
        self._changed = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a free slot and hold it for one request: `with pacer.slot(): …`.

        Raises:
            Transient: another process keeps us from our common notes for too long.
        """
        while (free_at := self.take()) is not None:
            self._clock.sleep_until(free_at)
        try:
            yield
        finally:
            self.give_back()

    def take(self) -> datetime | None:
        """Take a slot and return None, or say when to try again; another thread may `give_back` what was taken.

        Raises:
            Transient: another process keeps us from our common notes for too long.
        """
        with self._changed:
            while True:
                if self._cancel_token is not None:
                    self._cancel_token()
                # Never ask the time with the others kept out: a sandbox's may stand still until they sleep.
                now = self._clock.now()
                with self._opened(now) as others:
                    free_at = self._free_at(now, others)
                    if free_at is None:
                        self._own.running.append(now)
                        return None
                if free_at > now:
                    return free_at
                self._changed.wait(timeout=1)  # every slot is at work here; look again when one has ended

    def give_back(self) -> None:
        """The request that took a slot has ended: its minute begins."""
        with self._changed:
            now = self._clock.now()
            self._own.running.pop(0)
            self._own.answered.append(now)
            self._tell(now)
            self._changed.notify_all()

    def throttled(self) -> None:
        """Halve the pace for ten minutes, because the platform said it was too fast (429)."""
        with self._changed:
            now = self._clock.now()
            self._own.throttled_until = now + THROTTLED_FOR
            self._tell(now)

    def _tell(self, now: datetime) -> None:
        # Kept out, we tell it with the next request; until then the others count it as running.
        with suppress(Transient), self._opened(now):
            pass

    def _opened(self, now: datetime) -> AbstractContextManager[Sequence[RequestTrace]]:
        running, self._own.running = self._own.running, []  # ours are not lost, however long they take
        self._own = self._own.at(now)
        self._own.running = running
        return nullcontext(()) if self._shared is None else self._shared.opened(self._own, now)

    def _free_at(self, now: datetime, others: Sequence[RequestTrace]) -> datetime | None:
        """When there may be a free slot: None for at once; now, where one of our own requests must end first."""
        traces = (self._own, *others)
        closed = [trace.closed_until for trace in traces if trace.closed_until]
        if closed:
            return max(closed)
        answered = sorted(at for trace in traces for at in trace.answered)
        running = sum(len(trace.running) for trace in traces)
        halved = any(trace.throttled_until for trace in traces)
        limit = max(1, self._per_minute // 2) if halved else self._per_minute
        too_many = running + len(answered) - limit + 1
        if too_many <= 0:
            return None
        if answered:
            return answered[min(too_many, len(answered)) - 1] + WINDOW
        return now + _LOOK_AGAIN if any(trace.running for trace in others) else now


def _possible(at: datetime, now: datetime) -> datetime:
    """A machine's clock may be set back: nothing happened far ahead of now."""
    return now if at - now > WINDOW else at


def _ahead(until: datetime | None, now: datetime, longest: timedelta) -> datetime | None:
    return min(until, now + longest) if until is not None and until > now else None


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
    def opened(self, own: RequestTrace, now: datetime) -> Iterator[Sequence[RequestTrace]]:
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

    def _others(self, file: FileIO, now: datetime) -> dict[str, RequestTrace]:
        try:
            content = file.read(_LONGEST_FILE)
            told = {name: _trace(one).at(now) for name, one in json.loads(content or b"{}").items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            told = {_UNKNOWN: RequestTrace(closed_until=now + WINDOW)}
        return {name: trace for name, trace in told.items() if trace and name != self._me}

    def _write(self, file: FileIO, traces: Mapping[str, RequestTrace]) -> None:
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


def _plain(trace: RequestTrace) -> dict[str, object]:
    return {
        "running": [_written(at) for at in trace.running],
        "answered": [_written(at) for at in trace.answered],
        "throttled_until": trace.throttled_until and _written(trace.throttled_until),
        "closed_until": trace.closed_until and _written(trace.closed_until),
    }


def _trace(plain: Mapping[str, object]) -> RequestTrace:
    return RequestTrace(
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
