"""What to show of webhooks that are not understood, and what to write in the settings for them."""

import re
from collections.abc import Iterable, Mapping, Sequence

_SHOWN = 8
"""Maximum number of names shown of what may be many."""
_LONGEST = 60
_FITTING: Mapping[str, re.Pattern[str]] = {
    "event": re.compile(r"[eé]v[eéè]nement$", re.IGNORECASE),
    "lead_id": re.compile(r"(lead|prospect)[._]?(id|identifi\w+|num[eé]ro|ref\w*)$", re.IGNORECASE),
    "status": re.compile(
        r"(?<!http)(status|statut|[eé]tat|[eé]tape|stage)([._]?(libell[eé]|label|nom|name))?$", re.IGNORECASE
    ),
}
"""What a name looks like that may be meant, by the key of `webhooks.fields`."""
_TO_BE_NAMED = ("lead_id", "status")


def shown_fields(structures: Sequence[str]) -> tuple[str, ...]:
    """Return the first names of the fields that hold a value; where nothing has a name, what is said of that."""
    names = _field_names(structures)
    return ((*names[:_SHOWN], "…") if len(names) > _SHOWN else names) or tuple(structures[:1])


def settings_line(structures: Sequence[str]) -> str:
    """Return the line below `webhooks:` that names the fields that look right; a person replaces `NAME`."""
    names = _field_names(structures)
    found = {key: next(filter(fits.search, names), None) for key, fits in _FITTING.items()}
    shown = {key: name or "NAME" for key, name in found.items() if name or key in _TO_BE_NAMED}
    return f"fields: {{ {', '.join(f'{key}: {name}' for key, name in shown.items())} }}"


def _field_names(structures: Iterable[str]) -> tuple[str, ...]:
    pairs = (part.partition(": ") for structure in structures for part in structure.split("; "))
    names = (name for name, colon, shape in pairs if colon and shape != "object" and len(name) <= _LONGEST)
    return tuple(dict.fromkeys(names))
