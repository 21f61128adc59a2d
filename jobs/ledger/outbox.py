"""The outbox: state transitions of deliveries and corrections, and queries by lead, state and due time."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import chain
from typing import TypeVar

import sqlalchemy
from sqlalchemy import ColumnElement, and_, case, exists, func, or_, tuple_, update
from sqlmodel import Session, col, select

from connectors.records import AdjustmentKind, DestinationId, LeadId, OutcomeClass, Target
from jobs.ledger import status_labels
from jobs.ledger.requests import may_have_reached_platform
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import (
    KINDS,
    STREAMED,
    Adjustment,
    AdjustmentAttempt,
    Attempt,
    Delivery,
    LeadRow,
    OutboxRow,
    Request,
    RowKind,
    Transition,
    rows_by_lead,
    stored_row_id,
)
from jobs.rules.delivery_state import FROZEN, OPEN, DeliveryState, check_move
from jobs.rules.model import delivery_key
from jobs.rules.reasons import Cause, PlatformCode, Reason

Sent = TypeVar("Sent", bound=OutboxRow)

_WITH_REASON = OPEN | {
    DeliveryState.SKIPPED,
    DeliveryState.EXPIRED,
    DeliveryState.CANCELLED,
    DeliveryState.UNCONFIRMED,
}
_WITH_CODE = frozenset(
    {DeliveryState.PENDING, DeliveryState.REJECTED, DeliveryState.EXPIRED, DeliveryState.UNCONFIRMED}
)
"""States whose cause is the platform's code, unless one of our own reasons is set."""
SETTLED = frozenset({DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.EXPIRED, DeliveryState.UNCONFIRMED})
"""States with an answer, or with the wait for one over, after which a correction may follow."""
UNSETTLED = OPEN | FROZEN
"""States in which a correction blocks the next one of the same delivery."""
WHY = (col(Delivery.reason), col(Delivery.code), col(Delivery.may_count_twice))
"""The columns that `cause_from_columns` takes: grouped by them, each cause is computed once per group."""


# ── state transitions ────────────────────────────────────────────────────────────────────────────


def move(
    session: Session,
    ledger: Ledger,
    delivery: OutboxRow,
    to: DeliveryState,
    cause: Cause,
    *,
    now: datetime,
    detail: str | None = None,
    always_record: bool = False,
) -> None:
    """Move a delivery or correction to a state and record the transition; in the same state, only update its cause.

    `always_record` also records a transition to the same state.

    Raises:
        IllegalMoveError: the state table doesn't allow the move.
    """
    before = DeliveryState(delivery.state) if delivery.id is not None else None
    is_ours = isinstance(cause, Reason)
    delivery.reason, delivery.detail = (cause, detail) if is_ours and to in _WITH_REASON else (None, None)
    if not is_ours:
        delivery.code = cause
    session.add(delivery)
    if before != to:
        check_move(before, to)
    elif not always_record:
        return
    delivery.state = to
    if to not in FROZEN:
        delivery.event = None
    if delivery.id is None:
        session.flush()
    if to in SETTLED:
        flag_for_correction_check(session, delivery)
    kind = type(delivery)
    transition = kind.moves(
        account=delivery.account,
        run=ledger.run,
        at=now,
        from_state=before,
        to_state=to,
        reason=cause if is_ours else None,
        detail=detail,
        code=None if is_ours else cause,
        **{kind.link: stored_row_id(delivery)},
    )
    session.add(transition)


def flag_for_correction_check(session: Session, row: OutboxRow, *, to_plan: bool = False) -> None:
    """Flag the lead for a correction check; after a correction, which may be a retraction, for planning too."""
    lead = session.get_one(LeadRow, (row.account, row.lead))
    lead.to_correct = True
    lead.to_plan = lead.to_plan or to_plan or isinstance(row, Adjustment)
    session.add(lead)


def mark_in_doubt(delivery: OutboxRow, request: int, *, since: datetime) -> None:
    """Record the first request whose receipt for these bytes was lost, and when it was sent."""
    delivery.in_doubt_since = delivery.in_doubt_since or since
    delivery.in_doubt_request = delivery.in_doubt_request or request


def mark_sent_elsewhere(session: Session, ledger: Ledger, delivery: Delivery, *, now: datetime) -> None:
    """Skip a delivery for good, as the platform has it by other means; recorded even if it was already skipped."""
    delivery.counts_from = delivery.assumed_at = delivery.approved_in = delivery.not_before = None
    move(session, ledger, delivery, DeliveryState.SKIPPED, Reason.ALREADY_SENT, now=now, always_record=True)


def is_sent_elsewhere(delivery: Delivery) -> bool:
    """Return whether a human marked the delivery as sent to the platform by other means."""
    return delivery.state == DeliveryState.SKIPPED and delivery.reason == Reason.ALREADY_SENT


def current_cause(delivery: OutboxRow) -> Cause:
    """Return why a delivery or correction is in its state."""
    may_count_twice = isinstance(delivery, Delivery) and delivery.may_count_twice
    return cause_from_columns(delivery.state, delivery.reason, delivery.code, may_count_twice=may_count_twice)


def cause_from_columns(state: str, reason: str | None, code: str | None, *, may_count_twice: bool) -> Cause:
    """Return the cause of a state, from its columns."""
    if may_count_twice and state == DeliveryState.ACCEPTED:
        return Reason.MAY_COUNT_TWICE
    return cause_of(reason, code if state in _WITH_CODE else None)


def cause_of(reason: str | None, code: str | None) -> Cause:
    """Return our own reason if set, otherwise the platform's code."""
    return Reason(reason) if reason else PlatformCode(code or "")


def target_of(delivery: OutboxRow) -> Target:
    """Return the target a delivery was sent to."""
    parts = (delivery.transport, delivery.owner, delivery.action, delivery.source)
    transport, owner, action, source = (part or "" for part in parts)
    return Target(transport, owner, action, source)


# ── queries by lead ──────────────────────────────────────────────────────────────────────────────


def adjustments_of_leads(session: Session, account: str, ids: Collection[LeadId]) -> dict[int, list[Adjustment]]:
    """Return every correction of these leads' deliveries, by delivery id, in the order they were created."""
    found: dict[int, list[Adjustment]] = {}
    for each in chain.from_iterable(rows_by_lead(session, Adjustment, account, ids).values()):
        found.setdefault(each.delivery, []).append(each)
    return found


def retraction_times(session: Session, account: str, ids: Collection[LeadId]) -> dict[int, datetime]:
    """Return the retraction time of each of these leads' retracted deliveries, by delivery id."""
    return {
        each.delivery: each.at
        for each in chain.from_iterable(rows_by_lead(session, Adjustment, account, ids).values())
        if (each.kind, each.state) == (AdjustmentKind.RETRACTION, DeliveryState.ACCEPTED)
    }


# ── queries by state ─────────────────────────────────────────────────────────────────────────────


def rows_in_state(session: Session, account: str, kind: type[Sent], state: DeliveryState) -> Iterator[Sent]:
    """Stream every row in a state."""
    rows = select(kind).where(kind.account == account, kind.state == state).order_by(col(kind.id))
    yield from session.exec(rows, execution_options=STREAMED)


def is_any_due(session: Session, account: str, *, now: datetime) -> bool:
    """Return whether any delivery or correction may go out by now, without those that only a human releases."""
    due = (
        select(kind.id).where(
            kind.account == account,
            kind.state == DeliveryState.PENDING,
            col(kind.reason).is_distinct_from(Reason.EXCESS_VOLUME),
            *_send_time_reached(kind, now),
        )
        for kind in KINDS
    )
    return any(session.exec(each.limit(1)).first() is not None for each in due)


def rows_in_doubt(session: Session, account: str, kind: type[Sent], destination: str) -> dict[Target, list[Sent]]:
    """Return the rows in doubt at a destination, by the target their bytes were sent to."""
    found: dict[Target, list[Sent]] = {}
    for row in rows_in_state(session, account, kind, DeliveryState.IN_DOUBT):
        if row.destination == destination:
            found.setdefault(target_of(row), []).append(row)
    return found


def in_doubt_before(session: Session, account: str, before: datetime) -> list[OutboxRow]:
    """Return the deliveries, then the corrections, in doubt since before a time."""
    found: list[OutboxRow] = []
    for kind in KINDS:
        doubtful = (col(kind.state) == DeliveryState.IN_DOUBT, col(kind.in_doubt_since) < before)
        found += session.exec(select(kind).where(kind.account == account, *doubtful).order_by(col(kind.id)))
    return found


def count_in_doubt(session: Session, account: str, kinds: Sequence[RowKind] = KINDS) -> Counter[str]:
    """Count the rows in doubt, by destination."""
    found: Counter[str] = Counter()
    for kind in kinds:
        doubtful = (kind.account == account, kind.state == DeliveryState.IN_DOUBT)
        counts = select(kind.destination, func.count()).where(*doubtful).group_by(col(kind.destination))
        found.update(dict(session.exec(counts).all()))
    return found


def count_unfinished_rows(session: Session, account: str, kind: RowKind) -> int:
    """Count the rows that will still move without human action."""
    moving = (DeliveryState.PENDING, *FROZEN)
    wanted = select(func.count()).select_from(kind).where(kind.account == account, col(kind.state).in_(moving))
    return session.exec(wanted).one()


def has_deliveries(session: Session, account: str, conversion: str, destination: str | None = None) -> bool:
    """Return whether a conversion ever had a delivery, optionally to one destination."""
    wanted = select(Delivery.id).where(Delivery.account == account, Delivery.conversion == conversion)
    if destination is not None:
        wanted = wanted.where(Delivery.destination == destination)
    return session.exec(wanted.limit(1)).first() is not None


def former_conversion_ids(session: Session, account: str, conversions: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield `(old, current)` for each of these conversion ids that delivery keys were made with before a rename.

    Ids that a delivery has now are skipped; any other id costs a scan of all deliveries, so pass only new ids.
    """
    new = [each for each in sorted(conversions) if not has_deliveries(session, account, each)]
    if not new:
        return
    # Not whole rows: they may carry their events.
    place = (col(Delivery.conversion), col(Delivery.destination), col(Delivery.occurrence))
    rows = session.connection().execute(
        sqlalchemy.select(col(Delivery.key), col(Delivery.lead), *place).where(col(Delivery.account) == account),
        execution_options=STREAMED,
    )
    for key, lead, current, destination, occurrence in rows:
        for conversion in new:
            if key == delivery_key(account, LeadId(lead), conversion, DestinationId(destination), occurrence):
                yield conversion, current


def count_by_state(session: Session, account: str) -> Counter[tuple[str, str, str, Cause]]:
    """Count deliveries by conversion, destination, state and cause."""
    place = (col(Delivery.conversion), col(Delivery.destination), col(Delivery.state))
    # More columns than SQLModel's own `select` is typed for.
    rows = session.connection().execute(
        sqlalchemy.select(*place, *WHY, func.count()).where(col(Delivery.account) == account).group_by(*place, *WHY)
    )
    counts: Counter[tuple[str, str, str, Cause]] = Counter()
    for conversion, destination, state, reason, code, twice, count in rows:
        counts[conversion, destination, state, cause_from_columns(state, reason, code, may_count_twice=twice)] += count
    return counts


def count_moves_to_state(session: Session, ledger: Ledger, state: DeliveryState) -> int:
    """Count the moves of deliveries and corrections to a state in this run."""
    return sum(
        session.exec(
            select(func.count())
            .select_from(moves)
            .where(moves.account == ledger.account, moves.run == ledger.run, moves.to_state == state)
        ).one()
        for moves in (kind.moves for kind in KINDS)
    )


def unexpected_rejections(session: Session, ledger: Ledger) -> list[OutboxRow]:
    """Return the deliveries, then the corrections, that were unexpectedly rejected in this run and still are."""
    found: list[OutboxRow] = []
    for kind in KINDS:
        rejected = (kind.moves.run == ledger.run, kind.moves.to_state == DeliveryState.REJECTED)
        rows = select(kind).where(
            col(kind.id).in_(select(kind.moved_row_id_column()).where(*rejected)),
            kind.state == DeliveryState.REJECTED,
            kind.outcome != OutcomeClass.DROP_EXPECTED,
        )
        found += session.exec(rows.order_by(col(kind.id)))
    return found


def leads_deferred_again(session: Session, ledger: Ledger) -> list[str]:
    """Return the leads of deliveries that a platform deferred in this run and in an earlier one, by delivery id.

    A delivery deferred when its outcome was fetched may already be submitted again.
    """
    was_put_off = col(Attempt.outcome).in_((OutcomeClass.RETRY, OutcomeClass.DEFER))
    late = func.max(case((col(Transition.from_state) == DeliveryState.SUBMITTED, 1), else_=0))
    # Go from tonight's moves to their deliveries: filtering by account, SQLite would scan every pending delivery.
    tonight = (
        select(Transition.delivery, late.label("late"))
        .join(Attempt, and_(col(Attempt.delivery) == Transition.delivery, col(Attempt.code) == Transition.code))
        .where(Transition.run == ledger.run, Transition.to_state == DeliveryState.PENDING, was_put_off)
        .group_by(col(Transition.delivery))
        .subquery()
    )
    runs = (
        select(func.count(func.distinct(Request.run)))
        .join(Attempt, col(Attempt.request) == col(Request.id))
        .where(Attempt.delivery == Delivery.id, was_put_off)
        .scalar_subquery()
    )
    here = or_(
        col(Delivery.state) == DeliveryState.PENDING,
        and_(col(Delivery.state) == DeliveryState.SUBMITTED, tonight.c.late == 1),
    )
    return list(
        session.exec(
            select(Delivery.lead)
            .join(tonight, tonight.c.delivery == col(Delivery.id))
            .where(here, runs > 1)
            .order_by(col(Delivery.id))
        )
    )


# ── due rows ─────────────────────────────────────────────────────────────────────────────────────


def due_rows(
    session: Session,
    kind: type[Sent],
    account: str,
    destination: str,
    of: Collection[str] | Target,
    *,
    now: datetime,
    new_by: datetime | None,
    approved_in: int | None = None,
    after: OutboxRow | None = None,
    limit: int,
) -> list[Sent]:
    """Return up to `limit` pending rows that are due, oldest first, following the row `after`.

    `of` selects deliveries by conversion, or corrections by target. Rows subject to the volume guard are returned only
    if they were due by `new_by`, and not at all if that is None. `approved_in` selects deliveries that a human approved
    in that run.
    """
    place = (col(kind.at), col(kind.id))
    wanted = [*_due(kind, account, destination, of, now), _passes_volume_guard(kind, new_by)]
    if approved_in is not None:
        wanted.append(col(Delivery.approved_in) == approved_in)
    if after is not None:
        wanted.append(tuple_(*place) > (after.at, after.id))
    return list(session.exec(select(kind).where(*wanted).order_by(*place).limit(limit)))


def due_adjustment_targets(
    session: Session, account: str, destination: str, *, now: datetime, new_by: datetime | None
) -> list[Target]:
    """Return the targets of due corrections, sorted."""
    rows = session.exec(
        select(Adjustment.transport, Adjustment.owner, Adjustment.action, Adjustment.source)
        .where(*_due(Adjustment, account, destination, (), now), _passes_volume_guard(Adjustment, new_by))
        .distinct()
    )
    return sorted(Target(*row) for row in rows)


def count_volume_guarded_rows(
    session: Session, kind: RowKind, account: str, destination: str, conversions: Collection[str], *, now: datetime
) -> int:
    """Count the due rows subject to the volume guard; corrections regardless of `conversions`."""
    wanted = (*_due(kind, account, destination, conversions, now), _is_volume_guarded(kind))
    return session.exec(select(func.count()).select_from(kind).where(*wanted)).one()


def hold_new_rows(
    session: Session, kind: RowKind, account: str, destination: str, conversions: Collection[str], *, now: datetime
) -> None:
    """Hold the rows that `count_volume_guarded_rows` counts until a human releases them."""
    wanted = (*_due(kind, account, destination, conversions, now), _is_volume_guarded(kind))
    session.exec(
        update(kind)
        .where(*wanted)
        .values(reason=Reason.EXCESS_VOLUME, detail=None)
        .execution_options(synchronize_session=False)
    )


def release_held_rows(session: Session, account: str) -> None:
    """Release every row held by the volume guard."""
    for kind in KINDS:
        held = (
            col(kind.account) == account,
            col(kind.state) == DeliveryState.PENDING,
            col(kind.reason) == Reason.EXCESS_VOLUME,
        )
        session.exec(update(kind).where(*held).values(reason=Reason.DUE))


def _due(
    kind: RowKind, account: str, destination: str, of: Collection[str] | Target, now: datetime
) -> Iterator[ColumnElement[bool]]:
    yield col(kind.account) == account
    yield col(kind.destination) == destination
    yield col(kind.state) == DeliveryState.PENDING
    yield from _send_time_reached(kind, now)
    if isinstance(of, Target):
        for name, value in asdict(of).items():
            yield col(getattr(kind, name)) == value
    elif kind is Delivery:
        yield col(Delivery.conversion).in_(of)
        yield ~status_labels.waits_for_rename(col(Delivery.lead), account)


def _send_time_reached(kind: RowKind, now: datetime) -> Iterator[ColumnElement[bool]]:
    """Match rows whose planned time and platform delay have both passed."""
    for at in (col(kind.not_before), col(kind.deferred_until)):
        yield or_(at.is_(None), at <= now)


def _passes_volume_guard(kind: RowKind, new_by: datetime | None) -> ColumnElement[bool]:
    """Match rows that the volume guard doesn't count or that were due by `new_by`; None matches no counted row."""
    return (
        ~_is_volume_guarded(kind)
        if new_by is None
        else or_(~_is_volume_guarded(kind), and_(*_send_time_reached(kind, new_by)))
    )


def _is_volume_guarded(kind: RowKind) -> ColumnElement[bool]:
    """Match rows subject to the volume guard: not approved by a human, and never sent.

    A delivery was sent if one of its requests reached the platform and wasn't refused as a whole. A correction was sent
    after any request: corrections that the platform keeps refusing as a whole are not excess volume.
    """
    if kind is Adjustment:
        return ~exists().where(col(AdjustmentAttempt.adjustment) == col(Adjustment.id))
    went = exists().where(
        col(Attempt.delivery) == col(Delivery.id), col(Request.id) == col(Attempt.request), may_have_reached_platform()
    )
    return and_(~went, col(Delivery.approved_in).is_(None))
