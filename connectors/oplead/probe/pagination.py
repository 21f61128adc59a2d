"""How lists are paged: where the next page is, and how far they go."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

from connectors.errors import Misconfigured
from connectors.oplead.client import OpleadRefused
from connectors.oplead.field_tree import beside, plain, stated_total
from connectors.oplead.options import PaginationOptions
from connectors.oplead.pagination import PagePosition, PageWalk, is_nameless
from connectors.oplead.probe.access import Asker, DeclinedQuestion, ListedPage, ListReader, QuestionLimitReached
from connectors.oplead.probe.filters import Effect, FilterTrial, FilterTrials, effect_of, is_shifted, pairs_of
from connectors.text import counted


def pages(
    asker: Asker, reader: ListReader, options: PaginationOptions, *, known: ListedPage | None = None
) -> Iterator[ListedPage]:
    """Every page of the list.

    Args:
        asker: asks for them.
        reader: reads them.
        options: how the list goes on.
        known: the bare list's answer, not asked for again.

    Raises:
        Misconfigured: the list does not go on as the options say.
        NoMoreQuestions: the bound on questions is reached.
    """
    walk = _walk(asker, options)
    place: PagePosition | None = walk.start()
    while place is not None:
        target = walk.address(place)
        page = known if known is not None and target == asker.list_path else _page(asker, reader, target)
        if page is None:
            try:
                place = walk.after_refusal(place, OpleadRefused("a page is refused: see oplead.pagination", 404))
            except OpleadRefused as refusal:
                raise Misconfigured(str(refusal)) from None
            continue
        place = walk.after(place, page.answer, page.marks)
        yield page


def follows(options: PaginationOptions, asker: Asker, first: ListedPage) -> PagePosition | None:
    """The place after the first page; None where there is none.

    Raises:
        Misconfigured: the options do not fit the answer.
    """
    walk = _walk(asker, options)
    return walk.after(walk.start(), first.answer, first.marks)


def second(
    options: PaginationOptions, asker: Asker, reader: ListReader, first: ListedPage
) -> ListedPage | DeclinedQuestion | None:
    """The page after the first one, refused or not; None where there is none.

    Raises:
        Misconfigured: the options do not fit the answer.
    """
    place = follows(options, asker, first)
    if place is None:
        return None
    answer = asker.ask(_walk(asker, options).address(place))
    return answer if isinstance(answer, DeclinedQuestion) else reader.listed(answer)


def address_of(asker: Asker, options: PaginationOptions, index: int, page_size: int) -> str:
    """The path and query of a numbered page, by its place from 0."""
    number = index * page_size if options.style == "offset" else index + options.first_page
    return _walk(asker, options).address(PagePosition("offset" if options.style == "offset" else "page", str(number)))


def _page(asker: Asker, reader: ListReader, target: str) -> ListedPage | None:
    answer = asker.ask(target)
    return None if isinstance(answer, DeclinedQuestion) else reader.listed(answer)


def _walk(asker: Asker, options: PaginationOptions) -> PageWalk:
    auth = asker.options.auth
    return PageWalk(
        options,
        origin=asker.origin,
        path=asker.list_path,
        query={},
        secret=auth.name if auth.style == "query" else None,
    )


_NUMBERS = ("page", "p", "pageNumber", "page_number", "pageNo", "pageIndex", "page[number]", "numPage")
_OFFSETS = ("offset", "skip", "start", "startIndex", "from", "first", "page[offset]")
_SIZES = ("limit", "size", "per_page", "pageSize", "page_size", "perPage", "count", "take", "page[size]")
_CURSORS = (
    *("cursor", "after", "nextCursor", "next_cursor", "page_token", "pageToken", "nextPageToken", "starting_after"),
    *("continuationToken", "next", "curseur", "page[cursor]", "page[after]", "page"),
)
_LAST_IDS = (
    *(
        "after_id",
        "afterId",
        "last_id",
        "lastId",
        "since_id",
        "sinceId",
        "starting_after",
        "after",
        "from_id",
        "fromId",
    ),
    *("min_id", "max_id", "before_id", "last", "cursor"),
)
_NEXT_WORDS = ("next", "suivant", "cursor", "curseur", "continuation", "pagetoken")
_MORE_WORDS = frozenset({"hasmore", "hasnext", "hasnextpage", "more", "moreresults"})
_PAGE_SIZES = frozenset(
    {*range(5, 105, 5), *range(150, 10_050, 50), 12, 16, 24, 32, 36, 48, 64, 96, 120, 125, 128, 256}
)
"""Lengths that a page may have been cut to; a list of just so many leads is not taken for whole."""
_WANTED_SIZE, _SMALLER_SIZE = 100, 50
_FEW = 2
_ELSEWHERE = frozenset({Effect.OTHER, Effect.EMPTY, Effect.PAST})
_ADDRESS = ("http://", "https://", "/", "?")


@dataclass(frozen=True, slots=True)
class Paging:
    """How the list goes on, as far as it could be told."""

    options: PaginationOptions
    page_size: int
    """How many leads a page holds, as asked for by the options."""
    total: int | None = None
    header: tuple[str, int] | None = None
    """A header that may tell how many leads there are, and what it says; to be tried."""
    how: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()


class PageSearch:
    """Looks for the way from a list's first page to its second."""

    def __init__(self, asker: Asker, reader: ListReader, first: ListedPage) -> None:
        """Ask nothing yet."""
        self._asker = asker
        self._reader = reader
        self._first = first
        self._trials = FilterTrials(asker, reader, first)
        self._count = len(first.items)
        self._told = stated_total(first.answer.body, self._count)
        headers = ((name, total) for name, total in first.answer.totals.items() if total >= self._count)
        self._header = next(headers, None) if self._told is None else None
        self._total = self._header[1] if self._header else self._told

    @property
    def trials(self) -> FilterTrials:
        """The parameters tried so far, and how an unknown one is refused."""
        return self._trials

    def find(self) -> Paging:
        """How the list goes on; what could not be told names the setting to write."""
        told = replace(PaginationOptions(), items=self._reader.items)
        configured = replace(self._asker.options.pagination, items=self._reader.items)
        try:
            return (
                self._configured(configured)
                or self._described(told)
                or self._numbered(told)
                or self._counted(told)
                or self._by_last_id(told)
                or self._unpaged(told)
            )
        except QuestionLimitReached:
            return self._unpaged(told, reason=" (the bound on questions was reached before)")

    def _configured(self, options: PaginationOptions) -> Paging | None:
        """What the settings say already, where the answers do not contradict it."""
        if options.style == "auto" and options.next is None:
            return None
        try:
            page = second(options, self._asker, self._reader, self._first)
        except Misconfigured:
            return None
        if options.style == "none" and (self._total or 0) <= self._count:
            return self._found(options, "all at once, as the settings say", all_seen=True)
        if isinstance(page, ListedPage) and effect_of(self._first, page) in {Effect.OTHER, Effect.EMPTY}:
            return self._found(options, "as the settings say")
        return None

    # ── what the first page tells itself ─────────────────────────────────────────────────────────

    def _described(self, told: PaginationOptions) -> Paging | None:
        for options in self._descriptions(told):
            try:
                page = second(options, self._asker, self._reader, self._first)
            except Misconfigured:
                continue
            if isinstance(page, ListedPage) and effect_of(self._first, page) is Effect.OTHER:
                return self._sized(options, "each page tells where the next one is", described=True)
        if self._says_it_is_all() and self._ends(told):
            return self._found(told, f"the platform says that these are all ({self._count})", all_seen=True)
        return None

    def _descriptions(self, told: PaginationOptions) -> Iterator[PaginationOptions]:
        """What might follow the first page's own words: by itself, else by a path and parameter written out."""
        yield told
        for path, value in beside(self._first.answer.body):
            if not isinstance(value, str) or not value or not _is_next(path):
                continue
            if value.startswith(_ADDRESS):
                yield replace(told, style="next_url", next=path)
                continue
            for trial in self._trials.each(pairs_of(_CURSORS, value)):
                if trial.effect is Effect.OTHER:
                    plainly = replace(told, style="cursor", cursor_param=trial.name)
                    yield plainly if self._leads_to(plainly, value) else replace(plainly, next=path)

    def _ends(self, options: PaginationOptions) -> bool:
        """Whether a reader with these options takes the first page for the whole list."""
        try:
            return follows(options, self._asker, self._first) is None
        except Misconfigured:
            return False

    def _leads_to(self, options: PaginationOptions, cursor: str) -> bool:
        """Whether the cursor is found without being told where it stands."""
        try:
            place = follows(options, self._asker, self._first)
        except Misconfigured:
            return False
        return place is not None and place.value == cursor

    def _says_it_is_all(self) -> bool:
        body = self._first.answer.body
        if self._total is not None:
            return self._total <= self._count
        return any(_is_next(path) and value in (None, "", False) for path, value in beside(body)) or any(
            plain(path.rpartition(".")[2]) in _MORE_WORDS and value is False for path, value in beside(body)
        )

    # ── what a parameter does ────────────────────────────────────────────────────────────────────

    def _numbered(self, told: PaginationOptions) -> Paging | None:
        names = dict.fromkeys((*self._names_in_next(), *_NUMBERS))
        for trial in self._trials.each(pairs_of(names, "2")):
            if _goes_elsewhere(trial) and (start := self._first_number(trial.name)) is not None:
                options = replace(told, style="page", page_param=trial.name, first_page=start)
                return self._sized(options, f"`{trial.name}` numbers the pages, the first is {start}")
        return None

    def _first_number(self, name: str) -> int | None:
        for number in (1, 0):
            if self._trials.one(name, str(number)).effect is Effect.SAME:
                return number
        return None

    def _counted(self, told: PaginationOptions) -> Paging | None:
        names = dict.fromkeys((*self._names_in_next(), *_OFFSETS))
        for trial in self._trials.each(pairs_of(names, str(self._count))):
            if _goes_elsewhere(trial):
                page = self._trials.one(trial.name, "1").page
                if page is not None and is_shifted(self._first, page):
                    options = replace(told, style="offset", offset_param=trial.name)
                    return self._sized(options, f"`{trial.name}` says how many leads to pass over")
        return None

    def _by_last_id(self, told: PaginationOptions) -> Paging | None:
        """Pages that begin after the lead whose id is given."""
        marks = [mark for mark in self._first.marks if not is_nameless(mark)]
        if len(marks) < _FEW:
            return None
        for trial in self._trials.each(pairs_of(_LAST_IDS, marks[-1])):
            if _goes_elsewhere(trial):
                page = self._trials.one(trial.name, marks[0]).page
                if page is not None and is_shifted(self._first, page):
                    options = replace(told, style="last_id", cursor_param=trial.name)
                    return self._sized(options, f"`{trial.name}` takes the id of a page's last lead")
        return None

    def _names_in_next(self) -> Iterator[str]:
        """The parameters of a next address that could not be followed, as one on a host behind this one."""
        for path, value in beside(self._first.answer.body):
            if isinstance(value, str) and _is_next(path) and "?" in value:
                try:
                    pairs = parse_qsl(urlsplit(value).query)
                except ValueError:
                    continue
                yield from (name for name, number in pairs if number.isdecimal() and name not in _SIZES)

    def _sized(self, options: PaginationOptions, how: str, *, described: bool = False) -> Paging:
        """The way found, with longer pages where the platform serves them and they save requests."""
        try:
            name = self._size_param() if self._count < _WANTED_SIZE and self._count > _FEW else None
            for wanted in (_WANTED_SIZE, _SMALLER_SIZE):
                if name is None or wanted <= self._count:
                    break
                page = self._trials.one(name, str(wanted)).page
                if page is not None and len(page.items) > self._count:
                    grown = replace(options, size_param=name, size=_size_to_write(wanted, len(page.items)))
                    if self._goes_on(grown, page, described=described):
                        longer = f"{how}; `{name}` asks for longer pages ({counted(self._count, 'lead')} without it)"
                        return self._found(grown, longer, size=len(page.items))
                    break
        except QuestionLimitReached:
            pass
        return self._found(options, f"{how}, with {counted(self._count, 'lead')} a page")

    def _size_param(self) -> str | None:
        for trial in self._trials.each(pairs_of(_SIZES, str(_FEW))):
            shown = trial.page.marks if trial.page else ()
            if len(shown) == _FEW and shown == self._first.marks[:_FEW]:
                return trial.name
        return None

    def _goes_on(self, options: PaginationOptions, page: ListedPage, *, described: bool) -> bool:
        """Whether longer pages can be followed: the next begins where the first one ends, and the end can be told.

        A next address may drop the length, while beside a cursor it is written again; a list that serves its last page
        again must not have only one.
        """
        try:
            place = follows(options, self._asker, page)
            following = second(options, self._asker, self._reader, page)
        except Misconfigured:
            return False
        if not isinstance(following, ListedPage):
            return True
        effect = effect_of(page, following)
        if not described:
            return effect in _ELSEWHERE
        carried = place is not None and place.kind == "cursor"
        return effect is Effect.OTHER and (carried or len(following.items) > self._count)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    def _found(
        self, options: PaginationOptions, how: str, *, size: int | None = None, all_seen: bool = False
    ) -> Paging:
        total = self._told if self._told is not None or not all_seen else self._count
        return Paging(options, size or self._count, total, self._header, (f"Pages: {how}.",))

    def _unpaged(self, told: PaginationOptions, reason: str = "") -> Paging:
        """No second page was found: the first is all there is, or that cannot be told."""
        count = self._count
        if self._total is not None and self._total > count:
            return self._undecided(
                told,
                f"there are {counted(self._total, 'lead')}, the first page holds {count}, and no usual way leads on"
                f"{reason}",
            )
        if self._tells_of_more():
            return self._undecided(
                told, f"there are more than {counted(count, 'lead')}, and no usual way leads on{reason}"
            )
        if count in _PAGE_SIZES:
            return self._undecided(
                told,
                f"the list holds {counted(count, 'lead')}, a usual length of a page, and nothing tells of another"
                f"{reason}; if these are all your leads, write style: none",
            )
        return Paging(told, count, count, self._header, (f"Pages: all leads ({count}) came at once.",))

    def _undecided(self, told: PaginationOptions, said: str) -> Paging:
        sentence = f"oplead.pagination.style: {said}; Oplead's API page names its parameters"
        return Paging(told, self._count, self._told, self._header, (), (sentence,))

    def _tells_of_more(self) -> bool:
        return self._first.answer.next_link is not None or any(
            (plain(path.rpartition(".")[2]) in _MORE_WORDS and value is True) or (_is_next(path) and bool(value))
            for path, value in beside(self._first.answer.body)
        )


def _is_next(path: str) -> bool:
    named = plain(path)
    return any(word in named for word in _NEXT_WORDS) and plain(path.rpartition(".")[2]) not in _MORE_WORDS


def _goes_elsewhere(trial: FilterTrial) -> bool:
    return trial.effect in _ELSEWHERE


def _size_to_write(asked: int, served: int) -> int:
    """What was asked for, or what a platform caps it at."""
    return served if served < asked and served % 5 == 0 else asked


_FARTHEST = 1 << 16
_COME_MEANWHILE = 2

Marks = tuple[str, ...]


def count_leads(asker: Asker, reader: ListReader, options: PaginationOptions, page_size: int) -> int | None:
    """How many leads there are; None where the pages are not numbered, or it would take too many questions."""
    if options.style not in {"page", "offset"}:
        return None

    def page(index: int) -> Marks:
        """The marks of a page by its place from 0; none past the end."""
        answer = asker.ask(address_of(asker, options, index, page_size))
        return () if isinstance(answer, DeclinedQuestion) else reader.listed(answer).marks

    try:
        return _count(page, page_size)
    except (QuestionLimitReached, Misconfigured):
        return None


def with_header(asker: Asker, reader: ListReader, paging: Paging, counted: int | None) -> Paging:
    """The same with the number of leads that a header told, where that holds once it is tried.

    Args:
        asker: asks for the last page, where pages are numbered.
        reader: reads it.
        paging: how the list goes on, and what a header says.
        counted: how many leads there are, where the list was followed to its end.
    """
    if paging.header is None or paging.undecided:
        return paging
    name, total = paging.header
    if not (_is_near(counted, total) if counted is not None else _ends_there(asker, reader, paging, total)):
        said = f"Pages: the header {name} says {total}, which is not how many leads there are; it is not read."
        return replace(paging, how=(*paging.how, said))
    options = replace(paging.options, total_header=name)
    said = f"Pages: the header {name} tells how many leads there are, as was seen at the list's end."
    return replace(paging, options=options, total=total, how=(*paging.how, said))


def _is_near(counted: int, total: int) -> bool:
    """Leads come while a list is read."""
    return abs(counted - total) <= max(_COME_MEANWHILE, total // 50)


def _ends_there(asker: Asker, reader: ListReader, paging: Paging, total: int) -> bool:
    """Whether the last page, by that number, is there, and holds what is left."""
    if paging.options.style not in {"page", "offset"} or total <= 0:
        return False
    index = (total - 1) // paging.page_size
    try:
        answer = asker.ask(address_of(asker, paging.options, index, paging.page_size))
        marks = () if isinstance(answer, DeclinedQuestion) else reader.listed(answer).marks
    except (QuestionLimitReached, Misconfigured):
        return False
    return _is_near(index * paging.page_size + len(marks), total) if marks else False


def _count(page: Callable[[int], Marks], page_size: int) -> int | None:
    """Doubles the step until the pages stay the same, then halves it down to the first of those."""
    before, ahead = 0, 1
    tail = page(ahead)
    while tail and ahead < _FARTHEST:
        farther = page(2 * ahead)
        if farther == tail:  # the last page, again and again
            break
        before, ahead, tail = ahead, 2 * ahead, farther
    else:
        if tail:
            return None
    while ahead - before > 1:
        middle = (before + ahead) // 2
        before, ahead = (before, middle) if page(middle) == tail else (middle, ahead)
    return ahead * page_size + len(tail) if tail else before * page_size + len(page(before))
