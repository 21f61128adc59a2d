"""Deduplication keys of conversions that count once, and the search for duplicates within and across nights."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

import sqlalchemy
from sqlalchemy import and_, bindparam, delete, exists, not_, or_, true
from sqlmodel import Session, col, select

from connectors.records import ClickIdKind, LeadId
from jobs.ledger import bulk
from jobs.ledger.leads import status_labels
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import DedupKey, Delivery, DeliveryRecord, LeadRow, matches_delivery_kind, was_retracted
from jobs.rules.delivery_state import COUNTING, FROZEN, DeliveryKind, DeliveryState
from jobs.rules.model import ConversionRoute


class DuplicatePrecedence(IntEnum):
    """Precedence among duplicates."""

    SENT = 0
    """It was sent, or may have been: that can't be undone."""
    PENDING = 1
    """It was already pending before tonight."""
    NEW = 2
    """It could be sent from tonight on."""


@dataclass(frozen=True, slots=True)
class DedupCandidateLead:
    """A lead whose conversion counts, or could."""

    lead: LeadId
    at: datetime
    dedup_keys: frozenset[str]
    rank: DuplicatePrecedence


def record_dedup_keys(session: Session, counting: Iterable[tuple[DeliveryRecord, Collection[str]]]) -> None:
    """Add deduplication keys to those already stored for deliveries that count."""
    rows = [
        {
            "account": delivery.account,
            "conversion": delivery.conversion,
            "destination": delivery.destination,
            "dedup_key": dedup_key,
            "lead": delivery.lead,
            "at": delivery.at,
        }
        for delivery, dedup_keys in counting
        for dedup_key in sorted(dedup_keys)
    ]
    bulk.upsert_rows(session, DedupKey, rows, "at")


_KEYS = sqlalchemy.select(
    col(DedupKey.lead), col(DedupKey.conversion), col(DedupKey.destination), col(DedupKey.dedup_key)
).where(bulk.has_lead_among(col(DedupKey.account), col(DedupKey.lead)))


def dedup_keys_of_leads(
    session: Session, account: str, leads: Collection[LeadId]
) -> Mapping[tuple[str, str, str], AbstractSet[str]]:
    """Return the stored deduplication keys of these leads, by lead, conversion and destination."""
    found: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in bulk.select_rows(session, _KEYS, account, leads):
        found[row.lead, row.conversion, row.destination].add(row.dedup_key)
    return found


def duplicate_precedence(delivery: DeliveryRecord) -> DuplicatePrecedence:
    """Return a delivery's rank among those that may be the same conversion; one not created yet has no state."""
    if delivery.state == DeliveryState.PENDING:
        return DuplicatePrecedence.PENDING
    return DuplicatePrecedence.SENT if delivery.state in COUNTING else DuplicatePrecedence.NEW


def stored_dedup_candidates(
    session: Session, account: str, route: ConversionRoute, dedup_keys: Iterator[str]
) -> Iterator[DedupCandidateLead]:
    """Yield stored candidates that share one of these keys, except for leads about to be judged."""
    wanted = (
        select(DedupKey, Delivery)
        .join(Delivery, _match_dedup_key_delivery())
        .join(LeadRow, and_(col(LeadRow.account) == col(DedupKey.account), col(LeadRow.id) == col(DedupKey.lead)))
        .where(
            bulk.has_lead_among(col(DedupKey.account), col(DedupKey.dedup_key)),
            DedupKey.conversion == route.conversion,
            DedupKey.destination == route.destination,
            # A lead waiting for a possible status rename to be settled isn't judged tonight either.
            or_(~col(LeadRow.to_plan), status_labels.waits_for_rename(col(LeadRow.id), account)),
        )
    )
    for part in bulk.lead_batch_parameters(session, account, dedup_keys):
        rows = session.exec(wanted, params=part)
        yield from (
            DedupCandidateLead(LeadId(row.lead), row.at, frozenset({row.dedup_key}), duplicate_precedence(of))
            for row, of in rows
        )


def erase_unmatchable_keys(
    session: Session, account: str, routes: Collection[ConversionRoute], *, now: datetime
) -> None:
    """Erase the deduplication keys that no later conversion can match."""
    of_use = or_(
        *(
            and_(
                col(DedupKey.conversion) == route.conversion,
                col(DedupKey.destination) == route.destination,
                # A conversion may be sent for as long as the platform remembers its click.
                col(DedupKey.at) >= now - route.once.within - route.longest_sending_window,
            )
            for route in routes
            if route.once is not None
        ),
        not_(true()),
    )
    counts = exists().where(_match_dedup_key_delivery())
    session.exec(
        delete(DedupKey)
        .where(col(DedupKey.account) == account, or_(not_(of_use), not_(counts)))
        # Else SQLAlchemy has every erased key returned.
        .execution_options(synchronize_session=False)
    )


_SHARED_CLICKS = """
WITH taken_up AS MATERIALIZED (
    SELECT delivery.account, conversion, destination, lead
    FROM transition JOIN delivery ON delivery.id = transition.delivery AND delivery.kind = :conversion
    WHERE transition.run = :run AND to_state = :pending AND (from_state IS NULL OR from_state NOT IN :frozen)
        AND delivery.state || '' IN :counting
), clicks AS MATERIALIZED (
    SELECT DISTINCT account, kind, value
    FROM (SELECT DISTINCT account, lead FROM taken_up) AS leads JOIN click_id USING (account, lead)
    WHERE kind <> :browser AND EXISTS (
        SELECT 1 FROM click_id AS other
        WHERE other.account = click_id.account AND other.kind = click_id.kind AND other.value = click_id.value
            AND other.lead <> click_id.lead
    )
), holders AS MATERIALIZED (
    SELECT account, kind, value, lead FROM clicks JOIN click_id USING (account, kind, value)
), shared (account, conversion, destination, kind, value) AS MATERIALIZED (
    SELECT holders.account, conversion, destination, holders.kind, holders.value
    FROM holders JOIN delivery USING (account, lead)
    WHERE delivery.state || '' IN :counting AND original IS NULL AND NOT EXISTS (
        SELECT 1 FROM delivery AS correction
        WHERE correction.account = delivery.account AND correction.original = delivery.id
            AND correction.kind = :retraction AND correction.state || '' = :accepted
    )
    GROUP BY holders.account, conversion, destination, holders.kind, holders.value
    HAVING count(DISTINCT lead) > 1
)
SELECT conversion, count(DISTINCT lead)
FROM shared JOIN holders USING (account, kind, value) JOIN taken_up USING (account, lead, conversion, destination)
GROUP BY conversion
"""
# Each step lists the keys the next one looks up: without statistics, a single join scans every delivery of the account
# for every click. Most clicks are one lead's, and go no further than `clicks`. No bare `state`, or SQLite may search
# everything in these states instead of the leads' few deliveries.


def count_leads_sharing_clicks(session: Session, ledger: Ledger) -> Counter[str]:
    """Count, by conversion, the leads queued in this run that share a click id with another lead that counts."""
    statement = sqlalchemy.text(_SHARED_CLICKS).bindparams(
        bindparam("frozen", expanding=True), bindparam("counting", expanding=True)
    )
    values = {
        "run": ledger.run,
        "pending": DeliveryState.PENDING,
        "conversion": DeliveryKind.CONVERSION,
        "retraction": DeliveryKind.RETRACTION,
        "accepted": DeliveryState.ACCEPTED,
        "frozen": list(FROZEN),
        "counting": list(COUNTING),
        # Identifies a browser, not a click.
        "browser": ClickIdKind.FBP,
    }
    rows = session.connection().execute(statement, values)
    return Counter({str(conversion): int(leads) for conversion, leads in rows})


def _match_dedup_key_delivery() -> sqlalchemy.ColumnElement[bool]:
    """Match a `DedupKey` row to its delivery, if that counts."""
    return and_(
        col(Delivery.account) == col(DedupKey.account),
        col(Delivery.lead) == col(DedupKey.lead),
        col(Delivery.conversion) == col(DedupKey.conversion),
        col(Delivery.destination) == col(DedupKey.destination),
        # No bare state, or SQLite may read every delivery that counts instead of the one of each key.
        col(Delivery.state).concat("").in_(COUNTING),
        matches_delivery_kind(corrections=False),
        ~was_retracted(),
    )


_TABLES = """
CREATE TABLE candidate (id INTEGER PRIMARY KEY, rank INTEGER, at INTEGER, lead TEXT, dedup_keys TEXT);
CREATE TABLE counting (dedup_key TEXT, at INTEGER, rank INTEGER, lead TEXT, PRIMARY KEY (dedup_key, at, rank, lead))
    WITHOUT ROWID;
CREATE TABLE duplicate (lead TEXT PRIMARY KEY, counts TEXT) WITHOUT ROWID;
"""
_ORDERED = "SELECT rank, at, lead, dedup_keys FROM candidate ORDER BY rank, at, lead, id"
_FIRST = """
SELECT lead FROM counting
WHERE dedup_key IN (SELECT value FROM json_each(?)) AND at BETWEEN ? AND ? AND lead <> ?
ORDER BY rank, at, lead LIMIT 1
"""
_COUNT = "INSERT OR IGNORE INTO counting SELECT value, ?, ?, ? FROM json_each(?)"

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DedupCandidates:
    """Find duplicates among the candidates of one conversion at one destination, in a private on-disk database."""

    def __init__(self) -> None:
        # An unnamed database is a private temporary file that SQLite deletes on close.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=off")
        self._database.executescript(_TABLES)
        self._database.execute("BEGIN")

    def close(self) -> None:
        """Discard all candidates."""
        self._database.close()

    def add(self, candidate: DedupCandidateLead) -> None:
        """Add a candidate, ignoring one without deduplication keys, which cannot be a duplicate."""
        if candidate.dedup_keys:
            at = (candidate.at - _EPOCH) // _MICROSECOND
            row = (candidate.rank, at, candidate.lead, json.dumps(sorted(candidate.dedup_keys)))
            self._database.execute("INSERT INTO candidate (rank, at, lead, dedup_keys) VALUES (?, ?, ?, ?)", row)

    def dedup_keys(self) -> Iterator[str]:
        """Yield every deduplication key; candidates with known keys may be added during iteration."""
        # SQLite sorts them all before it returns the first.
        found = self._database.execute("SELECT DISTINCT value FROM candidate, json_each(dedup_keys) ORDER BY value")
        yield from (dedup_key for (dedup_key,) in found)

    def find_duplicates(self, within: timedelta) -> None:
        """Split the candidates, ordered by rank, time and lead id, into those that count and their duplicates.

        A candidate is a duplicate if it shares a key with one that counts and their times differ by at most `within`.
        Duplicates don't cause further duplicates, and a sent conversion always counts.
        """
        span = within // _MICROSECOND
        for rank, at, lead, dedup_keys in self._database.execute(_ORDERED):
            near = (dedup_keys, at - span, at + span, lead)
            first = None if rank == DuplicatePrecedence.SENT else self._database.execute(_FIRST, near).fetchone()
            if first is None:
                self._database.execute(_COUNT, (at, rank, lead, dedup_keys))
            else:
                self._database.execute("INSERT OR REPLACE INTO duplicate VALUES (?, ?)", (lead, *first))

    def lead_counting_instead(self, lead: LeadId) -> LeadId | None:
        """Return the lead that counts instead of this one, or None if this one is not a duplicate."""
        row = self._database.execute("SELECT counts FROM duplicate WHERE lead = ?", (lead,)).fetchone()
        return None if row is None else LeadId(row[0])
