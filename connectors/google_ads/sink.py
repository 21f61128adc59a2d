"""Google Ads as a `ConversionSink`, by either transport."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import assert_never

from connectors.google_ads.auth import GoogleOptions, Transport
from connectors.http import CancelToken
from connectors.ports import Adjusts
from connectors.records import Adjustment, Contact, EncodedEvent, Event, Identifier, Limits, Receipt, Resolution, Target


class GoogleSink:
    """The `ConversionSink` of a Google Ads customer, which also `Adjusts`.

    What was sent by one interface is replayed and resolved by it, whatever carries conversions now. The other
    interface's library is loaded only where something sent by it is left.
    """

    def __init__(self, options: GoogleOptions, *, cancel_token: CancelToken | None = None) -> None:
        """Make the present interface ready. A call ends soon after `cancel_token` raises.

        Raises Misconfigured where the key file or an address cannot be used.
        """
        self._by: Callable[[Transport], Adjusts] = cache(lambda transport: _carrier(options, transport, cancel_token))
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


def _carrier(options: GoogleOptions, transport: Transport, cancel_token: CancelToken | None) -> Adjusts:
    # Each vendor library is heavy and slow to load.
    match transport:
        case "data_manager":
            from connectors.google_ads.data_manager.sink import DataManagerSink  # noqa: PLC0415

            return DataManagerSink(options, cancel_token=cancel_token)
        case "google_ads_api":
            from connectors.google_ads.ads_api.sink import AdsApiSink  # noqa: PLC0415

            return AdsApiSink(options, cancel_token=cancel_token)
    assert_never(transport)
