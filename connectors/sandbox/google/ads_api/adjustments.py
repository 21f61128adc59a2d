"""Uploads of conversion adjustments."""

from collections.abc import Container, Hashable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from google.ads.googleads.v26.enums.types import conversion_adjustment_type
from google.ads.googleads.v26.services.types import conversion_adjustment_upload_service as service

from connectors.sandbox.google.ads_api.state import CallRefusal, unreadable_failure
from connectors.sandbox.google.ads_api.uploads import (
    MAX_IDENTIFIERS,
    Target,
    Upload,
    Violation,
    action_id,
    instant,
    is_time,
)
from connectors.sandbox.google.platform import GoogleBookLine
from connectors.sandbox.rules import adjustment_rules as rules

ADJUSTABLE = timedelta(days=54)
"""How long after its event time a conversion can be adjusted."""

_Type: Any = conversion_adjustment_type.ConversionAdjustmentTypeEnum.ConversionAdjustmentType
_TYPES = (_Type.RETRACTION, _Type.RESTATEMENT, _Type.ENHANCEMENT)
_Result = service.ConversionAdjustmentResult.pb()


class AdjustmentUpload(Upload[GoogleBookLine]):
    """One UploadConversionAdjustments call."""

    rule_table = rules
    request_type = service.UploadConversionAdjustmentsRequest.pb()
    response_type = service.UploadConversionAdjustmentsResponse.pb()
    allowlist_switch = "adjustments_allowlisted"
    calls_counter = "adjust"
    rows_counter = "adjustments"
    ruling_stage = "adjust"
    time_field = "adjustment_date_time"

    def _row_violations(self, row: Any) -> Iterator[Violation]:
        if not row.adjustment_type:
            yield rules.TYPE_SENT, "adjustment_type"
        elif row.adjustment_type not in _TYPES:
            yield rules.TYPE_KNOWN, "adjustment_type"
        yield from _key_violations(row)
        yield from self._order_id_violations(row)
        yield from self._action_violations(row)
        if row.adjustment_date_time or row.adjustment_type != _Type.ENHANCEMENT:
            yield from self._time_violations(row)
        yield from _restatement_violations(row)
        yield from self._value_violations(row.restatement_value, "adjusted_value", "restatement_value.")
        yield from _contact_violations(row)

    def _names(self, row: Any) -> Iterable[str]:
        return row.order_id, row.gclid_date_time_pair.gclid

    def _unique_keys(self, row: Any) -> Iterator[tuple[Hashable, Violation]]:
        key = (action_id(row.conversion_action), _conversion_key(row), instant(row.adjustment_date_time))
        yield key, (rules.ONCE, "adjustment_date_time")

    def _action_kinds(self, row: Any, /) -> Container[str]:
        is_enhancement = row.adjustment_type == _Type.ENHANCEMENT
        return ("WEBPAGE",) if is_enhancement else ("WEBPAGE", "UPLOAD_CLICKS", "SALESFORCE")

    def _apply(self, row: Any, target: Target) -> Violation | None:
        if target.action.always_default_value and row.adjustment_type == _Type.RESTATEMENT:
            return rules.OWN_VALUE, "conversion_action"
        if target.action.kind == "WEBPAGE" and not row.order_id:
            return rules.WEBPAGE_ORDER_ID, "order_id"
        found = self._find(row, target)
        if isinstance(found, tuple):
            return found
        key = target.id, _conversion_key(row)
        line = self.applied.get(key, found)
        violation = self._conversion_violation(row, line)
        if violation is None:
            self.applied[key] = self._adjust(row, line, target)
        return violation

    def _record(self) -> None:
        for line in self.applied.values():
            self.google.book.put(line)

    def _response(self) -> bytes | CallRefusal:
        """Return the response, or what `adjustments_unknown` puts in its place; the call is already recorded."""
        match self.request.validate_only, self.api.switches["adjustments_unknown"]:
            case False, "unreadable":
                response = self.response_type(job_id=self.job_id, partial_failure_error=unreadable_failure())
                return bytes(response.SerializeToString())
            case False, "internal":
                return CallRefusal("INTERNAL", "Internal error encountered.")
            case _:
                return super()._response()

    def _result(self, row: Any, *, failed: bool) -> Any:
        if failed:
            return _Result()
        return _Result(
            order_id=row.order_id,
            gclid_date_time_pair=row.gclid_date_time_pair if row.HasField("gclid_date_time_pair") else None,
            conversion_action=row.conversion_action,
            adjustment_date_time=row.adjustment_date_time,
            adjustment_type=row.adjustment_type,
        )

    def _find(self, row: Any, target: Target) -> GoogleBookLine | Violation:
        """Find the row's conversion by order id or, without one, by click and time; otherwise return the violation."""
        book = self.google.book
        if not row.order_id:
            line = book.corrected(target.owner, target.id, _conversion_key(row), ("google_ads",))
            is_meant = line is not None and line.first.click_kind == "gclid" and not line.first.transaction_id
            return line if line and is_meant else (rules.CONVERSION_KNOWN, "gclid_date_time_pair")
        line = book.corrected(target.owner, target.id, row.order_id, ("google_ads", "data_manager"))
        if line is None or line.first.transaction_id != row.order_id:
            return rules.CONVERSION_KNOWN, "order_id"
        is_reached = line.first.api == "google_ads" or self.api.switches["cross_api_adjustments"]
        return line if is_reached else (rules.ACROSS_APIS, "order_id")

    def _conversion_violation(self, row: Any, line: GoogleBookLine) -> Violation | None:
        happened, at = datetime.fromisoformat(line.first.event_time), instant(row.adjustment_date_time)
        before = datetime.fromisoformat(line.adjusted_at) if line.adjusted_at else None
        key = "order_id" if row.order_id else "gclid_date_time_pair"
        if line.first.click_kind == "wbraid":
            return rules.NO_WBRAID, "order_id"
        if line.retracted:
            return rules.NOT_RETRACTED, key
        if self.now - happened > ADJUSTABLE:
            return rules.NOT_EXPIRED, key
        if at is None or at <= happened:
            return rules.AFTER_CONVERSION, "adjustment_date_time"
        if before and at < before:
            return rules.LATEST, "adjustment_date_time"
        if at == before and row.adjustment_type == _Type.RESTATEMENT:
            return rules.NEW_TIME, "adjustment_date_time"
        return None

    def _adjust(self, row: Any, line: GoogleBookLine, target: Target) -> GoogleBookLine:
        """Return the conversion as this row adjusts it."""
        if line.is_final(at_zero=self.google.zero_is_final):
            return replace(line, ignored=line.ignored + 1)
        at = datetime.fromisoformat(row.adjustment_date_time).astimezone(UTC).isoformat()
        if row.adjustment_type == _Type.RETRACTION:
            return replace(line, adjusted_at=at, value=0.0, retracted=True)
        return replace(
            line,
            adjusted_at=at,
            value=row.restatement_value.adjusted_value,
            currency=row.restatement_value.currency_code or target.account.currency,
            restatements=line.restatements + 1,
        )


def _key_violations(row: Any) -> Iterator[Violation]:
    has_pair = row.HasField("gclid_date_time_pair")
    if row.order_id and has_pair and row.adjustment_type != _Type.ENHANCEMENT:
        yield rules.ONE_KEY, "order_id"
    if not row.order_id and not has_pair:
        yield rules.SOME_KEY, "order_id"
    if has_pair:
        yield from _pair_violations(row.gclid_date_time_pair)


def _pair_violations(pair: Any) -> Iterator[Violation]:
    if not pair.gclid:
        yield rules.PAIR_WHOLE, "gclid_date_time_pair.gclid"
    field = "gclid_date_time_pair.conversion_date_time"
    if not pair.conversion_date_time:
        yield rules.PAIR_WHOLE, field
    elif not is_time(pair.conversion_date_time):
        yield rules.PAIR_TIME, field
    elif instant(pair.conversion_date_time) is None:
        yield rules.TIME_EXISTS, field


def _restatement_violations(row: Any) -> Iterator[Violation]:
    has_value = row.HasField("restatement_value")
    if row.adjustment_type == _Type.RETRACTION and has_value:
        yield rules.NO_VALUE, "restatement_value"
    if row.adjustment_type == _Type.RESTATEMENT and not row.restatement_value.HasField("adjusted_value"):
        yield rules.VALUE_SENT, "restatement_value.adjusted_value" if has_value else "restatement_value"


def _contact_violations(row: Any) -> Iterator[Violation]:
    if row.adjustment_type == _Type.ENHANCEMENT:
        if len(row.user_identifiers) > MAX_IDENTIFIERS:
            yield rules.MAX_IDENTIFIERS, "user_identifiers"
        return
    if row.user_identifiers:
        yield rules.NO_CONTACT, "user_identifiers"
    if row.HasField("user_agent"):
        yield rules.NO_CONTACT, "user_agent"


def _conversion_key(row: Any) -> str:
    """Return the conversion's key in the book: the row's order id or, without one, its click and time."""
    pair = row.gclid_date_time_pair
    at = instant(pair.conversion_date_time)
    return row.order_id or (f"{pair.gclid} {at.astimezone(UTC).isoformat()}" if at else "")
