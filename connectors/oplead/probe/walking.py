"""Reads a list's pages one after the other, the way the settings say."""

from collections.abc import Iterator

from connectors.errors import Misconfigured
from connectors.oplead.client import Refused
from connectors.oplead.options import PaginationOptions
from connectors.oplead.pages import Place, Walk
from connectors.oplead.probe.asking import Asker, Declined, Listed, Reader


def pages(asker: Asker, reader: Reader, options: PaginationOptions, *, known: Listed | None = None) -> Iterator[Listed]:
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
    place: Place | None = walk.start()
    while place is not None:
        target = walk.address(place)
        page = known if known is not None and target == asker.list_path else _page(asker, reader, target)
        if page is None:
            try:
                place = walk.after_refusal(place, Refused("a page is refused: see oplead.pagination", 404))
            except Refused as refusal:
                raise Misconfigured(str(refusal)) from None
            continue
        place = walk.after(place, page.answer, page.marks)
        yield page


def follows(options: PaginationOptions, asker: Asker, first: Listed) -> Place | None:
    """The place after the first page; None where there is none.

    Raises:
        Misconfigured: the options do not fit the answer.
    """
    walk = _walk(asker, options)
    return walk.after(walk.start(), first.answer, first.marks)


def second(options: PaginationOptions, asker: Asker, reader: Reader, first: Listed) -> Listed | Declined | None:
    """The page after the first one, refused or not; None where there is none.

    Raises:
        Misconfigured: the options do not fit the answer.
    """
    place = follows(options, asker, first)
    if place is None:
        return None
    answer = asker.ask(_walk(asker, options).address(place))
    return answer if isinstance(answer, Declined) else reader.listed(answer)


def address_of(asker: Asker, options: PaginationOptions, index: int, page_size: int) -> str:
    """The path and query of a numbered page, by its place from 0."""
    number = index * page_size if options.style == "offset" else index + options.first_page
    return _walk(asker, options).address(Place("offset" if options.style == "offset" else "page", str(number)))


def _page(asker: Asker, reader: Reader, target: str) -> Listed | None:
    answer = asker.ask(target)
    return None if isinstance(answer, Declined) else reader.listed(answer)


def _walk(asker: Asker, options: PaginationOptions) -> Walk:
    auth = asker.options.auth
    return Walk(
        options,
        origin=asker.origin,
        path=asker.list_path,
        query={},
        secret=auth.name if auth.style == "query" else None,
    )
