"""Tell the click ids in leads: their kinds by source, and signs that they were damaged in transit. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from connectors.language import _, format_integer
from connectors.oplead.parsing.fields import shape, values_at_path
from connectors.oplead.survey.values import SHARED
from connectors.records import ClickIdKind, Lead
from connectors.survey import UtmSourceClickIdCounts

_ROUND = (32, 40, 45, 50, 60, 63, 64, 80, 99, 100, 120, 127, 128, 150, 191, 200, 250, 254, 255, 256)
"""Lengths to which database columns and forms commonly truncate."""
_MANY_CUT, _SHARE_CUT = 3, 0.1
_LONG_ENOUGH_TO_JUDGE, _LETTERS_TO_JUDGE = 24, 15
_MANY_LOWER = 2
_SHORTEST = {ClickIdKind.GCLID: 30, ClickIdKind.FBCLID: 30, ClickIdKind.GBRAID: 20, ClickIdKind.WBRAID: 20}
"""Real click ids are far longer than this."""
_SOURCE = re.compile(r"[A-Za-z0-9_. -]{1,30}")
_DIGITS = re.compile(r"\d{5,}")
_KNOWN_SOURCES = frozenset({"google", "facebook", "instagram", "meta", "bing", "tiktok", "linkedin", "fb", "ig"})


def click_id_kinds_by_source(leads: Sequence[Lead]) -> tuple[UtmSourceClickIdCounts, ...]:
    """Return the kinds of click ids by `utm_source`, commonest source first."""
    counts = Counter(lead.utm.source or "" for lead in leads)
    shown: defaultdict[str, list[Lead]] = defaultdict(list)
    for lead in leads:
        source = lead.utm.source or ""
        is_shared = counts[source] >= SHARED and _SOURCE.fullmatch(source) and not _DIGITS.search(source)
        may_be_shown = not source or source.casefold() in _KNOWN_SOURCES or is_shared
        shown[source if may_be_shown else f"<{shape(source)}>"].append(lead)
    seen = []
    for source, group in sorted(shown.items(), key=lambda one: -len(one[1])):
        kinds = Counter(kind.value for lead in group for kind in {one.kind for one in lead.click_ids})
        undecided = sum(lead.click_id_problem is not None for lead in group)
        seen.append(UtmSourceClickIdCounts(source, len(group), dict(kinds.most_common()), undecided))
    return tuple(seen)


def click_id_damage_signs(leads: Sequence[Lead], answers: Sequence[object], paths: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each sign that click ids were damaged in transit.

    `answers` is the JSON of the same leads, and `paths` the paths of click ids in it.
    """
    texts = [text for lead in answers for path in paths for text in values_at_path(lead, path) if isinstance(text, str)]
    lengths = Counter(map(len, texts))
    length = max(lengths, default=0)
    count = lengths[length]
    if length in _ROUND and count >= (_MANY_CUT if len(lengths) == 1 else max(_MANY_CUT, _SHARE_CUT * len(texts))):
        yield (
            _(
                "Click ids look cut short: {count} of {texts} values are exactly {length} characters long "
                "and none is longer. Make the field in your form or in Oplead longer; an id that is cut "
                "matches no click.",
                count=format_integer(count),
                texts=format_integer(len(texts)),
                length=length,
            )
        )
    ids = [one for lead in leads for one in lead.click_ids if one.kind in _SHORTEST]
    short = [one for one in ids if len(one.value) < _SHORTEST[one.kind]]
    if len(short) >= _MANY_CUT:
        yield (
            _(
                "{short} of {ids} click ids are shorter than any real one: they are cut, or somebody's test values.",
                short=format_integer(len(short)),
                ids=format_integer(len(ids)),
            )
        )
    texts = [one.value for one in ids if len(one.value) >= _LONG_ENOUGH_TO_JUDGE]
    judged = [text for text in texts if sum(map(str.isalpha, text)) >= _LETTERS_TO_JUDGE]
    lower = [text for text in judged if text == text.lower()]
    if len(lower) >= _MANY_LOWER:
        yield (
            _(
                "{lower} of {judged} click ids have no capital letter: something on the way writes them in "
                "lower case. Google and Meta tell A from a, so none of these will match.",
                lower=format_integer(len(lower)),
                judged=format_integer(len(judged)),
            )
        )
