"""What comes over the wire, read by the vendor's own messages and handed on as plain records.

The only module of the sandbox's Data Manager that touches `google-ads-datamanager`.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.ads.datamanager_v1 import types
from google.protobuf import json_format  # type: ignore[import-untyped]  # the vendor ships no types

GOOGLE_ADS = 1
HEX, BASE64 = 1, 2
GRANTED, DENIED = 1, 2


def _numbers(enum: Any) -> Mapping[str, int]:
    return {name: int(member) for name, member in enum.__members__.items()}


ERROR_REASONS = _numbers(types.ErrorReason)
PROCESSING_REASONS = _numbers(types.ProcessingErrorReason)
STATUSES = _numbers(types.RequestStatusPerDestination.RequestStatus)
ACCOUNT_TYPES = {number: name for name, number in _numbers(types.ProductAccount.AccountType).items()}
EVENT_SOURCES = frozenset(_numbers(types.EventSource).values())

_REQUEST = type(types.IngestEventsRequest.pb(types.IngestEventsRequest()))
_PLACE = re.compile(r"IngestEventsRequest\.?([\w.\[\]]*)")


class UnreadableIngestError(ValueError):
    """The body is not JSON of the request's message; the message is the path of the offending field.

    Never quotes the value: it may be personal data.
    """


@dataclass(frozen=True, slots=True)
class ProductAccount:
    """An account as a destination names it; `type` is the vendor's number, -1 where two fields disagree."""

    type: int
    id: str


@dataclass(frozen=True, slots=True)
class IngestDestination:
    """Where the request's events go; `action` as sent, `linked` where a third account is named."""

    reference: str
    operating: ProductAccount
    login: ProductAccount
    linked: bool
    action: str


@dataclass(frozen=True, slots=True)
class IngestEvent:
    """One event. `identifiers` are hashes as sent, None without user data; `digest` is the event's SHA-256.

    Enums are the vendor's numbers, 0 where unset.
    """

    references: tuple[str, ...]
    transaction_id: str
    at: datetime | None
    gclid: str
    gbraid: str
    wbraid: str
    other_ad_identifier: bool
    identifiers: tuple[str, ...] | None
    third_party_data: bool
    ad_user_data: int
    ad_personalization: int
    currency: str
    value: float | None
    source: int
    digest: str

    @property
    def click_ids(self) -> Mapping[str, str]:
        """The click ids that are set, by kind."""
        return {kind: v for kind in ("gclid", "gbraid", "wbraid") if (v := str(getattr(self, kind)))}


@dataclass(frozen=True, slots=True)
class Ingest:
    """One request to ingest events."""

    destinations: tuple[IngestDestination, ...]
    events: tuple[IngestEvent, ...]
    ad_user_data: int
    ad_personalization: int
    encoding: int
    encrypted: bool
    validate_only: bool

    def addressed(self, destination: IngestDestination) -> list[tuple[int, IngestEvent]]:
        """The events that go to this destination, each with its index; one without references goes to all."""
        return [
            (index, event)
            for index, event in enumerate(self.events)
            if not event.references or destination.reference in event.references
        ]


def parse(body: bytes) -> Ingest:
    """Read a request body, enums as names or numbers, or raise `UnreadableIngestError`."""
    try:
        message = json_format.Parse(body.decode(), _REQUEST(), ignore_unknown_fields=False)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as refusal:
        place = _PLACE.search(str(refusal))
        # `from None`: the parser quotes what it could not read.
        raise UnreadableIngestError(place[1].rstrip(".") if place else "") from None
    return Ingest(
        destinations=tuple(_destination(each) for each in message.destinations),
        events=tuple(_event(each) for each in message.events),
        ad_user_data=message.consent.ad_user_data,
        ad_personalization=message.consent.ad_personalization,
        encoding=message.encoding,
        encrypted=message.HasField("encryption_info"),
        validate_only=message.validate_only,
    )


def _destination(message: Any) -> IngestDestination:
    return IngestDestination(
        reference=message.reference,
        operating=_account(message.operating_account),
        login=_account(message.login_account),
        linked=message.HasField("linked_account"),
        action=message.product_destination_id,
    )


def _account(message: Any) -> ProductAccount:
    # `product` is the deprecated twin of `account_type`, with the same numbers; both set must agree.
    agreed = {message.product, message.account_type} - {0}
    return ProductAccount(type=max(agreed, default=0) if len(agreed) < 2 else -1, id=message.account_id)  # noqa: PLR2004 - two voices


def _event(message: Any) -> IngestEvent:
    ads = message.ad_identifiers
    return IngestEvent(
        references=tuple(message.destination_references),
        transaction_id=message.transaction_id,
        at=message.event_timestamp.ToDatetime(UTC) if message.HasField("event_timestamp") else None,
        gclid=ads.gclid,
        gbraid=ads.gbraid,
        wbraid=ads.wbraid,
        other_ad_identifier=bool(ads.dclid or ads.impression_id or ads.match_id or ads.mobile_device_id),
        identifiers=_identifiers(message.user_data) if message.HasField("user_data") else None,
        third_party_data=message.HasField("third_party_user_data"),
        ad_user_data=message.consent.ad_user_data,
        ad_personalization=message.consent.ad_personalization,
        currency=message.currency,
        value=message.conversion_value if message.HasField("conversion_value") else None,
        source=message.event_source,
        digest=digest(message),
    )


def _identifiers(user_data: Any) -> tuple[str, ...]:
    found: list[str] = []
    for each in user_data.user_identifiers:
        kind = each.WhichOneof("identifier")
        if kind == "address":
            found += [each.address.given_name, each.address.family_name]
        else:
            found.append(getattr(each, kind) if kind else "")
    return tuple(found)


def digest(event: Any) -> str:
    """SHA-256 (hex) of a vendor `Event` message, the same for every spelling of the same event."""
    plain = json_format.MessageToDict(event, use_integers_for_enums=True)
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
