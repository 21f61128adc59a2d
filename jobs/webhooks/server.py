"""The HTTP server around the receiver: how many connections, and how long a request or its answer may take."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_LINGER = 1.0  # seconds for a client to read its refusal
_ARRIVING = frozenset({h11.IDLE, h11.SEND_BODY})
_UNANSWERED = frozenset({h11.IDLE, h11.SEND_RESPONSE})


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How much a server takes at once."""

    connections: int
    seconds: float
    """How long a request may take to arrive, its answer to be read, and the last requests to end when it stops."""
    refused: Counter[HTTPStatus] = field(default_factory=Counter)
    """How often the server itself has refused a request, by status."""


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol, with a limit on connections and a deadline for each request and for reading its answer."""

    def __init__(
        self,
        limits: ServerLimits,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Serve one connection."""
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._request_deadline: asyncio.TimerHandle | None = None
        self._answer_deadline: asyncio.TimerHandle | None = None
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Accept the connection, or refuse it if too many are open."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # whatever the client leaves unread pauses writing
        if len(self.connections) <= self._limits.connections:
            self._start_request_deadline(self._limits.seconds)
            return
        self.connections.discard(self)
        self._is_refused = True
        self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        # Closing before the request is read would reset the connection, and the client would never see the answer.
        self._start_request_deadline(_LINGER)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel_request_deadline()
        self._cancel_answer_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle incoming data; on a kept connection, the time for a request starts with its first byte."""
        if self._is_refused:
            self.transport.close()
            return
        super().data_received(data)
        if self._request_deadline is None and self.conn.their_state in _ARRIVING:
            self._start_request_deadline(self._limits.seconds)

    def pause_writing(self) -> None:
        """Give the client time to read its answer; even a closed connection would wait for that without end."""
        super().pause_writing()
        self._answer_deadline = self.loop.call_later(self._limits.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on once the client has read everything."""
        self._cancel_answer_deadline()
        super().resume_writing()

    def handle_events(self) -> None:
        """Handle what has arrived; once a request is complete, its deadline is lifted."""
        super().handle_events()
        if self.conn.their_state not in _ARRIVING:
            self._cancel_request_deadline()

    def on_response_complete(self) -> None:
        """Take the rest of a refused body for a moment, so that the client sees its answer."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._start_request_deadline(_LINGER)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        del msg
        self._refuse(HTTPStatus.BAD_REQUEST)
        self.transport.close()

    def _start_request_deadline(self, seconds: float) -> None:
        self._cancel_request_deadline()
        self._request_deadline = self.loop.call_later(seconds, self._too_slow)

    def _cancel_request_deadline(self) -> None:
        if self._request_deadline is not None:
            self._request_deadline.cancel()
            self._request_deadline = None

    def _cancel_answer_deadline(self) -> None:
        if self._answer_deadline is not None:
            self._answer_deadline.cancel()
            self._answer_deadline = None

    def _too_slow(self) -> None:
        self._request_deadline = None
        if not self._is_refused:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        self.transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer in place of the application, unless it has answered."""
        if self.conn.our_state not in _UNANSWERED or self.transport.is_closing():
            return
        self._limits.refused[status] += 1
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        for event in (h11.Response(status_code=status, headers=headers), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to the command."""

    def __init__(self, config: uvicorn.Config, *, started: Callable[[], None], tick: Callable[[], bool]) -> None:
        super().__init__(config)
        self._has_started = started
        self._tick = tick

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._has_started()

    async def on_tick(self, counter: int) -> bool:
        self.should_exit |= self._tick()
        return await super().on_tick(counter)


def serve(
    app: ASGIApp,
    listener: socket.socket,
    limits: ServerLimits,
    *,
    started: Callable[[], None],
    tick: Callable[[], bool],
) -> None:
    """Serve until `tick`, called ten times a second, returns True; then finish the requests under way.

    Args:
        app: what answers requests.
        listener: the socket to accept connections on.
        limits: how much is taken at once.
        started: called once connections are accepted.
        tick: whether to stop.
    """
    config = uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, limits)),
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(limits.seconds),
    )
    asyncio.run(_Server(config, started=started, tick=tick).serve(sockets=[listener]))
