"""What stands in the leads, told without showing anybody's data: statuses, few-valued fields, amounts. Pure."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from connectors.oplead.fields import find, shape, text_of
from connectors.oplead.probe.names import AMOUNT_PARTS, ANSWERS, CHANNELS, CONSENT_PARTS, CONSENT_WORDS, plain
from connectors.oplead.probe.tree import Node, Tree
from connectors.records import Lead
from connectors.survey import AmountSeen, FewValues, LabelSeen

Readable = Callable[[str | Decimal], bool]
"""Whether an amount can be read without taking it for another."""

_FEW = 12
_ENOUGH = 10
_LONGEST_LABEL, _LONGEST_CHANNEL = 60, 40
_MOST_LABELS = 40
_DIGITS_OF_SOMEBODY = re.compile(r"(?:\d[\s.-]?){5,}")
_NUMBER = re.compile(r"-?\d{1,6}(?:[.,]\d{1,4})?")
_HAS_AMOUNT = re.compile(r"\d")
_NOT_AMOUNTS = frozenset({"id", "date", "at", "currency", "devise", "tax", "tva", "count", "page"})
_SHARED = 2
"""A channel that only one lead has may be anything."""


def labels_of(leads: Sequence[Lead], listed: Sequence[Lead] = ()) -> tuple[LabelSeen, ...]:
    """The status labels, commonest first; where there are far too many, or one is no label, only its shape.

    Args:
        leads: the leads looked at whole, which are counted.
        listed: these and others, of which the list alone is known: their labels are told and not counted.
    """
    counts = Counter(lead.label for lead in leads if lead.label is not None)
    with_ids = Counter(lead.label for lead in leads if lead.label is not None and lead.click_ids)
    for lead in listed:
        if lead.label is not None:
            counts[lead.label] += 0
    no_labels = len(counts) > _MOST_LABELS and len(counts) > max(len(leads), len(listed)) / 3
    shown: Counter[str] = Counter()
    shown_ids: Counter[str] = Counter()
    for label, count in counts.items():
        name = f"<{shape(label)}>" if no_labels or not _may_be_shown(label, _LONGEST_LABEL) else label
        shown[name] += count
        shown_ids[name] += with_ids[label]
    return tuple(LabelSeen(label, count, shown_ids[label]) for label, count in shown.most_common())


def past_labels_of(leads: Sequence[Lead]) -> tuple[str, ...]:
    """The labels of histories that no lead has now and that may be shown."""
    present = {lead.label for lead in leads}
    past = {entry.label for lead in leads for entry in lead.history} - present
    shown = sorted(label for label in past if label is not None and _may_be_shown(label, _LONGEST_LABEL))
    return tuple(shown) if len(shown) <= _MOST_LABELS else ()


def few_values_of(tree: Tree, leads: Sequence[object], skipped: frozenset[str]) -> tuple[FewValues, ...]:
    """The fields with only a few different values, consents first.

    Args:
        tree: the leads taken apart.
        leads: the same leads.
        skipped: paths whose meaning is known, contact data above all.
    """
    every = [
        one
        for path, node in tree.items()
        if not node.is_listed and not _is_below(path, skipped) and not _is_amount_name(path)
        if (one := _few(path, node, leads)) is not None
    ]
    return tuple(sorted(every, key=lambda one: not one.consent))


def amounts_of(
    tree: Tree, leads: Sequence[object], readable: Readable, skipped: frozenset[str]
) -> tuple[AmountSeen, ...]:
    """The fields that may hold the amount of a sale, also where none of these leads has come to one yet."""
    return tuple(
        amount
        for path, node in tree.items()
        if not node.is_listed and not node.holds_more and not _is_below(path, skipped) and _is_amount_name(path)
        if (amount := _amount(path, leads, readable)) is not None
    )


def _few(path: str, node: Node, leads: Sequence[object]) -> FewValues | None:
    texts = [_one_text(lead, path) for lead in leads]
    counts = Counter(text for text in texts if text)
    by_name = any(part in plain(path.rpartition(".")[2]) for part in CONSENT_PARTS)
    if not counts or node.holds_more:
        return None
    by_values = _share(counts, CONSENT_WORDS) >= 0.5  # noqa: PLR2004 - most of them
    consent = by_name or by_values
    if not consent and (len(counts) > _FEW or len(leads) < _ENOUGH or len(counts) > len(leads) / 3):
        return None
    is_channel = plain(path.rpartition(".")[2]) in CHANNELS
    shown: Counter[str] = Counter()
    for text, count in counts.items():
        shown[_shown(text, count, is_channel=is_channel)] += count
    if not consent and all(text.startswith("<") for text in shown):
        return None
    if empty := len(leads) - counts.total():
        shown[""] = empty
    return FewValues(path, dict(shown.most_common(_FEW + 1)), consent)


def _share(counts: Counter[str], words: frozenset[str]) -> float:
    return sum(count for text, count in counts.items() if plain(text) in words) / counts.total()


def _shown(text: str, count: int, *, is_channel: bool) -> str:
    """The value, where it is one that may be shown; else its shape in angle brackets."""
    if plain(text) in ANSWERS or _NUMBER.fullmatch(text):
        return text
    if is_channel and count >= _SHARED and _may_be_shown(text, _LONGEST_CHANNEL):
        return text
    return f"<{shape(text)}>"


def _may_be_shown(text: str, longest: int) -> bool:
    return len(text) <= longest and "@" not in text and text.isprintable() and not _DIGITS_OF_SOMEBODY.search(text)


def _one_text(lead: object, path: str) -> str:
    found = (text_of(value) for value in find(lead, path))
    return next((text for text in found if text), "")


def _is_below(path: str, skipped: frozenset[str]) -> bool:
    named = path.split(".")
    return any(".".join(plain(name) for name in named[:depth]) in skipped for depth in range(1, len(named) + 1))


def loosely(paths: Sequence[str]) -> Iterator[str]:
    """Paths by the plain spelling of their names."""
    yield from (".".join(plain(name) for name in path.split(".")) for path in paths)


def _is_amount_name(path: str) -> bool:
    name = plain(path.rpartition(".")[2])
    if name in _NOT_AMOUNTS or name.startswith(("id", "date")) or name.endswith(("id", "date", "at", "currency")):
        return False
    return any(part in name for part in AMOUNT_PARTS)


def _amount(path: str, leads: Sequence[object], readable: Readable) -> AmountSeen | None:
    values = [next((one for one in find(lead, path) if isinstance(one, str | Decimal)), None) for lead in leads]
    there = [value for value in values if value is not None]
    if there and not any(isinstance(value, Decimal) or _HAS_AMOUNT.search(value) for value in there):
        return None
    read = sum(readable(value) for value in there)
    return AmountSeen(path, read, len(there) - read, len(leads) - len(there))
