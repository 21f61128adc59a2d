"""Failures planted in front of a server, each for a counted number of requests."""

import json
from dataclasses import replace
from enum import StrEnum
from threading import Lock
from typing import Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass


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


STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, config=STRICT)
class PlannedFault:
    """One failure: which requests it takes and what it does to them."""

    server: str
    kind: FaultKind
    count: int = Field(default=1, ge=1)
    """How many requests it takes."""
    after: int = Field(default=0, ge=0)
    """How many matching requests it lets pass first."""
    path: str = ""
    """Takes only requests whose path begins so."""
    status: int | None = Field(default=None, ge=200, le=599)
    """The code of `status` (default 503), `html` (default 200) and `failed_after` (default 500)."""
    retry_after: int | None = None
    """Seconds of a Retry-After header."""
    seconds: float = Field(default=1.0, ge=0, le=60)
    """Real seconds of `hang` and `latency`."""
    body: str = ""
    """The body of `status`; and of `failed_after`, instead of the platform's own error."""


T = TypeVar("T")


def parsed(kind: type[T], document: object) -> T:
    """A dataclass, or a list or dict of such, from its JSON form; ValueError names each wrong field."""
    try:
        return TypeAdapter(kind).validate_json(json.dumps(document))
    except ValidationError as invalid:
        faults = ("".join(f"{name}: " for name in each["loc"]) + each["msg"] for each in invalid.errors())
        raise ValueError("; ".join(faults)) from None


def dumped(value: object) -> Any:
    """The JSON form that `parsed` reads."""
    return TypeAdapter(Any).dump_python(value, mode="json")


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
            return list(dumped(self._faults))
