"""Who counts tonight by one click or person: kept in a file of its own that goes with the run, not in memory."""

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from connectors.records import LeadId
from jobs.rules.once import Claim, Rank, rivals

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
_AT_ONCE = 500
"""Marks read in one statement."""
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Claims:
    """The claims on one conversion at one destination, and who of them gives way, once that is decided."""

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
        """Put a claim to the others; one without a mark concerns nobody."""
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
        """Find out who gives way to whom, of those whose conversions lie no further apart than that."""
        for lead, counts in rivals(self._ordered(), self, within):
            self._database.execute("INSERT OR REPLACE INTO rival VALUES (?, ?)", (lead, counts))

    def rival(self, lead: LeadId) -> LeadId | None:
        """The lead that this one gives way to; None where it counts, or asks for nothing."""
        row = self._database.execute("SELECT counts FROM rival WHERE lead = ?", (lead,)).fetchone()
        return None if row is None else LeadId(row[0])

    # ── what the rule asks for while it decides ──────────────────────────────────────────────────

    def first(self, claim: Claim, within: timedelta) -> LeadId | None:
        """The first that counts of the other leads that share a mark with a claim, within that time of it."""
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
