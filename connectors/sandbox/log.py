"""What was asked of a server: enough to count and order requests, nothing of what they carried."""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from threading import Lock

REMEMBERED = 10_000
"""How many of its latest requests a server remembers."""
FIRST_REFUSAL = 400
"""HTTP's refusals begin here."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, without headers and body."""

    method: str
    path: str
    query: Mapping[str, tuple[str, ...]]
    """Empty where the request was refused: an unknown parameter may be a token in the wrong place."""
    at: str
    """The sandbox clock, ISO 8601."""
    status: int | None
    """What the platform answered, whether or not a fault let it through; None where it saw nothing."""
    fault: str | None


class Log:
    """A server's latest requests, and how many there were in all."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.count = 0
        self._entries: deque[Entry] = deque(maxlen=REMEMBERED)

    def record(self, entry: Entry) -> None:
        """Add one request."""
        if entry.status is None or entry.status >= FIRST_REFUSAL:
            entry = replace(entry, query={})
        with self._lock:
            self.count += 1
            self._entries.append(entry)

    def dump(self) -> dict[str, object]:
        """`count`, and `log`, oldest first, as JSON."""
        with self._lock:
            return {"count": self.count, "log": [asdict(entry) for entry in self._entries]}
