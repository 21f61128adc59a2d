"""The values with which a lead is created or changed: from options to a record."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from connectors.crm import LeadData
from connectors.records import ClickId, ClickIdKind, Contact, Utm
from jobs.exit_codes import UsageError
from jobs.oplead_commands.value_names import CLICK_IDS
from jobs.settings.types import Path_, read_as

_LONGEST = 2_000
_DATED = frozenset({ClickIdKind.GCLID, ClickIdKind.GBRAID, ClickIdKind.WBRAID, ClickIdKind.FBCLID})


def lead_of(values: Mapping[str, str | None], fields: Iterable[str], zone: ZoneInfo) -> LeadData:
    """Return a lead with these values, and with each `PATH=VALUE` among its fields.

    Raises:
        UsageError: a value cannot be used; the message names it and does not repeat it.
    """
    given = {name: _checked(name, text) for name, text in values.items() if text is not None}
    if not given and not fields:
        raise UsageError("write at least one value, as --email or --field")
    clicked_at = _clicked_at(given.get("clicked_at"), zone)
    click_ids = tuple(
        ClickId(kind, given[name], clicked_at if kind in _DATED else None)
        for name, kind in CLICK_IDS.items()
        if name in given
    )
    if clicked_at is not None and not any(one.clicked_at for one in click_ids):
        raise UsageError("--clicked-at: write the gclid, gbraid, wbraid or fbclid of that click too")
    return LeadData(
        contact=Contact(
            emails=_one(given, "email"),
            phones=_one(given, "phone"),
            **{name: given.get(name) for name in ("first_name", "last_name", "postcode", "city", "country")},
        ),
        click_ids=click_ids,
        external_id=given.get("external_id"),
        utm=Utm(given.get("utm_source"), given.get("utm_medium"), given.get("utm_campaign")),
        provider_name=given.get("provider_name"),
        provider_url=_address(given.get("provider_url")),
        fields=dict(map(_field, fields)),
    )


def _checked(name: str, text: str) -> str:
    option = f"--{name.replace('_', '-')}"
    if not text.strip():
        raise UsageError(f"{option}: write a value, or leave the option out")
    if len(text) > _LONGEST or not text.isprintable():
        raise UsageError(f"{option}: write one line of at most {_LONGEST:,} characters")
    return text.strip()


def _one(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    return (given[name],) if name in given else ()


def _field(text: str) -> tuple[str, str]:
    path, sign, value = text.partition("=")
    if not sign:
        raise UsageError("--field: write PATH=VALUE, as leadData.budget=12000")
    try:
        return read_as(Path_, path), _checked("field", value)
    except ValueError as error:
        raise UsageError(f"--field: {error}") from None


def _clicked_at(text: str | None, zone: ZoneInfo) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("--clicked-at: write a time as 2026-09-01T14:05:00+02:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _address(url: str | None) -> str | None:
    if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        raise UsageError("--provider-url: write an address, as https://www.example.com/oplead")
    return url
