"""A sender of webhooks over kept-alive connections, which delivers again what was not acknowledged."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

ACKNOWLEDGED = 204
_BETWEEN_TRIES = 0.05  # seconds


@dataclass
class Sender:
    """Delivers bodies to one address."""

    port: int
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    connections: int = 16
    patience: float = 60.0
    """Seconds until the whole delivery is given up."""
    acknowledged: list[bytes] = field(default_factory=list)
    """Every acknowledged delivery, those of one body included."""
    failed: int = 0
    """Deliveries that were cut or refused, each of which was repeated."""

    def deliver(self, bodies: Iterable[bytes]) -> None:
        """Deliver every body, each until it is acknowledged."""
        asyncio.run(self.deliver_all(bodies))

    async def deliver_all(self, bodies: Iterable[bytes]) -> None:
        """Deliver as `deliver` does, on a running loop."""
        left = iter(bodies)
        async with asyncio.timeout(self.patience), asyncio.TaskGroup() as group:
            for _ in range(self.connections):
                group.create_task(self._work(left))

    async def _work(self, left: Iterator[bytes]) -> None:
        streams = None
        for body in left:
            while True:
                try:
                    streams = streams or await asyncio.open_connection("127.0.0.1", self.port)
                    status = await self._post(*streams, body)
                except (OSError, asyncio.IncompleteReadError):
                    status = None
                if status == ACKNOWLEDGED:
                    self.acknowledged.append(body)
                    break
                self.failed += 1
                if streams:
                    streams[1].close()
                    streams = None
                await asyncio.sleep(_BETWEEN_TRIES)
        if streams:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()

    async def _post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
        head = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": len(body), **self.headers}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        return int(answer.split(b" ", 2)[1])
