"""Past statuses that nothing explains: then the statuses that leads show have no times. Pure."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

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
