"""What the ledger keeps of leads, loaded and stored."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, or_, update
from sqlmodel import Session, col, select

from connectors.records import ClickIdKind, DestinationId, Identifier, IdentifierKind, Lead, LeadId, UnreadableLead
from jobs.ledger import freshness
from jobs.ledger import status_labels as labels_seen
from jobs.ledger.schema import (
    WHOLE,
    Adjustment,
    BackfillPlace,
    ClickIdRow,
    ContactHash,
    Cursor,
    Delivery,
    LeadRow,
    StatusChange,
    UnreadableLeadRow,
)
from jobs.rules.delivery_state import FROZEN, OPEN, DeliveryState
from jobs.rules.extraction import erased
from jobs.rules.model import Amount, ConsentAnswer, KnownClickId, LeadFacts, Origin, StatusEntered, UnreadableAmount
from jobs.rules.reasons import Reason

_ERASED_AT_ONCE = 1_000
"""Click ids of one statement."""


@dataclass(frozen=True, slots=True)
class LeadReading:
    """A lead as a pull read it, reduced to what may be stored."""

    lead: Lead
    label: str | None
    ad_user_data: ConsentAnswer
    ad_personalization: ConsentAnswer
    where: Mapping[str, str]
    amounts: Mapping[str, Amount]
    changes: Sequence[StatusEntered]
    click_ids: Sequence[KnownClickId]
    identifiers: Mapping[DestinationId, tuple[Identifier, ...]]
    excluded: bool = False
    """Whether it is a test lead by the settings."""


def cursor(session: Session, account: str) -> Cursor:
    """The account's place in Oplead, made where there is none yet."""
    found = session.get(Cursor, account)
    if found is None:
        found = Cursor(account=account)
        session.add(found)
    return found


def is_known(session: Session, account: str, lead: LeadId, digest: str) -> bool:
    """Whether the lead is on record with this digest; one that was taken for gone is read whole when it is back."""
    on_record = select(LeadRow.digest).where(
        LeadRow.account == account, LeadRow.id == lead, col(LeadRow.deleted_at).is_(None)
    )
    return session.exec(on_record).first() == digest


def was_created(session: Session, account: str, lead: LeadId, *, since: datetime, before: datetime) -> bool:
    """Whether a lead on record was created in a time."""
    row = session.get(LeadRow, (account, lead))
    return row is not None and since <= row.created_at < before


def observed(session: Session, account: str, ids: Collection[LeadId]) -> dict[LeadId, datetime]:
    """When each lead already on record was last seen."""
    rows = session.exec(select(LeadRow.id, LeadRow.seen_at).where(LeadRow.account == account, col(LeadRow.id).in_(ids)))
    return {LeadId(lead): seen_at for lead, seen_at in rows}


def last_read(session: Session, account: str) -> datetime | None:
    """When a lead was last seen, or where the next pull begins if that is later; None before the first lead."""
    seen = session.exec(select(func.max(LeadRow.seen_at)).where(LeadRow.account == account)).one()
    place = session.get(Cursor, account)
    since = None if place is None else place.since
    return max((moment for moment in (seen, since) if moment is not None), default=None)


def store(session: Session, account: str, readings: Sequence[LeadReading], *, seen_at: datetime) -> None:
    """Keep readings of leads, and have them planned; status changes and click ids only ever accumulate."""
    labels_seen.note(session, account, readings, seen_at=seen_at)
    ids = [reading.lead.id for reading in readings]
    session.exec(delete(ContactHash).where(col(ContactHash.account) == account, col(ContactHash.lead).in_(ids)))
    for reading in readings:
        session.merge(_row(account, reading, seen_at))
    session.flush()
    for reading in readings:
        session.add_all(_change_row(account, reading.lead.id, change) for change in reading.changes)
        session.add_all(_click_row(account, reading.lead.id, click) for click in reading.click_ids)
        session.add_all(_hash_rows(account, reading.lead.id, reading.identifiers))


def forget_unreadable(session: Session, account: str, ids: Collection[LeadId]) -> None:
    """Note that leads could be read."""
    session.exec(
        delete(UnreadableLeadRow).where(col(UnreadableLeadRow.account) == account, col(UnreadableLeadRow.id).in_(ids))
    )


def store_unreadable(session: Session, account: str, lead: UnreadableLead, *, seen_at: datetime) -> None:
    """Remember a lead that could not be read; what is on record of it stays as it is."""
    identity = lead.id or f"without id: {lead.reason}"
    row = session.get(UnreadableLeadRow, (account, identity)) or UnreadableLeadRow(
        account=account, id=identity, reason=lead.reason, seen_at=seen_at
    )
    row.reason, row.seen_at = lead.reason, seen_at
    session.add(row)


def take_unreported_unreadable(session: Session, account: str, *, run: int) -> tuple[int, int]:
    """How many unreadable leads a human has not been told of before this run, and how many were; from now on told."""
    mine, reported_in = col(UnreadableLeadRow.account) == account, col(UnreadableLeadRow.reported_in)
    untold = (mine, or_(reported_in.is_(None), reported_in == run))
    everything = session.exec(select(func.count()).select_from(UnreadableLeadRow).where(mine)).one()
    new = session.exec(update(UnreadableLeadRow).where(*untold).values(reported_in=run)).rowcount
    return new, everything - new


def touch(session: Session, account: str, ids: Collection[LeadId], *, seen_at: datetime) -> None:
    """Note that unchanged leads were seen again; one that was taken for gone is judged again."""
    session.exec(
        update(LeadRow)
        .where(col(LeadRow.account) == account, col(LeadRow.id).in_(ids))
        .values(
            seen_at=seen_at,
            to_plan=or_(col(LeadRow.to_plan), col(LeadRow.deleted_at).is_not(None)),
            missing_since=None,
            deleted_at=None,
            merged_into=None,
        )
    )


def count_excluded(session: Session, account: str, ids: Collection[LeadId]) -> int:
    """How many of these leads on record are test leads."""
    return session.exec(
        select(func.count())
        .select_from(LeadRow)
        .where(LeadRow.account == account, col(LeadRow.id).in_(ids), col(LeadRow.excluded))
    ).one()


def forget_digests(session: Session, account: str) -> None:
    """Have every lead read whole at the next pull, from the beginning."""
    session.exec(update(LeadRow).where(col(LeadRow.account) == account).values(digest=""))
    place = cursor(session, account)
    place.since = place.pull_started_at = place.pull_since = place.resume = place.full_read_at = None
    session.add(place)
    freshness.forget(session, account)
    session.exec(delete(BackfillPlace).where(col(BackfillPlace.account) == account))


def plan_all(session: Session, account: str) -> None:
    """Have every lead judged again."""
    session.exec(update(LeadRow).where(col(LeadRow.account) == account).values(to_plan=True))


def plan_closing(session: Session, account: str, *, now: datetime) -> None:
    """Have leads judged again whose open deliveries ran out of time."""
    closing = (col(Delivery.state).in_(OPEN), col(Delivery.expires_at) < now)
    _plan_with_delivery(session, account, *closing)


def plan_held_for(session: Session, account: str, *reasons: Reason) -> None:
    """Have leads judged again whose deliveries are held back for one of these reasons."""
    held = (
        col(Delivery.state) == DeliveryState.WITHHELD,
        col(Delivery.reason).in_(reasons),
    )
    _plan_with_delivery(session, account, *held)


def _plan_with_delivery(session: Session, account: str, *such: ColumnElement[bool]) -> None:
    """Have leads judged again that have such a delivery: what stands open is looked through, not every lead."""
    theirs = select(Delivery.lead).where(Delivery.account == account, *such)
    session.exec(
        update(LeadRow)
        .where(col(LeadRow.account) == account, col(LeadRow.id).in_(theirs))
        .values(to_plan=True)
        .execution_options(synchronize_session=False)
    )


def to_plan(session: Session, account: str, *, limit: int, after: LeadId | None = None) -> list[LeadId]:
    """The next leads to be judged, by id; those whose status may have been renamed wait."""
    rows = session.exec(
        select(LeadRow.id)
        .where(
            LeadRow.account == account,
            col(LeadRow.to_plan),
            col(LeadRow.id) > (after or ""),
            ~labels_seen.waiting(col(LeadRow.id), account),
        )
        .order_by(col(LeadRow.id))
        .limit(limit)
    )
    return [LeadId(lead) for lead in rows]


def planned(session: Session, account: str, ids: Collection[LeadId]) -> None:
    """Note that leads have been judged."""
    session.exec(
        update(LeadRow)
        .where(col(LeadRow.account) == account, col(LeadRow.id).in_(ids))
        .values(to_plan=False, fresh=False, to_correct=True)
    )


def to_correct(session: Session, account: str, *, limit: int) -> list[LeadId]:
    """Some leads whose accepted conversions are to be looked at once more."""
    rows = session.exec(
        select(LeadRow.id)
        .where(LeadRow.account == account, col(LeadRow.to_correct))
        .order_by(col(LeadRow.id))
        .limit(limit)
    )
    return [LeadId(lead) for lead in rows]


def corrected(session: Session, account: str, ids: Collection[LeadId]) -> None:
    """Note that leads have been looked at for corrections."""
    session.exec(
        update(LeadRow).where(col(LeadRow.account) == account, col(LeadRow.id).in_(ids)).values(to_correct=False)
    )


def facts(session: Session, account: str, ids: Collection[LeadId]) -> dict[LeadId, LeadFacts]:
    """What is kept of each lead, as the rules know it."""
    rows = session.exec(select(LeadRow).where(LeadRow.account == account, col(LeadRow.id).in_(ids)))
    changes = _grouped(
        session.exec(
            select(StatusChange)
            .where(StatusChange.account == account, col(StatusChange.lead).in_(ids))
            .order_by(col(StatusChange.id))
        )
    )
    clicks = _grouped(
        session.exec(select(ClickIdRow).where(ClickIdRow.account == account, col(ClickIdRow.lead).in_(ids)))
    )
    hashes = _grouped(
        session.exec(select(ContactHash).where(ContactHash.account == account, col(ContactHash.lead).in_(ids)))
    )
    return {
        LeadId(row.id): _facts(row, changes.get(row.id, []), clicks.get(row.id, []), hashes.get(row.id, []))
        for row in rows
    }


def erase_idle(session: Session, account: str, *, clicks_before: datetime, but: Mapping[ClickIdKind, datetime]) -> None:
    """Erase contact hashes nothing still to be sent may use, and click ids whose windows have closed.

    Args:
        session: an open transaction.
        account: whose.
        clicks_before: click ids older than this are of no more use.
        but: kinds that some platform remembers longer, or less long.
    """
    for destination in session.exec(
        select(ContactHash.destination).where(ContactHash.account == account).distinct()
    ).all():
        _erase_hashes(session, account, destination)
    for kind in ClickIdKind:
        _erase_clicks(session, account, kind, before=but.get(kind, clicks_before))


def _erase_hashes(session: Session, account: str, destination: str) -> None:
    """Erase what nothing still to be sent to a destination may use."""
    # Who is still to be sent is listed once: asked for hash by hash, each would be looked for among all of it. Lead
    # by lead and not by pairs, for where a pair is in no list SQLite goes through all of it to look for nulls.
    used = (
        select(kind.lead).where(
            kind.account == account, kind.destination == destination, col(kind.state).in_(OPEN | FROZEN)
        )
        for kind in (Delivery, Adjustment)
    )
    session.exec(
        delete(ContactHash)
        .where(
            col(ContactHash.account) == account,
            col(ContactHash.destination) == destination,
            *(col(ContactHash.lead).not_in(each) for each in used),
            ~labels_seen.waiting(col(ContactHash.lead), account),
        )
        .execution_options(synchronize_session=False)
    )


def _erase_clicks(session: Session, account: str, kind: ClickIdKind, *, before: datetime) -> None:
    """Replace a kind's values by what they are known again by; some at a time, so that memory does not grow."""
    mine = (col(ClickIdRow.account) == account, col(ClickIdRow.kind) == kind)
    closed = select(ClickIdRow.lead, ClickIdRow.value).where(*mine, ClickIdRow.clicked_at < before, WHOLE)
    replace = (
        update(ClickIdRow)
        .where(*mine, col(ClickIdRow.lead) == bindparam("whose"), col(ClickIdRow.value) == bindparam("whole"))
        .values(value=bindparam("erased"))
        .execution_options(synchronize_session=False)
    )
    while some := session.exec(closed.limit(_ERASED_AT_ONCE)).all():
        values = [{"whose": lead, "whole": value, "erased": erased(value)} for lead, value in some]
        session.connection().execute(replace, values)


def labels(session: Session, account: str, *, but: Collection[str]) -> list[tuple[str, int, int]]:
    """Each status label leads have now, except these, how many have it, and how many of those carry a click id."""
    clicked = exists().where(col(ClickIdRow.account) == account, col(ClickIdRow.lead) == col(LeadRow.id))
    counts = select(func.count(), func.count().filter(clicked)).where(LeadRow.account == account)
    return [
        (label, *session.exec(counts.where(LeadRow.label == label)).one())
        for label in labels_seen.on_leads(session, account)
        if label not in but
    ]


def _row(account: str, reading: LeadReading, seen_at: datetime) -> LeadRow:
    lead = reading.lead
    amounts = {path: _amount_text(amount) for path, amount in reading.amounts.items()}
    kept = {"where": dict(reading.where), "amounts": amounts}
    return LeadRow(
        account=account,
        id=lead.id,
        created_at=lead.created_at,
        updated_at=lead.updated_at,
        label=reading.label,
        digest=lead.digest,
        seen_at=seen_at,
        ad_user_data=reading.ad_user_data,
        ad_personalization=reading.ad_personalization,
        click_id_problem=lead.click_id_problem,
        facts=json.dumps(kept, sort_keys=True, ensure_ascii=False),
        fresh=True,
        to_plan=True,
        excluded=reading.excluded,
    )


def _amount_text(amount: Amount) -> str:
    return f"<{amount.shape}>" if isinstance(amount, UnreadableAmount) else str(amount)


def _amount(text: str) -> Amount:
    return UnreadableAmount(text.strip("<>")) if text.startswith("<") else Decimal(text)


def _change_row(account: str, lead: LeadId, change: StatusEntered) -> StatusChange:
    return StatusChange(
        account=account,
        lead=lead,
        label=change.label,
        at=change.at,
        date_only=change.date_only,
        origin=change.origin,
        after=change.after,
        seen_at=change.seen_at,
    )


def _click_row(account: str, lead: LeadId, click: KnownClickId) -> ClickIdRow:
    return ClickIdRow(
        account=account,
        lead=lead,
        kind=click.kind,
        value=click.value,
        clicked_at=click.clicked_at,
        estimated=click.estimated,
    )


def _hash_rows(account: str, lead: LeadId, found: Mapping[DestinationId, tuple[Identifier, ...]]) -> list[ContactHash]:
    return [
        ContactHash(account=account, lead=lead, destination=destination, kind=identifier.kind, sha256=identifier.sha256)
        for destination, identifiers in found.items()
        for identifier in identifiers
    ]


class _OfLead(Protocol):
    lead: str


Row = TypeVar("Row", bound=_OfLead)


def _grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.lead, []).append(row)
    return groups


def _facts(row: LeadRow, changes: list[StatusChange], clicks: list[ClickIdRow], hashes: list[ContactHash]) -> LeadFacts:
    kept = json.loads(row.facts)
    identifiers: dict[DestinationId, list[Identifier]] = {}
    for found in hashes:
        identifier = Identifier(IdentifierKind(found.kind), found.sha256)
        identifiers.setdefault(DestinationId(found.destination), []).append(identifier)
    return LeadFacts(
        id=LeadId(row.id),
        created_at=row.created_at,
        seen_at=row.seen_at,
        fresh=row.fresh,
        stale=not row.digest,
        changes=tuple(_change(change) for change in changes),
        click_ids=tuple(
            KnownClickId(ClickIdKind(click.kind), click.value, click.clicked_at, click.estimated) for click in clicks
        ),
        click_id_problem=row.click_id_problem,
        ad_user_data=ConsentAnswer(row.ad_user_data),
        ad_personalization=ConsentAnswer(row.ad_personalization),
        where=kept["where"],
        amounts={path: _amount(text) for path, text in kept["amounts"].items()},
        identifiers={destination: tuple(sorted(found)) for destination, found in identifiers.items()},
        excluded=row.excluded,
        deleted=row.deleted_at is not None,
    )


def _change(row: StatusChange) -> StatusEntered:
    return StatusEntered(row.label, row.at, row.date_only, Origin(row.origin), row.seen_at, row.after)
