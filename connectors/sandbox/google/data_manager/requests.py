"""Ingest requests as the Data Manager remembers, processes and reports them."""

import re
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from connectors.sandbox.book import GoogleAcceptance, GoogleBook
from connectors.sandbox.google.accounts import (
    CLICK_LIFE_DAYS,
    CONTACT_LIFE,
    GoogleClick,
    GoogleConversionAction,
    GooglePlatform,
    Timing,
    click_json,
    read_click,
    timing,
)
from connectors.sandbox.google.data_manager import rules
from connectors.sandbox.google.data_manager.wire import (
    ACCOUNT_TYPES,
    DENIED,
    ERROR_REASONS,
    GRANTED,
    PROCESSING_REASONS,
    STATUSES,
    Ingest,
    IngestDestination,
    IngestEvent,
    ProductAccount,
    parse,
)

_DECODABLE = re.compile(r"[A-Za-z0-9_-]+")
_READABLE = {
    "gclid": rules.CLICK_READABLE_GCLID,
    "gbraid": rules.CLICK_READABLE_GBRAID,
    "wbraid": rules.CLICK_READABLE_WBRAID,
}
_UNTIMELY: Mapping[Timing, rules.DataManagerRule | None] = {
    Timing.RIGHT: None,
    Timing.BEFORE_CLICK: rules.AFTER_CLICK,
    Timing.CLICK_TOO_FRESH: rules.CLICK_SETTLED,
    Timing.CLICK_TOO_OLD: rules.CLICK_WINDOW,
}


@dataclass(frozen=True, slots=True)
class EventContext:
    """The circumstances a row is judged in: when its request came, for which action, under which consent."""

    at: datetime
    customer: str
    action: GoogleConversionAction
    ad_user_data: int
    """The request's consent; a row's own goes before it."""


def broken_rule(
    event: IngestEvent, arrival: EventContext, clicks: Mapping[str, GoogleClick]
) -> rules.DataManagerRule | None:
    """The first rule the row breaks, None where processing succeeds; `clicks` by click id and by hash."""
    consent = event.ad_user_data or arrival.ad_user_data
    if consent == DENIED:
        return rules.CONSENT_GRANTED
    if consent != GRANTED:
        return rules.CONSENT_KNOWN
    if event.at is None:  # refused long before
        return rules.EVENT_TIME
    if event.click_ids:
        return _by_click(event, event.at, arrival, clicks)
    return _by_contact(event, event.at, arrival, clicks)


def matched(event: IngestEvent, clicks: Mapping[str, GoogleClick]) -> bool:
    """Whether a registered click stands behind the event."""
    return any(each in clicks for each in (*event.click_ids.values(), *(event.identifiers or ())))


def _by_click(
    event: IngestEvent, at: datetime, arrival: EventContext, clicks: Mapping[str, GoogleClick]
) -> rules.DataManagerRule | None:
    kind, click_id = next(iter(event.click_ids.items()))
    if not _DECODABLE.fullmatch(click_id):
        return _READABLE[kind]
    if kind != "gclid" and arrival.action.one_per_click:
        return rules.EVERY_WITH_BRAID
    click = clicks.get(click_id)
    if click is None:
        return rules.CLICK_KNOWN
    if click.customer != arrival.customer:
        return rules.CLICK_OF_ACCOUNT
    return _UNTIMELY[timing(click, at, arrival.at, arrival.action.click_window_days)]


def _by_contact(
    event: IngestEvent, at: datetime, arrival: EventContext, clicks: Mapping[str, GoogleClick]
) -> rules.DataManagerRule | None:
    known = (clicks.get(each) for each in event.identifiers or ())
    click = next((each for each in known if each and each.customer == arrival.customer), None)
    if arrival.at - (click.clicked_at if click else at) > CONTACT_LIFE:
        return rules.CONTACT_WINDOW
    if click is None:
        return None
    # contact data has its own life; the action's window is the click id's
    return _UNTIMELY[timing(click, at, arrival.at, CLICK_LIFE_DAYS)]


@dataclass(frozen=True, slots=True)
class DestinationOutcome:
    """What one destination's rows came to: how many there were, and which failed by which reason."""

    records: int
    failed: Mapping[str, tuple[int, ...]]
    """Row indices in the request, by `ProcessingErrorReason`."""

    @property
    def status(self) -> str:
        """The destination's status, by name."""
        failures = sum(map(len, self.failed.values()))
        if not failures:
            return "SUCCESS"
        return "FAILED" if failures == self.records else "PARTIAL_SUCCESS"


def described(
    destination: IngestDestination,
    outcome: DestinationOutcome | None,
    *,
    indices: object,
    numeric: bool,
    failed_word: object = "FAILED",
    missing: int = 0,
) -> dict[str, object]:
    """One entry of the answer; `outcome` None while the request is processing.

    Args:
        destination: echoed as it was sent.
        outcome: what its rows came to.
        indices: the switch: `recordIndices` left out, as numbers, or as "strings", JSON's form of int64.
        numeric: enums as numbers.
        failed_word: the switch: what FAILED is called, where enums are words.
        missing: how many records fewer are counted than there were.
    """
    status = outcome.status if outcome else "PROCESSING"
    entry: dict[str, object] = {
        "destination": _destination_status(destination, numeric=numeric),
        "requestStatus": STATUSES[status] if numeric else (failed_word if status == "FAILED" else status),
    }
    if outcome is None:
        return entry
    if outcome.failed:
        counts = [_count(reason, rows, indices=indices, numeric=numeric) for reason, rows in outcome.failed.items()]
        entry["errorInfo"] = {"errorCounts": counts}
    return {**entry, "eventsIngestionStatus": {"recordCount": str(outcome.records - missing)}}


def _count(reason: str, rows: tuple[int, ...], *, indices: object, numeric: bool) -> dict[str, object]:
    count: dict[str, object] = {
        "recordCount": str(len(rows)),  # int64: a string in JSON
        "reason": PROCESSING_REASONS[reason] if numeric else reason,
    }
    if indices:
        count["recordIndices"] = [str(row) for row in rows] if indices == "strings" else list(rows)
    return count


def _destination_status(destination: IngestDestination, *, numeric: bool) -> dict[str, object]:
    parts: dict[str, object] = {
        "reference": destination.reference,
        "loginAccount": _account(destination.login, numeric=numeric),
        "operatingAccount": _account(destination.operating, numeric=numeric),
        "productDestinationId": destination.action,
    }
    return {name: part for name, part in parts.items() if part}


def _account(account: ProductAccount, *, numeric: bool) -> dict[str, object]:
    if account == ProductAccount(0, ""):
        return {}
    kind = account.type if numeric else ACCOUNT_TYPES[account.type]
    return {"accountType": kind, "accountId": account.id}


When = Literal["submit", "processing"]
REFUSALS_KEPT = 1_000
_PREFIX = "PROCESSING_ERROR_REASON_"


@dataclass(frozen=True, slots=True)
class DataManagerRuling:
    """A planted verdict on whatever event bears a certain transaction id or click id."""

    when: When
    reason: str


@dataclass(slots=True)
class Taken:
    """A request that was taken; it has its body until it is settled, its outcomes from then on."""

    id: str
    at: datetime
    due: datetime
    destinations: tuple[IngestDestination, ...]
    body: bytes = field(repr=False)
    outcomes: tuple[DestinationOutcome, ...] | None = None


class Store:
    """Everything the platform remembers. Not thread-safe: its owner holds Google's lock.

    A request is judged by what was registered when it fell due, however late anybody looks: `settle` is
    called before anything changes.
    """

    def __init__(self, google: GooglePlatform) -> None:
        self.google = google
        google.settlers.append(self.settle)
        self.rulings: dict[str, DataManagerRuling] = {}
        self.refused: deque[dict[str, str]] = deque(maxlen=REFUSALS_KEPT)
        self.numbered = 0
        self._taken: dict[str, Taken] = {}
        self._waiting: list[Taken] = []

    def number(self) -> str:
        """A new request id: as long as the vendor's, and the same in every rehearsal."""
        self.numbered += 1
        return str(uuid5(NAMESPACE_URL, f"sandbox-request-{self.numbered}"))

    def decreed(self, event: IngestEvent, when: When) -> str | None:
        """The reason planted for this event at this stage."""
        for name in (event.transaction_id, *event.click_ids.values()):
            planted = self.rulings.get(name)
            if planted and planted.when == when:
                return planted.reason
        return None

    def take(self, ingest: Ingest, body: bytes, now: datetime, processing: timedelta) -> str:
        """Keep a request that passed every check until it is due; its id."""
        taken = Taken(self.number(), now, now + processing, ingest.destinations, body)
        self._taken[taken.id] = taken
        self._waiting.append(taken)
        return taken.id

    def find(self, request_id: str) -> Taken | None:
        """The request that was given this id."""
        return self._taken.get(request_id)

    def processing(self) -> int:
        """How many requests are not settled yet."""
        return len(self._waiting)

    def settle(self, now: datetime) -> None:
        """Judge every request that is due by now, in the order of falling due."""
        due = [each for each in self._waiting if each.due <= now]
        self._waiting = [each for each in self._waiting if each.due > now]
        for taken in sorted(due, key=lambda each: each.due):
            ingest = parse(taken.body)
            taken.outcomes = tuple(self._judge(taken, ingest, each) for each in ingest.destinations)
            taken.body = b""

    def refuse(self, at: datetime, when: When, reason: str, **where: str) -> None:
        """Remember a refusal, for those who look at the page."""
        self.refused.append({"at": at.isoformat(), "when": when, "reason": reason, **where})

    def _judge(self, taken: Taken, ingest: Ingest, destination: IngestDestination) -> DestinationOutcome:
        customer = destination.operating.id
        action = self.google.accounts[customer].actions[destination.action]
        arrival = EventContext(taken.at, customer, action, ingest.ad_user_data)
        rows = ingest.addressed(destination)
        failed: defaultdict[str, list[int]] = defaultdict(list)
        for row, event in rows:
            broken = broken_rule(event, arrival, self.google.clicks)
            reason = self.decreed(event, "processing") or (broken.answer if broken else "")
            if reason:
                failed[reason].append(row)
                where = {"customer": customer, "action": destination.action, "request": taken.id}
                self.refuse(taken.due, "processing", reason, transaction_id=event.transaction_id, **where)
            else:
                self.google.book.accept(
                    self._acceptance(event, taken, destination),
                    across=self.google.across_apis,
                    zero_is_final=self.google.zero_is_final,
                )
        return DestinationOutcome(len(rows), {reason: tuple(indices) for reason, indices in failed.items()})

    def _acceptance(self, event: IngestEvent, taken: Taken, destination: IngestDestination) -> GoogleAcceptance:
        return GoogleAcceptance(
            customer=destination.operating.id,
            action=destination.action,
            transaction_id=event.transaction_id,
            event_time=event.at.isoformat() if event.at else "",
            value=event.value,
            currency=event.currency,
            click_kind=next(iter(event.click_ids), "contact"),
            matched=matched(event, self.google.clicks),
            digest=event.digest,
            request=taken.id,
            at=taken.due.isoformat(),
            known_by=(*event.click_ids.values(), *(event.identifiers or ())),
        )

    def dump(self) -> dict[str, Any]:
        """Everything but the accounts, as JSON; what both of Google's APIs know is kept here."""
        return {
            "clicks": {key: click_json(each) for key, each in self.google.clicks.items()},
            "rulings": {key: asdict(each) for key, each in self.rulings.items()},
            "book": self.google.book.dump(),
            "refused": list(self.refused),
            "numbered": self.numbered,
            "taken": [_taken_json(each) for each in self._taken.values()],
        }

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Become what `dump` told of."""
        self.google.clicks = {key: read_click(each) for key, each in dumped["clicks"].items()}
        self.rulings = {key: ruling(each) for key, each in dumped["rulings"].items()}
        self.google.book = GoogleBook.load(dumped["book"])
        self.refused = deque(dumped["refused"], maxlen=REFUSALS_KEPT)
        self.numbered = dumped["numbered"]
        self._taken = {each["id"]: _taken(each) for each in dumped["taken"]}
        self._waiting = [each for each in self._taken.values() if each.outcomes is None]


def ruling(document: object) -> DataManagerRuling:
    """A ruling from its JSON, the reason with or without the vendor's prefix; ValueError where it is none."""
    match document:
        case {"when": "submit", "reason": str(reason), **rest} if not rest and reason in ERROR_REASONS:
            return DataManagerRuling("submit", reason)
        case {"when": "processing", "reason": str(reason), **rest} if not rest:
            for name in (reason, f"{_PREFIX}{reason}"):
                if name in PROCESSING_REASONS:
                    return DataManagerRuling("processing", name)
    raise ValueError('a ruling is {"when": "submit" or "processing", "reason": a name of the vendor\'s enum}')


def _taken_json(taken: Taken) -> dict[str, Any]:
    outcomes = taken.outcomes
    return {
        "id": taken.id,
        "at": taken.at.isoformat(),
        "due": taken.due.isoformat(),
        "destinations": [asdict(each) for each in taken.destinations],
        "body": taken.body.decode(),
        "outcomes": None if outcomes is None else [asdict(each) for each in outcomes],
    }


def _taken(dumped: Mapping[str, Any]) -> Taken:
    outcomes = dumped["outcomes"]
    return Taken(
        id=dumped["id"],
        at=datetime.fromisoformat(dumped["at"]),
        due=datetime.fromisoformat(dumped["due"]),
        destinations=tuple(_destination(each) for each in dumped["destinations"]),
        body=dumped["body"].encode(),
        outcomes=None if outcomes is None else tuple(_outcome(each) for each in outcomes),
    )


def _destination(dumped: Mapping[str, Any]) -> IngestDestination:
    accounts = {name: ProductAccount(**dumped[name]) for name in ("operating", "login")}
    return IngestDestination(**{**dumped, **accounts})


def _outcome(dumped: Mapping[str, Any]) -> DestinationOutcome:
    failed = {reason: tuple(rows) for reason, rows in dumped["failed"].items()}
    return DestinationOutcome(dumped["records"], failed)
