"""Uploads of rows, of conversions or of adjustments: how both methods check, judge and answer them."""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from connectors.sandbox.google.accounts import (
    AHEAD,
    MAX_ID_LENGTH,
    MAX_ROWS,
    GoogleAccount,
    GoogleConversionAction,
    is_amount,
    is_currency,
)
from connectors.sandbox.google.ads_api.state import ROW_LISTS, AdsApiState
from connectors.sandbox.google.ads_api.wire import CallRefusal, GrpcCall, RowError, parsed, partial_failure
from connectors.sandbox.google.rules import AdsApiRule, RuleTable

MAX_IDENTIFIERS = 5
FIRST_GIVEN_JOB = 2**31
"""Job ids that callers may choose end here, and those given out begin."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d", re.ASCII)
_ACTION = re.compile(r"customers/\d+/conversionActions/(\d+)", re.ASCII)
_PERSONAL = re.compile(r"[^@\s]+@[^@\s]+\.\w+|(\+\d{1,3}|0)[\d .-]{8,13}")

Fault = tuple[AdsApiRule, str | tuple[str, int]]
"""A broken rule and the row's field that breaks it: a path with dots, or a list with the index in it."""


def action_id(name: str) -> str:
    """The number in an action's resource name; empty if it has another form."""
    found = _ACTION.fullmatch(name)
    return found[1] if found else ""


def is_time(text: str) -> bool:
    """Whether the text has the form of a time: seconds, a space, and its offset."""
    return _TIME.fullmatch(text) is not None


def instant(text: str) -> datetime | None:
    """The time in the API's form, aware; None if it has another form or is not on the calendar."""
    try:
        return datetime.fromisoformat(text) if is_time(text) else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Target:
    """The action that a row goes to."""

    owner: str
    account: GoogleAccount
    id: str
    action: GoogleConversionAction


class Upload(ABC):
    """One call that uploads rows.

    A subclass names its messages, rules and switches, checks its own kind of row, and applies those that pass.
    """

    rule_table: ClassVar[RuleTable[AdsApiRule]]
    request_type: ClassVar[Any]
    response_type: ClassVar[Any]
    allowlist_switch: ClassVar[str]
    calls_counter: ClassVar[str]
    rows_counter: ClassVar[str]
    ruling_stage: ClassVar[str]
    """What rulings on its rows say under `when`."""
    time_field: ClassVar[str]
    """The field with the time of a row."""

    def __init__(self, call: GrpcCall, api: AdsApiState, now: datetime) -> None:
        """Read the call's request, or raise `UnreadableCallError`."""
        api.counts[self.calls_counter] += 1
        self.call = call
        self.api = api
        self.google = api.google
        self.now = now
        self.request = parsed(self.request_type, call.message)
        self.rows_field = ROW_LISTS[self.ruling_stage]
        self.rows: Sequence[Any] = getattr(self.request, self.rows_field)

    def answer(self) -> bytes | CallRefusal:
        """Judge every row, record the outcome unless the call only validates, and answer it."""
        if refusal := self.api.access_refusal(self.call, self.request.customer_id):
            return refusal
        if not self.api.switches[self.allowlist_switch]:
            return CallRefusal.of(self.rule_table.ALLOWLISTED)
        if fault := self._request_fault():
            return CallRefusal.of(*fault)
        self.api.counts[self.rows_counter] += len(self.rows)
        problems = self._judge()
        job = self.request.job_id or FIRST_GIVEN_JOB + self.api.counts[self.calls_counter]
        if self.request.validate_only:
            self.api.counts["validated"] += 1
        else:
            self.record(problems, job)
            self._note(problems)
        return self.response(problems, job)

    def response(self, problems: Mapping[int, Sequence[RowError]], job: int) -> bytes | CallRefusal:
        """The method's response, with the errors of each failed row."""
        response = self.response_type(job_id=job)
        if not self.request.validate_only:
            response.results.extend(self.result(row, failed=i in problems) for i, row in enumerate(self.rows))
        if problems:
            response.partial_failure_error.CopyFrom(partial_failure(problems, self.call.id))
        return bytes(response.SerializeToString())

    @abstractmethod
    def row_faults(self, row: Any) -> Iterator[Fault]:
        """What is wrong with a row by itself."""

    @abstractmethod
    def click_id_values(self, row: Any) -> Sequence[str]:
        """The click ids by which a ruling may name the row."""

    @abstractmethod
    def duplicate_keys(self, row: Any) -> Iterator[tuple[Hashable, Fault]]:
        """What no two rows of a request may share, each with the fault of one that repeats it."""

    @abstractmethod
    def action_kinds(self, row: Any) -> frozenset[str]:
        """The types of action that the row may go to."""

    @abstractmethod
    def apply(self, row: Any, index: int, target: Target) -> Fault | None:
        """Keep what the row does until `record`, or the first rule that it breaks once everything is looked up."""

    @abstractmethod
    def discard(self) -> None:
        """Forget what was applied: the whole request fails."""

    @abstractmethod
    def record(self, problems: Mapping[int, Sequence[RowError]], job: int) -> None:
        """Put what was applied into the book."""

    @abstractmethod
    def result(self, row: Any, *, failed: bool) -> Any:
        """The row's result in the response."""

    def action_faults(self, row: Any) -> Iterator[Fault]:
        """What is wrong with the name of the row's action."""
        if not row.conversion_action:
            yield self.rule_table.ACTION_SENT, "conversion_action"
        elif not action_id(row.conversion_action):
            yield self.rule_table.ACTION_NAME, "conversion_action"

    def order_id_faults(self, row: Any) -> Iterator[Fault]:
        """What is wrong with the row's order id."""
        if len(row.order_id) > MAX_ID_LENGTH:
            yield self.rule_table.ORDER_ID_LENGTH, "order_id"
        if _PERSONAL.fullmatch(row.order_id):
            yield self.rule_table.ORDER_ID_PERSONAL, "order_id"

    def time_faults(self, row: Any) -> Iterator[Fault]:
        """What is wrong with the row's time."""
        text = getattr(row, self.time_field)
        at = instant(text)
        if not text:
            yield self.rule_table.TIME_SENT, self.time_field
        elif not is_time(text):
            yield self.rule_table.TIME_FORMAT, self.time_field
        elif at is None:
            yield self.rule_table.TIME_EXISTS, self.time_field
        elif at > self.now + AHEAD:
            yield self.rule_table.NOT_IN_FUTURE, self.time_field

    def value_faults(self, message: Any, value_field: str, path: str = "") -> Iterator[Fault]:
        """What is wrong with the value and the currency in a message at this path of the row."""
        if message.HasField(value_field) and not is_amount(getattr(message, value_field)):
            yield self.rule_table.VALUE_SHAPE, f"{path}{value_field}"
        if message.currency_code and not is_currency(message.currency_code):
            yield self.rule_table.CURRENCY, f"{path}currency_code"

    def _request_fault(self) -> tuple[AdsApiRule, str] | None:
        """What refuses the request as a whole."""
        if not self.request.partial_failure:
            return self.rule_table.PARTIAL_FAILURE, "partial_failure"
        if not self.rows:
            return self.rule_table.SOME_ROWS, self.rows_field
        if len(self.rows) > MAX_ROWS:
            return self.rule_table.MAX_ROWS, self.rows_field
        if self.request.HasField("job_id") and not 1 <= self.request.job_id < FIRST_GIVEN_JOB:
            return self.rule_table.JOB_ID, "job_id"
        return None

    def _judge(self) -> dict[int, Sequence[RowError]]:
        """The errors of each failed row; those of planted errors without a row fail every row."""
        duplicates = self._duplicates()
        problems: dict[int, Sequence[RowError]] = {}
        for index, row in enumerate(self.rows):
            names = (row.order_id, *self.click_id_values(row))
            problems[index] = self.api.planted_errors(names, self.ruling_stage, index) or [
                self._error(fault, index) for fault in self.row_faults(row)
            ]
            if not problems[index]:
                fault = duplicates.get(index) or self._look_up(row, index)
                problems[index] = [self._error(fault, index)] if fault else ()
        unplaced = [each for row in problems.values() for each in row if not each.place]
        if unplaced:
            self.discard()
        return {index: own or unplaced for index, own in problems.items() if own or unplaced}

    def _error(self, fault: Fault, index: int) -> RowError:
        rule, field = fault
        path = field.split(".") if isinstance(field, str) else [field]
        return RowError.of(rule, (self.rows_field, index), *path)

    def _duplicates(self) -> dict[int, Fault]:
        """The rows that repeat others of the request, or also those repeated where the switch refuses all."""
        keys = [list(self.duplicate_keys(row)) for row in self.rows]
        times = Counter(key for each in keys for key, _ in each)
        seen: set[Hashable] = set()
        found: dict[int, Fault] = {}
        for index, each in enumerate(keys):
            for key, fault in each:
                if times[key] > 1 and (self.api.switches["ads_api_duplicates"] == "all" or key in seen):
                    found.setdefault(index, fault)
                seen.add(key)
        return found

    def _look_up(self, row: Any, index: int) -> Fault | None:
        target = self._target(action_id(row.conversion_action))
        if target is None:
            return self.rule_table.ACTION_KNOWN, "conversion_action"
        if target.action.kind not in self.action_kinds(row):
            return self.rule_table.ACTION_TYPE, "conversion_action"
        if target.action.is_too_new(self.now):
            return self.rule_table.ACTION_AGE, "conversion_action"
        return self.apply(row, index, target)

    def _target(self, number: str) -> Target | None:
        """The enabled action with this number, if the caller owns it or manages its owner."""
        customer = self.request.customer_id
        for owner, account in self.google.accounts.items():
            action = account.actions.get(number)
            if action and action.status == "ENABLED" and (owner == customer or customer in account.managers):
                return Target(owner, account, number, action)
        return None

    def _note(self, problems: Mapping[int, Sequence[RowError]]) -> None:
        """Remember the errors, for the control page."""
        for index, row in enumerate(self.rows):
            where = {"customer": self.request.customer_id, "action": action_id(row.conversion_action)}
            self.api.note_errors(
                problems.get(index, ()), self.now, request=self.call.id, transaction_id=row.order_id, **where
            )
