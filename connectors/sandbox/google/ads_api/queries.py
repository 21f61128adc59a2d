"""The queries of GAQL that the sandbox answers, and the rows they find."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from google.ads.googleads.v26.services.types import google_ads_service as service
from google.protobuf import descriptor, field_mask_pb2  # type: ignore[import-untyped]  # the vendor ships no types

from connectors.sandbox.google.accounts import GoogleAccount
from connectors.sandbox.google.ads_api import rules
from connectors.sandbox.google.ads_api.memory import Job, JobSummary, summary
from connectors.sandbox.google.ads_api.wire import error_number, parsed

_TOKEN = re.compile(r"""\s*(?:([A-Za-z0-9_.]+)|('[^'\n]*'|"[^"\n]*")|(\S))""")
_FIELD = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+")
_RESOURCE = re.compile(r"[a-z][a-z0-9_]*")
_VALUE = re.compile(r"""[A-Za-z0-9_.]+|'[^']*'|"[^"]*\"""")


class QueryRefusedError(Exception):
    """The query breaks a rule."""

    def __init__(self, rule: rules.AdsApiRule) -> None:
        super().__init__(rule.rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Condition:
    """A field that has one of these values, quotes taken away."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A query that is well formed; whether its fields exist is not known yet."""

    fields: tuple[str, ...]
    resource: str
    conditions: tuple[Condition, ...]


def parse_query(text: str) -> Query:
    """Read a query, or raise `QueryRefusedError` with the rule that it breaks."""
    tokens = _Tokens(text)
    tokens.demand("SELECT", rules.GAQL_SELECT)
    fields = [tokens.take(_FIELD, rules.GAQL_SELECT)]
    while tokens.skip(","):
        fields.append(tokens.take(_FIELD, rules.GAQL_SELECT))
    tokens.demand("FROM", rules.GAQL_FROM)
    resource = tokens.take(_RESOURCE, rules.GAQL_FROM)
    conditions = []
    if tokens.skip("WHERE"):
        conditions.append(_condition(tokens))
        while tokens.skip("AND"):
            conditions.append(_condition(tokens))
    if tokens.left:
        raise QueryRefusedError(rules.GAQL_END)
    return Query(tuple(fields), resource, tuple(conditions))


class _Tokens:
    """A query's words, quoted strings and signs, from left to right."""

    def __init__(self, text: str) -> None:
        self.left = [str(next(filter(None, found.groups()))) for found in _TOKEN.finditer(text)]

    def skip(self, word: str) -> bool:
        """Whether this keyword or sign comes next; it is taken then."""
        if not self.left or self.left[0].upper() != word:
            return False
        del self.left[0]
        return True

    def demand(self, word: str, rule: rules.AdsApiRule) -> None:
        """Take this keyword or sign."""
        if not self.skip(word):
            raise QueryRefusedError(rule)

    def take(self, shape: re.Pattern[str], rule: rules.AdsApiRule) -> str:
        """Take a token of this shape."""
        if not self.left or not shape.fullmatch(self.left[0]):
            raise QueryRefusedError(rule)
        return self.left.pop(0)


def _condition(tokens: _Tokens) -> Condition:
    field = tokens.take(_FIELD, rules.GAQL_WHERE)
    if tokens.skip("="):
        return Condition(field, (_value(tokens),))
    tokens.demand("IN", rules.GAQL_WHERE)
    tokens.demand("(", rules.GAQL_WHERE)
    values = [_value(tokens)]
    while tokens.skip(","):
        values.append(_value(tokens))
    tokens.demand(")", rules.GAQL_WHERE)
    return Condition(field, tuple(values))


def _value(tokens: _Tokens) -> str:
    return tokens.take(_VALUE, rules.GAQL_VALUE).strip("'\"")


Row = service.GoogleAdsRow.pb()
_ROW = Row.DESCRIPTOR
_FieldMask = field_mask_pb2.FieldMask


@dataclass(frozen=True, slots=True)
class View:
    """What is asked: which customer, as things stand when."""

    customer: str
    account: GoogleAccount
    enhanced: str
    """The switch ads_api_enhanced."""
    jobs: Sequence[Job]
    """The customer's uploads, oldest first."""
    now: datetime

    @property
    def setting(self) -> str:
        """The account's enhanced conversions, as the switch names them."""
        return self.enhanced if self.account.enhanced_conversions else "off"


@dataclass(frozen=True, slots=True)
class Question:
    """A Search or SearchStream request."""

    customer: str
    query: str
    page_size: int
    validate_only: bool
    stream: bool


def read_question(body: bytes, *, stream: bool) -> Question:
    """Read a request of the one method or the other, or raise `UnreadableError`."""
    if stream:
        request = parsed(service.SearchGoogleAdsStreamRequest.pb(), body)
        return Question(request.customer_id, request.query, 0, validate_only=False, stream=True)
    request = parsed(service.SearchGoogleAdsRequest.pb(), body)
    return Question(request.customer_id, request.query, request.page_size, request.validate_only, stream=False)


def answer_question(question: Question, view: View | None, request_id: str) -> bytes:
    """The method's response, a stream's only one; `QueryRefusedError` where the query breaks a rule.

    Args:
        question: what was asked.
        view: the customer; None for a manager, of which nothing is told.
        request_id: named in a stream's response.
    """
    if question.page_size:
        raise QueryRefusedError(rules.GAQL_PAGE_SIZE)
    mask, rows = _found(question.query, view)
    told = {"results": [] if question.validate_only else rows, "field_mask": mask}
    if question.stream:
        return bytes(service.SearchGoogleAdsStreamResponse.pb()(**told, request_id=request_id).SerializeToString())
    return bytes(service.SearchGoogleAdsResponse.pb()(**told, total_results_count=len(rows)).SerializeToString())


def _found(text: str, view: View | None) -> tuple[Any, list[Any]]:
    """The field mask and the rows of a query; `QueryRefusedError` where it breaks a rule."""
    query = parse_query(text)
    fields = {field: _resolved(field, query) for field in query.fields}
    conditions = [(_resolved(each.field, query), each) for each in query.conditions]
    for (_, leaf), each in conditions:
        _check(each, leaf)
    rows = [] if view is None else _RESOURCES[query.resource](view)
    kept = [row for row in rows if all(_holds(row, path, leaf, each) for (path, leaf), each in conditions)]
    mask = _FieldMask(paths=[*(path for path, _ in fields.values()), f"{query.resource}.resource_name"])
    return _FieldMask(paths=list(fields)), [_selected(row, mask) for row in kept]


def _resolved(field: str, query: Query) -> tuple[str, Any]:
    """The path of a field in `GoogleAdsRow`, and its descriptor."""
    if query.resource not in _RESOURCES:
        raise QueryRefusedError(rules.GAQL_RESOURCE)
    message, path, leaf = _ROW, [], None
    for name in field.split("."):
        # proto-plus calls a field `type_` where Python has a word of that name
        leaf = (message.fields_by_name.get(name) or message.fields_by_name.get(f"{name}_")) if message else None
        if leaf is None:
            raise QueryRefusedError(rules.GAQL_FIELD)
        path.append(leaf.name)
        message = None if leaf.is_repeated else leaf.message_type
    if path[0] not in (query.resource, "customer"):
        raise QueryRefusedError(rules.GAQL_RELATED)
    if message is not None:
        raise QueryRefusedError(rules.GAQL_LEAF)
    return ".".join(path), leaf


def _check(condition: Condition, leaf: Any) -> None:
    """Refuse values that are none of the field's."""
    if leaf.is_repeated:
        raise QueryRefusedError(rules.GAQL_WHERE)
    for value in condition.values:
        match leaf.cpp_type:
            case descriptor.FieldDescriptor.CPPTYPE_INT32 | descriptor.FieldDescriptor.CPPTYPE_INT64:
                fits = value.isascii() and value.isdecimal()
            case descriptor.FieldDescriptor.CPPTYPE_ENUM:
                fits = value in leaf.enum_type.values_by_name
            case descriptor.FieldDescriptor.CPPTYPE_BOOL:
                fits = value.upper() in ("TRUE", "FALSE")
            case _:
                fits = True
        if not fits:
            raise QueryRefusedError(rules.GAQL_VALUE)


def _holds(row: Any, path: str, leaf: Any, condition: Condition) -> bool:
    value = row
    for name in path.split("."):
        value = getattr(value, name)
    if leaf.enum_type is not None:
        value = leaf.enum_type.values_by_number[value].name
    return str(value).lower() in {each.lower() for each in condition.values}


def _selected(row: Any, mask: Any) -> Any:
    told = Row()
    mask.MergeMessage(row, told)
    return told


def _customer(view: View) -> Any:
    """A row with the customer, as every resource's row has it."""
    row = Row()
    customer = row.customer
    customer.resource_name = f"customers/{view.customer}"
    customer.id = int(view.customer)
    customer.descriptive_name = "Maison Demo"
    customer.currency_code = view.account.currency
    customer.time_zone = view.account.time_zone
    customer.auto_tagging_enabled = True
    customer.status = _number(customer, "status", "ENABLED" if view.account.enabled else "CANCELED")
    tracking = customer.conversion_tracking_setting
    tracking.google_ads_conversion_customer = f"customers/{view.customer}"
    tracking.conversion_tracking_status = _number(
        tracking, "conversion_tracking_status", "CONVERSION_TRACKING_MANAGED_BY_SELF"
    )
    tracking.accepted_customer_data_terms = view.setting != "terms_not_accepted"
    for field in ("enablement_setting", "effective_enablement_setting"):
        setattr(tracking, field, _number(tracking, field, "OFF" if view.setting == "off" else "ON"))
    return row


def _customers(view: View) -> list[Any]:
    return [_customer(view)]


def _actions(view: View) -> list[Any]:
    return [_action(view, number) for number in view.account.actions]


def _action(view: View, number: str) -> Any:
    known = view.account.actions[number]
    row = _customer(view)
    action = row.conversion_action
    action.resource_name = f"customers/{view.customer}/conversionActions/{number}"
    action.id = int(number)
    action.name = known.name
    action.owner_customer = f"customers/{view.customer}"
    action.primary_for_goal = known.primary
    action.include_in_conversions_metric = known.primary and known.category not in view.account.no_default_goals
    action.click_through_lookback_window_days = known.click_window_days
    action.value_settings.default_value = 1.0
    action.value_settings.always_use_default_value = known.always_default_value
    named = {
        "status": known.status,
        "type_": known.kind,
        "category": known.category,
        "origin": known.origin,
        "counting_type": "ONE_PER_CLICK" if known.one_per_click else "MANY_PER_CLICK",
    }
    for field, name in named.items():
        setattr(action, field, _number(action, field, name))
    return row


def _goals(view: View) -> list[Any]:
    return [
        _goal(view, *goal) for goal in sorted({(one.category, one.origin) for one in view.account.actions.values()})
    ]


def _goal(view: View, category: str, origin: str) -> Any:
    row = _customer(view)
    goal = row.customer_conversion_goal
    goal.resource_name = f"customers/{view.customer}/customerConversionGoals/{category}~{origin}"
    goal.category = _number(goal, "category", category)
    goal.origin = _number(goal, "origin", origin)
    goal.biddable = category not in view.account.no_default_goals
    return row


def _client_summaries(view: View) -> list[Any]:
    if not view.jobs:
        return []
    row = _customer(view)
    told, found = row.offline_conversion_upload_client_summary, _summary(view, view.jobs)
    told.resource_name = f"customers/{view.customer}/offlineConversionUploadClientSummaries/GOOGLE_ADS_API"
    told.success_rate = found.successful / found.total
    _summarise(told, found)
    return [row]


def _action_summaries(view: View) -> list[Any]:
    jobs: defaultdict[str, list[Job]] = defaultdict(list)
    for job in view.jobs:
        if job.action in view.account.actions:
            jobs[job.action].append(job)
    return [_action_summary(view, number, jobs[number]) for number in jobs]


def _action_summary(view: View, number: str, jobs: Sequence[Job]) -> Any:
    row = _customer(view)
    told = row.offline_conversion_upload_conversion_action_summary
    place = f"customers/{view.customer}/offlineConversionUploadConversionActionSummaries"
    told.resource_name = f"{place}/{number}~GOOGLE_ADS_API"
    told.conversion_action_id = int(number)
    told.conversion_action_name = view.account.actions[number].name
    _summarise(told, _summary(view, jobs))
    return row


def _summary(view: View, jobs: Sequence[Job]) -> JobSummary:
    return summary(jobs, ZoneInfo(view.account.time_zone), view.now)


def _summarise(told: Any, found: JobSummary) -> None:
    """Fill in what both kinds of summary have."""
    told.client = _number(told, "client", "GOOGLE_ADS_API")
    told.status = _number(told, "status", found.status)
    told.total_event_count, told.successful_event_count = found.total, found.successful
    told.last_upload_date_time = found.last
    for day in found.days:
        told.daily_summaries.add(upload_date=day.label, successful_count=day.successful, failed_count=day.failed)
    for job in found.jobs:
        told.job_summaries.add(job_id=int(job.label), successful_count=job.successful, failed_count=job.failed)
    for error, share in found.alerts.items():
        _alert(told, error, share)


def _alert(told: Any, error: str, share: float) -> None:
    """Tell of an error, where summaries have its family."""
    family, _, name = error.partition(".")
    alert = told.alerts.add(error_percentage=share)
    if family in alert.error.DESCRIPTOR.fields_by_name:
        code = int(name) if name.isdecimal() else name
        setattr(alert.error, family, error_number(family, code))


def _number(message: Any, field: str, name: str) -> int:
    """The number of an enum's name, in whichever enum the field has."""
    return int(message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_name[name].number)


_RESOURCES: Mapping[str, Callable[[View], list[Any]]] = {
    "customer": _customers,
    "conversion_action": _actions,
    "customer_conversion_goal": _goals,
    "offline_conversion_upload_client_summary": _client_summaries,
    "offline_conversion_upload_conversion_action_summary": _action_summaries,
}
"""The rows of each resource, unfiltered."""
