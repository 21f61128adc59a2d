"""What the platforms share: switches, counters and recent refusals."""

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import RLock
from typing import Any

Positions = Mapping[str, tuple[object, ...]]
"""The positions of each switch, the default first; `int` among them also allows any integer from 0."""


def require_position(switches: Positions, name: str, value: object) -> None:
    """Raise ValueError unless the value is one of the switch's positions; True is not 1."""
    positions = switches.get(name, ())
    is_known = any(type(value) is type(each) and value == each for each in positions)
    if not (is_known or (int in positions and type(value) is int and value >= 0)):
        words = ("any number" if each is int else repr(each) for each in positions)
        raise ValueError(f"{name} is one of {', '.join(words)}")


class Platform(ABC):
    """One platform's switches, counters and recent refusals. Change them only while holding `lock`."""

    def __init__(self, now: Callable[[], datetime], switches: Positions, lock: RLock) -> None:
        """Start empty, with every switch at its default; `now` is the sandbox clock, aware UTC."""
        self.lock = lock
        self.switches: dict[str, object] = {name: positions[0] for name, positions in switches.items()}
        self.counts: Counter[str] = Counter()
        self.refused: deque[dict[str, object]] = deque(maxlen=1_000)
        self._positions = switches
        self._now = now

    def settled(self) -> datetime:
        """Process everything that is due and return the current time. The lock is held."""
        return self._now()

    def switch(self, name: str, value: object) -> None:
        """Set one switch; raise ValueError if it has no such position."""
        require_position(self._positions, name, value)
        with self.lock:
            self.settled()
            self.switches[name] = value

    @abstractmethod
    def book(self) -> list[dict[str, object]]:
        """Return everything counted so far, in order of first acceptance, as JSON."""

    def note(self, at: datetime, **refusal: object) -> None:
        """Record a refusal for the control page."""
        self.refused.append({"at": at.isoformat(), **refusal})

    def state(self) -> dict[str, object]:
        """Return the current counters, book and recent refusals as JSON."""
        with self.lock:
            return {"book": self.book(), "requests": dict(self.counts), "refused": list(self.refused)}

    def dump(self) -> dict[str, Any]:
        """Return the platform's own state as JSON."""
        return {"switches": dict(self.switches), "counts": dict(self.counts), "refused": list(self.refused)}

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        for name, value in dumped["switches"].items():
            self.switch(name, value)
        self.counts = Counter(dumped["counts"])
        self.refused.clear()
        self.refused.extend(dumped["refused"])
