"""Which lead stands behind what a platform counted: platforms are not told, but the sandbox plays both sides."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

_SIGNS = re.compile(r"[^A-Za-z0-9_-]+")
_DOT = "."


def leads_behind(known_by: Mapping[str, Iterable[str]], leads: Mapping[str, object]) -> dict[str, str]:
    """The lead behind each conversion that can be told, by the conversion's id.

    Args:
        known_by: click ids and hashes that each conversion was sent with.
        leads: every lead's JSON, by its id; None where deleted.
    """
    marks = {mark: lead_id for lead_id, lead in leads.items() for mark in _marks(lead)}
    found = {key: next((marks[each] for each in _tails(ids) if each in marks), "") for key, ids in known_by.items()}
    return {key: lead_id for key, lead_id in found.items() if lead_id}


def _tails(ids: Iterable[str]) -> Iterator[str]:
    """Each id, and the click id at the end of Meta's fb.1.TIME.ID."""
    for each in ids:
        yield each
        yield each.rpartition(_DOT)[2]


def _marks(document: object) -> Iterator[str]:
    """What tells a lead: every word of its texts, and its e-mail addresses as they are hashed."""
    match document:
        case str() if "@" in document:
            yield hashlib.sha256(document.strip().lower().encode()).hexdigest()
        case str() | int():
            yield from filter(None, _SIGNS.split(str(document)))
        case dict():
            for value in document.values():
                yield from _marks(value)
        case list():
            for value in document:
                yield from _marks(value)
