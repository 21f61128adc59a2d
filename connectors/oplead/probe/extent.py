"""Counts the leads of a list whose pages are numbered: pages far ahead tell where it ends."""

from collections.abc import Callable

from connectors.errors import Misconfigured
from connectors.oplead.options import PaginationOptions
from connectors.oplead.probe.asking import Asker, Declined, NoMoreQuestions, Reader
from connectors.oplead.probe.walking import address_of

_FARTHEST = 1 << 16

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
