"""Failures planted in front of a server, each for a counted number of requests."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from threading import Lock

LONGEST_SECONDS = 60.0
"""No fault holds a request longer, in real seconds."""


class FaultKind(StrEnum):
    """What happens to the request a fault takes."""

    STATUS = "status"
    """Any status, with an optional Retry-After; the platform never sees the request."""
    HTML = "html"
    """An HTML page instead of the API, as from a proxy; the platform never sees the request."""
    HANG = "hang"
    """No answer for some seconds, then a closed connection; the platform never sees the request."""
    CUT_BEFORE = "cut_before"
    """The connection closes before the platform has done anything."""
    CUT_AFTER = "cut_after"
    """The platform does its work, then the connection closes without an answer."""
    FAILED_AFTER = "failed_after"
    """The platform does its work, then answers that it failed, with a status and in its own form."""
    TRUNCATED = "truncated"
    """The platform does its work; half of the answer's body arrives."""
    LATENCY = "latency"
    """A slow answer, otherwise as it should be."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One failure: which requests it takes and what it does to them."""

    server: str
    kind: FaultKind
    count: int = 1
    """How many requests it takes."""
    after: int = 0
    """How many matching requests it lets pass first."""
    path: str = ""
    """Takes only requests whose path begins so."""
    status: int | None = None
    """The code of `status` (default 503), `html` (default 200) and `failed_after` (default 500)."""
    retry_after: int | None = None
    """Seconds of a Retry-After header."""
    seconds: float = 1.0
    """Real seconds of `hang` and `latency`."""
    body: str = ""
    """What `status` says, empty where unset; and `failed_after`, where it is not to be the platform's own error."""

    def __post_init__(self) -> None:
        """Refuse what could not be carried out."""
        if self.count < 1 or self.after < 0:
            raise ValueError("count is at least 1, after at least 0")
        if not 0 <= self.seconds <= LONGEST_SECONDS:
            raise ValueError(f"seconds lie between 0 and {LONGEST_SECONDS:g}")
        if self.status is not None and not 200 <= self.status <= 599:  # noqa: PLR2004 - HTTP's own bounds
            raise ValueError("status lies between 200 and 599")


def parse_fault(document: Mapping[str, object], servers: frozenset[str]) -> PlannedFault:
    """A fault from its JSON form; ValueError names the field that is unknown or of the wrong type."""
    wanted: dict[str, tuple[type, ...]] = {
        "server": (str,),
        "kind": (str,),
        "count": (int,),
        "after": (int,),
        "path": (str,),
        "status": (int,),
        "retry_after": (int,),
        "seconds": (int, float),
        "body": (str,),
    }
    for name, value in document.items():
        fits = isinstance(value, wanted.get(name, ())) and not isinstance(value, bool)
        if not fits:
            raise ValueError(f"{name!r} is unknown or has the wrong type")
    if document.get("server") not in servers:
        raise ValueError(f"server is one of {', '.join(sorted(servers))}")
    if document.get("kind") not in list(FaultKind):
        raise ValueError(f"kind is one of {', '.join(FaultKind)}")
    fields = {**document, "kind": FaultKind(str(document["kind"]))}
    return PlannedFault(**fields)  # type: ignore[arg-type]  # each type was checked above


class Faults:
    """The planted faults, first come first served."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[PlannedFault] = []

    def plant(self, fault: PlannedFault) -> None:
        """Add one behind those already there."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Take all of them away."""
        with self._lock:
            self._faults.clear()

    def take(self, server: str, path: str) -> PlannedFault | None:
        """The fault that this request meets, which it uses up by one."""
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
        """What is still planted, as JSON."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]
