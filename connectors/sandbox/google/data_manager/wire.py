"""The Data Manager's messages, parsed and written as Google's JSON.

The sandbox's only module that imports `google-ads-datamanager`.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.ads.datamanager_v1 import types
from google.protobuf import json_format  # type: ignore[import-untyped]  # the vendor ships no types

from connectors.sandbox.google.platform import CLICK_ID_KINDS, STATUS_CODES
from connectors.sandbox.rules import DataManagerRule
from connectors.sandbox.rules import data_manager_rules as rules
from connectors.sandbox.server import WireResponse, json_response

GOOGLE_ADS = 1
HEX, BASE64 = 1, 2
GRANTED, DENIED = 1, 2


def _numbers(enum: Any) -> Mapping[str, int]:
    return {name: int(member) for name, member in enum.__members__.items()}


ERROR_REASONS = _numbers(types.ErrorReason)
PROCESSING_REASONS = _numbers(types.ProcessingErrorReason)
EVENT_SOURCES = frozenset(_numbers(types.EventSource).values())

_Request = types.IngestEventsRequest.pb()
_PLACE = re.compile(r"IngestEventsRequest\.?([\w.\[\]]*)")


class UnreadableIngestError(ValueError):
    """The body is not the request message in JSON; the error text is the path of the offending field.

    It never quotes the value, which may be personal data.
    """


def parse(body: bytes) -> Any:
    """Parse an `IngestEventsRequest`, enums as names or numbers; raise `UnreadableIngestError` if it is invalid.

    The deprecated `product` moves to its replacement `account_type`, which becomes -1 if the two disagree.
    """
    try:
        request = json_format.Parse(body.decode(), _Request(), ignore_unknown_fields=False)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as refusal:
        place = _PLACE.search(str(refusal))
        # `from None`: the parser's message quotes the value
        raise UnreadableIngestError(place[1].rstrip(".") if place else "") from None
    for destination in request.destinations:
        for account in (destination.operating_account, destination.login_account):
            if account.product:
                account.account_type = account.product if account.account_type in (0, account.product) else -1
                account.ClearField("product")
    return request


def click_ids(event: Any) -> dict[str, str]:
    """Return an event's click ids, by kind."""
    return {kind: value for kind in CLICK_ID_KINDS if (value := getattr(event.ad_identifiers, kind))}


def contact_hashes_in_event(event: Any) -> tuple[str, ...]:
    """Return the hashes of an event's contact data as sent, including address names; one without a value is empty."""
    found: list[str] = []
    for each in event.user_data.user_identifiers:
        kind = each.WhichOneof("identifier")
        if kind == "address":
            found += [each.address.given_name, each.address.family_name]
        else:
            found.append(getattr(each, kind) if kind else "")
    return tuple(found)


def digest(event: Any) -> str:
    """Return the SHA-256 (hex) of an `Event` message, the same for every JSON spelling of the event."""
    plain = json_format.MessageToDict(event, use_integers_for_enums=True)
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


_TYPE = "type.googleapis.com/google.rpc"
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class RuleViolation:
    """A field that breaks a rule; `field` is a path from the request, or from the event at index `row`.

    It never quotes the value, which may be personal data.
    """

    rule: DataManagerRule
    field: str
    row: int | None = None

    def as_json(self, *, indexed: bool) -> dict[str, str]:
        """Return the violation as Google writes it: events as `events.events[3]`, everything else by its plain path."""
        path = self.field if self.row is None else f"events.events[{self.row}].{self.field}".rstrip(".")
        path = path if indexed else _INDEX.sub("", path)
        return {"field": path, "description": self.rule.rule, "reason": self.rule.answer}


def refusal(
    status: int,
    reason: str,
    message: str,
    request_id: str,
    violations: Sequence[RuleViolation] = (),
    *,
    indexed: bool = True,
    quota: str = "",
) -> WireResponse:
    """Return the response to a refused request; `indexed` keeps list indices in paths."""
    info = {
        "@type": f"{_TYPE}.ErrorInfo",
        "reason": reason,
        "domain": "datamanager.googleapis.com",
        "metadata": {"requestId": request_id, **({"quota_limit": quota} if quota else {})},
    }
    details: list[object] = [info, {"@type": f"{_TYPE}.RequestInfo", "requestId": request_id}]
    if violations:
        fields = [each.as_json(indexed=indexed) for each in violations]
        details.append({"@type": f"{_TYPE}.BadRequest", "fieldViolations": fields})
    return _error(status, message, details)


def server_failure_response(status: int) -> WireResponse:
    """Return the response of an API that failed, perhaps after it accepted the events."""
    reason = "DEADLINE_EXCEEDED" if STATUS_CODES.get(status) == "DEADLINE_EXCEEDED" else rules.FAILING.answer
    return refusal(status, reason, "Internal error encountered.", "t-failed")


def unreadable_request_response(path: str, *, indexed: bool) -> WireResponse:
    """Return the response to an unreadable body or query, which Google's front end refuses before the API sees it.

    It has neither a reason nor a request id.
    """
    description = "Invalid JSON payload received"
    field = path if indexed else _INDEX.sub("", path)
    violation = {
        "field": field,
        "description": f"{description}: cannot be read at '{path}'." if indexed else f"{description}.",
    }
    return _error(400, violation["description"], [{"@type": f"{_TYPE}.BadRequest", "fieldViolations": [violation]}])


def _error(status: int, message: str, details: Sequence[object]) -> WireResponse:
    error = {"code": status, "message": message, "status": STATUS_CODES.get(status, "INTERNAL"), "details": details}
    return json_response(status, {"error": error})


@dataclass(frozen=True, slots=True)
class DestinationOutcome:
    """The outcome for one destination: the number of rows, and the failed rows by reason."""

    records: int
    failed: Mapping[str, Sequence[int]]
    """Row indices in the request, by `ProcessingErrorReason`."""

    @property
    def status(self) -> str:
        """The destination's status name."""
        failures = sum(map(len, self.failed.values()))
        if not failures:
            return "SUCCESS"
        return "FAILED" if failures == self.records else "PARTIAL_SUCCESS"


def destination_status(
    destination: Any, outcome: DestinationOutcome | None, switches: Mapping[str, object]
) -> dict[str, object]:
    """Return one destination's entry in the response to a status request; without an outcome it is still processing.

    The switches `record_indices`, `failed_word`, `records_counted` and `warned` shape it.
    """
    status = outcome.status if outcome else "PROCESSING"
    word = switches["failed_word"] if status == "FAILED" else status
    entry: dict[str, object] = {
        "destination": json_format.MessageToDict(destination),
        "requestStatus": word,
    }
    if outcome is None:
        return entry
    if outcome.failed:
        counts = [_error_count(reason, rows, switches["record_indices"]) for reason, rows in outcome.failed.items()]
        entry["errorInfo"] = {"errorCounts": counts}
    if switches["warned"]:
        warning = {"recordCount": "1", "reason": "PROCESSING_WARNING_REASON_INTERNAL_ERROR"}
        entry["warningInfo"] = {"warningCounts": [warning]}
    missing = switches["records_counted"] == "one less"
    return {**entry, "eventsIngestionStatus": {"recordCount": str(outcome.records - missing)}}


def _error_count(reason: str, rows: Sequence[int], indices: object) -> dict[str, object]:
    count: dict[str, object] = {
        "recordCount": str(len(rows)),  # int64: a string in JSON
        "reason": reason,
    }
    if indices:
        count["recordIndices"] = [str(row) for row in rows] if indices == "strings" else list(rows)
    return count
