"""How click ids came through from the ad to the CRM: by source, cut short, lower-cased. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from connectors.oplead.fields import find, shape
from connectors.records import ClickIdKind, Lead
from connectors.survey import SourceSeen

_ROUND = (32, 40, 45, 50, 60, 63, 64, 80, 99, 100, 120, 127, 128, 150, 191, 200, 250, 254, 255, 256)
"""Lengths at which columns and forms cut a text."""
_MANY_CUT, _SHARE_CUT = 3, 0.1
_LONG_ENOUGH_TO_JUDGE, _LETTERS_TO_JUDGE = 24, 15
_MANY_LOWER = 2
_SHORTEST = {ClickIdKind.GCLID: 30, ClickIdKind.FBCLID: 30, ClickIdKind.GBRAID: 20, ClickIdKind.WBRAID: 20}
"""Real ones are longer than this by far."""
_SENT = frozenset(_SHORTEST)
_SOURCE = re.compile(r"[A-Za-z0-9_. -]{1,30}")
_SHARED = 2
_DIGITS = re.compile(r"\d{5,}")
_KNOWN_SOURCES = frozenset({"google", "facebook", "instagram", "meta", "bing", "tiktok", "linkedin", "fb", "ig"})


def sources_of(leads: Sequence[Lead]) -> tuple[SourceSeen, ...]:
    """The click ids by `utm_source`, commonest source first."""
    by_source: defaultdict[str, list[Lead]] = defaultdict(list)
    for lead in leads:
        by_source[lead.utm.source or ""].append(lead)
    shown: defaultdict[str, list[Lead]] = defaultdict(list)
    for source, those in by_source.items():
        shown[source if _may_be_shown(source, len(those)) else f"<{shape(source)}>"].extend(those)
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


def _may_be_shown(source: str, leads: int) -> bool:
    if not source or source.casefold() in _KNOWN_SOURCES:
        return True
    return leads >= _SHARED and bool(_SOURCE.fullmatch(source)) and not _DIGITS.search(source)
