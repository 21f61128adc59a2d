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
from jobs.rules.deduplication import Claim, Rank, find_duplicates_among
from jobs.rules.delivery_state import COUNTING, FROZEN, DeliveryState
from jobs.rules.model import Route

_AT_ONCE = 500
"""Marks asked about in one statement."""


def record(session: Session, delivery: Delivery, marks: Iterable[str]) -> None:
    """Keep what a delivery that counts is known by, in addition to what it was known by before."""
    if delivery.at is None:
        return
    for mark in sorted(marks):
        row = DedupKey(
            account=delivery.account,
            conversion=delivery.conversion,
            destination=delivery.destination,
            dedup_key=mark,
            lead=delivery.lead,
            at=delivery.at,
        )
        session.merge(row)


def dedup_keys_of(session: Session, delivery: Delivery) -> frozenset[str]:
    """What a delivery is known by on record."""
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
        return Rank.WAITS
    return Rank.SENT if state in COUNTING else Rank.ASKS


def counting(session: Session, account: str, route: Route, marks: Iterator[str]) -> Iterator[Claim]:
    """The claims on record that share one of these marks, except of leads that are about to be judged."""
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
    while some := tuple(islice(marks, _AT_ONCE)):
        rows = session.exec(wanted, params={"some": some})
        yield from (Claim(LeadId(row.lead), row.at, frozenset({row.dedup_key}), rank(of)) for row, of in rows)


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
CREATE TABLE claim (id INTEGER PRIMARY KEY, rank INTEGER, at INTEGER, lead TEXT, marks TEXT);
CREATE TABLE mark (mark TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE counting (mark TEXT, at INTEGER, rank INTEGER, lead TEXT, PRIMARY KEY (mark, at, rank, lead))
    WITHOUT ROWID;
CREATE TABLE rival (lead TEXT PRIMARY KEY, counts TEXT) WITHOUT ROWID;
"""
_FIRST = """
SELECT lead FROM counting
WHERE mark IN (SELECT value FROM json_each(?)) AND at BETWEEN ? AND ? AND lead <> ?
ORDER BY rank, at, lead LIMIT 1
"""

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DedupClaims:
    """The claims on one conversion at one destination, and which of them are duplicates."""

    def __init__(self) -> None:
        # SQLite gives a database without a name a file that nobody else can open and that goes when it is closed.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=off")
        self._database.executescript(_TABLES)
        self._database.execute("BEGIN")

    def close(self) -> None:
        """Forget them all."""
        self._database.close()

    def enter(self, claim: Claim) -> None:
        """Add a claim; one without marks cannot be a duplicate."""
        if claim.marks:
            row = (claim.rank, _number(claim.at), claim.lead, json.dumps(sorted(claim.marks)))
            self._database.execute("INSERT INTO claim (rank, at, lead, marks) VALUES (?, ?, ?, ?)", row)
            marks = ((mark,) for mark in claim.marks)
            self._database.executemany("INSERT OR IGNORE INTO mark VALUES (?)", marks)

    def marks(self) -> Iterator[str]:
        """Every mark of the claims, in order; claims with marks that are known may be entered meanwhile."""
        last = ""
        some = "SELECT mark FROM mark WHERE mark > ? ORDER BY mark LIMIT ?"
        while rows := self._database.execute(some, (last, _AT_ONCE)).fetchall():
            yield from (mark for (mark,) in rows)
            ((last,),) = rows[-1:]

    def decide(self, within: timedelta) -> None:
        """Find the duplicates among conversions that are at most that far apart."""
        for lead, counts in find_duplicates_among(self._ordered(), self, within):
            self._database.execute("INSERT OR REPLACE INTO rival VALUES (?, ?)", (lead, counts))

    def rival(self, lead: LeadId) -> LeadId | None:
        """The lead whose conversion counts instead of this one's, if any."""
        row = self._database.execute("SELECT counts FROM rival WHERE lead = ?", (lead,)).fetchone()
        return None if row is None else LeadId(row[0])

    # ── what the rule asks for while it decides ──────────────────────────────────────────────────

    def first(self, claim: Claim, within: timedelta) -> LeadId | None:
        """The first other lead that counts, shares a mark with a claim, and lies within that time of it."""
        at, span = _number(claim.at), within // _MICROSECOND
        wanted = (json.dumps(sorted(claim.marks)), at - span, at + span, claim.lead)
        row = self._database.execute(_FIRST, wanted).fetchone()
        return None if row is None else LeadId(row[0])

    def count(self, claim: Claim) -> None:
        """Have a claim count from now on."""
        rows = ((mark, _number(claim.at), claim.rank, claim.lead) for mark in claim.marks)
        self._database.executemany("INSERT OR IGNORE INTO counting VALUES (?, ?, ?, ?)", rows)

    def _ordered(self) -> Iterator[Claim]:
        found = "SELECT lead, at, marks, rank FROM claim ORDER BY rank, at, lead, id"
        for lead, at, marks, rank in self._database.execute(found):
            yield Claim(LeadId(lead), _EPOCH + at * _MICROSECOND, frozenset(json.loads(marks)), Rank(rank))


def _number(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
