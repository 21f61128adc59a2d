"""`ConversionSink` for Google Ads over either transport."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING

from connectors.google_ads import platform
from connectors.google_ads.options import GoogleOptions, endpoint, read_key
from connectors.google_ads.quota import quota_turn
from connectors.records import (
    Adjustment,
    Contact,
    ConversionEvent,
    EncodedEvent,
    Identifier,
    Receipt,
    Resolution,
    Target,
)

if TYPE_CHECKING:
    from connectors.google_ads.ads_api.sink import AdsApiSink
    from connectors.google_ads.data_manager.sink import DataManagerSink


class GoogleSink:
    """`ConversionSink` and `AdjustmentSink` for one Google Ads customer.

    Replays and resolves each delivery over the transport that sent it, whichever is configured now. A transport's
    library is loaded for its first delivery: a night without one does without.
    """

    def __init__(self, options: GoogleOptions) -> None:
        """Raise Misconfigured if the key file, its token server's address or the endpoint is unusable."""
        endpoint(options, options.transport)
        read_key(options.key_file)
        self._options, self._configured, self._quota = options, options.transport, options.write_quota
        self.limits = platform.LIMITS[options.transport]

    def hash_contact(self, contact: Contact) -> tuple[Identifier, ...]:
        """Return as many identifiers as the configured transport takes."""
        return platform.hash_contact(contact)[: platform.MOST_IDENTIFIERS[self._configured]]

    def load_library(self, target: Target) -> None:
        """Load the library of the target's transport."""
        self._by(target.transport)

    def wait_for_quota(self, target: Target) -> AbstractContextManager[None]:
        """Wait for the Cloud project's quota, if the target's transport is the one that has it, and count a request.

        Raises:
            QuotaFullError: it is full.
        """
        return quota_turn(self._quota if target.transport == "data_manager" else None)

    def encode(self, event: ConversionEvent) -> bytes:
        """Encode an event for the configured transport."""
        return self._by(self._configured).encode(event)

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send frozen events over the transport they were encoded for."""
        return self._by(target.transport).submit(target, batch)

    def encode_adjustment(self, adjustment: Adjustment) -> bytes:
        """Encode a correction for its target's transport; raise ValueError if that cannot carry it."""
        return self._by(adjustment.target.transport).encode_adjustment(adjustment)

    def adjust(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send frozen corrections over the transport they were encoded for."""
        return self._by(target.transport).adjust(target, batch)

    def fetch_request_outcomes(self, ticket: str, *, rows: int) -> Resolution:
        """Resolve a ticket; only the Data Manager API answers asynchronously, so only it issues tickets."""
        return self._data_manager.fetch_request_outcomes(ticket, rows=rows)

    def _by(self, transport: str) -> "AdsApiSink | DataManagerSink":
        return self._ads_api if transport == "google_ads_api" else self._data_manager

    # Imported lazily: each vendor library is slow to load.

    @cached_property
    def _ads_api(self) -> "AdsApiSink":
        from connectors.google_ads.ads_api.sink import AdsApiSink  # noqa: PLC0415

        return AdsApiSink(self._options)

    @cached_property
    def _data_manager(self) -> "DataManagerSink":
        from connectors.google_ads.data_manager.sink import DataManagerSink  # noqa: PLC0415

        return DataManagerSink(self._options)
