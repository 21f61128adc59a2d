"""Read and write dates in the formats Oplead uses."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from connectors.language import _
from connectors.oplead.options import SinceQueryParameters
from connectors.oplead.parsing.fields import first_value_at_paths, is_empty, shape, text_of
from connectors.records import Moment

_COMMON = re.compile(
    r"(?:199\d|20\d\d)-\d\d-\d\d(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)?)?",
    re.ASCII,
)
"""The forms that `fromisoformat` reads as the slower patterns below do."""
_DAY = len("2026-07-20")
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
    if isinstance(value, str) and _COMMON.fullmatch(text := value.strip()):
        return _from_common(text, zone)
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
    """Format a time as `SinceQueryParameters.format` requires, rounding down."""
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


def since_query(wanted: SinceQueryParameters, since: datetime, until: datetime, zone: ZoneInfo) -> dict[str, str]:
    """Return the filter's query parameters: `since`, and `until` if the platform requires both ends."""
    ends = {wanted.param: since} | ({wanted.until_param: until} if wanted.until_param else {})
    return {name: write_moment(moment, wanted.format, zone) for name, moment in ends.items()}


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant, in UTC, at which the wall clock in `zone` showed `wall`.

    A time in the spring gap moves forward as the wall clock did (02:30 is 03:30). In the autumn overlap the earlier
    instant is used, so that a change is never dated after it happened: platforms reject times in the future. Only
    what `in_meant_pass` knows more of is the second.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _wall_clock_moment(wall: datetime, zone: ZoneInfo) -> Moment:
    """Return the moment of a time without an offset, and when clocks showed it again, if they did."""
    first, again = instant(wall, zone), wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return Moment(first, again if again > first else None)


def in_meant_pass(at: Moment, *, since: datetime | None = None, by: datetime | None = None) -> Moment:
    """Return a time that clocks may have shown twice in the pass that is meant: as written where nothing says which.

    It is the first that is not before `since`, or the last that is not after `by`.
    """
    passes = [one for one in (at.at, at.again) if isinstance(one, datetime)]
    if since is not None:
        possible = [one for one in passes if one >= since][:1]
    else:
        possible = [one for one in passes if by is None or one <= by][-1:]
    return Moment(possible[0]) if possible else at


def earliest_instant_of(moment: Moment, zone: ZoneInfo) -> datetime:
    """Return the earliest instant a moment can mean, in UTC: itself, or the start of its day in `zone`."""
    if isinstance(moment.at, datetime):
        return moment.at
    return instant(datetime.combine(moment.at, time()), zone)


def first_instant_at_paths(container: object, paths: Sequence[str], zone: ZoneInfo) -> datetime | None:
    """Return the start of the first time at the paths; None if there is none or it cannot be read."""
    moment = read_moment_or_none(first_value_at_paths(container, paths), zone)
    return None if moment is None else earliest_instant_of(moment, zone)


@lru_cache(maxsize=1_024)
def _from_common(text: str, zone: ZoneInfo) -> Moment:
    """Read a time that has one of the common forms; a lead shows most of its times twice."""
    try:
        if len(text) == _DAY:
            return Moment(date.fromisoformat(text))
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _unreadable(text) from None
    return _wall_clock_moment(at, zone) if at.tzinfo is None else Moment(at.astimezone(UTC))


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
    return _wall_clock_moment(wall, zone) if offset is None else Moment(wall.replace(tzinfo=offset).astimezone(UTC))


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
    return ValueError(_("no time that can be read ({shape})", shape=shape(value)))
