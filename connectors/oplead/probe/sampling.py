"""Sample leads from the list and their detail pages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest

from connectors.errors import Misconfigured, Transient
from connectors.oplead.answers import OpleadRefused, TokenRefused
from connectors.oplead.pagination import ListedPage
from connectors.oplead.parsing.field_tree import common_lead_field_paths
from connectors.oplead.parsing.fields import first_value_at_paths, text_of
from connectors.oplead.parsing.lead_parser import find_lead_by_id, leads_on_own_page
from connectors.oplead.probe.asking import ProbedLeadList, ProbeRequestSender, RequestLimitReached
from connectors.oplead.probe.pagination import PaginationSearchResult
from connectors.oplead.survey.places import locate_configured_fields

_LEAD_PATHS = ("/leads/{id}", "/lead/{id}")
_MOST_DETAIL_PAGES = 60
FIRST_DETAIL_PAGES = 3
_FURTHER_PAGES = 30
_SPARE_PAGES = _FURTHER_PAGES + 3
"""Extra pages allowed for counting, beyond those whose leads are sampled."""


@dataclass(frozen=True, slots=True)
class LeadSample:
    """The sampled leads."""

    pages: tuple[ListedPage, ...]
    items: Mapping[str, object]
    """The list entries, by mark."""
    lead_path: str | None
    """The working `oplead.lead_path`; None if no detail page was found."""
    detail_pages: Mapping[str, Mapping[str, object]]
    """Some leads' detail pages, by lead id."""
    detail_pages_add: bool
    """Whether detail pages hold more than the list."""
    counted: int | None
    """The total number of leads, if the list was followed to its end."""
    objection: str | None
    """Why the list could not be followed, if it could not."""
    refused: frozenset[str]
    """The leads whose own pages the key may not read."""

    @property
    def most_complete_leads(self) -> dict[str, object]:
        """The list entries, or, if detail pages add something, only the leads whose page was read, merged with it."""
        if not self.detail_pages_add:
            return dict(self.items)
        every = self.all_read_leads
        return {mark: every[mark] for mark in self.detail_pages}

    @property
    def all_read_leads(self) -> dict[str, object]:
        """All leads of the pages read, merged with their detail page if it was read."""
        return {
            mark: {**_object(item), **self.detail_pages[mark]} if mark in self.detail_pages else item
            for mark, item in self.items.items()
        }

    @property
    def list_entries_with_detail_page(self) -> list[object]:
        """The list entries of the leads whose detail pages were read."""
        return [self.items[mark] for mark in self.detail_pages]


def take_sample(
    leads: ProbedLeadList, first_page: ListedPage, paging: PaginationSearchResult, count: int
) -> LeadSample:
    """Read about `count` leads from the start of the list."""
    asker = ProbeRequestSender(
        leads.asker.client, count // max(1, paging.page_size) + _SPARE_PAGES + _MOST_DETAIL_PAGES
    )
    read: list[ListedPage] = []
    items: dict[str, object] = {}
    further = 0
    counted = objection = None
    # If pagination is undecided, only the first page is known.
    pages = (first_page,) if paging.undecided else replace(leads, asker=asker).pages(paging.options, first_page)
    # The total is known, or can be found by numbered pages.
    needs_no_count = paging.total is not None or paging.is_numbered
    try:
        for number, page in enumerate(pages):
            if len(items) < count:
                read.append(page)
                items |= dict(zip(page.marks, page.items, strict=True))
            elif needs_no_count or number >= len(read) + _FURTHER_PAGES:
                break
            else:  # pages after the sample are only counted
                further += len(page.items)
        else:
            counted = None if paging.undecided else len(items) + further
    except RequestLimitReached:
        pass
    except TokenRefused:
        raise
    except Misconfigured as error:
        objection = str(error)
    if not read:
        read, items = [first_page], dict(zip(first_page.marks, first_page.items, strict=True))
    refused: set[str] = set()
    lead_path, details, add = _detail_pages(asker, leads.ids, items, refused)
    return LeadSample(tuple(read), items, lead_path, details, add, counted, objection, frozenset(refused))


def _detail_pages(
    asker: ProbeRequestSender, id_paths: tuple[str, ...], items: Mapping[str, object], refused: set[str]
) -> tuple[str | None, dict[str, Mapping[str, object]], bool]:
    """Return the detail path, the detail pages read (more if they add to the list), and whether they do."""
    options = asker.client.options
    with_id = [mark for mark, item in items.items() if text_of(first_value_at_paths(_object(item), id_paths)) == mark]
    for path in dict.fromkeys((options.lead_path, f"{options.leads_path}/{{id}}", *_LEAD_PATHS)):
        refused.clear()  # where no lead has its page, some Opleads refuse the key
        found = read_detail_pages(asker, _evenly_spaced_marks(with_id, FIRST_DETAIL_PAGES), id_paths, path, refused)
        if found:
            break
    else:
        return None, {}, False
    if not any(detail_page_adds_values(items[mark], lead) for mark, lead in found.items()):
        return path, found, False
    status_paths = locate_configured_fields(list(items.values()), options).fields.status
    labels = {mark: text_of(first_value_at_paths(item, status_paths)) for mark, item in items.items()}
    rest = [mark for mark in sample_across_labels(with_id, labels, _MOST_DETAIL_PAGES) if mark not in found]
    return path, {**found, **read_detail_pages(asker, rest, id_paths, path, refused)}, True


def read_detail_pages(
    asker: ProbeRequestSender, ids: Iterable[str], id_paths: tuple[str, ...], lead_path: str, refused: set[str]
) -> dict[str, Mapping[str, object]]:
    """Return the detail pages found, by id; stop after two misses if none was found, at the limit or on an outage.

    A key that reads the list is a good one: a page that it may not read, added to `refused`, is a miss like others.
    """
    found: dict[str, Mapping[str, object]] = {}
    try:
        for tried, lead_id in enumerate(ids, 1):
            try:
                answer = asker.send_request(asker.client.lead_path(lead_id, lead_path))
                candidates = leads_on_own_page(answer.body, lead_id, id_paths)
                if (lead := find_lead_by_id(candidates, lead_id, id_paths)) is not None:
                    found[lead_id] = lead
            except OpleadRefused:
                pass
            except TokenRefused as refusal:
                if not refusal.is_known:
                    raise
                refused.add(lead_id)
            if tried > 1 and not found:
                break
    except (RequestLimitReached, Transient):
        pass
    return found


def _object(item: object) -> Mapping[str, object]:
    return item if isinstance(item, Mapping) else {}


def detail_page_adds_values(listed: object, details: Mapping[str, object]) -> bool:
    """Whether a detail page fills a path that the list entry does not."""
    before = {path for path, node in common_lead_field_paths([listed]).items() if node.filled_count}
    return any(node.filled_count and path not in before for path, node in common_lead_field_paths([details]).items())


def sample_across_labels(marks: Sequence[str], labels: Mapping[str, str | None], count: int) -> list[str]:
    """Return `count` marks, taking each label in turn: some fields exist only on the few sold leads."""
    groups: dict[str | None, list[str]] = {}
    for mark in marks:
        groups.setdefault(labels.get(mark), []).append(mark)
    spread = [_evenly_spaced_marks(group, count) for group in groups.values()]
    turns = (mark for turn in zip_longest(*spread) for mark in turn if mark is not None)
    return list(islice(turns, count))


def _evenly_spaced_marks(marks: Sequence[str], count: int) -> list[str]:
    """Return `count` marks, evenly spaced from start to end."""
    if len(marks) <= count:
        return list(marks)
    return [marks[index * (len(marks) - 1) // (count - 1)] for index in range(count)]
