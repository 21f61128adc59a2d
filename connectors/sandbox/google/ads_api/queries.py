"""GAQL as far as the sandbox supports it: the parser, the resources and their rows."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from google.ads.googleads.v26.resources.types import offline_conversion_upload_client_summary
from google.ads.googleads.v26.services.types import google_ads_service as service
from google.protobuf import field_mask_pb2  # type: ignore[import-untyped]  # the vendor ships no types

from connectors.sandbox.google.ads_api.state import (
    AdsApiState,
    CallRefusal,
    GrpcCall,
    UploadJob,
    error_number_from_name,
    parse,
)
from connectors.sandbox.google.platform import GoogleAccount
from connectors.sandbox.rules import AdsApiRule
from connectors.sandbox.rules import ads_api_rules as rules

_FIELD = r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+"
_SELECT = re.compile(rf"\s*(?i:SELECT)\s+({_FIELD}(?:\s*,\s*{_FIELD})*)(?![\w.]|\s*,)")
_FROM = re.compile(r"\s*(?i:FROM)\s+([a-z][a-z0-9_]*)(?![\w.])\s*")


class QueryRefusedError(Exception):
    """The query breaks a rule."""

    def __init__(self, rule: AdsApiRule) -> None:
        super().__init__(rule.rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class GaqlQuery:
    """A well-formed query, whose fields may not exist."""

    fields: tuple[str, ...]
    resource: str


def parse_query(text: str) -> GaqlQuery:
    """Parse a query; raise `QueryRefusedError` with the rule it breaks."""
    if not (selected := _SELECT.match(text)):
        raise QueryRefusedError(rules.GAQL_SELECT)
    if not (source := _FROM.match(text, selected.end())):
        raise QueryRefusedError(rules.GAQL_FROM)
    if source.end() < len(text):
        raise QueryRefusedError(rules.GAQL_END)
    return GaqlQuery(tuple(dict.fromkeys(re.split(r"\s*,\s*", selected[1]))), source[1])


_Row = service.GoogleAdsRow.pb()
_Alert = offline_conversion_upload_client_summary.OfflineConversionAlert.pb()
_FieldMask = field_mask_pb2.FieldMask


@dataclass(frozen=True, slots=True)
class QueriedCustomer:
    """The current state of the customer that a query is about."""

    customer: str
    account: GoogleAccount
    enhanced: str
    """The customer's enhanced conversions setting, as a position of the switch `ads_api_enhanced`."""
    jobs: Sequence[UploadJob]
    """The customer's uploads, oldest first."""
    now: datetime

    @property
    def name(self) -> str:
        """The customer's resource name."""
        return f"customers/{self.customer}"


def search(call: GrpcCall, api: AdsApiState, now: datetime) -> bytes | CallRefusal:
    """Answer SearchStream with a single response; raise `UnreadableCallError` for an unreadable message."""
    api.counts["search"] += 1
    request = parse(service.SearchGoogleAdsStreamRequest.pb(), call.message)
    customer = request.customer_id
    if refusal := api.access_refusal(call, customer):
        return refusal
    account = api.google.accounts.get(customer)
    jobs = [job for job in api.jobs if job.customer == customer]
    view = QueriedCustomer(customer, account, api.enhanced_conversions(account), jobs, now) if account else None
    try:
        mask, rows = _find(request.query, view)
    except QueryRefusedError as refused:
        return CallRefusal.from_broken_rule(refused.rule, "query")
    response = service.SearchGoogleAdsStreamResponse.pb()(results=rows, field_mask=mask, request_id=call.id)
    return bytes(response.SerializeToString())


def _find(text: str, view: QueriedCustomer | None) -> tuple[Any, list[Any]]:
    """Return a query's field mask and rows (none for a manager); raise `QueryRefusedError` if it breaks a rule."""
    query = parse_query(text)
    if query.resource not in _RESOURCES:
        raise QueryRefusedError(rules.GAQL_RESOURCE)
    paths = [_resolve(field, query.resource) for field in query.fields]
    rows = (
        [_Row(**{"customer": _customer(view), query.resource: each}) for each in _RESOURCES[query.resource](view)]
        if view
        else []
    )
    mask = _FieldMask(paths=[*paths, f"{query.resource}.resource_name"])
    return _FieldMask(paths=query.fields), [_select(row, mask) for row in rows]


def _resolve(field: str, resource: str) -> str:
    """Return a field's path in `GoogleAdsRow`; raise `QueryRefusedError` if it can't be queried."""
    message, path, leaf = _Row.DESCRIPTOR, [], None
    for name in field.split("."):
        # proto-plus appends an underscore to a field named like a Python builtin: `type_`
        leaf = (message.fields_by_name.get(name) or message.fields_by_name.get(f"{name}_")) if message else None
        if leaf is None:
            raise QueryRefusedError(rules.GAQL_FIELD)
        path.append(leaf.name)
        message = None if leaf.is_repeated else leaf.message_type
    if path[0] not in (resource, "customer"):
        raise QueryRefusedError(rules.GAQL_RELATED)
    if message is not None:
        raise QueryRefusedError(rules.GAQL_LEAF)
    return ".".join(path)


def _select(row: Any, mask: Any) -> Any:
    selected = _Row()
    mask.MergeMessage(row, selected)
    return selected


def _customer(view: QueriedCustomer) -> dict[str, Any]:
    enhanced = "OFF" if view.enhanced == "off" else "ON"
    return {
        "resource_name": view.name,
        "id": int(view.customer),
        "descriptive_name": "Maison Demo",
        "currency_code": view.account.currency,
        "time_zone": view.account.time_zone,
        "auto_tagging_enabled": True,
        "status": "ENABLED" if view.account.enabled else "CANCELED",
        "conversion_tracking_setting": {
            "google_ads_conversion_customer": view.name,
            "conversion_tracking_status": "CONVERSION_TRACKING_MANAGED_BY_SELF",
            "accepted_customer_data_terms": view.enhanced != "terms_not_accepted",
            "enablement_setting": enhanced,
            "effective_enablement_setting": enhanced,
        },
    }


def _actions(view: QueriedCustomer) -> Iterator[dict[str, Any]]:
    for number, action in view.account.actions.items():
        is_default_goal = action.category not in view.account.no_default_goals
        yield {
            "resource_name": f"{view.name}/conversionActions/{number}",
            "id": int(number),
            "name": action.name,
            "owner_customer": view.name,
            "primary_for_goal": action.primary,
            "include_in_conversions_metric": action.primary and is_default_goal,
            "click_through_lookback_window_days": action.click_window_days,
            "value_settings": {"default_value": 1.0, "always_use_default_value": action.always_default_value},
            "status": action.status,
            "type_": action.kind,
            "category": action.category,
            "origin": action.origin,
            "counting_type": "ONE_PER_CLICK" if action.one_per_click else "MANY_PER_CLICK",
        }


def _goals(view: QueriedCustomer) -> Iterator[dict[str, Any]]:
    for category, origin in sorted({(each.category, each.origin) for each in view.account.actions.values()}):
        yield {
            "resource_name": f"{view.name}/customerConversionGoals/{category}~{origin}",
            "category": category,
            "origin": origin,
            "biddable": category not in view.account.no_default_goals,
        }


def _client_summaries(view: QueriedCustomer) -> Iterator[dict[str, Any]]:
    if view.jobs:
        summary = _summary(view, view.jobs)
        yield {
            "resource_name": f"{view.name}/offlineConversionUploadClientSummaries/GOOGLE_ADS_API",
            "success_rate": summary["successful_event_count"] / summary["total_event_count"],
            **summary,
        }


def _action_summaries(view: QueriedCustomer) -> Iterator[dict[str, Any]]:
    for number, jobs in _group_jobs(view.jobs, lambda job: job.action).items():
        if action := view.account.actions.get(number):
            place = "offlineConversionUploadConversionActionSummaries"
            yield {
                "resource_name": f"{view.name}/{place}/{number}~GOOGLE_ADS_API",
                "conversion_action_id": int(number),
                "conversion_action_name": action.name,
                **_summary(view, jobs),
            }


SUMMARISED = 7
"""How many of the latest days and jobs a summary lists."""
RECENT = timedelta(days=28)
EXCELLENT, GOOD = 0.9, 0.5
"""The success rates from which a status has these names; the thresholds are undocumented."""


def _summary(view: QueriedCustomer, jobs: Sequence[UploadJob]) -> dict[str, Any]:
    """Return the fields that both summaries share; needs at least one job, oldest first. Days are the account's."""
    zone = ZoneInfo(view.account.time_zone)
    by_day = _group_jobs(jobs, lambda job: job.at.astimezone(zone).date().isoformat())
    by_id = _group_jobs(jobs, lambda job: str(job.id))
    rows, latest = _count_rows_by_error(jobs), _count_rows_by_error(list(by_day.values())[-1])
    return {
        "client": "GOOGLE_ADS_API",
        "status": _status(latest, jobs[-1].at, view.now),
        "total_event_count": rows.total(),
        "successful_event_count": rows[""],
        "last_upload_date_time": jobs[-1].at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
        "daily_summaries": [{"upload_date": day, **_tally(group)} for day, group in by_day.items()][-SUMMARISED:],
        "job_summaries": [{"job_id": int(id_), **_tally(group)} for id_, group in by_id.items()][-SUMMARISED:],
        "alerts": [_alert(error, count / latest.total()) for error, count in latest.items() if error and count],
    }


def _group_jobs(jobs: Iterable[UploadJob], label: Callable[[UploadJob], str]) -> dict[str, list[UploadJob]]:
    groups: defaultdict[str, list[UploadJob]] = defaultdict(list)
    for job in jobs:
        groups[label(job)].append(job)
    return groups


def _status(rows: Counter[str], last: datetime, now: datetime) -> str:
    if now - last > RECENT:
        return "NO_RECENT_UPLOAD"
    share = rows[""] / rows.total()
    return "EXCELLENT" if share >= EXCELLENT else "GOOD" if share >= GOOD else "NEEDS_ATTENTION"


def _count_rows_by_error(jobs: Iterable[UploadJob]) -> Counter[str]:
    rows: Counter[str] = Counter()
    for job in jobs:
        rows.update(job.rows)
    return rows


def _tally(jobs: Iterable[UploadJob]) -> dict[str, int]:
    rows = _count_rows_by_error(jobs)
    return {"successful_count": rows[""], "failed_count": rows.total() - rows[""]}


def _alert(error: str, share: float) -> dict[str, Any]:
    """Return an error's share of the rows, without the error itself if summaries lack its family."""
    family, _, name = error.partition(".")
    if family not in _Alert.DESCRIPTOR.fields_by_name["error"].message_type.fields_by_name:
        return {"error_percentage": share}
    return {
        "error_percentage": share,
        "error": {family: error_number_from_name(family, int(name) if name.isdecimal() else name)},
    }


_RESOURCES: Mapping[str, Callable[[QueriedCustomer], Iterable[dict[str, Any]]]] = {
    "customer": lambda view: [_customer(view)],
    "conversion_action": _actions,
    "customer_conversion_goal": _goals,
    "offline_conversion_upload_client_summary": _client_summaries,
    "offline_conversion_upload_conversion_action_summary": _action_summaries,
}
"""The functions that list each resource's rows."""
