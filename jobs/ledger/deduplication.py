"""By what conversions that count once are recognised, tonight and on earlier nights."""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import sqlalchemy
from sqlalchemy import and_, bindparam, delete, exists, not_, or_, true
from sqlmodel import Session, col, select

from connectors.records import ClickIdKind, LeadId
from jobs.ledger import status_labels
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import DedupKey, Delivery, LeadRow
from jobs.rules.deduplication import Candidate, Rank
from jobs.rules.delivery_state import COUNTING, FROZEN, DeliveryState
from jobs.rules.model import Route

_AT_ONCE = 500
"""Dedup keys asked about in one statement."""


def record(session: Session, delivery: Delivery, at: datetime, dedup_keys: Iterable[str]) -> None:
    """Keep the dedup keys of a delivery that counts, in addition to those it had before."""
    for dedup_key in sorted(dedup_keys):
        row = DedupKey(
            account=delivery.account,
            conversion=delivery.conversion,
            destination=delivery.destination,
            dedup_key=dedup_key,
            lead=delivery.lead,
            at=at,
        )
        session.merge(row)


def dedup_keys_of(session: Session, delivery: Delivery) -> frozenset[str]:
    """The dedup keys on record of a delivery."""
    return frozenset(
        session.exec(
            select(DedupKey.dedup_key).where(
                DedupKey.account == delivery.account,
                DedupKey.conversion == delivery.conversion,
                DedupKey.destination == delivery.destination,
                DedupKey.lead == delivery.lead,
            )
        )
    )


def rank(delivery: Delivery | None) -> Rank:
    """Its place among deliveries that could be the same conversion."""
    state = None if delivery is None else DeliveryState(delivery.state)
    if state is DeliveryState.PENDING:
        return Rank.PENDING
    return Rank.SENT if state in COUNTING else Rank.NEW


def counting(session: Session, account: str, route: Route, dedup_keys: Iterator[str]) -> Iterator[Candidate]:
    """The candidates on record that share one of these keys, except leads that are about to be judged."""
    wanted = (
        select(DedupKey, Delivery)
        .join(Delivery, _its_delivery())
        .join(LeadRow, and_(col(LeadRow.account) == col(DedupKey.account), col(LeadRow.id) == col(DedupKey.lead)))
        .where(
            DedupKey.account == account,
            DedupKey.conversion == route.conversion,
            DedupKey.destination == route.destination,
            col(DedupKey.dedup_key).in_(bindparam("some", expanding=True)),
            # A lead that waits for its label to be understood is not judged tonight either.
            or_(~col(LeadRow.to_plan), status_labels.waiting(col(LeadRow.id), account)),
        )
    )
    while some := tuple(islice(dedup_keys, _AT_ONCE)):
        rows = session.exec(wanted, params={"some": some})
        yield from (Candidate(LeadId(row.lead), row.at, frozenset({row.dedup_key}), rank(of)) for row, of in rows)


def erase_idle(session: Session, account: str, routes: Collection[Route], *, now: datetime) -> None:
    """Erase what no later conversion could be a duplicate of."""
    of_use = or_(
        *(
            and_(
                col(DedupKey.conversion) == route.conversion,
                col(DedupKey.destination) == route.destination,
                # It may be sent as long as its click is remembered.
                col(DedupKey.at) >= now - route.once.within - route.remembered,
            )
            for route in routes
            if route.once is not None
        ),
        not_(true()),
    )
    counts = exists().where(_its_delivery())
    session.exec(delete(DedupKey).where(col(DedupKey.account) == account, or_(not_(of_use), not_(counts))))


_SHARED_CLICKS = """
WITH taken_up AS (
    SELECT DISTINCT delivery.account, delivery.conversion, delivery.destination, delivery.lead, kind, click_id.value
    FROM transition
    JOIN delivery ON delivery.id = transition.delivery
    JOIN click_id ON click_id.account = delivery.account AND click_id.lead = delivery.lead
    WHERE transition.run = :run AND to_state = :pending AND (from_state IS NULL OR from_state NOT IN :frozen)
        AND delivery.state IN :counting AND kind <> :browser
), clicks AS (
    SELECT DISTINCT account, conversion, destination, kind, value FROM taken_up
), holders AS (
    SELECT DISTINCT clicks.*, click_id.lead FROM clicks JOIN click_id USING (account, kind, value)
), shared (account, conversion, destination, kind, value) AS (
    SELECT holders.account, conversion, destination, kind, holders.value
    FROM holders JOIN delivery USING (account, lead, conversion, destination)
    WHERE delivery.state IN :counting
    GROUP BY holders.account, conversion, destination, kind, holders.value
    HAVING count(DISTINCT lead) > 1
)
SELECT conversion, count(DISTINCT lead)
FROM taken_up JOIN shared USING (account, conversion, destination, kind, value)
GROUP BY conversion
"""
# Each step lists what the next one looks up, and DISTINCT keeps SQLite from merging two of them: joined at once, and
# without statistics, it scans every delivery of the account for every click.


def sharing_a_click(session: Session, ledger: Ledger) -> Counter[str]:
    """How many leads' conversions this run took up while another lead's with the same click counts, by conversion."""
    statement = sqlalchemy.text(_SHARED_CLICKS).bindparams(
        bindparam("frozen", expanding=True), bindparam("counting", expanding=True)
    )
    values = {
        "run": ledger.run,
        "pending": DeliveryState.PENDING,
        "frozen": list(FROZEN),
        "counting": list(COUNTING),
        # It identifies a browser, not a click.
        "browser": ClickIdKind.FBP,
    }
    rows = session.connection().execute(statement, values)
    return Counter({str(conversion): int(leads) for conversion, leads in rows})


def _its_delivery() -> sqlalchemy.ColumnElement[bool]:
    """The delivery that counts, of a row."""
    return and_(
        col(Delivery.account) == col(DedupKey.account),
        col(Delivery.lead) == col(DedupKey.lead),
        col(Delivery.conversion) == col(DedupKey.conversion),
        col(Delivery.destination) == col(DedupKey.destination),
        col(Delivery.state).in_(COUNTING),
    )


_TABLES = """
CREATE TABLE candidate (id INTEGER PRIMARY KEY, rank INTEGER, at INTEGER, lead TEXT, dedup_keys TEXT);
CREATE TABLE dedup_key (dedup_key TEXT PRIMARY KEY) WITHOUT ROWID;
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
    """The candidates of one conversion at one destination, and which of them are duplicates."""

    def __init__(self) -> None:
        # SQLite gives a database without a name a file that nobody else can open and that goes when it is closed.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=off")
        self._database.executescript(_TABLES)
        self._database.execute("BEGIN")

    def close(self) -> None:
        """Forget them all."""
        self._database.close()

    def add(self, candidate: Candidate) -> None:
        """Add a candidate; one without dedup keys cannot be a duplicate."""
        if candidate.dedup_keys:
            at = (candidate.at - _EPOCH) // _MICROSECOND
            row = (candidate.rank, at, candidate.lead, json.dumps(sorted(candidate.dedup_keys)))
            self._database.execute("INSERT INTO candidate (rank, at, lead, dedup_keys) VALUES (?, ?, ?, ?)", row)
            self._database.execute("INSERT OR IGNORE INTO dedup_key SELECT value FROM json_each(?)", row[-1:])

    def dedup_keys(self) -> Iterator[str]:
        """Every dedup key, in order; candidates with keys that are known may be added meanwhile."""
        last = ""
        some = "SELECT dedup_key FROM dedup_key WHERE dedup_key > ? ORDER BY dedup_key LIMIT ?"
        while rows := self._database.execute(some, (last, _AT_ONCE)).fetchall():
            yield from (dedup_key for (dedup_key,) in rows)
            ((last,),) = rows[-1:]

    def find_duplicates(self, within: timedelta) -> None:
        """Find out, by rank, then time, then id, which candidates count and which are their duplicates.

        Each counts unless one that counts shares a key with it and happened within that time of it. A duplicate
        makes no other one, and what was sent always counts.
        """
        span = within // _MICROSECOND
        for rank, at, lead, dedup_keys in self._database.execute(_ORDERED):
            near = (dedup_keys, at - span, at + span, lead)
            first = None if rank == Rank.SENT else self._database.execute(_FIRST, near).fetchone()
            if first is None:
                self._database.execute(_COUNT, (at, rank, lead, dedup_keys))
            else:
                self._database.execute("INSERT OR REPLACE INTO duplicate VALUES (?, ?)", (lead, *first))

    def counting_for(self, lead: LeadId) -> LeadId | None:
        """The lead that counts instead of this one, if it is a duplicate."""
        row = self._database.execute("SELECT counts FROM duplicate WHERE lead = ?", (lead,)).fetchone()
        return None if row is None else LeadId(row[0])
