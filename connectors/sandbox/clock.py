"""The sandbox's time, served over HTTP: it moves only when every registered caller sleeps."""

import selectors
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock

from connectors.sandbox.server import WireRequest, WireResponse, dispatch, json_response

PATIENCE_SECONDS = 600.0
"""The longest that a sleeper waits, in real seconds."""


@dataclass(slots=True)
class _Caller:
    """One registered connection; it sleeps while `until` is set."""

    until: datetime | None = None
    waker: socket.socket | None = None
    """Written to when its time has come."""


class VirtualClock:
    """One instant, and the connections that must all sleep before it moves by itself."""

    def __init__(self, start: datetime, *, patience: float = PATIENCE_SECONDS) -> None:
        """Stand still at `start`, an aware time."""
        self._lock = Lock()
        self._now = start.astimezone(UTC)
        self._patience = patience
        self._callers: dict[socket.socket, _Caller] = {}

    def now(self) -> datetime:
        """The sandbox's present, aware UTC."""
        with self._lock:
            return self._now

    def advance(self, to: datetime) -> None:
        """Move to `to` and wake whoever slept until then; ValueError where that is in the past."""
        with self._lock:
            if to < self._now:
                raise ValueError("the clock never goes back")
            self._now = to.astimezone(UTC)
            self._wake()

    def closed(self, connection: socket.socket) -> None:
        """Forget this connection."""
        with self._lock:
            if self._callers.pop(connection, None) is not None:
                self._move()

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one request to the clock server."""
        routes = {
            ("GET", "/now"): lambda _: self.dump(),
            ("POST", "/register"): self._register,
            ("POST", "/sleep"): self._sleep,
            ("POST", "/advance"): self._advance,
        }
        return dispatch(routes, request, request.path)

    def dump(self) -> dict[str, object]:
        """Its state as JSON."""
        return {"now": self.now().isoformat()}

    def load(self, state: Mapping[str, object]) -> None:
        """Go on from a dumped state."""
        with self._lock:
            self._now = _moment(state["now"])

    def _advance(self, request: WireRequest) -> object:
        match request.json():
            case {"to": to, **rest} if not rest:
                self.advance(_moment(to))
            case {"by": int() | float() as seconds, **rest} if not rest:
                self.advance(self.now() + timedelta(seconds=seconds))
            case _:
                raise ValueError('say {"to": "an ISO 8601 time with its zone"} or {"by": seconds}')
        return self.dump()

    def _register(self, request: WireRequest) -> None:
        with self._lock:
            self._callers.setdefault(_connection(request), _Caller())

    def _sleep(self, request: WireRequest) -> object:
        connection = _connection(request)
        match request.json():
            case {"until": moment, **rest} if not rest.keys() - {"within"}:
                until, within = _moment(moment), _seconds(rest.get("within"))
            case _:
                raise ValueError(
                    'say {"until": "an ISO 8601 time with its zone"}, and "within": seconds to wake before'
                )
        woken, waker = socket.socketpair()
        with woken, waker:
            with self._lock:
                caller = self._callers.get(connection)
                if caller is None:
                    return json_response(409, {"error": "register this connection first"})
                caller.until, caller.waker = until, waker
                self._wake()
                self._move()
            in_time = self._wait(woken, connection, self._patience if within is None else within)
            with self._lock:
                caller.until = caller.waker = None
        if not in_time and within is None:
            return json_response(503, {"error": "the clock did not get there"})
        return self.dump()

    def _wait(self, woken: socket.socket, connection: socket.socket, patience: float) -> bool:
        """Wait to be woken; False where the caller died, sent another request, or patience ran out.

        A dead peer makes its connection readable at once. Its thread then reads the end and calls `closed`.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            selector.register(connection, selectors.EVENT_READ)
            return any(key.fileobj is woken for key, _ in selector.select(patience))

    def _move(self) -> None:
        """Go to the earliest time anyone sleeps until, once all sleep; the lock is held."""
        times = [caller.until for caller in self._callers.values()]
        asleep = [time for time in times if time is not None]
        if asleep and len(asleep) == len(times):
            self._now = max(self._now, min(asleep))
            self._wake()

    def _wake(self) -> None:
        """Wake those whose time has come; they count as awake at once. The lock is held."""
        for caller in self._callers.values():
            if caller.until is not None and caller.waker is not None and caller.until <= self._now:
                caller.waker.send(b"!")
                caller.until = caller.waker = None


def _connection(request: WireRequest) -> socket.socket:
    if request.connection is None:
        raise ValueError("the clock counts connections, and this request has none")
    return request.connection


def _seconds(value: object) -> float | None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= PATIENCE_SECONDS
    ):
        raise ValueError(f"within is a number of real seconds, {PATIENCE_SECONDS:g} at most")
    return value


def _moment(text: object) -> datetime:
    """An aware time in UTC from ISO 8601."""
    moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    if moment is None or moment.tzinfo is None:
        raise ValueError("a time is ISO 8601 with its zone")
    return moment.astimezone(UTC)
