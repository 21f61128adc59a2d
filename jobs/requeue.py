"""Sends anew what platforms rejected, with each lead read again first; what is out of time says so instead."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.errors import Misconfigured, Transient
from connectors.records import LeadId
from jobs.ledger import requeue as ledger_requeue
from jobs.ledger.requeue import Refusals
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import CONVERSIONS, CORRECTIONS, Adjustment, Delivery, OutboxRow, identity
from jobs.nightly import Deps, stop_of
from jobs.plan.planner import plan
from jobs.pull.detail_fetch import DetailFetch
from jobs.pull.ingest import Ingest
from jobs.pull.sync import confirmed
from jobs.run_summary import RunSummary
from jobs.settings.compile import Rulebook

MOST = 1000
"""How many are sent anew at once: each costs a request to Oplead. A repetition takes the next ones."""
AT_ONCE = 200
"""Moved in one transaction."""


@dataclass(frozen=True, slots=True)
class RejectedGroup:
    """Rejected deliveries, or corrections, that are alike."""

    conversion: str
    destination: str
    code: str
    corrections: bool
    """Whether these are corrections of the conversion."""
    count: int
    too_late: int
    """Those of them whose time is over: they become expired."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What would be sent anew, by number."""

    deliveries: tuple[int, ...] = ()
    corrections: tuple[int, ...] = ()
    leads: tuple[LeadId, ...] = ()
    """Whose they are, each once."""
    alike: tuple[RejectedGroup, ...] = ()
    """The same in counts."""
    left: int = 0
    """How many are left for another time."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.deliveries) + len(self.corrections)


@dataclass(frozen=True, slots=True)
class Requeued:
    """How many were put back in the queue."""

    deliveries: int = 0
    corrections: int = 0
    """These go out with the next night."""

    @property
    def count(self) -> int:
        """Both together."""
        return self.deliveries + self.corrections


def look(ledger: Ledger, book: Rulebook, wanted: Refusals, *, now: datetime) -> Chosen:
    """What would be sent anew: conversions first, then corrections."""
    account, places = ledger.account, {(route.conversion, route.destination) for route in book.routes}
    with ledger.reading() as session:
        sent = ledger_requeue.find(session, CONVERSIONS, account, wanted, places=places, limit=MOST)
        corrected = ledger_requeue.find(session, CORRECTIONS, account, wanted, places=places, limit=MOST - len(sent))
        rows = [*sent, *corrected]
        left = ledger_requeue.count(session, account, wanted, places=places) - len(rows)
    counts: Counter[tuple[str, str, str, bool]] = Counter()
    late: Counter[tuple[str, str, str, bool]] = Counter()
    for row in rows:
        alike = (row.conversion, row.destination, row.code or "", isinstance(row, Adjustment))
        counts[alike] += 1
        late[alike] += row.expires_at is not None and row.expires_at < now
    return Chosen(
        tuple(map(identity, sent)),
        tuple(map(identity, corrected)),
        tuple(dict.fromkeys(LeadId(row.lead) for row in rows)),
        tuple(RejectedGroup(*alike, count, late[alike]) for alike, count in sorted(counts.items())),
        left,
    )


def requeue(ledger: Ledger, book: Rulebook, deps: Deps, chosen: Chosen, summary: RunSummary) -> Requeued:
    """Read each lead's own page again, and put what was rejected of it back in the queue.

    Of a lead that could not be read nothing is: the platform would refuse the same again. `summary` says what was
    read, and what stopped it.
    """
    read = _read(ledger, book, deps, chosen.leads, summary)
    if summary.source_stopped is not None:
        return Requeued()
    back = Requeued(
        _put_back(ledger, deps, Delivery, chosen.deliveries, read),
        _put_back(ledger, deps, Adjustment, chosen.corrections, read),
    )
    plan(ledger, book, deps.sinks, cancel_token=deps.cancel_token, now=deps.clock.now())
    return back


def _put_back(
    ledger: Ledger, deps: Deps, kind: type[OutboxRow], numbers: Sequence[int], read: Collection[LeadId]
) -> int:
    count = 0
    for start in range(0, len(numbers), AT_ONCE):
        deps.cancel_token()
        with ledger.writing() as session:
            some = numbers[start : start + AT_ONCE]
            count += ledger_requeue.requeue(session, ledger, kind, some, leads=read, now=deps.clock.now())
    return count


def _read(ledger: Ledger, book: Rulebook, deps: Deps, wanted: Sequence[LeadId], summary: RunSummary) -> set[LeadId]:
    """The leads that could be read."""
    now, done = deps.clock.now(), summary.pulled
    detail_pages = DetailFetch(
        ledger,
        deps.source,
        Ingest(book, deps.sinks),
        deps.clock,
        until=now + deps.sync_window.budget,
        count=done.count_details,
        started=now,
        afresh=True,
    )
    try:
        with confirmed(ledger, summary.started_at):
            asked = detail_pages.read(wanted)
    except (Misconfigured, Transient) as error:
        summary.source_stopped = stop_of(error)
        return set()
    done.complete = len(asked.ids) == len(wanted)
    done.deleted = len(asked.deleted)
    return set(asked.ids) - set(asked.deleted) - {one.id for one in done.unreadable if one.id is not None}
