"""Counts requests on their way through a pace."""

from collections.abc import Iterator
from contextlib import contextmanager

from connectors.pacing import Pacer


class CountingPacer(Pacer):
    """Stands before a pacer that others use too, and counts what goes through here."""

    def __init__(self, pacer: Pacer) -> None:
        """Count from nought."""
        self._pacer = pacer
        self.asked = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of the pacer's slots."""
        with self._pacer.slot():
            self.asked += 1
            yield

    def throttled(self) -> None:
        """Pass it on."""
        self._pacer.throttled()
