"""Leads taken apart into dotted paths, and what stands there told by its form alone. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.oplead.dates import read_moment
from connectors.oplead.fields import is_empty, raw
from connectors.oplead.probe.names import NAMES, plain
from connectors.plurals import counted
from connectors.survey import KeyPath

_DEEPEST = 6
_MOST_PATHS = 400
_NAME = re.compile(r"[^\W\d][\w@$:-]{0,60}|_[\w-]{1,60}")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE = re.compile(r"(?:\+|00)?[\d\s().-]{9,20}")
_NUMBER = re.compile(
    # As French people type amounts, too: 1 231, 3 780,00 €, 900 EUR HT; the spaces may be no-break ones.
    r"-?(?:\d+|\d{1,3}(?:[ \u00a0\u2007\u2009\u202f]\d{3})+)(?:[.,]\d+)?(?:\s?(?:€|eur(?:os?)?))?(?:\s?(?:ttc|ht))?",
    re.IGNORECASE,
)
_KNOWN = frozenset(name for names in NAMES.values() for name in names)
_PAIR_NAMES = ("name", "key", "code", "label")
_PHP = frozenset({"date", "timezone", "timezonetype"})
_RARELY = 0.02
_MANY = 20
_EPOCHS_FROM = 2010


@dataclass(slots=True)
class Node:
    """What leads hold at one path."""

    values: dict[int, list[object]] = field(default_factory=dict)
    """By the lead's number, what is not empty there."""
    leads: set[int] = field(default_factory=set)
    """The leads that have the path at all."""
    is_pair: bool = False
    """Whether the path's last name was written as data, in a list of names and values."""
    is_listed: bool = False
    """Whether it stands in entries of a list, as past statuses do."""

    @property
    def filled(self) -> int:
        """How many leads hold something there."""
        return len(self.values)

    @property
    def holds_more(self) -> bool:
        """Whether it is a container: an object or a list."""
        return any(isinstance(value, Mapping | list) for value in self.every())

    def every(self) -> Iterator[object]:
        """Every value."""
        for values in self.values.values():
            yield from values


Tree = Mapping[str, Node]


def tree_of(leads: Sequence[object]) -> Tree:
    """Every dotted path that many leads share, in the order it was met, containers among them.

    A name that few leads have may be somebody's data (an object kept by people's names), unless we know it.
    """
    nodes: dict[str, Node] = {}
    for number, lead in enumerate(leads):
        for path, value, is_pair, is_listed in _walk(lead, "", _DEEPEST, is_listed=False):
            if path not in nodes and len(nodes) >= _MOST_PATHS:
                continue
            node = nodes.setdefault(path, Node())
            node.is_pair |= is_pair
            node.is_listed |= is_listed
            node.leads.add(number)
            if not is_empty(value):
                node.values.setdefault(number, []).append(value)
    return {path: node for path, node in nodes.items() if _is_shared(path, nodes, len(leads))}


_Step = tuple[str, object, bool, bool]


def _walk(value: object, path: str, depth: int, *, is_listed: bool) -> Iterator[_Step]:
    if depth == 0 or (path and is_php_date(value)):
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _below(path, name, inner, depth, is_pair=False, is_listed=is_listed)
    elif isinstance(value, list):
        pairs = [pair for one in value if (pair := _pair(one)) is not None]
        for name, inner in pairs:
            yield from _below(path, name, inner, depth, is_pair=True, is_listed=is_listed)
        if not pairs:
            for one in value:
                yield from _walk(one, path, depth - 1, is_listed=True)


def _below(path: str, name: str, inner: object, depth: int, *, is_pair: bool, is_listed: bool) -> Iterator[_Step]:
    if not _NAME.fullmatch(name):  # neither to be written in the settings nor to be shown: it may be anything
        return
    below = f"{path}.{name}" if path else name
    yield below, inner, is_pair, is_listed
    yield from _walk(inner, below, depth - 1, is_listed=is_listed)


def _pair(one: object) -> tuple[str, object] | None:
    """The name and value of an entry that is such a pair."""
    values = raw(one, "value") if isinstance(one, Mapping) else ()
    names = (name for key in _PAIR_NAMES for name in raw(one, key) if isinstance(name, str))
    name = next(names, None) if values else None
    return None if name is None else (name, values[0])


def is_php_date(value: object) -> bool:
    """Whether an object is what PHP makes of a date."""
    return isinstance(value, Mapping) and "date" in value and {plain(name) for name in value} <= _PHP


def is_date(value: object, zone: ZoneInfo) -> bool:
    """Whether a value reads as a time, as text, as PHP's object or as a number since 1970."""
    if not isinstance(value, str | Decimal) and not is_php_date(value):
        return False
    try:
        return read_moment(value, zone) is not None
    except (ValueError, ArithmeticError):
        return False


def key_paths(tree: Tree, zone: ZoneInfo) -> tuple[KeyPath, ...]:
    """The paths, how many leads fill each, and with what."""
    return tuple(KeyPath(path, node.filled, _shapes(node, zone)) for path, node in tree.items())


def _is_shared(path: str, nodes: Tree, leads: int) -> bool:
    names = path.split(".")
    return all(
        _is_shared_name(name, nodes[".".join(names[: depth + 1])], leads)
        for depth, name in enumerate(names)
        if ".".join(names[: depth + 1]) in nodes
    )


def _is_shared_name(name: str, node: Node, leads: int) -> bool:
    if plain(name) in _KNOWN or len(node.leads) > max(1, leads * _RARELY):
        return True
    return leads < _MANY and not node.is_pair


def _shapes(node: Node, zone: ZoneInfo) -> tuple[str, ...]:
    kinds = Counter(kind_of(value, zone) for value in node.every())
    lengths = [len(value) for value in node.every() if kind_of(value, zone) == "text" and isinstance(value, str)]
    shown = [_text_shape(lengths) if kind == "text" else kind for kind, _ in kinds.most_common(3)]
    return tuple(shown) or ("nothing",)


def kind_of(value: object, zone: ZoneInfo) -> str:
    """What a value is, in a word or two that tell nothing of it."""
    if is_php_date(value):
        return "date"
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, list):
        return "list"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Decimal):
        return "date, in seconds or milliseconds" if _is_epoch(value, zone) else "number"
    if not isinstance(value, str):
        return "nothing"
    text = value.strip()
    if _EMAIL.fullmatch(text):
        return "e-mail address"
    if is_date(text, zone) and not _NUMBER.fullmatch(text):
        return "date"
    if _PHONE.fullmatch(text):
        return "phone number or other digits"
    return "number" if _NUMBER.fullmatch(text) else "text"


def _is_epoch(value: Decimal, zone: ZoneInfo) -> bool:
    if not is_date(value, zone):
        return False
    moment = read_moment(value, zone)
    return moment is not None and isinstance(moment.at, datetime) and moment.at.year >= _EPOCHS_FROM


def _text_shape(lengths: Sequence[int]) -> str:
    least, most = min(lengths), max(lengths)
    longest = counted(most, "character")
    return f"text, {longest}" if least == most else f"text, {least} to {longest}"
