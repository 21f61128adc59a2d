"""A conversion as the Google Ads API's own message: frozen bytes, and the request that carries them.

https://developers.google.com/google-ads/api/reference/rpc/v26/ClickConversion
"""

from collections.abc import Iterable, Sequence

from google.ads.googleads.v26.common.types import Consent as ConsentMessage
from google.ads.googleads.v26.common.types import UserIdentifier
from google.ads.googleads.v26.enums.types import ConsentStatusEnum, ConversionEnvironmentEnum
from google.ads.googleads.v26.services.types import ClickConversion, UploadClickConversionsRequest
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from connectors.records import (
    ClickIdKind,
    Consent,
    EncodedEvent,
    Event,
    Identifier,
    IdentifierKind,
    Signal,
    Target,
    utc,
)

MOST_IDENTIFIERS = 5
"""Per conversion: `ClickConversion.user_identifiers`."""

_CLICK_IDS = {ClickIdKind.GCLID: "gclid", ClickIdKind.GBRAID: "gbraid", ClickIdKind.WBRAID: "wbraid"}
_IDENTIFIERS = {IdentifierKind.EMAIL: "hashed_email", IdentifierKind.PHONE: "hashed_phone_number"}
_SIGNALS = {
    Signal.GRANTED: ConsentStatusEnum.ConsentStatus.GRANTED,
    Signal.DENIED: ConsentStatusEnum.ConsentStatus.DENIED,
}
_ENVIRONMENTS = {
    "APP": ConversionEnvironmentEnum.ConversionEnvironment.APP,
    "WEB": ConversionEnvironmentEnum.ConversionEnvironment.WEB,
}


def encode(event: Event) -> bytes:
    """The event as one serialised `ClickConversion`: the same bytes for the same event.

    That is so whatever the order of its identifiers. The time is in UTC and whole seconds: the API knows no finer ones.
    No IP address or session attribute is ever sent.

    Raises KeyError for a kind of click id or identifier that Google does not take.
    """
    fields: dict[str, object] = {
        "conversion_action": f"customers/{event.target.owner}/conversionActions/{event.target.action}",
        "conversion_date_time": utc(event.at).isoformat(sep=" ", timespec="seconds"),
        "order_id": event.key,
        "user_identifiers": list(_user_identifiers(event.identifiers)),
    }
    if event.click_id is not None:
        fields[_CLICK_IDS[event.click_id.kind]] = event.click_id.value
    if event.value is not None:
        fields |= {"conversion_value": float(event.value.amount), "currency_code": event.value.currency}
    if consent := _consent(event.consent):
        fields["consent"] = consent
    if environment := _ENVIRONMENTS.get(event.target.source):
        fields["conversion_environment"] = environment
    message = ClickConversion.pb(ClickConversion(fields))
    serialised: bytes = message.SerializeToString(deterministic=True)
    return serialised


def upload_request(
    target: Target, batch: Sequence[EncodedEvent], *, validate_only: bool
) -> UploadClickConversionsRequest:
    """One request of frozen events to the account that owns their conversion action.

    Raises ValueError for bytes that are no event of this library's API.
    """
    request = UploadClickConversionsRequest.pb(UploadClickConversionsRequest())
    request.customer_id = target.owner
    request.partial_failure = True  # anything else fails the whole request
    request.validate_only = validate_only
    for event in batch:
        conversion = request.conversions.add()
        try:
            conversion.ParseFromString(event.body)
        except DecodeError:
            raise ValueError("these bytes are no message") from None
        if conversion.order_id != event.key:
            raise ValueError("these bytes are another event's, or another API's")
    whole: UploadClickConversionsRequest = UploadClickConversionsRequest.wrap(request)
    return whole


def _user_identifiers(identifiers: Iterable[Identifier]) -> Iterable[UserIdentifier]:
    """Each hash in a message of its own, since e-mail and phone share a oneof; e-mails first, five at most."""
    for identifier in sorted(set(identifiers))[:MOST_IDENTIFIERS]:
        yield UserIdentifier({_IDENTIFIERS[identifier.kind]: identifier.sha256})


def _consent(consent: Consent) -> ConsentMessage | None:
    signals = {"ad_user_data": consent.ad_user_data, "ad_personalization": consent.ad_personalization}
    given = {name: _SIGNALS[signal] for name, signal in signals.items() if signal}
    return ConsentMessage(given) if given else None
