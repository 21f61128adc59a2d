"""Which keys an event may have, and of what type each is.

https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event and the pages
beside it; names as the `facebook-business` library writes them.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from connectors.sandbox import meta_rules as rules
from connectors.sandbox.meta_errors import Refusal
from connectors.sandbox.meta_wire import Event

HASHED = frozenset(
    "em ph fn ln db ge ct st zp country f5first f5last fi dobd dobm doby".split()  # noqa: SIM905 - read as one line
)
"""The keys of `user_data` whose values are hashes."""


@dataclass(frozen=True, slots=True)
class _Type:
    """What a value has to be, in Meta's words."""

    words: str
    fits: Callable[[object], bool]


def _is_texts(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and bool(value) and all(map(_is_text, value)))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


_TEXT = _Type("a string", _is_text)
_TEXTS = _Type("a string or an array of strings", _is_texts)
_NUMBER = _Type("a number", _is_number)
_INTEGER = _Type("an integer", lambda value: type(value) is int)
_FLAG = _Type("a boolean", lambda value: type(value) is bool)
_LIST = _Type("an array", lambda value: isinstance(value, list))
_OBJECT = _Type("an object", lambda value: isinstance(value, dict))
_SCALAR = _Type("a string, a number or a boolean", lambda value: isinstance(value, str | bool) or _is_number(value))
_ANY = _Type("anything", lambda _: True)
"""Another rule than the type speaks of it."""


def _typed(types: Mapping[_Type, str]) -> dict[str, _Type]:
    return {name: kind for kind, names in types.items() for name in names.split()}


_EVENT = _typed(
    {
        _TEXT: "event_name event_id event_source_url action_source advanced_measurement_table messaging_channel"
        " referrer_url",
        _INTEGER: "event_time data_processing_options_country data_processing_options_state",
        _FLAG: "opt_out",
        _LIST: "data_processing_options",
        _OBJECT: "user_data custom_data app_data original_event_data attribution_data customer_segmentation",
    }
)
_USER = _typed(
    {
        _TEXTS: f"{' '.join(sorted(HASHED))} external_id",
        _TEXT: "client_ip_address client_user_agent fbp subscription_id madid anon_id ctwa_clid page_id",
        _INTEGER: "fb_login_id",
        _ANY: "lead_id fbc",
    }
)
_CUSTOM = _typed(
    {
        _NUMBER: "value net_revenue predicted_ltv num_items",
        _TEXT: "currency order_id status content_name content_category content_type search_string item_number"
        " delivery_category event_source lead_event_source",
        _LIST: "content_ids contents",
    }
)
_CONTENT = _typed({_TEXT: "id title description brand category delivery_category", _NUMBER: "quantity item_price"})


def misshapen(event: Event, row: int) -> Iterator[Refusal]:
    """Every key that is unknown, and every value of the wrong type."""
    yield from _complaints(event.fields, _EVENT, row, "")
    yield from _complaints(event.part("user_data"), _USER, row, "['user_data']")
    custom = event.part("custom_data")
    own = dict.fromkeys(custom.keys() - _CUSTOM.keys(), _SCALAR)
    yield from _complaints(custom, _CUSTOM | own, row, "['custom_data']")
    for index, content in enumerate(contents(event)):
        place = f"['custom_data']['contents'][{index}]"
        if isinstance(content, dict):
            yield from _complaints(content, _CONTENT, row, place)
        else:
            yield _must_be(_OBJECT, row, place)


def contents(event: Event) -> list[object]:
    """The items of `contents`; none where it is no list."""
    match event.part("custom_data").get("contents"):
        case list(items):
            return items
        case _:
            return []


def _complaints(found: Mapping[str, object], known: Mapping[str, _Type], row: int, place: str) -> Iterator[Refusal]:
    for name, value in found.items():
        if name not in known:
            yield Refusal(rules.SHAPE, row, place, f'Unexpected key "{name}" on param "{{path}}".')
        elif not known[name].fits(value):
            yield _must_be(known[name], row, f"{place}['{name}']")


def _must_be(kind: _Type, row: int, field: str) -> Refusal:
    return Refusal(rules.SHAPE, row, field, f"The parameter {{path}} must be {kind.words}.")
