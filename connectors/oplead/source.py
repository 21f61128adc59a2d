"""Leads and their changes, read from Oplead: the port `LeadSource`."""

import random
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import nlargest
from itertools import islice, takewhile
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

import httpx

from connectors.errors import Misconfigured, Transient
from connectors.http import CancelToken
from connectors.oplead.client import TIMEOUT, OpleadAnswer, OpleadClient, OpleadRefused, TooLarge
from connectors.oplead.field_tree import tree_of
from connectors.oplead.fields import find, first, raw, read_moment, shape, start_of, text_of, write_moment
from connectors.oplead.lead_parser import (
    UnreadableLeadError,
    digest_of,
    lacks_click_ids,
    parse_lead,
    read_id,
    with_candidates,
)
from connectors.oplead.options import FieldPaths, OpleadOptions, SinceOptions
from connectors.oplead.pagination import PagePosition, PageWalk, find_items, nameless
from connectors.ports import Clock
from connectors.rate_limit import Pacer
from connectors.records import Found, Lead, LeadId, LeadPage, OtherLead, UnreadableLead


class Latest:
    """Keeps the entries of a list that were created last, a page after the other; its memory does not grow."""

    def __init__(self, count: int, created: Callable[[object], datetime | None]) -> None:
        """Keep `count` entries at most; `created` tells when one was, where its entry says so."""
        self._count = count
        self._created = created
        self._dated: list[tuple[datetime, int, object]] = []
        self._head: list[object] = []
        self._tail: deque[object] = deque(maxlen=count)
        self._last: datetime | None = None
        self._falling = True
        self._seen = 0

    def add(self, entries: Iterable[object]) -> None:
        """Look at the entries of one more page."""
        for entry in entries:
            self._seen += 1
            at = self._created(entry)
            if at is not None:
                self._falling = self._falling and (self._last is None or at <= self._last)
                self._last = at
                # Of two created at once, the one that the list has last wins; entries themselves have no order.
                self._dated.append((at, self._seen, entry))
            if len(self._head) < self._count:
                self._head.append(entry)
            self._tail.append(entry)
        self._dated = nlargest(self._count, self._dated, key=lambda dated: dated[:2])

    @property
    def is_enough(self) -> bool:
        """Whether what follows is older: the list runs from the newest, and all are there."""
        return self._falling and len(self._dated) == self._count

    @property
    def newest(self) -> list[object]:
        """The entries that say when they were created, newest first; none where no entry does."""
        return [entry for _, _, entry in self._dated]

    @property
    def ends(self) -> tuple[list[object], list[object]]:
        """The first and the last entries of the list, in its order."""
        return self._head, list(self._tail)


IsKnown = Callable[[LeadId, str], bool]
_GONE = frozenset({404, 410})
_TOO_MANY_GONE = 5
_TOO_DEEP = UnreadableLeadError("it is nested too deeply")


class _NoLeadError(Misconfigured):
    """A lead's own page holds no lead at all."""


@dataclass(frozen=True, slots=True)
class _ListEntry:
    """A list's entry of a lead that is to be read."""

    item: Mapping[str, object]
    id: LeadId
    digest: str


_OwnPage = Mapping[str, object] | OtherLead | UnreadableLeadError | None


class OpleadSource:
    """Reads leads from one Oplead platform, for one night; only GETs ever go out."""

    def __init__(
        self,
        options: OpleadOptions,
        *,
        wanted_fields: frozenset[str],
        clock: Clock,
        pacer: Pacer,
        timeout: httpx.Timeout = TIMEOUT,
        jitter: Callable[[], float] = random.random,
        cancel_token: CancelToken | None = None,
        clocks_within: timedelta | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            options: the platform.
            wanted_fields: the dotted paths whose values go into `Lead.fields`.
            clock: the only way to wait.
            pacer: shared by everything that asks this platform.
            timeout: in real seconds.
            jitter: numbers from 0 to 1 that spread the retries.
            cancel_token: asked while an answer is waited for; it may raise, to end the wait.
            clocks_within: how far Oplead's clock may be from ours; beyond it every method raises WrongClock.

        Raises:
            Misconfigured: the token cannot be sent the way the options say.
        """
        self._options = options
        self._paths = with_candidates(options.fields)
        self._wanted = wanted_fields
        self._client = OpleadClient(
            options,
            clock=clock,
            pacer=pacer,
            timeout=timeout,
            jitter=jitter,
            cancel_token=cancel_token,
            clocks_within=clocks_within,
        )
        self._clock = clock
        self._shown: list[Mapping[str, object]] | None = None
        self._failed_before: type[Exception] | None = None
        self._gone_in_a_row = 0

    def __enter__(self) -> Self:
        """Use it in a `with`, so that its connections end with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch_changes(self, since: datetime | None, *, resume: str | None, is_known: IsKnown) -> Iterator[LeadPage]:
        """Yield the leads changed since `since`, a page at a time; all of them where the options have no filter.

        `Lead.digest` is that of a lead's entry in the list, also where its own page is read too: `is_known`
        must be able to tell before that page is read. A resume token from other settings, or one that Oplead
        no longer takes, starts the list over, so that nothing is missed. Once as many requests were made as the
        options allow, no page follows one that names a place to resume.

        Raises:
            Misconfigured: Oplead refuses us, or answers in a shape the options do not describe; also when every
                page was given, where Oplead says that there are clearly more leads than these.
            Transient: it kept failing after bounded retries.
        """
        walk = self._walk(since)
        for served_at, items, following in self._answers(walk, walk.start() if resume is None else walk.resume(resume)):
            page = replace(self._page(items, is_known), served_at=served_at, moved=walk.moved)
            if following is None:
                yield replace(page, missing=walk.missing)
            else:
                yield replace(page, resume=following.token)
                if self.is_spent:
                    return
        walk.refuse_if_cut()

    def fetch_latest(self, count: int) -> Sequence[Lead | UnreadableLead]:
        """The leads that were created last, `count` of them at most, newest first.

        The whole list is looked through, unless it runs from the newest; own pages are read of these leads alone.

        Raises:
            Misconfigured: Oplead refuses us, or answers in a shape the options do not describe.
            Transient: it kept failing after bounded retries.
        """
        latest = Latest(count, self._created)
        walk = self._walk(None)
        for _, items, _ in self._answers(walk, walk.start()):
            latest.add(items)
            if latest.is_enough:
                break
        items = latest.newest or self._newer_end(*latest.ends)
        self._shown = []
        page = self._page(items, _nothing_is_known)
        return [*sorted(page.leads, key=lambda lead: lead.created_at, reverse=True), *page.unreadable]

    @property
    def shown(self) -> int:
        """How many leads `fetch_latest` read, those that cannot be read among them."""
        return len(self._shown or ())

    @property
    def shown_paths(self) -> Sequence[str]:
        """Every dotted path that these share."""
        return list(tree_of(self._shown or ()))

    def filled(self, path: str) -> int:
        """On how many of these something stands at a dotted path."""
        return sum(bool(find(lead, path)) for lead in self._shown or ())

    def _created(self, item: object) -> datetime | None:
        """When a list's entry says that it was created."""
        try:
            moment = read_moment(first(item, self._paths.created_at or ()), self._options.zone)
        except ValueError:
            return None
        return None if moment is None else start_of(moment, self._options.zone)

    def _newer_end(self, head: list[object], tail: list[object]) -> list[object]:
        """The end of a list whose entries are not dated at which the newer leads stand, by two own pages."""
        outermost = self._page([*head[:1], *tail[-1:]], _nothing_is_known).leads
        rising = len(outermost) < 2 or outermost[0].created_at <= outermost[-1].created_at  # noqa: PLR2004 - both ends
        return tail if rising else head

    def fetch_each(self, ids: Sequence[LeadId]) -> Iterator[tuple[LeadId, Found]]:
        """Each lead by its id, in the order asked for; None where Oplead says it is gone (404, 410).

        It ends where as many requests were made as the options allow.

        Raises:
            Misconfigured: Oplead refuses us.
            Transient: it kept failing after bounded retries.
        """
        affordable = takewhile(lambda _: not self.is_spent, islice(ids, self._left))
        with closing(self._detail_pages(affordable)) as pages:
            for lead_id, page in pages:
                yield lead_id, self._alone(lead_id, page)

    def _alone(self, lead_id: LeadId, page: _OwnPage) -> Found:
        if page is None or isinstance(page, OtherLead):
            return page
        if isinstance(page, UnreadableLeadError):
            return _told(lead_id, page)
        try:
            return self._parse(page, lead_id, digest_of(page))
        except UnreadableLeadError as error:
            return _told(lead_id, error)
        except RecursionError:
            return _told(lead_id, _TOO_DEEP)

    @property
    def _left(self) -> int | None:
        """How many requests may still be made; None where they are not limited."""
        allowed = self._options.max_requests
        return None if allowed is None else max(0, allowed - self._client.requests)

    @property
    def is_spent(self) -> bool:
        """Whether as many requests were made as the options allow."""
        return self._left == 0

    def _walk(self, since: datetime | None) -> PageWalk:
        options, auth = self._options, self._options.auth
        query = _since_query(options.since_filter, since, self._clock.now, options.zone)
        return PageWalk(
            options.pagination,
            origin=self._client.origin,
            path=self._client.list_path,
            query=query,
            whole=not query,
            secret=auth.name if auth.style == "query" else None,
        )

    def _marks(self, items: Sequence[object]) -> list[str]:
        """What tells a page's entries apart: their ids."""
        return [_mark(item, self._paths) for item in items]

    def _answers(
        self, walk: PageWalk, place: PagePosition | None
    ) -> Iterator[tuple[datetime | None, Sequence[object], PagePosition | None]]:
        """The entries of each page from a place on, when they were served, and the place that follows."""
        while place is not None:
            try:
                answer = self._client.get(walk.address(place))
            except OpleadRefused as refusal:
                place = walk.after_refusal(place, refusal)
                if place is None:
                    yield None, (), None
                continue
            items = find_items(answer.body, self._options.pagination.items)
            place = walk.after(place, answer, self._marks(items))
            yield answer.served_at, items, place

    def _page(self, items: Sequence[object], is_known: IsKnown) -> LeadPage:
        no_leads = not any(isinstance(item, Mapping) for item in items)
        entries = [self._entry(item, is_known, no_leads=no_leads) for item in items]
        bare = [entry.id for entry in entries if isinstance(entry, _ListEntry) and self._leaves_details_out(entry)]
        with closing(self._detail_pages(bare)) as pages:
            read = [self._whole(entry, pages) if isinstance(entry, _ListEntry) else entry for entry in entries]
        return LeadPage(
            leads=tuple(one for one in read if isinstance(one, Lead)),
            unchanged=tuple(LeadId(one) for one in read if isinstance(one, str)),
            unreadable=tuple(one for one in read if isinstance(one, UnreadableLead)),
            served_at=None,
            resume=None,
        )

    def _entry(self, item: object, is_known: IsKnown, *, no_leads: bool) -> _ListEntry | LeadId | UnreadableLead:
        """A list's entry to be read, its id where it is known already, or why it cannot be read."""
        own_id = None
        try:
            entry = _object(item, no_leads=no_leads)
            own_id = read_id(entry, self._paths)
            digest = digest_of(entry)
            return own_id if is_known(own_id, digest) else _ListEntry(entry, own_id, digest)
        except UnreadableLeadError as error:
            return _told(own_id, error)
        except RecursionError:
            return _told(own_id, _TOO_DEEP)

    def _leaves_details_out(self, entry: _ListEntry) -> bool:
        detail = self._options.detail
        return detail == "always" or (detail == "auto" and lacks_click_ids(entry.item, self._paths))

    def _whole(self, entry: _ListEntry, pages: Iterator[tuple[LeadId, _OwnPage]]) -> Lead | UnreadableLead:
        """The lead of an entry, with its own page where the entry leaves details out: the next of `pages`."""
        item = entry.item
        try:
            if self._leaves_details_out(entry):
                item = {**item, **self._listed(next(pages))}
            return self._parse(item, entry.id, entry.digest)
        except UnreadableLeadError as error:
            return _told(entry.id, error)
        except RecursionError:
            return _told(entry.id, _TOO_DEEP)

    def _listed(self, read: tuple[LeadId, _OwnPage]) -> Mapping[str, object]:
        """The own page of a lead that stands in the list."""
        own_id, page = read
        self._gone_in_a_row = self._gone_in_a_row + 1 if page is None else 0
        if self._gone_in_a_row >= _TOO_MANY_GONE:
            path = self._client.lead_path(own_id)
            raise Misconfigured(f"leads are listed whose own pages are none, {path} among them: see oplead.lead_path")
        if page is None:
            raise UnreadableLeadError("it is listed, but its own page is gone")
        if isinstance(page, OtherLead):
            raise UnreadableLeadError("its own page is another lead's, see oplead.fields.id")
        if isinstance(page, UnreadableLeadError):
            raise page
        return page

    def _detail_pages(self, ids: Iterable[LeadId]) -> Generator[tuple[LeadId, _OwnPage], None, None]:
        """Each lead's own page in order, None where it is gone, or why it cannot be read.

        One lead whose page always fails must not stop every night; two in a row are the platform's.
        """
        with closing(self._client.get_leads(ids)) as answers:
            for own_id, answer in answers:
                failed_before, self._failed_before = self._failed_before, None
                try:
                    page = self._own_page(own_id, answer)
                except (Transient, OpleadRefused, TooLarge, _NoLeadError) as error:
                    if failed_before is type(error) or (isinstance(error, Transient) and error.retry_after):
                        raise
                    self._failed_before = type(error)
                    page = UnreadableLeadError(f"its own page fails ({error})")
                yield own_id, page

    def _own_page(self, own_id: LeadId, answer: Callable[[], OpleadAnswer]) -> _OwnPage:
        try:
            return self._unwrapped(answer().body, own_id)
        except UnreadableLeadError as error:
            return error
        except OpleadRefused as refusal:
            if refusal.status in _GONE:
                return None
            raise

    def _unwrapped(self, body: object, own_id: LeadId) -> Mapping[str, object] | OtherLead:
        """The lead in an answer about one lead: the answer, or what it wraps, whichever has the lead's id.

        Whatever has an id there may have another one.

        Raises:
            Unreadable: what stands there for an id is none.
            _NoLeadError: nothing there has any.
        """
        inside = [body, *(one for name in ("data", "lead") for one in raw(body, name))]
        named = [one for one in inside if isinstance(one, Mapping) and first(one, self._paths.id or ()) is not None]
        if not named:
            raise _NoLeadError(f"lead {own_id}: no lead is found on its own page ({shape(body)}): see oplead.fields.id")
        own = (one for one in named if text_of(first(one, self._paths.id or ())) == own_id)
        return next(own, None) or OtherLead(read_id(named[0], self._paths))

    def _parse(self, item: Mapping[str, object], own_id: LeadId, digest: str) -> Lead:
        if self._shown is not None:
            self._shown.append(item)
        return parse_lead(
            item,
            id=own_id,
            digest=digest,
            paths=self._paths,
            click_ids=self._options.click_ids,
            zone=self._options.zone,
            wanted=self._wanted,
        )


def _told(own_id: LeadId | None, why: UnreadableLeadError) -> UnreadableLead:
    return UnreadableLead(own_id, str(why))


def _mark(item: object, paths: FieldPaths) -> str:
    try:
        return read_id(_object(item, no_leads=False), paths)
    except UnreadableLeadError:
        return nameless(item)


def _nothing_is_known(_lead: LeadId, _digest: str) -> bool:
    return False


def _object(item: object, *, no_leads: bool) -> Mapping[str, object]:
    """An entry of the list; where all its page has is something else, it is likely to be another list."""
    if not isinstance(item, Mapping):
        hint = ": see oplead.pagination.items" if no_leads else ""
        raise UnreadableLeadError(f"an entry of the list is no object ({shape(item)}){hint}")
    return item


def _since_query(
    since_filter: SinceOptions | None, since: datetime | None, now: Callable[[], datetime], zone: ZoneInfo
) -> dict[str, str]:
    """The filter's parameters: from `since`, and until now where the platform wants both ends."""
    if since_filter is None or since is None:
        return {}
    query = {since_filter.param: write_moment(since, since_filter.format, zone)}
    if since_filter.until_param is not None:
        query[since_filter.until_param] = write_moment(now(), since_filter.format, zone)
    return query
