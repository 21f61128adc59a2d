"""Uploads of click conversions."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Container, Hashable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from google.ads.googleads.v26.services.types import conversion_upload_service as service

from connectors.sandbox.google.ads_api.state import UploadJob
from connectors.sandbox.google.ads_api.uploads import (
    MAX_IDENTIFIERS,
    TargetConversionAction,
    UploadCall,
    Violation,
    action_id,
)
from connectors.sandbox.google.platform import CLICK_ID, CLICK_ID_KINDS, CONTACT_LIFE, AcceptedGoogleEvent, GoogleClick
from connectors.sandbox.rules import ads_api_rules as rules
from connectors.sandbox.rules import broken_rules

_Result = service.ClickConversionResult.pb()
_HASHED = ("hashed_email", "hashed_phone_number")
"""The only user identifiers accepted."""
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_ALLOWLISTED = ("user_ip_address", "session_attributes_encoded", "session_attributes_key_value_pairs")
_LOST = "lost"
"""Errors that came after the answer; summaries count them without a code."""
_UNKNOWN = 1
"""Every enum's UNKNOWN, valid only in responses."""
_ENHANCED = {
    "off": rules.ENHANCED_ON,
    "terms_not_accepted": rules.TERMS_ACCEPTED,
    "prohibited": rules.POLICY,
}


class ConversionUploadCall(UploadCall[AcceptedGoogleEvent]):
    """One UploadClickConversions call."""

    rule_table = rules
    request_type = service.UploadClickConversionsRequest.pb()
    response_type = service.UploadClickConversionsResponse.pb()
    allowlist_switch = "ads_api_allowlisted"
    calls_counter = "upload"
    rows_counter = "rows"
    ruling_stage = "submit"
    time_field = "conversion_date_time"

    @property
    def _click_dedup_always(self) -> bool:
        return self.api.switches["ads_api_click_dedup"] == "always"

    def _row_violations(self, row: Any) -> Iterator[Violation]:
        yield from _click_violations(row)
        yield from self._action_violations(row)
        yield from self._time_violations(row)
        yield from self._value_violations(row, "conversion_value")
        yield from self._order_id_violations(row)
        yield from _unwanted_violations(row)
        for position, each in enumerate(row.user_identifiers):
            kind = each.WhichOneof("identifier")
            if kind not in _HASHED:
                yield rules.IDENTIFIER_KIND, ("user_identifiers", position)
            elif not _HASH.fullmatch(getattr(each, kind)):
                yield rules.IDENTIFIER_HASH, ("user_identifiers", position)

    def _ruling_keys(self, row: Any) -> Iterable[str]:
        return row.order_id, *_clicks(row).values()

    def _unique_keys(self, row: Any) -> Iterator[tuple[Hashable, Violation]]:
        action, clicks = action_id(row.conversion_action), _clicks(row).values()
        if row.order_id:
            yield (action, row.order_id), (rules.ORDER_ID_ONCE, "order_id")
        if clicks and (self._click_dedup_always or not row.order_id):
            yield (action, *clicks, row.conversion_date_time), (rules.CLICK_ONCE, "conversion_date_time")

    def _action_kinds(self, _: Any, /) -> Container[str]:
        return ("UPLOAD_CLICKS",)

    def _apply_row(self, row: Any, target: TargetConversionAction) -> Violation | None:
        event = self._row_as_accepted_event(row, target)
        violation = (
            self._account_violation(row, target)
            or self._already_counted_violation(row, event)
            or self._click_violation(row, event, target)
        )
        if violation is None:
            self.applied[len(self.applied)] = event
        return violation

    def _record(self) -> None:
        """Count the accepted rows, and keep the upload's jobs, one per action, for the summaries."""
        self.api.counts["taken"] += 1
        errors: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for event in self.applied.values():
            if left := int(str(self.api.switches["ads_api_lost"])):
                self.api.switches["ads_api_lost"] = left - 1
                errors[event.action].update({"": -1, _LOST: 1})
            else:
                self.google.book.accept(event)
        for index, row in enumerate(self.rows):
            first = next(iter(self.problems.get(index, ())), None)
            errors[action_id(row.conversion_action)][f"{first.family}.{first.code}" if first else ""] += 1
        customer = self.request.customer_id
        self.api.jobs += [
            UploadJob(self.job_id, self.now, customer, action, dict(rows)) for action, rows in errors.items()
        ]

    def _result(self, row: Any, *, failed: bool) -> Any:
        """Return the row's identifiers, action and time; if it failed, only its identifiers, or nothing by default."""
        if failed and not self.api.switches["ads_api_echo"]:
            return _Result()
        kinds = ((each, each.WhichOneof("identifier")) for each in row.user_identifiers)
        hashes = [{kind: getattr(each, kind)} for each, kind in kinds if kind in _HASHED]
        result = _Result(**_clicks(row), user_identifiers=hashes)
        if not failed:
            result.conversion_action, result.conversion_date_time = row.conversion_action, row.conversion_date_time
        return result

    def _row_as_accepted_event(self, row: Any, target: TargetConversionAction) -> AcceptedGoogleEvent:
        """Return the row as the book counts it; a row without order id and click is never a duplicate."""
        kind, click = next(iter(_clicks(row).items()), ("contact", ""))
        time = _parse_event_time(row).astimezone(UTC).isoformat()
        return AcceptedGoogleEvent(
            customer=target.owner,
            action=target.id,
            transaction_id=row.order_id,
            event_time=time,
            value=row.conversion_value if row.HasField("conversion_value") else None,
            currency=row.currency_code or target.account.currency,
            click_kind=kind,
            matched=True,
            digest=hashlib.sha256(row.SerializeToString(deterministic=True)).hexdigest(),
            request=self.call.id,
            at=self.now.isoformat(),
            api="google_ads",
            key="" if row.order_id else f"{click} {time}" if click else f"{self.call.id} {len(self.applied)}",
            click=click,
            known_by=(*_clicks(row).values(), *_hashes(row)),
        )

    def _account_violation(self, row: Any, target: TargetConversionAction) -> Violation | None:
        if target.action.one_per_click and not row.gclid and (clicks := _clicks(row)):
            return rules.EVERY_WITH_BRAID, next(iter(clicks))
        setting = self.api.enhanced_conversions(target.account)
        if row.user_identifiers and setting in _ENHANCED:
            return _ENHANCED[setting], "user_identifiers"
        return None

    def _already_counted_violation(self, row: Any, event: AcceptedGoogleEvent) -> Violation | None:
        if row.order_id and self.google.book.find(event):
            return rules.ORDER_ID_NEW, "order_id"
        if (self._click_dedup_always or not row.order_id) and self.google.book.is_click_already_counted(event):
            return rules.CLICK_NEW, "conversion_date_time"
        return None

    def _click_violation(
        self, row: Any, event: AcceptedGoogleEvent, target: TargetConversionAction
    ) -> Violation | None:
        if not event.click:
            return self._contact_violation(row, event, target)
        kind, click = event.click_kind, self.google.clicks.get(event.click)
        owner = click.customer if click else ""
        checks = broken_rules(
            (not CLICK_ID.fullmatch(event.click), rules.by_id[f"{kind.upper()}_READABLE"], kind),
            (click is None, rules.CLICK_KNOWN, kind),
            (owner not in self.google.accounts, rules.CLICK_REACHED, kind),
            (owner != target.owner, rules.CLICK_OF_ACCOUNT, kind),
        )
        return next(checks, None) or (self._timing_violation(row, click, target) if click else None)

    def _contact_violation(
        self, row: Any, event: AcceptedGoogleEvent, target: TargetConversionAction
    ) -> Violation | None:
        known = (self.google.clicks.get(value.lower()) for value in event.known_by)
        click = next((each for each in known if each and each.customer == target.owner), None)
        if click is None:
            return rules.CONTACT_KNOWN, "user_identifiers"
        if self.now - click.clicked_at > CONTACT_LIFE:
            return rules.CONTACT_WINDOW, "user_identifiers"
        return self._timing_violation(row, click, target)

    def _timing_violation(self, row: Any, click: GoogleClick, target: TargetConversionAction) -> Violation | None:
        rule = click.broken_timing_rule(_parse_event_time(row), self.now, target.action.click_window_days)
        return (rules.by_id[rule], "conversion_date_time") if rule else None


def _clicks(row: Any) -> dict[str, str]:
    """Return the row's click ids, by kind."""
    return {kind: value for kind in CLICK_ID_KINDS if (value := getattr(row, kind))}


def _hashes(row: Any) -> list[str]:
    """Return the hashes of a row that passed its own checks."""
    return [getattr(each, each.WhichOneof("identifier")) for each in row.user_identifiers]


def _parse_event_time(row: Any) -> datetime:
    """Return the event time of a row that passed its own checks."""
    return datetime.fromisoformat(row.conversion_date_time)


def _click_violations(row: Any) -> Iterator[Violation]:
    braids = [kind for kind in ("gbraid", "wbraid") if getattr(row, kind)]
    contact = len(row.user_identifiers)
    yield from broken_rules(
        (len(braids) > 1, rules.ONE_BRAID, "gbraid"),
        *((row.gclid, rules.GCLID_ALONE, kind) for kind in braids),
        (braids and contact, rules.BRAID_WITHOUT_CONTACT, "user_identifiers"),
        (not (row.gclid or braids or contact), rules.SOME_IDENTIFIER, "gclid"),
        (contact > MAX_IDENTIFIERS, rules.MAX_IDENTIFIERS, "user_identifiers"),
    )


def _unwanted_violations(row: Any) -> Iterator[Violation]:
    enums = {
        "ad_user_data": row.consent,
        "ad_personalization": row.consent,
        "conversion_environment": row,
        "customer_type": row,
    }
    for field, message in enums.items():
        number = getattr(message, field)
        if number == _UNKNOWN or number not in message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number:
            yield rules.KNOWN_ENUMS, field
    yield from broken_rules(
        *((row.HasField(field), rules.NO_ADDRESS, field) for field in _ALLOWLISTED),
        (row.HasField("external_attribution_data"), rules.NO_ATTRIBUTION, "external_attribution_data"),
        (row.custom_variables, rules.NO_VARIABLES, "custom_variables"),
    )
