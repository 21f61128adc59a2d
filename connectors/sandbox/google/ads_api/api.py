"""The Google Ads API v26, played strictly over gRPC: conversions and adjustments by row, and questions in GAQL.

Rules and their evidence: `rules.RULES` and `adjustment_rules.RULES`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from connectors.sandbox.google.accounts import GooglePlatform
from connectors.sandbox.google.ads_api.memory import Memory, Scopes, unidentified
from connectors.sandbox.google.ads_api.refusals import CallRefusal
from connectors.sandbox.google.ads_api.server import GrpcCall


class GoogleAdsApi:
    """The platform behind a `GoogleAdsServer`.

    Args:
        now: the sandbox clock, aware UTC.
        scopes: what the token of an Authorization header is good for.
        google: what it shares with the Data Manager; its own where it is alone.
    """

    def __init__(self, now: Callable[[], datetime], scopes: Scopes, google: GooglePlatform | None = None) -> None:
        self._now = now
        self._scopes = scopes
        self._google = google or GooglePlatform()
        self._memory = Memory(self._google)
        self._lock = self._google.lock

    @property
    def switches(self) -> dict[str, object]:
        """Where each switch stands."""
        return self._memory.switches

    def handle(self, call: GrpcCall) -> bytes | CallRefusal:
        """Answer one call: the method's response, or the refusal of the call."""
        # not before the first call: the vendor's messages load slowly, and most sandboxes never need them
        from connectors.sandbox.google.ads_api.methods import answered  # noqa: PLC0415

        with self._lock:
            now = self._now()
            self._google.settle(now)
            answer = unidentified(call.metadata, self._scopes) or answered(call, self._memory, now)
            if isinstance(answer, CallRefusal):
                self._memory.refuse(answer, now)
            return answer

    def plant_rulings(self, rulings: Mapping[str, object]) -> None:
        """Decree errors of rows, by order id or click id; the form is `google_ads_rulings.SHAPE`.

        ValueError where one has another shape or no such error exists; none is planted then.
        """
        with self._lock:
            self._memory.plant(rulings)

    def switch(self, name: str, value: object) -> None:
        """Turn one switch; ValueError where it has no such position."""
        with self._lock:
            self._google.settle(self._now())
            self._memory.switch(name, value)

    def book(self) -> list[dict[str, object]]:
        """Every conversion that either of Google's APIs counted by now, in the order of acceptance, as JSON."""
        with self._lock:
            self._google.settle(self._now())
            return self._google.book.lines()

    def state(self) -> dict[str, object]:
        """Counts, the book that both APIs share, and this API's latest refusals, as JSON."""
        with self._lock:
            return {
                "book": self.book(),
                "requests": dict(self._memory.counts),
                "refused": list(self._memory.refused),
            }

    def dump(self) -> dict[str, Any]:
        """Everything it remembers by itself, as JSON; clicks and book are with the Data Manager."""
        with self._lock:
            return self._memory.dump()

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Become what `dump` told of."""
        with self._lock:
            self._memory.load(dumped)
