"""Reads with what would be suggested, by the source that a night uses, before it is suggested."""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice

from connectors.errors import Misconfigured
from connectors.oplead.probe.asking import Listed
from connectors.oplead.source import OpleadSource
from connectors.records import Lead, LeadId, LeadPage, OtherLead, UnreadableLead

_MOSTLY = 0.8
_PAGES = 2
_BROKEN = 2
"""Entries of a page that are no leads at all."""


def objection_to_pages(source: OpleadSource, walked: Sequence[Listed]) -> str | None:
    """Why the list is not read as it was seen; None where it is, as far as two pages tell."""
    try:
        pages = list(islice(source.fetch_changes(None, resume=None, is_known=lambda _id, _digest: True), _PAGES))
    except Misconfigured as error:
        return str(error)
    for expected, page in zip(walked, pages, strict=False):
        if not _are_alike(expected, page):
            return "oplead.pagination: a second reading of the list gave other leads than the first"
    if len(pages) < min(_PAGES, len(walked)):
        return "oplead.pagination: the list ended sooner when read a second time"
    return None


def objection_to_own_pages(source: OpleadSource, ids: Sequence[str]) -> str | None:
    """Why leads cannot be read by their own pages; None where one can."""
    said = "no lead was asked for"
    try:
        for lead_id, lead in source.fetch_each([LeadId(one) for one in ids]):
            match lead:
                case Lead():
                    return None
                case UnreadableLead():
                    said = lead.reason
                case OtherLead():
                    said = "its own page is another lead's, see oplead.fields.id"
                case None:
                    said = f"lead {lead_id} is gone"
    except Misconfigured as error:
        said = str(error)
    return f"oplead.lead_path: leads are not read by their own pages ({said})"


def objection_to_filter(source: OpleadSource, since: datetime, first: Listed) -> str | None:
    """Why the filter does not filter; None where it does."""
    try:
        page = next(source.fetch_changes(since, resume=None, is_known=lambda _id, _digest: True), None)
    except Misconfigured as error:
        return str(error)
    return "the filter made no difference" if page is None or _are_alike(first, page) else None


def _are_alike(expected: Listed, page: LeadPage) -> bool:
    ids = {*page.unchanged, *(lead.id for lead in page.leads), *(lead.id for lead in page.unreadable if lead.id)}
    told = {*expected.marks}
    return len(ids & told) >= _MOSTLY * len(ids) and len(ids) >= _MOSTLY * len(told) - _BROKEN
