"""A few of the latest leads, ids and conversions, for rules that look at what stopped coming."""

import json
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from sqlalchemy import exists, func
from sqlmodel import Session, col, select

from connectors.records import ClickIdKind
from jobs.ledger import deliveries
from jobs.ledger.fates import Fate
from jobs.ledger.tables import WHOLE, ClickIdRow, Delivery, LeadRow, Run, StatusChange, Transition
from jobs.rules.facts import Answer
from jobs.rules.silence import Begun, Sample, Share

LATEST = 50
"""How many of the latest are looked at: what broke is seen soon, and chance is not taken for it."""
STOPPED = (Fate.WITHHELD, Fate.EXPIRED)
_LONGEST_RUN = timedelta(days=2)
_AT_ONCE = 1_000
"""Rows in memory at a time, where all are gone through."""


def begun(session: Session, *, run: int, since: datetime) -> Iterator[Begun]:
    """The conversions that qualified in a run since then; in order, with why they could not be sent."""
    rows = session.exec(
        select(Transition.to_fate, Transition.cause, Delivery.conversion, Delivery.destination)
        .join(Delivery, col(Delivery.id) == col(Transition.delivery))
        .where(
            Transition.run == run,
            col(Transition.from_fate).is_(None),
            Transition.to_fate != Fate.SKIPPED,
            # One that proved to be another platform's, or told by other means, never qualified here.
            Delivery.fate != Fate.SKIPPED,
            Transition.at >= since,
        )
        .order_by(col(Transition.id)),
        execution_options={"yield_per": _AT_ONCE},
    )
    for fate, cause, conversion, destination in rows:
        yield Begun(conversion, destination, cause if fate in STOPPED else None)


def begun_before(session: Session, account: str, *, run: int, since: datetime) -> Iterator[Begun]:
    """The same of the runs before it."""
    # A run that began long before it moved something is none of a working machine's.
    runs = select(Run.id).where(Run.account == account, Run.started_at >= since - _LONGEST_RUN, col(Run.id) < run)
    for one in session.exec(runs.order_by(col(Run.id))).all():
        if one is not None:
            yield from begun(session, run=one, since=since)


def let_in(session: Session, account: str, places: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of the conversions and destinations that ever had a delivery."""
    return {place for place in places if deliveries.is_any(session, account, *place)}


def newest(session: Session, account: str) -> list[Sample]:
    """The leads created last."""
    rows = session.exec(
        select(LeadRow)
        .where(LeadRow.account == account, LeadRow.digest != "")
        .order_by(col(LeadRow.created_at).desc())
        .limit(LATEST)
    )
    return [_sample(row) for row in rows]


def entered(session: Session, account: str, conversions: Collection[str]) -> list[Sample]:
    """The leads that had one of these conversions last, and do not wait for anything any more."""
    if not conversions:
        return []
    has_one = exists().where(
        col(Delivery.account) == account,
        col(Delivery.lead) == col(LeadRow.id),
        col(Delivery.conversion).in_(conversions),
        col(Delivery.fate) != Fate.PENDING,
    )
    rows = session.exec(
        select(LeadRow)
        .where(LeadRow.account == account, LeadRow.digest != "", has_one)
        .order_by(col(LeadRow.updated_at).desc(), col(LeadRow.created_at).desc())
        .limit(LATEST)
    )
    return [_sample(row) for row in rows]


def amount_stands(session: Session, account: str, path: str) -> bool:
    """Whether any lead has an amount at a path, read or not."""
    rows = session.exec(
        select(LeadRow.facts).where(
            LeadRow.account == account,
            LeadRow.digest != "",
            # Few rows are left to be looked into: a path may also be that of a `where`.
            col(LeadRow.facts).contains(json.dumps(path, ensure_ascii=False), autoescape=True),
        ),
        execution_options={"yield_per": LATEST},
    )
    return any(path in json.loads(kept)["amounts"] for kept in rows)


def reached(session: Session, account: str, labels: Collection[str] | None, *, enough: int) -> int:
    """How many leads have, or had, one of these labels, counted up to what is enough; None takes all leads."""
    leads = select(LeadRow.id).where(LeadRow.account == account, LeadRow.digest != "", ~col(LeadRow.excluded))
    if labels is not None:
        entry = exists().where(
            col(StatusChange.account) == account,
            col(StatusChange.lead) == col(LeadRow.id),
            col(StatusChange.label).in_(labels),
        )
        leads = leads.where(entry)
    return len(session.exec(leads.limit(enough)).all())


def share(session: Session, account: str, span: tuple[datetime, datetime]) -> Share:
    """How many leads were created in a time, and how many of them carry a click id."""
    created = (LeadRow.account == account, LeadRow.created_at >= span[0], LeadRow.created_at < span[1])
    clicked = exists().where(col(ClickIdRow.account) == account, col(ClickIdRow.lead) == col(LeadRow.id))
    leads, with_click = session.exec(select(func.count(), func.count().filter(clicked)).where(*created)).one()
    return Share(leads, with_click)


def newest_clicked(session: Session, account: str, *, since: datetime) -> list[bool]:
    """Whether each lead created since then carries a click id, the newest first."""
    clicked = exists().where(col(ClickIdRow.account) == account, col(ClickIdRow.lead) == col(LeadRow.id))
    rows = session.exec(
        select(clicked)
        .select_from(LeadRow)
        .where(LeadRow.account == account, LeadRow.created_at >= since)
        .order_by(col(LeadRow.created_at).desc())
    )
    return list(rows)


def ids(session: Session, account: str) -> list[tuple[ClickIdKind, str]]:
    """The latest click ids of each kind that are still whole on record, the newest first."""
    found = []
    for kind in ClickIdKind:
        rows = session.exec(
            select(ClickIdRow.value)
            .where(ClickIdRow.account == account, ClickIdRow.kind == kind, WHOLE)
            .order_by(col(ClickIdRow.clicked_at).desc())
            .limit(LATEST)
        )
        found += [(kind, value) for value in rows]
    return found


def _sample(row: LeadRow) -> Sample:
    kept = json.loads(row.facts)
    return Sample(Answer(row.ad_user_data), Answer(row.ad_personalization), kept["where"], frozenset(kept["amounts"]))
