"""The sandbox's virtual clock, served over HTTP: it advances by itself only while every registered caller sleeps."""

import selectors
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock

from pydantic import AwareDatetime, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from connectors.sandbox.platform import STRICT, from_json
from connectors.sandbox.server import WireRequest, WireResponse, dispatch, json_response

PATIENCE_SECONDS = 600.0
"""The longest a caller may sleep, in real seconds."""


@pydantic_dataclass(frozen=True, slots=True, config=STRICT)
class _Advance:
    """Where to move the clock: `to` a time, or `by` a number of seconds."""

    to: AwareDatetime | None = None
    by: float | None = None

    def __post_init__(self) -> None:
        if (self.to is None) == (self.by is None):
            raise ValueError("name either to or by")


@pydantic_dataclass(frozen=True, slots=True, config=STRICT)
class _Sleep:
    until: AwareDatetime
    within: float | None = Field(default=None, gt=0, le=PATIENCE_SECONDS)
    """Real seconds after which to wake anyway."""


@dataclass(slots=True)
class _Caller:
    """One registered connection; it sleeps while `until` is set."""

    until: datetime | None = None
    waker: socket.socket | None = None
    """Written to at the time in `until`."""


class VirtualClock:
    """The current instant, and the connections that must all sleep before it advances by itself."""

    def __init__(self, start: datetime, *, patience: float = PATIENCE_SECONDS) -> None:
        """Start at `start`, an aware time."""
        self._lock = Lock()
        self._now = start.astimezone(UTC)
        self._patience = patience
        self._callers: dict[socket.socket, _Caller] = {}

    def now(self) -> datetime:
        """Return the sandbox's current time, aware UTC."""
        with self._lock:
            return self._now

    def advance(self, to: datetime) -> None:
        """Move to `to` and wake every sleeper due by then; raise ValueError if `to` is in the past."""
        with self._lock:
            if to < self._now:
                raise ValueError("the clock never goes back")
            self._now = to.astimezone(UTC)
            self._wake()

    def unregister_client_connection(self, connection: socket.socket) -> None:
        """Unregister a closed connection."""
        with self._lock:
            if self._callers.pop(connection, None) is not None:
                self._jump_to_next_wakeup()

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
        """Return the state as JSON."""
        return {"now": self.now().isoformat()}

    def load(self, state: Mapping[str, object]) -> None:
        """Restore what `dump` returned."""
        with self._lock:
            self._now = datetime.fromisoformat(str(state["now"]))

    def _advance(self, request: WireRequest) -> object:
        asked = from_json(_Advance, request.json())
        self.advance(asked.to or self.now() + timedelta(seconds=asked.by or 0))
        return self.dump()

    def _register(self, request: WireRequest) -> None:
        with self._lock:
            self._callers.setdefault(_connection(request), _Caller())

    def _sleep(self, request: WireRequest) -> object:
        connection = _connection(request)
        asked = from_json(_Sleep, request.json())
        woken, waker = socket.socketpair()
        with woken, waker:
            with self._lock:
                caller = self._callers.get(connection)
                if caller is None:
                    return json_response(409, {"error": "register this connection first"})
                caller.until, caller.waker = asked.until.astimezone(UTC), waker
                self._wake()
                self._jump_to_next_wakeup()
            in_time = self._wait(woken, connection, asked.within or self._patience)
            with self._lock:
                caller.until = caller.waker = None
        if not in_time and asked.within is None:
            return json_response(503, {"error": "the clock did not get there"})
        return self.dump()

    def _wait(self, woken: socket.socket, connection: socket.socket, patience: float) -> bool:
        """Wait to be woken; return False if the caller dies, sends another request or runs out of patience.

        A dead peer makes its connection readable at once; the connection's thread then reads EOF and calls `closed`.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            selector.register(connection, selectors.EVENT_READ)
            return any(key.fileobj is woken for key, _ in selector.select(patience))

    def _jump_to_next_wakeup(self) -> None:
        """Once every caller sleeps, jump to the earliest wake-up time. The lock is held."""
        times = [caller.until for caller in self._callers.values()]
        asleep = [time for time in times if time is not None]
        if asleep and len(asleep) == len(times):
            self._now = max(self._now, min(asleep))
            self._wake()

    def _wake(self) -> None:
        """Wake every sleeper that is due; it counts as awake immediately. The lock is held."""
        for caller in self._callers.values():
            if caller.until is not None and caller.waker is not None and caller.until <= self._now:
                caller.waker.send(b"!")
                caller.until = caller.waker = None


def _connection(request: WireRequest) -> socket.socket:
    if request.connection is None:
        raise ValueError("the clock counts connections, and this request has none")
    return request.connection
