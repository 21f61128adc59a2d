"""What to show of webhooks that are not understood, and what to write in the settings for them."""

import re
from collections.abc import Iterable, Mapping, Sequence

_SHOWN = 8
"""Maximum number of names shown of what may be many."""
_LONGEST = 60
_FITTING: Mapping[str, re.Pattern[str]] = {
    "event": re.compile(r"[eé]v[eéè]nement$", re.IGNORECASE),
    "lead_id": re.compile(
        r"(lead|prospect)[._]?(id|identifi\w+|num[eé]ro|ref\w*)$|(^|[._])id(entifiant)?_?(lead|prospect)$",
        re.IGNORECASE,
    ),
    "status": re.compile(
        r"^(?!.*(?:http|newsletter|mail|payment|paiement))"  # another thing's status
        r"(?!.*(?:ancien|previous|pr[eé]c[eé]dent|(?<![a-z])old|(?-i:Old)))"  # the one before; not gold's
        r"(.*(status|statut|[eé]tat|[eé]tape|stage)([._]?(libell[eé]|label|nom|name)|_?(id|identifi\w+))?"
        r"|(.*[._])?(id|identifiant)_?(status|statut)|(.*[._])?(nouveau|new))$",
        re.IGNORECASE,
    ),
}
"""What a name looks like that may be meant, by the key of `webhooks.fields`."""
_TO_BE_NAMED = ("lead_id", "status")
_LISTED = re.compile(r"[^.]+\[\]\.")
"""Where the body's own list begins: its objects are read one by one, by the names that they have in it."""
_ANY_ID = re.compile(r"(id|identifi\w+|num[eé]ro|ref\w*)$", re.IGNORECASE)
"""What may be a lead's id, or another's."""


def shown_fields(structures: Sequence[str]) -> tuple[str, ...]:
    """Return the first names of the fields that hold a value; where nothing has a name, what is said of that."""
    names = tuple(dict.fromkeys(name for one in structures for name in (*_readable(one), *_unreadable(one))))
    return ((*names[:_SHOWN], "…") if len(names) > _SHOWN else names) or tuple(structures[:1])


def settings_line(structures: Sequence[str]) -> str:
    """Return the line below `webhooks:` that names the fields that look right; a person replaces `NAME`.

    Events of other structures may name them otherwise: then all of these names are in it. It is empty where no name
    would help, since every lead is out of reach.
    """
    readable = [_readable(one) for one in structures if not has_leads_out_of_reach([one])]
    if not readable:
        return ""
    lines = [{key: next(filter(fits.search, names), None) for key, fits in _FITTING.items()} for names in readable]
    found = {key: tuple(dict.fromkeys(name for line in lines if (name := line[key]))) for key in _FITTING}
    shown = {key: names or ("NAME",) for key, names in found.items() if names or key in _TO_BE_NAMED}
    texts = {key: names[0] if len(names) == 1 else f"[{', '.join(names)}]" for key, names in shown.items()}
    return f"fields: {{ {', '.join(f'{key}: {text}' for key, text in texts.items())} }}"


def has_leads_out_of_reach(structures: Iterable[str]) -> bool:
    """Whether what may name a lead lies only in a list within another object, where no setting leads."""
    return any(
        any(map(fits.search, _unreadable(one)))
        and not any(fits.search(name) or _FITTING["status"].search(name) for name in _readable(one))
        for one in structures
        for fits in (_FITTING["lead_id"], _ANY_ID)
    )


def _readable(structure: str) -> tuple[str, ...]:
    """Return the names that settings may use: those outside lists and, if they name no lead, in the body's own list."""
    names = _field_names(structure)
    outside = tuple(name for name in names if "[]" not in name)
    if any(map(_FITTING["lead_id"].search, outside)):
        return outside
    inside = (name[listed.end() :] for name in names if (listed := _LISTED.match(name)))
    return (*(name for name in inside if "[]" not in name), *outside)


def _unreadable(structure: str) -> tuple[str, ...]:
    """Return the names of what lies in other lists."""
    readable = _readable(structure)
    return tuple(name for name in _field_names(structure) if _LISTED.sub("", name, count=1) not in readable)


def _field_names(structure: str) -> tuple[str, ...]:
    pairs = (part.partition(": ") for part in structure.split("; "))
    return tuple(
        name for name, colon, shape in pairs if colon and shape not in {"object", "list"} and len(name) <= _LONGEST
    )
