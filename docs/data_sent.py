"""What each platform receives, field by field, asked of the encoders themselves.

Each encoder gets every kind of event it takes, filled in wherever it can be, and every field of what comes out must be
explained below. A field without an explanation, or an explanation without a field, fails `make docs`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from google.ads.datamanager_v1 import IngestEventsRequest
from google.ads.googleads.v26.services.types import ClickConversion, ConversionAdjustment
from google.protobuf.json_format import MessageToDict

from connectors.google_ads.ads_api import sink as ads_api
from connectors.google_ads.data_manager import sink as data_manager
from connectors.language import Language
from connectors.meta import encode as meta
from connectors.records import (
    Adjustment,
    AdjustmentKind,
    ClickId,
    ClickIdKind,
    Consent,
    ConsentSignalValue,
    ContactIdentifierKind,
    ConversionEvent,
    DestinationId,
    Identifier,
    LeadId,
    Money,
    Target,
)
from jobs.rules.model import delivery_key

Fields = Mapping[str, object]

_AT = datetime(2026, 11, 1, 10, 30, tzinfo=UTC)
_KEY = delivery_key("account", LeadId("L-1"), "sale", DestinationId("google_ads"), 1)
_VALUE = Money(Decimal("1250.50"), "EUR")
_GRANTED = Consent(ConsentSignalValue.GRANTED, ConsentSignalValue.GRANTED)
_DIGITS = "123456789012345"
"""A click id that every kind may have."""
_HASH = re.compile("[0-9a-f]+")


class Text(NamedTuple):
    """A text in each language."""

    en: str
    fr: str


@dataclass(frozen=True, slots=True)
class Why:
    """What a field holds and what for; of one that is not in every message, also when it is there."""

    what: Text
    purpose: Text
    when: Text | None = None


# ── asking the encoders ──────────────────────────────────────────────────────────────────────────


def _events(encode: Callable[[ConversionEvent], object], targets: Iterable[Target]) -> Iterator[ConversionEvent]:
    """Yield an event with nothing optional, then each click id and each identifier that the encoder takes, alone."""
    for target in targets:
        bare = ConversionEvent(_KEY, target, _AT, None, (), None, Consent(None, None))
        full = replace(bare, value=_VALUE, consent=_GRANTED)
        tried = [bare, full]
        tried += [replace(full, click_id=ClickId(kind, _DIGITS, _AT)) for kind in ClickIdKind]
        tried += [
            replace(full, identifiers=(Identifier.hash_normalized_value(kind, "x"),)) for kind in ContactIdentifierKind
        ]
        yield from (event for event in tried if _is_taken(encode, event))


def _is_taken(encode: Callable[[ConversionEvent], object], event: ConversionEvent) -> bool:
    try:
        encode(event)
    except (KeyError, ValueError):
        return False
    return True


def _data_manager_events() -> Iterator[Fields]:
    targets = [Target("data_manager", "1234567890", "987654321", source) for source in data_manager._SOURCES]  # noqa: SLF001
    for event in _events(data_manager.encode_event, targets):
        yield json.loads(data_manager.encode_event(event))
        if event.click_id:
            corrected = Adjustment(_KEY, event.target, AdjustmentKind.RESTATEMENT, _AT, _VALUE, event)
            yield json.loads(data_manager.encode_correction(corrected))


def _data_manager_requests() -> Iterator[Fields]:
    target = Target("data_manager", "1234567890", "987654321", "WEB")
    for manager in (None, "1112223333"):
        request = data_manager.ingest_request(target, login_customer_id=manager, validate_only=True)
        yield MessageToDict(IngestEventsRequest.pb(request))


def _ads_api_events() -> Iterator[Fields]:
    targets = [Target("google_ads_api", "1234567890", "987654321", source) for source in ("WEB", "OTHER")]
    for event in _events(ads_api.encode_event, targets):
        read = ClickConversion.pb(ClickConversion())
        read.ParseFromString(ads_api.encode_event(event))
        yield MessageToDict(read, preserving_proto_field_name=True)


def _ads_api_corrections() -> Iterator[Fields]:
    target = Target("google_ads_api", "1234567890", "987654321", "WEB")
    for kind, value in ((AdjustmentKind.RETRACTION, None), (AdjustmentKind.RESTATEMENT, _VALUE)):
        read = ConversionAdjustment.pb(ConversionAdjustment())
        read.ParseFromString(ads_api.encode_correction(Adjustment(_KEY, target, kind, _AT, value, None)))
        yield MessageToDict(read, preserving_proto_field_name=True)


def _meta_events() -> Iterator[Fields]:
    targets = [
        Target("conversions_api", "1234567890", "Purchase", source) for source in ("system_generated", meta.FUNNEL)
    ]
    for event in _events(meta.encode, targets):
        yield json.loads(meta.encode(event))


def leaves(fields: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the path and value of each field that holds a value."""
    match fields:
        case dict():
            for name, each in fields.items():
                yield from leaves(each, f"{path}.{name}" if path else name)
        case list():
            for each in fields:
                yield from leaves(each, path)
        case _:
            yield path, fields


# ── explaining the fields ────────────────────────────────────────────────────────────────────────

_VALUE_WHEN = Text("if the conversion has a value", "si la conversion a une valeur")
_CONSENT_WHEN = Text("if the lead's answer is configured", "si la réponse du lead est paramétrée")
_CONTACT_WHEN = Text(
    "if `contact_data: attach`, or `audience: all` for a lead without a click id",
    "si `contact_data: attach`, ou `audience: all` pour un lead sans identifiant de clic",
)
_CLICK = Text("the lead came from an ad of this platform", "le lead vient d’une annonce de cette plateforme")
_MATCH = Text("finds the ad that was clicked", "retrouver l’annonce cliquée")
_MATCH_PERSON = Text(
    "finds the account of a person who has seen or clicked an ad",
    "retrouver le compte d’une personne qui a vu ou cliqué une annonce",
)
_KEY_WHY = Why(
    Text(
        "key of the conversion, made of account, lead id, conversion and destination",
        "clé de la conversion, tirée du compte, de l’identifiant du lead, de la conversion et de la destination",
    ),
    Text("counts each conversion once, and corrects it", "compter chaque conversion une seule fois, et la corriger"),
)
_TIME_WHY = Why(
    Text("time at which the lead reached the stage", "date et heure auxquelles le lead a atteint l’étape"),
    Text("attributes it to the right click, in time", "attribuer la conversion au bon clic, dans les délais"),
)
_AMOUNT_WHY = Why(
    Text("amount of the quote or sale, or an estimate", "montant du devis ou de la vente, ou estimation"),
    Text("bids by value", "enchérir selon la valeur"),
    _VALUE_WHEN,
)
_CURRENCY_WHY = Why(Text("currency", "devise"), Text("reads the value", "lire la valeur"), _VALUE_WHEN)
_USER_DATA_WHY = Why(
    Text("answer on the use of data for ads", "réponse sur l’utilisation des données à des fins publicitaires"),
    Text("Google requires it", "exigé par Google"),
    _CONSENT_WHEN,
)
_PERSONALIZATION_WHY = Why(
    Text("answer on personalised ads", "réponse sur la personnalisation des annonces"),
    Text("Google requires it", "exigé par Google"),
    _CONSENT_WHEN,
)
_ACTION_WHY = Why(
    Text("your conversion action, and the account that owns it", "votre action de conversion et son compte"),
    Text("says what is counted", "désigner ce qui est compté"),
)


def _click_id(name: str) -> Why:
    return Why(Text(f"click id ({name})", f"identifiant de clic ({name})"), _MATCH, _CLICK)


def _contact(en: str, fr: str) -> Why:
    return Why(Text(en, fr), _MATCH_PERSON, _CONTACT_WHEN)


_EMAIL, _PHONE = _contact("e-mail address", "adresse e-mail"), _contact("phone number", "numéro de téléphone")

_CORRECTED = Text("if the value changes", "si la valeur change")

MESSAGES: Mapping[str, tuple[Callable[[], Iterator[Fields]], Mapping[str, Why]]] = {
    "data_manager events": (
        _data_manager_events,
        {
            "transactionId": _KEY_WHY,
            "eventTimestamp": _TIME_WHY,
            "eventSource": Why(
                Text("kind of place, as in the settings (`WEB`…)", "type de lieu, selon les réglages (`WEB`…)"),
                Text("Google requires it", "exigé par Google"),
            ),
            "conversionValue": _AMOUNT_WHY,
            "currency": _CURRENCY_WHY,
            "adIdentifiers.gclid": _click_id("gclid"),
            "adIdentifiers.gbraid": _click_id("gbraid"),
            "adIdentifiers.wbraid": _click_id("wbraid"),
            "userData.userIdentifiers.emailAddress": _EMAIL,
            "userData.userIdentifiers.phoneNumber": _PHONE,
            "consent.adUserData": _USER_DATA_WHY,
            "consent.adPersonalization": _PERSONALIZATION_WHY,
        },
    ),
    "data_manager requests": (
        _data_manager_requests,
        {
            "destinations.operatingAccount.accountType": Why(
                Text("that the account is a Google Ads account", "nature du compte\u00a0: Google Ads"),
                Text("addresses the request", "adresser la requête"),
            ),
            "destinations.operatingAccount.accountId": Why(
                Text("your Google Ads account", "votre compte Google Ads"),
                Text("addresses the request", "adresser la requête"),
            ),
            "destinations.productDestinationId": _ACTION_WHY,
            "destinations.loginAccount.accountType": Why(
                Text("that the manager account is a Google Ads account", "nature du compte administrateur"),
                Text("addresses the request", "adresser la requête"),
                _MANAGED := Text("if a manager account is configured", "si un compte administrateur est paramétré"),
            ),
            "destinations.loginAccount.accountId": Why(
                Text("the manager account", "le compte administrateur"),
                Text("addresses the request", "adresser la requête"),
                _MANAGED,
            ),
            "encoding": Why(Text("how hashes are written", "écriture des empreintes"), Text("reads them", "les lire")),
            "validateOnly": Why(
                Text("whether it is only a trial", "indique un simple essai"),
                Text("records nothing then", "dans ce cas, rien n’est enregistré"),
            ),
        },
    ),
    "ads_api events": (
        _ads_api_events,
        {
            "order_id": _KEY_WHY,
            "conversion_date_time": _TIME_WHY,
            "conversion_action": _ACTION_WHY,
            "conversion_environment": Why(
                Text("kind of place (`WEB`, `APP`)", "type de lieu (`WEB`, `APP`)"),
                Text("says where the lead came from", "dire d’où vient le lead"),
                Text("for these two sources", "pour ces deux sources"),
            ),
            "conversion_value": _AMOUNT_WHY,
            "currency_code": _CURRENCY_WHY,
            "gclid": _click_id("gclid"),
            "gbraid": _click_id("gbraid"),
            "wbraid": _click_id("wbraid"),
            "user_identifiers.hashed_email": _EMAIL,
            "user_identifiers.hashed_phone_number": _PHONE,
            "consent.ad_user_data": _USER_DATA_WHY,
            "consent.ad_personalization": _PERSONALIZATION_WHY,
        },
    ),
    "ads_api corrections": (
        _ads_api_corrections,
        {
            "order_id": _KEY_WHY,
            "conversion_action": _ACTION_WHY,
            "adjustment_date_time": Why(
                Text("time of the correction", "date et heure de la correction"),
                Text("orders corrections", "ordonner les corrections"),
            ),
            "adjustment_type": Why(
                Text("retraction or new value", "retrait ou nouvelle valeur"),
                Text("says what is corrected", "dire ce qui est corrigé"),
            ),
            "restatement_value.adjusted_value": replace(_AMOUNT_WHY, when=_CORRECTED),
            "restatement_value.currency_code": replace(_CURRENCY_WHY, when=_CORRECTED),
        },
    ),
    "meta events": (
        _meta_events,
        {
            "event_name": Why(
                Text("your event or stage", "votre événement ou étape"),
                Text("says what is counted", "désigner ce qui est compté"),
            ),
            "event_time": _TIME_WHY,
            "event_id": _KEY_WHY,
            "action_source": Why(
                Text("kind of place, as in the settings", "type de lieu, selon les réglages"),
                Text("Meta requires it", "exigé par Meta"),
            ),
            "custom_data.order_id": replace(_KEY_WHY, when=Text("outside the funnel", "hors entonnoir")),
            "custom_data.value": _AMOUNT_WHY,
            "custom_data.currency": _CURRENCY_WHY,
            "custom_data.event_source": Why(
                Text("the word `crm`", "le mot `crm`"),
                Text("counts it as a stage of the funnel", "le compter comme étape de l’entonnoir"),
                _FUNNEL := Text("in the funnel", "dans l’entonnoir"),
            ),
            "custom_data.lead_event_source": Why(
                Text("the word `Oplead`", "le mot `Oplead`"),
                Text("counts it as a stage of the funnel", "le compter comme étape de l’entonnoir"),
                _FUNNEL,
            ),
            "user_data.lead_id": Why(
                Text(
                    "id that Meta gave the lead of its own form", "identifiant donné par Meta au lead de son formulaire"
                ),
                Text("finds the form that was filled in", "retrouver le formulaire rempli"),
                Text("the lead came from a form of Meta's", "le lead vient d’un formulaire de Meta"),
            ),
            "user_data.fbc": _click_id("fbclid, fbc"),
            "user_data.em": _EMAIL,
            "user_data.ph": _PHONE,
            "user_data.fn": _contact("first name", "prénom"),
            "user_data.ln": _contact("last name", "nom"),
            "user_data.ct": _contact("city", "ville"),
            "user_data.zp": _contact("postcode", "code postal"),
            "user_data.country": _contact("country", "pays"),
        },
    ),
}
"""The kinds of message that are sent, each with the explanation of its fields."""

ALWAYS = Text("always", "toujours")
CLEAR = Text("clear", "en clair")
HASHES = {64: Text("SHA-256", "SHA-256"), 40: Text("SHA-256, shortened", "SHA-256 abrégé")}
"""By the number of hexadecimal digits."""
HEADER = (
    Text("field", "champ"),
    Text("what it holds", "contenu"),
    Text("form", "forme"),
    Text("when", "quand"),
    Text("what for", "finalité"),
)


def rows(message: str, language: Language) -> Iterator[tuple[str, ...]]:
    """Yield a message's fields: name, content, form, when, and purpose.

    Raises:
        LookupError: a field lacks its explanation, an explanation its field, or one says wrongly when it is sent.
    """
    ask, explained = MESSAGES[message]
    sent = [list(leaves(fields)) for fields in ask()]
    values: dict[str, list[object]] = {}
    for path, value in (leaf for each in sent for leaf in each):
        values.setdefault(path, []).append(value)
    if differing := values.keys() ^ explained.keys():
        raise LookupError(f"{message}: explained or sent only, in docs/data_sent.py: {', '.join(sorted(differing))}")
    for path, why in explained.items():
        if (all(path in dict(each) for each in sent)) is not (why.when is None):
            raise LookupError(f"{message}: {path}: docs/data_sent.py does not say rightly whether it is always sent")
        texts = (why.what, _form(values[path]), why.when or ALWAYS, why.purpose)
        yield f"`{path}`", *(getattr(text, language) for text in texts)


def _form(values: Iterable[object]) -> Text:
    """Return how a field's values are written: as hashes where all of them are."""
    (length, *others) = {len(text) if _HASH.fullmatch(text := str(value)) else 0 for value in values}
    return CLEAR if others else HASHES.get(length, CLEAR)
