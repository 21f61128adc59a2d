"""How results are presented: an account's names and commands for people, and JSON for programs."""

import json
import shlex
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from connectors.language import Language, _, format_day, format_list, in_english, using_language
from connectors.stage_words import stage_in_words
from connectors.text import strip_control_characters
from jobs.reporting.sentences import incident_notice, message_in_words, value_in_words
from jobs.reporting.wording.messages import ANOMALY_TITLES
from jobs.reporting.wording.platform_codes import STAGE_OF_FORMS
from jobs.rules.incident import Incident, OpenIncident
from jobs.rules.reasons import Anomaly, DestinationScope, Message, StopCause


def print_json(document: object) -> None:
    """Print results to stdout as JSON on one line."""
    sys.stdout.write(f"{json_line(document)}\n")
    sys.stdout.flush()


_PLACE = ("conversion", "destination", "state", "reason")


def json_line(value: object) -> str:
    """Return one JSON object on one line."""
    # JSON escapes neither C1 nor bidi characters, and the line may be read at a terminal.
    return strip_control_characters(json.dumps(as_json_value(value), ensure_ascii=False))


def as_json_value(value: object) -> object:
    """Convert to JSON types: records to objects, counters to lists of objects, messages, stops and scopes to text.

    Programs read it, so its texts are English, whatever language people are addressed in.
    """
    with using_language(Language.ENGLISH):
        return _json(value)


def _json(value: object) -> object:
    match value:
        case Anomaly():
            title = _(ANOMALY_TITLES[value.message.id])
            return {"cause": _json(value.cause), "sentence": message_in_words(value.message), "title": title}
        case Incident():
            return incident_notice(value).title
        case OpenIncident():
            return _open_incident(value)
        case Message() | StopCause() | DestinationScope():
            return value_in_words(value)
        case Counter():
            return [_count(key, count) for key, count in sorted(value.items())]
        case Mapping():
            return {str(key): _json(each) for key, each in value.items()}
        case tuple() if hasattr(value, "_asdict"):
            return _json(value._asdict())
        case list() | tuple():
            return [_json(each) for each in value]
    is_record = is_dataclass(value) and not isinstance(value, type)
    return _json(fields_as_dict(value)) if is_record else _scalar(value)


def _open_incident(one: OpenIncident) -> object:
    notice = incident_notice(one.incident)
    said = {"title": notice.title, "text": notice.text}
    return _json({"cause": one.incident.id, **said, "since": one.since, "is_new": one.is_new})


def fields_as_dict(record: Any) -> dict[str, object]:
    """Return a record's fields by name."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _scalar(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return str(value)
        case str():
            return in_english(value)
        case None | bool() | int() | float():
            return value
    raise TypeError(f"no JSON for a {type(value).__name__}")


def _count(key: object, count: int) -> dict[str, object]:
    """Return e.g. `{"conversion": …, "destination": …, "state": …, "reason": …, "count": 3}`."""
    match key:
        case tuple() if hasattr(key, "_asdict"):
            named = {name: _json(value) for name, value in key._asdict().items()}
        case tuple():
            named = dict(zip(_PLACE, map(as_json_value, key), strict=False))
        case _:
            named = {"what": _json(key)}
    return {**named, "count": count}


def pasteable_command_line(words: str, file: Path) -> str:
    """Return a command line for an account's settings file, ready to be pasted into a shell."""
    return f"oplead-sync {words} --config {shlex.quote(str(file))}"


@dataclass(frozen=True, slots=True)
class AccountPresentation:
    """How to present one account's results."""

    name: str
    zone: ZoneInfo
    currency: str
    conversions: Mapping[str, str]
    """As `Settings.conversion_names` has them."""
    file: Path
    """The settings file, as the user named it."""
    language: Language | None = None
    """The language to address people in; None for the terminal's."""
    starts: Mapping[str, datetime] = field(default_factory=dict)
    """As `Settings.configured_starts` has them."""

    def account_command_line(self, words: str) -> str:
        """Return a command line for this account: `status` becomes a whole command."""
        return pasteable_command_line(words, self.file)

    def conversion(self, conversion: str) -> str:
        """Return a conversion's display name."""
        return conversion_in_words(self.conversions, conversion)

    def start_to_come(self, conversion: str, now: datetime) -> datetime | None:
        """Return the configured start of a conversion, if that is still to come."""
        start = self.starts.get(conversion)
        return start if start and start > now else None

    def future_start_sentences(self, now: datetime, *, besides: Collection[str] = ()) -> Iterator[str]:
        """Yield which conversions count from a day that is still to come, and so send nothing before it."""
        held: dict[date, list[str]] = {}
        for conversion in self.conversions:
            if conversion not in besides and (start := self.start_to_come(conversion, now)):
                held.setdefault(start.astimezone(self.zone).date(), []).append(self.conversion(conversion))
        for day, names in held.items():
            if len(names) == len(self.conversions):
                yield _(
                    "Nothing goes out before {day}: no conversion counts until then (see `since`).", day=format_day(day)
                )
            else:
                yield _(
                    "Before {day}, nothing goes out for {names} (see `since`).",
                    day=format_day(day),
                    names=format_list(names),
                )


def conversion_in_words(names: Mapping[str, str], conversion: str) -> str:
    """Return a conversion's display name; its id, or Meta's name for a stage, if the settings no longer have it."""
    _kind, is_stage, plain = conversion.rpartition(":")
    name = names.get(conversion, plain)
    return _(STAGE_OF_FORMS, stage=stage_in_words(name)) if is_stage else name
