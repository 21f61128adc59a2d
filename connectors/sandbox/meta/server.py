"""A strict Meta Conversions API: a request is accepted or refused as a whole.

`rules.csv` has the rules and their evidence.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from connectors.sandbox.meta.book import AcceptedMetaEvent, CountedMetaEvent, MetaEventStore, as_accepted_event
from connectors.sandbox.meta.events import MAX_EVENTS, MetaEventCheckContext, click_and_lead_ids, violations
from connectors.sandbox.meta.wire import (
    NAMES,
    TOKENS,
    GraphCall,
    MetaEvent,
    MetaRefusal,
    parse_events,
    parse_graph_call,
    refusal_response,
    throttled_response,
    with_deprecation_header,
)
from connectors.sandbox.platform import STRICT, Positions, SandboxPlatform
from connectors.sandbox.rules import meta_rules as rules
from connectors.sandbox.server import WireRequest, WireResponse, json_response

SWITCHES: Positions = {
    "meta_deduplication": (True, False),
    "meta_error_index": (False, True),
    "meta_language": ("en", "fr"),
    "meta_malformed_click_id": ("refuse", "accept"),
    "meta_ahead_seconds": (0, 300),
    "meta_ascii_names": (False, True),
    "meta_readable": (True, False),
    "meta_received": ("all", "none"),
    "meta_quality_readable": (True, False),
    "meta_lost": (0, int),
    "meta_throttle_minutes": (0, int),
    "meta_version_ends": (False, True),
}
"""Positions of uncertain behaviour that could change a state, the default first.

`meta_received` returns to "all" after one upload. `meta_lost` loses that many of the next events: they are answered as
received and never counted. `meta_throttle_minutes` refuses the next upload with that many
minutes to wait, then returns to 0.
"""
_PARAMETERS = frozenset(
    {"data", "test_event_code", "partner_agent", "upload_tag", "upload_id", "upload_source", "namespace_id"}
)
"""The parameters of an upload: https://developers.facebook.com/docs/marketing-api/reference/ads-pixel/events/"""


_Answer = Callable[[GraphCall, list[CountedMetaEvent]], dict[str, object]]


@pydantic_dataclass(frozen=True, slots=True, config=STRICT)
class PlantedMetaError:
    """An error planted on an event by its id, fbc, the click id in it, or lead id; it refuses the whole request."""

    subcode: int = Field(ge=0)
    code: int = Field(default=100, gt=0)


class SandboxMetaApi(SandboxPlatform):
    """The platform behind one address."""

    ruling_type = PlantedMetaError

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now, SWITCHES, RLock())
        self._book = MetaEventStore()

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one request."""
        with self.lock:
            self.counts["requests"] += 1
            try:
                answer = self._answer(parse_graph_call(request))
            except MetaRefusal as refusal:
                answer = self._refuse(refusal)
            return with_deprecation_header(answer) if self.switches["meta_version_ends"] else answer

    def conversions_json(self) -> list[dict[str, object]]:
        """Return the book as JSON: one line per dataset, name and id, in order of first acceptance."""
        with self.lock:
            return self._book.meta_events_json()

    def identifiers_by_conversion_id(self) -> dict[str, tuple[str, ...]]:
        """Return the click ids and hashes of every event in the book, by event id."""
        with self.lock:
            return self._book.identifiers_by_conversion_id()

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON."""
        with self.lock:
            return {**super().dump(), "book": self._book.dump()}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        with self.lock:
            super().load(saved)
            self._book.load(saved["book"])

    def _answer(self, call: GraphCall) -> WireResponse:
        match call.method, call.path:
            case "POST", (dataset, "events"):
                self.counts["uploads"] += 1
                return self._upload(call, dataset)
            case "GET", ("debug_token",):
                return self._read(call, call.dataset, _token_fields)
            case "GET", ("dataset_quality",):
                if not self.switches["meta_quality_readable"]:
                    raise MetaRefusal(rules.QUALITY_READABLE)
                return self._read(call, str(call.parameters.get("dataset_id", "")), _quality)
            case "GET", (dataset,):
                return self._read(call, dataset, _dataset_fields)
            case "GET", (dataset, "stats"):
                return self._read(call, dataset, _stats)
            case _:
                raise MetaRefusal(rules.KNOWN_PATH)

    def _read(self, call: GraphCall, dataset: str, answer: _Answer) -> WireResponse:
        _require_token_dataset(call, dataset)
        if not self.switches["meta_readable"]:
            raise MetaRefusal(rules.READABLE)
        body = answer(call, self._book.events_of_dataset(dataset))
        self.counts["reads"] += 1
        return json_response(200, body)

    def _upload(self, call: GraphCall, dataset: str) -> WireResponse:
        _require_token_dataset(call, dataset)
        if minutes := int(str(self.switches["meta_throttle_minutes"])):
            return self._throttle(minutes)
        for name, value in call.parameters.items():
            if name not in _PARAMETERS or not (name == "data" or isinstance(value, str)):
                raise MetaRefusal(rules.KNOWN_PARAMETERS, name)
        rows = parse_events(call.parameters.get("data"))
        if not rows:
            raise MetaRefusal(rules.SOME_EVENTS, "data")
        if len(rows) > MAX_EVENTS:
            raise MetaRefusal(rules.MAX_EVENTS, "data")
        self._check(rows)
        return self._accept(rows, dataset)

    def _check(self, rows: tuple[MetaEvent, ...]) -> None:
        """Raise `MetaRefusal` for the first event that breaks a rule or has a planted error."""
        arrival = MetaEventCheckContext(
            self._now(),
            timedelta(seconds=int(str(self.switches["meta_ahead_seconds"]))),
            ascii_names=bool(self.switches["meta_ascii_names"]),
            any_click_id=self.switches["meta_malformed_click_id"] == "accept",
        )
        for row, event in enumerate(rows):
            refusal = next(violations(event, row, arrival), None) or self._planted(event, row)
            if refusal:
                raise refusal

    def _planted(self, event: MetaEvent, row: int) -> MetaRefusal | None:
        """Return the refusal planted on this event, if any."""
        for name in (str(event.fields.get("event_id", "")), *click_and_lead_ids(event)):
            if name in self.rulings:
                return MetaRefusal(replace(rules.PLANTED, **asdict(self.rulings[name])), row=row)
        return None

    def _accept(self, rows: tuple[MetaEvent, ...], dataset: str) -> WireResponse:
        accepted = rows if self.switches["meta_received"] == "all" else ()
        self.switches["meta_received"] = "all"
        now, deduplicate = self._now(), bool(self.switches["meta_deduplication"])
        lost = min(int(str(self.switches["meta_lost"])), len(accepted))
        self.switches["meta_lost"] = int(str(self.switches["meta_lost"])) - lost
        for event in accepted[lost:]:
            self._book.accept(as_accepted_event(event, dataset, now), deduplicate=deduplicate)
        self.counts["events"] += len(accepted)
        return json_response(200, {"events_received": len(accepted), "messages": [], "fbtrace_id": self._trace()})

    def _throttle(self, minutes: int) -> WireResponse:
        self.switches["meta_throttle_minutes"] = 0
        self._note_refusal(MetaRefusal(rules.THROTTLED))
        return throttled_response(minutes, self._trace())

    def _refuse(self, refusal: MetaRefusal) -> WireResponse:
        self._note_refusal(refusal)
        language, indexed = self.switches["meta_language"], self.switches["meta_error_index"]
        return refusal_response(refusal, self._trace(), language=language, indexed=indexed)

    def _note_refusal(self, refusal: MetaRefusal) -> None:
        self.counts["refused"] += 1
        code, subcode = refusal.rule.code, refusal.rule.subcode
        self.record_refusal(self._now(), code=code, subcode=subcode, field=refusal.path)

    def _trace(self) -> str:
        """Return a trace id, the same in every run."""
        return f"Asandbox{self.counts['requests']:015d}"


def _require_token_dataset(call: GraphCall, dataset: str) -> None:
    if dataset != call.dataset:
        raise MetaRefusal(rules.OWN_DATASET)


_BUSINESS = {"id": "900100200300400", "name": "Sandbox"}
_AGGREGATIONS = frozenset(
    "browser_type custom_data_field device_os device_type event event_detection_method event_processing_results"  # noqa: SIM905 - a table
    " event_source event_total_counts event_value_count had_pii host match_keys pixel_fire url url_by_rule".split()
)


def _dataset_fields(call: GraphCall, lines: Iterable[CountedMetaEvent]) -> dict[str, object]:
    """Answer `GET /{dataset}` with the requested fields; raise `MetaRefusal` if one doesn't exist.

    https://developers.facebook.com/docs/marketing-api/reference/ads-pixel
    """
    _reject_unknown_parameters(call.parameters, "fields")
    last = max((line.counted.at for line in lines), default=None)
    known: dict[str, object] = {
        "id": call.dataset,
        "name": NAMES[call.dataset],
        "is_crm": False,
        "is_consolidated_container": True,
        "is_unavailable": False,
        "last_fired_time": last,
        "owner_business": _BUSINESS,
        "data_use_setting": "ADVERTISING_AND_ANALYTICS",
    }
    wanted = [name for name in str(call.parameters.get("fields", "id")).split(",") if name]
    for name in wanted:
        if name not in known:
            raise MetaRefusal(rules.FIELDS, "fields")
    return {name: known[name] for name in ("id", *wanted) if known[name] is not None}


def _stats(call: GraphCall, lines: Iterable[CountedMetaEvent]) -> dict[str, object]:
    """Answer `GET /{dataset}/stats` with the events counted by hour; raise `MetaRefusal` for an invalid query.

    https://developers.facebook.com/docs/marketing-api/reference/ads-pixel/stats/
    """
    parameters = call.parameters
    _reject_unknown_parameters(
        parameters, "aggregation", "event", "start_time", "end_time", "summary"
    )  # Meta's library sends `summary`
    aggregation = parameters.get("aggregation")
    if aggregation not in _AGGREGATIONS:
        raise MetaRefusal(rules.AGGREGATION, "aggregation")
    start, end = _instant(parameters, "start_time"), _instant(parameters, "end_time")
    figure = _FIGURES.get(str(aggregation))
    hours: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
    for line in lines:
        at = datetime.fromisoformat(line.accepted_at)
        wanted = parameters.get("event", line.counted.event_name) == line.counted.event_name
        if wanted and (start is None or start <= at) and (end is None or at < end):
            hour = at.replace(minute=0, second=0, microsecond=0)
            for value in figure(line.counted) if figure else ():
                hours[hour][value] += line.accepted
    rows = [
        {
            "start_time": hour.isoformat(),
            "aggregation": aggregation,
            "data": [{"value": value, "count": count} for value, count in sorted(counts.items())],
        }
        for hour, counts in sorted(hours.items())
    ]
    return {"data": rows}


_FIGURES: Mapping[str, Callable[[AcceptedMetaEvent], tuple[str, ...]]] = {
    "event": lambda counted: (counted.event_name,),
    "event_total_counts": lambda _: ("total",),
    "event_processing_results": lambda _: ("success",),
    "event_source": lambda _: ("SERVER",),
    "match_keys": lambda counted: counted.keys,
    "had_pii": lambda counted: (str(counted.click_kind == "contact").lower(),),
}
"""The values that an event counts towards, for each aggregation that the sandbox supports."""


_QUALITY_FIELDS = ("web{event_name,event_match_quality}", "web{event_name,event_match_quality{composite_score}}")
"""The forms of `fields` that the sandbox knows."""


def _quality(call: GraphCall, lines: Iterable[CountedMetaEvent]) -> dict[str, object]:
    """Answer `GET /dataset_quality` with the match quality of web events, which are the only ones rated.

    https://developers.facebook.com/docs/marketing-api/conversions-api/dataset-quality-api
    """
    _reject_unknown_parameters(call.parameters, "dataset_id", "fields")
    if call.parameters.get("fields") not in _QUALITY_FIELDS:
        raise MetaRefusal(rules.FIELDS, "fields")
    keys: defaultdict[str, list[int]] = defaultdict(list)
    for line in lines:
        if line.counted.action_source == "website":
            keys[line.counted.event_name].append(len(line.counted.keys))
    rated = {name: min(10.0, 2.0 * sum(counts) / len(counts)) for name, counts in sorted(keys.items())}
    return {
        "web": [
            {"event_name": name, "event_match_quality": {"composite_score": round(score, 1)}}
            for name, score in rated.items()
        ]
    }


def _token_fields(call: GraphCall, _: object) -> dict[str, object]:
    """Answer `GET /debug_token` about its `input_token`.

    https://developers.facebook.com/docs/graph-api/reference/debug_token
    """
    _reject_unknown_parameters(call.parameters, "input_token")
    token = call.parameters.get("input_token")
    owned = next((dataset for dataset, known in TOKENS.items() if known == token), None)
    if owned is None:
        error = {"code": rules.TOKEN_KNOWN.code, "message": "Invalid OAuth access token"}
        return {"data": {"is_valid": False, "error": error, "scopes": []}}
    scopes = ["ads_management", "ads_read"]
    fields = {
        "app_id": f"7{owned}",
        "application": NAMES[owned],
        "type": "SYSTEM_USER",
        "is_valid": True,
        "expires_at": 0,
        "scopes": scopes,
        "granular_scopes": [{"scope": scope, "target_ids": [owned]} for scope in scopes],
    }
    return {"data": fields}


def _reject_unknown_parameters(parameters: Mapping[str, object], *known: str) -> None:
    if unknown := parameters.keys() - set(known):
        raise MetaRefusal(rules.KNOWN_PARAMETERS, min(unknown))


def _instant(parameters: Mapping[str, object], name: str) -> datetime | None:
    """Parse a time, Unix seconds or ISO 8601 with an offset; return None if the parameter is missing."""
    text = parameters.get(name)
    if text is None:
        return None
    try:
        at = datetime.fromtimestamp(int(str(text)), UTC) if str(text).isdecimal() else datetime.fromisoformat(str(text))
    except (ValueError, OverflowError, OSError):
        raise MetaRefusal(rules.AGGREGATION, name) from None
    if at.tzinfo is None:
        raise MetaRefusal(rules.AGGREGATION, name)
    return at
