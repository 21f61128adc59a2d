"""Asks Oplead over HTTP: authentication, rate limit, retries, and JSON whose numbers stay exact."""

import json
import logging
import random
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, DecimalException
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import chain, repeat
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote_plus

import httpx

from connectors.errors import KeyRefused, Misconfigured, Transient, UnknownHost, Unreachable, WrongClock
from connectors.http import LONGEST_ASKED_FOR, PACKINGS, CancelToken, TooLargeError, is_unknown_host, retry_read
from connectors.oplead.connections import Connections, in_order
from connectors.oplead.options import PUT_THE_KEY, OpleadOptions
from connectors.ports import Clock
from connectors.rate_limit import Pacer
from connectors.records import LeadId

_LONGEST_NUMBER = 100  # characters; one with more is nobody's amount or id, and costs more than it tells
_MOST_VALUES = 2_000_000  # a page of 1,000 leads with 500 fields each has a quarter of it
_FLOAT_DIGITS = 14  # a number this long in exponent form has been through floating point and lost digits
_ESCAPE = re.compile(
    r"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}"  # both halves of a character
    r"|(?P<half>\\u[Dd][89A-Fa-f][0-9A-Fa-f]{2})"
    r"|\\.",  # any other, its second character with it: a backslash may itself be escaped
)
_HALF = re.compile(r"[\ud800-\udfff]")


def read_json(content: bytes | str) -> object:
    """The value JSON tells, numbers as Decimal.

    A number in exponent form that is long enough to be an id (`1.2345678901235E+16`, as spreadsheets write
    it) stays text, so that nobody takes it for one. Half a character (an emoji cut in two) becomes U+FFFD:
    it can be neither hashed nor stored.

    Raises:
        ValueError: it is no JSON, cut short, or without end.
    """
    if _values(content) > _MOST_VALUES:
        raise ValueError("more values than any page of leads has")
    try:
        return json.loads(_whole(content), parse_int=_number, parse_float=_number, parse_constant=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _values(content: bytes | str) -> int:
    """How many values a text holds at most, counted before any is made: each takes far more memory than its text."""
    if isinstance(content, str):
        return sum(map(content.count, ",[{"))
    return sum(map(content.count, (b",", b"[", b"{")))


def _whole(content: bytes | str) -> str:
    """The text without surrogates that have lost their other half, escaped or not."""
    text = content if isinstance(content, str) else content.decode(json.detect_encoding(content), "surrogatepass")
    text = _HALF.sub("\ufffd", text)
    return _ESCAPE.sub(lambda one: "\\ufffd" if one["half"] else one[0], text)


def _number(literal: str) -> Decimal | str:
    if len(literal) > _LONGEST_NUMBER:
        return literal
    try:
        number = Decimal(literal)
    except DecimalException:  # an exponent beyond any number
        return literal
    return literal if "e" in literal.casefold() and number.adjusted() >= _FLOAT_DIGITS else number


TIMEOUT = httpx.Timeout(30.0, connect=5.0)
"""Real seconds: to connect, and for each part of an answer."""
_MB = 1024 * 1024
_WAITING_PAGES = 16  # so many own pages may have come and wait for one before them
_LONG_WAIT = timedelta(seconds=5)
_BAD_QUESTION = frozenset({400, 422})
"""What a platform answers to a parameter that it does not take."""
_TRANSIENT_STATUSES = frozenset({408, 425, 429})
_TOTAL_HEADERS = ("X-Total-Count", "X-Total", "X-Total-Results", "X-Pagination-Total-Count", "Total-Count")
_DELAY = re.compile(r"\d{1,9}", re.ASCII)


class OpleadRefused(Misconfigured):
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


class TooLarge(Misconfigured):
    """An answer is larger than the settings allow."""


@dataclass(frozen=True, slots=True)
class OpleadAnswer:
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
        cancel_token: CancelToken | None = None,
        clocks_within: timedelta | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            options: the platform.
            clock: ours, and the only way to wait.
            pacer: shared by everything that asks this platform.
            timeout: in real seconds.
            jitter: numbers from 0 to 1 that spread the retries.
            cancel_token: asked while an answer is waited for; what it raises ends the wait.
            clocks_within: how far Oplead's clock may be from ours; None where it may be anything.

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
        self._cancel_token = cancel_token
        self._clocks_within = clocks_within
        self._lines = Connections(base, _headers(options), timeout, cancel_token)
        self._largest_page = options.largest_page_mb * _MB
        self._largest_own_page = self._largest_page // _WAITING_PAGES

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
        self._lines.close()

    def lead_path(self, lead_id: LeadId) -> str:
        """The path of one lead, its id percent-encoded."""
        return self.root + self._options.lead_path.replace("{id}", quote(lead_id, safe=""))

    def get(self, target: str) -> OpleadAnswer:
        """What stands at `target`, a path and query of this platform (`/v1/leads?page=2`).

        What the settings send with every request is added, except where `target` has it already.

        Raises:
            Refused: a 4xx that is an answer about what was asked (404), or a redirect.
            Misconfigured: the token is refused (401, 403), or the address is none.
            Transient: it kept failing after bounded retries.
        """
        return self._settled(target, self._largest_page, ())

    def get_leads(self, ids: Iterable[LeadId]) -> Generator[tuple[LeadId, Callable[[], OpleadAnswer]], None, None]:
        """Each lead's own page in order, several asked for at once: what gives the answer, or raises as `get` does.

        A page that failed is asked for again when its turn has come, and nothing new beside it. What concerns every
        page (the token is refused, the platform wants to be left alone for long) is raised at once. Close it, or
        run it to its end.
        """
        pages = in_order(
            lambda lead: self._answer(self.lead_path(lead), self._largest_own_page),
            ids,
            at_once=self._options.in_flight,
            may_begin=self._may_begin,
            stops=_is_everyones,
            pauses=lambda failure: isinstance(failure, Transient),
        )
        with closing(pages):
            for lead, page in pages:
                yield lead, partial(self._settled, self.lead_path(lead), self._largest_own_page, (page.result,))

    def _settled(self, target: str, most: int, made: tuple[Callable[[], OpleadAnswer], ...]) -> OpleadAnswer:
        """The answer, asked for again where that may help after the attempts that were made already."""
        again: Callable[[], OpleadAnswer] = partial(self._attempt, target, most)
        attempts = chain(made, repeat(again))

        def attempt() -> OpleadAnswer:
            return next(attempts)()

        return retry_read(attempt, clock=self._clock, jitter=self._jitter)

    def _attempt(self, target: str, most: int) -> OpleadAnswer:
        self._may_begin(0)
        return self._answer(target, most)

    def _may_begin(self, under_way: int) -> bool:
        """Take a slot for one request, waiting for it; a long wait only with nothing under way."""
        while (free_at := self._pacer.take()) is not None:
            # A sandbox's time stands still until we sleep: what is under way is to be counted before that.
            if under_way and free_at - self._clock.now() > _LONG_WAIT:
                return False
            self._clock.sleep_until(free_at)
        self.requests += 1
        return True

    def _answer(self, target: str, most: int) -> OpleadAnswer:
        """One request, whose slot was taken before; its answer has `most` bytes at most."""
        path = target.partition("?")[0]
        try:
            response, content = self._exchange(target, path, most)
        finally:
            self._pacer.give_back()
        self._compare_clocks(response)
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
            totals=dict(_totals(response, self._options.pagination.total_header)),
        )

    def _exchange(self, target: str, path: str, most: int) -> tuple[httpx.Response, bytes]:
        try:
            return self._lines.get(self._address(target), most=most)
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
            if self._cancel_token is not None:
                self._cancel_token()
            raise Transient(f"Oplead gave no whole answer on {path} in {self._lines.seconds:g} s") from None
        except TooLargeError:
            raise TooLarge(
                f"Oplead's answer on {path} has more than {most / _MB:g} MB: ask for fewer leads at once "
                "(oplead.pagination.size), or raise oplead.largest_page_mb"
            ) from None
        except ValueError as error:
            raise Transient(f"Oplead's answer on {path} cannot be unpacked ({error})") from None

    def _compare_clocks(self, response: httpx.Response) -> None:
        """Any answer tells its time, a refusal too (RFC 9110, 6.6.1); one out of a cache also its age (RFC 9111, 5.1).

        Raises:
            WrongClock: it is not ours.
        """
        told = _date(response)
        if told is None or self._clocks_within is None:
            return
        age = response.headers.get("Age", "").strip()
        apart = self._clock.now() - told - timedelta(seconds=int(age) if _DELAY.fullmatch(age) else 0)
        if abs(apart) > self._clocks_within:
            raise WrongClock(
                f"this machine's clock says {_minute(self._clock.now())}, and Oplead's {_minute(told)}: set the one "
                "that is wrong. Until they agree nothing is read or sent, and nothing expires"
            )

    def _address(self, target: str) -> str:
        _, _, query = target.partition("?")
        there = {unquote_plus(pair.partition("=")[0]) for pair in query.split("&")}
        added = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in self._always if name not in there)
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
                self._pacer.throttled()
            delay = _retry_after(response, self._clock.now())
            return Transient(f"Oplead answered {status} on {path}", retry_after=delay)
        see = "oplead.base_url, oplead.path_prefix and the paths after it"
        if status in _BAD_QUESTION and path == self.list_path:
            see = (
                "oplead.pagination, oplead.since_filter and oplead.extra_query, for it may not take a parameter of the "
                f"list; then {see}"
            )
        return OpleadRefused(f"Oplead answered {status} on {path}: see {see}", status, content)


def _is_everyones(failure: BaseException) -> bool:
    """Whether a failure is not one page's: every other page would fail alike."""
    if isinstance(failure, UnknownHost):
        return True
    if isinstance(failure, Transient):
        return failure.retry_after is not None and failure.retry_after > LONGEST_ASKED_FOR
    return not isinstance(failure, OpleadRefused | TooLarge)


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
    headers = httpx.Headers({"Accept": "application/json", "Accept-Encoding": PACKINGS, "User-Agent": "oplead-sync"})
    headers.update(options.extra_headers)
    if options.auth.style == "bearer":
        headers["Authorization"] = f"Bearer {options.token}"
    elif options.auth.style == "header" and options.auth.name:
        headers[options.auth.name] = options.auth.prefix + options.token
    return headers


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


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _http_date(written: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(written)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
