"""Ask a platform within a request limit, and read its list page by page."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlencode

from connectors.errors import Transient, UnknownHost
from connectors.http import ATTEMPTS
from connectors.language import _
from connectors.oplead.answers import OpleadAnswer, OpleadRefused
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import PaginationOptions
from connectors.oplead.pagination import ListedPage, PagePosition, PageWalk, hash_entry_without_id, lazy_page_reader
from connectors.oplead.parsing.fields import first_value_at_paths, text_of
from connectors.oplead.parsing.items import find_lead_array

_FAILURES_IN_A_ROW = 2
_NOT_FOUND = 404


class RequestLimitReached(Exception):
    """The request limit is reached; whatever is unknown stays undecided."""


@dataclass(slots=True)
class ProbeRequestSender:
    """Sends a limited number of requests to a platform."""

    client: OpleadClient
    left: int
    """The number of requests left."""
    _failures: int = 0
    """Consecutive failures; a refused request is not one."""

    def request_lead_list(self, query: Mapping[str, str]) -> OpleadAnswer:
        """Request the list with `query`; raises what `send_request` does."""
        return self.send_request(self.client.list_path + (f"?{urlencode(query)}" if query else ""))

    def send_request(self, target: str) -> OpleadAnswer:
        """Request a path and query on this platform.

        Raises:
            RequestLimitReached: the limit is used up; nothing was sent.
            OpleadRefused: the platform declined the request, or every attempt failed (5xx, not JSON).
            Misconfigured: the token is refused.
            Transient: the platform is down: two requests in a row failed, and so did the bare list.
        """
        if self.left <= 0:
            raise RequestLimitReached
        self.left -= 1
        failures, self._failures = self._failures, 0
        try:
            return self.client.get(target)
        except UnknownHost:
            raise
        except Transient as failure:
            self.left -= ATTEMPTS - 1
            self._failures = failures + 1
            if self._failures % _FAILURES_IN_A_ROW == 0:
                # Some platforms return 500 for unknown parameters: only a failing bare list means an outage.
                with suppress(OpleadRefused):
                    self.client.get(self.client.list_path)
            raise OpleadRefused(str(failure), None) from None


@dataclass(frozen=True, slots=True)
class ProbedLeadList:
    """The platform's list, read page by page; a response without a list, or an unusable one, raises Misconfigured."""

    asker: ProbeRequestSender
    items: str | None
    """`oplead.pagination.items`."""
    ids: tuple[str, ...]
    """The candidate paths of an entry's id."""

    def read(self, answer: OpleadAnswer) -> ListedPage:
        """Parse a response as a page of the list."""
        items = tuple(find_lead_array(answer.body, self.items))
        return ListedPage(
            answer,
            items,
            tuple(text_of(first_value_at_paths(item, self.ids)) or hash_entry_without_id(item) for item in items),
        )

    def pages(self, options: PaginationOptions, known: ListedPage) -> Iterator[ListedPage]:
        """Yield every page; `known` is the bare list, which is not requested again."""

        def read(target: str) -> ListedPage:
            try:
                return known if target == self.asker.client.list_path else self.read(self.asker.send_request(target))
            except OpleadRefused:
                raise OpleadRefused(_("a page is refused: see oplead.pagination"), _NOT_FOUND) from None

        walk = PageWalk(options, self.asker.client)
        return (page for page, _ in walk.pages(walk.first_page_position(), lazy_page_reader(read)) if page is not None)

    def second_page_position(self, options: PaginationOptions, first: ListedPage) -> PagePosition | None:
        """Return the position after the first page, or None."""
        walk = PageWalk(options, self.asker.client)
        return walk.position_after(walk.first_page_position(), first.answer, first.marks)

    def page(self, options: PaginationOptions, position: PagePosition) -> ListedPage:
        """Request the page at a position."""
        return self.read(self.asker.send_request(PageWalk(options, self.asker.client).request_target(position)))

    def lead_marks_on_page(self, options: PaginationOptions, index: int, page_size: int) -> tuple[str, ...]:
        """Return the marks of a numbered page by its zero-based index; empty past the end."""
        if options.style == "offset":
            position = PagePosition("offset", str(index * page_size))
        else:
            position = PagePosition("page", str(index + options.first_page))
        try:
            return self.page(options, position).marks
        except OpleadRefused:
            return ()
