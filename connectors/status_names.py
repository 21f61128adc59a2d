"""What statuses are called besides their labels, as leads' present statuses show it, and histories read by that. Pure.

A history may tell a status's code alone where a lead's present status shows the code and its text.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from connectors.records import Lead, StatusEntry

Fold = Callable[[str], str]
_FEWEST_LEADS, _FEWEST_LABELS = 5, 2
"""A label that every lead begins with, such as a creation, may well be no status of any."""


def other_names(leads: Iterable[Lead], fold: Fold) -> dict[str, frozenset[str]]:
    """Return the other names, folded, that a status has on every lead that shows it, by its label.

    What is beside it on some of them only is the number of a change, not of the status.
    """
    found: dict[str, frozenset[str]] = {}
    spelled: dict[str, str] = {}
    for lead in leads:
        if lead.label and lead.also_called:
            names, label = frozenset(map(fold, lead.also_called)), spelled.setdefault(fold(lead.label), lead.label)
            found[label] = found.get(label, names) & names
    return {label: names - {"", *spelled} for label, names in found.items()}


def labels_by_other_name(leads: Iterable[Lead], fold: Fold) -> dict[str, str]:
    """Return what these leads call each status, by its other names, folded; a name that two have tells neither."""
    named = other_names(leads, fold)
    counts = Counter(name for names in named.values() for name in names)
    return {name: label for label, names in named.items() for name in names if counts[name] == 1}


def with_labels(lead: Lead, labels: Mapping[str, str], fold: Fold) -> Lead:
    """Return a lead whose past statuses are called by their labels where its history tells other names alone.

    The last of them is its present one, if that has the name.
    """
    if not lead.history:
        return lead
    *past, last = lead.history
    if lead.label and fold(last.label) in map(fold, lead.also_called):
        last = _labelled(last, lead.label)
    history = tuple(_labelled(entry, labels.get(fold(entry.label))) for entry in (*past, last))
    return lead if history == lead.history else replace(lead, history=history)


def _labelled(entry: StatusEntry, label: str | None) -> StatusEntry:
    return entry if label is None else replace(entry, label=label, also_called=(entry.label, *entry.also_called))


def unexplained_labels(histories: Iterable[Sequence[str]], known: Collection[str], fold: Fold) -> tuple[str, ...]:
    """Return the labels of histories without any that is `known`, commonest first, if most histories are such.

    Then the statuses that leads show have no times, as if there were no histories. `known` are folded.
    """
    told = [labels for labels in histories if labels]
    strange = [labels for labels in told if not any(fold(label) in known for label in labels)]
    counts = Counter(label for labels in strange for label in labels)
    if len(strange) < _FEWEST_LEADS or len(counts) < _FEWEST_LABELS or 2 * len(strange) <= len(told):
        return ()
    return tuple(label for label, _ in counts.most_common())
