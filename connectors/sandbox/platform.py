"""What the platforms share: planted faults and rulings, switches, counters and recent refusals."""

import json
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from threading import Lock, RLock
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass


class FaultKind(StrEnum):
    """What a fault does to a request."""

    STATUS = "status"
    """Answer with any status and an optional Retry-After; the platform never sees the request."""
    HTML = "html"
    """Answer with an HTML page, as a proxy would; the platform never sees the request."""
    HANG = "hang"
    """Hang for some seconds, then close the connection; the platform never sees the request."""
    CUT_BEFORE = "cut_before"
    """Close the connection; the platform never sees the request."""
    CUT_AFTER = "cut_after"
    """Let the platform process the request, then close the connection without an answer."""
    FINISHED_LATE = "finished_late"
    """Close the connection at once; the platform processes the request `seconds` later, by the sandbox's clock.

    Over gRPC it never does.
    """
    FAILED_AFTER = "failed_after"
    """Let the platform process the request, then answer with an error in the platform's own format."""
    TRUNCATED = "truncated"
    """Let the platform process the request, then send half of the response body."""
    LATENCY = "latency"
    """Delay an otherwise normal answer."""


STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, config=STRICT)
class PlannedFault:
    """One fault: which requests it hits and what it does to them."""

    server: str
    kind: FaultKind
    count: int = Field(default=1, ge=1)
    """How many requests it hits."""
    after: int = Field(default=0, ge=0)
    """How many matching requests pass first."""
    path: str = ""
    """A path prefix; only requests under it match."""
    status: int | None = Field(default=None, ge=200, le=599)
    """The status of `status` (default 503), `html` (default 200) and `failed_after` (default 500)."""
    retry_after: int | None = None
    """The Retry-After header, in seconds."""
    seconds: float = Field(default=1.0, ge=0, le=3_600)
    """How long `hang` and `latency` take, in real seconds; how late `finished_late` is."""
    body: str = ""
    """The body of `status`, and of `failed_after` in place of the platform's own error."""


T = TypeVar("T")


def from_json(kind: type[T], document: object) -> T:
    """Parse a dataclass, or a list or dict of them, from its JSON form; raise ValueError naming each wrong field."""
    try:
        return TypeAdapter(kind).validate_json(json.dumps(document))
    except ValidationError as invalid:
        errors = ("".join(f"{name}: " for name in each["loc"]) + each["msg"] for each in invalid.errors())
        raise ValueError("; ".join(errors)) from None


def to_json(value: object) -> Any:
    """Return the JSON form that `from_json` reads."""
    return TypeAdapter(Any).dump_python(value, mode="json")


class Faults:
    """The planted faults; the earliest match wins."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[PlannedFault] = []

    def plant(self, fault: PlannedFault) -> None:
        """Append a fault."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Remove every fault."""
        with self._lock:
            self._faults.clear()

    def take_matching_fault(self, server: str, path: str) -> PlannedFault | None:
        """Return the fault that hits this request, if any, and use up one of its requests."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.server != server or not path.startswith(fault.path):
                    continue
                if fault.after:
                    self._faults[index] = replace(fault, after=fault.after - 1)
                    continue
                self._faults[index : index + 1] = [replace(fault, count=fault.count - 1)] if fault.count > 1 else []
                return fault
        return None

    def dump(self) -> list[dict[str, object]]:
        """Return the remaining faults as JSON."""
        with self._lock:
            return list(to_json(self._faults))


Positions = Mapping[str, tuple[object, ...]]
"""The positions of each switch, the default first; `int` among them also allows any integer from 0."""


def require_switch_position(switches: Positions, name: str, value: object) -> None:
    """Raise ValueError unless the value is one of the switch's positions; True is not 1."""
    positions = switches.get(name, ())
    is_known = any(type(value) is type(each) and value == each for each in positions)
    if not (is_known or (int in positions and type(value) is int and value >= 0)):
        words = ("any number" if each is int else repr(each) for each in positions)
        raise ValueError(f"{name} is one of {', '.join(words)}")


class SandboxPlatform(ABC):
    """One platform's switches, planted rulings, counters and recent refusals. Change them only while holding `lock`."""

    ruling_type: ClassVar[Any]
    """The type of what can be planted under a key."""

    def __init__(self, now: Callable[[], datetime], switches: Positions, lock: RLock) -> None:
        """Start empty, with every switch at its default; `now` is the sandbox clock, aware UTC."""
        self.lock = lock
        self.switches: dict[str, object] = {name: positions[0] for name, positions in switches.items()}
        self.counts: Counter[str] = Counter()
        self.refused: deque[dict[str, object]] = deque(maxlen=1_000)
        self.rulings: dict[str, Any] = {}
        self._positions = switches
        self._now = now

    def process_due_work(self) -> datetime:
        """Process everything that is due and return the current time. The lock is held."""
        return self._now()

    def set_switch(self, name: str, value: object) -> None:
        """Set one switch; raise ValueError if it has no such position."""
        require_switch_position(self._positions, name, value)
        with self.lock:
            self.process_due_work()
            self.switches[name] = value

    def plant_event_rulings(self, rulings: Mapping[str, object]) -> None:
        """Plant verdicts on events, by the ids and click ids they are sent with.

        Raise ValueError, and plant none, if one is malformed.
        """
        planted = from_json(dict[str, self.ruling_type], rulings)  # type: ignore[name-defined]  # a type only at run time
        with self.lock:
            self.process_due_work()
            self.rulings.update(planted)

    @abstractmethod
    def conversions_json(self) -> list[dict[str, object]]:
        """Return everything counted so far, in order of first acceptance, as JSON."""

    def record_refusal(self, at: datetime, **refusal: object) -> None:
        """Record a refusal for the control page."""
        self.refused.append({"at": at.isoformat(), **refusal})

    def state(self) -> dict[str, object]:
        """Return the current counters, book and recent refusals as JSON."""
        with self.lock:
            return {
                "book": self.conversions_json(),
                "requests": dict(self.counts),
                "refused": list(self.refused),
            }

    def dump(self) -> dict[str, Any]:
        """Return the platform's own state as JSON."""
        return {name: to_json(getattr(self, name)) for name in ("switches", "counts", "refused", "rulings")}

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        for name, value in dumped["switches"].items():
            self.set_switch(name, value)
        self.rulings.clear()
        self.plant_event_rulings(dumped["rulings"])
        self.counts = Counter(dumped["counts"])
        self.refused.clear()
        self.refused.extend(dumped["refused"])
