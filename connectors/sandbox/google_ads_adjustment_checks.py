"""What the Google Ads API checks of adjustments before it looks anything up."""

import math
from collections.abc import Iterator
from datetime import datetime

from connectors.sandbox import google_ads_adjustment_rules as rules
from connectors.sandbox.google_ads_adjustment_wire import Adjustment, Adjustments, Pair
from connectors.sandbox.google_ads_checks import (
    AHEAD,
    MAX_IDENTIFIERS,
    MAX_JOB_ID,
    MAX_ORDER_ID,
    Fault,
    action_id,
    instant,
    is_currency,
    is_personal,
    is_time,
)
from connectors.sandbox.google_ads_errors import Problem

MAX_ADJUSTMENTS = 2_000
ENHANCEMENT, RESTATEMENT, RETRACTION = "ENHANCEMENT", "RESTATEMENT", "RETRACTION"

_TYPES = (ENHANCEMENT, RESTATEMENT, RETRACTION)


def request_fault(request: Adjustments) -> Fault | None:
    """What refuses the request as a whole: the rule and the field."""
    if not request.partial_failure:
        return rules.PARTIAL_FAILURE, "partial_failure"
    if not request.rows:
        return rules.SOME_ADJUSTMENTS, "conversion_adjustments"
    if len(request.rows) > MAX_ADJUSTMENTS:
        return rules.MAX_ADJUSTMENTS, "conversion_adjustments"
    if request.job_id is not None and not 1 <= request.job_id <= MAX_JOB_ID:
        return rules.JOB_ID, "job_id"
    return None


def row_problems(row: Adjustment, index: int, now: datetime) -> list[Problem]:
    """Everything that is wrong with a row by itself."""
    return [row_problem(fault, index) for fault in _faults(row, now)]


def row_problem(fault: Fault, index: int) -> Problem:
    """The breach of a rule by a field of a row; the field's path has dots, and is empty for the row itself."""
    rule, field = fault
    return Problem.of(rule, ("conversion_adjustments", index), *(field.split(".") if field else ()))


def _faults(row: Adjustment, now: datetime) -> Iterator[Fault]:
    if row.kind == "UNSPECIFIED":
        yield rules.TYPE_SENT, "adjustment_type"
    elif row.kind not in _TYPES:
        yield rules.TYPE_KNOWN, "adjustment_type"
    yield from _key_faults(row)
    if not row.action:
        yield rules.ACTION_SENT, "conversion_action"
    elif not action_id(row.action):
        yield rules.ACTION_NAME, "conversion_action"
    yield from _time_faults(row, now)
    yield from _value_faults(row)
    yield from _contact_faults(row)


def _key_faults(row: Adjustment) -> Iterator[Fault]:
    if row.order_id and row.pair and row.kind != ENHANCEMENT:
        yield rules.ONE_KEY, "order_id"
    if not row.order_id and not row.pair:
        yield rules.SOME_KEY, "order_id"
    if row.pair:
        yield from _pair_faults(row.pair)
    if len(row.order_id) > MAX_ORDER_ID:
        yield rules.ORDER_ID_LENGTH, "order_id"
    if is_personal(row.order_id):
        yield rules.ORDER_ID_PERSONAL, "order_id"


def _pair_faults(pair: Pair) -> Iterator[Fault]:
    if not pair.gclid:
        yield rules.PAIR_WHOLE, "gclid_date_time_pair.gclid"
    field = "gclid_date_time_pair.conversion_date_time"
    if not pair.time:
        yield rules.PAIR_WHOLE, field
    elif not is_time(pair.time):
        yield rules.PAIR_TIME, field
    elif instant(pair.time) is None:
        yield rules.TIME_EXISTS, field


def _time_faults(row: Adjustment, now: datetime) -> Iterator[Fault]:
    at = instant(row.time)
    if not row.time:
        if row.kind != ENHANCEMENT:
            yield rules.TIME_SENT, "adjustment_date_time"
    elif not is_time(row.time):
        yield rules.TIME_FORMAT, "adjustment_date_time"
    elif at is None:
        yield rules.TIME_EXISTS, "adjustment_date_time"
    elif at > now + AHEAD:
        yield rules.NOT_IN_FUTURE, "adjustment_date_time"


def _value_faults(row: Adjustment) -> Iterator[Fault]:
    if row.kind == RETRACTION and row.has_value:
        yield rules.NO_VALUE, "restatement_value"
    if row.kind == RESTATEMENT and row.value is None:
        yield rules.VALUE_SENT, "restatement_value.adjusted_value" if row.has_value else "restatement_value"
    if row.value is not None and not (math.isfinite(row.value) and row.value >= 0):
        yield rules.VALUE_SHAPE, "restatement_value.adjusted_value"
    if row.currency and not is_currency(row.currency):
        yield rules.CURRENCY, "restatement_value.currency_code"


def _contact_faults(row: Adjustment) -> Iterator[Fault]:
    if row.kind == ENHANCEMENT:
        if row.identifiers > MAX_IDENTIFIERS:
            yield rules.MAX_IDENTIFIERS, "user_identifiers"
        return
    if row.identifiers:
        yield rules.NO_CONTACT, "user_identifiers"
    if row.has_agent:
        yield rules.NO_CONTACT, "user_agent"
