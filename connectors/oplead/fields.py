"""Finds things in a lead whose shape is not published: loosely spelt names, objects or name/value lists."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from connectors.plurals import counted

_NAME_KEYS = ("name", "key", "code", "label")
_TEXT_KEYS = ("label", "name", "value", "title", "code", "id")
_LONG_NUMBER = 40


def find(container: object, path: str) -> tuple[object, ...]:
    """Every non-empty value at a dotted path, in order; one value where no list is on the way.

    A name matches exactly or else ignoring case, `_` and `-` (`externalID` = `external_id`). A list on the
    way is read as name/value pairs where it holds any (`[{"name": "externalID", "value": …}]`), else every
    element is entered.
    """
    return tuple(value for value in _flat(raw(container, path)) if not is_empty(value))


def raw(container: object, path: str) -> tuple[object, ...]:
    """Every value at a dotted path as it stands: lists whole, empty ones too."""
    found: tuple[object, ...] = (container,)
    for name in path.split("."):
        found = tuple(value for inside in found for value in _named(inside, name))
    return found


def first(container: object, paths: Sequence[str]) -> object:
    """The first non-empty value at the first path that has one, else None."""
    return next((value for path in paths for value in find(container, path)), None)


def text_of(value: object, keys: Sequence[str] = _TEXT_KEYS) -> str | None:
    """A value as text: itself, a number's digits, `true` or `false`, or an object's label, else None."""
    if isinstance(value, Mapping):
        inner = (text_of(one, keys) for key in keys for one in _named(value, key))
        return next((text for text in inner if text is not None), None)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        # 1E+999999 must not be spelt out in digits; no number of ours is longer than this.
        return format(value, "f") if value.is_finite() and abs(value.adjusted()) < _LONG_NUMBER else str(value)
    if isinstance(value, str):
        return value.strip() or None
    return None


def texts(container: object, paths: Sequence[str], keys: Sequence[str] = _TEXT_KEYS) -> tuple[str, ...]:
    """Every distinct text at any of the paths, in order."""
    every = (text_of(value, keys) for path in paths for value in find(container, path))
    return tuple(dict.fromkeys(text for text in every if text is not None))


def is_empty(value: object) -> bool:
    """Whether a value says nothing: null, blank text, an empty list or object. 0 and false say something."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, Mapping | list) and not value)


def shape(value: object) -> str:
    """What a value looks like, without showing it: "text, 18 characters"."""
    if isinstance(value, str):
        return f"text, {counted(len(value), 'character')}"
    if isinstance(value, Mapping):
        return f"an object with {counted(len(value), 'name')}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bool) or value is None:
        return "nothing" if value is None else "true or false"
    return f"a number, {counted(len(str(value)), 'character')}"


def _named(container: object, name: str) -> Iterator[object]:
    if isinstance(container, Mapping):
        if name in container:
            yield container[name]
            return
        wanted = _loose(name)
        yield from (value for key, value in container.items() if _loose(key) == wanted)
    elif isinstance(container, list):
        pairs = [pair for one in container if (pair := pair_of(one)) is not None]
        if pairs:
            wanted = _loose(name)
            yield from (value for key, value in pairs if _loose(key) == wanted)
        else:
            for one in container:
                yield from _named(one, name)


def pair_of(one: object) -> tuple[str, object] | None:
    """The name and the value of a name/value pair, else None."""
    if not isinstance(one, Mapping):
        return None
    values = tuple(_named(one, "value"))
    names = (name for key in _NAME_KEYS for name in _named(one, key) if isinstance(name, str))
    name = next(names, None)
    return (name, values[0]) if values and name is not None else None


def _flat(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _loose(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()
