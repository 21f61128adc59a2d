"""Find out how a list is paginated: how to reach the next page, and how many leads there are."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

from connectors.errors import Misconfigured
from connectors.language import _, _n, format_integer
from connectors.oplead.answers import OpleadRefused
from connectors.oplead.options import PaginationOptions
from connectors.oplead.pagination import ListedPage, PagePosition, lacks_id
from connectors.oplead.parsing.field_tree import last_path_part
from connectors.oplead.parsing.synonyms import with_french
from connectors.oplead.probe.asking import ProbedLeadList, RequestLimitReached
from connectors.oplead.probe.envelope import MORE_WORDS, envelope_values, is_next_page_path, stated_total
from connectors.oplead.probe.trials import ParameterEffect, ParameterTester, filter_effect

_NUMBERS = ("page", "p", "pageNumber", "page_number", "pageNo", "pageIndex", "page[number]", "numPage")
_OFFSETS = (*with_french("offset", "skip", "start"), "startIndex", "from", "first", "page[offset]")
_SIZES = ("limit", "size", "per_page", "pageSize", "page_size", "perPage", *with_french("count", "take"), "page[size]")
_CURSORS = (
    *("cursor", "after", "nextCursor", "next_cursor", "page_token", "pageToken", "nextPageToken", "starting_after"),
    *("continuationToken", "next", "curseur", "page[cursor]", "page[after]", "page"),
)
_LAST_IDS = (
    *("after_id", "afterId", "last_id", "lastId", "since_id", "sinceId", "starting_after", "after", "from_id"),
    *("fromId", "min_id", "max_id", "before_id", "last", "cursor"),
)
_PAGE_SIZES = frozenset(
    {*range(5, 105, 5), *range(150, 10_050, 50), 12, 16, 24, 32, 36, 48, 64, 96, 120, 125, 128, 256}
)
"""Plausible page sizes; a list of exactly this length is not assumed to be complete."""
_WANTED_SIZE, _SMALLER_SIZE = 100, 50
_FEW = 2
_ELSEWHERE = frozenset({ParameterEffect.OTHER, ParameterEffect.EMPTY, ParameterEffect.PAST})
_ADDRESS = ("http://", "https://", "/", "?")


@dataclass(frozen=True, slots=True)
class PaginationSearchResult:
    """How the list is paginated, as far as known."""

    options: PaginationOptions
    page_size: int
    """The number of leads on a page requested with these options."""
    total: int | None = None
    header: tuple[str, int] | None = None
    """A header that may state the total, with its number; still to be verified."""
    how: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()

    @property
    def is_numbered(self) -> bool:
        """Whether any page can be requested directly by number or offset."""
        return self.options.style in {"page", "offset"}


class PaginationSearch:
    """Finds the way from a list's first page to its second."""

    def __init__(self, leads: ProbedLeadList, first: ListedPage, *, is_specified: bool = False) -> None:
        self._is_specified = is_specified
        """Whether the pagination that is configured is a specification's."""
        self._list = leads
        self._first = first
        self.trials = ParameterTester(leads, first)
        self._count = len(first.items)
        self._around = envelope_values(first.answer.body)
        self._hints = {
            bool(value)
            for path, value in self._around
            if is_next_page_path(path) or (last_path_part(path) in MORE_WORDS and isinstance(value, bool))
        }
        """Whether there is more, as the first page says it in each of its ways."""
        self._stated = stated_total(first.answer.body, self._count)
        headers = ((name, total) for name, total in first.answer.totals.items() if total >= self._count)
        self._header = next(headers, None) if self._stated is None else None
        self._total = self._header[1] if self._header else self._stated

    def find(self) -> PaginationSearchResult:
        """Return how the list is paginated; `undecided` names the setting to write if that is unknown."""
        items = self._list.items
        bare = PaginationOptions(items=items)
        try:
            return (
                self._configured(replace(self._list.asker.client.options.pagination, items=items))
                or self._pagination_from_first_page(bare)
                or self._find_page_number_parameter(bare)
                or self._find_offset_parameter(bare)
                or self._find_last_id_parameter(bare)
                or self._single_page_result(bare)
            )
        except RequestLimitReached:
            return self._single_page_result(bare, ran_out=True)

    def _configured(self, options: PaginationOptions) -> PaginationSearchResult | None:
        """Return the configured pagination, unless the responses contradict it."""
        if options.style == "auto" and options.next is None:
            return None
        effect = self._effect_of_following(options)
        if effect is None:
            return None
        if options.style == "none" and (self._total or 0) <= self._count:
            how = (
                _("Pages: all at once, as the specification says.")
                if self._is_specified
                else _("Pages: all at once, as the settings say.")
            )
            return self._pagination_result(options, how, all_seen=True)
        if effect not in {ParameterEffect.OTHER, ParameterEffect.EMPTY}:
            return None
        said = _("Pages: as the specification says.") if self._is_specified else _("Pages: as the settings say.")
        return self._pagination_result(options, said)

    def _effect_of_following(self, options: PaginationOptions) -> ParameterEffect | None:
        """Return the second page's effect: SAME if there is none, None if the options do not fit the first page."""
        try:
            position = self._list.second_page_position(options, self._first)
            return (
                ParameterEffect.SAME
                if position is None
                else filter_effect(self._first, self._list.page(options, position))
            )
        except Misconfigured:
            return None

    def pagination_as_specified(self, options: PaginationOptions, seen: int | None) -> PaginationSearchResult:
        """Return the pagination that a specification describes, which worked; `seen` counts the leads, if all were."""
        found = self._pagination_result(
            options,
            _n(
                "Pages: as the specification says, with {count} lead a page.",
                "Pages: as the specification says, with {count} leads a page.",
                self._count,
            ),
        )
        stated = self._first.answer.totals.get(options.total_header or "", found.total)
        return replace(found, header=None, total=seen if stated is None else stated)

    @property
    def may_have_more_pages(self) -> bool:
        """Whether there may be more than the first page."""
        return bool(self._single_page_result(PaginationOptions()).undecided)

    # ── what the first page states ───────────────────────────────────────────────────────────────

    def _pagination_from_first_page(self, bare: PaginationOptions) -> PaginationSearchResult | None:
        for options in self._descriptions(bare):
            if self._effect_of_following(options) is ParameterEffect.OTHER:
                return self._with_longer_pages(options, _("each page says where the next one is"), described=True)
        is_all = False in self._hints if self._total is None else self._total <= self._count
        if is_all and self._reaches_position(bare, None):
            how = _("Pages: the platform says that these are all ({count}).", count=format_integer(self._count))
            return self._pagination_result(bare, how, all_seen=True)
        return None

    def _descriptions(self, bare: PaginationOptions) -> Iterator[PaginationOptions]:
        """Yield options based on what the first page states: automatic, else with explicit paths and parameters."""
        yield bare
        for path, value in self._around:
            if not isinstance(value, str) or not value or not is_next_page_path(path):
                continue
            if value.startswith(_ADDRESS):
                yield replace(bare, style="next_url", next=path)
                continue
            for trial in self.trials.try_each_parameter(_CURSORS, value):
                if trial.effect is ParameterEffect.OTHER:
                    options = replace(bare, style="cursor", cursor_param=trial.name)
                    # No explicit path is needed if the cursor is found without it.
                    is_found = self._reaches_position(options, PagePosition("cursor", value))
                    yield options if is_found else replace(options, next=path)

    def _reaches_position(self, options: PaginationOptions, position: PagePosition | None) -> bool:
        """Whether `position` (None for the end) follows the first page with these options."""
        try:
            return self._list.second_page_position(options, self._first) == position
        except Misconfigured:
            return False

    # ── what a parameter does ────────────────────────────────────────────────────────────────────

    def _find_page_number_parameter(self, bare: PaginationOptions) -> PaginationSearchResult | None:
        for name in self._parameters_that_advance((*self._names_in_next(), *_NUMBERS), "2"):
            for start in (1, 0):
                if self.trials.try_parameters({name: str(start)}).effect is ParameterEffect.SAME:
                    options = replace(bare, style="page", page_param=name, first_page=start)
                    how = _("`{name}` numbers the pages, the first is {start}", name=name, start=start)
                    return self._with_longer_pages(options, how)
        return None

    def _find_offset_parameter(self, bare: PaginationOptions) -> PaginationSearchResult | None:
        for name in self._parameters_that_advance((*self._names_in_next(), *_OFFSETS), str(self._count), by_one="1"):
            options = replace(bare, style="offset", offset_param=name)
            return self._with_longer_pages(options, _("`{name}` says how many leads to pass over", name=name))
        return None

    def _find_last_id_parameter(self, bare: PaginationOptions) -> PaginationSearchResult | None:
        marks = [mark for mark in self._first.marks if not lacks_id(mark)]
        if len(marks) < _FEW:
            return None
        for name in self._parameters_that_advance(_LAST_IDS, marks[-1], by_one=marks[0]):
            options = replace(bare, style="last_id", cursor_param=name)
            return self._with_longer_pages(options, _("`{name}` takes the id of a page's last lead", name=name))
        return None

    def _parameters_that_advance(self, names: Iterable[str], value: str, *, by_one: str | None = None) -> Iterator[str]:
        """Yield the parameters that give other leads with `value`, and skip only the first lead with `by_one`."""
        for trial in self.trials.try_each_parameter(tuple(dict.fromkeys(names)), value):
            if trial.effect in _ELSEWHERE and (by_one is None or self._skips_first_lead(trial.name, by_one)):
                yield trial.name

    def _skips_first_lead(self, name: str, value: str) -> bool:
        page, first = self.trials.try_parameters({name: value}).page, self._first.marks
        return page is not None and len(first) > 1 and page.marks[: len(first) - 1] == first[1 : len(page.marks) + 1]

    def _names_in_next(self) -> Iterator[str]:
        """Yield the numeric parameters of a next URL that could not be followed, such as one on an internal host."""
        for path, value in self._around:
            if isinstance(value, str) and is_next_page_path(path) and "?" in value:
                try:
                    pairs = parse_qsl(urlsplit(value).query)
                except ValueError:
                    continue
                yield from (name for name, number in pairs if number.isdecimal() and name not in _SIZES)

    def _with_longer_pages(
        self, options: PaginationOptions, how: str, *, described: bool = False
    ) -> PaginationSearchResult:
        """Return the way found, with longer pages if the platform serves them and they save requests."""
        try:
            name = self._size_param() if self._count < _WANTED_SIZE and self._count > _FEW else None
            for wanted in (_WANTED_SIZE, _SMALLER_SIZE):
                if name is None or wanted <= self._count:
                    break
                page = self.trials.try_parameters({name: str(wanted)}).page
                if page is not None and len(page.items) > self._count:
                    served = len(page.items)
                    cap = served if served % 5 == 0 else wanted  # the platform's cap if round, else what was requested
                    longer = replace(options, size_param=name, size=min(wanted, cap))
                    if self._can_follow_longer_pages(longer, page, described=described):
                        longer_pages = _n(
                            "Pages: {how}; `{name}` asks for longer pages ({count} lead without it).",
                            "Pages: {how}; `{name}` asks for longer pages ({count} leads without it).",
                            self._count,
                            how=how,
                            name=name,
                        )
                        return self._pagination_result(longer, longer_pages, size=served)
                    break
        except RequestLimitReached:
            pass
        usual = _n(
            "Pages: {how}, with {count} lead a page.", "Pages: {how}, with {count} leads a page.", self._count, how=how
        )
        return self._pagination_result(options, usual)

    def _size_param(self) -> str | None:
        for trial in self.trials.try_each_parameter(_SIZES, str(_FEW)):
            shown = trial.page.marks if trial.page else ()
            if len(shown) == _FEW and shown == self._first.marks[:_FEW]:
                return trial.name
        return None

    def _can_follow_longer_pages(self, options: PaginationOptions, page: ListedPage, *, described: bool) -> bool:
        """Whether longer pages can be followed: the next one has other leads, and the end can be detected.

        A next URL may drop the page size, whereas a cursor is sent along with it. A list that repeats its last page
        past the end must have more than one page.
        """
        try:
            position = self._list.second_page_position(options, page)
            if position is None:
                return True
            following = self._list.page(options, position)
        except OpleadRefused:
            return True
        except Misconfigured:
            return False
        effect = filter_effect(page, following)
        if not described:
            return effect in _ELSEWHERE
        keeps_size = position.kind == "cursor"
        return effect is ParameterEffect.OTHER and (keeps_size or len(following.items) > self._count)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    def _pagination_result(
        self, options: PaginationOptions, how: str, *, size: int | None = None, all_seen: bool = False
    ) -> PaginationSearchResult:
        total = self._count if self._stated is None and all_seen else self._stated
        return PaginationSearchResult(options, size or self._count, total, self._header, (how,))

    def _single_page_result(self, bare: PaginationOptions, *, ran_out: bool = False) -> PaginationSearchResult:
        """Return the result without a second page: the first page is everything, or pagination is undecided."""
        count = self._count
        if self._total is not None and self._total > count:
            problem = _n(
                "oplead.pagination.style: there is {count} lead, the first page holds {shown}, and none of the usual "
                "parameters leads to the next page; Oplead's API page names its parameters",
                "oplead.pagination.style: there are {count} leads, the first page holds {shown}, and none of the usual "
                "parameters leads to the next page; Oplead's API page names its parameters",
                self._total,
                shown=format_integer(count),
            )
        elif self._first.answer.next_link is not None or True in self._hints:
            problem = _n(
                "oplead.pagination.style: there is more than {count} lead, and none of the usual parameters leads to "
                "the next page; Oplead's API page names its parameters",
                "oplead.pagination.style: there are more than {count} leads, and none of the usual parameters leads to "
                "the next page; Oplead's API page names its parameters",
                count,
            )
        elif count in _PAGE_SIZES:
            problem = _n(
                "oplead.pagination.style: the list holds {count} lead, a usual page length, and names no other page; "
                "if this is your only lead, write style: none; Oplead's API page names its parameters",
                "oplead.pagination.style: the list holds {count} leads, a usual page length, and names no other page; "
                "if these are all your leads, write style: none; Oplead's API page names its parameters",
                count,
            )
        else:
            note = _("Pages: all leads ({count}) came at once.", count=format_integer(count))
            return PaginationSearchResult(bare, count, count, self._header, (note,))
        if ran_out:
            problem = _("{problem} (the request limit was reached first)", problem=problem)
        return PaginationSearchResult(bare, count, self._stated, self._header, (), (problem,))


_FARTHEST = 1 << 16
_NEW_MEANWHILE = 2


def with_lead_total(leads: ProbedLeadList, paging: PaginationSearchResult, seen: int | None) -> PaginationSearchResult:
    """Return `paging` with the total: as stated, from a verified header, or by counting.

    `seen` is the number of leads, if the list was followed to its end.
    """
    if paging.undecided:
        return paging
    if paging.header is not None:
        paging = _with_header(leads, paging, paging.header, seen)
    if paging.total is not None:
        return paging
    if seen is None and paging.is_numbered:
        with suppress(RequestLimitReached, Misconfigured):
            seen = count_leads_on_pages(
                lambda index: leads.lead_marks_on_page(paging.options, index, paging.page_size), paging.page_size
            )
    return replace(paging, total=seen)


def _with_header(
    leads: ProbedLeadList, paging: PaginationSearchResult, header: tuple[str, int], seen: int | None
) -> PaginationSearchResult:
    name, total = header
    if not (_is_near(seen, total) if seen is not None else _last_page_matches_total(leads, paging, total)):
        note = _(
            "Pages: the header {name} says {total}, which is not how many leads there are; it is not read.",
            name=name,
            total=format_integer(total),
        )
        return replace(paging, how=(*paging.how, note))
    note = _("Pages: the header {name} says how many leads there are, as was seen at the list's end.", name=name)
    options = replace(paging.options, total_header=name)
    return replace(paging, options=options, total=total, how=(*paging.how, note))


def _is_near(seen: int, total: int) -> bool:
    """Whether two counts agree, allowing for leads added while the list is read."""
    return abs(seen - total) <= max(_NEW_MEANWHILE, total // 50)


def _last_page_matches_total(leads: ProbedLeadList, paging: PaginationSearchResult, total: int) -> bool:
    """Whether the last page implied by `total` exists and holds the remaining leads."""
    if not paging.is_numbered or total <= 0:
        return False
    index = (total - 1) // paging.page_size
    try:
        marks = leads.lead_marks_on_page(paging.options, index, paging.page_size)
    except (RequestLimitReached, Misconfigured):
        return False
    return bool(marks) and _is_near(index * paging.page_size + len(marks), total)


def count_leads_on_pages(page: Callable[[int], tuple[str, ...]], page_size: int) -> int | None:
    """Count the leads on numbered pages; return None if there are too many pages.

    Doubles the index until it passes the end, where pages are empty or repeat the last one, then bisects.
    """
    before, ahead = 0, 1
    tail = page(ahead)
    while tail and ahead < _FARTHEST:
        farther = page(2 * ahead)
        if farther == tail:  # past the end, the last page repeats
            break
        before, ahead, tail = ahead, 2 * ahead, farther
    else:
        if tail:
            return None
    while ahead - before > 1:
        middle = (before + ahead) // 2
        before, ahead = (before, middle) if page(middle) == tail else (middle, ahead)
    return ahead * page_size + len(tail) if tail else before * page_size + len(page(before))
