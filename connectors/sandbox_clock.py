"""A sandbox's clock, which advances only while every caller sleeps."""

import threading
import time
from datetime import UTC, datetime
from typing import Self

import httpx

from connectors.errors import Misconfigured
from connectors.http import CancelToken, certificate_authorities
from connectors.language import _

_CONFLICT = 409
_CANCEL_POLL = 0.5  # seconds; maximum delay before a sleeper notices a cancellation


class SandboxClock:
    """A sandbox's clock, which jumps to the earliest awaited time once every registered caller sleeps.

    The sandbox identifies a caller by its keep-alive connection, so this clock holds exactly one from first use
    until closed. Threads take turns using it.
    """

    def __init__(self, url: str, *, patience: float = 300.0, cancel_token: CancelToken | None = None) -> None:
        """Use the sandbox clock at `url`.

        Args:
            url: base URL of the clock.
            patience: limit on one sleep, in real seconds.
            cancel_token: called twice a second during a sleep; may raise to end it early.
        """
        self._url = url
        self._cancel_token = cancel_token
        self._patience = patience
        self._registered = False
        self._lock = threading.Lock()
        self._http = httpx.Client(
            base_url=url,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None),
            timeout=httpx.Timeout(10.0, read=patience),
            trust_env=False,
            verify=certificate_authorities(url),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the sandbox no longer waits for this caller."""
        self._http.close()

    def now(self) -> datetime:
        """Return the sandbox's current time, aware UTC; raise Misconfigured if no sandbox clock answers."""
        return self._query_sandbox_clock("GET", "/now")

    def sleep_until(self, moment: datetime) -> None:
        """Sleep until the sandbox's clock reaches `moment`; return at once if it has passed.

        Raises:
            Misconfigured: no sandbox clock answers, or it did not reach `moment` within `patience`.
        """
        end = time.monotonic() + self._patience
        wanted: dict[str, str | float] = {"until": moment.astimezone(UTC).isoformat()}
        if self._cancel_token is not None:
            wanted["within"] = _CANCEL_POLL
            self._cancel_token()
        while self._query_sandbox_clock("POST", "/sleep", wanted) < moment:
            if time.monotonic() > end:
                raise Misconfigured(self._stalled_clock_message)
            if self._cancel_token is not None:
                self._cancel_token()

    @property
    def _stalled_clock_message(self) -> str:
        return _(
            "clock: the sandbox's clock at {url} did not move within {patience:g} s; another registered "
            "caller is awake, or it hangs",
            url=self._url,
            patience=self._patience,
        )

    def _query_sandbox_clock(self, method: str, path: str, body: dict[str, str | float] | None = None) -> datetime:
        with self._lock:
            try:
                answer = self._request(method, path, body)
                if answer.status_code == _CONFLICT:  # a new, unregistered connection replaced the old one
                    self._registered = False
                    answer = self._request(method, path, body)
            except httpx.HTTPError as error:
                self._registered = False
                if isinstance(error, httpx.ReadTimeout):
                    raise Misconfigured(self._stalled_clock_message) from None
                why = _(
                    "no sandbox clock answers at {url} ({name}); start it, or remove `clock`",
                    url=self._url,
                    name=type(error).__name__,
                )
                raise Misconfigured(f"clock: {why}") from None
            return _instant(answer)

    def _request(self, method: str, path: str, body: dict[str, str | float] | None) -> httpx.Response:
        if not self._registered:
            self._registered = self._http.post("/register").is_success
        return self._http.request(method, path, json=body)


def _instant(answer: httpx.Response) -> datetime:
    try:
        moment = datetime.fromisoformat(answer.json()["now"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Misconfigured(
            _("clock: the answer ({status}) is not a sandbox clock's", status=answer.status_code)
        ) from None
    if moment.tzinfo is None:
        raise Misconfigured(_("clock: the sandbox's time has no zone"))
    return moment.astimezone(UTC)
