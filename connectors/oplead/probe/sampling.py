"""Leads to look at: from lists, and from their own pages."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice, zip_longest
from zoneinfo import ZoneInfo

from connectors.errors import Misconfigured, Transient
from connectors.oplead.client import OpleadAnswer, TokenRefused
from connectors.oplead.field_tree import tree_of
from connectors.oplead.fields import first, raw, read_moment, start_of, text_of
from connectors.oplead.lead_parser import with_candidates
from connectors.oplead.options import FieldPaths, OpleadOptions
from connectors.oplead.probe.access import Asker, ListedPage, ListReader, QuestionLimitReached
from connectors.oplead.probe.field_places import find_places
from connectors.oplead.probe.filters import LeadDates
from connectors.oplead.probe.pagination import Paging, pages

_LEAD_PATHS = ("/leads/{id}", "/lead/{id}")


@dataclass(frozen=True, slots=True)
class DetailPages:
    """Where a lead's own page is, and a few of them."""

    lead_path: str | None
    """`oplead.lead_path`; None where none was found."""
    leads: Mapping[str, Mapping[str, object]]
    """By the lead's id."""


def find_detail_pages(asker: Asker, ids: Sequence[str], id_paths: tuple[str, ...]) -> DetailPages:
    """The path that gives these leads' own pages, and the pages."""
    listed_at = asker.options.leads_path
    for path in dict.fromkeys((asker.options.lead_path, f"{listed_at}/{{id}}", *_LEAD_PATHS)):
        if found := read_detail_pages(asker, ids, id_paths, path):
            return DetailPages(path, found)
    return DetailPages(None, {})


def read_detail_pages(
    asker: Asker, ids: Iterable[str], id_paths: tuple[str, ...], lead_path: str
) -> dict[str, Mapping[str, object]]:
    """The leads' own pages by id, those that are found; given up after two that are not, or that fail."""
    found: dict[str, Mapping[str, object]] = {}
    missed = 0
    try:
        for lead_id in ids:
            answer = asker.lead(lead_id, lead_path)
            lead = _unwrapped(answer.body, lead_id, id_paths) if isinstance(answer, OpleadAnswer) else None
            if lead is not None:
                found[lead_id] = lead
            elif (missed := missed + 1) > 1 and not found:
                break
    except (QuestionLimitReached, Transient):
        pass
    return found


def _unwrapped(body: object, lead_id: str, id_paths: tuple[str, ...]) -> Mapping[str, object] | None:
    """The lead in an answer about one lead: what has its id, the answer or what it wraps."""
    inside = [body, *(one for name in ("data", "lead") for one in raw(body, name))]
    own = (one for one in inside if isinstance(one, Mapping) and text_of(first(one, id_paths)) == lead_id)
    return next(own, None)


MOST_OWN_PAGES = 60
_FURTHER_PAGES = 30
SPARE_PAGES = _FURTHER_PAGES + 3
"""To be counted beside those whose leads are looked at."""
FIRST_OWN_PAGES = 3


@dataclass(frozen=True, slots=True)
class LeadSample:
    """The leads looked at."""

    pages: tuple[ListedPage, ...]
    items: Mapping[str, object]
    """As the list has them, by what tells them apart."""
    own: DetailPages
    detail_pages_add: bool
    """Whether they tell more than the list does."""
    counted: int | None
    """How many leads there are, where the list was followed to its end."""
    objection: str | None
    """Why the list could not be followed."""

    @property
    def whole(self) -> dict[str, object]:
        """The leads with their own pages; where those add something, only the leads whose page was read."""
        if not self.detail_pages_add:
            return dict(self.items)
        return {mark: {**_object(self.items[mark]), **lead} for mark, lead in self.own.leads.items()}

    @property
    def every(self) -> dict[str, object]:
        """All leads of the pages read, each as far as it was."""
        return {
            mark: {**_object(item), **self.own.leads[mark]} if mark in self.own.leads else item
            for mark, item in self.items.items()
        }

    def listed(self, marks: Sequence[str]) -> list[object]:
        """What the list alone tells of these leads."""
        return [self.items[mark] for mark in marks]


def take_sample(asker: Asker, reader: ListReader, first_page: ListedPage, paging: Paging, leads: int) -> LeadSample:
    """About so many leads, from the start of the list."""
    read: list[ListedPage] = []
    items: dict[str, object] = {}
    further = 0
    counted = objection = None
    try:
        for number, page in enumerate(_pages(asker, reader, first_page, paging)):
            if len(items) < leads:
                read.append(page)
                items |= dict(zip(page.marks, page.items, strict=True))
            elif _is_told(paging) or number >= len(read) + _FURTHER_PAGES:
                break
            else:  # the pages after those looked at are only counted
                further += len(page.items)
        else:
            counted = None if paging.undecided else len(items) + further
    except QuestionLimitReached:
        pass
    except TokenRefused:
        raise
    except Misconfigured as error:
        objection = str(error)
    if not read:
        read, items = [first_page], dict(zip(first_page.marks, first_page.items, strict=True))
    known = [mark for mark, item in items.items() if _id_of(item, reader) == mark]
    own = find_detail_pages(asker, _spread(known, FIRST_OWN_PAGES), reader.ids)
    adds = any(_tells_more(items[mark], lead) for mark, lead in own.leads.items())
    if adds and own.lead_path is not None:
        labels = _labels(items, asker.options)
        rest = [mark for mark in in_turn(known, labels, MOST_OWN_PAGES) if mark not in own.leads]
        own = replace(own, leads={**own.leads, **read_detail_pages(asker, rest, reader.ids, own.lead_path)})
    return LeadSample(tuple(read), items, own, adds, counted, objection)


class SampleTimes:
    """When leads were created and last changed."""

    def __init__(self, sample: LeadSample, reader: ListReader, places: FieldPaths, zone: ZoneInfo) -> None:
        """Read the sample's."""
        paths = with_candidates(places)
        self._created, self._updated = paths.created_at or (), paths.updated_at or ()
        self._zone = zone
        self._reader = reader
        self._known = {mark: self._dated(lead) for mark, lead in sample.every.items()}

    @property
    def seen(self) -> Sequence[LeadDates]:
        """Those of the sample."""
        return tuple(self._known.values())

    def of_page(self, page: ListedPage) -> Sequence[LeadDates]:
        """Those of a page, by what its entries tell or by what is known of them."""
        return tuple(
            self._known.get(mark) or self._dated(item) for mark, item in zip(page.marks, page.items, strict=True)
        )

    def _dated(self, lead: object) -> LeadDates:
        return LeadDates(self._moment(lead, self._created), self._moment(lead, self._updated))

    def _moment(self, lead: object, paths: Sequence[str]) -> datetime | None:
        try:
            moment = read_moment(first(lead, paths), self._zone)
        except ValueError:
            return None
        return None if moment is None else start_of(moment, self._zone)


def _pages(asker: Asker, reader: ListReader, first_page: ListedPage, paging: Paging) -> Iterator[ListedPage]:
    """The list's pages; where nobody knows how it goes on, the first one."""
    return iter((first_page,)) if paging.undecided else pages(asker, reader, paging.options, known=first_page)


def _is_told(paging: Paging) -> bool:
    """Whether how many leads there are is known, or may be asked for in another way."""
    return paging.total is not None or paging.options.style in {"page", "offset"}


def _id_of(item: object, reader: ListReader) -> str | None:
    return text_of(first(item, reader.ids)) if isinstance(item, Mapping) else None


def _object(item: object) -> Mapping[str, object]:
    return item if isinstance(item, Mapping) else {}


def _tells_more(listed: object, own: Mapping[str, object]) -> bool:
    """Whether a lead's own page fills a path that its entry in the list does not."""
    before = {path for path, node in tree_of([listed]).items() if node.filled}
    return any(node.filled and path not in before for path, node in tree_of([own]).items())


def in_turn(marks: Sequence[str], labels: Mapping[str, str | None], count: int) -> list[str]:
    """So many of them, of every label in turn: what only sold leads have is on few of all leads."""
    groups: dict[str | None, list[str]] = {}
    for mark in marks:
        groups.setdefault(labels.get(mark), []).append(mark)
    spread = [_spread(group, count) for group in groups.values()]
    turns = (mark for turn in zip_longest(*spread) for mark in turn if mark is not None)
    return list(islice(turns, count))


def _labels(items: Mapping[str, object], options: OpleadOptions) -> dict[str, str | None]:
    """Each lead's status label, where the list tells it."""
    listed = list(items.values())
    places = find_places(listed, tree_of(listed), options.fields, zone=options.zone, rules=options.click_ids)
    paths = with_candidates(places.fields).status or ()
    return {mark: text_of(first(item, paths)) for mark, item in items.items()}


def _spread(marks: Sequence[str], count: int) -> list[str]:
    """So many of them, from the start to the end."""
    if len(marks) <= count:
        return list(marks)
    return [marks[index * (len(marks) - 1) // (count - 1)] for index in range(count)]
