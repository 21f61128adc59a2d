"""Meta's Conversions API as a `ConversionSink`, and its limits."""

from collections.abc import Sequence
from datetime import date, timedelta

import requests

from connectors.http import CancelToken, is_unknown_host
from connectors.meta import encode, identity
from connectors.meta.graph import Graph, MetaOptions
from connectors.meta.outcomes import receipt
from connectors.one_call import never_connected
from connectors.records import (
    Answered,
    ApiVersion,
    ClickIdKind,
    Contact,
    EncodedEvent,
    Event,
    Forgotten,
    Identifier,
    Limits,
    Lost,
    NotSent,
    Outcome,
    OutcomeClass,
    Receipt,
    Refused,
    Resolution,
    Target,
)

_MARGIN = timedelta(hours=4)
"""Less than Meta allows: one event that grows too old on its way takes its whole request with it."""

GRAPH_API = ApiVersion(
    "Graph API v26.0",
    # The Conversions API ends with the Marketing API's versions, about a year after each came out, and not with
    # Graph's two years. No day is named for v26.0 of 2026-07-29; the last three lived 370 days at least.
    date(2027, 8, 3),
    "https://developers.facebook.com/docs/marketing-api/marketing-api-changelog/versions",
    is_estimate=True,
)
"""The version spoken."""

META = Limits(
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/using-the-api
    batch=1000,
    click_ids=(ClickIdKind.LEAD_ID, ClickIdKind.FBC, ClickIdKind.FBCLID),
    interchangeable=frozenset({ClickIdKind.FBC, ClickIdKind.FBCLID}),
    contact_beside=frozenset({ClickIdKind.LEAD_ID, ClickIdKind.FBC, ClickIdKind.FBCLID}),
    opens_after_click=timedelta(0),
    # Meta names no age at which a click or a person is forgotten. The year is ours, so that ids do not stay for ever.
    click_window=timedelta(days=365),
    contact_window=timedelta(days=365),
    # It has no field for consent, so personalisation cannot be refused to it while the rest is granted.
    needs_personalization=True,
    resolve_after=timedelta(0),
    # "If any event_time in data is greater than 7 days in the past, we return an error for the entire request"
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event
    event_window=timedelta(days=7) - _MARGIN,
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/offline-events
    source_windows={"physical_store": timedelta(days=62) - _MARGIN},
    # One event_id and event_name count once for 48 hours, promised for a browser's event and a server's only.
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/deduplicate-pixel-and-server-events
    replay_within=timedelta(hours=48),
    # "Do not attempt to backfill more than 7 days by modifying event_time"
    # https://developers.facebook.com/docs/marketing-api/conversions-api/conversion-leads-integration/payload-specification
    takes_assumed_times=False,
    version=GRAPH_API,
)
"""The Conversions API's."""


_CHECKED = Outcome(OutcomeClass.DONE, "CHECKED_LOCALLY", "Meta has no validation mode; checked on this machine only")


class MetaSink:
    """The `ConversionSink` of one Meta dataset; each call stands on its own connection."""

    def __init__(self, options: MetaOptions, *, cancel_token: CancelToken | None = None) -> None:
        """Make ready to send; nothing is called. A call ends soon after `cancel_token` raises.

        Raises Misconfigured where the address, dataset, version or token cannot work.
        """
        self._options = options
        self._graph = Graph(options, cancel_token=cancel_token)

    @property
    def limits(self) -> Limits:
        """What the Conversions API takes."""
        return META

    def identify(self, contact: Contact) -> tuple[Identifier, ...]:
        """The contact's data hashed by Meta's rules; nothing where it would not tell a person."""
        return identity.identify(contact)

    def encode(self, event: Event) -> bytes:
        """The event's bytes, the same for the same event."""
        return encode.encode(event)

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send frozen events of one name to one dataset in one request, which Meta takes whole or not at all.

        What Meta is known to refuse is refused here first, and then nothing is sent. Nor is it by a sink made to
        validate only: Meta counts what it is shown as a test.
        """
        if not 0 < len(batch) <= META.batch:
            return Refused(
                Outcome(OutcomeClass.BUG, "LOCAL_BATCH", f"{len(batch)} events in one request"), unasked=True
            )
        try:
            texts = [event.body.decode() for event in batch]
            events = [encode.read(text) for text in texts]
        except ValueError:
            return Refused(
                Outcome(OutcomeClass.BUG, "EVENT_CANNOT_BE_READ", "its frozen bytes are no event of this version"),
                unasked=True,
            )
        if refused := encode.refusal(events):
            return refused
        if self._options.validate_only:
            return Answered((_CHECKED,) * len(batch))
        return self._send(target.owner, texts)

    def resolve(self, ticket: str, *, rows: int) -> Resolution:  # noqa: ARG002 - the port's names
        """Meta gives no tickets: what it says, it says at once."""
        return Forgotten("META_GIVES_NO_TICKETS")

    def _send(self, dataset_id: str, events: Sequence[str]) -> Receipt:
        try:
            response = self._graph.post_events(dataset_id, events)
        except requests.RequestException as error:
            reason = type(error).__name__  # its message may hold the address, its request the events
            if is_unknown_host(error):
                return NotSent("the host name in meta.graph_url does not exist", is_unknown_host=True)
            return NotSent(f"no connection: {reason}") if never_connected(error) else Lost(reason)
        except OSError as error:  # no CA bundle where the environment says; what requests sends through it wraps
            return NotSent(type(error).__name__)
        return receipt(response, len(events))
