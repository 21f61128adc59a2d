"""Results as JSON: times in ISO 8601, amounts and other exact numbers as text."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum

from connectors import plain_text

_PLACE = ("conversion", "destination", "fate", "reason")


def line(value: object) -> str:
    """One JSON object on one line."""
    # JSON escapes neither C1 nor bidi characters, and this may be read at a terminal.
    return plain_text.plain(json.dumps(plain(value), ensure_ascii=False))


def plain(value: object) -> object:
    """Records as objects, counts by place as lists of objects, the rest as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    match value:
        case Counter():
            return [_count(key, count) for key, count in sorted(value.items())]
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case Enum():
            return plain(value.value)
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return str(value)
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"no JSON for a {type(value).__name__}")


def _count(key: object, count: int) -> dict[str, object]:
    """`{"conversion": …, "destination": …, "fate": …, "reason": …, "count": 3}`."""
    named = dict(zip(_PLACE, map(plain, key), strict=False)) if isinstance(key, tuple) else {"what": plain(key)}
    return {**named, "count": count}
