"""Where the leads stand in an answer that wraps them in its own way, and what it tells beside them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from connectors.errors import Misconfigured
from connectors.oplead.envelope import find_items
from connectors.oplead.probe.names import NAMES, NEEDED, plain

_DEEPEST = 3
_TOTALS = frozenset(
    {"total", "totalcount", "totalelements", "totalitems", "totalresults", "totalrecords", "nombretotal"}
    | {"count", "recordstotal", "nbtotal", "totalhits", "nbresultats"}
)
_LEAD_WORDS = frozenset(name for field in NEEDED for name in NAMES[field])


def locate(body: object, configured: str | None) -> tuple[str | None, Sequence[object]]:
    """The setting that finds the leads, None where none is needed, and the leads it finds.

    Raises:
        Misconfigured: there is no array of leads, or several might be it.
    """
    try:
        return configured, find_items(body, configured)
    except Misconfigured:
        found = {path: array for path, array in _arrays(body, "", _DEEPEST) if _may_be_leads(array)}
        best = max((_likeness(array) for array in found.values()), default=0)
        likely = [path for path, array in found.items() if _likeness(array) == best]
        if len(likely) != 1:
            raise
        return likely[0], find_items(body, likely[0])


def beside(body: object) -> Iterator[tuple[str, object]]:
    """The single values an answer tells beside its lists, by path."""
    yield from _values(body, "", _DEEPEST)


def told_total(body: object, shown: int) -> int | None:
    """How many leads there are, where an answer says a number that can be it."""
    for path, value in beside(body):
        name = plain(path.rpartition(".")[2])
        if name in _TOTALS and isinstance(value, Decimal) and value == value.to_integral_value() and value >= shown:
            # `count` is more often the length of this page
            if name == "count" and value == shown:
                continue
            return int(value)
    return None


def _arrays(value: object, path: str, depth: int) -> Iterator[tuple[str, list[object]]]:
    if isinstance(value, list):
        yield path, value
    elif isinstance(value, Mapping) and depth:
        for name, inner in value.items():
            if "." not in name and not any(letter.isspace() for letter in name):
                yield from _arrays(inner, f"{path}.{name}" if path else name, depth - 1)


def _values(value: object, path: str, depth: int) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        if depth:
            for name, inner in value.items():
                yield from _values(inner, f"{path}.{name}" if path else name, depth - 1)
    elif not isinstance(value, list) and path:
        yield path, value


def _may_be_leads(array: Sequence[object]) -> bool:
    return bool(array) and all(isinstance(one, Mapping) for one in array[:20])


def _likeness(array: Sequence[object]) -> int:
    """How many of a lead's own words an entry has."""
    first = array[0]
    return len({plain(name) for name in first} & _LEAD_WORDS) if isinstance(first, Mapping) else 0
