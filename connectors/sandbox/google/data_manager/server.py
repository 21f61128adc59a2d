"""The Data Manager API: its methods, switches and quota."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors.sandbox.google.accounts import GooglePlatform
from connectors.sandbox.google.data_manager import rules
from connectors.sandbox.google.data_manager.checks import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    Code,
    RuleViolation,
    code_of,
    malformed,
    misdirected,
    permitted,
    refusal,
    row_violations,
    unreadable,
)
from connectors.sandbox.google.data_manager.requests import Store, described, ruling
from connectors.sandbox.google.data_manager.wire import Ingest, UnreadableIngestError, parse
from connectors.sandbox.server import WireRequest, WireResponse, json_response

_LIMITS = (
    ("RequestsPerMinutePerProject", timedelta(minutes=1), 300),
    ("RequestsPerDayPerProject", timedelta(days=1), 100_000),
)


class Quota:
    """At most 300 requests in any minute and 100,000 in any day, for one direction (write or read)."""

    def __init__(self) -> None:
        self._taken: deque[datetime] = deque()

    def take(self, now: datetime) -> str:
        """Take one request, or the name of the limit that forbids it; a refused one is not counted."""
        while self._taken and now - self._taken[0] >= timedelta(days=1):
            self._taken.popleft()
        for name, span, most in _LIMITS:
            if len(self._taken) >= most and now - self._taken[-most] < span:
                return name
        self._taken.append(now)
        return ""


STATUS_KEPT = timedelta(days=50)
SWITCHES: Mapping[str, tuple[object, ...]] = {
    "record_indices": (True, False, "strings"),
    "violation_index": (True, False),
    "violations_named": ("first", "all"),
    "processing_minutes": (20,),
    "zero_is_final": (True, False),
    "failed_word": ("FAILED", "FAILURE"),
    "records_counted": ("all", "one less"),
}
"""What could change a state and is not certain: the positions, default first; any number of minutes fits."""
_PROBLEM = "There was a problem with the request."
_SYSTEM_PARAMETERS = frozenset({"$alt", "alt", "$prettyPrint", "prettyPrint"})
_REQUEST_ID = frozenset({"requestId", "request_id"})


class DataManager:
    """The platform behind one address: `POST /v1/events:ingest` and `GET /v1/requestStatus:retrieve`.

    Args:
        now: the sandbox clock, aware UTC.
        authorised: whether a request carries a token that holds now.
        google: what it shares with the Google Ads API; its own where it is alone.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        authorised: Callable[[WireRequest], bool],
        google: GooglePlatform | None = None,
    ) -> None:
        self._now = now
        self._authorised = authorised
        self._google = google or GooglePlatform()
        self._store = Store(self._google)
        self.switches = {name: positions[0] for name, positions in SWITCHES.items()}
        self._counts: Counter[str] = Counter()
        self._write, self._read = Quota(), Quota()
        self._lock = self._google.lock

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one request."""
        with self._lock:
            self._store.settle(self._now())
            match request.method, request.path.replace("%3A", ":"):
                case "POST", "/v1/events:ingest":
                    self._counts["ingest"] += 1
                    return self._admit(request, self._write, frozenset()) or self._ingest(request)
                case "GET", "/v1/requestStatus:retrieve":
                    self._counts["status"] += 1
                    return self._admit(request, self._read, _REQUEST_ID) or self._retrieve(request)
                case _:
                    return self._refuse(NOT_FOUND, "NOT_FOUND", "There is no such method.")

    def register_clicks(self, clicks: Mapping[str, object]) -> None:
        """Make clicks known, by click id or by hash of contact data: `{"clicked_at": ISO 8601, "customer"}`.

        ValueError where one has another shape; none is registered then.
        """
        self._google.register_clicks(clicks, self._now())

    def plant_rulings(self, rulings: Mapping[str, object]) -> None:
        """Decree what becomes of events, by transaction id or click id: `{"when", "reason"}`.

        ValueError where one has another shape or no such reason exists; none is planted then.
        """
        planted = {key: ruling(each) for key, each in rulings.items()}
        with self._lock:
            self._store.settle(self._now())
            self._store.rulings.update(planted)

    def switch(self, name: str, value: object) -> None:
        """Turn one switch; ValueError where it has no such position."""
        if name == "processing_minutes":
            fits = type(value) is int and value >= 0
        else:
            fits = any(type(value) is type(each) and value == each for each in SWITCHES.get(name, ()))
        if not fits:
            raise ValueError(f"{name} is one of {', '.join(map(str, SWITCHES.get(name, ())))}")
        with self._lock:
            self._store.settle(self._now())
            self.switches[name] = value
            self._google.zero_is_final = bool(self.switches["zero_is_final"])

    def book(self) -> list[dict[str, object]]:
        """Every conversion that either of Google's APIs counted by now, in the order of acceptance, as JSON."""
        with self._lock:
            self._store.settle(self._now())
            return self._google.book.lines()

    def known_by(self) -> dict[str, tuple[str, ...]]:
        """The click ids and hashes of every conversion in the book, by transaction id."""
        with self._lock:
            self._store.settle(self._now())
            return self._google.book.known_by()

    def names(self) -> dict[str, str]:
        """What each conversion action is called."""
        return {
            number: one.name for account in self._google.accounts.values() for number, one in account.actions.items()
        }

    def state(self) -> dict[str, object]:
        """Counts, book and latest refusals as of now, as JSON."""
        with self._lock:
            return {
                "book": self.book(),
                "requests": dict(self._counts),
                "processing": self._store.processing(),
                "refused": list(self._store.refused),
            }

    def dump(self) -> dict[str, Any]:
        """Everything it remembers, as JSON; quotas start afresh."""
        with self._lock:
            return {
                "store": self._store.dump(),
                "switches": dict(self.switches),
                "counts": dict(self._counts),
            }

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Become what `dump` told of."""
        with self._lock:
            self._store.load(dumped["store"])
            for name, value in dumped["switches"].items():
                self.switch(name, value)
            self._counts = Counter(dumped["counts"])

    def _admit(self, request: WireRequest, quota: Quota, parameters: frozenset[str]) -> WireResponse | None:
        """The refusal of a request that does not even reach the method."""
        if not self._authorised(request):
            rule = rules.AUTHORISED
            return self._refuse(UNAUTHENTICATED, rule.answer, rule.rule)
        if set(request.query) - _SYSTEM_PARAMETERS - parameters:
            self._note("INVALID_ARGUMENT", "query")
            return unreadable("query", indexed=self._indexed)
        if limit := quota.take(self._now()):
            rule = rules.QUOTA
            return self._refuse(RESOURCE_EXHAUSTED, rule.answer, rule.rule, quota=limit)
        return None

    def _ingest(self, request: WireRequest) -> WireResponse:
        try:
            ingest = parse(request.body)
        except UnreadableIngestError as refused:
            self._note("INVALID_ARGUMENT", "body")
            return unreadable(str(refused), indexed=self._indexed)
        self._counts["events"] += len(ingest.events)
        if violations := self._violations(ingest):
            return self._violated(violations)
        if ingest.validate_only:
            self._counts["validated"] += 1
            return json_response(200, {})
        self._counts["taken"] += 1
        processing = timedelta(minutes=int(str(self.switches["processing_minutes"])))
        return json_response(200, {"requestId": self._store.take(ingest, request.body, self._now(), processing)})

    def _violations(self, ingest: Ingest) -> list[RuleViolation]:
        """What refuses the request; later checks run only where earlier ones found nothing."""
        if violations := list(malformed(ingest)):
            return violations
        if not permitted(ingest, self._google.accounts):
            return [RuleViolation.of(rules.LOGIN_ACCOUNT, "destinations")]
        if violations := list(misdirected(ingest, self._google.accounts, self._now())):
            return violations
        for row in range(len(ingest.events)):
            violations += self._row(ingest, row)
            if violations and self.switches["violations_named"] == "first":
                break
        return violations

    def _row(self, ingest: Ingest, row: int) -> list[RuleViolation]:
        violations = list(row_violations(ingest, row, self._now()))
        if planted := self._store.decreed(ingest.events[row], "submit"):
            violations.append(RuleViolation(planted, "Planted by hand.", "", row))
        return violations

    def _violated(self, violations: list[RuleViolation]) -> WireResponse:
        first = violations[0]
        code = code_of(first.reason)
        if code is not INVALID_ARGUMENT:
            return self._refuse(code, first.reason, first.description)
        self._note(first.reason, first.field)
        return refusal(code, "INVALID_ARGUMENT", _PROBLEM, self._error_id(), violations, indexed=self._indexed)

    def _retrieve(self, request: WireRequest) -> WireResponse:
        values = [value for name in _REQUEST_ID for value in request.query.get(name, ()) if value]
        if not values:
            return self._violated([RuleViolation.of(rules.REQUEST_NAMED, "request_id")])
        taken = self._store.find(values[0])
        if taken is None:
            return self._violated([RuleViolation.of(rules.REQUEST_KNOWN, "request_id")])
        if self._now() - taken.at > STATUS_KEPT:
            return self._violated([RuleViolation.of(rules.REQUEST_AGE, "request_id")])
        numeric = any("enum-encoding=int" in value for value in request.query.get("$alt", ()))
        indices = self.switches["record_indices"]
        outcomes = taken.outcomes or (None,) * len(taken.destinations)
        entries = [
            described(
                destination,
                outcome,
                indices=indices,
                numeric=numeric,
                failed_word=self.switches["failed_word"],
                missing=int(self.switches["records_counted"] == "one less"),
            )
            for destination, outcome in zip(taken.destinations, outcomes, strict=True)
        ]
        return json_response(200, {"requestStatusPerDestination": entries})

    @property
    def _indexed(self) -> bool:
        return bool(self.switches["violation_index"])

    def _refuse(self, code: Code, reason: str, message: str, *, quota: str = "") -> WireResponse:
        self._note(reason, "")
        return refusal(code, reason, message, self._error_id(), quota=quota)

    def _note(self, reason: str, field: str) -> None:
        self._counts["refused"] += 1
        self._store.refuse(self._now(), "submit", reason, field=field)

    def _error_id(self) -> str:
        return f"t-{self._store.number()}"
