"""The pace at which a platform is asked: by one process, and by all processes of a machine together."""

import fcntl
import hashlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import FileIO
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter

from connectors.errors import Transient
from connectors.http import CancelToken
from connectors.ports import Clock

# Whether the sixtieth second still counts differs from server to server: a millisecond more settles it.
WINDOW = timedelta(seconds=60, milliseconds=1)
THROTTLED_FOR = timedelta(minutes=10)
LONGEST_REQUEST = timedelta(minutes=5)
"""Longer than any request of ours takes: one that runs for longer belongs to a process that died."""
_POLL = timedelta(seconds=1)
_LARGEST_FILE = 1_000_000  # bytes
_LOCK_POLL = 0.005  # seconds
_UNKNOWN = "unknown"
"""Whose trace stands for what could not be read."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class RequestTrace:
    """What one process has asked of a platform lately."""

    running: list[AwareDatetime]
    """Since when each request runs that has no answer yet."""
    answered: list[AwareDatetime]
    throttled_until: AwareDatetime | None
    """The platform said that it was asked too fast; until then the pace is halved."""
    closed_until: AwareDatetime | None
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


def _possible(at: datetime, now: datetime) -> datetime:
    """A machine's clock may be set back: nothing happened far ahead of now."""
    return now if at - now > WINDOW else at


def _ahead(until: datetime | None, now: datetime, longest: timedelta) -> datetime | None:
    return min(until, now + longest) if until is not None and until > now else None


_TRACES = TypeAdapter(dict[str, RequestTrace])


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
        self._is_alone = False

    @contextmanager
    def opened(self, own: RequestTrace, now: datetime) -> Iterator[Sequence[RequestTrace]]:
        """Lock the others out while the block runs; gives their traces, and writes `own` as it is at the end.

        Raises:
            Transient: another process keeps us out for too long.
        """
        with ExitStack() as stack:
            file = None if self._is_alone else self._open(stack)
            others = self._others(file, now) if file else {}
            yield tuple(others.values())
            if file:
                self._write(file, {**others, self._me: own})

    def _open(self, stack: ExitStack) -> FileIO | None:
        """The file, locked; the system lets go of it should this process die."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = stack.enter_context(FileIO(self._path, "r+", opener=_open_privately))
            self._lock(file)
        except OSError as error:
            self._stop_sharing(error)
            return None
        return file

    def _lock(self, file: FileIO) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Transient(f"another process holds {self._path.name}, by which we share a pace") from None
            time.sleep(_LOCK_POLL)

    def _others(self, file: FileIO, now: datetime) -> dict[str, RequestTrace]:
        try:
            found = _TRACES.validate_json(file.read(_LARGEST_FILE) or b"{}")
            traces = {name: trace.at(now) for name, trace in found.items()}
        except (OSError, ValueError, OverflowError):
            traces = {_UNKNOWN: RequestTrace([], [], None, closed_until=now + WINDOW)}
        return {name: trace for name, trace in traces.items() if trace and name != self._me}

    def _write(self, file: FileIO, traces: Mapping[str, RequestTrace]) -> None:
        try:
            # Written over first and cut off then: whoever dies in between leaves no JSON, never an empty file.
            file.seek(0)
            file.write(_TRACES.dump_json(dict(traces)))
            file.truncate()
        except OSError as error:
            self._stop_sharing(error)

    def _stop_sharing(self, error: OSError) -> None:
        self._is_alone = True
        _log.warning("no pace is shared with other processes: %s (%s)", self._path.name, error.strerror)


def _open_privately(name: str, flags: int) -> int:
    # Its name is ours; what a link of that name leads to is not.
    return os.open(name, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)


class Pacer:
    """Lets at most `per_minute` requests into any minute, however many threads and processes ask.

    A slot is freed a minute after the response, not after the request: the platform may count a request when
    it has finished with it. Where another process keeps us from the shared file for too long, `take` and `slot` raise
    Transient.
    """

    def __init__(
        self,
        clock: Clock,
        per_minute: int,
        *,
        shared: SharedPace | None = None,
        cancel_token: CancelToken | None = None,
    ) -> None:
        """Start with what the other processes have left free.

        Args:
            clock: the only way to wait.
            per_minute: at least 1.
            shared: where the other processes write theirs.
            cancel_token: asked before each slot; it may raise, so that no request begins any more.
        """
        if per_minute < 1:
            raise ValueError("a pace is at least one request a minute")
        self._clock = clock
        self._per_minute = per_minute
        self._shared = shared
        self._cancel_token = cancel_token
        self._own = RequestTrace([], [], None, None)
        self._changed = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a free slot and hold it for one request: `with pacer.slot(): …`."""
        while (free_at := self.take()) is not None:
            self._clock.sleep_until(free_at)
        try:
            yield
        finally:
            self.give_back()

    def take(self) -> datetime | None:
        """Take a slot and return None, or say when to try again; another thread may `give_back` what was taken."""
        with self._changed:
            while True:
                if self._cancel_token is not None:
                    self._cancel_token()
                # Never ask the time with the others locked out: a sandbox's may stand still until they sleep.
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
            self._publish(now)
            self._changed.notify_all()

    def throttled(self) -> None:
        """Halve the pace for ten minutes, because the platform said it was too fast (429)."""
        with self._changed:
            now = self._clock.now()
            self._own.throttled_until = now + THROTTLED_FOR
            self._publish(now)

    def _publish(self, now: datetime) -> None:
        # Locked out, we write it with the next request; until then the others count it as running.
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
        return now + _POLL if any(trace.running for trace in others) else now
