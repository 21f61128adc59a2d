"""How long reading takes at the allowed rate. Pure."""

from dataclasses import dataclass
from math import ceil

from connectors.oplead.probe.suggestion import Pull


@dataclass(frozen=True, slots=True)
class Reading:
    """What has to be read, and how."""

    total: int
    page_size: int
    changed: float
    """The share of leads that a usual night's pull takes for changed, its overlap included."""
    recent: float
    """The share of leads young enough to be sent still."""
    own_pages: bool
    """Whether each lead takes a request of its own."""
    pull: Pull
    per_minute: int

    @property
    def minutes_first(self) -> float:
        """Reading everything once."""
        return self._minutes(self._pages(self.total) + (self.total if self.own_pages else 0))

    @property
    def minutes_nightly(self) -> float:
        """A usual night."""
        changed = ceil(self.total * self.changed)
        details = changed if self.own_pages else 0
        match self.pull:
            case "since":
                return self._minutes(self._pages(changed) + details)
            case "list":
                return self._minutes(self._pages(self.total) + details)
            case "details":
                return self._minutes(self._pages(self.total) + ceil(self.total * self.recent))

    def _pages(self, leads: int) -> int:
        return max(1, ceil(leads / max(1, self.page_size)))

    def _minutes(self, requests: int) -> float:
        return round(requests / self.per_minute, 1)
