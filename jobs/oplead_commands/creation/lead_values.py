"""The values with which a lead is created or changed: from options to a record."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from connectors.crm import LeadToWrite
from connectors.days import parse_day_or_time
from connectors.language import _, format_integer
from connectors.records import ClickId, ClickIdKind, Contact, Utm
from jobs.exit_codes import UsageError
from jobs.oplead_commands.creation.value_names import CLICK_ID_KINDS
from jobs.settings.types import WrittenPath, parse_as_type

_LONGEST = 2_000
_CLICK_IDS = {name: ClickIdKind(kind) for name, kind in CLICK_ID_KINDS.items()}
_DATED = frozenset({ClickIdKind.GCLID, ClickIdKind.GBRAID, ClickIdKind.WBRAID, ClickIdKind.FBCLID})


def lead_from_options(values: Mapping[str, str | None], fields: Iterable[str], zone: ZoneInfo) -> LeadToWrite:
    """Return a lead with the values of these options, and with each `PATH=VALUE` among its fields.

    Raises:
        UsageError: a value cannot be used; the message names its option and does not repeat it.
    """
    if not fields and all(text is None for text in values.values()):
        raise UsageError(_("write at least one value, as --email or --field"))
    return lead_from_values(values, _values_by_path(fields), zone, called=lambda name: f"--{name.replace('_', '-')}")


def lead_from_values(
    values: Mapping[str, str | None],
    fields: Mapping[str, str | Sequence[str]],
    zone: ZoneInfo,
    *,
    called: Callable[[str], str],
    in_a_file: bool = False,
) -> LeadToWrite:
    """Return a lead with these values by name, and with these by path.

    Args:
        values: by the names of `VALUES`; None is left out.
        fields: other values by their paths.
        zone: the time zone of a time without one.
        called: what the user calls a value.
        in_a_file: whether they stand in a file, where no language decides what a day is.

    Raises:
        UsageError: a value cannot be used; the message names it and does not repeat it.
    """
    given = {name: _require_short_line(called(name), text) for name, text in values.items() if text is not None}
    clicked_at = _clicked_at(given.get("clicked_at"), zone, called("clicked_at"), in_a_file=in_a_file)
    click_ids = tuple(
        ClickId(kind, given[name], clicked_at if kind in _DATED else None)
        for name, kind in _CLICK_IDS.items()
        if name in given
    )
    if clicked_at is not None and not any(one.clicked_at for one in click_ids):
        raise UsageError(
            _("{name}: write the gclid, gbraid, wbraid or fbclid of that click too", name=called("clicked_at"))
        )
    return LeadToWrite(
        contact=Contact(
            emails=_value_as_tuple(given, "email"),
            phones=_value_as_tuple(given, "phone"),
            **{name: given.get(name) for name in ("first_name", "last_name", "postcode", "city", "country")},
        ),
        click_ids=click_ids,
        external_id=given.get("external_id"),
        utm=Utm(given.get("utm_source"), given.get("utm_medium"), given.get("utm_campaign")),
        provider_name=given.get("provider_name"),
        provider_url=_address(given.get("provider_url"), called("provider_url")),
        fields=fields,
    )


def click_id_values(ids: Iterable[ClickId]) -> Mapping[str, str]:
    """Return click ids as values by name, with the click's time if there is one; the reverse of `lead_from_values`."""
    ids = tuple(ids)
    times = {one.clicked_at for one in ids if one.kind in _DATED and one.clicked_at}
    dated = {"clicked_at": times.pop().isoformat()} if len(times) == 1 else {}
    return {**{name: one.value for name, kind in _CLICK_IDS.items() for one in ids if one.kind is kind}, **dated}


def _require_short_line(name: str, text: str) -> str:
    if not text.strip():
        raise UsageError(_("{name}: write a value, or leave it out", name=name))
    if len(text) > _LONGEST or not text.isprintable():
        raise UsageError(
            _("{name}: write one line of at most {most} characters", name=name, most=format_integer(_LONGEST))
        )
    return text.strip()


def _value_as_tuple(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    return (given[name],) if name in given else ()


def _values_by_path(options: Iterable[str]) -> Mapping[str, str | Sequence[str]]:
    """Return the values of these options by path, several of one path together."""
    found: dict[str, tuple[str, ...]] = {}
    for path, value in map(_parse_field_option, options):
        found[path] = (*found.get(path, ()), value)
    if twice := [path for path, values in found.items() if len(values) > 1 and not path.endswith("[]")]:
        raise UsageError(_("--field: two values go to {path}: write one, or a list as {path}[]=…", path=twice[0]))
    return {path: values[0] if len(values) == 1 else values for path, values in found.items()}


def _parse_field_option(text: str) -> tuple[str, str]:
    path, sign, value = text.partition("=")
    if not sign:
        raise UsageError(_("--field: write PATH=VALUE, as leadData.budget=12000"))
    try:
        return parse_as_type(WrittenPath, path), _require_short_line("--field", value)
    except ValueError as error:
        raise UsageError(_("--field: {error}", error=error)) from None


def _clicked_at(text: str | None, zone: ZoneInfo, name: str, *, in_a_file: bool) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parse_day_or_time(text, in_a_file=in_a_file)
    except ValueError as error:
        raise UsageError(_("{name}: {text}", name=name, text=error)) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _address(url: str | None, name: str) -> str | None:
    if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        raise UsageError(_("{name}: write an address, as https://www.example.com/oplead", name=name))
    return url
