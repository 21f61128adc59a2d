"""Counts requests on their way through a pace."""

from datetime import datetime

from connectors.pacing import Pacer


class CountingPacer(Pacer):
    """Stands before a pacer that others use too, and counts what goes through here."""

    def __init__(self, pacer: Pacer) -> None:
        """Count from nought."""
        self._pacer = pacer
        self.asked = 0

    def take(self) -> datetime | None:
        """Take one of the pacer's slots, or say when there may be one."""
        free_at = self._pacer.take()
        self.asked += free_at is None
        return free_at

    def give_back(self) -> None:
        """Free a slot that was taken."""
        self._pacer.give_back()

    def throttled(self) -> None:
        """Pass it on."""
        self._pacer.throttled()
