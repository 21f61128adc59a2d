"""The rules that each server enforces, and how they are known."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

Evidence = Literal["documented", "observed", "read in the library", "inferred", "assumed"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One strict rule of one server, and the page it rests on."""

    server: str
    rule: str
    """A sentence: what is refused, or guaranteed."""
    evidence: Evidence
    source: str
    """The vendor page's address; `assumed` where there is none."""


R = TypeVar("R", bound=Rule)


def read_rules(table: Path, kind: type[R], server: str) -> dict[str, R]:
    """The rules of a table, by id; lines with `#` are titles, and an empty cell is a field's default."""
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    whole = {field.name for field in fields(kind) if isinstance(field.default, int)}
    return {row.pop("id"): kind(server=server, **_cells(row, whole)) for row in rows}


def _cells(row: Mapping[str, str], whole: set[str]) -> dict[str, Any]:
    return {name: int(cell) if name in whole else cell for name, cell in row.items() if cell}


def named(table: Mapping[str, R], name: str) -> R:
    """A rule as an attribute of its module."""
    try:
        return table[name]
    except KeyError:
        raise AttributeError(f"no rule is called {name}") from None
