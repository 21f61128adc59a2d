"""One paced, retried GET to Oplead, and nothing else; every failure of the wire is translated here."""

import logging
import random
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import chain, repeat
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote_plus

import httpx

from connectors.authorities import authorities
from connectors.errors import KeyRefused, Misconfigured, Transient, UnknownHost, Unreachable
from connectors.host_names import is_unknown_host
from connectors.oplead.flight import in_order
from connectors.oplead.options import OpleadOptions
from connectors.oplead.wire import read_json
from connectors.pacing import Pacer
from connectors.ports import Clock
from connectors.records import LeadId
from connectors.retrying import LONGEST_ASKED_FOR, retry_read

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
"""Real seconds: to connect, and for each part of an answer."""
_WHOLE_ANSWER = 4  # times the read timeout; an answer that drips for longer than this is none
_LONG_WAIT = timedelta(seconds=5)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_BAD_QUESTION = frozenset({400, 422})
"""What a platform answers to a parameter that it does not take."""
_TRANSIENT_STATUSES = frozenset({408, 425, 429})
_TOTAL_HEADERS = ("X-Total-Count", "X-Total", "X-Total-Results", "X-Pagination-Total-Count", "Total-Count")
_DELAY = re.compile(r"\d{1,9}", re.ASCII)


class Refused(Misconfigured):
    """Oplead answered with a status that asking again will not change."""

    def __init__(self, message: str, status: int, said: bytes = b"") -> None:
        """Keep the HTTP status and body, for the callers to whom some refusals are an answer."""
        super().__init__(message)
        self.status = status
        self.said = said
        """Only ever compared: it may repeat what was asked."""


class TokenRefused(KeyRefused):
    """Oplead refuses the token, or the way it is shown."""

    def __init__(self, message: str, status: int) -> None:
        """Keep the HTTP status: 401 does not know the token, 403 knows it and says no."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """What Oplead answered, where that stands (without the token), and when, by its own clock."""

    body: object
    url: str
    next_link: str | None
    """The `Link: <…>; rel="next"` header's address."""
    served_at: datetime | None
    totals: Mapping[str, int] = field(default_factory=dict)
    """By header, how many leads there are, where one tells."""


class OpleadClient:
    """GETs from one Oplead platform, at its pace, asking again where that may help."""

    def __init__(
        self,
        options: OpleadOptions,
        *,
        clock: Clock,
        pacer: Pacer,
        timeout: httpx.Timeout = TIMEOUT,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Open nothing yet.

        Raises:
            Misconfigured: the token cannot be sent the way the settings say.
        """
        _check(options)
        # httpx logs whole addresses at INFO, and some platforms want the token in them.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        base = httpx.URL(options.base_url)
        self.host = base.host
        self.origin = str(base.copy_with(raw_path=b"/")).rstrip("/")
        self._server = f"{base.scheme}://{base.netloc.decode()}"
        """The same without a user or password."""
        self.root = base.path.rstrip("/") + options.path_prefix
        self.list_path = self.root + options.leads_path
        self.requests = 0
        """How many were made, those that were made again included."""
        self._always = tuple(_always(options))
        self._options = options
        self._clock = clock
        self._pacer = pacer
        self._jitter = jitter
        self._patience = (timeout.read or 30.0) * _WHOLE_ANSWER
        # Redirects are refused: the token would follow them.
        self._http = httpx.Client(
            headers=_headers(options),
            timeout=timeout,
            follow_redirects=False,
            trust_env=base.host not in LOOPBACK,
            verify=authorities(str(base)),
        )

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
        self._http.close()

    def lead_path(self, lead_id: LeadId) -> str:
        """The path of one lead, its id percent-encoded."""
        return self.root + self._options.lead_path.replace("{id}", quote(lead_id, safe=""))

    def get(self, target: str) -> Answer:
        """What stands at `target`, a path and query of this platform (`/v1/leads?page=2`).

        What the settings send with every request is added, except where `target` has it already.

        Raises:
            Refused: a 4xx that is an answer about what was asked (404), or a redirect.
            Misconfigured: the token is refused (401, 403), or the address is none.
            Transient: it kept failing after bounded retries.
        """
        return self._settled(target, ())

    def get_leads(self, ids: Iterable[LeadId]) -> Generator[tuple[LeadId, Callable[[], Answer]], None, None]:
        """Each lead's own page in order, several asked for at once: what gives the answer, or raises as `get` does.

        A page that failed is asked for again when its turn has come, and nothing new beside it. What concerns every
        page (the token is refused, the platform wants to be left alone for long) is raised at once. Close it, or
        run it to its end.
        """
        pages = in_order(
            lambda lead: self._answer(self.lead_path(lead)),
            ids,
            at_once=self._options.in_flight,
            may_begin=self._may_begin,
            stops=_is_everyones,
            pauses=lambda failure: isinstance(failure, Transient),
        )
        with closing(pages):
            for lead, page in pages:
                yield lead, partial(self._settled, self.lead_path(lead), (page.result,))

    def _settled(self, target: str, made: tuple[Callable[[], Answer], ...]) -> Answer:
        """The answer, asked for again where that may help after the attempts that were made already."""
        again: Callable[[], Answer] = partial(self._attempt, target)
        attempts = chain(made, repeat(again))

        def attempt() -> Answer:
            return next(attempts)()

        return retry_read(attempt, clock=self._clock, jitter=self._jitter)

    def _attempt(self, target: str) -> Answer:
        self._may_begin(0)
        return self._answer(target)

    def _may_begin(self, under_way: int) -> bool:
        """Take a slot for one request, waiting for it; a long wait only with nothing under way."""
        while (free_at := self._pacer.take()) is not None:
            # A sandbox's time stands still until we sleep: what is under way is to be counted before that.
            if under_way and free_at - self._clock.now() > _LONG_WAIT:
                return False
            self._clock.sleep_until(free_at)
        self.requests += 1
        return True

    def _answer(self, target: str) -> Answer:
        """One request, whose slot was taken before."""
        path = target.partition("?")[0]
        try:
            response, content = self._exchange(target, path)
        finally:
            self._pacer.give_back()
        if not response.is_success:
            raise self._failure(response, path, content)
        try:
            body = read_json(content)
        except ValueError:
            raise Transient(f"Oplead's answer on {path} is no JSON, or cut short") from None
        return Answer(
            body=body,
            url=self.origin + target,
            next_link=response.links.get("next", {}).get("url"),
            served_at=_date(response),
            totals=dict(_totals(response, self._options.pagination.total_header)),
        )

    def _exchange(self, target: str, path: str) -> tuple[httpx.Response, bytes]:
        try:
            with self._http.stream("GET", self._address(target)) as response:
                return response, b"".join(_until(response.iter_bytes(), time.monotonic() + self._patience))
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

    def _address(self, target: str) -> str:
        _, _, query = target.partition("?")
        there = {unquote_plus(pair.partition("=")[0]) for pair in query.split("&")}
        added = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in self._always if name not in there)
        return self.origin + target + (("&" if "?" in target else "?") + added if added else "")

    def _failure(self, response: httpx.Response, path: str, content: bytes) -> Exception:
        status = response.status_code
        if status in {401, 403}:
            return TokenRefused(
                f"Oplead refuses the token ({status} on {path}): write the client admin's API key as "
                "oplead.token (other keys see only some leads), and see oplead.auth for how it is sent",
                status,
            )
        if status in _TRANSIENT_STATUSES or response.is_server_error:
            if status == httpx.codes.TOO_MANY_REQUESTS:
                self._pacer.throttled()
            delay = _retry_after(response, self._clock.now())
            return Transient(f"Oplead answered {status} on {path}", retry_after=delay)
        see = "oplead.base_url, oplead.path_prefix and the paths after it"
        if status in _BAD_QUESTION and path == self.list_path:
            see = (
                "oplead.pagination, oplead.since_filter and oplead.extra_query, for it may not take a parameter of the "
                f"list; then {see}"
            )
        return Refused(f"Oplead answered {status} on {path}: see {see}", status, content)


def _is_everyones(failure: BaseException) -> bool:
    """Whether a failure is not one page's: every other page would fail alike."""
    if isinstance(failure, UnknownHost):
        return True
    if isinstance(failure, Transient):
        return failure.retry_after is not None and failure.retry_after > LONGEST_ASKED_FOR
    return not isinstance(failure, Refused)


def _always(options: OpleadOptions) -> Iterator[tuple[str, str]]:
    """The query parameters that every request carries."""
    yield from options.extra_query.items()
    if options.auth.style == "query" and options.auth.name:
        yield options.auth.name, options.token


def _quoted(text: str) -> str:
    return quote(text, safe="")


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
    headers = httpx.Headers({"Accept": "application/json", "User-Agent": "oplead-sync"})
    headers.update(options.extra_headers)
    if options.auth.style == "bearer":
        headers["Authorization"] = f"Bearer {options.token}"
    elif options.auth.style == "header" and options.auth.name:
        headers[options.auth.name] = options.auth.prefix + options.token
    return headers


def _until(chunks: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    """The chunks, while they come in time: the read timeout alone bounds only the wait for each."""
    for chunk in chunks:
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer drips")
        yield chunk


def _totals(response: httpx.Response, named: str | None) -> Iterator[tuple[str, int]]:
    """What the usual headers, and the one that the settings name, tell of the number of all leads."""
    for name in dict.fromkeys((*([named] if named else []), *_TOTAL_HEADERS)):
        if _DELAY.fullmatch(written := response.headers.get(name, "").strip()):
            yield name, int(written)


def _date(response: httpx.Response) -> datetime | None:
    return _http_date(response.headers.get("Date", ""))


def _retry_after(response: httpx.Response, now: datetime) -> timedelta | None:
    """The delay asked for, in seconds or as a date by the platform's own clock."""
    written = response.headers.get("Retry-After", "").strip()
    if _DELAY.fullmatch(written):
        return timedelta(seconds=int(written))
    until = _http_date(written)
    return max(until - (_date(response) or now), timedelta()) if until else None


def _http_date(written: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(written)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
