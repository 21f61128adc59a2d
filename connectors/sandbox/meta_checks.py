"""What Meta checks in each event before it counts any of the request."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from connectors.sandbox import meta_rules as rules
from connectors.sandbox.meta_errors import Refusal
from connectors.sandbox.meta_rules import Answered
from connectors.sandbox.meta_shape import HASHED, contents, misshapen
from connectors.sandbox.meta_wire import Event

MAX_EVENTS = 1_000
AGE = timedelta(days=7)
STORE_AGE = timedelta(days=62)
STORE = "physical_store"

_REQUIRED = ("event_name", "event_time", "action_source", "user_data")
_SOURCES = frozenset({"email", "website", "phone_call", "chat", STORE, "system_generated", "other"})
_NOT_PLAYED = frozenset({"app", "business_messaging"})
_LEAD_IDS = range(10**14, 10**17)
_CLICK_ID = re.compile(r"fb\.[012]\.[1-9]\d{12}\.(?P<click>[\w-]+)(\.[\w-]+)?", re.ASCII)
"""The last part is an appendix that the vendor's own parameter builder adds."""
_BROWSER_ID = re.compile(r"fb\.[012]\.[1-9]\d{12}\.\d+(\.[\w-]+)?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOTHING = sha256(b"").hexdigest()
_TOO_LITTLE = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
_CURRENCIES = frozenset(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF"  # noqa: SIM905 - a table
    " CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG"
    " HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA"
    " MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD"
    " RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX"
    " USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG".split()
)
"""ISO 4217, money that circulates."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """When an event arrives, and how strictly it is looked at."""

    now: datetime
    ahead: timedelta
    """How far in the future it may lie."""
    ascii_names: bool
    any_click_id: bool


def faults(event: Event, row: int, arrival: Arrival) -> Iterator[Refusal]:
    """The rules an event breaks, those about its shape first; what follows a broken one may be its consequence."""
    yield from misshapen(event, row)
    for rule, field in _broken(event, arrival):
        yield Refusal(rule, row, field)


def click_names(event: Event) -> tuple[str, ...]:
    """The names a click or lead goes by: fbc, the click id in it, lead_id."""
    user = event.part("user_data")
    fbc, lead_id = user.get("fbc"), user.get("lead_id")
    names: tuple[str, ...] = ()
    if isinstance(fbc, str):
        found = _CLICK_ID.fullmatch(fbc)
        names = (fbc, found["click"]) if found else (fbc,)
    return names if lead_id is None else (*names, str(lead_id))


def _broken(event: Event, arrival: Arrival) -> Iterator[tuple[Answered, str]]:
    fields, user = event.fields, event.part("user_data")
    for name in _REQUIRED:
        if fields.get(name) in (None, ""):
            yield rules.REQUIRED, f"['{name}']"
    if arrival.ascii_names and not str(fields.get("event_name")).isascii():
        yield rules.ASCII_NAME, "['event_name']"
    yield from _source_faults(fields, user)
    yield from _time_faults(fields, arrival)
    yield from _user_faults(user, arrival)
    yield from _money_faults(event)
    for index, content in enumerate(contents(event)):
        if not (isinstance(content, dict) and content.get("id")):
            yield rules.CONTENT_ID, f"['custom_data']['contents'][{index}]"


def _source_faults(fields: Mapping[str, object], user: Mapping[str, object]) -> Iterator[tuple[Answered, str]]:
    source = fields.get("action_source")
    if source in _NOT_PLAYED:
        yield rules.NOT_PLAYED, "['action_source']"
    elif source not in _SOURCES:
        yield rules.ACTION_SOURCE, "['action_source']"
    elif source == "website":
        if not fields.get("event_source_url"):
            yield rules.WEBSITE, "['event_source_url']"
        if not user.get("client_user_agent"):
            yield rules.WEBSITE, "['user_data']['client_user_agent']"


def _time_faults(fields: Mapping[str, object], arrival: Arrival) -> Iterator[tuple[Answered, str]]:
    seconds = fields.get("event_time")
    if not isinstance(seconds, int):
        return
    store = fields.get("action_source") == STORE
    if seconds > (arrival.now + arrival.ahead).timestamp():
        yield rules.FUTURE, "['event_time']"
    elif seconds < (arrival.now - (STORE_AGE if store else AGE)).timestamp():
        yield rules.STORE_TOO_OLD if store else rules.TOO_OLD, "['event_time']"


def _user_faults(user: Mapping[str, object], arrival: Arrival) -> Iterator[tuple[Answered, str]]:
    lead_id, fbc, fbp = user.get("lead_id"), user.get("fbc"), user.get("fbp")
    if "lead_id" in user and not (type(lead_id) is int and lead_id in _LEAD_IDS):
        yield rules.LEAD_ID, "['user_data']['lead_id']"
    if "fbc" in user and not (arrival.any_click_id or (isinstance(fbc, str) and _CLICK_ID.fullmatch(fbc))):
        yield rules.CLICK_ID, "['user_data']['fbc']"
    if isinstance(fbp, str) and not _BROWSER_ID.fullmatch(fbp):
        yield rules.BROWSER_ID, "['user_data']['fbp']"
    for name in sorted(HASHED & user.keys()):
        for value in _texts(user[name]):
            if not _SHA256.fullmatch(value):
                yield rules.HASHED, f"['user_data']['{name}']"
            elif value == _NOTHING:
                yield rules.NOT_HASH_OF_NOTHING, f"['user_data']['{name}']"
    if any(user.keys() <= combination for combination in _TOO_LITTLE):
        yield rules.ENOUGH, "['user_data']"


def _money_faults(event: Event) -> Iterator[tuple[Answered, str]]:
    custom = event.part("custom_data")
    purchase = event.fields.get("event_name") == "Purchase"
    value, currency = custom.get("value"), custom.get("currency")
    if purchase and value is None:
        yield rules.PURCHASE_VALUE, "['custom_data']['value']"
    if currency is None and (purchase or value is not None):
        yield rules.PURCHASE_CURRENCY if purchase else rules.VALUE_CURRENCY, "['custom_data']['currency']"
    if currency is not None and str(currency).upper() not in _CURRENCIES:
        yield rules.CURRENCY, "['custom_data']['currency']"
    if isinstance(value, int | float) and (value < 0 or not math.isfinite(value)):
        yield rules.VALUE, "['custom_data']['value']"


def _texts(value: object) -> list[str]:
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, str)]
