"""The outbox: state transitions of deliveries, and queries by lead, state and due time."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy
from sqlalchemy import ColumnElement, and_, bindparam, case, exists, func, or_, tuple_, update
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from connectors.language import in_english
from connectors.records import DestinationId, LeadId, OutcomeClass, Target
from jobs.ledger import bulk
from jobs.ledger.json_sql import json_id_list_table
from jobs.ledger.leads import status_labels
from jobs.ledger.outbox.requests import may_have_reached_platform
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import (
    STREAMED,
    Attempt,
    ClickIdRow,
    Delivery,
    DeliveryRecord,
    LeadRow,
    Request,
    Transition,
    is_conversion,
    is_correction,
    matches_delivery_kind,
    stored_row_id,
)
from jobs.rules.delivery_state import FROZEN, OPEN, DeliveryKind, DeliveryState, check_delivery_move
from jobs.rules.model import delivery_key
from jobs.rules.reasons import HELD_FOR_A_HUMAN, Cause, DestinationScope, PlatformCode, Reason

WITH_REASON = OPEN | {
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
"""States in which a correction blocks the next one of the same conversion."""
WHY = (col(Delivery.reason), col(Delivery.code), col(Delivery.may_count_twice))
"""The columns that `cause_from_columns` takes: grouped by them, each cause is computed once per group."""


# ── state transitions ────────────────────────────────────────────────────────────────────────────


class DeliveryMove(NamedTuple):
    """A delivery's move to a state, and why."""

    row: DeliveryRecord
    to: DeliveryState
    cause: Cause
    detail: str | None = None
    always_record: bool = False
    """Whether to record a transition even if the state stays the same."""


def change_delivery_states(session: Session, ledger: Ledger, moves: Sequence[DeliveryMove], *, now: datetime) -> None:
    """Move deliveries and record their transitions; if the state stays the same, only update the cause.

    Raises:
        IllegalMoveError: the state table doesn't allow a move.
        RuntimeError: a row was read in another session.
    """
    new = [each.row for each in moves if each.row.id is None]
    if any(isinstance(each.row, Delivery) and each.row not in session for each in moves):
        raise RuntimeError("a row of another session: its move would not be written")
    changes = [(each.row, change) for each in moves for change in _take_state(each)]
    _add(session, new)
    if changes and all(_are_alike(change, changes[0][1]) for _, change in changes):
        # As of a batch that is sent: what is alike is not written out for each row.
        record_delivery_transitions(session, ledger, changes[0][1], [stored_row_id(row) for row, _ in changes], now=now)
    else:
        transitions = [_transition(ledger, change, now) | {"delivery": row.id} for row, change in changes]
        bulk.add_rows(session, Transition, transitions)
    flag_for_correction_check(session, ledger, [row for row, change in changes if change.to in SETTLED])


def _add(session: Session, rows: Sequence[DeliveryRecord]) -> None:
    """Add rows with ids of ours: the database's own could only be learnt by inserting them one by one."""
    if not rows:
        return
    for number, row in zip(bulk.next_row_ids(session, Delivery, len(rows)), rows, strict=True):
        row.id = number
    bulk.add_rows(session, Delivery, [vars(row) for row in rows])


class StateChange(NamedTuple):
    """What a transition records of a move."""

    before: DeliveryState | None
    """None for a new delivery."""
    to: DeliveryState
    cause: Cause
    detail: str | None


def _are_alike(one: StateChange, other: StateChange) -> bool:
    """Whether two changes are recorded alike: one of our reasons and a platform's code may be the same text."""
    return one == other and isinstance(one.cause, Reason) is isinstance(other.cause, Reason)


def _take_state(move: DeliveryMove) -> Iterator[StateChange]:
    """Give a row its state and cause; yield what changed if that is to be recorded."""
    row, to = move.row, move.to
    before = DeliveryState(row.state) if row.state else None
    if before != to:
        check_delivery_move(before, to)
    for name, value in delivery_state_columns(to, move.cause, move.detail).items():
        if getattr(row, name) != value:
            setattr(row, name, value)
    if before != to or move.always_record:
        yield StateChange(before, to, move.cause, move.detail)


def delivery_state_columns(to: DeliveryState, cause: Cause, detail: str | None) -> dict[str, object]:
    """Return the columns that a move to a state sets."""
    is_ours = isinstance(cause, Reason)
    has_reason = is_ours and to in WITH_REASON
    columns: dict[str, object] = {
        "state": to,
        "reason": cause if has_reason else None,
        "detail": in_english(detail) if detail and has_reason else None,
        # What an earlier request was refused for says nothing of a state that has a reason of its own.
        "code": None if is_ours else cause,
    }
    if to not in FROZEN:
        columns |= {"event": None, "in_doubt_since": None, "in_doubt_request": None}
    return columns


_TRANSITION = bulk.table_of(Transition).c
_listed = json_id_list_table(bindparam("deliveries"))
_ALIKE = {
    # Counted here, since PostgreSQL would look up the last one for each row.
    "id": sqlalchemy.select(func.coalesce(func.max(_TRANSITION.id), 0) + 1).scalar_subquery() + _listed.c.key,
    **{name: bindparam(name, type_=_TRANSITION[name].type) for name in set(_TRANSITION.keys()) - {"id", "delivery"}},
    "delivery": _listed.c.value,
}
_RECORD_ALIKE = bulk.insert_into(Transition).from_select(list(_ALIKE), sqlalchemy.select(*_ALIKE.values()))


def record_delivery_transitions(
    session: Session, ledger: Ledger, change: StateChange, deliveries: Sequence[int], *, now: datetime
) -> None:
    """Record the same transition of these deliveries, in order."""
    alike = _transition(ledger, change, now) | {"deliveries": json.dumps(deliveries)}
    session.connection().execute(_RECORD_ALIKE, alike)


def _transition(ledger: Ledger, change: StateChange, now: datetime) -> dict[str, object]:
    is_ours = isinstance(change.cause, Reason)
    return {
        "account": ledger.account,
        "run": ledger.run,
        "at": now,
        "from_state": change.before,
        "to_state": change.to,
        "reason": change.cause if is_ours else None,
        "detail": change.detail and in_english(change.detail),
        "code": None if is_ours else change.cause,
    }


class SentRow(NamedTuple):
    """What settling needs to know of a delivery that was sent, without its bytes."""

    id: int
    lead: str
    state: str
    kind: str
    conversion: str
    destination: str
    action: str | None
    original: int | None
    was_in_doubt: bool
    """Whether an earlier answer about these bytes was lost."""


def flag_for_correction_check(
    session: Session, ledger: Ledger, deliveries: Collection[DeliveryRecord | SentRow], *, to_plan: bool = False
) -> None:
    """Flag their leads for a correction check; after a correction, which may be a retraction, for planning too."""
    again = [row for row in deliveries if to_plan or row.original is not None]
    for flag, rows in (("to_correct", deliveries), ("to_plan", again)):
        if rows:
            flagged = update(bulk.table_of(LeadRow)).where(bulk.has_lead_among(col(LeadRow.account), col(LeadRow.id)))
            leads = {row.lead for row in rows}
            bulk.change_rows(session, flagged.values({flag: True}), ledger.account, leads)


def mark_sent_elsewhere(session: Session, ledger: Ledger, delivery: Delivery, *, now: datetime) -> None:
    """Skip a delivery for good, as the platform has it by other means; recorded even if it was already skipped."""
    delivery.counts_from = delivery.assumed_at = delivery.approved_in = delivery.not_before = None
    skipped = DeliveryMove(delivery, DeliveryState.SKIPPED, Reason.ALREADY_SENT, always_record=True)
    change_delivery_states(session, ledger, [skipped], now=now)


def is_sent_elsewhere(delivery: Delivery) -> bool:
    """Return whether a human marked the delivery as sent to the platform by other means."""
    return delivery.state == DeliveryState.SKIPPED and delivery.reason == Reason.ALREADY_SENT


def delivery_cause(delivery: DeliveryRecord) -> Cause:
    """Return why a delivery is in its state."""
    twice = delivery.may_count_twice
    return cause_from_columns(delivery.state, delivery.reason, delivery.code, may_count_twice=twice)


def cause_from_columns(state: str, reason: str | None, code: str | None, *, may_count_twice: bool) -> Cause:
    """Return the cause of a state, from its columns."""
    if may_count_twice and state == DeliveryState.ACCEPTED:
        return Reason.MAY_COUNT_TWICE
    return reason_or_code(reason, code if state in _WITH_CODE else None)


def reason_or_code(reason: str | None, code: str | None) -> Cause:
    """Return our own reason if set, otherwise the platform's code."""
    return Reason(reason) if reason else PlatformCode(code or "")


def target_of(delivery: DeliveryRecord) -> Target:
    """Return the target a delivery was sent to."""
    parts = (delivery.transport, delivery.owner, delivery.action, delivery.source)
    transport, owner, action, source = (part or "" for part in parts)
    return Target(transport, owner, action, source)


# ── queries by lead ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class DeliveriesOfLeads:
    """The conversions of some leads, and their corrections."""

    conversions: Mapping[str, list[Delivery]]
    """By lead, in the order they were created."""
    corrections: Mapping[int, list[Delivery]]
    """By the id of the conversion they correct, in sequence."""

    def corrections_of(self, conversion: Delivery) -> list[Delivery]:
        """Return a conversion's corrections, in sequence."""
        return self.corrections.get(stored_row_id(conversion), [])

    def retracted_at(self, conversion: Delivery) -> datetime | None:
        """Return the time of a conversion's accepted retraction; None if it was not retracted."""
        made = (each for each in self.corrections_of(conversion) if each.kind == DeliveryKind.RETRACTION)
        return next((each.at for each in made if each.state == DeliveryState.ACCEPTED), None)


def deliveries_of_leads(session: Session, account: str, ids: Collection[LeadId]) -> DeliveriesOfLeads:
    """Return every delivery of these leads."""
    conversions: defaultdict[str, list[Delivery]] = defaultdict(list)
    corrections: defaultdict[int, list[Delivery]] = defaultdict(list)
    wanted = select(Delivery).where(Delivery.account == account, col(Delivery.lead).in_(ids))
    for each in session.exec(wanted.order_by(col(Delivery.id))):
        if each.original is None:
            conversions[each.lead].append(each)
        else:
            corrections[each.original].append(each)
    return DeliveriesOfLeads(conversions, corrections)


# ── queries by state ─────────────────────────────────────────────────────────────────────────────


def conversions_in_state(session: Session, account: str, state: DeliveryState) -> Iterator[Delivery]:
    """Stream every conversion in a state."""
    these = (Delivery.account == account, Delivery.state == state, matches_delivery_kind(corrections=False))
    yield from session.exec(select(Delivery).where(*these).order_by(col(Delivery.id)), execution_options=STREAMED)


def is_any_due(session: Session, account: str, *, now: datetime) -> bool:
    """Return whether any delivery may go out by now, without those that only a human releases."""
    due = select(Delivery.id).where(
        Delivery.account == account,
        Delivery.state == DeliveryState.PENDING,
        func.coalesce(col(Delivery.reason), "").not_in(HELD_FOR_A_HUMAN),
        *_send_time_reached(now),
    )
    return session.exec(due.limit(1)).first() is not None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Deliveries whose answer was lost: how many, when the first of them was sent, and one of their leads."""

    count: int
    since: datetime | None
    """None only in a damaged record."""
    lead: str

    def in_message(self, zone: ZoneInfo) -> dict[str, object]:
        """Return what a message says of them."""
        first = {"day": self.since.astimezone(zone).date(), "leads": (self.lead,)} if self.since else {}
        return {"count": self.count, **first}


def count_in_doubt(session: Session, account: str) -> dict[DestinationScope, InDoubt]:
    """Count the deliveries in doubt, by destination and kind."""
    place = (col(Delivery.destination), is_correction())
    what = (func.count(), func.min(col(Delivery.in_doubt_since)), func.min(col(Delivery.lead)))
    doubtful = (col(Delivery.account) == account, col(Delivery.state) == DeliveryState.IN_DOUBT)
    counts = sqlalchemy.select(*what, *place).where(*doubtful).group_by(*place)
    return {
        DestinationScope(DestinationId(where), corrections): InDoubt(count, since, lead)
        for count, since, lead, where, corrections in session.connection().execute(counts)
    }


def count_unfinished_deliveries(session: Session, account: str, *, corrections: bool = True) -> int:
    """Count the deliveries that will still move without human action, with or without corrections."""
    moving = (DeliveryState.PENDING, *FROZEN)
    wanted = select(func.count()).where(Delivery.account == account, col(Delivery.state).in_(moving))
    return session.exec(wanted if corrections else wanted.where(matches_delivery_kind(corrections=False))).one()


def has_deliveries(session: Session, account: str, conversion: str, destination: str | None = None) -> bool:
    """Return whether a conversion ever had a delivery, optionally to one destination."""
    # By state as well, so that SQLite searches the index of conversions by state.
    stands = (col(Delivery.state).in_(DeliveryState), matches_delivery_kind(corrections=False))
    wanted = select(Delivery.id).where(Delivery.account == account, *stands, Delivery.conversion == conversion)
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
        sqlalchemy.select(col(Delivery.key), col(Delivery.lead), *place).where(
            col(Delivery.account) == account, matches_delivery_kind(corrections=False)
        ),
        execution_options=STREAMED,
    )
    for key, lead, current, destination, occurrence in rows:
        for conversion in new:
            if key == delivery_key(account, LeadId(lead), conversion, DestinationId(destination), occurrence):
                yield conversion, current


def count_by_state(session: Session, account: str) -> Counter[tuple[str, str, str, Cause]]:
    """Count conversions by id, destination, state and cause."""
    place = (col(Delivery.state), col(Delivery.conversion), col(Delivery.destination))
    # More columns than SQLModel's own `select` is typed for.
    rows = session.connection().execute(
        sqlalchemy.select(*place, *WHY, func.count())
        .where(col(Delivery.account) == account, matches_delivery_kind(corrections=False))
        .group_by(*place, *WHY)
    )
    counts: Counter[tuple[str, str, str, Cause]] = Counter()
    for state, conversion, destination, reason, code, twice, count in rows:
        counts[conversion, destination, state, cause_from_columns(state, reason, code, may_count_twice=twice)] += count
    return counts


def count_moves_to_state(session: Session, ledger: Ledger, state: DeliveryState) -> int:
    """Count the moves of deliveries to a state in this run."""
    moved = (Transition.run == ledger.run, Transition.to_state == state)
    return session.exec(select(func.count()).where(*moved)).one()


def unexpected_rejections(session: Session, ledger: Ledger) -> list[Delivery]:
    """Return the deliveries that were unexpectedly rejected in this run and still are, conversions first."""
    rejected = (Transition.run == ledger.run, Transition.to_state == DeliveryState.REJECTED)
    rows = select(Delivery).where(
        col(Delivery.id).in_(select(Transition.delivery).where(*rejected)),
        Delivery.state == DeliveryState.REJECTED,
        Delivery.outcome != OutcomeClass.DROP_EXPECTED,
    )
    return list(session.exec(rows.order_by(is_correction(), col(Delivery.id))))


def leads_deferred_again(session: Session, ledger: Ledger) -> list[str]:
    """Return the leads of conversions that a platform deferred in this run and in an earlier one, by delivery id.

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
            .where(here, runs > 1, is_conversion())
            .order_by(col(Delivery.id))
        )
    )


# ── due deliveries ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class DueFilter:
    """Selects what is due at one destination: these conversions, or corrections."""

    account: str
    destination: str
    now: datetime
    conversions: Collection[str] | None = None
    """The ids of conversions; None selects corrections."""
    target: Target | None = None
    """Only corrections of this target."""
    approved_in: int | None = None
    """Only what a human approved in this run."""
    happened_after: datetime | None = None
    """Only what happened after this; what happened before waits for a human."""

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield what a due delivery fulfils."""
        yield col(Delivery.account) == self.account
        yield col(Delivery.destination) == self.destination
        yield col(Delivery.state) == DeliveryState.PENDING
        yield matches_delivery_kind(corrections=self.conversions is None)
        yield from _send_time_reached(self.now)
        if self.conversions is not None:
            yield col(Delivery.conversion).in_(self.conversions)
            yield ~status_labels.waits_for_rename(col(Delivery.lead), self.account)
        if self.target is not None:
            for name, value in asdict(self.target).items():
                yield col(getattr(Delivery, name)) == value
        if self.approved_in is not None:
            yield col(Delivery.approved_in) == self.approved_in
        if self.happened_after is not None:
            yield ~may_have_happened_by(self.happened_after)

    def is_volume_guarded(self) -> ColumnElement[bool]:
        """Match deliveries subject to the volume guard: not approved by a human, and never sent.

        A conversion was sent if one of its requests reached the platform and wasn't refused as a whole. A correction
        was sent after any request: corrections that the platform keeps refusing as a whole are not excess volume.
        """
        sent = exists().where(col(Attempt.delivery) == col(Delivery.id))
        if self.conversions is not None:
            sent = sent.where(col(Request.id) == col(Attempt.request), may_have_reached_platform())
        return and_(~sent, col(Delivery.approved_in).is_(None))

    def passes_volume_guard(self, new_by: datetime | None) -> ColumnElement[bool]:
        """Match what the volume guard doesn't count or what was due by `new_by`; None matches nothing it counts."""
        if new_by is None:
            return ~self.is_volume_guarded()
        return or_(~self.is_volume_guarded(), and_(*_send_time_reached(new_by)))


def due_deliveries(
    session: Session, due: DueFilter, *, new_by: datetime | None, after: tuple[datetime, int] | None = None, limit: int
) -> list[tuple[datetime, int]]:
    """Return the time and id of up to `limit` due deliveries, oldest first, following `after`.

    Those subject to the volume guard are returned only if they were due by `new_by`, and not at all if that is None.
    """
    place: tuple[Mapped[Any], ...] = (col(Delivery.at), col(Delivery.id))
    wanted = [*due.conditions(), due.passes_volume_guard(new_by)]
    if after is not None:
        wanted.append(tuple_(*place) > after)
    rows = session.connection().execute(sqlalchemy.select(*place).where(*wanted).order_by(*place).limit(limit))
    return [(at, number) for at, number in rows]


def shared_clicks_and_times(session: Session, deliveries: Sequence[int]) -> list[tuple[int, str, datetime]]:
    """Return the id, a click id and the time of those of these deliveries whose leads share that click id."""
    value = col(ClickIdRow.value)
    place: tuple[Mapped[Any], ...] = (col(Delivery.id), value, col(Delivery.at))
    of_lead = and_(col(ClickIdRow.account) == col(Delivery.account), col(ClickIdRow.lead) == col(Delivery.lead))
    dated = (bulk.column_in_ids(col(Delivery.id), deliveries), col(Delivery.at).is_not(None))
    shared = sqlalchemy.select(value).join_from(Delivery, ClickIdRow, of_lead).where(*dated).group_by(value)
    found = sqlalchemy.select(*place).join(ClickIdRow, of_lead).where(*dated)
    rows = session.connection().execute(found.where(value.in_(shared.having(func.count() > 1))))
    return [(number, click, at) for number, click, at in rows]


def due_delivery_targets(session: Session, due: DueFilter) -> list[Target]:
    """Return the targets of what is due, as recorded, sorted."""
    place = (col(Delivery.transport), col(Delivery.owner), col(Delivery.action), col(Delivery.source))
    rows = session.exec(select(*place).where(*due.conditions()).distinct())
    return sorted(Target(*(part or "" for part in row)) for row in rows)


def count_due(session: Session, due: DueFilter) -> int:
    """Count what is due, whether or not it is subject to the volume guard."""
    return session.exec(select(func.count()).where(*due.conditions())).one()


def count_volume_guarded(session: Session, due: DueFilter) -> int:
    """Count what is due and subject to the volume guard."""
    return session.exec(select(func.count()).where(*due.conditions(), due.is_volume_guarded())).one()


def hold_volume_guarded(session: Session, due: DueFilter, reason: Reason) -> None:
    """Hold what `count_volume_guarded` counts until a human releases it."""
    session.exec(
        update(Delivery)
        .where(*due.conditions(), due.is_volume_guarded())
        .values(reason=reason, detail=None)
        .execution_options(synchronize_session=False)
    )


def hold_sent_before_restore(session: Session, account: str, destination: str, restored_at: datetime) -> int:
    """Hold the conversions that may have been sent before a restore until a human decides; return how many."""
    may_be_sent = (
        col(Delivery.account) == account,
        col(Delivery.state) == DeliveryState.PENDING,
        col(Delivery.destination) == destination,
        matches_delivery_kind(corrections=False),
        may_have_happened_by(restored_at),
    )
    held = update(Delivery).where(*may_be_sent).values(reason=Reason.AFTER_RESTORE, detail=None)
    return session.exec(held.execution_options(synchronize_session=False)).rowcount


def may_have_happened_by(at: datetime) -> ColumnElement[bool]:
    """Match deliveries whose change may have happened by then; so does `may_have_been_sent`."""
    return func.coalesce(col(Delivery.happened_after), col(Delivery.at)) <= at


def may_have_been_sent(row: DeliveryRecord, *, restored_at: datetime | None) -> bool:
    """Return whether a delivery, which this ledger has not sent, may have been before its backup was restored."""
    happened = row.happened_after or row.at
    return restored_at is not None and happened is not None and happened <= restored_at


def that_may_have_been_sent(session: Session, deliveries: Sequence[int], *, restored_at: datetime | None) -> set[int]:
    """Return those of these deliveries that may have been sent before the ledger's backup was restored."""
    if restored_at is None:
        return set()
    these = bulk.column_in_ids(col(Delivery.id), deliveries)
    return set(
        session.connection().scalars(
            sqlalchemy.select(col(Delivery.id)).where(these, may_have_happened_by(restored_at))
        )
    )


def release_held(session: Session, account: str) -> None:
    """Release everything that waits for a human; what still has to is held again."""
    held = (
        col(Delivery.account) == account,
        col(Delivery.state) == DeliveryState.PENDING,
        col(Delivery.reason).in_(HELD_FOR_A_HUMAN),
    )
    session.exec(update(Delivery).where(*held).values(reason=Reason.DUE))


def _send_time_reached(now: datetime) -> Iterator[ColumnElement[bool]]:
    """Match deliveries whose planned time and platform delay have both passed."""
    for at in (col(Delivery.not_before), col(Delivery.deferred_until)):
        yield or_(at.is_(None), at <= now)
