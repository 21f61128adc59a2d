"""One request of adjustments to the Google Ads API, judged row by row against what both of Google's APIs counted."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from connectors.sandbox import google_ads_adjustment_rules as rules
from connectors.sandbox.book import Line
from connectors.sandbox.google import Google
from connectors.sandbox.google_ads_adjustment_checks import ENHANCEMENT, RESTATEMENT, row_problem, row_problems
from connectors.sandbox.google_ads_adjustment_wire import Adjustment
from connectors.sandbox.google_ads_checks import Fault, action_id, instant
from connectors.sandbox.google_ads_errors import Problem
from connectors.sandbox.google_ads_lookups import ACTION_SETTLES, Target, target
from connectors.sandbox.google_ads_rulings import Ruling, planted

ADJUSTABLE = timedelta(days=54)
"""How long after a conversion it can be adjusted."""
_OWN, _OTHER = "google_ads", "data_manager"
_ACTIONS = {ENHANCEMENT: frozenset({"WEBPAGE"})}
_ANY_ACTION = frozenset({"UPLOAD_CLICKS", "SALESFORCE", "WEBPAGE"})


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a row is judged in."""

    customer: str
    """Who asks: the owner of the action, or its manager."""
    at: datetime
    google: Google
    across: bool
    """The switch cross_api_adjustments."""
    duplicates: str
    """The switch ads_api_duplicates."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the rows: their errors, and how the conversions stand after all the others."""

    problems: Mapping[int, Sequence[Problem]]
    lines: Sequence[Line]


def judge(
    rows: Sequence[Adjustment], circumstances: Circumstances, rulings: Mapping[str, tuple[Ruling, ...]]
) -> Verdict:
    """Judge every row, and change nothing.

    An error that names no row (planted only) is about the whole request: then every row fails with it.
    """
    repeated = _repeated(rows, circumstances.duplicates)
    problems: dict[int, Sequence[Problem]] = {}
    standing: dict[Hashable, Line] = {}
    for index, row in enumerate(rows):
        found = planted(rulings, (row.order_id, row.pair.gclid if row.pair else ""), "adjust")
        problems[index] = [each.problem(index) for each in found] or row_problems(row, index, circumstances.at)
        if not problems[index]:
            verdict = (
                (rules.ONCE, "adjustment_date_time") if index in repeated else _judged(row, circumstances, standing)
            )
            if isinstance(verdict, Line):
                standing[verdict.first] = verdict
            else:
                problems[index] = [row_problem(verdict, index)]
    unplaced = [each for row in problems.values() for each in row if not each.place]
    if unplaced:
        return Verdict({index: own or unplaced for index, own in problems.items()}, ())
    return Verdict({index: own for index, own in problems.items() if own}, tuple(standing.values()))


def _judged(row: Adjustment, circumstances: Circumstances, standing: Mapping[Hashable, Line]) -> Line | Fault:
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


def _by_action(row: Adjustment, aim: Target, now: datetime) -> Fault | None:
    if aim.action.kind not in _ACTIONS.get(row.kind, _ANY_ACTION):
        return rules.ACTION_TYPE, "conversion_action"
    if aim.action.created_at and now - aim.action.created_at < ACTION_SETTLES:
        return rules.ACTION_AGE, "conversion_action"
    if aim.action.always_default_value and row.kind == RESTATEMENT:
        return rules.OWN_VALUE, "conversion_action"
    if aim.action.kind == "WEBPAGE" and not row.order_id:
        return rules.WEBPAGE_ORDER_ID, "order_id"
    return None


def _found(row: Adjustment, aim: Target, circumstances: Circumstances) -> Line | Fault:
    book = circumstances.google.book
    if not row.order_id:
        line = book.corrected(aim.owner, aim.id, _pair_key(row), (_OWN,))
        is_meant = line is not None and line.first.click_kind == "gclid" and not line.first.transaction_id
        return line if line and is_meant else (rules.CONVERSION_KNOWN, "gclid_date_time_pair")
    line = book.corrected(aim.owner, aim.id, row.order_id, (_OWN, _OTHER))
    if line is None or line.first.transaction_id != row.order_id:
        return rules.CONVERSION_KNOWN, "order_id"
    return (rules.ACROSS_APIS, "order_id") if line.first.api == _OTHER and not circumstances.across else line


def _by_conversion(row: Adjustment, line: Line, now: datetime) -> Fault | None:
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


def _adjusted(row: Adjustment, line: Line, aim: Target, google: Google) -> Line:
    at = instant(row.time)
    if line.is_final(at_zero=google.zero_is_final):
        return replace(line, ignored=line.ignored + 1)
    line = replace(line, adjusted_at=at.astimezone(UTC).isoformat() if at else "")
    if row.kind == RESTATEMENT:
        currency = row.currency or aim.account.currency
        return replace(line, value=row.value, currency=currency, restatements=line.restatements + 1)
    return replace(line, value=0.0, retracted=True)


def _repeated(rows: Sequence[Adjustment], duplicates: str) -> frozenset[int]:
    """Rows that repeat others of their request, or are repeated where all such are refused."""
    keys = [(action_id(row.action), row.order_id or _pair_key(row), instant(row.time)) for row in rows]
    times = Counter(keys)
    return frozenset(
        index for index, key in enumerate(keys) if times[key] > 1 and (duplicates == "all" or key in keys[:index])
    )


def _pair_key(row: Adjustment) -> str:
    """What a conversion without an order id is told apart by in the book."""
    at = instant(row.pair.time) if row.pair else None
    return f"{row.pair.gclid} {at.astimezone(UTC).isoformat()}" if row.pair and at else ""
