"""Find the leads in a response, and what stands around them: the total, and how to go on. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from connectors.errors import Misconfigured
from connectors.oplead.parsing.field_tree import NAMES, NEEDED, last_path_part, normalise
from connectors.oplead.parsing.fields import raw_values_at_path
from connectors.oplead.parsing.items import find_lead_array

_DEEPEST = 3
_TOTALS = frozenset(
    {"total", "totalcount", "totalelements", "totalitems", "totalresults", "totalrecords", "nombretotal"}
    | {"count", "recordstotal", "nbtotal", "totalhits", "nbresultats"}
)
_NEXT_WORDS = ("next", "suivant", "cursor", "curseur", "continuation", "pagetoken")
MORE_WORDS = frozenset({"hasmore", "hasnext", "hasnextpage", "more", "moreresults"})
"""Names, normalised, of what only says whether there is another page."""
_LEAD_WORDS = frozenset(name for field in NEEDED for name in NAMES[field])


def locate_lead_array(body: object, configured: str | None) -> tuple[str | None, Sequence[object]]:
    """Return `oplead.pagination.items`, None if it can stay unset, and the leads found with it.

    Raises:
        Misconfigured: there is no array of leads, or more than one candidate.
    """
    try:
        return configured, find_lead_array(body, configured)
    except Misconfigured:
        arrays = [(path, value) for path, value in lists_and_surrounding_values(body) if isinstance(value, list)]
        found = {
            path: count_typical_lead_fields(array[0])
            for path, array in arrays
            if array and all(isinstance(one, Mapping) for one in array[:20])
            # a name with a dot or a space cannot be written in the settings
            if not any(map(str.isspace, path)) and any(value is array for value in raw_values_at_path(body, path))
        }
        # the array whose first entry has the most names typical of a lead
        likely = [path for path, words in found.items() if words == max(found.values())]
        if len(likely) != 1:
            raise
        return likely[0], find_lead_array(body, likely[0])


def envelope_values(body: object) -> list[tuple[str, object]]:
    """Return the scalar values of a response outside its lists, with their paths."""
    return [(path, value) for path, value in lists_and_surrounding_values(body) if path and not isinstance(value, list)]


def is_next_page_path(path: str) -> bool:
    """Whether a value there should lead to the next page."""
    name = normalise(path)
    return any(word in name for word in _NEXT_WORDS) and last_path_part(path) not in MORE_WORDS


def stated_total(body: object, shown: int) -> int | None:
    """Return the total number of leads, if the response has a number that can be it: at least `shown`."""
    for path, value in envelope_values(body):
        name = last_path_part(path)
        if name in _TOTALS and isinstance(value, Decimal) and value == value.to_integral_value() and value >= shown:
            # `count` is usually the length of this page
            if name == "count" and value == shown:
                continue
            return int(value)
    return None


def lists_and_surrounding_values(value: object, path: str = "", depth: int = _DEEPEST) -> Iterator[tuple[str, object]]:
    """Yield the lists of a response and the scalar values around them, with their paths."""
    if not isinstance(value, Mapping):
        yield path, value
    elif depth:
        for name, inner in value.items():
            yield from lists_and_surrounding_values(inner, f"{path}.{name}" if path else name, depth - 1)


def count_typical_lead_fields(one: Mapping[str, object]) -> int:
    """Return how many names typical of a lead an object has."""
    return len({normalise(name) for name in one} & _LEAD_WORDS)
