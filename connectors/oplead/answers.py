"""What Oplead answers: a page, a document or a receipt, what its headers say, and what a refusal means. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from connectors.errors import KeyRefused, Misconfigured, Transient
from connectors.language import _
from connectors.oplead.options import PUT_THE_KEY

_BAD_QUESTION = frozenset({400, 422})
"""Statuses for a parameter the platform does not accept."""
_TRANSIENT_STATUSES = frozenset({408, 425, 429})
_A_MINUTE = timedelta(minutes=1)
TOTAL_HEADERS = ("X-Total-Count", "X-Total", "X-Total-Results", "X-Pagination-Total-Count", "Total-Count")
_WHOLE_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


class OpleadRefused(Misconfigured):
    """Oplead returned a status that a retry will not change."""

    def __init__(self, message: str, status: int | None, body: bytes = b"") -> None:
        """Keep the HTTP status (None if every attempt failed) and the body, for comparison only: it may be an echo."""
        super().__init__(message)
        self.status = status
        self.body = body


class TokenRefused(KeyRefused):
    """Oplead rejected the token or the way it was sent."""

    def __init__(self, message: str, status: int) -> None:
        """Keep the HTTP status: 401 for an unknown token, 403 for a known one without access."""
        super().__init__(message)
        self.status = status
        self.is_known = status == httpx.codes.FORBIDDEN


class TooLarge(Misconfigured):
    """A response exceeds the configured size."""


@dataclass(frozen=True, slots=True)
class OpleadAnswer:
    """A decoded response, its URL (without the token), and when it was served by Oplead's own clock (aware UTC)."""

    body: object
    url: str
    next_link: str | None
    """The URL in the `Link: <…>; rel="next"` header."""
    served_at: datetime | None
    totals: Mapping[str, int] = field(default_factory=dict)
    """The total number of leads, by the name of each header that states one."""
    size: int = 0
    """The unpacked body's size in bytes."""


@dataclass(frozen=True, slots=True)
class HeardExchange:
    """One request and what came back, for whoever listens to a client."""

    method: str
    target: str
    """Path and query, without the parameter that carries the token."""
    asked: bytes | None = field(repr=False)
    """The body of a write; None for a read, and for a document."""
    status: int
    headers: tuple[str, ...]
    """The names of the response's headers."""
    answered: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RawOpleadResponse:
    """A response of any status and kind, as it came."""

    status: int
    content: bytes = field(repr=False)
    """Empty if it is an error's and long."""
    location: str | None
    """Where a redirect leads."""


@dataclass(frozen=True, slots=True)
class RawWriteResponse:
    """What the platform answered to a write, whatever its status."""

    status: int
    body: bytes = field(repr=False)
    """Empty if it was cut, too large or could not be unpacked: the status alone says what became of the write."""
    location: str | None = field(default=None, repr=False)
    retry_after: timedelta | None = None


def error_of_response(
    response: httpx.Response, path: str, content: bytes, *, is_list: bool, now: datetime
) -> Exception:
    """Return what is wrong with a read that was not answered with a success; `is_list` if it was the list of leads."""
    status = response.status_code
    if status == httpx.codes.FORBIDDEN:
        return TokenRefused(
            _(
                "Oplead knows the key, and does not let it read this ({status} on {path}); it may be a supplier's, "
                "which reads no leads: {advice}; if it is that one, see oplead.auth for how it is sent",
                status=status,
                path=path,
                advice=_(PUT_THE_KEY),
            ),
            status,
        )
    if status == httpx.codes.UNAUTHORIZED:
        return TokenRefused(
            _(
                "Oplead refuses the token ({status} on {path}): {advice} (other keys see only some leads), and see "
                "oplead.auth for how it is sent",
                status=status,
                path=path,
                advice=_(PUT_THE_KEY),
            ),
            status,
        )
    if status in _TRANSIENT_STATUSES or response.is_server_error:
        # A pace counts a minute: whoever asks again sooner is refused again.
        unnamed = _A_MINUTE if status == httpx.codes.TOO_MANY_REQUESTS else None
        return Transient(
            _("Oplead answered {status} on {path}", status=status, path=path),
            retry_after=unnamed if (asked := retry_after(response, now)) is None else asked,
        )
    see = _("oplead.base_url, oplead.path_prefix and the paths after it")
    if status in _BAD_QUESTION and is_list:
        see = _(
            "oplead.pagination, oplead.since_filter and oplead.extra_query, for it may not take a parameter of the "
            "list; then {see}",
            see=see,
        )
    return OpleadRefused(
        _("Oplead answered {status} on {path}: see {see}", status=status, path=path, see=see), status, content
    )


def lead_totals_in_headers(response: httpx.Response, configured: str | None) -> dict[str, int]:
    """Return the total number of leads by header name, from the configured header and the usual ones."""
    names = (*([configured] if configured else []), *TOTAL_HEADERS)
    return {name: total for name in names if (total := count_in_header(response, name)) is not None}


def count_in_header(response: httpx.Response, header: str) -> int | None:
    """Return the whole number in a header, if there is one."""
    text = response.headers.get(header, "").strip()
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


def time_in_header(response: httpx.Response, header: str = "Date") -> datetime | None:
    """Return the time in a header (aware UTC), if there is one."""
    try:
        moment = parsedate_to_datetime(response.headers.get(header, ""))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after(response: httpx.Response, now: datetime) -> timedelta | None:
    """Return the requested delay, given in seconds or as a date by the platform's own clock."""
    if (seconds := count_in_header(response, "Retry-After")) is not None:
        return timedelta(seconds=seconds)
    until = time_in_header(response, "Retry-After")
    return max(until - (time_in_header(response) or now), timedelta()) if until else None
