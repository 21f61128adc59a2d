"""Look at a platform as its specification describes it: at most five requests, and only what it says is tried.

Whatever the platform contradicts is reported, and then found by trials as where there is no specification.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta

from connectors.errors import Misconfigured
from connectors.language import _
from connectors.oplead.answers import OpleadRefused, TokenRefused
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import CANDIDATES, ApiAuthScheme, FieldPaths, OpleadOptions, PaginationOptions
from connectors.oplead.pagination import ListedPage, PagePosition, PageWalk, lacks_id
from connectors.oplead.parsing.fields import first_value_at_paths, text_of
from connectors.oplead.probe.asking import ProbedLeadList, ProbeRequestSender, RequestLimitReached
from connectors.oplead.probe.change_filter import FilterSearch, FilterSearchResult, LeadDates
from connectors.oplead.probe.envelope import locate_lead_array
from connectors.oplead.probe.findings import ProbeFindings
from connectors.oplead.probe.pagination import PaginationSearch, PaginationSearchResult
from connectors.oplead.probe.sampling import (
    LeadSample,
    detail_page_adds_values,
    read_detail_pages,
    sample_across_labels,
)
from connectors.oplead.probe.specification.reading import Specification
from connectors.oplead.probe.trials import ParameterEffect, ParameterTester, filter_effect
from connectors.oplead.survey.places import FieldLocations, locate_configured_fields

MOST_REQUESTS = 5
AHEAD = timedelta(days=300)
"""Far enough ahead that no lead has changed later."""
_NOT_FOUND = 404
_ENOUGH_TO_MISS = 20
"""Leads among which a field must be found; among fewer it may be empty."""
_MOST_DETAIL_PAGES = 3


class ContradictedError(Exception):
    """The platform answers otherwise than specified; the text says how."""


# ── what to try ──────────────────────────────────────────────────────────────────────────────────


def specified_field_locations(specification: Specification, options: OpleadOptions) -> FieldLocations:
    """Return where the fields of the made-up lead are; configured paths come first."""
    return locate_configured_fields([specification.lead] if specification.lead else [], options)


def apply_specification_to_options(options: OpleadOptions, specification: Specification) -> OpleadOptions:
    """Return the options with what the specification says in place of the defaults; what was configured stays."""
    said, usual = specification.paths, OpleadOptions(token="", zone=options.zone)
    paths = (options.path_prefix, options.leads_path, options.lead_path)
    if paths == (usual.path_prefix, usual.leads_path, usual.lead_path):
        lead_path = said.lead_path or options.lead_path
        options = replace(options, path_prefix=said.path_prefix, leads_path=said.leads_path, lead_path=lead_path)
    if options.auth == ApiAuthScheme() and specification.auth is not None:
        options = replace(options, auth=specification.auth)
    if options.pagination == PaginationOptions():
        options = replace(options, pagination=specification.pagination)
    if options.since_filter is None:
        options = replace(options, since_filter=specification.since_filter)
    places = specified_field_locations(specification, options)
    found = {match.field for match in places.matches if match.path}
    chosen = {
        one.name: getattr(places.fields if one.name in found else options.fields, one.name)
        for one in fields(FieldPaths)
        if getattr(options.fields, one.name) == getattr(CANDIDATES, one.name)
    }
    return replace(options, fields=replace(options.fields, **chosen))


# ── the look ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SpecificationGuidedProbe:
    """Five requests to a platform whose specification is known."""

    specification: Specification
    client: OpleadClient
    """Has the options as specified."""

    def find(self) -> ProbeFindings | None:
        """Return what was found; None if the list holds no lead.

        Raises:
            ContradictedError: the platform answers otherwise than specified.
            UnknownHost: its host does not exist.
        """
        try:
            return self._find(ProbeRequestSender(self.client, MOST_REQUESTS))
        except TokenRefused as refusal:
            raise ContradictedError(
                _("Oplead refuses the token as it is specified to be sent ({status})", status=refusal.status)
            ) from None
        except RequestLimitReached:
            raise ContradictedError(_("Oplead refuses what is specified")) from None
        except Misconfigured as error:
            raise ContradictedError(str(error)) from None

    def _find(self, asker: ProbeRequestSender) -> ProbeFindings | None:
        options = self.client.options
        walk = PageWalk(options.pagination, self.client)
        answer = asker.send_request(walk.request_target(walk.first_page_position()))
        path, items = locate_lead_array(answer.body, options.pagination.items)
        if not items:
            return None
        options = replace(options, pagination=replace(options.pagination, items=path))
        listed = ProbedLeadList(asker, path, locate_configured_fields(items, options).fields.id)
        front = listed.read(answer)
        paging, pages = self._pages(listed, options.pagination, front)
        options = replace(options, pagination=paging.options)
        now = max(self.client.clock.now(), answer.served_at or self.client.clock.now())
        sample = self._sample(asker, options, listed, pages)
        places = self._places(sample, options)
        options = replace(options, fields=places.fields)
        dates = {mark: LeadDates.read_lead_dates(lead, options) for mark, lead in sample.all_read_leads.items()}
        found = ProbeFindings(
            options,
            now,
            paging,
            sample,
            places,
            FilterSearchResult(None, None, ()),
            tuple(dates.values()),
            is_verified=True,
        )
        if options.since_filter is None:
            note = _(
                "Changes: no filter by change is specified, so a night reads the whole list and finds changes itself."
            )
            return replace(found, filtering=FilterSearchResult(None, None, (note,)))
        if found.changes_need_detail_pages:
            return found
        search = FilterSearch(ParameterTester(listed, front), dates, options, now + AHEAD)
        return replace(found, filtering=search.check(options.since_filter, options.pagination))

    def _pages(
        self, listed: ProbedLeadList, options: PaginationOptions, front: ListedPage
    ) -> tuple[PaginationSearchResult, tuple[ListedPage, ...]]:
        """Return the pagination and the first pages, two if there are more; raise ContradictedError if they repeat."""
        search, walk = PaginationSearch(listed, front), PageWalk(options, self.client)
        position = walk.position_after(walk.first_page_position(), front.answer, front.marks)
        page = self._second(listed, options, position) if position else None
        if position is None or page is None or not page.marks:
            if not self.specification.says_pages and search.may_have_more_pages:
                raise ContradictedError(_("no pages are specified, and the list looks cut"))
            return search.pagination_as_specified(options, len(front.items)), (front,)
        if filter_effect(front, page) is not ParameterEffect.OTHER:
            raise ContradictedError(_("Oplead does not page its list as specified"))
        is_end = walk.position_after(position, page.answer, page.marks) is None
        if options.size and len(front.items) < options.size:  # it serves shorter pages than it was asked for
            options = replace(options, size=None, size_param=None)
        return search.pagination_as_specified(options, len(front.items) + len(page.items) if is_end else None), (
            front,
            page,
        )

    def _second(self, listed: ProbedLeadList, options: PaginationOptions, position: PagePosition) -> ListedPage | None:
        try:
            return listed.page(options, position)
        except OpleadRefused as refusal:
            if refusal.status == _NOT_FOUND and options.style in {"page", "offset"}:
                return None
            raise

    def _sample(
        self, asker: ProbeRequestSender, options: OpleadOptions, listed: ProbedLeadList, pages: tuple[ListedPage, ...]
    ) -> LeadSample:
        """Return the leads on the pages, some with their own page."""
        items = {mark: item for page in pages for mark, item in zip(page.marks, page.items, strict=True)}
        path, ids = self.specification.paths.lead_path and options.lead_path, listed.ids
        most = min(_MOST_DETAIL_PAGES, asker.left - (options.since_filter is not None))
        details: dict[str, Mapping[str, object]] = {}
        refused: set[str] = set()
        if path:
            labels = {mark: text_of(first_value_at_paths(item, options.fields.status)) for mark, item in items.items()}
            chosen = sample_across_labels([mark for mark in items if not lacks_id(mark)], labels, most)
            details = read_detail_pages(ProbeRequestSender(asker.client, most), chosen, ids, path, refused)
            asker.left -= len(chosen)
            if chosen and not details:
                raise ContradictedError(
                    _("no lead is found at {path}, where its own page is specified to be", path=path)
                )
        more = any(detail_page_adds_values(items[mark], lead) for mark, lead in details.items())
        is_more = bool(details) and (more or self.specification.has_more_in_details)
        return LeadSample(pages, items, path if details else None, details, is_more, None, None, frozenset(refused))

    def _places(self, sample: LeadSample, options: OpleadOptions) -> FieldLocations:
        """Return where fields are; one that is specified may be empty on a few leads."""
        leads = list(sample.most_complete_leads.values())
        places = locate_configured_fields(leads, options)
        if len(leads) >= _ENOUGH_TO_MISS:
            return places
        specified = {
            match.field for match in specified_field_locations(self.specification, options).matches if match.path
        }
        undecided = {name: sought for name, sought in places.undecided.items() if name not in specified}
        return replace(places, undecided=undecided)
