"""Past statuses by other names than leads show: unless settings name them, statuses have no times. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

_FEWEST_LEADS, _FEWEST_LABELS = 5, 2
"""A label that every lead begins with, such as a creation, may well be no status of any."""


def unexplained_labels(
    histories: Iterable[Sequence[str]], known: Collection[str], fold: Callable[[str], str]
) -> tuple[str, ...]:
    """Return the labels of histories without any that is `known`, commonest first, if most histories are such.

    Their statuses may be codes that leads show by other words. `known` are folded.
    """
    told = [labels for labels in histories if labels]
    strange = [labels for labels in told if not any(fold(label) in known for label in labels)]
    counts = Counter(label for labels in strange for label in labels)
    if len(strange) < _FEWEST_LEADS or len(counts) < _FEWEST_LABELS or 2 * len(strange) <= len(told):
        return ()
    return tuple(label for label, _ in counts.most_common())


class CodesOfHistories(NamedTuple):
    """The codes by which histories tell statuses that leads show, beside these codes, by a text."""

    by_text: Mapping[str, str]
    """The code of each status that has one of its own, by its folded text."""
    unclear: Mapping[str, tuple[str, ...]]
    """The texts beside each other code, which may mean any of them."""


def codes_of_histories(
    shown: Iterable[tuple[str, Sequence[str]]], histories: Iterable[Sequence[str]], fold: Callable[[str], str]
) -> CodesOfHistories:
    """Return what histories call statuses by codes alone, as far as leads show what these mean.

    A status's code is the one that stands beside its text wherever it has any, and beside no other text, if no history
    tells the text. `shown` are the present statuses: each lead's text, and its other names.
    """
    told = {fold(label): label for labels in histories for label in labels}
    texts: dict[str, str] = {}
    names: defaultdict[str, list[set[str]]] = defaultdict(list)
    for text, others in shown:
        texts.setdefault(fold(text), text)
        names[fold(text)].append({fold(name) for name in others} - {fold(text)})
    beside = {code: [text for text in names if any(code in each for each in names[text])] for code in told}
    codes = {code: found for code, found in beside.items() if found and code not in texts}
    by_text: dict[str, str] = {}
    unclear: dict[str, tuple[str, ...]] = {}
    for code, (text, *others) in codes.items():
        is_only_one = all(code in each for each in names[text] if each)
        has_rival = others or any(text in found for other, found in codes.items() if other != code)
        if is_only_one and not has_rival and text not in told:
            by_text[text] = told[code]
        else:
            unclear[told[code]] = tuple(texts[one] for one in (text, *others))
    return CodesOfHistories(by_text, unclear)
