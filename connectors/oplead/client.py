"""Asks Oplead over HTTP: authentication, rate limit, retries, and several requests at a time."""

import logging
import random
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Self
from urllib.parse import quote, unquote_plus

import httpx

from connectors.errors import KeyRefused, Misconfigured, Transient, UnknownHost, Unreachable, WrongClock
from connectors.http import (
    LONGEST_ASKED_FOR,
    PACKINGS,
    WAITS,
    CancelToken,
    TooLargeError,
    authorities,
    bounded,
    is_loopback,
    is_unknown_host,
    retry_read,
    shut_down_socket,
    unpacked,
)
from connectors.oplead.fields import read_json
from connectors.oplead.options import PUT_THE_KEY, OpleadOptions
from connectors.ports import Clock
from connectors.rate_limit import Pacer
from connectors.records import LeadId

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
"""Real seconds: to connect, and for each part of an answer."""
_MB = 1024 * 1024
_LARGEST_REFUSAL = 65_536  # bytes of an error's body that are worth reading
_READ_AHEAD = 4  # times as many detail pages as are in flight may wait for one before them
_WAITING_PAGES = 16  # so many detail pages may be in memory at once
_LONG_WAIT = timedelta(seconds=5)
_BAD_QUESTION = frozenset({400, 422})
"""What a platform answers to a parameter that it does not take."""
_TRANSIENT_STATUSES = frozenset({408, 425, 429})
_TOTAL_HEADERS = ("X-Total-Count", "X-Total", "X-Total-Results", "X-Pagination-Total-Count", "Total-Count")
_WHOLE_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_CONNECTED = ("connect_tcp.complete", "start_tls.complete")


class OpleadRefused(Misconfigured):
    """Oplead answered with a status that asking again will not change."""

    def __init__(self, message: str, status: int, body: bytes = b"") -> None:
        """Keep the HTTP status, and the body to compare it with others: it may repeat what was asked."""
        super().__init__(message)
        self.status = status
        self.body = body


class TokenRefused(KeyRefused):
    """Oplead refuses the token, or the way it is sent."""

    def __init__(self, message: str, status: int) -> None:
        """Keep the HTTP status: 401 does not know the token, 403 knows it and says no."""
        super().__init__(message)
        self.status = status


class TooLarge(Misconfigured):
    """An answer is larger than the settings allow."""


@dataclass(frozen=True, slots=True)
class OpleadAnswer:
    """What Oplead answered, at which address (without the token), and when, by its own clock."""

    body: object
    url: str
    next_link: str | None
    """The `Link: <…>; rel="next"` header's address."""
    served_at: datetime | None
    totals: Mapping[str, int] = field(default_factory=dict)
    """The number of all leads, by each header that states one."""


@dataclass(eq=False, repr=False, kw_only=True)
class OpleadClient:
    """GETs from one Oplead platform, at its pace, asking again where that may help."""

    options: OpleadOptions = field(kw_only=False)
    clock: Clock
    """Ours, and the only way to wait."""
    pacer: Pacer
    """Shared by everything that asks this platform."""
    timeout: httpx.Timeout = field(default_factory=lambda: TIMEOUT)
    jitter: Callable[[], float] = random.random
    """Numbers from 0 to 1 that spread the retries."""
    cancel_token: CancelToken | None = None
    """Asked while waiting for an answer; what it raises ends the wait."""
    clocks_within: timedelta | None = None
    """How far Oplead's clock may be from ours; None where it may be anything."""
    requests: int = field(default=0, init=False)
    """How many were made, retries included."""

    def __post_init__(self) -> None:
        """Open nothing yet.

        Raises:
            Misconfigured: the token cannot be sent the way the settings say.
        """
        _check(self.options)
        options, auth, base = self.options, self.options.auth, httpx.URL(self.options.base_url)
        # httpx logs whole addresses at INFO, and some platforms want the token in them.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.host = base.host
        self.origin = str(base.copy_with(raw_path=b"/")).rstrip("/")
        self._server = f"{base.scheme}://{base.netloc.decode()}"
        """The same without a user or password."""
        self.root = base.path.rstrip("/") + options.path_prefix
        self.list_path = self.root + options.leads_path
        self.secret = auth.name if auth.style == "query" else None
        """The query parameter that carries the token."""
        self._query = [*options.extra_query.items(), *([(self.secret, options.token)] if self.secret else [])]
        self._connections = Connections(base, _headers(options), self.timeout, self.cancel_token)
        self._largest_page = options.largest_page_mb * _MB
        self._largest_detail_page = self._largest_page // _WAITING_PAGES

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def lead_path(self, lead_id: str, pattern: str = "") -> str:
        """The path of one lead, its id percent-encoded; `pattern` instead of `oplead.lead_path`."""
        return self.root + (pattern or self.options.lead_path).replace("{id}", _quoted(lead_id))

    def get(self, target: str) -> OpleadAnswer:
        """The answer at `target`, a path and query of this platform (`/v1/leads?page=2`).

        What the settings send with every request is added, except where `target` has it already.

        Raises:
            OpleadRefused: a 4xx that is an answer about what was asked (404), or a redirect.
            Misconfigured: the token is refused (401, 403), or the address is none.
            Transient: it kept failing after bounded retries.
        """
        return self._with_retries(target, self._largest_page)

    def get_leads(self, ids: Iterable[LeadId]) -> Generator[tuple[LeadId, Callable[[], OpleadAnswer]], None, None]:
        """Each lead's detail page in order, several in flight: a call that gives the answer, or raises as `get` does.

        A page that failed is asked for again when its turn has come, and no new one until then. A failure that
        concerns every page (the token is refused, the platform wants to be left alone for long) is raised at once.
        Only the calling thread waits for slots and takes ids. Close the generator, or run it to its end: it then
        returns when every answer has come.
        """
        at_once, largest = self.options.in_flight, self._largest_detail_page
        queue: deque[tuple[LeadId, Future[OpleadAnswer]]] = deque()
        with ThreadPoolExecutor(at_once, thread_name_prefix="oplead") as pool:
            for lead_id in ids:
                while True:
                    yield from self._finished(queue)
                    running = [future for _, future in queue if not future.done()]
                    has_room = len(running) < at_once and len(queue) < _READ_AHEAD * at_once
                    is_paused = any(isinstance(failure, Transient) for failure in _failures(queue))
                    if has_room and not is_paused and self._take_slot(len(running)):
                        break
                    wait(running, return_when=FIRST_COMPLETED)
                queue.append((lead_id, pool.submit(self._request, self.lead_path(lead_id), largest)))
            while queue:
                wait([queue[0][1]])
                yield from self._finished(queue)

    def _finished(
        self, queue: deque[tuple[LeadId, Future[OpleadAnswer]]]
    ) -> Iterator[tuple[LeadId, Callable[[], OpleadAnswer]]]:
        """What has come at the head of the queue, unless anything in it failed for every page."""
        for failure in _failures(queue):
            if _concerns_every_page(failure):
                raise failure
        while queue and queue[0][1].done():
            lead_id, future = queue.popleft()
            yield lead_id, partial(self._with_retries, self.lead_path(lead_id), self._largest_detail_page, future)

    def _with_retries(self, target: str, most: int, first: Future[OpleadAnswer] | None = None) -> OpleadAnswer:
        """The answer, asked for again where that may help; the first attempt may have been made already."""
        made = [first] if first else []

        def attempt() -> OpleadAnswer:
            if made:
                return made.pop().result()
            self._take_slot(0)
            return self._request(target, most)

        return retry_read(attempt, clock=self.clock, jitter=self.jitter)

    def _take_slot(self, in_flight: int) -> bool:
        """Take a slot for one request, waiting for it; a long wait only with nothing in flight."""
        while (free_at := self.pacer.take()) is not None:
            # A sandbox's time stands still until we sleep: what is in flight is to be counted before that.
            if in_flight and free_at - self.clock.now() > _LONG_WAIT:
                return False
            self.clock.sleep_until(free_at)
        self.requests += 1
        return True

    def _request(self, target: str, most: int) -> OpleadAnswer:
        """One request, its slot taken before; its answer has `most` bytes at most."""
        path = target.partition("?")[0]
        try:
            response, content = self._exchange(target, path, most)
        finally:
            self.pacer.give_back()
        self._check_clock(response)
        if not response.is_success:
            raise self._failure(response, path, content)
        try:
            body = read_json(content)
        except ValueError:
            raise Transient(f"Oplead's answer on {path} is no JSON, or cut short") from None
        return OpleadAnswer(
            body=body,
            url=self.origin + target,
            next_link=response.links.get("next", {}).get("url"),
            served_at=_date(response),
            totals=_totals(response, self.options.pagination.total_header),
        )

    def _exchange(self, target: str, path: str, most: int) -> tuple[httpx.Response, bytes]:
        try:
            return self._connections.get(self._address(target), most=most)
        # httpx's errors carry the request, with the address and the token: only their kind goes on.
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Misconfigured(f"oplead.base_url and {path} make no address ({type(error).__name__})") from None
        except httpx.ConnectError as error:
            if is_unknown_host(error):
                raise UnknownHost(f"the host name in {self._server} does not exist: see oplead.base_url") from None
            raise Unreachable(
                f"nobody answers at {self._server} ({type(error).__name__}): see oplead.base_url"
            ) from None
        except httpx.HTTPError as error:
            raise Transient(f"Oplead did not answer {path} ({type(error).__name__})") from None
        except TimeoutError:
            if self.cancel_token is not None:
                self.cancel_token()
            raise Transient(f"Oplead gave no whole answer on {path} in {self._connections.seconds:g} s") from None
        except TooLargeError:
            raise TooLarge(
                f"Oplead's answer on {path} has more than {most / _MB:g} MB: ask for fewer leads at once "
                "(oplead.pagination.size), or raise oplead.largest_page_mb"
            ) from None
        except ValueError as error:
            raise Transient(f"Oplead's answer on {path} cannot be unpacked ({error})") from None

    def _check_clock(self, response: httpx.Response) -> None:
        """Any answer is dated, a refusal too (RFC 9110, 6.6.1); one out of a cache has an age (RFC 9111, 5.1).

        Raises:
            WrongClock: its time is not ours.
        """
        dated = _date(response)
        if dated is None or self.clocks_within is None:
            return
        age = _count_in(response, "Age") or 0
        if abs(self.clock.now() - dated - timedelta(seconds=age)) > self.clocks_within:
            raise WrongClock(
                f"this machine's clock says {self.clock.now():%Y-%m-%d %H:%M} UTC, and Oplead's "
                f"{dated:%Y-%m-%d %H:%M} UTC: set the one that is wrong. Until they agree nothing is read or sent, and "
                "nothing expires"
            )

    def _address(self, target: str) -> str:
        _, _, query = target.partition("?")
        present = {unquote_plus(pair.partition("=")[0]) for pair in query.split("&")}
        added = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in self._query if name not in present)
        return self.origin + target + (("&" if "?" in target else "?") + added if added else "")

    def _failure(self, response: httpx.Response, path: str, content: bytes) -> Exception:
        status = response.status_code
        if status in {401, 403}:
            return TokenRefused(
                f"Oplead refuses the token ({status} on {path}): {PUT_THE_KEY} (other keys see only some leads), "
                "and see oplead.auth for how it is sent",
                status,
            )
        if status in _TRANSIENT_STATUSES or response.is_server_error:
            if status == httpx.codes.TOO_MANY_REQUESTS:
                self.pacer.throttled()
            delay = _retry_after(response, self.clock.now())
            return Transient(f"Oplead answered {status} on {path}", retry_after=delay)
        see = "oplead.base_url, oplead.path_prefix and the paths after it"
        if status in _BAD_QUESTION and path == self.list_path:
            see = (
                "oplead.pagination, oplead.since_filter and oplead.extra_query, for it may not take a parameter of the "
                f"list; then {see}"
            )
        return OpleadRefused(f"Oplead answered {status} on {path}: see {see}", status, content)


def _failures(queue: Iterable[tuple[LeadId, Future[OpleadAnswer]]]) -> Iterator[BaseException]:
    for _, future in queue:
        if future.done() and (failure := future.exception()) is not None:
            yield failure


def _concerns_every_page(failure: BaseException) -> bool:
    """Whether every other page would fail alike."""
    if isinstance(failure, UnknownHost):
        return True
    if isinstance(failure, Transient):
        return failure.retry_after is not None and failure.retry_after > LONGEST_ASKED_FOR
    return not isinstance(failure, OpleadRefused | TooLarge)


_quoted = partial(quote, safe="")


def _check(options: OpleadOptions) -> None:
    auth = options.auth
    if options.lead_path.count("{id}") != 1:
        raise Misconfigured("oplead.lead_path has no place for the lead's id: write {id} once, as /leads/{id}")
    ours = {"authorization", (auth.name or "").casefold()}
    if any(name.casefold() in ours for name in options.extra_headers):
        raise Misconfigured("oplead.extra_headers must not show a key: see oplead.auth")
    if auth.style in {"header", "query"} and not auth.name:
        raise Misconfigured(f"oplead.auth.name is missing: the name of the {auth.style} that carries the token")
    if auth.style != "none" and not re.fullmatch(r"[!-~]+", options.token):
        raise Misconfigured("oplead.token is empty or holds spaces or letters that no token has")


def _headers(options: OpleadOptions) -> httpx.Headers:
    headers = httpx.Headers({"Accept": "application/json", "Accept-Encoding": PACKINGS, "User-Agent": "oplead-sync"})
    headers.update(options.extra_headers)
    if options.auth.style == "bearer":
        headers["Authorization"] = f"Bearer {options.token}"
    elif options.auth.style == "header" and options.auth.name:
        headers[options.auth.name] = options.auth.prefix + options.token
    return headers


def _totals(response: httpx.Response, configured: str | None) -> dict[str, int]:
    """The number of all leads, by the header that the settings name and by the usual ones."""
    names = (*([configured] if configured else []), *_TOTAL_HEADERS)
    return {name: total for name in names if (total := _count_in(response, name)) is not None}


def _count_in(response: httpx.Response, header: str) -> int | None:
    text = response.headers.get(header, "").strip()
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


def _date(response: httpx.Response, header: str = "Date") -> datetime | None:
    try:
        moment = parsedate_to_datetime(response.headers.get(header, ""))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _retry_after(response: httpx.Response, now: datetime) -> timedelta | None:
    """The delay asked for, in seconds or as a date by the platform's own clock."""
    if (seconds := _count_in(response, "Retry-After")) is not None:
        return timedelta(seconds=seconds)
    until = _date(response, "Retry-After")
    return max(until - (_date(response) or now), timedelta()) if until else None


class Connections:
    """As many connections as are used at once, each kept for the next request."""

    def __init__(
        self, base: httpx.URL, headers: httpx.Headers, timeout: httpx.Timeout, cancel_token: CancelToken | None
    ) -> None:
        """Open nothing yet; `cancel_token` is asked while waiting for an answer."""
        self.seconds = (timeout.read or 30.0) * WAITS
        """How long one exchange may take, from connecting to the last byte of the answer."""
        self._cancel_token = cancel_token
        # Redirects are refused: the token would follow them.
        self._new_client = partial(
            httpx.Client,
            headers=headers,
            timeout=timeout,
            follow_redirects=False,
            trust_env=not is_loopback(base.host),
            verify=authorities(str(base)),
        )
        self._idle: deque[_Connection] = deque()

    def close(self) -> None:
        """Close the connections that nothing uses."""
        while self._idle:
            self._idle.pop().client.close()

    def get(self, address: str, *, most: int) -> tuple[httpx.Response, bytes]:
        """The answer at an address, and its body unpacked; of an error's body only what is short.

        Raises:
            TimeoutError: no whole answer came in time, or before a stop.
            TooLargeError: its body has more than `most` bytes.
            ValueError: its body cannot be unpacked.
            httpx.HTTPError: the connection failed.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _Connection(self._new_client())
        request = partial(connection.get, address, most)
        try:
            return bounded(request, self.seconds, cancel_token=self._cancel_token, abort=connection.abort)
        finally:
            if not connection.is_aborted:  # else its request may still be ending in the other thread
                self._idle.append(connection)


@dataclass(slots=True)
class _Connection:
    """One connection at most."""

    client: httpx.Client
    is_aborted: bool = field(default=False, init=False)
    _stream: Any = field(default=None, init=False)
    """httpcore's, of the connection made last."""

    def get(self, address: str, most: int) -> tuple[httpx.Response, bytes]:
        with self.client.stream("GET", address, extensions={"trace": self._trace}) as response:
            if response.is_success:
                return response, _body(response, most)
            try:
                return response, _body(response, _LARGEST_REFUSAL)
            except (TooLargeError, ValueError):
                return response, b""

    def abort(self) -> None:
        """End the request that runs in another thread."""
        self.is_aborted = True
        if self._stream is not None:
            shut_down_socket(self._stream.get_extra_info("socket"))

    def _trace(self, event: str, info: Mapping[str, object]) -> None:
        """https://www.python-httpx.org/advanced/extensions/#trace."""
        if event.endswith(_CONNECTED):
            self._stream = info["return_value"]
            if self.is_aborted:
                self.abort()


def _body(response: httpx.Response, most: int) -> bytes:
    return unpacked(response.iter_raw(), response.headers.get("Content-Encoding", ""), most=most)
