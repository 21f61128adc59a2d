"""What fields hold, by form and count; no value of a person is kept."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from connectors.oplead.field_tree import (
    AMOUNT_PARTS,
    ANSWERS,
    CHANNELS,
    CONSENT_PARTS,
    CONSENT_WORDS,
    GRANTED,
    OTHER_WAY_ROUND,
    REFUSED,
    Node,
    Tree,
    plain,
)
from connectors.oplead.fields import find, shape, text_of
from connectors.records import ClickIdKind, Lead
from connectors.survey import AmountSeen, FewValues, SourceSeen, SurveyedLabel

Readable = Callable[[str | Decimal], bool]
"""Whether an amount can be read without taking it for another."""
Fold = Callable[[str], str]
"""What a label or an answer is compared by: those that give one text count as one."""

_FEW = 12
_ENOUGH = 10
_LONGEST_LABEL, _LONGEST_CHANNEL = 60, 40
_MOST_LABELS = 40
_DIGITS_OF_SOMEBODY = re.compile(r"(?:\d[\s.-]?){5,}")
_NUMBER = re.compile(r"-?(?:\d{1,6}|\d{1,3} \d{3})(?:[.,]\d{1,4})?(?: ?(?:€|eur))?", re.IGNORECASE)
_HAS_AMOUNT = re.compile(r"\d")
_NOT_AMOUNTS = frozenset({"id", "date", "at", "currency", "devise", "tax", "tva", "count", "page"})
_SHARED = 2
"""A text that only one lead has may be anything."""


def labels_of(leads: Sequence[Lead], listed: Sequence[Lead], fold: Fold) -> tuple[SurveyedLabel, ...]:
    """The status labels, commonest first; where there are far too many, or one is no label, only its shape.

    Args:
        leads: the leads looked at whole, which are counted.
        listed: these and others, of which the list alone is known: their labels are told and not counted.
        fold: tells which spellings are one label.
    """
    counts = Counter(lead.label for lead in leads if lead.label is not None)
    with_ids = Counter(lead.label for lead in leads if lead.label is not None and lead.click_ids)
    for lead in listed:
        if lead.label is not None:
            counts[lead.label] += 0
    spelt = _spellings(counts, fold)
    different = len({*spelt.values()})
    no_labels = different > _MOST_LABELS and different > max(len(leads), len(listed)) / 3
    shown: Counter[tuple[str, bool]] = Counter()
    shown_ids: Counter[tuple[str, bool]] = Counter()
    for label, count in counts.items():
        masked = no_labels or not _may_be_shown(spelt[label], _LONGEST_LABEL)
        name = f"<{shape(spelt[label])}>" if masked else spelt[label]
        shown[name, masked] += count
        shown_ids[name, masked] += with_ids[label]
    return tuple(SurveyedLabel(one[0], count, shown_ids[one], masked=one[1]) for one, count in shown.most_common())


def past_labels_of(leads: Sequence[Lead], fold: Fold) -> tuple[str, ...]:
    """The labels of histories that no lead has now and that may be shown."""
    present = {fold(lead.label) for lead in leads if lead.label is not None}
    past = Counter(entry.label for lead in leads for entry in lead.history if fold(entry.label) not in present)
    shown = sorted(label for label in {*_spellings(past, fold).values()} if _may_be_shown(label, _LONGEST_LABEL))
    return tuple(shown) if len(shown) <= _MOST_LABELS else ()


def _spellings(counts: Mapping[str, int], fold: Fold) -> dict[str, str]:
    """Each text in the spelling that most leads have of it, with plain spaces and whole accents."""
    best: dict[str, str] = {}
    for text in sorted(counts, key=lambda text: -counts[text]):
        best.setdefault(fold(text), unicodedata.normalize("NFC", " ".join(text.split())))
    return {text: best[fold(text)] for text in counts}


def few_values_of(tree: Tree, leads: Sequence[object], skipped: frozenset[str], fold: Fold) -> tuple[FewValues, ...]:
    """The fields with only a few different values, consents first.

    Args:
        tree: the leads taken apart.
        leads: the same leads.
        skipped: paths whose meaning is known, contact data above all.
        fold: tells which spellings are one value.
    """
    every = [
        one
        for path, node in tree.items()
        if not node.is_listed and not _is_below(path, skipped) and not _is_amount_name(path)
        if (one := _few(path, node, leads, fold)) is not None
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


def _few(path: str, node: Node, leads: Sequence[object], fold: Fold) -> FewValues | None:
    counts = _folded([text for lead in leads if (text := _one_text(lead, path))], fold)
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
    proposes = consent and not any(part in plain(path.rpartition(".")[2]) for part in OTHER_WAY_ROUND)
    granted, refused = (tuple(_meaning(shown, words)) if proposes else () for words in (GRANTED, REFUSED))
    return FewValues(path, dict(shown.most_common(_FEW + 1)), consent, granted, refused)


def _folded(texts: Sequence[str], fold: Fold) -> Counter[str]:
    """How often each text stands there, the spellings of one text counted as one."""
    spelt = _spellings(Counter(texts), fold)
    return Counter(spelt[text] for text in texts)


def _meaning(shown: Counter[str], words: frozenset[str]) -> Iterable[str]:
    return (text for text, _ in shown.most_common() if plain(text) in words)


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


_ROUND = (32, 40, 45, 50, 60, 63, 64, 80, 99, 100, 120, 127, 128, 150, 191, 200, 250, 254, 255, 256)
"""Lengths at which columns and forms cut a text."""
_MANY_CUT, _SHARE_CUT = 3, 0.1
_LONG_ENOUGH_TO_JUDGE, _LETTERS_TO_JUDGE = 24, 15
_MANY_LOWER = 2
_SHORTEST = {ClickIdKind.GCLID: 30, ClickIdKind.FBCLID: 30, ClickIdKind.GBRAID: 20, ClickIdKind.WBRAID: 20}
"""Real ones are longer than this by far."""
_SENT = frozenset(_SHORTEST)
_SOURCE = re.compile(r"[A-Za-z0-9_. -]{1,30}")
_DIGITS = re.compile(r"\d{5,}")
_KNOWN_SOURCES = frozenset({"google", "facebook", "instagram", "meta", "bing", "tiktok", "linkedin", "fb", "ig"})


def sources_of(leads: Sequence[Lead]) -> tuple[SourceSeen, ...]:
    """The click ids by `utm_source`, commonest source first."""
    by_source: defaultdict[str, list[Lead]] = defaultdict(list)
    for lead in leads:
        by_source[lead.utm.source or ""].append(lead)
    shown: defaultdict[str, list[Lead]] = defaultdict(list)
    for source, those in by_source.items():
        shown[source if _click_may_be_shown(source, len(those)) else f"<{shape(source)}>"].extend(those)
    return tuple(
        SourceSeen(source, len(those), _kinds(those), sum(lead.click_id_problem is not None for lead in those))
        for source, those in sorted(shown.items(), key=lambda one: -len(one[1]))
    )


def suspicions_of(leads: Sequence[Lead], raw: Sequence[object], paths: Sequence[str]) -> Iterator[str]:
    """What looks as if click ids were spoilt on their way, a sentence each.

    Args:
        leads: as they were read.
        raw: the same leads as they were answered.
        paths: where click ids stand.
    """
    texts = [text for lead in raw for path in paths for text in find(lead, path) if isinstance(text, str)]
    if (cut := _cut_at(texts)) is not None:
        length, count = cut
        yield (
            f"Click ids look cut short: {count} of {len(texts)} values are exactly {length} characters long and none "
            "is longer. Make the field in your form or in Oplead longer; an id that is cut matches no click."
        )
    ids = [one for lead in leads for one in lead.click_ids if one.kind in _SENT]
    short = [one for one in ids if len(one.value) < _SHORTEST[one.kind]]
    if len(short) >= _MANY_CUT:
        yield (
            f"{len(short)} of {len(ids)} click ids are shorter than any real one: they are cut, or somebody's test "
            "values."
        )
    judged = [one for one in ids if _is_telling(one.value)]
    lower = [one for one in judged if one.value == one.value.lower()]
    if len(lower) >= _MANY_LOWER:
        yield (
            f"{len(lower)} of {len(judged)} click ids have no capital letter: something on the way writes them in "
            "lower case. Google and Meta tell A from a, so none of these will match."
        )


def _cut_at(texts: Sequence[str]) -> tuple[int, int] | None:
    """The length at which texts are cut, and how many are that long."""
    lengths = Counter(map(len, texts))
    longest = max(lengths, default=0)
    count = lengths[longest]
    if longest in _ROUND and count >= max(_MANY_CUT, _SHARE_CUT * len(texts)) and len(lengths) > 1:
        return longest, count
    alike = len(lengths) == 1 and longest in _ROUND and count >= _MANY_CUT
    return (longest, count) if alike else None


def _is_telling(text: str) -> bool:
    letters = sum(letter.isalpha() for letter in text)
    return len(text) >= _LONG_ENOUGH_TO_JUDGE and letters >= _LETTERS_TO_JUDGE


def _kinds(leads: Sequence[Lead]) -> dict[str, int]:
    return dict(Counter(kind.value for lead in leads for kind in {one.kind for one in lead.click_ids}).most_common())


def _click_may_be_shown(source: str, leads: int) -> bool:
    if not source or source.casefold() in _KNOWN_SOURCES:
        return True
    return leads >= _SHARED and bool(_SOURCE.fullmatch(source)) and not _DIGITS.search(source)
