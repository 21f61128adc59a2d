"""Group commit: whatever arrives while the disk is busy is committed in one durable transaction."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from connectors.crm import ReceivedEvent

_MOST_WAITING = 5_000  # events; beyond that, the disk has to catch up first


class CommitQueueFullError(Exception):
    """Too many events are waiting for the disk; nothing was stored."""


class GroupCommit:
    """Adds events to one inbox for the callers on one event loop."""

    def __init__(self, append: Callable[[Sequence[ReceivedEvent]], int], thread: Executor) -> None:
        """Write on `thread` with `append`, which commits durably and returns how many events were new."""
        self._append = append
        self._thread = thread
        self._waiting: list[tuple[Sequence[ReceivedEvent], asyncio.Future[None]]] = []
        self._events_waiting = 0
        self._writer: asyncio.Task[None] | None = None
        self.new = 0
        """How many events were stored, without redeliveries."""

    async def add(self, events: Sequence[ReceivedEvent]) -> None:
        """Return once the events are durable.

        Raises:
            CommitQueueFullError: too many are waiting.
            Exception: whatever kept `append` from committing; nothing was stored.
        """
        if self._events_waiting + len(events) > _MOST_WAITING:
            raise CommitQueueFullError
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((events, stored))
        self._events_waiting += len(events)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await stored

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting, self._events_waiting = self._waiting, [], 0
            failure = await self._commit([event for events, _ in group for event in events])
            for _, stored in group:
                if stored.done():  # its caller has stopped waiting
                    continue
                if failure is None:
                    stored.set_result(None)
                else:
                    stored.set_exception(failure)
        self._writer = None

    async def _commit(self, events: Sequence[ReceivedEvent]) -> Exception | None:
        try:
            self.new += await asyncio.get_running_loop().run_in_executor(self._thread, self._append, events)
        except Exception as error:  # noqa: BLE001 - raised in every caller, or it would wait for ever
            return error
        return None
