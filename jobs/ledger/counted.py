"""What conversions that count once per click or person are known again by, while another could be the same."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import islice

import sqlalchemy
from sqlalchemy import and_, bindparam, delete, distinct, exists, func, not_, or_, true
from sqlmodel import Session, col, select

from connectors.records import ClickIdKind, LeadId
from jobs.ledger import labels
from jobs.ledger.fates import COUNTING, FROZEN, Fate
from jobs.ledger.ledger import Ledger
from jobs.ledger.tables import ClickIdRow, Counted, Delivery, LeadRow, Transition
from jobs.rules.facts import Route
from jobs.rules.once import Claim, Rank

_AT_ONCE = 500
"""Marks asked about in one statement."""


def record(session: Session, delivery: Delivery, marks: Iterable[str]) -> None:
    """Keep what a delivery that counts is known by, beside what it was known by before."""
    if delivery.at is None:
        return
    for mark in sorted(marks):
        row = Counted(
            account=delivery.account,
            conversion=delivery.conversion,
            destination=delivery.destination,
            mark=mark,
            lead=delivery.lead,
            at=delivery.at,
        )
        session.merge(row)


def marks_of(session: Session, delivery: Delivery) -> frozenset[str]:
    """What a delivery is known by on record."""
    return frozenset(
        session.exec(
            select(Counted.mark).where(
                Counted.account == delivery.account,
                Counted.conversion == delivery.conversion,
                Counted.destination == delivery.destination,
                Counted.lead == delivery.lead,
            )
        )
    )


def rank(delivery: Delivery | None) -> Rank:
    """Where a delivery comes among those that could be the same conversion."""
    fate = None if delivery is None else Fate(delivery.fate)
    if fate is Fate.PENDING:
        return Rank.WAITS
    return Rank.SENT if fate in COUNTING else Rank.ASKS


def counting(session: Session, account: str, route: Route, marks: Iterator[str]) -> Iterator[Claim]:
    """The claims on record that share one of these marks, of leads that are not to be judged anew."""
    wanted = (
        select(Counted, Delivery)
        .join(Delivery, _its_delivery())
        .join(LeadRow, and_(col(LeadRow.account) == col(Counted.account), col(LeadRow.id) == col(Counted.lead)))
        .where(
            Counted.account == account,
            Counted.conversion == route.conversion,
            Counted.destination == route.destination,
            col(Counted.mark).in_(bindparam("some", expanding=True)),
            # One that waits for a label to be understood is not judged tonight either.
            or_(~col(LeadRow.to_plan), labels.waiting(col(LeadRow.id), account)),
        )
    )
    while some := tuple(islice(marks, _AT_ONCE)):
        rows = session.exec(wanted, params={"some": some})
        yield from (Claim(LeadId(row.lead), row.at, frozenset({row.mark}), rank(of)) for row, of in rows)


def erase_idle(session: Session, account: str, routes: Collection[Route], *, now: datetime) -> None:
    """Erase what no conversion to come could be the same as."""
    of_use = or_(
        *(
            and_(
                col(Counted.conversion) == route.conversion,
                col(Counted.destination) == route.destination,
                # It may be told as late as its click is remembered.
                col(Counted.at) >= now - route.once.within - route.remembered,
            )
            for route in routes
            if route.once is not None
        ),
        not_(true()),
    )
    counts = exists().where(_its_delivery())
    session.exec(delete(Counted).where(col(Counted.account) == account, or_(not_(of_use), not_(counts))))


def sharing_a_click(session: Session, ledger: Ledger) -> Counter[str]:
    """How many leads' conversions this run took up while another lead's with the same click counts, by conversion."""
    # Each step lists what the next one looks up, and `distinct` keeps SQLite from merging two of them: joined at once,
    # and without statistics, it goes through every delivery of the account for every click.
    taken_up = _clicks_taken_up(ledger)
    click = (taken_up.c.conversion, taken_up.c.destination, taken_up.c.account, taken_up.c.kind, taken_up.c.value)
    clicks = sqlalchemy.select(*click).distinct().cte("clicks")
    holders = (
        sqlalchemy.select(*clicks.c, col(ClickIdRow.lead))
        .join(
            ClickIdRow,
            and_(*(col(getattr(ClickIdRow, part)) == clicks.c[part] for part in ("account", "kind", "value"))),
        )
        .distinct()
        .cte("holders")
    )
    holder = ("account", "lead", "conversion", "destination")
    shared = (
        sqlalchemy.select(*(holders.c[part.key] for part in click))
        .join(Delivery, and_(*(col(getattr(Delivery, part)) == holders.c[part] for part in holder)))
        .where(col(Delivery.fate).in_(COUNTING))
        .group_by(*(holders.c[part.key] for part in click))
        # The one that was taken up counts too.
        .having(func.count(distinct(holders.c.lead)) > 1)
        .cte("shared")
    )
    rows = session.connection().execute(
        sqlalchemy.select(taken_up.c.conversion, func.count(distinct(taken_up.c.lead)))
        .join(shared, and_(*(shared.c[part.key] == part for part in click)))
        .group_by(taken_up.c.conversion)
    )
    return Counter({str(conversion): int(leads) for conversion, leads in rows})


def _clicks_taken_up(ledger: Ledger) -> sqlalchemy.CTE:
    """The clicks of the leads whose conversions this run took up, and that count."""
    click = (col(ClickIdRow.account), col(ClickIdRow.kind), col(ClickIdRow.value))
    return (
        sqlalchemy.select(col(Delivery.conversion), col(Delivery.destination), col(Delivery.lead), *click)
        .join(Transition, col(Transition.delivery) == col(Delivery.id))
        .join(ClickIdRow, and_(col(ClickIdRow.account) == col(Delivery.account), col(ClickIdRow.lead) == Delivery.lead))
        .where(
            col(Transition.run) == ledger.run,
            col(Transition.to_fate) == Fate.PENDING,
            or_(col(Transition.from_fate).is_(None), col(Transition.from_fate).not_in(FROZEN)),
            col(Delivery.fate).in_(COUNTING),
            # A browser's own id says nothing of a click.
            col(ClickIdRow.kind) != ClickIdKind.FBP,
        )
        .distinct()
        .cte("taken_up")
    )


def _its_delivery() -> sqlalchemy.ColumnElement[bool]:
    """The delivery that counts, of a row."""
    return and_(
        col(Delivery.account) == col(Counted.account),
        col(Delivery.lead) == col(Counted.lead),
        col(Delivery.conversion) == col(Counted.conversion),
        col(Delivery.destination) == col(Counted.destination),
        col(Delivery.fate).in_(COUNTING),
    )
