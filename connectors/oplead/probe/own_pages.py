"""Reads leads' own pages, to see what the list leaves out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.errors import Transient
from connectors.oplead.client import Answer
from connectors.oplead.fields import first, raw, text_of
from connectors.oplead.probe.asking import Asker, NoMoreQuestions

_LEAD_PATHS = ("/leads/{id}", "/lead/{id}")


@dataclass(frozen=True, slots=True)
class OwnPages:
    """Where a lead's own page is, and a few of them."""

    lead_path: str | None
    """`oplead.lead_path`; None where none was found."""
    leads: Mapping[str, Mapping[str, object]]
    """By the lead's id."""


def find_own_pages(asker: Asker, ids: Sequence[str], id_paths: tuple[str, ...]) -> OwnPages:
    """The path that gives these leads' own pages, and the pages."""
    listed_at = asker.options.leads_path
    for path in dict.fromkeys((asker.options.lead_path, f"{listed_at}/{{id}}", *_LEAD_PATHS)):
        if found := read_own_pages(asker, ids, id_paths, path):
            return OwnPages(path, found)
    return OwnPages(None, {})


def read_own_pages(
    asker: Asker, ids: Iterable[str], id_paths: tuple[str, ...], lead_path: str
) -> dict[str, Mapping[str, object]]:
    """The leads' own pages by id, those that are found; given up after two that are not, or that fail."""
    found: dict[str, Mapping[str, object]] = {}
    missed = 0
    try:
        for lead_id in ids:
            answer = asker.lead(lead_id, lead_path)
            lead = _unwrapped(answer.body, lead_id, id_paths) if isinstance(answer, Answer) else None
            if lead is not None:
                found[lead_id] = lead
            elif (missed := missed + 1) > 1 and not found:
                break
    except (NoMoreQuestions, Transient):
        pass
    return found


def _unwrapped(body: object, lead_id: str, id_paths: tuple[str, ...]) -> Mapping[str, object] | None:
    """The lead in an answer about one lead: what has its id, the answer or what it wraps."""
    inside = [body, *(one for name in ("data", "lead") for one in raw(body, name))]
    own = (one for one in inside if isinstance(one, Mapping) and text_of(first(one, id_paths)) == lead_id)
    return next(own, None)
