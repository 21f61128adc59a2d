"""The values of a message as JSON, so that it can be worded anew whenever it is shown."""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from connectors.language import in_english
from jobs.rules.reasons import DestinationScope, Message, MessageKind, Reason, StopCause, StopKind


def values_to_json(values: Mapping[str, object]) -> str:
    """Return values as JSON; what is no number or text says what it is.

    Raises:
        TypeError: a value is of a kind that no message has.
    """
    return json.dumps({name: _plain(value) for name, value in values.items()}, ensure_ascii=False)


def values_from_json(text: str) -> dict[str, object]:
    """Return what `values_to_json` was given; texts are English.

    Raises:
        ValueError: it was written by another version, or is damaged.
    """
    try:
        return {name: _value(each) for name, each in json.loads(text).items()}
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"no values of a message: {type(error).__name__}") from error


def _plain(value: object) -> object:
    match value:
        case Reason():
            return {"reason": value}
        case str():
            return in_english(value)
        case None | bool() | int() | float():
            return value
        case tuple():
            return {"several": [_plain(each) for each in value]}
        case Fraction() | timedelta() | date():
            return _plain_number(value)
        case DestinationScope():
            return {"scope": [value.destination, value.corrections, value.former, value.action]}
        case StopCause():
            wait = None if value.wait is None else value.wait.total_seconds()
            return {"stop": [value.kind, [in_english(each) for each in value.answers], wait, value.times]}
        case Message():
            return {"message": [value.id, {name: _plain(each) for name, each in value.values.items()}]}
    raise TypeError(f"no message has a value like {type(value).__name__}")


def _plain_number(value: Fraction | timedelta | date) -> object:
    match value:
        case Fraction():
            return {"fraction": str(value)}
        case timedelta():
            return {"seconds": value.total_seconds()}
        case datetime():
            return {"time": value.isoformat()}
    return {"day": value.isoformat()}


def _value(stored: Any) -> object:
    if not isinstance(stored, dict):
        return stored
    ((kind, content),) = stored.items()
    return _READ[kind](content)


def _stop(content: Any) -> StopCause:
    kind, answers, wait, times = content
    return StopCause(StopKind(kind), tuple(answers), None if wait is None else timedelta(seconds=wait), times)


def _scope(content: Any) -> DestinationScope:
    destination, corrections, former, action = content
    return DestinationScope(destination, corrections, tuple(former), action)


def _message(content: Any) -> Message:
    message, values = content
    return Message(MessageKind(message), {name: _value(each) for name, each in values.items()})


_READ: Mapping[str, Callable[[Any], object]] = {
    "reason": Reason,
    "several": lambda content: tuple(map(_value, content)),
    "fraction": Fraction,
    "seconds": lambda content: timedelta(seconds=content),
    "time": datetime.fromisoformat,
    "day": date.fromisoformat,
    "scope": _scope,
    "stop": _stop,
    "message": _message,
}
