"""Lossless JSON, values at dotted paths in a lead, and dates in the formats Oplead uses."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, DecimalException
from functools import lru_cache
from zoneinfo import ZoneInfo

from connectors.oplead.options import SinceOptions
from connectors.records import Moment
from connectors.text import plural

_LONGEST_NUMBER = 100  # characters; no amount or id is longer
_MOST_VALUES = 2_000_000  # a page of 1,000 leads with 500 fields each has a quarter of that
_FLOAT_DIGITS = 14  # an exponent-form number this long has lost digits to floating point
_ESCAPE = re.compile(
    r"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}"  # a surrogate pair
    r"|(?P<half>\\u[Dd][89A-Fa-f][0-9A-Fa-f]{2})"
    r"|\\.",  # any other escape, both characters: a backslash may itself be escaped
)
_HALF = re.compile(r"[\ud800-\udfff]")


def read_json(content: bytes | str, *, most_values: int = _MOST_VALUES) -> object:
    """Parse a JSON text, with numbers as Decimal.

    A number in exponent form that is long enough to be an id (`1.2345678901235E+16`, as spreadsheets write it) stays
    text so that it is not mistaken for one. A lone surrogate (half of a truncated emoji) becomes U+FFFD, since it
    can be neither hashed nor stored.

    Raises:
        ValueError: the text is not JSON, is truncated, has too many values or is nested too deeply.
    """
    text = content if isinstance(content, str) else content.decode(json.detect_encoding(content), "surrogatepass")
    if sum(map(text.count, ",[{")) > most_values:  # checked before parsing: values take far more memory than text
        raise ValueError("more values than are taken at once")
    text = _ESCAPE.sub(lambda match: "\\ufffd" if match["half"] else match[0], _HALF.sub("\ufffd", text))
    try:
        return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _number(literal: str) -> Decimal | str:
    if len(literal) > _LONGEST_NUMBER:
        return literal
    try:
        number = Decimal(literal)
    except DecimalException:  # the exponent is out of range
        return literal
    return literal if "e" in literal.casefold() and number.adjusted() >= _FLOAT_DIGITS else number


_NAME_KEYS = ("name", "key", "code", "label")
_TEXT_KEYS = ("label", "name", "value", "title", "code", "id")
_LONG_NUMBER = 40


def values_at_path(container: object, path: str) -> tuple[object, ...]:
    """Return every non-empty value at a dotted path, in order, with lists flattened.

    A name matches exactly, or else ignoring case, `_` and `-` (`externalID` = `external_id`). A list along the path is
    read as name/value pairs if it holds any (`[{"name": "externalID", "value": …}]`), otherwise element by element.
    """
    return tuple(value for value in _flat(raw_values_at_path(container, path)) if not is_empty(value))


def raw_values_at_path(container: object, path: str) -> tuple[object, ...]:
    """Return every value at a dotted path unchanged: lists whole, empty values included."""
    found: tuple[object, ...] = (container,)
    for name in path.split("."):
        found = tuple(value for inside in found for value in _values_by_name(inside, name))
    return found


def first_value_at_paths(container: object, paths: Sequence[str]) -> object:
    """Return the first non-empty value at the first path that has one, else None."""
    if isinstance(container, Mapping):  # most paths lead nowhere, which their first name tells
        names = {loosely_normalised_name(name) for name in container}
        paths = [path for path in paths if _asked(path.partition(".")[0]) in names]
    return next((value for path in paths for value in values_at_path(container, path)), None)


def text_of(value: object, keys: Sequence[str] = _TEXT_KEYS) -> str | None:
    """Return a value as text: itself, a number's digits, `true` or `false`, or an object's label; else None."""
    if isinstance(value, Mapping):
        inner = (text_of(one, keys) for key in keys for one in _values_by_name(value, key))
        return next((text for text in inner if text is not None), None)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        # Never expand 1E+999999 into digits; no number we handle is longer than _LONG_NUMBER.
        return format(value, "f") if value.is_finite() and abs(value.adjusted()) < _LONG_NUMBER else str(value)
    if isinstance(value, str):
        return value.strip() or None
    return None


def texts(container: object, paths: Sequence[str], keys: Sequence[str] = _TEXT_KEYS) -> tuple[str, ...]:
    """Return every distinct text at any of the paths, in order."""
    every = (text_of(value, keys) for path in paths for value in values_at_path(container, path))
    return tuple(dict.fromkeys(text for text in every if text is not None))


def is_empty(value: object) -> bool:
    """Whether a value is null, blank text, or an empty list or object; 0 and false are not empty."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, Mapping | list) and not value)


def shape(value: object) -> str:
    """Describe a value without revealing it: `text, 18 characters`."""
    if isinstance(value, str):
        return f"text, {plural(len(value), 'character')}"
    if isinstance(value, Mapping):
        return f"an object with {plural(len(value), 'name')}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bool) or value is None:
        return "nothing" if value is None else "true or false"
    return f"a number, {plural(len(str(value)), 'character')}"


def _values_by_name(container: object, name: str) -> Iterator[object]:
    if isinstance(container, Mapping) and name in container:
        yield container[name]
    elif isinstance(container, Mapping):
        yield from _matching(container.items(), name)
    elif isinstance(container, list):
        if pairs := name_value_pairs(container):
            yield from _matching(pairs, name)
        else:
            for one in container:
                yield from _values_by_name(one, name)


def _matching(pairs: Iterable[tuple[str, object]], name: str) -> Iterator[object]:
    wanted = _asked(name)
    return (value for key, value in pairs if loosely_normalised_name(key) == wanted)


def name_value_pairs(entries: Sequence[object]) -> list[tuple[str, object]]:
    """Return the names and values of the entries that are name/value pairs."""
    return [pair for entry in entries if isinstance(entry, Mapping) and (pair := _pair(entry)) is not None]


def _pair(entry: Mapping[str, object]) -> tuple[str, object] | None:
    names = (name for key in _NAME_KEYS for name in _values_by_name(entry, key) if isinstance(name, str))
    name, values = next(names, None), tuple(_values_by_name(entry, "value"))
    return (name, values[0]) if values and name is not None else None


def _flat(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        yield from _flat(value) if isinstance(value, list) else (value,)


def loosely_normalised_name(name: str) -> str:
    """Return a name without case, `_` and `-`, for comparison."""
    return name.replace("_", "").replace("-", "").casefold()


_asked = lru_cache(1_024)(loosely_normalised_name)
"""The same for a name in the settings, which is asked for in every lead."""


_TIME = r"(?P<hour>\d{1,2})[:h](?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
_ZONE = r"(?P<zone>[Zz]|[+-]\d{2}:?\d{2}|[+-]\d{2})"
_ISO = re.compile(rf"(?P<year>\d{{4}})-(?P<month>\d{{2}})-(?P<day>\d{{2}})(?:[Tt ]\s*{_TIME}\s*{_ZONE}?)?", re.ASCII)
_FRENCH = re.compile(
    rf"(?P<day>\d{{1,2}})/(?P<month>\d{{1,2}})/(?P<year>\d{{4}})(?:\s+(?:à\s+)?{_TIME})?(?P<zone>)", re.ASCII
)
_EPOCH = re.compile(r"[1-9]\d{8,12}(?:\.\d+)?", re.ASCII)  # with a leading 0 it is a phone number
_MILLISECONDS_FROM = 10**11  # as seconds the year 5138, as milliseconds 1973
_YEARS = range(1990, 2100)


def read_moment(value: object, zone: ZoneInfo) -> Moment | None:
    """Return the time in `value`, an instant in UTC or a bare day; None if it is empty.

    Reads ISO 8601 with or without an offset, `2026-07-20 17:05:01`, `20/07/2026 17:05` (day first), seconds or
    milliseconds since 1970, and PHP's serialised DateTime. A time without an offset is wall-clock time in `zone`.

    Raises:
        ValueError: it is something else; the message gives its shape, never the value.
    """
    if isinstance(value, Mapping):
        return _read_php(value, zone)
    text = text_of(value) or ""
    if is_empty(value) or text.startswith("0000-00-00"):  # MySQL's zero date
        return None
    if match := _ISO.fullmatch(text) or _FRENCH.fullmatch(text):
        return _from_parts(match, value, zone)
    if _EPOCH.fullmatch(text):
        return _from_epoch(Decimal(text), value)
    raise _unreadable(value)


def read_moment_or_none(value: object, zone: ZoneInfo) -> Moment | None:
    """Return what `read_moment` does; None also if the value cannot be read."""
    try:
        return read_moment(value, zone)
    except (ValueError, ArithmeticError):
        return None


def write_moment(moment: datetime, form: str, zone: ZoneInfo) -> str:
    """Format a time as `SinceOptions.format` requires, rounding down."""
    match form:
        case "iso":
            return moment.astimezone(UTC).isoformat(timespec="seconds")
        case "date":
            return moment.astimezone(zone).date().isoformat()
        case "epoch_s":
            return str(int(moment.timestamp()))
        case "epoch_ms":
            return str(int(moment.timestamp()) * 1000)
        case pattern:
            return moment.astimezone(zone).strftime(pattern)


def since_query(wanted: SinceOptions, since: datetime, until: datetime, zone: ZoneInfo) -> dict[str, str]:
    """Return the filter's query parameters: `since`, and `until` if the platform requires both ends."""
    ends = {wanted.param: since} | ({wanted.until_param: until} if wanted.until_param else {})
    return {name: write_moment(moment, wanted.format, zone) for name, moment in ends.items()}


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant, in UTC, at which the wall clock in `zone` showed `wall`.

    A time in the spring gap moves forward as the wall clock did (02:30 is 03:30). In the autumn overlap the earlier
    instant is used, so that a change is never dated after it happened: platforms reject times in the future.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def earliest_instant_of(moment: Moment, zone: ZoneInfo) -> datetime:
    """Return the earliest instant a moment can mean, in UTC: itself, or the start of its day in `zone`."""
    if isinstance(moment.at, datetime):
        return moment.at
    return instant(datetime.combine(moment.at, time()), zone)


def first_instant(container: object, paths: Sequence[str], zone: ZoneInfo) -> datetime | None:
    """Return the start of the first time at the paths; None if there is none or it cannot be read."""
    moment = read_moment_or_none(first_value_at_paths(container, paths), zone)
    return None if moment is None else earliest_instant_of(moment, zone)


def _from_parts(match: re.Match[str], value: object, zone: ZoneInfo) -> Moment:
    try:
        day = date(int(match["year"]), int(match["month"]), int(match["day"]))
        if day.year not in _YEARS:
            raise _unreadable(value)
        if match["hour"] is None:
            return Moment(day)
        microsecond = int((match["fraction"] or "")[:6].ljust(6, "0"))
        clock = time(int(match["hour"]), int(match["minute"]), int(match["second"] or 0), microsecond)
        wall, offset = datetime.combine(day, clock), _offset(match["zone"])
    except ValueError:
        raise _unreadable(value) from None
    return Moment(instant(wall, zone) if offset is None else wall.replace(tzinfo=offset).astimezone(UTC))


def _offset(text: str | None) -> timezone | None:
    if not text:
        return None
    if text in "Zz":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[3:].lstrip(":") or 0)))


def _from_epoch(number: Decimal, value: object) -> Moment:
    seconds = number / 1000 if number >= _MILLISECONDS_FROM else number
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(seconds * 1_000_000))
    if moment.year not in _YEARS:
        raise _unreadable(value)
    return Moment(moment)


def _read_php(value: Mapping[str, object], zone: ZoneInfo) -> Moment | None:
    """Read `{"date": "2026-07-20 17:05:01.000000", "timezone_type": 3, "timezone": "Europe/Paris"}`."""
    text, name = value.get("date"), value.get("timezone")
    if not isinstance(text, str):
        if not value:
            return None
        raise _unreadable(value)
    if not isinstance(name, str):
        return read_moment(text, zone)
    if re.fullmatch(_ZONE, name, re.ASCII):
        return read_moment(text + name, zone)
    try:
        return read_moment(text, ZoneInfo(name))
    except (KeyError, OSError, ValueError):
        raise _unreadable(value) from None


def _unreadable(value: object) -> ValueError:
    return ValueError(f"no time that can be read ({shape(value)})")
