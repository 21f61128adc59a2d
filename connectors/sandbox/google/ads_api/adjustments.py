"""Uploads of conversion adjustments."""

from collections.abc import Container, Hashable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from google.ads.googleads.v26.enums.types import conversion_adjustment_type
from google.ads.googleads.v26.services.types import conversion_adjustment_upload_service as service

from connectors.sandbox.google.ads_api.state import CallRefusal, undecodable_failure_status
from connectors.sandbox.google.ads_api.uploads import (
    MAX_IDENTIFIERS,
    TargetConversionAction,
    UploadCall,
    Violation,
    action_id,
    is_time,
    parse_ads_time,
)
from connectors.sandbox.google.platform import CountedGoogleConversion
from connectors.sandbox.rules import adjustment_rules as rules
from connectors.sandbox.rules import broken_rules

ADJUSTABLE = timedelta(days=54)
"""How long after its event time a conversion can be adjusted."""

_Type: Any = conversion_adjustment_type.ConversionAdjustmentTypeEnum.ConversionAdjustmentType
_TYPES = (_Type.RETRACTION, _Type.RESTATEMENT, _Type.ENHANCEMENT)
_Result = service.ConversionAdjustmentResult.pb()


class AdjustmentUploadCall(UploadCall[CountedGoogleConversion]):
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
        yield from broken_rules(
            (not row.adjustment_type, rules.TYPE_SENT, "adjustment_type"),
            (row.adjustment_type not in (0, *_TYPES), rules.TYPE_KNOWN, "adjustment_type"),
        )
        yield from _key_violations(row)
        yield from self._order_id_violations(row)
        yield from self._action_violations(row)
        if row.adjustment_date_time or row.adjustment_type != _Type.ENHANCEMENT:
            yield from self._time_violations(row)
        yield from _restatement_violations(row)
        yield from self._value_violations(row.restatement_value, "adjusted_value", "restatement_value.")
        yield from _contact_violations(row)

    def _ruling_keys(self, row: Any) -> Iterable[str]:
        return row.order_id, row.gclid_date_time_pair.gclid

    def _unique_keys(self, row: Any) -> Iterator[tuple[Hashable, Violation]]:
        key = (action_id(row.conversion_action), _conversion_key(row), parse_ads_time(row.adjustment_date_time))
        yield key, (rules.ONCE, "adjustment_date_time")

    def _action_kinds(self, row: Any, /) -> Container[str]:
        is_enhancement = row.adjustment_type == _Type.ENHANCEMENT
        return ("WEBPAGE",) if is_enhancement else ("WEBPAGE", "UPLOAD_CLICKS", "SALESFORCE")

    def _apply_row(self, row: Any, target: TargetConversionAction) -> Violation | None:
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
                response = self.response_type(job_id=self.job_id, partial_failure_error=undecodable_failure_status())
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

    def _find(self, row: Any, target: TargetConversionAction) -> CountedGoogleConversion | Violation:
        """Find the row's conversion by order id or, without one, by click and time; otherwise return the violation."""
        book = self.google.book
        if not row.order_id:
            line = book.find_conversion_by_key(target.owner, target.id, _conversion_key(row), ("google_ads",))
            is_meant = line is not None and line.first.click_kind == "gclid" and not line.first.transaction_id
            return line if line and is_meant else (rules.CONVERSION_KNOWN, "gclid_date_time_pair")
        line = book.find_conversion_by_key(target.owner, target.id, row.order_id, ("google_ads", "data_manager"))
        if line is None or line.first.transaction_id != row.order_id:
            return rules.CONVERSION_KNOWN, "order_id"
        is_reached = line.first.api == "google_ads" or self.api.switches["cross_api_adjustments"]
        return line if is_reached else (rules.ACROSS_APIS, "order_id")

    def _conversion_violation(self, row: Any, line: CountedGoogleConversion) -> Violation | None:
        happened, at = datetime.fromisoformat(line.first.event_time), parse_ads_time(row.adjustment_date_time)
        before = datetime.fromisoformat(line.adjusted_at) if line.adjusted_at else None
        key, time = "order_id" if row.order_id else "gclid_date_time_pair", "adjustment_date_time"
        checks = broken_rules(
            (line.first.click_kind == "wbraid", rules.NO_WBRAID, "order_id"),
            (line.retracted, rules.NOT_RETRACTED, key),
            (self.now - happened > ADJUSTABLE, rules.NOT_EXPIRED, key),
            (at is None or at <= happened, rules.AFTER_CONVERSION, time),
            (at and before and at < before, rules.LATEST, time),
            (at == before and row.adjustment_type == _Type.RESTATEMENT, rules.NEW_TIME, time),
        )
        return next(checks, None)

    def _adjust(
        self, row: Any, line: CountedGoogleConversion, target: TargetConversionAction
    ) -> CountedGoogleConversion:
        """Return the conversion as this row adjusts it."""
        if self.google.book.is_final(line):
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
    pair, has_pair = row.gclid_date_time_pair, row.HasField("gclid_date_time_pair")
    gclid, time = "gclid_date_time_pair.gclid", "gclid_date_time_pair.conversion_date_time"
    is_enhancement, at = row.adjustment_type == _Type.ENHANCEMENT, pair.conversion_date_time
    yield from broken_rules(
        (row.order_id and has_pair and not is_enhancement, rules.ONE_KEY, "order_id"),
        (not (row.order_id or has_pair), rules.SOME_KEY, "order_id"),
        (has_pair and not pair.gclid, rules.PAIR_WHOLE, gclid),
        (has_pair and not at, rules.PAIR_WHOLE, time),
        (at and not is_time(at), rules.PAIR_TIME, time),
        (is_time(at) and parse_ads_time(at) is None, rules.TIME_EXISTS, time),
    )


def _restatement_violations(row: Any) -> Iterator[Violation]:
    value, has_value = row.restatement_value, row.HasField("restatement_value")
    is_unset = row.adjustment_type == _Type.RESTATEMENT and not value.HasField("adjusted_value")
    field = "restatement_value.adjusted_value" if has_value else "restatement_value"
    yield from broken_rules(
        (row.adjustment_type == _Type.RETRACTION and has_value, rules.NO_VALUE, "restatement_value"),
        (is_unset, rules.VALUE_SENT, field),
    )


def _contact_violations(row: Any) -> Iterator[Violation]:
    contact, is_enhancement = len(row.user_identifiers), row.adjustment_type == _Type.ENHANCEMENT
    yield from broken_rules(
        (is_enhancement and contact > MAX_IDENTIFIERS, rules.MAX_IDENTIFIERS, "user_identifiers"),
        (contact and not is_enhancement, rules.NO_CONTACT, "user_identifiers"),
        (row.HasField("user_agent") and not is_enhancement, rules.NO_CONTACT, "user_agent"),
    )


def _conversion_key(row: Any) -> str:
    """Return the conversion's key in the book: the row's order id or, without one, its click and time."""
    pair = row.gclid_date_time_pair
    at = parse_ads_time(pair.conversion_date_time)
    return row.order_id or (f"{pair.gclid} {at.astimezone(UTC).isoformat()}" if at else "")
