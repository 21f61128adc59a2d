"""Counts the leads of a list whose pages are numbered: pages far ahead tell where it ends."""

from collections.abc import Callable
from dataclasses import replace

from connectors.errors import Misconfigured
from connectors.oplead.options import PaginationOptions
from connectors.oplead.probe.asking import Asker, Declined, NoMoreQuestions, Reader
from connectors.oplead.probe.pagination import Paging
from connectors.oplead.probe.walking import address_of

_FARTHEST = 1 << 16
_COME_MEANWHILE = 2

Marks = tuple[str, ...]


def count_leads(asker: Asker, reader: Reader, options: PaginationOptions, page_size: int) -> int | None:
    """How many leads there are; None where the pages are not numbered, or it would take too many questions."""
    if options.style not in {"page", "offset"}:
        return None

    def page(index: int) -> Marks:
        """The marks of a page by its place from 0; none past the end."""
        answer = asker.ask(address_of(asker, options, index, page_size))
        return () if isinstance(answer, Declined) else reader.listed(answer).marks

    try:
        return _count(page, page_size)
    except (NoMoreQuestions, Misconfigured):
        return None


def with_header(asker: Asker, reader: Reader, paging: Paging, counted: int | None) -> Paging:
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


def _ends_there(asker: Asker, reader: Reader, paging: Paging, total: int) -> bool:
    """Whether the last page, by that number, is there, and holds what is left."""
    if paging.options.style not in {"page", "offset"} or total <= 0:
        return False
    index = (total - 1) // paging.page_size
    try:
        answer = asker.ask(address_of(asker, paging.options, index, paging.page_size))
        marks = () if isinstance(answer, Declined) else reader.listed(answer).marks
    except (NoMoreQuestions, Misconfigured):
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
