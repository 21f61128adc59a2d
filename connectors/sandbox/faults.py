"""Faults planted in front of a server, each for a fixed number of requests."""

import json
from dataclasses import replace
from enum import StrEnum
from threading import Lock
from typing import Any, TypeVar

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
    seconds: float = Field(default=1.0, ge=0, le=60)
    """How long `hang` and `latency` take, in real seconds."""
    body: str = ""
    """The body of `status`, and of `failed_after` in place of the platform's own error."""


T = TypeVar("T")


def parsed(kind: type[T], document: object) -> T:
    """Parse a dataclass, or a list or dict of them, from its JSON form; raise ValueError naming each wrong field."""
    try:
        return TypeAdapter(kind).validate_json(json.dumps(document))
    except ValidationError as invalid:
        faults = ("".join(f"{name}: " for name in each["loc"]) + each["msg"] for each in invalid.errors())
        raise ValueError("; ".join(faults)) from None


def dumped(value: object) -> Any:
    """Return the JSON form that `parsed` reads."""
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

    def take(self, server: str, path: str) -> PlannedFault | None:
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
            return list(dumped(self._faults))
