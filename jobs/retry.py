"""Sends anew what platforms rejected, with each lead read again first; what is out of time says so instead."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from connectors.errors import Misconfigured, Transient
from connectors.records import LeadId
from jobs.intake import Intake
from jobs.ledger import rejected
from jobs.ledger.ledger import Ledger
from jobs.ledger.rejected import Refusals
from jobs.nightly import Deps, Summary
from jobs.own_pages import OwnPages
from jobs.plan import plan
from jobs.rulebook import Rulebook

MOST = 1000
"""How many are sent anew at once: each costs a request to Oplead. A repetition takes the next ones."""
AT_ONCE = 200
"""Deliveries moved in one transaction."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Rejected deliveries that are alike."""

    conversion: str
    destination: str
    code: str
    count: int
    too_late: int
    """Those of them whose time is over: they become expired."""


def look(ledger: Ledger, book: Rulebook, wanted: Refusals, *, now: datetime) -> tuple[list[int], list[Refused], int]:
    """The deliveries that would be sent anew, by number and in counts; and how many are left for another time."""
    with ledger.reading() as session:
        rows = rejected.find(session, ledger.account, wanted, places=_places(book), limit=MOST)
        left = rejected.count(session, ledger.account, wanted, places=_places(book)) - len(rows)
    counts: Counter[tuple[str, str, str]] = Counter()
    late: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        alike = (row.conversion, row.destination, row.code or "")
        counts[alike] += 1
        late[alike] += row.expires_at is not None and row.expires_at < now
    found = [Refused(*alike, count, late[alike]) for alike, count in sorted(counts.items())]
    return [row.id for row in rows if row.id is not None], found, left


def requeue(ledger: Ledger, book: Rulebook, deps: Deps, numbers: Collection[int], summary: Summary) -> None:
    """Read each lead's own page again, and put its rejected deliveries back in the queue.

    Of a lead that could not be read nothing is: the platform would refuse the same again. `summary` says what was
    read, and what stopped it.
    """
    with ledger.reading() as session:
        wanted = rejected.leads_of(session, numbers)
    read = _read(ledger, book, deps, wanted, summary)
    if summary.source_stopped is not None:
        return
    for some in _parts(sorted(numbers)):
        deps.heed()
        with ledger.writing() as session:
            rejected.requeue(session, ledger, some, leads=read, now=deps.clock.now())
    plan(ledger, book, deps.sinks, heed=deps.heed, now=deps.clock.now())


def _read(ledger: Ledger, book: Rulebook, deps: Deps, wanted: list[LeadId], summary: Summary) -> set[LeadId]:
    """The leads that could be read."""
    now, done = deps.clock.now(), summary.pulled
    own_pages = OwnPages(
        ledger,
        deps.source,
        Intake(book, deps.sinks),
        deps.clock,
        until=now + deps.reach.budget,
        count=done.count_own,
        started=now,
        afresh=True,
    )
    try:
        asked = own_pages.read(wanted)
    except (Misconfigured, Transient) as error:
        summary.source_stopped = str(error)
        return set()
    done.complete = len(asked.ids) == len(wanted)
    done.gone = len(asked.gone)
    return set(asked.ids) - set(asked.gone) - {one.id for one in done.unreadable if one.id is not None}


def _places(book: Rulebook) -> set[tuple[str, str]]:
    return {(route.conversion, route.destination) for route in book.routes}


def _parts(numbers: list[int]) -> Iterator[list[int]]:
    return (numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE))
