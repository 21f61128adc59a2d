"""HTTP client for Oplead: authentication, rate limiting, retries and concurrent requests."""

import logging
import random
import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from threading import BoundedSemaphore
from urllib.parse import quote, unquote_plus

import httpx

from connectors.errors import Misconfigured, OutOfTime, Transient, UnknownHost, Unreachable, WrongClock
from connectors.http import (
    PACKINGS,
    WAITS,
    CancelToken,
    TooLargeError,
    certificate_authorities,
    is_loopback,
    is_unknown_host,
    retry_read,
    run_with_timeout,
)
from connectors.language import _
from connectors.oplead.answers import (
    HeardExchange,
    OpleadAnswer,
    RawOpleadResponse,
    RawWriteResponse,
    TooLarge,
    count_in_header,
    error_of_response,
    lead_totals_in_headers,
    retry_after,
    time_in_header,
)
from connectors.oplead.connection import AbortableClient, FilePart
from connectors.oplead.options import OpleadOptions
from connectors.oplead.parsing.fields import read_json
from connectors.oplead.read_ahead import Page, ReadAhead
from connectors.ports import Clock
from connectors.rate_limit import Pacer
from connectors.records import AnswerLost, LeadId, RequestNotSent

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
"""Real seconds, whatever the sandbox clock: to connect, and per read or write."""
_MB = 1024 * 1024
_WAITING_PAGES = 16  # detail pages assumed in memory at once; divides the page size limit
_DETAILS_QUEUED = 4  # detail pages read and not yet handed on, as a multiple of the requests in flight
_LONG_WAIT = timedelta(seconds=5)
_WRITE_GRACE = 5.0
"""Seconds that a write's answer may still take after a cancellation; without it nobody knows what became of it."""
_SLOWEST_UPLOAD = 16_384
"""Bytes a second; a document gets as much time as it takes at this speed."""


@dataclass(eq=False, slots=True)
class _Read:
    """One answer to be read, in as many attempts as it takes."""

    target: str
    most: int
    """The most bytes that the answer may have, unpacked."""
    seconds: float
    """What is left of the real seconds in which all attempts together may wait for the answer."""


@dataclass(eq=False, repr=False, kw_only=True)
class OpleadClient:
    """A rate-limited client for one Oplead platform: reads are retried, a write is attempted once."""

    options: OpleadOptions = field(kw_only=False)
    clock: Clock
    """Our clock, used for every sleep."""
    pacer: Pacer
    """The rate limiter, shared by everything that queries this platform."""
    timeout: httpx.Timeout = field(default_factory=lambda: TIMEOUT)
    jitter: Callable[[], float] = random.random
    """Returns a number from 0 to 1 that spreads out retries."""
    cancel_token: CancelToken | None = None
    """Polled while waiting for a response; raising ends the wait."""
    clocks_within: timedelta | None = None
    """The allowed difference between Oplead's clock and ours; None disables the check."""
    listener: Callable[[HeardExchange], None] | None = None
    """Hears every request that was answered, whatever the status; called by several threads."""
    requests: int = field(default=0, init=False)
    """Requests made so far, retries included."""

    def __post_init__(self) -> None:
        """Check the options; no connection is opened yet.

        Raises:
            Misconfigured: `lead_path` lacks `{id}`, `extra_headers` carries a key, or the token cannot be sent.
        """
        _check(self.options)
        options, auth, base = self.options, self.options.auth, httpx.URL(self.options.base_url)
        # httpx logs full URLs at INFO, and some platforms take the token in the query.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.host = base.host
        self.origin = str(base.copy_with(raw_path=b"/")).rstrip("/")
        self._server = f"{base.scheme}://{base.netloc.decode()}"
        """The origin without user and password, for messages."""
        self.root = base.path.rstrip("/") + options.path_prefix
        self.list_path = self.root + options.leads_path
        self.secret = auth.name if auth.style == "query" else None
        """The query parameter that carries the token, if one does."""
        self._query = [*options.extra_query.items(), *([(self.secret, options.token)] if self.secret else [])]
        self._seconds = (self.timeout.read or 30.0) * WAITS
        """The deadline of a write from connecting to the last byte of the response, and of a read with its retries."""
        # Redirects are not followed: the token would go along.
        self._new_client = partial(
            httpx.Client,
            headers=_headers(options),
            timeout=self.timeout,
            follow_redirects=False,
            trust_env=not is_loopback(base.host),
            verify=certificate_authorities(str(base)),
        )
        self._idle: deque[AbortableClient] = deque()
        self._in_flight = BoundedSemaphore(options.in_flight)
        self._wrong_clock: WrongClock | None = None
        """What the last write's answer showed; raised before the next one, since that answer must not be lost."""
        self.largest_page = options.largest_page_mb * _MB
        """The most bytes that a list page may have, unpacked."""
        self._largest_detail_page = self.largest_page // _WAITING_PAGES

    def close(self) -> None:
        """Close the idle connections; the client stays usable."""
        while self._idle:
            self._idle.pop().client.close()
        self.pacer.close()

    def lead_path(self, lead_id: str, pattern: str = "") -> str:
        """Return the path of one lead, its id percent-encoded; `pattern` overrides `oplead.lead_path`."""
        return self.root + (pattern or self.options.lead_path).replace("{id}", _quoted(lead_id))

    def get(self, target: str) -> OpleadAnswer:
        """Return the response at `target`, a path and query on this platform (`/v1/leads?page=2`).

        Configured query parameters are added unless `target` already has them.

        Raises:
            OpleadRefused: a redirect, or a 4xx that a retry will not change (404).
            Misconfigured: the token is refused (401, 403), the URL is invalid, or the response is too large.
            WrongClock: Oplead's clock and ours differ by more than `clocks_within`.
            Transient: it kept failing after bounded retries, or did not end in time.
        """
        return self._with_retries(self._read(target, self.largest_page))

    def get_raw_response(self, target: str, most: int) -> RawOpleadResponse:
        """Return whatever a path answers, in one attempt; a success may have at most `most` bytes.

        Raises:
            TooLarge: it has more.
            Misconfigured: the URL is invalid.
            Transient: there is no answer, or not all of it.
        """
        self._take_slot(0)
        try:
            response, content = self._exchange(self._read(target, most), target.partition("?")[0])
        finally:
            self.pacer.release_request_slot()
        return RawOpleadResponse(response.status_code, content, response.headers.get("Location"))

    def get_lead_details(self, ids: Iterable[LeadId]) -> Generator[tuple[LeadId, Page], None, None]:
        """Yield each lead id, in order, with a callable that returns its detail page or raises as `get` does.

        Several requests are in flight at once. After a transient failure no new request starts until the failed page
        reaches the head of the queue, where the callable retries it. A failure that affects every page (the token is
        unknown, the platform asks for a long delay) is raised at once. Only the calling thread waits for slots and
        consumes `ids`. Close or exhaust the generator; both wait for the requests in flight.
        """
        largest, at_once = self._largest_detail_page, self.options.in_flight
        ahead: ReadAhead[tuple[LeadId, _Read]] = ReadAhead(
            at_once=at_once,
            queued=_DETAILS_QUEUED * at_once,
            take_slot=self._take_slot,
            request=lambda one: self._request(one[1]),
            retried=lambda one, first: self._with_retries(one[1], first),
        )
        reads = ((lead_id, self._read(self.lead_path(lead_id), largest)) for lead_id in ids)
        with closing(ahead.pages(reads)) as pages:
            for (lead_id, _), page in pages:
                yield lead_id, page

    def get_pages(self, targets: Iterable[str]) -> Generator[Page, None, None]:
        """Yield for each target, in order, a callable that returns its response or raises as `get` does.

        As many requests as may be in flight run ahead of the page handed on last, and `targets` is consumed no further
        than that. After a failure no new request starts. The generator ends with the failed page, whose callable
        retries or raises it: pages requested before the retry show an older list, so request them again. Close or
        exhaust the generator; both wait for the requests in flight.
        """
        at_once = self.options.in_flight
        ahead: ReadAhead[_Read] = ReadAhead(
            at_once=at_once,
            queued=at_once,
            in_turn=True,
            take_slot=self._take_slot_in_turn,
            request=self._request,
            retried=self._with_retries,
        )
        with closing(ahead.pages(self._read(target, self.largest_page) for target in targets)) as pages:
            for _, page in pages:
                yield page

    def attempt(
        self,
        verb: str,
        path: str,
        body: bytes | FilePart | None = None,
        *,
        leaving: Callable[[], None] = lambda: None,
    ) -> RawWriteResponse | RequestNotSent | AnswerLost:
        """Make one request that writes, and return what became of it; it is never repeated.

        `RequestNotSent`: not a byte of it can have arrived. `AnswerLost`: some may have, without a status.

        Args:
            verb: POST, PUT, PATCH or DELETE.
            path: on this platform, without a query; the configured parameters are added.
            body: JSON, or a file that is sent as multipart/form-data.
            leaving: called once the slot is taken, right before the request leaves.

        Raises:
            Misconfigured: the URL is invalid.
            WrongClock: the previous write's answer showed that Oplead's clock and ours differ too much.
        """
        if self._wrong_clock is not None:
            raise self._wrong_clock
        try:
            self._take_slot(0)
        except Transient as error:
            return RequestNotSent(str(error))
        try:
            leaving()
            answer = self._write(verb, path, body)
        finally:
            self.pacer.release_request_slot()
        if isinstance(answer, RawWriteResponse) and answer.status == httpx.codes.TOO_MANY_REQUESTS:
            self.pacer.halve_pace_after_throttling()
        return answer

    def _write(
        self, verb: str, path: str, body: bytes | FilePart | None
    ) -> RawWriteResponse | RequestNotSent | AnswerLost:
        connection = self._connection()
        request = partial(connection.send_write_request, verb, self._address(path), body)
        seconds = self._seconds + (body.size / _SLOWEST_UPLOAD if isinstance(body, FilePart) else 0)
        try:
            response, content = self._run_with_deadline(connection, request, path, seconds, grace=_WRITE_GRACE)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            if is_unknown_host(error):
                return RequestNotSent(
                    _("the host name in {server} does not exist", server=self._server),
                    self._server,
                    is_unknown_host=True,
                )
            return RequestNotSent(
                _("nobody answers at {server} ({name})", server=self._server, name=type(error).__name__), self._server
            )
        except httpx.HTTPError as error:
            return AnswerLost(_("Oplead did not answer {path} ({name})", path=path, name=type(error).__name__))
        except TimeoutError:
            reason = _("Oplead gave no answer on {path} in time", path=path)
            return AnswerLost(reason) if connection.has_begun else RequestNotSent(reason)
        except OSError as error:  # the file could not be read to its end
            reason = _("the file could not be read ({strerror})", strerror=error.strerror)
            return AnswerLost(reason) if connection.has_begun else RequestNotSent(reason)
        self._wrong_clock = self._wrong_clock or self._clock_error(response)
        self._tell_listener(verb, path, body if isinstance(body, bytes) else None, response, content)
        delay = retry_after(response, self.clock.now())
        return RawWriteResponse(response.status_code, content, response.headers.get("Location"), delay)

    def _read(self, target: str, most: int) -> _Read:
        return _Read(target, most, self._seconds)

    def _with_retries(self, read: _Read, first: Future[OpleadAnswer] | None = None) -> OpleadAnswer:
        """Return the response, retrying transient failures; `first` is an attempt already made."""
        made = [first] if first else []

        def attempt() -> OpleadAnswer:
            if made:
                return made.pop().result()
            self._take_slot(0)
            return self._request(read)

        return retry_read(attempt, clock=self.clock, jitter=self.jitter)

    def _take_slot(self, in_flight: int) -> bool:
        """Wait for a slot and take it; return False rather than wait long with requests in flight."""
        while (free_at := self.pacer.take_request_slot()) is not None:
            # A sandbox clock stands still until we sleep: requests in flight must be counted before that.
            if in_flight and free_at - self.clock.now() > _LONG_WAIT:
                return False
            self.clock.sleep_until(free_at)
        self.requests += 1
        return True

    def _take_slot_in_turn(self, queued: int) -> bool:
        """Take a slot as `_take_slot` does; if that fails, hand on the pages in front before it is tried again."""
        if not queued:
            return retry_read(partial(self._take_slot, 0), clock=self.clock, jitter=self.jitter)
        try:
            return self._take_slot(queued)
        except Transient:
            return False

    def _request(self, read: _Read) -> OpleadAnswer:
        """Send one request, whose slot is already taken."""
        path = read.target.partition("?")[0]
        try:
            with self._in_flight:
                response, content = self._exchange(read, path)
        finally:
            self.pacer.release_request_slot()
        if wrong_clock := self._clock_error(response):
            raise wrong_clock
        if not response.is_success:
            raise self._failure(response, path, content)
        try:
            body = read_json(content)
        except ValueError:
            raise Transient(_("Oplead's answer on {path} is no JSON, or cut short", path=path)) from None
        return OpleadAnswer(
            body=body,
            url=self.origin + read.target,
            next_link=response.links.get("next", {}).get("url"),
            served_at=time_in_header(response),
            totals=lead_totals_in_headers(response, self.options.pagination.total_header),
            size=len(content),
        )

    def _exchange(self, read: _Read, path: str) -> tuple[httpx.Response, bytes]:
        try:
            return self._send(read, path)
        # httpx errors carry the request, including the URL and the token: keep only their type.
        except httpx.ConnectError as error:
            if is_unknown_host(error):
                raise UnknownHost(
                    _("the host name in {server} does not exist: see oplead.base_url", server=self._server)
                ) from None
            raise Unreachable(
                _(
                    "nobody answers at {server} ({name}): see oplead.base_url",
                    server=self._server,
                    name=type(error).__name__,
                )
            ) from None
        except httpx.HTTPError as error:
            raise Transient(_("Oplead did not answer {path} ({name})", path=path, name=type(error).__name__)) from None
        except TimeoutError:
            if self.cancel_token is not None:
                self.cancel_token()
            raise OutOfTime(
                _("Oplead gave no whole answer on {path} in {seconds:g} s", path=path, seconds=self._seconds)
            ) from None
        except TooLargeError:
            raise TooLarge(
                _(
                    "Oplead's answer on {path} has more than {most:g} MB: ask for fewer leads at once "
                    "(oplead.pagination.size), or raise oplead.largest_page_mb",
                    path=path,
                    most=read.most / _MB,
                )
            ) from None
        except ValueError as error:
            raise Transient(
                _("Oplead's answer on {path} cannot be unpacked ({error})", path=path, error=error)
            ) from None

    def _send(self, read: _Read, path: str) -> tuple[httpx.Response, bytes]:
        connection, began = self._connection(), time.monotonic()
        request = partial(connection.get, self._address(read.target), read.most)
        try:
            response, content = self._run_with_deadline(connection, request, path, read.seconds)
        finally:
            read.seconds -= time.monotonic() - began
        self._tell_listener("GET", read.target, None, response, content)
        return response, content

    def _tell_listener(
        self, method: str, target: str, asked: bytes | None, response: httpx.Response, content: bytes
    ) -> None:
        if self.listener is not None:
            self.listener(HeardExchange(method, target, asked, response.status_code, (*response.headers,), content))

    def _connection(self) -> AbortableClient:
        try:
            return self._idle.pop()
        except IndexError:
            return AbortableClient(self._new_client())

    def _run_with_deadline(
        self,
        connection: AbortableClient,
        request: Callable[[], tuple[httpx.Response, bytes]],
        path: str,
        seconds: float,
        *,
        grace: float = 0.0,
    ) -> tuple[httpx.Response, bytes]:
        try:
            return run_with_timeout(
                request, seconds, cancel_token=self.cancel_token, grace=grace, abort=connection.abort
            )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Misconfigured(
                _("oplead.base_url and {path} make no address ({name})", path=path, name=type(error).__name__)
            ) from None
        finally:
            if not connection.is_aborted:  # an aborted request may still be ending in its thread
                self._idle.append(connection)

    def _clock_error(self, response: httpx.Response) -> WrongClock | None:
        """Return what is wrong if the response's `Date` and our clock differ by more than `clocks_within`.

        Error responses have a `Date` too (RFC 9110, 6.6.1); a cached response also has an `Age` (RFC 9111, 5.1).
        """
        dated = time_in_header(response)
        if dated is None or self.clocks_within is None:
            return None
        age = count_in_header(response, "Age") or 0
        if abs(self.clock.now() - dated - timedelta(seconds=age)) <= self.clocks_within:
            return None
        return WrongClock(
            _(
                "this machine's clock says {now:%Y-%m-%d %H:%M} UTC, and Oplead's {dated:%Y-%m-%d %H:%M} UTC: "
                "set the one that is wrong. Until they agree nothing is read or sent, and nothing expires",
                now=self.clock.now(),
                dated=dated,
            )
        )

    def _address(self, target: str) -> str:
        _, _, query = target.partition("?")
        present = {unquote_plus(pair.partition("=")[0]) for pair in query.split("&")}
        added = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in self._query if name not in present)
        return self.origin + target + (("&" if "?" in target else "?") + added if added else "")

    def _failure(self, response: httpx.Response, path: str, content: bytes) -> Exception:
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self.pacer.halve_pace_after_throttling()
        return error_of_response(response, path, content, is_list=path == self.list_path, now=self.clock.now())


_quoted = partial(quote, safe="")


def _check(options: OpleadOptions) -> None:
    auth = options.auth
    if options.lead_path.count("{id}") != 1:
        raise Misconfigured(_("oplead.lead_path has no place for the lead's id: write {id} once, as /leads/{id}"))
    ours = {"authorization", (auth.name or "").casefold()}
    if any(name.casefold() in ours for name in options.extra_headers):
        raise Misconfigured(_("oplead.extra_headers must not show a key: see oplead.auth"))
    if auth.style in {"header", "query"} and not auth.name:
        raise Misconfigured(
            _("oplead.auth.name is missing: the name of the {style} that carries the token", style=auth.style)
        )
    if auth.style != "none" and not re.fullmatch(r"[!-~]+", options.token):
        raise Misconfigured(_("oplead.token is empty or holds spaces or letters that no token has"))


def _headers(options: OpleadOptions) -> httpx.Headers:
    headers = httpx.Headers({"Accept": "application/json", "Accept-Encoding": PACKINGS, "User-Agent": "oplead-sync"})
    headers.update(options.extra_headers)
    if options.auth.style == "bearer":
        headers["Authorization"] = f"Bearer {options.token}"
    elif options.auth.style == "header" and options.auth.name:
        headers[options.auth.name] = options.auth.prefix + options.token
    return headers
