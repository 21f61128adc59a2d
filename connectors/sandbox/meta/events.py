"""Checks of the shape and content of events."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from connectors.sandbox.meta.wire import MetaEvent, MetaRefusal
from connectors.sandbox.rules import MetaRule, broken_rules, read_sandbox_csv
from connectors.sandbox.rules import meta_rules as rules

HASHED = frozenset(
    "em ph fn ln db ge ct st zp country f5first f5last fi dobd dobm doby".split()  # noqa: SIM905 - shorter than a list
)
"""The keys of `user_data` whose values are hashes."""


@dataclass(frozen=True, slots=True)
class _Type:
    """A value's type, in Meta's words."""

    words: str
    fits: Callable[[object], bool]


def _is_texts(value: object) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)
    )


def _is_number(value: object) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


_TEXT = _Type("a string", lambda value: isinstance(value, str))
_TEXTS = _Type("a string or an array of strings", _is_texts)
_NUMBER = _Type("a number", _is_number)
_INTEGER = _Type("an integer", lambda value: type(value) is int)
_FLAG = _Type("a boolean", lambda value: type(value) is bool)
_LIST = _Type("an array", lambda value: isinstance(value, list))
_OBJECT = _Type("an object", lambda value: isinstance(value, dict))
_SCALAR = _Type("a string, a number or a boolean", lambda value: isinstance(value, str | bool) or _is_number(value))
_ANY = _Type("anything", lambda _: True)
"""A key with a rule of its own."""


def _types_by_field(types: Mapping[_Type, str]) -> dict[str, _Type]:
    return {name: kind for kind, names in types.items() for name in names.split()}


_EVENT = _types_by_field(
    {
        _TEXT: "event_name event_id event_source_url action_source advanced_measurement_table messaging_channel"
        " referrer_url",
        _INTEGER: "event_time data_processing_options_country data_processing_options_state",
        _FLAG: "opt_out",
        _LIST: "data_processing_options",
        _OBJECT: "user_data custom_data app_data original_event_data attribution_data customer_segmentation",
    }
)
_USER = _types_by_field(
    {
        _TEXTS: f"{' '.join(sorted(HASHED))} external_id",
        _TEXT: "client_ip_address client_user_agent fbp subscription_id madid anon_id ctwa_clid page_id",
        _INTEGER: "fb_login_id",
        _ANY: "lead_id fbc",
    }
)
_CUSTOM = _types_by_field(
    {
        _NUMBER: "value net_revenue predicted_ltv num_items",
        _TEXT: "currency order_id status content_name content_category content_type search_string item_number"
        " delivery_category event_source lead_event_source",
        _LIST: "content_ids contents",
    }
)
_CONTENT = _types_by_field(
    {_TEXT: "id title description brand category delivery_category", _NUMBER: "quantity item_price"}
)


def shape_refusals(event: MetaEvent, row: int) -> Iterator[MetaRefusal]:
    """Yield a refusal for every unknown key and every value of the wrong type."""
    yield from _field_type_refusals(event.fields, _EVENT, row, "")
    yield from _field_type_refusals(event.get_nested_object("user_data"), _USER, row, "['user_data']")
    custom = event.get_nested_object("custom_data")
    own = dict.fromkeys(custom.keys() - _CUSTOM.keys(), _SCALAR)
    yield from _field_type_refusals(custom, _CUSTOM | own, row, "['custom_data']")
    for index, content in enumerate(custom_data_contents(event)):
        place = f"['custom_data']['contents'][{index}]"
        if isinstance(content, dict):
            yield from _field_type_refusals(content, _CONTENT, row, place)
        else:
            yield _wrong_type_refusal(_OBJECT, row, place)


def custom_data_contents(event: MetaEvent) -> list[object]:
    """Return the items of `contents`; none if it isn't a list."""
    items = event.get_nested_object("custom_data").get("contents")
    return items if isinstance(items, list) else []


def _field_type_refusals(
    found: Mapping[str, object], known: Mapping[str, _Type], row: int, place: str
) -> Iterator[MetaRefusal]:
    for name, value in found.items():
        if name not in known:
            yield MetaRefusal(rules.SHAPE, place, row, f'Unexpected key "{name}" on param "{{path}}".')
        elif not known[name].fits(value):
            yield _wrong_type_refusal(known[name], row, f"{place}['{name}']")


def _wrong_type_refusal(kind: _Type, row: int, field: str) -> MetaRefusal:
    return MetaRefusal(rules.SHAPE, field, row, f"The parameter {{path}} must be {kind.words}.")


MAX_EVENTS = 1_000
AGE = timedelta(days=7)
STORE_AGE = timedelta(days=62)
STORE = "physical_store"

_REQUIRED = ("event_name", "event_time", "action_source", "user_data")
_SOURCES = frozenset({"email", "website", "phone_call", "chat", STORE, "system_generated", "other"})
_NOT_PLAYED = frozenset({"app", "business_messaging"})
_LEAD_IDS = range(10**14, 10**17)
_CLICK_ID = re.compile(r"fb\.[012]\.[1-9]\d{12}\.(?P<click>[\w-]+)(\.[\w-]+)?", re.ASCII)
"""The optional last part is a suffix that Meta's own parameter builder adds."""
_BROWSER_ID = re.compile(r"fb\.[012]\.[1-9]\d{12}\.\d+(\.[\w-]+)?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HASH_OF_NOTHING = sha256(b"").hexdigest()
_TOO_LITTLE = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
_CURRENCIES = frozenset(row["code"] for row in read_sandbox_csv("meta/currencies.csv"))


@dataclass(frozen=True, slots=True)
class MetaEventCheckContext:
    """When a request arrives, and how strictly its events are checked."""

    now: datetime
    ahead: timedelta
    """How far in the future an event may be."""
    ascii_names: bool
    any_click_id: bool


def violations(event: MetaEvent, row: int, arrival: MetaEventCheckContext) -> Iterator[MetaRefusal]:
    """Yield an event's refusals, shape first; the later ones may be consequences of the first."""
    yield from shape_refusals(event, row)
    for rule, field in _broken_event_rules(event, arrival):
        yield MetaRefusal(rule, field, row)


def click_and_lead_ids(event: MetaEvent) -> tuple[str, ...]:
    """Return the ids of an event's click or lead: fbc, the click id in it, lead_id."""
    user = event.get_nested_object("user_data")
    fbc, lead_id = user.get("fbc"), user.get("lead_id")
    names: tuple[str, ...] = ()
    if isinstance(fbc, str):
        found = _CLICK_ID.fullmatch(fbc)
        names = (fbc, found["click"]) if found else (fbc,)
    return names if lead_id is None else (*names, str(lead_id))


def _broken_event_rules(event: MetaEvent, arrival: MetaEventCheckContext) -> Iterator[tuple[MetaRule, str]]:
    fields, user = event.fields, event.get_nested_object("user_data")
    is_foreign = arrival.ascii_names and not str(fields.get("event_name")).isascii()
    yield from broken_rules(
        *((fields.get(name) in (None, ""), rules.REQUIRED, f"['{name}']") for name in _REQUIRED),
        (is_foreign, rules.ASCII_NAME, "['event_name']"),
    )
    yield from _source_violations(fields, user)
    yield from _time_violations(fields, arrival)
    yield from _user_violations(user, arrival)
    yield from _money_violations(event)
    for index, content in enumerate(custom_data_contents(event)):
        if not (isinstance(content, dict) and content.get("id")):
            yield rules.CONTENT_ID, f"['custom_data']['contents'][{index}]"


def _source_violations(fields: Mapping[str, object], user: Mapping[str, object]) -> Iterator[tuple[MetaRule, str]]:
    source = fields.get("action_source")
    website, no_agent = source == "website", not user.get("client_user_agent")
    yield from broken_rules(
        (source in _NOT_PLAYED, rules.NOT_PLAYED, "['action_source']"),
        (source not in _SOURCES | _NOT_PLAYED, rules.ACTION_SOURCE, "['action_source']"),
        (website and not fields.get("event_source_url"), rules.WEBSITE, "['event_source_url']"),
        (website and no_agent, rules.WEBSITE, "['user_data']['client_user_agent']"),
    )


def _time_violations(fields: Mapping[str, object], arrival: MetaEventCheckContext) -> Iterator[tuple[MetaRule, str]]:
    seconds = fields.get("event_time")
    if not isinstance(seconds, int):
        return
    store = fields.get("action_source") == STORE
    if seconds > (arrival.now + arrival.ahead).timestamp():
        yield rules.FUTURE, "['event_time']"
    elif seconds < (arrival.now - (STORE_AGE if store else AGE)).timestamp():
        yield rules.STORE_TOO_OLD if store else rules.TOO_OLD, "['event_time']"


def _user_violations(user: Mapping[str, object], arrival: MetaEventCheckContext) -> Iterator[tuple[MetaRule, str]]:
    lead_id, fbc, fbp = user.get("lead_id"), user.get("fbc"), user.get("fbp")
    is_lead_id = type(lead_id) is int and lead_id in _LEAD_IDS
    is_click_id = arrival.any_click_id or (isinstance(fbc, str) and _CLICK_ID.fullmatch(fbc))
    yield from broken_rules(
        ("lead_id" in user and not is_lead_id, rules.LEAD_ID, "['user_data']['lead_id']"),
        ("fbc" in user and not is_click_id, rules.CLICK_ID, "['user_data']['fbc']"),
        (isinstance(fbp, str) and not _BROWSER_ID.fullmatch(fbp), rules.BROWSER_ID, "['user_data']['fbp']"),
    )
    for name in sorted(HASHED & user.keys()):
        for value in _texts(user[name]):
            yield from broken_rules(
                (not _SHA256.fullmatch(value), rules.HASHED, f"['user_data']['{name}']"),
                (value == _HASH_OF_NOTHING, rules.NOT_HASH_OF_NOTHING, f"['user_data']['{name}']"),
            )
    if any(user.keys() <= combination for combination in _TOO_LITTLE):
        yield rules.ENOUGH, "['user_data']"


def _money_violations(event: MetaEvent) -> Iterator[tuple[MetaRule, str]]:
    custom = event.get_nested_object("custom_data")
    purchase = event.fields.get("event_name") == "Purchase"
    value, currency = custom.get("value"), custom.get("currency")
    has_currency, is_known = currency is not None, str(currency).upper() in _CURRENCIES
    yield from broken_rules(
        (purchase and value is None, rules.PURCHASE_VALUE, "['custom_data']['value']"),
        (purchase and not has_currency, rules.PURCHASE_CURRENCY, "['custom_data']['currency']"),
        (value is not None and not has_currency, rules.VALUE_CURRENCY, "['custom_data']['currency']"),
        (has_currency and not is_known, rules.CURRENCY, "['custom_data']['currency']"),
        (isinstance(value, int | float) and value < 0, rules.VALUE, "['custom_data']['value']"),
    )


def _texts(value: object) -> list[str]:
    found = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, str)]
