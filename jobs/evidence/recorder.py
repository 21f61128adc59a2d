"""Keeps what is asked of a platform and what it answers, by structure alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Tree = Mapping[str, "Tree"] | list["Tree"] | str
"""The structure of a JSON value: names of fields, and kinds in place of values (see `redaction`)."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, redacted."""

    platform: str
    method: str
    path: str
    """Without a query; `{id}` in place of an id."""
    query: tuple[str, ...] = ()
    """The names of the parameters."""
    status: int | None = None
    """None if there was no answer."""
    headers: tuple[str, ...] = ()
    """The names of the answer's headers, as far as they are known ones."""
    asked: Tree | None = None
    answered: Tree | None = None


@dataclass(slots=True)
class ExchangeRecorder:
    """Keeps exchanges, numbered from 1."""

    exchanges: list[Exchange] = field(default_factory=list)

    def add(self, exchange: Exchange) -> int:
        """Keep one, and return its number."""
        self.exchanges.append(exchange)
        return len(self.exchanges)
