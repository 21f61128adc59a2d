"""The Data Manager's messages, read and answered in JSON as Google does.

The only module of the sandbox that imports `google-ads-datamanager`.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.ads.datamanager_v1 import types
from google.protobuf import json_format  # type: ignore[import-untyped]  # the vendor ships no types

from connectors.sandbox.google.platform import CLICK_ID_KINDS
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
_DESTINATION_STATUSES = _numbers(types.RequestStatusPerDestination.RequestStatus)

_Request = types.IngestEventsRequest.pb()
_PLACE = re.compile(r"IngestEventsRequest\.?([\w.\[\]]*)")


class UnreadableIngestError(ValueError):
    """The body is not JSON of the request's message; the text is the path of the offending field.

    Never quotes the value: it may be personal data.
    """


def parse(body: bytes) -> Any:
    """The `IngestEventsRequest` of a body, enums as names or numbers; `UnreadableIngestError` if it is another.

    A deprecated `product` is moved to its twin, `account_type`; that is -1 where the two disagree.
    """
    try:
        request = json_format.Parse(body.decode(), _Request(), ignore_unknown_fields=False)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as refusal:
        place = _PLACE.search(str(refusal))
        # `from None`: the parser quotes what it could not read.
        raise UnreadableIngestError(place[1].rstrip(".") if place else "") from None
    for destination in request.destinations:
        for account in (destination.operating_account, destination.login_account):
            if account.product:
                account.account_type = account.product if account.account_type in (0, account.product) else -1
                account.ClearField("product")
    return request


def as_json(request: Any) -> dict[str, Any]:
    """The JSON form of an `IngestEventsRequest`, with its enums by name; `from_json` reads it."""
    return dict(json_format.MessageToDict(request))


def from_json(document: Mapping[str, Any]) -> Any:
    """The `IngestEventsRequest` that `as_json` wrote."""
    return json_format.ParseDict(document, _Request())


def click_ids(event: Any) -> dict[str, str]:
    """The click ids that an event has, by kind."""
    return {kind: value for kind in CLICK_ID_KINDS if (value := getattr(event.ad_identifiers, kind))}


def identifiers(event: Any) -> tuple[str, ...]:
    """The hashes of an event's contact data, as sent: names of an address among them, empty if without a value."""
    found: list[str] = []
    for each in event.user_data.user_identifiers:
        kind = each.WhichOneof("identifier")
        if kind == "address":
            found += [each.address.given_name, each.address.family_name]
        else:
            found.append(getattr(each, kind) if kind else "")
    return tuple(found)


def digest(event: Any) -> str:
    """SHA-256 (hex) of an `Event` message, the same for every spelling of the same event."""
    plain = json_format.MessageToDict(event, use_integers_for_enums=True)
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


_TYPE = "type.googleapis.com/google.rpc"
_INDEX = re.compile(r"\[\d+\]")
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""The canonical code of each HTTP status; INTERNAL for any other."""


@dataclass(frozen=True, slots=True)
class RuleViolation:
    """A field that breaks a rule; `field` is a path from the request, or from the event at index `row`.

    It never quotes the value, which may be personal data.
    """

    rule: DataManagerRule
    field: str
    row: int | None = None

    def json(self, *, indexed: bool) -> dict[str, str]:
        """The violation as Google writes it: events are at `events.events[3]`, all else at its plain path."""
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
    """The answer to a refused request; `indexed` says whether paths name the row of a list."""
    info = {
        "@type": f"{_TYPE}.ErrorInfo",
        "reason": reason,
        "domain": "datamanager.googleapis.com",
        "metadata": {"requestId": request_id, **({"quota_limit": quota} if quota else {})},
    }
    details: list[object] = [info, {"@type": f"{_TYPE}.RequestInfo", "requestId": request_id}]
    if violations:
        fields = [each.json(indexed=indexed) for each in violations]
        details.append({"@type": f"{_TYPE}.BadRequest", "fieldViolations": fields})
    return _error(status, message, details)


def failed(status: int) -> WireResponse:
    """The answer of an API that fails, perhaps after it took the events."""
    reason = "DEADLINE_EXCEEDED" if _STATUSES.get(status) == "DEADLINE_EXCEEDED" else rules.FAILING.answer
    return refusal(status, reason, "Internal error encountered.", "t-failed")


def unreadable(path: str, *, indexed: bool) -> WireResponse:
    """The answer to a body that is not the request's message: Google's front end refuses it before the platform.

    It has neither reason nor request id.
    """
    description = "Invalid JSON payload received"
    field = path if indexed else _INDEX.sub("", path)
    violation = {
        "field": field,
        "description": f"{description}: cannot be read at '{path}'." if indexed else f"{description}.",
    }
    return _error(400, violation["description"], [{"@type": f"{_TYPE}.BadRequest", "fieldViolations": [violation]}])


def _error(status: int, message: str, details: Sequence[object]) -> WireResponse:
    error = {"code": status, "message": message, "status": _STATUSES.get(status, "INTERNAL"), "details": details}
    return json_response(status, {"error": error})


@dataclass(frozen=True, slots=True)
class DestinationOutcome:
    """What became of one destination's rows: how many there were, and which failed for which reason."""

    records: int
    failed: Mapping[str, Sequence[int]]
    """Row indices in the request, by `ProcessingErrorReason`."""

    @property
    def status(self) -> str:
        """The destination's status, by name."""
        failures = sum(map(len, self.failed.values()))
        if not failures:
            return "SUCCESS"
        return "FAILED" if failures == self.records else "PARTIAL_SUCCESS"


def destination_status(
    destination: Any, outcome: DestinationOutcome | None, switches: Mapping[str, object], *, numeric: bool
) -> dict[str, object]:
    """One destination, as it was sent, in the answer to a status request; without an outcome it is processing.

    The switches `record_indices`, `failed_word` and `records_counted` shape it; `numeric` writes enums as numbers.
    """
    status = outcome.status if outcome else "PROCESSING"
    word = switches["failed_word"] if status == "FAILED" else status
    entry: dict[str, object] = {
        "destination": json_format.MessageToDict(destination, use_integers_for_enums=numeric),
        "requestStatus": _DESTINATION_STATUSES[status] if numeric else word,
    }
    if outcome is None:
        return entry
    if outcome.failed:
        counts = [
            _error_count(reason, rows, switches["record_indices"], numeric=numeric)
            for reason, rows in outcome.failed.items()
        ]
        entry["errorInfo"] = {"errorCounts": counts}
    missing = switches["records_counted"] == "one less"
    return {**entry, "eventsIngestionStatus": {"recordCount": str(outcome.records - missing)}}


def _error_count(reason: str, rows: Sequence[int], indices: object, *, numeric: bool) -> dict[str, object]:
    count: dict[str, object] = {
        "recordCount": str(len(rows)),  # int64: a string in JSON
        "reason": PROCESSING_REASONS[reason] if numeric else reason,
    }
    if indices:
        count["recordIndices"] = [str(row) for row in rows] if indices == "strings" else list(rows)
    return count
