"""Twins: conversions of leads that look like others which counted under ids that have vanished since."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import NamedTuple

import sqlalchemy
from sqlalchemy import func, union
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger import bulk
from jobs.ledger.leads import leads
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import (
    ClickIdRow,
    Delivery,
    LeadRow,
    LeadToldApart,
    Transition,
    is_conversion,
    matches_delivery_kind,
    was_retracted,
)
from jobs.rules.delivery_state import COUNTING, SENT, DeliveryState
from jobs.rules.model import LeadFacts
from jobs.rules.reasons import Reason
from jobs.rules.twins import OF_A_CLICK, ClickMark, click_marks, first_seen, may_be_one_person

Place = tuple[str, str, str]
"""A lead, a conversion and a destination."""
AT_ONCE = 200
"""Leads looked at, or deliveries, at once."""

_HOLDERS = sqlalchemy.select(col(ClickIdRow.lead), col(ClickIdRow.kind), col(ClickIdRow.value)).where(
    bulk.has_lead_among(col(ClickIdRow.account), col(ClickIdRow.value)),
    # Named one by one, as the index begins with the kind.
    col(ClickIdRow.kind).in_(sorted(OF_A_CLICK)),
)
_TOLD_APART = sqlalchemy.select(col(LeadToldApart.lead)).where(
    bulk.has_lead_among(col(LeadToldApart.account), col(LeadToldApart.lead))
)
_TELL_APART = bulk.insert_missing_into(LeadToldApart)


def find_originals(
    session: Session, account: str, facts: Mapping[LeadId, LeadFacts], *, shown_since: datetime
) -> dict[Place, LeadId]:
    """Return, for each conversion of these leads that may be a twin, the vanished lead under whose id it counted.

    Those that a person has told apart from the others are nobody's twins.
    """
    alike: defaultdict[str, set[LeadId]] = defaultdict(set)
    for other, lead in chain(
        _of_same_click(session, account, facts), _of_same_person(session, account, facts, shown_since)
    ):
        if lead != other:
            alike[other].add(lead)
    if not alike:
        return {}
    concerned = sorted(set[LeadId]().union(*alike.values()))
    told_apart = {row.lead for row in bulk.select_rows(session, _TOLD_APART, account, concerned)}
    rows = bulk.select_rows(session, _counted_and_vanished(account, shown_since), account, sorted(alike))
    return {
        (lead, conversion, destination): LeadId(other)
        for other, conversion, destination in rows
        for lead in alike[other] - told_apart
    }


def _of_same_click(session: Session, account: str, facts: Mapping[LeadId, LeadFacts]) -> Iterator[tuple[str, LeadId]]:
    """Yield every lead with a click of one of these leads, and that one."""
    of_leads: defaultdict[ClickMark, list[LeadId]] = defaultdict(list)
    for lead in facts.values():
        for mark in click_marks(lead.click_ids):
            of_leads[mark].append(lead.id)
    for other, kind, value in bulk.select_rows(session, _HOLDERS, account, sorted({value for _, value in of_leads})):
        yield from ((other, lead) for lead in of_leads.get((kind, value), ()))


def _of_same_person(
    session: Session, account: str, facts: Mapping[LeadId, LeadFacts], shown_since: datetime
) -> Iterator[tuple[str, LeadId]]:
    """Yield every lead that vanished before one of these was first seen and may be its person's, and that one.

    That is by its contact data, whose creation may have changed with its id; where those of either are not known, by
    its creation in the same moment. Neither has a click: by that, both would be known.
    """
    created: defaultdict[datetime, list[LeadFacts]] = defaultdict(list)
    marked: defaultdict[bytes, list[LeadFacts]] = defaultdict(list)
    for lead in (one for one in facts.values() if not click_marks(one.click_ids)):
        created[lead.created_at].append(lead)
        if lead.contact_mark is not None:
            marked[lead.contact_mark].append(lead)
    # One index for each, as SQLite would use none for both.
    mine = select(LeadRow.id).where(LeadRow.account == account)
    is_alike = mine.where(col(LeadRow.created_at).in_(created)), mine.where(col(LeadRow.contact_mark).in_(marked))
    vanished = select(LeadRow.id, LeadRow.created_at, LeadRow.contact_mark, LeadRow.seen_at).where(
        LeadRow.account == account,
        col(LeadRow.id).in_(union(*is_alike) if marked else is_alike[0]),
        leads.has_vanished(account, shown_since),
        ~leads.has_related_row(ClickIdRow, account, col(ClickIdRow.kind).in_(OF_A_CLICK)),
    )
    for other, created_at, mark, seen_at in session.exec(vanished) if created else ():
        for lead in chain(created.get(created_at, ()), marked.get(mark, ()) if mark else ()):
            if first_seen(lead) > seen_at and may_be_one_person(lead.contact_mark, mark):
                yield other, lead.id


def _counted_and_vanished(account: str, shown_since: datetime) -> sqlalchemy.Select[str, str, str]:
    gone = sqlalchemy.select(col(LeadRow.id)).where(
        bulk.has_lead_among(col(LeadRow.account), col(LeadRow.id)), leads.has_vanished(account, shown_since)
    )
    return sqlalchemy.select(col(Delivery.lead), col(Delivery.conversion), col(Delivery.destination)).where(
        bulk.has_lead_among(col(Delivery.account), col(Delivery.lead)),
        # No bare column, or SQLite searches everything in these states instead of the leads' few deliveries.
        col(Delivery.state).concat("").in_(COUNTING),
        is_conversion(),
        ~was_retracted(),
        col(Delivery.lead).in_(gone),
    )


def originals_to_ask_for(session: Session, account: str, *, shown_since: datetime) -> list[LeadId]:
    """Return the leads that only their own pages can tell to exist still, and whose twins are about to be judged.

    Those whose twins are held already come last: somebody may have them back.
    """
    wanted: dict[LeadId, None] = {}
    after: LeadId | None = None
    while ids := leads.leads_to_plan(session, account, limit=AT_ONCE, after=after):
        facts = leads.load_lead_facts(session, account, ids)
        found = find_originals(session, account, facts, shown_since=shown_since)
        if found:
            counting = _places_that_count(session, account, sorted({lead for lead, _, _ in found}))
            wanted |= dict.fromkeys(sorted(found[place] for place in found.keys() - counting))
        after = ids[-1]
    held = select(Delivery.detail).where(*_held(account)).distinct().order_by(col(Delivery.detail))
    wanted |= dict.fromkeys(LeadId(original) for original in session.exec(held) if original)
    unasked = set(leads.not_asked_since(session, account, wanted, shown_since))
    return [one for one in wanted if one in unasked]


def _places_that_count(session: Session, account: str, ids: Collection[str]) -> set[Place]:
    mine = (Delivery.account == account, col(Delivery.lead).in_(ids), col(Delivery.state).concat("").in_(COUNTING))
    return set(session.exec(select(Delivery.lead, Delivery.conversion, Delivery.destination).where(*mine)))


class Twin(NamedTuple):
    """A lead whose conversion is held, and the vanished one whose it may be."""

    lead: str
    original: str


def count_twins(session: Session, account: str) -> dict[str, int]:
    """Count the conversions that are held as possible twins, by destination."""
    counts = select(Delivery.destination, func.count()).where(*_held(account)).group_by(col(Delivery.destination))
    return dict(session.exec(counts).all())


class NewConversions(NamedTuple):
    """What one run planned for a destination: the conversions that are held as possible twins, and the others."""

    twins: int
    others: int


def most_twins_of_a_run(session: Session, account: str, destination: str) -> NewConversions:
    """Return what that run planned which found most of the twins that are held at a destination.

    One that was withheld for another reason before is of no run: nothing new was found then.
    """
    of_delivery = col(Transition.delivery) == col(Delivery.id)
    twins, at = func.count(col(Delivery.id).distinct()), col(Delivery.destination) == destination
    held = (
        select(Transition.run, twins)
        .join(Delivery, of_delivery)
        .where(*_held(account), at, Transition.reason == Reason.POSSIBLE_TWIN)
    )
    by_run = held.group_by(col(Transition.run)).order_by(twins.desc(), col(Transition.run))
    found = session.exec(by_run.limit(1)).first()
    if found is None:
        return NewConversions(0, 0)
    run, count = found
    new = (
        select(twins)
        .select_from(Transition)
        .join(Delivery, of_delivery)
        .where(
            Transition.run == run,
            Transition.to_state == DeliveryState.PENDING,
            col(Transition.from_state).is_distinct_from(DeliveryState.PENDING),
            at,
            matches_delivery_kind(corrections=False),
        )
    )
    return NewConversions(count, session.exec(new).one())


def twins_at(session: Session, account: str, destinations: Collection[str], *, limit: int) -> list[Twin]:
    """Return the first of the pairs of leads of which one is held at these destinations."""
    pairs = select(Delivery.lead, Delivery.detail).where(*_held(account), col(Delivery.destination).in_(destinations))
    rows = session.exec(pairs.distinct().order_by(col(Delivery.lead)).limit(limit))
    return [Twin(lead, original or "") for lead, original in rows]


def twins_of_sent(session: Session, account: str, *, after: int) -> list[Delivery]:
    """Return the next held conversions, by id, that platforms have, or may have, under the vanished ids."""
    was_sent = leads.is_in_state_for_named_lead(account, SENT)
    rows = select(Delivery).where(*_held(account), was_sent, col(Delivery.id) > after)
    return list(session.exec(rows.order_by(col(Delivery.id)).limit(AT_ONCE)))


def originals_that_wait(session: Session, account: str) -> list[LeadId]:
    """Return the leads under whose ids held conversions only wait to be sent."""
    waits = leads.is_in_state_for_named_lead(account, {DeliveryState.PENDING})
    rows = session.exec(select(Delivery.detail).where(*_held(account), waits).distinct())
    return [LeadId(original) for original in rows if original]


def tell_twins_apart(session: Session, ledger: Ledger) -> None:
    """Record that the leads whose conversions are held are others than those that vanished; they are to be planned."""
    ids = list(session.exec(select(Delivery.lead).where(*_held(ledger.account)).distinct()))
    bulk.write_rows(session, _TELL_APART, [{"account": ledger.account, "lead": lead} for lead in ids])
    leads.flag_for_planning(session, ledger.account, ids)


def _held(account: str) -> Iterator[sqlalchemy.ColumnElement[bool]]:
    yield col(Delivery.account) == account
    yield col(Delivery.state) == DeliveryState.WITHHELD
    yield matches_delivery_kind(corrections=False)
    yield col(Delivery.reason) == Reason.POSSIBLE_TWIN
