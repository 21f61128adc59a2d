"""The `LeadSource` port for Oplead: reads leads and their changes."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice, takewhile
from typing import NamedTuple

from connectors.errors import Misconfigured, Transient, Unreachable
from connectors.language import _
from connectors.oplead.answers import OpleadAnswer, OpleadRefused, TokenRefused, TooLarge
from connectors.oplead.client import OpleadClient
from connectors.oplead.latest import newest, newest_first
from connectors.oplead.lead_pages import collect_lead_page, collect_seen_in_leads
from connectors.oplead.options import OpleadOptions
from connectors.oplead.pagination import ListedPage, Pages, PageWalk, hash_entry_without_id, lacks_id, lazy_page_reader
from connectors.oplead.parsing.dates import first_instant_at_paths, since_query
from connectors.oplead.parsing.field_tree import count_distinct_lead_owners
from connectors.oplead.parsing.fields import shape
from connectors.oplead.parsing.items import find_lead_array
from connectors.oplead.parsing.lead_parser import (
    LeadParser,
    UnreadableLeadError,
    digest_of,
    find_lead_by_id,
    leads_on_own_page,
    require_object_entry,
)
from connectors.oplead.read_ahead import Page
from connectors.ports import FindKnown
from connectors.records import Found, Lead, LeadId, LeadPage, ListedLead, SubstituteLead, UnreadableLead
from connectors.survey import SeenInLeads, UnreadPlace

_NOT_FOUND = frozenset({404, 410})
_TOO_MANY = 5
"""So many own pages, in a row not found or all refused, are not about single leads."""


class _NoLeadError(Misconfigured):
    """A detail page holds no lead."""


class _ListEntry(NamedTuple):
    """A list entry, and whether its lead's own page must be read, too."""

    item: Mapping[str, object]
    listed: ListedLead
    needs_details: bool = False


_OF_ONE_PAGE: tuple[type[Exception], ...] = (Transient, OpleadRefused, TooLarge, _NoLeadError)
"""Failures that may be those of one detail page alone."""
_OF_LISTED_PAGE = (*_OF_ONE_PAGE, TokenRefused)
"""The same where the key has read the list."""
_DetailPage = Mapping[str, object] | SubstituteLead | UnreadableLead | None
"""The lead on a detail page, another lead found there, why it is unreadable, or None if the page is gone."""


class OpleadSource:
    """Reads leads from one Oplead platform for one night, with GET requests only; raises what the port declares."""

    def __init__(
        self,
        client: OpleadClient,
        *,
        wanted_fields: frozenset[str] = frozenset(),
        newest_within: int | None = None,
    ) -> None:
        """Send nothing yet; `wanted_fields` are the dotted paths copied into `Lead.fields`.

        The newest leads are looked for on `newest_within` pages of the list at most, if that is given.

        Every method that reads also raises WrongClock if Oplead's clock is too far from ours.
        """
        self._client = client
        self._options = client.options
        self._parser = LeadParser(client.options, wanted_fields)
        self._id_paths = self._parser.paths.id
        self._newest_within = newest_within
        self._shown: list[Mapping[str, object]] | None = None
        self.seen = SeenInLeads(0, (), (), lambda _: 0)
        """What the leads read by `fetch_latest` hold."""
        self._details_read = 0
        """How many leads were read by their own pages since the latest list page came."""
        self._largest_page = 0
        """The size of the largest list page so far, in bytes."""
        self._last_failure: type[Exception] | None = None
        self._not_found_in_a_row = 0
        self._shows_own_pages = False
        """Whether a lead's own page was shown since the latest list page came."""

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def fetch_changes(
        self, since: datetime | None, *, resume: str | None, find_known: FindKnown
    ) -> Generator[LeadPage, None, None]:
        """Yield the leads changed since `since`, a page at a time; all leads if no filter is configured.

        `Lead.digest` covers the list entry only, even if the detail page is read too, so that `find_known` can decide
        before the detail fetch. A resume token from other settings, or one that Oplead no longer accepts, restarts
        the list so that nothing is missed. Misconfigured is also raised after the last page if Oplead states clearly
        more leads than it listed.
        """
        wanted, now = self._options.since_filter, self._client.clock.now()
        changes = since_query(wanted, since, now, self._options.zone) if wanted and since else {}
        walk = PageWalk(self._options.pagination, self._client, changes, may_read_ahead=self._may_read_ahead)
        position = walk.first_page_position() if resume is None else walk.resume_position(resume)
        with closing(walk.pages(position, self._listed_pages)) as pages:
            for listed, following in pages:
                items, marks = (listed.items, listed.marks) if listed else ((), ())
                served_at = listed.answer.served_at if listed else None
                page = replace(
                    self._page(items, find_known, marks),
                    served_at=served_at,
                    moved=walk.moved,
                    total=walk.stated_total,
                    ahead=walk.ahead,
                )
                if following is None:
                    yield replace(page, missing=walk.missing_lead_count)
                else:
                    yield replace(page, resume=following.resume_token)
                    if self.is_budget_spent:
                        return
        walk.require_complete_list()

    def fetch_latest(self, count: int) -> Sequence[Lead | UnreadableLead]:
        """Return up to `count` of the most recently created leads, newest first, then the unreadable ones.

        Scans the whole list unless it runs newest first; raises Misconfigured if that takes more pages than
        `newest_within`. Fetches detail pages for these leads only, plus the list's first and last lead if entries have
        no creation time; raises KeyRefused if many are refused and none is shown.
        """
        paths, zone = self._parser.paths.created_at, self._options.zone
        walk = PageWalk(self._options.pagination, self._client)
        read = lazy_page_reader(lambda target: self._listed_page(partial(self._client.get, target)))
        pages = _at_most(walk.pages(walk.first_page_position(), read), self._newest_within)
        latest, *ends = newest(pages, count, lambda entry: first_instant_at_paths(entry, paths, zone))
        items = latest or self._newer_end(*ends)
        shown: list[Mapping[str, object]] = []
        self._shown = shown
        page = self._page(items)
        self._require_right_to_own_pages(page)
        self.seen = replace(
            collect_seen_in_leads(shown, page.leads),
            owners=count_distinct_lead_owners(shown),
            unread=tuple(_unread_places(shown, page.leads, self._options)),
        )
        return newest_first(page)

    def _newer_end(self, head: list[object], tail: list[object]) -> list[object]:
        """Return the newer end of a list of undated entries, judged by the details of its first and last lead."""
        outermost = self._page([*head[:1], *tail[-1:]]).leads
        is_ascending = len(outermost) < 2 or outermost[0].created_at <= outermost[-1].created_at  # noqa: PLR2004 - both
        return tail if is_ascending else head

    def fetch_each(self, ids: Sequence[LeadId]) -> Iterator[tuple[LeadId, Found]]:
        """Yield each lead by id, in order, while requests are left; None for a deleted lead (404, 410)."""
        affordable = takewhile(lambda _: not self.is_budget_spent, islice(ids, self._requests_left))
        with closing(self._detail_pages(affordable)) as pages:
            for lead_id, page in pages:
                yield lead_id, self._parsed(page, lead_id) if isinstance(page, Mapping) else page

    @property
    def _requests_left(self) -> int | None:
        """Requests left for this night; None if unlimited."""
        allowed = self._options.max_requests
        return None if allowed is None else max(0, allowed - self._client.requests)

    @property
    def is_budget_spent(self) -> bool:
        """Whether the request limit is used up."""
        return self._requests_left == 0

    def _may_read_ahead(self) -> bool:
        """Whether list pages may be requested ahead.

        A page must not grow old while the leads of the page before it are read by their own pages, whether here or by
        the caller; of a limited number of requests none must be in vain; and together, pages in memory must not
        exceed what one may have.
        """
        at_once = self._options.in_flight
        fits = self._largest_page * at_once <= self._client.largest_page
        return fits and self._details_read <= at_once and self._options.max_requests is None

    def _listed_pages(self, targets: Iterable[str]) -> Pages:
        with closing(self._client.get_pages(targets)) as pages:
            for page in pages:
                yield partial(self._listed_page, page)

    def _listed_page(self, page: Page) -> ListedPage:
        answer = page()
        self._largest_page = max(self._largest_page, answer.size)
        items = tuple(find_lead_array(answer.body, self._options.pagination.items))
        return ListedPage(answer, items, tuple(map(self._mark, items)))

    def _mark(self, item: object) -> str:
        """Return what identifies an entry: its id, or else a hash of its content."""
        try:
            return self._parser.read_id(require_object_entry(item))
        except UnreadableLeadError:
            return hash_entry_without_id(item)

    def _page(
        self, items: Sequence[object], find_known: FindKnown = lambda _listed: (), marks: Iterable[str] | None = None
    ) -> LeadPage:
        """Return the leads of these entries; `marks` are what `_mark` returned of each, if it is known."""
        # If no item is an object, this is probably not the list of leads.
        hint = "" if any(isinstance(item, Mapping) for item in items) else ": " + _("see oplead.pagination.items")
        entries: list[_ListEntry | LeadId | UnreadableLead] = [
            self._entry(item, mark, hint) for item, mark in zip(items, marks or map(self._mark, items), strict=True)
        ]
        listed = [entry.listed for entry in entries if isinstance(entry, _ListEntry)]
        known = frozenset(find_known(listed))
        entries = [self._unless_known(entry, known) if isinstance(entry, _ListEntry) else entry for entry in entries]
        bare = [entry.listed.id for entry in entries if isinstance(entry, _ListEntry) and entry.needs_details]
        self._details_read, self._shows_own_pages = 0, False
        # A key that has read the list is a good one, even if it may not read some of its leads.
        with closing(self._detail_pages(bare, _OF_LISTED_PAGE)) as pages:
            read = [
                self._parse_list_entry(entry, pages) if isinstance(entry, _ListEntry) else entry for entry in entries
            ]
        page = collect_lead_page([self._add_creation_time(one, item) for one, item in zip(read, items, strict=True)])
        return replace(page, shows_own_pages=self._shows_own_pages)

    def _require_right_to_own_pages(self, latest: LeadPage) -> None:
        """Raise KeyRefused if many leads' own pages were refused to the key, and none was shown."""
        refused = [LeadId(one.id) for one in latest.unreadable if one.id and one.is_refused]
        if len(refused) >= _TOO_MANY and not latest.shows_own_pages:
            for _page in self._detail_pages(refused[-1:]):
                pass

    def _add_creation_time(self, one: Lead | LeadId | UnreadableLead, item: object) -> Lead | LeadId | UnreadableLead:
        """Add to a lead that cannot be read when it was created, as far as its list entry says."""
        if not isinstance(one, UnreadableLead):
            return one
        return replace(one, created_at=first_instant_at_paths(item, self._parser.paths.created_at, self._options.zone))

    def _entry(self, item: object, mark: str, hint: str) -> _ListEntry | UnreadableLead:
        """Return a list entry, or why it cannot be read; its id, if it has one, is its mark."""
        lead_id = None
        try:
            entry = require_object_entry(item, hint)
            lead_id = self._parser.read_id(entry) if lacks_id(mark) else LeadId(mark)
            created_at = partial(first_instant_at_paths, entry, self._parser.paths.created_at, self._options.zone)
            return _ListEntry(entry, ListedLead(lead_id, digest_of(entry), created_at))
        except UnreadableLeadError as error:
            return UnreadableLead(lead_id, str(error))

    def _unless_known(self, entry: _ListEntry, known: Collection[ListedLead]) -> _ListEntry | LeadId:
        """Return the entry to read, or only its id if it is known."""
        if entry.listed in known:
            return entry.listed.id
        detail = self._options.detail
        needs_details = detail == "always" or (detail == "auto" and self._parser.lacks_click_ids(entry.item))
        return entry._replace(needs_details=True) if needs_details else entry

    def _parse_list_entry(
        self, entry: _ListEntry, pages: Iterator[tuple[LeadId, _DetailPage]]
    ) -> Lead | UnreadableLead:
        """Parse an entry, merged with the next of `pages` if it needs details."""
        item = entry.item
        if entry.needs_details:
            details = self._detail_page_or_unreadable(*next(pages))
            if isinstance(details, UnreadableLead):
                return details
            item = {**item, **details}
        return self._parsed(item, entry.listed.id, entry.listed.digest)

    def _detail_page_or_unreadable(self, lead_id: LeadId, page: _DetailPage) -> Mapping[str, object] | UnreadableLead:
        """Return a listed lead's detail page, or why it is unreadable; raise if too many in a row do not exist."""
        self._not_found_in_a_row = self._not_found_in_a_row + 1 if page is None else 0
        if self._not_found_in_a_row >= _TOO_MANY:
            path = self._client.lead_path(lead_id)
            raise Misconfigured(
                _(
                    "too many listed leads in a row have no page of their own, the last at {path}: see "
                    "oplead.lead_path",
                    path=path,
                )
            )
        if page is None:
            return UnreadableLead(lead_id, _("it is listed, but its own page is gone"))
        if isinstance(page, SubstituteLead):
            return UnreadableLead(lead_id, _("its own page is another lead's, see oplead.fields.id"))
        return replace(page, is_there=True) if isinstance(page, UnreadableLead) else page

    def _detail_pages(
        self, ids: Iterable[LeadId], of_one_page: tuple[type[Exception], ...] = _OF_ONE_PAGE
    ) -> Generator[tuple[LeadId, _DetailPage], None, None]:
        """Yield each lead's detail page, in order.

        A page that always fails must not stop every night, so a single failure only makes its lead unreadable. A second
        consecutive failure of the same type, one with a requested delay, or a platform that cannot be reached counts as
        the platform's and is raised. A page that a known key may not read says nothing of the next one.
        """
        with closing(self._client.get_lead_details(ids)) as answers:
            for lead_id, answer in answers:
                self._details_read += 1
                last_failure, self._last_failure = self._last_failure, None
                try:
                    page = self._detail_page(lead_id, answer)
                    self._shows_own_pages |= isinstance(page, Mapping)
                except of_one_page as error:
                    if last_failure is type(error) or _is_platform_wide_failure(error):
                        raise
                    is_refused = isinstance(error, TokenRefused)
                    why = _("its own page fails ({error})", error=error)
                    if is_refused:
                        self._last_failure = last_failure  # of which it says nothing
                        why = _("the key may not read this lead's own page")
                    else:
                        self._last_failure = type(error)
                    page = UnreadableLead(lead_id, why, is_refused=is_refused, is_there=False)
                yield lead_id, page

    def _detail_page(self, lead_id: LeadId, answer: Callable[[], OpleadAnswer]) -> _DetailPage:
        try:
            return self._find_lead_in_body(answer().body, lead_id)
        except UnreadableLeadError as error:
            return UnreadableLead(lead_id, str(error))
        except RecursionError:
            return UnreadableLead(lead_id, _("it is nested too deeply"))
        except OpleadRefused as refusal:
            if refusal.status in _NOT_FOUND:
                return None
            raise

    def _find_lead_in_body(self, body: object, lead_id: LeadId) -> Mapping[str, object] | SubstituteLead:
        """Return the object with the lead's id, the body or what it wraps; else the other lead found there.

        Raises:
            UnreadableLeadError: the only id there is unusable.
            _NoLeadError: nothing there has an id.
        """
        named = leads_on_own_page(body, lead_id, self._id_paths)
        if not named:
            raise _NoLeadError(
                _(
                    "lead {lead_id}: no lead is found on its own page ({shape}): see oplead.fields.id",
                    lead_id=lead_id,
                    shape=shape(body),
                )
            )
        return find_lead_by_id(named, lead_id, self._id_paths) or SubstituteLead(self._parser.read_id(named[0]))

    def _parsed(self, item: Mapping[str, object], lead_id: LeadId, digest: str | None = None) -> Lead | UnreadableLead:
        if self._shown is not None:
            self._shown.append(item)
        try:
            return self._parser.parse(item, lead_id, digest or digest_of(item))
        except UnreadableLeadError as error:
            return UnreadableLead(lead_id, str(error))


def _at_most(pages: Iterable[tuple[ListedPage | None, object]], most: int | None) -> Iterator[Sequence[object]]:
    """Yield the entries of each page; raise when more are wanted than of so many pages."""
    for number, (listed, following) in enumerate(pages, 1):
        if listed:
            yield listed.items
        if number == most and following is not None:
            raise Misconfigured(
                _("the newest leads are not among the list's first {count} pages: the rest is not read", count=most)
            )


def _unread_places(leads: Sequence[object], read: Sequence[Lead], options: OpleadOptions) -> Iterator[UnreadPlace]:
    from connectors.oplead.survey.places import locate_configured_fields  # noqa: PLC0415 - no night surveys
    from connectors.oplead.survey.summary import find_unexplained_past, find_unread_places  # noqa: PLC0415

    yield from find_unread_places(leads, locate_configured_fields(leads, options), options.fields)
    yield from find_unexplained_past(read, options)


def _is_platform_wide_failure(failure: Exception) -> bool:
    """Whether a failure cannot be one page's: nobody answers, a delay is asked for, or the key is unknown."""
    if isinstance(failure, TokenRefused):
        return not failure.is_known
    return isinstance(failure, Unreachable) or (isinstance(failure, Transient) and bool(failure.retry_after))
