"""Who may ask Oplead: its keys, what each may do and see, and how many requests are answered in a minute."""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from threading import Lock
from typing import Final

from connectors.sandbox.oplead.shape import ApiShape
from connectors.sandbox.server import WireRequest, WireResponse, json_response

ADMIN_KEY = "sandbox-admin-key"
"""The client admin's key, which may do everything."""
SUPPLIER_KEY = "sandbox-supplier-key"
"""A supplier's key, which may send leads, hear of them and read the platform's settings."""
USER_KEY = "sandbox-user-key"
"""The key of a user, who works on the leads of one agency."""
USER_AGENCY = "Nantes"
"""That agency."""
RATE = 100
RATE_WINDOW = timedelta(seconds=60)


class CallerRole(StrEnum):
    """Whose key a request presents."""

    ADMIN = "admin"
    SUPPLIER = "supplier"
    USER = "user"

    def sees(self, lead: object, creator: str | None) -> bool:
        """Return whether a lead, perhaps created by one of the callers, is this caller's."""
        if self is CallerRole.SUPPLIER:
            return creator == self
        return self is CallerRole.ADMIN or (isinstance(lead, Mapping) and lead.get("agency") == USER_AGENCY)


KEYS: Final = {ADMIN_KEY: CallerRole.ADMIN, SUPPLIER_KEY: CallerRole.SUPPLIER, USER_KEY: CallerRole.USER}
KEY_PARAMETERS: Final = {"query_token": "token", "query_api_key": "api_key"}
"""The query parameter with the key, by position of the `auth` axis."""


def caller_of(request: WireRequest, shape: ApiShape) -> CallerRole | None:
    """Return whose key a request presents in the shape's way; None if it presents no known key."""
    bearer, _, borne = request.headers.get("authorization", "").partition(" ")
    scheme, _, token = request.headers.get("x-oplead-auth", "").partition(" ")
    keys = request.query.get(KEY_PARAMETERS.get(shape.auth, ""), ())
    presented = {
        "bearer": borne if bearer == "Bearer" else "",
        "authorization": request.headers.get("authorization", ""),
        "x_api_key": request.headers.get("x-api-key", ""),
        "token_header": token if scheme == "Token" else "",
    }
    return KEYS.get(presented.get(shape.auth, keys[0] if len(keys) == 1 else ""))


class RefusedError(Exception):
    """The request is refused with this status; the text says why."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers or {}


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> WireResponse:
    """Return an error in Oplead's format."""
    return json_response(status, {"error": message}, headers)


class RateLimit:
    """At most 100 requests answered in any 60 seconds of the sandbox clock, writes included."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answered: deque[datetime] = deque()

    def reserve_request_slot(self, now: datetime) -> int:
        """Take a slot and return 0, or return the seconds until one is free, rounded up."""
        with self._lock:
            while self._answered and self._answered[0] <= now - RATE_WINDOW:
                self._answered.popleft()
            if len(self._answered) < RATE:
                self._answered.append(now)
                return 0
            return ceil((self._answered[0] + RATE_WINDOW - now).total_seconds())

    def dump(self) -> list[str]:
        """Return when each request of the current window was answered."""
        with self._lock:
            return [moment.isoformat() for moment in self._answered]

    def load(self, taken: Iterable[str]) -> None:
        """Restore what `dump` returned."""
        with self._lock:
            self._answered = deque(map(datetime.fromisoformat, taken))
