"""Settle which options to suggest: those that work when the platform is read again as a night would."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from itertools import islice

from connectors.errors import Misconfigured
from connectors.language import _, _n
from connectors.oplead.options import OpleadOptions, PaginationOptions
from connectors.oplead.pagination import ListedPage
from connectors.oplead.probe.access import OpenClient
from connectors.oplead.probe.findings import Notes, ProbeFindings
from connectors.oplead.probe.sampling import FIRST_DETAIL_PAGES, LeadSample
from connectors.oplead.probe.suggestion import Pull
from connectors.oplead.source import OpleadSource
from connectors.records import Lead, LeadId, LeadPage, UnreadableLead


def verify_found_options(found: ProbeFindings, notes: Notes, open_client: OpenClient) -> tuple[OpleadOptions, Pull]:
    """Return the options to suggest and how to pull; leave out and report whatever fails verification."""
    sample, filtering = found.sample, found.filtering
    options = _with_detail(found, notes)
    is_verified = found.is_verified
    if (
        not is_verified
        and not found.paging.undecided
        and (objection := _objection_to_pages(options, sample, open_client))
    ):
        notes.undecided.append(objection)
        options = replace(options, pagination=PaginationOptions(items=options.pagination.items))
    if not is_verified and options.detail != "never" and sample.detail_pages_add:
        with closing(OpleadSource(open_client(options))) as source:
            objection = _objection_to_detail_pages(source, list(sample.detail_pages)[:FIRST_DETAIL_PAGES])
        notes.undecided.extend([objection] if objection else [])
    if found.changes_need_detail_pages:
        notes.how.append(
            _(
                "Changes: the list has neither a status nor a time of change, so each night reads the own "
                "pages of the leads that may still be sent."
            )
        )
        return options, "details"
    notes.how.extend(filtering.how)
    if filtering.since_filter is None or filtering.split is None:
        return options, "list"
    filtered = replace(options, since_filter=filtering.since_filter)
    if not is_verified and (objection := _objection_to_filter(filtered, filtering.split, sample.pages[0], open_client)):
        notes.how.append(
            _(
                "Changes: the filter did not hold when tried once more ({objection}), so it is left out.",
                objection=objection,
            )
        )
        return options, "list"
    return filtered, "since"


def _with_detail(found: ProbeFindings, notes: Notes) -> OpleadOptions:
    """Return the options without a filter, with detail pages if they hold something needed that the list lacks."""
    path, are_lacking = found.sample.lead_path, found.lacks_click_ids
    options = replace(found.options, pagination=found.paging.options, since_filter=None)
    if refused := found.sample.refused:
        notes.how.append(
            _n(
                "Details: of the leads tried, {count} has a page of its own that this key may not read (403).",
                "Details: of the leads tried, {count} have pages of their own that this key may not read (403).",
                len(refused),
            )
        )
    if path is None:
        if are_lacking:
            notes.undecided.append(
                _(
                    "oplead.lead_path: the list leaves out what holds click ids, and no lead's own page was found that "
                    "this key may read"
                )
            )
        return options
    options = replace(options, lead_path=path)
    if not found.sample.detail_pages_add:
        notes.how.append(_("Details: a lead's own page holds no more than the list, so none needs to be read."))
        return replace(options, detail="never" if are_lacking else "auto")
    if are_lacking:
        notes.how.append(_("Details: the list leaves out what holds click ids, so a changed lead's own page is read."))
    elif missing := list(found.fields_missing_in_list()):
        notes.how.append(
            _("Details: only a lead's own page has {paths}, so a changed one is read.", paths=", ".join(missing[:6]))
        )
        return replace(options, detail="always")
    else:
        notes.how.append(_("Details: a lead's own page holds more, but nothing that is needed."))
    return replace(options, detail="auto")


_MOSTLY = 0.8
_PAGES = 2
_BROKEN = 2
"""Allowance for entries of a page that are not leads."""


def _objection_to_pages(options: OpleadOptions, sample: LeadSample, open_client: OpenClient) -> str | None:
    """Return why a night would read a different list from the sample; None if the pages read again agree."""
    if sample.objection is not None:
        return sample.objection
    pages = _read_again(options, None, _PAGES, open_client)
    if isinstance(pages, str):
        return pages
    if not all(map(_are_alike, sample.pages, pages)):
        return _("oplead.pagination: a second reading of the list gave other leads than the first")
    if len(pages) < min(_PAGES, len(sample.pages)):
        return _("oplead.pagination: the list ended sooner when read a second time")
    return None


def _objection_to_filter(
    options: OpleadOptions, since: datetime, first: ListedPage, open_client: OpenClient
) -> str | None:
    """Return why the filter does not work; None if it does."""
    pages = _read_again(options, since, 1, open_client)
    if isinstance(pages, str):
        return pages
    return None if pages and not _are_alike(first, pages[0]) else _("the filter made no difference")


def _read_again(
    options: OpleadOptions, since: datetime | None, count: int, open_client: OpenClient
) -> list[LeadPage] | str:
    """Return the list's first pages as a night reads them, or why it cannot."""
    try:
        with (
            closing(OpleadSource(open_client(options))) as source,
            closing(source.fetch_changes(since, resume=None, find_known=lambda listed: listed)) as pages,
        ):
            return list(islice(pages, count))
    except Misconfigured as error:
        return str(error)


def _objection_to_detail_pages(source: OpleadSource, ids: Sequence[str]) -> str | None:
    """Return why no lead can be read by its detail page; None if one can."""
    reason = _("no lead was asked for")
    try:
        for lead_id, lead in source.fetch_each([LeadId(one) for one in ids]):
            if isinstance(lead, Lead):
                return None
            absent = (
                _("its own page is another lead's, see oplead.fields.id")
                if lead
                else _("lead {lead_id} is gone", lead_id=lead_id)
            )
            reason = lead.reason if isinstance(lead, UnreadableLead) else absent
    except Misconfigured as error:
        reason = str(error)
    return _("oplead.lead_path: leads are not read by their own pages ({reason})", reason=reason)


def _are_alike(expected: ListedPage, page: LeadPage) -> bool:
    ids = {*page.unchanged, *(lead.id for lead in page.leads), *(lead.id for lead in page.unreadable if lead.id)}
    marks = {*expected.marks}
    return len(ids & marks) >= _MOSTLY * len(ids) and len(ids) >= _MOSTLY * len(marks) - _BROKEN
