"""What Meta tells of a dataset, of what it received, and of a token."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from connectors.sandbox.meta import rules
from connectors.sandbox.meta.book import MetaAcceptance, MetaBookLine
from connectors.sandbox.meta.wire import NAMES, TOKENS, refused

_BUSINESS = {"id": "900100200300400", "name": "Sandbox"}
_AGGREGATIONS = frozenset(
    "browser_type custom_data_field device_os device_type event event_detection_method event_processing_results"  # noqa: SIM905 - a table
    " event_source event_total_counts event_value_count had_pii host match_keys pixel_fire url url_by_rule".split()
)


def dataset(dataset_id: str, parameters: Mapping[str, object], lines: Iterable[MetaBookLine]) -> dict[str, object]:
    """The fields asked for, of `GET /{dataset}`; RefusedError where one does not exist.

    https://developers.facebook.com/docs/marketing-api/reference/ads-pixel
    """
    _only(parameters, "fields")
    last = max((line.counted.at for line in lines), default=None)
    known: dict[str, object] = {
        "id": dataset_id,
        "name": NAMES[dataset_id],
        "is_crm": False,
        "is_consolidated_container": True,
        "is_unavailable": False,
        "last_fired_time": last,
        "owner_business": _BUSINESS,
        "data_use_setting": "ADVERTISING_AND_ANALYTICS",
    }
    wanted = [name for name in str(parameters.get("fields", "id")).split(",") if name]
    for name in wanted:
        if name not in known:
            raise refused(rules.FIELDS, "fields")
    return {name: known[name] for name in ("id", *wanted) if known[name] is not None}


def stats(parameters: Mapping[str, object], lines: Iterable[MetaBookLine]) -> dict[str, object]:
    """What was received, by hour, of `GET /{dataset}/stats`; RefusedError where the question is not understood.

    https://developers.facebook.com/docs/marketing-api/reference/ads-pixel/stats/
    """
    _only(parameters, "aggregation", "event", "start_time", "end_time", "summary")  # the library asks for a summary
    aggregation = parameters.get("aggregation")
    if aggregation not in _AGGREGATIONS:
        raise refused(rules.AGGREGATION, "aggregation")
    start, end = _instant(parameters, "start_time"), _instant(parameters, "end_time")
    hours: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
    for line in lines:
        at = datetime.fromisoformat(line.accepted_at)
        asked = parameters.get("event", line.counted.event_name) == line.counted.event_name
        if asked and (start is None or start <= at) and (end is None or at < end):
            hour = at.replace(minute=0, second=0, microsecond=0)
            for value in _values(str(aggregation), line.counted):
                hours[hour][value] += line.accepted
    rows = [
        {"start_time": hour.isoformat(), "aggregation": aggregation, "data": _counts(counts)}
        for hour, counts in sorted(hours.items())
        if counts
    ]
    return {"data": rows}


def debug_token(parameters: Mapping[str, object]) -> dict[str, object]:
    """What is known of the `input_token`.

    https://developers.facebook.com/docs/graph-api/reference/debug_token
    """
    _only(parameters, "input_token")
    token = parameters.get("input_token")
    owned = next((dataset_id for dataset_id, known in TOKENS.items() if known == token), None)
    if owned is None:
        error = {"code": rules.TOKEN_KNOWN.code, "message": "Invalid OAuth access token"}
        return {"data": {"is_valid": False, "error": error, "scopes": []}}
    scopes = ["ads_management", "ads_read"]
    told = {
        "app_id": f"7{owned}",
        "application": NAMES[owned],
        "type": "SYSTEM_USER",
        "is_valid": True,
        "expires_at": 0,
        "scopes": scopes,
        "granular_scopes": [{"scope": scope, "target_ids": [owned]} for scope in scopes],
    }
    return {"data": told}


def _only(parameters: Mapping[str, object], *known: str) -> None:
    if unknown := parameters.keys() - set(known):
        raise refused(rules.KNOWN_PARAMETERS, min(unknown))


def _instant(parameters: Mapping[str, object], name: str) -> datetime | None:
    """A time, as Unix seconds or ISO 8601 with its zone; None where the parameter is missing."""
    text = parameters.get(name)
    if text is None:
        return None
    try:
        at = datetime.fromtimestamp(int(str(text)), UTC) if str(text).isdecimal() else datetime.fromisoformat(str(text))
    except (ValueError, OverflowError, OSError):
        raise refused(rules.AGGREGATION, name) from None
    if at.tzinfo is None:
        raise refused(rules.AGGREGATION, name)
    return at


def _values(aggregation: str, counted: MetaAcceptance) -> tuple[str, ...]:
    """What one event adds one to; nothing where the sandbox has no such figure."""
    match aggregation:
        case "event":
            return (counted.event_name,)
        case "event_total_counts":
            return ("total",)
        case "event_processing_results":
            return ("success",)
        case "event_source":
            return ("SERVER",)
        case "match_keys":
            return counted.keys
        case "had_pii":
            return (str(counted.click_kind == "contact").lower(),)
        case _:
            return ()


def _counts(counts: Counter[str]) -> list[dict[str, object]]:
    return [{"value": value, "count": count} for value, count in sorted(counts.items())]
