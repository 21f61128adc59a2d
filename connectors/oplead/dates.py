"""Reads times as Oplead may write them; it publishes no format, so the readable ones are listed here."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.oplead.fields import is_empty, shape, text_of
from connectors.records import Moment

_TIME = r"(?P<hour>\d{1,2})[:h](?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
_ZONE = r"(?P<zone>[Zz]|[+-]\d{2}:?\d{2}|[+-]\d{2})"
_ISO = re.compile(rf"(?P<year>\d{{4}})-(?P<month>\d{{2}})-(?P<day>\d{{2}})(?:[Tt ]\s*{_TIME}\s*{_ZONE}?)?", re.ASCII)
_FRENCH = re.compile(
    rf"(?P<day>\d{{1,2}})/(?P<month>\d{{1,2}})/(?P<year>\d{{4}})(?:\s+(?:à\s+)?{_TIME})?(?P<zone>)", re.ASCII
)
_EPOCH = re.compile(r"[1-9]\d{8,12}(?:\.\d+)?", re.ASCII)  # with a 0 before it, it is a phone number
_MILLISECONDS_FROM = 10**11  # as seconds this would be the year 5138, as milliseconds it is 1973
_YEARS = range(1990, 2100)


def read_moment(value: object, zone: ZoneInfo) -> Moment | None:
    """The time `value` tells, an instant in UTC or only a day; None where it holds nothing.

    Reads ISO 8601 with or without zone, `2026-07-20 17:05:01`, `20/07/2026 17:05` (day first), seconds or
    milliseconds since 1970, and the object PHP makes of a date. A time without a zone is `zone`'s wall clock.

    Raises:
        ValueError: it holds something else; the message tells its shape, never the value.
    """
    if isinstance(value, Mapping):
        return _read_php(value, zone)
    text = text_of(value) or ""
    if is_empty(value) or text.startswith("0000-00-00"):  # how MySQL writes no date
        return None
    if match := _ISO.fullmatch(text) or _FRENCH.fullmatch(text):
        return _from_parts(match, value, zone)
    if _EPOCH.fullmatch(text):
        return _from_epoch(Decimal(text), value)
    raise _unreadable(value)


def write_moment(moment: datetime, form: str, zone: ZoneInfo) -> str:
    """A time as the platform wants it, rounded down to what can be said."""
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


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which `zone`'s wall clock showed `wall`.

    In spring's gap the time is moved on as the wall clock was (02:30 is 03:30). In autumn's overlap the
    earlier of the two is meant: a change is then never dated after it happened, which platforms refuse as
    being in the future.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def start_of(moment: Moment, zone: ZoneInfo) -> datetime:
    """The first instant a moment can mean, in UTC: itself, or the start of its day in `zone`."""
    if isinstance(moment.at, datetime):
        return moment.at
    return instant(datetime.combine(moment.at, datetime.min.time()), zone)


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
    """`{"date": "2026-07-20 17:05:01.000000", "timezone_type": 3, "timezone": "Europe/Paris"}`."""
    written, name = value.get("date"), value.get("timezone")
    if not isinstance(written, str):
        if not value:
            return None
        raise _unreadable(value)
    if not isinstance(name, str):
        return read_moment(written, zone)
    if re.fullmatch(_ZONE, name, re.ASCII):
        return read_moment(written + name, zone)
    try:
        return read_moment(written, ZoneInfo(name))
    except (KeyError, OSError, ValueError):
        raise _unreadable(value) from None


def _unreadable(value: object) -> ValueError:
    return ValueError(f"no time that can be read ({shape(value)})")
