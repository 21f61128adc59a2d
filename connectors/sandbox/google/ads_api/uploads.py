"""What conversion and adjustment uploads share: checking rows, recording them and building the response."""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from connectors.sandbox.google.ads_api.state import (
    ROW_LISTS,
    AdsApiState,
    CallRefusal,
    GrpcCall,
    RowError,
    build_partial_failure_status,
    parse,
)
from connectors.sandbox.google.platform import (
    AHEAD,
    CURRENCY_CODE,
    MAX_ID_LENGTH,
    MAX_ROWS,
    GoogleAccount,
    GoogleConversionAction,
    is_amount,
)
from connectors.sandbox.rules import AdsApiRule, VendorRuleTable, broken_rules

MAX_IDENTIFIERS = 5
FIRST_GIVEN_JOB = 2**31
"""The first generated job id; callers may choose lower ones."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d", re.ASCII)
_ACTION = re.compile(r"customers/\d+/conversionActions/(\d+)", re.ASCII)
_PERSONAL = re.compile(r"[^@\s]+@[^@\s]+\.\w+|(\+\d{1,3}|0)[\d .-]{8,13}")

Violation = tuple[AdsApiRule, str | tuple[str, int]]
"""A broken rule and the row's offending field: a dotted path, or a list's name and an index."""


def action_id(name: str) -> str:
    """Return the id in an action's resource name; empty if the name is malformed."""
    found = _ACTION.fullmatch(name)
    return found[1] if found else ""


def is_time(text: str) -> bool:
    """Return whether the text has the form `yyyy-mm-dd hh:mm:ss+|-hh:mm`."""
    return _TIME.fullmatch(text) is not None


def parse_ads_time(text: str) -> datetime | None:
    """Parse a time in the API's form (aware); return None if it has another form or doesn't exist."""
    try:
        return datetime.fromisoformat(text) if is_time(text) else None
    except ValueError:
        return None


Applied = TypeVar("Applied")


@dataclass(frozen=True, slots=True)
class TargetConversionAction:
    """The conversion action that a row is for, and its owner."""

    owner: str
    account: GoogleAccount
    id: str
    action: GoogleConversionAction


class UploadCall(ABC, Generic[Applied]):
    """One call that uploads rows.

    A subclass defines its messages, rules and switches, checks its own kind of row, and applies the valid ones.
    """

    rule_table: ClassVar[VendorRuleTable[AdsApiRule]]
    request_type: ClassVar[Any]
    response_type: ClassVar[Any]
    allowlist_switch: ClassVar[str]
    calls_counter: ClassVar[str]
    rows_counter: ClassVar[str]
    ruling_stage: ClassVar[str]
    """The value of `when` in rulings on its rows."""
    time_field: ClassVar[str]

    def __init__(self, call: GrpcCall, api: AdsApiState, now: datetime) -> None:
        """Parse the call's request; raise `UnreadableCallError` if it can't be read."""
        api.counts[self.calls_counter] += 1
        self.call = call
        self.api = api
        self.google = api.google
        self.now = now
        self.request = parse(self.request_type, call.message)
        self.rows_field = ROW_LISTS[self.ruling_stage]
        self.rows: Sequence[Any] = getattr(self.request, self.rows_field)
        self.applied: dict[Hashable, Applied] = {}
        """The effects of the valid rows, until they are recorded."""
        self.problems: Mapping[int, Sequence[RowError]] = {}
        """The errors of each failed row, by index; set once the rows are checked."""

    @property
    def job_id(self) -> int:
        """The caller's job id, or a generated one."""
        return int(self.request.job_id) or FIRST_GIVEN_JOB + self.api.counts[self.calls_counter]

    def answer(self) -> bytes | CallRefusal:
        """Check every row, record the outcome unless the call only validates, and return the response."""
        if refusal := self.api.access_refusal(self.call, self.request.customer_id):
            return refusal
        if not self.api.switches[self.allowlist_switch]:
            return CallRefusal.from_broken_rule(self.rule_table.ALLOWLISTED)
        if violation := self._request_violation():
            return CallRefusal.from_broken_rule(*violation)
        self.api.counts[self.rows_counter] += len(self.rows)
        self._find_row_errors()
        if self.request.validate_only:
            self.api.counts["validated"] += 1
        else:
            self._record()
            self._note_errors()
        return self._response()

    def _response(self) -> bytes | CallRefusal:
        response = self.response_type(job_id=self.job_id)
        if not self.request.validate_only:
            response.results.extend(self._result(row, failed=i in self.problems) for i, row in enumerate(self.rows))
        if self.problems:
            response.partial_failure_error.CopyFrom(build_partial_failure_status(self.problems, self.call.id))
        return bytes(response.SerializeToString())

    @abstractmethod
    def _row_violations(self, row: Any) -> Iterator[Violation]:
        """Yield the violations visible in the row alone."""

    @abstractmethod
    def _ruling_keys(self, row: Any) -> Iterable[str]:
        """Return the keys under which rulings may be planted on the row: its order id, then its click ids."""

    @abstractmethod
    def _unique_keys(self, row: Any) -> Iterator[tuple[Hashable, Violation]]:
        """Yield the keys that no two rows of a request may share, each with the violation of a repeat."""

    @abstractmethod
    def _action_kinds(self, row: Any, /) -> Container[str]:
        """Return the action types that the row may be uploaded to."""

    @abstractmethod
    def _apply_row(self, row: Any, target: TargetConversionAction) -> Violation | None:
        """Add the row's effect to `applied`, or return the first violation."""

    @abstractmethod
    def _record(self) -> None:
        """Write `applied` to the book."""

    @abstractmethod
    def _result(self, row: Any, *, failed: bool) -> Any:
        """Return the row's result in the response."""

    def _action_violations(self, row: Any) -> Iterator[Violation]:
        if not row.conversion_action:
            yield self.rule_table.ACTION_SENT, "conversion_action"
        elif not action_id(row.conversion_action):
            yield self.rule_table.ACTION_NAME, "conversion_action"

    def _order_id_violations(self, row: Any) -> Iterator[Violation]:
        yield from broken_rules(
            (len(row.order_id) > MAX_ID_LENGTH, self.rule_table.ORDER_ID_LENGTH, "order_id"),
            (_PERSONAL.fullmatch(row.order_id), self.rule_table.ORDER_ID_PERSONAL, "order_id"),
        )

    def _time_violations(self, row: Any) -> Iterator[Violation]:
        text = getattr(row, self.time_field)
        at = parse_ads_time(text)
        yield from broken_rules(
            (not text, self.rule_table.TIME_SENT, self.time_field),
            (text and not is_time(text), self.rule_table.TIME_FORMAT, self.time_field),
            (is_time(text) and at is None, self.rule_table.TIME_EXISTS, self.time_field),
            (at and at > self.now + AHEAD, self.rule_table.NOT_IN_FUTURE, self.time_field),
        )

    def _value_violations(self, message: Any, value_field: str, path: str = "") -> Iterator[Violation]:
        """Yield the violations of a value and its currency, in the message at this path of the row."""
        if message.HasField(value_field) and not is_amount(getattr(message, value_field)):
            yield self.rule_table.VALUE_SHAPE, f"{path}{value_field}"
        if message.currency_code and not CURRENCY_CODE.fullmatch(message.currency_code):
            yield self.rule_table.CURRENCY, f"{path}currency_code"

    def _request_violation(self) -> tuple[AdsApiRule, str] | None:
        """Return the rule for which the whole request is refused, and its field; None if there is none."""
        sent, rule_table = self.request, self.rule_table
        has_wrong_job = sent.HasField("job_id") and not 1 <= sent.job_id < FIRST_GIVEN_JOB
        checks = broken_rules(
            (not sent.partial_failure, rule_table.PARTIAL_FAILURE, "partial_failure"),
            (not self.rows, rule_table.SOME_ROWS, self.rows_field),
            (len(self.rows) > MAX_ROWS, rule_table.MAX_ROWS, self.rows_field),
            (has_wrong_job, rule_table.JOB_ID, "job_id"),
        )
        return next(checks, None)

    def _find_row_errors(self) -> None:
        """Find the errors of each row; a planted error without a row fails every row."""
        duplicates = self._duplicates()
        problems: dict[int, Sequence[RowError]] = {}
        for index, row in enumerate(self.rows):
            problems[index] = self.api.planted_errors(self._ruling_keys(row), self.ruling_stage, index) or [
                self._error(violation, index) for violation in self._row_violations(row)
            ]
            if not problems[index]:
                violation = duplicates.get(index) or self._check_action_and_apply(row)
                problems[index] = [self._error(violation, index)] if violation else ()
        unplaced = [each for row in problems.values() for each in row if not each.place]
        if unplaced:
            self.applied.clear()
        self.problems = {index: own or unplaced for index, own in problems.items() if own or unplaced}

    def _error(self, violation: Violation, index: int) -> RowError:
        rule, field = violation
        path = field.split(".") if isinstance(field, str) else [field]
        return RowError.from_broken_rule(rule, (self.rows_field, index), *path)

    def _duplicates(self) -> dict[int, Violation]:
        """Return the rows that repeat an earlier row or, if `ads_api_duplicates` is "all", every row involved."""
        keys = [list(self._unique_keys(row)) for row in self.rows]
        times = Counter(key for each in keys for key, _ in each)
        seen: set[Hashable] = set()
        found: dict[int, Violation] = {}
        for index, each in enumerate(keys):
            for key, violation in each:
                if times[key] > 1 and (self.api.switches["ads_api_duplicates"] == "all" or key in seen):
                    found.setdefault(index, violation)
                seen.add(key)
        return found

    def _check_action_and_apply(self, row: Any) -> Violation | None:
        target = self._target(action_id(row.conversion_action))
        if target is None:
            return self.rule_table.ACTION_KNOWN, "conversion_action"
        if target.action.kind not in self._action_kinds(row):
            return self.rule_table.ACTION_TYPE, "conversion_action"
        if target.action.is_action_too_new(self.now):
            return self.rule_table.ACTION_AGE, "conversion_action"
        return self._apply_row(row, target)

    def _target(self, number: str) -> TargetConversionAction | None:
        """Return the enabled action with this id if the request's customer owns it or manages its owner."""
        customer = self.request.customer_id
        for owner, account in self.google.accounts.items():
            action = account.actions.get(number)
            if action and action.status == "ENABLED" and (owner == customer or customer in account.managers):
                return TargetConversionAction(owner, account, number, action)
        return None

    def _note_errors(self) -> None:
        """Record the errors for the control page."""
        for index, errors in self.problems.items():
            row = self.rows[index]
            where = {"request": self.call.id, "transaction_id": row.order_id, "customer": self.request.customer_id}
            self.api.note_errors(errors, self.now, **where, action=action_id(row.conversion_action))
