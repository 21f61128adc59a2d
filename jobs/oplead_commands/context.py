"""What a command under `oplead` works with: an unfinished settings file is enough, and somebody agrees to each write."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from connectors.crm import WriteFault, WriteReceipt, WriteRefused
from connectors.http import CancelToken
from connectors.ports import Clock
from connectors.records import NotSent
from jobs.settings.load import PartialSettings
from jobs.wiring import oplead_source, oplead_writer

if TYPE_CHECKING:
    from connectors.oplead import OpleadSource
    from connectors.oplead.writer import OpleadWriter

ATTEMPTS = 5
_A_MINUTE = timedelta(minutes=1)
_FIRST_WAIT = timedelta(seconds=1)


class Approves(Protocol):
    """How a write is agreed to and reported."""

    @property
    def dry_run(self) -> bool:
        """Whether nothing is written."""

    @property
    def json(self) -> bool:
        """Whether results are printed as JSON."""

    def agrees(self, question: str, cancel_token: CancelToken) -> bool:
        """Whether somebody agrees, now or beforehand."""


@dataclass(frozen=True, slots=True)
class OpleadContext:
    """One account's Oplead, for one command."""

    known: PartialSettings
    clock: Clock
    approval: Approves
    cancel_token: CancelToken

    def writer(self) -> "AbstractContextManager[OpleadWriter]":
        """Open a writer."""
        return oplead_writer(self.known, self.clock, cancel_token=self.cancel_token)

    def source(self, wanted_fields: frozenset[str] = frozenset()) -> "AbstractContextManager[OpleadSource]":
        """Open a reader, which copies the values at `wanted_fields` too."""
        return oplead_source(self.known, self.clock, wanted_fields=wanted_fields, cancel_token=self.cancel_token)

    def agrees(self, question: str) -> bool:
        """Whether somebody agrees to a write."""
        return self.approval.agrees(question, self.cancel_token)

    def until_taken(self, write: Callable[[], WriteReceipt]) -> WriteReceipt:
        """Repeat a write, at most five times, as long as nothing of it can have arrived: no connection, or a 429."""
        wait = _FIRST_WAIT
        for _ in range(ATTEMPTS - 1):
            match receipt := write():
                case NotSent(is_unknown_host=False):
                    self.clock.sleep_until(self.clock.now() + wait)
                    wait *= 2
                case WriteRefused(fault=WriteFault.PACE):
                    self.clock.sleep_until(self.clock.now() + _A_MINUTE)
                case _:
                    return receipt
            self.cancel_token()
        return write()
