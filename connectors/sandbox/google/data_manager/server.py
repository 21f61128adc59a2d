"""The Data Manager API: its methods, switches and quotas, and the requests it has accepted."""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from google.protobuf import json_format  # type: ignore[import-untyped]  # the vendor ships no types
from pydantic.dataclasses import dataclass as pydantic_dataclass

from connectors.sandbox.google.data_manager.checks import (
    EventContext,
    broken_rule,
    destination_violations,
    event_violations,
    has_operating_account_access,
    shape_violations,
)
from connectors.sandbox.google.data_manager.wire import (
    ERROR_REASONS,
    PROCESSING_REASONS,
    DestinationOutcome,
    RuleViolation,
    UnreadableIngestError,
    click_ids,
    contact_hashes_in_event,
    destination_status,
    digest,
    parse,
    refusal,
    unreadable_request_response,
)
from connectors.sandbox.google.platform import AcceptedGoogleEvent, GoogleClick, SandboxGoogleApi, SandboxGoogleState
from connectors.sandbox.platform import STRICT, Positions, from_json, to_json
from connectors.sandbox.rules import DataManagerRule
from connectors.sandbox.rules import data_manager_rules as rules
from connectors.sandbox.server import WireRequest, WireResponse, json_response

_LIMITS = (
    ("RequestsPerMinutePerProject", timedelta(minutes=1), 300),
    ("RequestsPerDayPerProject", timedelta(days=1), 100_000),
)


class Quota:
    """A quota of 300 requests per minute and 100,000 per day (sliding windows), for reads or for writes."""

    def __init__(self) -> None:
        self._taken: deque[datetime] = deque()

    def consume_quota(self, now: datetime) -> str:
        """Count one request and return an empty string; over a limit, return its name and count nothing."""
        while self._taken and now - self._taken[0] >= timedelta(days=1):
            self._taken.popleft()
        for name, span, most in _LIMITS:
            if len(self._taken) >= most and now - self._taken[-most] < span:
                return name
        self._taken.append(now)
        return ""


@pydantic_dataclass(frozen=True, slots=True, config=STRICT)
class PlantedDataManagerVerdict:
    """A verdict planted under a transaction id or click id; the reason is a name of the vendor's enum.

    A processing reason may lack the vendor's prefix.
    """

    when: Literal["submit", "processing"]
    reason: str

    def __post_init__(self) -> None:
        if self.vendor_reason not in (ERROR_REASONS if self.when == "submit" else PROCESSING_REASONS):
            raise ValueError(f"there is no reason {self.reason!r}")

    @property
    def vendor_reason(self) -> str:
        """The reason as the vendor writes it."""
        prefixed = f"PROCESSING_ERROR_REASON_{self.reason}"
        return prefixed if self.when == "processing" and prefixed in PROCESSING_REASONS else self.reason


@dataclass(slots=True)
class AcceptedRequest:
    """An accepted request, with its events until it is processed and its outcomes from then on."""

    id: str
    at: datetime
    due: datetime
    request: Any = field(repr=False)
    outcomes: list[DestinationOutcome] | None = None


STATUS_KEPT = timedelta(days=50)
SWITCHES: Positions = {
    "record_indices": (True, False, "strings"),
    "violation_index": (True, False),
    "violations_named": ("first", "all"),
    "processing_minutes": (20, int),
    "zero_is_final": (True, False),
    "failed_word": ("FAILED", "FAILURE"),
    "records_counted": ("all", "one less"),
    "warned": (False, True),
}
"""Positions of uncertain behaviour that could change a state, the default first."""
_PLANTED = DataManagerRule("data_manager", "Planted by hand.", "assumed", "assumed")
_SYSTEM_PARAMETERS = frozenset({"$alt", "alt", "$prettyPrint", "prettyPrint"})
_REQUEST_ID = frozenset({"requestId", "request_id"})
_BAD_REQUEST = 400
_HTTP_STATUSES = {
    rules.LOGIN_ACCOUNT.answer: 403,
    "NOT_ALLOWLISTED": 403,
    "NOT_FOUND": 404,
    "REQUEST_TOO_OLD": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL_ERROR": 500,
    "DEADLINE_EXCEEDED": 504,
}
"""The HTTP status of each `ErrorReason`, 400 for any other; only some pairs are documented."""


class SandboxDataManager(SandboxGoogleApi):
    """The platform behind one address: `POST /v1/events:ingest` and `GET /v1/requestStatus:retrieve`.

    A request is processed with the clicks registered by its due time, even if processing happens later.
    `authorised` returns whether a request carries a currently valid token.
    """

    ruling_type = PlantedDataManagerVerdict

    def __init__(
        self,
        now: Callable[[], datetime],
        authorised: Callable[[WireRequest], bool],
        google: SandboxGoogleState | None = None,
    ) -> None:
        super().__init__(now, google, SWITCHES)
        self.google.settle = self._process
        self._authorised = authorised
        self._taken: dict[str, AcceptedRequest] = {}
        self._waiting: list[AcceptedRequest] = []
        self._numbered = 0
        self._write, self._read = Quota(), Quota()

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one request."""
        with self.lock:
            self.process_due_work()
            match request.method, request.path.replace("%3A", ":"):
                case "POST", "/v1/events:ingest":
                    self.counts["ingest"] += 1
                    return self._check_token_and_quota(request, self._write, frozenset()) or self._ingest(request)
                case "GET", "/v1/requestStatus:retrieve":
                    self.counts["status"] += 1
                    return self._check_token_and_quota(request, self._read, _REQUEST_ID) or self._retrieve(request)
                case _:
                    return self._refuse(404, "NOT_FOUND", "There is no such method.")

    def register_clicks(self, clicks: Mapping[str, object]) -> None:
        """Register clicks, by click id or hash of contact data: `{"clicked_at": ISO 8601, "customer"}`.

        Raise ValueError, and register none, if one has another shape.
        """
        known = from_json(dict[str, GoogleClick], clicks)
        with self.lock:
            self.process_due_work()
            self.google.clicks.update(known)

    def set_switch(self, name: str, value: object) -> None:
        """Set one switch; raise ValueError if it has no such position."""
        super().set_switch(name, value)
        self.google.book.zero_is_final = bool(self.switches["zero_is_final"])

    def identifiers_by_conversion_id(self) -> dict[str, tuple[str, ...]]:
        """Return the click ids and hashes of every conversion in the book, by transaction id."""
        with self.lock:
            self.process_due_work()
            return self.google.book.identifiers_by_conversion_id()

    def conversion_action_names(self) -> dict[str, str]:
        """Return the name of each conversion action, by id."""
        return {id_: one.name for account in self.google.accounts.values() for id_, one in account.actions.items()}

    def state(self) -> dict[str, object]:
        """Return the current counters, book, recent refusals and number of waiting requests as JSON."""
        with self.lock:
            return {**super().state(), "processing": len(self._waiting)}

    def dump(self) -> dict[str, Any]:
        """Return the state that both APIs share and this API's requests as JSON; quotas aren't saved."""
        with self.lock:
            return {
                **super().dump(),
                "clicks": to_json(self.google.clicks),
                "book": self.google.book.dump(),
                "numbered": self._numbered,
                "taken": [_accepted_request_json(each) for each in self._taken.values()],
            }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        with self.lock:
            super().load(saved)
            self.google.clicks = from_json(dict[str, GoogleClick], saved["clicks"])
            self.google.book.load(saved["book"])
            self._numbered = saved["numbered"]
            self._taken = {each["id"]: _accepted_request_from_json(each) for each in saved["taken"]}
            self._waiting = [each for each in self._taken.values() if each.outcomes is None]

    def _check_token_and_quota(
        self, request: WireRequest, quota: Quota, parameters: frozenset[str]
    ) -> WireResponse | None:
        """Return the refusal of a request without a valid token, with unknown parameters or over quota; else None."""
        if not self._authorised(request):
            return self._refuse(401, rules.AUTHORISED.answer, rules.AUTHORISED.rule)
        if set(request.query) - _SYSTEM_PARAMETERS - parameters:
            return self._unreadable_response("query", "query")
        if limit := quota.consume_quota(self._now()):
            return self._refuse(429, rules.QUOTA.answer, rules.QUOTA.rule, quota=limit)
        return None

    def _ingest(self, request: WireRequest) -> WireResponse:
        try:
            ingest = parse(request.body)
        except UnreadableIngestError as error:
            return self._unreadable_response("body", str(error))
        self.counts["events"] += len(ingest.events)
        if violations := self._violations(ingest):
            return self._violations_response(violations)
        if ingest.validate_only:
            self.counts["validated"] += 1
            return json_response(200, {})
        self.counts["taken"] += 1
        now = self._now()
        due = now + timedelta(minutes=int(str(self.switches["processing_minutes"])))
        taken = AcceptedRequest(self._request_id(), now, due, ingest)
        self._taken[taken.id] = taken
        self._waiting.append(taken)
        return json_response(200, {"requestId": taken.id})

    def _violations(self, ingest: Any) -> list[RuleViolation]:
        """Return why the request is refused; each group of checks runs only if the previous one found nothing."""
        now, found = self._now(), list(shape_violations(ingest))
        if not found and not has_operating_account_access(ingest, self.google.accounts):
            found = [(rules.LOGIN_ACCOUNT, "destinations")]
        if found := found or list(destination_violations(ingest, self.google.accounts, now)):
            return [RuleViolation(*each) for each in found]
        violations: list[RuleViolation] = []
        for row, event in enumerate(ingest.events):
            violations += event_violations(ingest, row, now)
            if planted := self._planted_failure_reason(event, "submit"):
                violations.append(RuleViolation(replace(_PLANTED, answer=planted), "", row))
            if violations and self.switches["violations_named"] == "first":
                break
        return violations

    def _retrieve(self, request: WireRequest) -> WireResponse:
        ids = [value for name in _REQUEST_ID for value in request.query.get(name, ()) if value]
        taken = self._taken.get(ids[0]) if ids else None
        if taken is None:
            return self._violations_response(
                [RuleViolation(rules.REQUEST_KNOWN if ids else rules.REQUEST_NAMED, "request_id")]
            )
        if self._now() - taken.at > STATUS_KEPT:
            return self._violations_response([RuleViolation(rules.REQUEST_AGE, "request_id")])
        outcomes: Iterable[DestinationOutcome | None] = taken.outcomes or repeat(None)
        statuses = [
            destination_status(destination, outcome, self.switches)
            for destination, outcome in zip(taken.request.destinations, outcomes, strict=False)
        ]
        return json_response(200, {"requestStatusPerDestination": statuses})

    def _process(self, now: datetime) -> None:
        """Process every request that is due, in order of due time. The lock is held."""
        due = [each for each in self._waiting if each.due <= now]
        self._waiting = [each for each in self._waiting if each.due > now]
        for taken in sorted(due, key=lambda each: each.due):
            taken.outcomes = [self._process_destination(taken, each) for each in taken.request.destinations]
            taken.request.ClearField("events")

    def _process_destination(self, taken: AcceptedRequest, destination: Any) -> DestinationOutcome:
        """Process the events for this destination; an event without references goes to all."""
        customer, action_id = destination.operating_account.account_id, destination.product_destination_id
        action = self.google.accounts[customer].actions[action_id]
        consent = taken.request.consent.ad_user_data
        context = EventContext(taken.at, customer, action, consent, self.google.clicks)
        records = 0
        failed: defaultdict[str, list[int]] = defaultdict(list)
        for row, event in enumerate(taken.request.events):
            if event.destination_references and destination.reference not in event.destination_references:
                continue
            records += 1
            broken = broken_rule(event, context)
            reason = self._planted_failure_reason(event, "processing") or (broken.answer if broken else "")
            if reason:
                failed[reason].append(row)
                where = {"customer": customer, "action": action_id, "request": taken.id}
                self.record_refusal(
                    taken.due, when="processing", reason=reason, transaction_id=event.transaction_id, **where
                )
            else:
                self.google.book.accept(self._to_accepted_event(event, taken, context, action_id))
        return DestinationOutcome(records, dict(failed))

    def _to_accepted_event(
        self, event: Any, taken: AcceptedRequest, context: EventContext, action_id: str
    ) -> AcceptedGoogleEvent:
        known_by = (*click_ids(event).values(), *contact_hashes_in_event(event))
        return AcceptedGoogleEvent(
            customer=context.customer,
            action=action_id,
            transaction_id=event.transaction_id,
            event_time=event.event_timestamp.ToDatetime(UTC).isoformat(),
            value=event.conversion_value if event.HasField("conversion_value") else None,
            currency=event.currency,
            click_kind=next(iter(click_ids(event)), "contact"),
            matched=any(each in self.google.clicks for each in known_by),
            digest=digest(event),
            request=taken.id,
            at=taken.due.isoformat(),
            known_by=known_by,
        )

    def _planted_failure_reason(self, event: Any, when: str) -> str | None:
        """Return the reason planted on this event at this stage, if any."""
        rulings = (self.rulings.get(name) for name in (event.transaction_id, *click_ids(event).values()))
        return next((each.vendor_reason for each in rulings if each and each.when == when), None)

    def _violations_response(self, violations: list[RuleViolation]) -> WireResponse:
        first = violations[0]
        status = _HTTP_STATUSES.get(first.rule.answer, _BAD_REQUEST)
        if status != _BAD_REQUEST:
            return self._refuse(status, first.rule.answer, first.rule.rule)
        self._note_refusal(first.rule.answer, first.field)
        message = "There was a problem with the request."
        indexed = bool(self.switches["violation_index"])
        return refusal(status, "INVALID_ARGUMENT", message, self._error_id(), violations, indexed=indexed)

    def _refuse(self, status: int, reason: str, message: str, *, quota: str = "") -> WireResponse:
        self._note_refusal(reason, "")
        return refusal(status, reason, message, self._error_id(), quota=quota)

    def _unreadable_response(self, part: str, path: str) -> WireResponse:
        self._note_refusal("INVALID_ARGUMENT", part)
        return unreadable_request_response(path, indexed=bool(self.switches["violation_index"]))

    def _note_refusal(self, reason: str, field: str) -> None:
        self.counts["refused"] += 1
        self.record_refusal(self._now(), when="submit", reason=reason, field=field)

    def _request_id(self) -> str:
        """Return a new request id, as long as the vendor's and the same in every run."""
        self._numbered += 1
        return str(uuid5(NAMESPACE_URL, f"sandbox-request-{self._numbered}"))

    def _error_id(self) -> str:
        return f"t-{self._request_id()}"


def _accepted_request_json(taken: AcceptedRequest) -> dict[str, Any]:
    return {**to_json(replace(taken, request=None)), "request": json_format.MessageToDict(taken.request)}


def _accepted_request_from_json(saved: Mapping[str, Any]) -> AcceptedRequest:
    request = parse(json.dumps(saved["request"]).encode())
    return replace(from_json(AcceptedRequest, {**saved, "request": None}), request=request)
