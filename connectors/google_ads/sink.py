"""Google Ads as a `ConversionSink`, by either transport, with the limits of both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Literal, Protocol, assert_never

from connectors.http import CancelToken
from connectors.ports import Adjusts, ConversionSink
from connectors.records import (
    Adjustment,
    AdjustmentKind,
    ApiVersion,
    ClickIdKind,
    Contact,
    Correction,
    EncodedEvent,
    Event,
    Identifier,
    Limits,
    Receipt,
    Resolution,
    Target,
)

Transport = Literal["data_manager", "google_ads_api"]


@dataclass(frozen=True, slots=True)
class GoogleOptions:
    """How one Google Ads customer is reached."""

    customer_id: str
    """Digits; the account that owns the conversion actions."""
    login_customer_id: str | None
    """Digits; the manager account that gives access, where one does."""
    key_file: Path
    """A service account's JSON key; it names the token server."""
    transport: Transport
    """What carries conversions from now on."""
    data_manager_endpoint: str = "https://datamanager.googleapis.com"
    ads_api_endpoint: str = "https://googleads.googleapis.com"
    validate_only: bool = False
    """Have conversions checked and counted nowhere."""


class _Carrier(ConversionSink, Adjusts, Protocol):
    """One of the two interfaces."""


class GoogleSink:
    """The `ConversionSink` of a Google Ads customer, which also `Adjusts`.

    What one interface was sent is replayed by it, and asked of it, whatever carries conversions now. The other
    interface's library is loaded only where there is something of it left.
    """

    def __init__(self, options: GoogleOptions, *, cancel_token: CancelToken | None = None) -> None:
        """Make the present interface ready. A call ends soon after `cancel_token` raises.

        Raises Misconfigured where the key file or an address cannot be used.
        """
        self._by: Callable[[Transport], _Carrier] = cache(lambda transport: _carrier(options, transport, cancel_token))
        self._present = self._by(options.transport)

    @property
    def limits(self) -> Limits:
        """What the present interface takes."""
        return self._present.limits

    def identify(self, contact: Contact) -> tuple[Identifier, ...]:
        """The contact's e-mails and phones by Google's rules."""
        return self._present.identify(contact)

    def encode(self, event: Event) -> bytes:
        """The event's bytes for the present interface."""
        return self._present.encode(event)

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send frozen events by the interface they were frozen for."""
        return self._by(_transport(target)).submit(target, batch)

    def encode_adjustment(self, adjustment: Adjustment) -> bytes:
        """The correction's bytes for the interface that carries it.

        Raises ValueError for what that interface cannot correct.
        """
        return self._by(_transport(adjustment.target)).encode_adjustment(adjustment)

    def adjust(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send frozen corrections by the interface they were frozen for, whatever carries conversions now."""
        return self._by(_transport(target)).adjust(target, batch)

    def resolve(self, ticket: str, *, rows: int) -> Resolution:
        """Ask what became of a request; only the Data Manager API answers later, so only it gives tickets."""
        return self._by("data_manager").resolve(ticket, rows=rows)


def _transport(target: Target) -> Transport:
    return "google_ads_api" if target.transport == "google_ads_api" else "data_manager"


def _carrier(options: GoogleOptions, transport: Transport, cancel_token: CancelToken | None) -> _Carrier:
    # Each vendor library is heavy and slow to load.
    match transport:
        case "data_manager":
            from connectors.google_ads.data_manager.sink import DataManagerOptions, DataManagerSink  # noqa: PLC0415

            return DataManagerSink(
                DataManagerOptions(
                    customer_id=options.customer_id,
                    login_customer_id=options.login_customer_id,
                    key_file=options.key_file,
                    endpoint=options.data_manager_endpoint,
                    validate_only=options.validate_only,
                ),
                cancel_token=cancel_token,
            )
        case "google_ads_api":
            from connectors.google_ads.ads_api.sink import AdsApiOptions, AdsApiSink  # noqa: PLC0415

            return AdsApiSink(
                AdsApiOptions(
                    customer_id=options.customer_id,
                    login_customer_id=options.login_customer_id,
                    key_file=options.key_file,
                    endpoint=options.ads_api_endpoint,
                    validate_only=options.validate_only,
                ),
                cancel_token=cancel_token,
            )
    assert_never(transport)


_CLICK_IDS = (ClickIdKind.GCLID, ClickIdKind.GBRAID, ClickIdKind.WBRAID)
_ADJUSTABLE = timedelta(days=54)
"""CONVERSION_EXPIRED's text: "more than 54 days ago"; the Data Manager API names no end of its own."""

CORRECTIONS = {
    # It has no retraction: https://developers.google.com/data-manager/api/devguides/events/google-ads/offline/upgrade
    "data_manager": Correction(
        kinds=frozenset({AdjustmentKind.RESTATEMENT}),
        within=_ADJUSTABLE,
        batch=2000,
        by_resending=True,
    ),
    # "work with GCLIDs and GBRAIDs, but don't work with WBRAIDs":
    # https://developers.google.com/google-ads/api/docs/conversions/upload-adjustments
    "google_ads_api": Correction(
        kinds=frozenset(AdjustmentKind),
        within=_ADJUSTABLE,
        batch=2000,
        by_resending=False,
        except_by=frozenset({ClickIdKind.WBRAID}),
    ),
}
"""What can be corrected at a customer, by either interface and whichever is the present one."""

DATA_MANAGER = Limits(
    # https://developers.google.com/data-manager/api/devguides/limits
    batch=2000,
    click_ids=_CLICK_IDS,
    contact_beside=frozenset(_CLICK_IDS),
    # "less than 6 hours ago. Retry after 6 hours": the Google Ads API's text of TOO_RECENT_EVENT
    opens_after_click=timedelta(hours=6),
    # https://support.google.com/google-ads/answer/10029210: 90 days by click id, 63 by contact data
    click_window=timedelta(days=90),
    contact_window=timedelta(days=63),
    needs_personalization=False,
    # https://developers.google.com/data-manager/api/devguides/diagnostics
    resolve_after=timedelta(minutes=30),
    corrects=CORRECTIONS,
)
"""The Data Manager API's; no end of its v1 is announced."""

_SUNSETS = "https://developers.google.com/google-ads/api/docs/sunset-dates"

ADS_API_VERSIONS = {
    # The page names a month; a version may be refused from its first day on.
    "v23": ApiVersion("Google Ads API v23", date(2027, 2, 1), _SUNSETS),
    "v24": ApiVersion("Google Ads API v24", date(2027, 5, 1), _SUNSETS),
    "v25": ApiVersion("Google Ads API v25", date(2027, 8, 1), _SUNSETS),
    "v26": ApiVersion("Google Ads API v26", date(2027, 11, 1), _SUNSETS),
}
"""The versions in the pinned library."""

ADS_API = replace(
    DATA_MANAGER,
    # Integrators saw gbraid and wbraid refused beside contact data:
    # https://github.com/segmentio/action-destinations/pull/2365
    contact_beside=frozenset({ClickIdKind.GCLID}),
    resolve_after=timedelta(0),
    version=ADS_API_VERSIONS["v26"],
)
"""The Google Ads API's `UploadClickConversions`: 2,000 conversions a request, and its answer tells every outcome.

https://developers.google.com/google-ads/api/docs/conversions/upload-offline
"""
