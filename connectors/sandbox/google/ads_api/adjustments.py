"""Conversion adjustments, checked and taken in."""

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from connectors.sandbox.book import GoogleBookLine
from connectors.sandbox.google.accounts import GooglePlatform
from connectors.sandbox.google.ads_api import adjustment_rules as rules
from connectors.sandbox.google.ads_api.memory import AdsApiRuling, planted
from connectors.sandbox.google.ads_api.refusals import RowError
from connectors.sandbox.google.ads_api.uploads import (
    ACTION_SETTLES,
    AHEAD,
    MAX_IDENTIFIERS,
    MAX_JOB_ID,
    MAX_ORDER_ID,
    Fault,
    UploadTarget,
    action_id,
    instant,
    is_currency,
    is_personal,
    is_time,
    target,
)
from connectors.sandbox.google.ads_api.wire import AdjustmentRow, Adjustments, Pair

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


def row_problems(row: AdjustmentRow, index: int, now: datetime) -> list[RowError]:
    """Everything that is wrong with a row by itself."""
    return [row_problem(fault, index) for fault in _faults(row, now)]


def row_problem(fault: Fault, index: int) -> RowError:
    """The breach of a rule by a field of a row; the field's path has dots, and is empty for the row itself."""
    rule, field = fault
    return RowError.of(rule, ("conversion_adjustments", index), *(field.split(".") if field else ()))


def _faults(row: AdjustmentRow, now: datetime) -> Iterator[Fault]:
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


def _key_faults(row: AdjustmentRow) -> Iterator[Fault]:
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


def _time_faults(row: AdjustmentRow, now: datetime) -> Iterator[Fault]:
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


def _value_faults(row: AdjustmentRow) -> Iterator[Fault]:
    if row.kind == RETRACTION and row.has_value:
        yield rules.NO_VALUE, "restatement_value"
    if row.kind == RESTATEMENT and row.value is None:
        yield rules.VALUE_SENT, "restatement_value.adjusted_value" if row.has_value else "restatement_value"
    if row.value is not None and not (math.isfinite(row.value) and row.value >= 0):
        yield rules.VALUE_SHAPE, "restatement_value.adjusted_value"
    if row.currency and not is_currency(row.currency):
        yield rules.CURRENCY, "restatement_value.currency_code"


def _contact_faults(row: AdjustmentRow) -> Iterator[Fault]:
    if row.kind == ENHANCEMENT:
        if row.identifiers > MAX_IDENTIFIERS:
            yield rules.MAX_IDENTIFIERS, "user_identifiers"
        return
    if row.identifiers:
        yield rules.NO_CONTACT, "user_identifiers"
    if row.has_agent:
        yield rules.NO_CONTACT, "user_agent"


ADJUSTABLE = timedelta(days=54)
"""How long after a conversion it can be adjusted."""
_OWN, _OTHER = "google_ads", "data_manager"
_ACTIONS = {ENHANCEMENT: frozenset({"WEBPAGE"})}
_ANY_ACTION = frozenset({"UPLOAD_CLICKS", "SALESFORCE", "WEBPAGE"})


@dataclass(frozen=True, slots=True)
class AdjustmentContext:
    """What a row is judged in."""

    customer: str
    """Who asks: the owner of the action, or its manager."""
    at: datetime
    google: GooglePlatform
    across: bool
    """The switch cross_api_adjustments."""
    duplicates: str
    """The switch ads_api_duplicates."""


@dataclass(frozen=True, slots=True)
class AdjustmentVerdict:
    """What became of the rows: their errors, and how the conversions stand after all the others."""

    problems: Mapping[int, Sequence[RowError]]
    lines: Sequence[GoogleBookLine]


def judge(
    rows: Sequence[AdjustmentRow], circumstances: AdjustmentContext, rulings: Mapping[str, tuple[AdsApiRuling, ...]]
) -> AdjustmentVerdict:
    """Judge every row, and change nothing.

    An error that names no row (planted only) is about the whole request: then every row fails with it.
    """
    repeated = _repeated(rows, circumstances.duplicates)
    problems: dict[int, Sequence[RowError]] = {}
    standing: dict[Hashable, GoogleBookLine] = {}
    for index, row in enumerate(rows):
        found = planted(rulings, (row.order_id, row.pair.gclid if row.pair else ""), "adjust")
        problems[index] = [each.problem(index) for each in found] or row_problems(row, index, circumstances.at)
        if not problems[index]:
            verdict = (
                (rules.ONCE, "adjustment_date_time") if index in repeated else _judged(row, circumstances, standing)
            )
            if isinstance(verdict, GoogleBookLine):
                standing[verdict.first] = verdict
            else:
                problems[index] = [row_problem(verdict, index)]
    unplaced = [each for row in problems.values() for each in row if not each.place]
    if unplaced:
        return AdjustmentVerdict({index: own or unplaced for index, own in problems.items()}, ())
    return AdjustmentVerdict({index: own for index, own in problems.items() if own}, tuple(standing.values()))


def _judged(
    row: AdjustmentRow, circumstances: AdjustmentContext, standing: Mapping[Hashable, GoogleBookLine]
) -> GoogleBookLine | Fault:
    """The conversion as it stands after this row, or the first rule that the row breaks."""
    aim = target(row.action, circumstances.customer, circumstances.google.accounts)
    if aim is None:
        return rules.ACTION_KNOWN, "conversion_action"
    if fault := _by_action(row, aim, circumstances.at):
        return fault
    found = _found(row, aim, circumstances)
    if isinstance(found, tuple):
        return found
    line = standing.get(found.first, found)
    return _by_conversion(row, line, circumstances.at) or _adjusted(row, line, aim, circumstances.google)


def _by_action(row: AdjustmentRow, aim: UploadTarget, now: datetime) -> Fault | None:
    if aim.action.kind not in _ACTIONS.get(row.kind, _ANY_ACTION):
        return rules.ACTION_TYPE, "conversion_action"
    if aim.action.created_at and now - aim.action.created_at < ACTION_SETTLES:
        return rules.ACTION_AGE, "conversion_action"
    if aim.action.always_default_value and row.kind == RESTATEMENT:
        return rules.OWN_VALUE, "conversion_action"
    if aim.action.kind == "WEBPAGE" and not row.order_id:
        return rules.WEBPAGE_ORDER_ID, "order_id"
    return None


def _found(row: AdjustmentRow, aim: UploadTarget, circumstances: AdjustmentContext) -> GoogleBookLine | Fault:
    book = circumstances.google.book
    if not row.order_id:
        line = book.corrected(aim.owner, aim.id, _pair_key(row), (_OWN,))
        is_meant = line is not None and line.first.click_kind == "gclid" and not line.first.transaction_id
        return line if line and is_meant else (rules.CONVERSION_KNOWN, "gclid_date_time_pair")
    line = book.corrected(aim.owner, aim.id, row.order_id, (_OWN, _OTHER))
    if line is None or line.first.transaction_id != row.order_id:
        return rules.CONVERSION_KNOWN, "order_id"
    return (rules.ACROSS_APIS, "order_id") if line.first.api == _OTHER and not circumstances.across else line


def _by_conversion(row: AdjustmentRow, line: GoogleBookLine, now: datetime) -> Fault | None:
    happened, at = datetime.fromisoformat(line.first.event_time), instant(row.time)
    before = datetime.fromisoformat(line.adjusted_at) if line.adjusted_at else None
    if line.first.click_kind == "wbraid":
        return rules.NO_WBRAID, "order_id"
    if line.retracted:
        return rules.NOT_RETRACTED, "order_id" if row.order_id else "gclid_date_time_pair"
    if now - happened > ADJUSTABLE:
        return rules.NOT_EXPIRED, "order_id" if row.order_id else "gclid_date_time_pair"
    if at is None or at <= happened:
        return rules.AFTER_CONVERSION, "adjustment_date_time"
    if before and at < before:
        return rules.LATEST, "adjustment_date_time"
    if before and at == before and row.kind == RESTATEMENT:
        return rules.NEW_TIME, "adjustment_date_time"
    return None


def _adjusted(row: AdjustmentRow, line: GoogleBookLine, aim: UploadTarget, google: GooglePlatform) -> GoogleBookLine:
    at = instant(row.time)
    if line.is_final(at_zero=google.zero_is_final):
        return replace(line, ignored=line.ignored + 1)
    line = replace(line, adjusted_at=at.astimezone(UTC).isoformat() if at else "")
    if row.kind == RESTATEMENT:
        currency = row.currency or aim.account.currency
        return replace(line, value=row.value, currency=currency, restatements=line.restatements + 1)
    return replace(line, value=0.0, retracted=True)


def _repeated(rows: Sequence[AdjustmentRow], duplicates: str) -> frozenset[int]:
    """Rows that repeat others of their request, or are repeated where all such are refused."""
    keys = [(action_id(row.action), row.order_id or _pair_key(row), instant(row.time)) for row in rows]
    times = Counter(keys)
    return frozenset(
        index for index, key in enumerate(keys) if times[key] > 1 and (duplicates == "all" or key in keys[:index])
    )


def _pair_key(row: AdjustmentRow) -> str:
    """What a conversion without an order id is told apart by in the book."""
    at = instant(row.pair.time) if row.pair else None
    return f"{row.pair.gclid} {at.astimezone(UTC).isoformat()}" if row.pair and at else ""
