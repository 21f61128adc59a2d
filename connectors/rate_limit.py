"""Request rate limiting per platform, within one process and across all processes on a machine."""

import fcntl
import hashlib
import logging
import os
import secrets
import threading
import time
from collections import ChainMap, Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Protocol

from pydantic import AwareDatetime, TypeAdapter

from connectors.errors import Transient
from connectors.http import CancelToken
from connectors.language import _
from connectors.ports import Clock
from connectors.private_folder import make_private_folder

# Servers differ on whether the 60th second still counts; an extra millisecond avoids the question.
WINDOW = timedelta(seconds=60, milliseconds=1)
THROTTLED_FOR = timedelta(minutes=10)
LONGEST_REQUEST = timedelta(minutes=5)
"""Longer than any of our requests; one that seems to run longer belongs to a process that died."""
_POLL = timedelta(seconds=1)
_LARGEST_FILE = 1_000_000  # bytes
_LOCK_POLL = 0.005  # seconds
_UNKNOWN = "unknown"
"""Key of the trace that stands in for an unreadable file."""
_HOUR = timedelta(hours=1)
_HOUR_COUNTS_FOR = timedelta(days=1) + _HOUR
"""How long the requests that began in an hour count towards a day's limit: the last of them began at its end."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ProcessRequestHistory:
    """One process's recent requests to a platform."""

    running: list[AwareDatetime]
    """Start times of requests without an answer yet."""
    answered: list[AwareDatetime]
    throttled_until: AwareDatetime | None
    """The pace is halved until then because the platform answered 429."""
    closed_until: AwareDatetime | None
    """No requests until then, because earlier ones are unknown."""
    per_hour: dict[AwareDatetime, int] = field(default_factory=dict)
    """How many requests began in each hour of the last day, by its start; empty where a day has no limit."""

    def forget_expired_requests(self, now: datetime) -> None:
        """Keep what still counts at `now`; a request that never ended counts as answered after LONGEST_REQUEST."""
        running = [_clamp_future_time(since, now) for since in self.running]
        lost = [since + LONGEST_REQUEST for since in running if now - since >= LONGEST_REQUEST]
        answered = (*lost, *(_clamp_future_time(at, now) for at in self.answered))
        self.running = [since for since in running if now - since < LONGEST_REQUEST]
        self.answered = [at for at in answered if now - at < WINDOW]
        self.throttled_until = _clamp_pause_end(self.throttled_until, now, THROTTLED_FOR)
        self.closed_until = _clamp_pause_end(self.closed_until, now, WINDOW)
        # Hours far ahead are of a clock that is wrong: they would count until it is right.
        self.per_hour = {
            hour: count for hour, count in self.per_hour.items() if -_HOUR <= now - hour < _HOUR_COUNTS_FOR
        }

    def __bool__(self) -> bool:
        return bool(self.running or self.answered or self.throttled_until or self.closed_until or self.per_hour)


def _clamp_future_time(at: datetime, now: datetime) -> datetime:
    """Clamp times far ahead of `now`, which only a clock set back can leave."""
    return now if at - now > WINDOW else at


def _clamp_pause_end(until: datetime | None, now: datetime, longest: timedelta) -> datetime | None:
    return min(until, now + longest) if until is not None and until > now else None


HISTORY = TypeAdapter(ProcessRequestHistory)
"""Reads and writes a history as JSON."""
_TRACES = TypeAdapter(dict[str, ProcessRequestHistory])


class RequestHistories(Protocol):
    """The recent requests to one platform by several processes; those that cannot be shared count for nobody."""

    def lock_and_update_request_history(
        self, own: ProcessRequestHistory, now: datetime
    ) -> AbstractContextManager[tuple[datetime, Sequence[ProcessRequestHistory]]]:
        """Hold the histories for the block; yield the time and the other processes', then write `own` on exit.

        The time is the one that all of them go by; `now` is what this process takes it for.

        Raises:
            Transient: another process held them for too long.
        """

    def close(self) -> None:
        """Close what was opened for it."""


def pace_key(address: str, token: str) -> str:
    """Return what names the pace for `address` and `token`: a digest that reveals neither."""
    return hashlib.sha256(f"{address}\0{token}".encode(errors="replace")).hexdigest()[:16]


def pace_file(folder: Path, address: str, token: str) -> Path:
    """Return the pace file for `address` and `token`."""
    return folder / f"oplead-sync-{pace_key(address, token)}.pace"


class SharedRequestHistory:
    """Recent requests to one platform by every process on the machine that has one of these files.

    An unreadable file blocks requests for a minute. If a file cannot be written (read-only folder, full disk), a
    warning is logged and nothing is shared by it any more.
    """

    def __init__(self, *paths: Path, patience: float = 10.0) -> None:
        """Open nothing yet; `patience` limits the wait for each lock, in real seconds.

        Whoever has several of the files names them in the same order, in which they are locked.
        """
        self._paths = paths
        self._patience = patience
        self._me = secrets.token_hex(8)

    @contextmanager
    def lock_and_update_request_history(
        self, own: ProcessRequestHistory, now: datetime
    ) -> Iterator[tuple[datetime, Sequence[ProcessRequestHistory]]]:
        """Hold the files' locks for the block; yield `now` and the other processes' traces, then write `own` on exit.

        Raises:
            Transient: another process held a lock for too long.
        """
        with ExitStack() as stack:
            opened = {path: file for path in self._paths if (file := self._open(path, stack))}
            found = {path: self._others(file, now) for path, file in opened.items()}
            # Whoever has both files has written the same to each.
            yield now, tuple(dict(ChainMap(*found.values())).values())
            for path, file in opened.items():
                self._write(path, file, {**found[path], self._me: own})

    def close(self) -> None:
        """Do nothing: the files are open for the length of a block only."""

    def _open(self, path: Path, stack: ExitStack) -> FileIO | None:
        """Return the locked file, or None if it can't be shared; the OS releases the lock if this process dies."""
        try:
            file = stack.enter_context(_open_or_create(path))
            self._lock(path, file)
        except OSError as error:
            self._stop_sharing(path, error)
            return None
        return file

    def _lock(self, path: Path, file: FileIO) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Transient(
                        _("another process holds {name}, by which we share a pace", name=path.name)
                    ) from None
            time.sleep(_LOCK_POLL)

    def _others(self, file: FileIO, now: datetime) -> dict[str, ProcessRequestHistory]:
        try:
            found = _TRACES.validate_json(file.read(_LARGEST_FILE) or b"{}")
            traces = {name: trace for name, trace in found.items() if name != self._me}
            for trace in traces.values():
                trace.forget_expired_requests(now)
        except (OSError, ValueError, OverflowError):
            traces = {_UNKNOWN: ProcessRequestHistory([], [], None, closed_until=now + WINDOW)}
        return {name: trace for name, trace in traces.items() if trace}

    def _write(self, path: Path, file: FileIO, traces: Mapping[str, ProcessRequestHistory]) -> None:
        try:
            # Overwrite, then truncate: dying in between leaves invalid JSON, never an empty file that reads as idle.
            file.seek(0)
            file.write(_TRACES.dump_json(dict(traces)))
            file.truncate()
        except OSError as error:
            self._stop_sharing(path, error)

    def _stop_sharing(self, path: Path, error: OSError) -> None:
        self._paths = tuple(each for each in self._paths if each != path)
        _log.warning("no pace is shared with other processes: %s (%s)", path.name, error.strerror)


def _open_or_create(path: Path) -> FileIO:
    try:
        return FileIO(path, "r+", opener=_open_privately)
    except FileNotFoundError:
        make_private_folder(path.parent)
        return FileIO(path, "r+", opener=_open_privately)


def _open_privately(name: str, flags: int) -> int:
    # O_NOFOLLOW: a symlink planted under our file name must not redirect the write.
    return os.open(name, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)


class Pacer:
    """Limits requests to `per_minute` in any minute, and to `per_day` in any day, across threads and processes.

    A slot is freed a minute after the response, not the request, since the platform may count a request when it
    completes.
    """

    def __init__(
        self,
        clock: Clock,
        per_minute: int,
        *,
        per_day: int | None = None,
        shared: RequestHistories | None = None,
        cancel_token: CancelToken | None = None,
    ) -> None:
        """Create a pacer that uses what the other processes leave free.

        Args:
            clock: tells the time.
            per_minute: at least 1.
            per_day: at least 1; requests count by the hour, for up to an hour longer than a day. None for no limit.
            shared: what the other processes have asked; None paces this process alone.
            cancel_token: called before each slot; may raise to prevent further requests.
        """
        if per_minute < 1 or (per_day is not None and per_day < 1):
            raise ValueError("a pace is at least one request a minute, and a day")
        self._clock = clock
        self._per_minute = per_minute
        self._per_day = per_day
        self._shared = shared
        self._cancel_token = cancel_token
        self._own = ProcessRequestHistory([], [], None, None)
        self._ahead = timedelta()
        """How far the time that is shared was ahead of our clock when last seen."""
        self._changed = threading.Condition()

    def take_request_slot(self) -> datetime | None:
        """Take a slot and return None, or return when to try again by our clock.

        Any thread may `release_request_slot` the slot.

        Raises:
            Transient: another process locks the shared file for too long.
        """
        with self._changed:
            while True:
                if self._cancel_token is not None:
                    self._cancel_token()
                with self._opened() as (now, others):
                    free_at = self._free_at(now, others)
                    if free_at is None:
                        self._begin(now)
                        return None
                if free_at > now:
                    return free_at - self._ahead
                self._changed.wait(timeout=1)  # this process holds every slot; check again when one is returned

    def release_request_slot(self) -> None:
        """Return the slot of a completed request and start its minute."""
        with self._changed:
            self._record(self._end)
            self._changed.notify_all()

    def halve_pace_after_throttling(self) -> None:
        """Halve the pace for ten minutes after a 429."""
        with self._changed:
            self._record(self._halve)

    def close(self) -> None:
        """Close what is shared with other processes; the pacer stays usable."""
        if self._shared is not None:
            self._shared.close()

    def _begin(self, now: datetime) -> None:
        self._own.running.append(now)
        if self._per_day is not None:
            hour = now.replace(minute=0, second=0, microsecond=0)
            self._own.per_hour[hour] = self._own.per_hour.get(hour, 0) + 1

    def _end(self, now: datetime) -> None:
        self._own.running.pop(0)
        self._own.answered.append(now)

    def _halve(self, now: datetime) -> None:
        self._own.throttled_until = now + THROTTLED_FOR

    def _record(self, note: Callable[[datetime], None]) -> None:
        """Note what has happened just now, and publish it."""
        try:
            with self._opened() as (now, _others):
                note(now)
        except Transient:
            # Locked out: the next request publishes it; until then the others count this one as running.
            note(self._clock.now() + self._ahead)

    @contextmanager
    def _opened(self) -> Iterator[tuple[datetime, Sequence[ProcessRequestHistory]]]:
        """Hold what is shared for the block; yield the time and what the others have asked."""
        # Never read the clock while holding the lock: a sandbox's may not answer until the others sleep.
        ours = self._clock.now()
        with self._hold(ours + self._ahead) as (now, others):
            self._ahead = now - ours
            running, self._own.running = self._own.running, []  # our own are never presumed lost
            self._own.forget_expired_requests(now)
            self._own.running = running
            yield now, others

    def _hold(self, now: datetime) -> AbstractContextManager[tuple[datetime, Sequence[ProcessRequestHistory]]]:
        if self._shared is None:
            return nullcontext((now, ()))
        return self._shared.lock_and_update_request_history(self._own, now)

    def _free_at(self, now: datetime, others: Sequence[ProcessRequestHistory]) -> datetime | None:
        """Return when to try again: None if a slot is free, `now` if one of our own requests must end first."""
        traces = (self._own, *others)
        closed = [trace.closed_until for trace in traces if trace.closed_until]
        if closed:
            return max(closed)
        if (day_free_at := self._day_free_at(traces)) is not None:
            return day_free_at
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

    def _day_free_at(self, traces: Sequence[ProcessRequestHistory]) -> datetime | None:
        """Return when the day's limit allows one more; None if it does now."""
        if self._per_day is None:
            return None
        per_hour: Counter[datetime] = Counter()
        for trace in traces:
            per_hour.update(trace.per_hour)
        too_many, free_at = per_hour.total() - self._per_day + 1, None
        for hour in sorted(per_hour):
            if too_many <= 0:
                break
            too_many -= per_hour[hour]
            free_at = hour + _HOUR_COUNTS_FOR
        return free_at
