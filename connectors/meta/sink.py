"""`ConversionSink` for Meta's Conversions API."""

from collections.abc import Sequence

import requests

from connectors.http import CancelToken
from connectors.meta import encode, identity
from connectors.meta.graph import Graph, MetaOptions
from connectors.meta.outcomes import receipt
from connectors.one_call import receipt_of
from connectors.records import (
    UNREADABLE_EVENT,
    Answered,
    Contact,
    EncodedEvent,
    Event,
    Forgotten,
    Identifier,
    Limits,
    NotSent,
    Outcome,
    OutcomeClass,
    Receipt,
    Refused,
    Resolution,
    Target,
)

_CHECKED = Outcome(OutcomeClass.DONE, "CHECKED_LOCALLY", "Meta has no validation mode; checked on this machine only")


class MetaSink:
    """`ConversionSink` for one Meta dataset; every call opens its own connection."""

    def __init__(self, options: MetaOptions, *, cancel_token: CancelToken | None = None) -> None:
        """Check the options without making a call; calls end soon after `cancel_token` raises.

        Raises Misconfigured if the address, dataset, version or token is malformed.
        """
        self._is_validating = options.validate_only
        self._graph = Graph(options, cancel_token=cancel_token)

    @property
    def limits(self) -> Limits:
        """Limits of the Conversions API."""
        return encode.META

    def identify(self, contact: Contact) -> tuple[Identifier, ...]:
        """Hash the contact data by Meta's rules; return nothing if it wouldn't identify a person."""
        return identity.identify(contact)

    def encode(self, event: Event) -> bytes:
        """Return the event's bytes; equal events give equal bytes."""
        return encode.encode(event)

    def submit(self, target: Target, batch: Sequence[EncodedEvent]) -> Receipt:
        """Send frozen events of one name to one dataset in one request, which Meta accepts or refuses as a whole.

        A batch that Meta is known to refuse is refused locally. A validate-only sink checks locally and sends nothing,
        since Meta counts test events.
        """
        if not 0 < len(batch) <= encode.META.batch:
            size = Outcome(OutcomeClass.BUG, "LOCAL_BATCH", f"{len(batch)} events in one request")
            return Refused(size, unasked=True)
        try:
            texts = [event.body.decode() for event in batch]
            events = [encode.read(text) for text in texts]
        except ValueError:
            return UNREADABLE_EVENT
        if refused := encode.refusal(events):
            return refused
        if self._is_validating:
            return Answered((_CHECKED,) * len(batch))
        return self._send(target.owner, texts)

    def resolve(self, ticket: str, *, rows: int) -> Resolution:  # noqa: ARG002 - the port's names
        """Always return Forgotten: Meta answers synchronously and issues no tickets."""
        return Forgotten("META_GIVES_NO_TICKETS")

    def _send(self, dataset_id: str, events: Sequence[str]) -> Receipt:
        try:
            response = self._graph.post_events(dataset_id, events)
        except requests.RequestException as error:
            return receipt_of(error, "meta.graph_url")
        except OSError as error:  # no CA bundle at the path the environment sets; requests wraps network errors itself
            return NotSent(type(error).__name__)
        return receipt(response, len(events))
