"""Writes values as the settings file has them: YAML that reads back as what was written."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

_PLAIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ_][\wÀ-ÖØ-öø-ÿ]*(?:[ ./’'-]+[\wÀ-ÖØ-öø-ÿ]+)*")
"""A text that YAML takes as it stands, in a line and between brackets."""
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""Plain, these might be read as something else than text."""
INDENT = "  "

Written = str | int | bool | Sequence[str] | Mapping[str, "Written"]


def scalar(value: str | int) -> str:
    """One value: a text in quotes wherever YAML might read it otherwise."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (_PLAIN.fullmatch(value) and value.casefold() not in _WORDS):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def listed(values: Sequence[str]) -> str:
    """Several values in one line: `[Gagné, "n° 2"]`."""
    return f"[{', '.join(scalar(value) for value in values)}]"


def block(section: Mapping[str, Written], depth: int = 0) -> Iterator[str]:
    """A section's lines, nested as deep as it is."""
    for key, value in section.items():
        start = f"{INDENT * depth}{scalar(key)}:"
        if isinstance(value, Mapping):
            yield start
            yield from block(value, depth + 1)
        elif isinstance(value, str | int):
            yield f"{start} {scalar(value)}"
        else:
            yield f"{start} {listed(value)}"
