"""Queries for reports: deliveries by state and reason, and samples of the latest leads."""

import json
import operator
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    Select,
    bindparam,
    case,
    cast,
    false,
    func,
    null,
    or_,
    union_all,
)
from sqlmodel import Session, col, select

from connectors.records import ClickIdKind, LeadId
from jobs.ledger import bulk
from jobs.ledger.leads.leads import has_related_row
from jobs.ledger.outbox import outbox
from jobs.ledger.outbox.outbox import WHY, cause_from_columns, delivery_cause
from jobs.ledger.outbox.requests import RequestState, attempts_of_delivery
from jobs.ledger.schema import (
    STREAMED,
    UP_TO_DATE,
    WHOLE,
    ClickIdRow,
    Delivery,
    LeadRow,
    Request,
    Run,
    StatusChange,
    StatusLabel,
    Transition,
    UnreadableLeadRow,
    distinct_column_values,
    is_conversion,
    is_correction,
    matches_delivery_kind,
)
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import ConsentAnswer, StatusTimeOrigin
from jobs.rules.reasons import HELD_FOR_A_HUMAN, Cause, Reason


@dataclass(frozen=True, slots=True)
class QualifiedConversion:
    """A conversion that qualified for a destination, and its initial reason."""

    conversion: str
    destination: str
    reason: Reason | None
    """Why it can't be sent; None if it can, now or later."""


@dataclass(frozen=True, slots=True)
class ClickIdShare:
    """How many leads were created in a period, and how many of them have a click id."""

    leads: int
    with_click: int


NEAR_IDS = 5
CENTS = Decimal("0.01")


def sum_of_cents() -> ColumnElement[int]:
    """Sum the values of deliveries, which are text with two decimals, exactly: floats hold whole cents."""
    return func.coalesce(cast(func.sum(func.round(cast(Delivery.value, Float) * 100)), BigInteger), 0)


@dataclass(frozen=True, slots=True)
class StateCount:
    """The number of deliveries that share a state and a reason."""

    conversion: str
    destination: str
    state: DeliveryState
    reason: Cause
    """`due` for deliveries that go out next."""
    count: int
    value: Decimal
    """The sum of their values; those without one add nothing."""
    due_at: datetime | None = None
    """When the first of them may go out, if they wait for a time."""
    held_for: Reason | None = None
    """For expired ones, why they were withheld."""


@dataclass(frozen=True, slots=True)
class DeliveryStanding:
    """The state of one conversion or correction."""

    lead: str
    conversion: str
    destination: str
    state: DeliveryState
    reason: Cause
    """As in `StateCount`."""
    since: datetime
    """When it entered its state; its reason may have changed since."""
    is_correction: bool
    held_for: Reason | None = None
    """For an expired one, why it was withheld."""


@dataclass(frozen=True, slots=True)
class AwaitedOutcomes:
    """Received requests whose outcome is still unknown."""

    requests: int
    deliveries: int
    ask_at: datetime | None
    """When the first outcome may be fetched."""


@dataclass(frozen=True, slots=True)
class RequestOfDelivery:
    """A request that contained a delivery."""

    sent_at: datetime
    state: str
    ticket: str | None
    code: str | None
    """The delivery's own; what the request was refused for may have been another one's fault."""


_Alike = tuple[str, str, DeliveryState, Cause, Reason | None]
"""Grouping key: conversion, destination, state, reason, and the reason withheld for."""


def count_by_state_and_reason(
    session: Session, account: str, *, now: datetime, run: int | None = None, approved_in: int | None = None
) -> tuple[StateCount, ...]:
    """Count conversions by state and reason: all, only those moved in `run`, or only those approved in a run.

    The result is sorted as by `ordered`.
    """
    mine, is_counted = col(Delivery.account) == account, matches_delivery_kind(corrections=False)
    # A run belongs to one account: also filtering by account would scan all of its deliveries.
    if run is not None:
        mine, is_counted = (
            col(Delivery.id).in_(select(Transition.delivery).where(Transition.run == run)),
            is_conversion(),
        )
    elif approved_in is not None:
        mine = col(Delivery.approved_in) == approved_in
    not_before, deferred_until = col(Delivery.not_before), col(Delivery.deferred_until)
    due_at = case((not_before > deferred_until, not_before), else_=func.coalesce(deferred_until, not_before))
    is_waiting = (due_at > now).label("is_waiting")
    place = (col(Delivery.state), col(Delivery.conversion), col(Delivery.destination), *WHY, col(Delivery.held_for))
    cents = sum_of_cents()
    is_pending = col(Delivery.state) == DeliveryState.PENDING
    # Pending deliveries apart: the others, of years, are counted in the order of an index that has no times.
    pending = sqlalchemy.select(*place, is_waiting, func.count(), cents, func.min(due_at)).where(
        mine, is_counted, is_pending
    )
    others = sqlalchemy.select(*place, false(), func.count(), cents, null()).where(mine, is_counted, ~is_pending)
    connection = session.connection()
    rows = chain(
        connection.execute(others.group_by(*place)),
        connection.execute(pending.group_by(*place, is_waiting.name)),
    )
    counts: Counter[_Alike] = Counter()
    worth: defaultdict[_Alike, Decimal] = defaultdict(Decimal)
    first: dict[_Alike, datetime] = {}
    for state, conversion, destination, reason, code, twice, held_for, waits, count, worth_cents, opens_at in rows:
        cause = cause_from_columns(state, reason, code, may_count_twice=twice)
        if state == DeliveryState.PENDING and reason not in HELD_FOR_A_HUMAN and not waits:
            cause = Reason.DUE
        key = (conversion, destination, DeliveryState(state), cause, Reason(held_for) if held_for else None)
        counts[key] += count
        worth[key] += worth_cents * CENTS
        if waits:
            first[key] = min(opens_at, first.get(key, opens_at))
    return sort_state_counts(
        StateCount(*key[:4], count, worth[key], first.get(key), key[4]) for key, count in counts.items()
    )


def sort_state_counts(found: Iterable[StateCount]) -> tuple[StateCount, ...]:
    """Sort by conversion, destination and state in order of declaration, then most frequent reason first."""
    order = list(DeliveryState)
    place = operator.attrgetter("conversion", "destination")

    def key(each: StateCount) -> tuple[str | int, ...]:
        return (*place(each), order.index(each.state), -each.count, each.reason, each.held_for or "")

    return tuple(sorted(found, key=key))


def deliveries_in_states(
    session: Session, account: str, states: Collection[DeliveryState], *, now: datetime
) -> Iterator[DeliveryStanding]:
    """Yield the conversions in these states, then the corrections, each most recently moved first."""
    since = select(func.max(Transition.at)).where(Transition.delivery == col(Delivery.id)).scalar_subquery()
    wanted = select(Delivery, since).where(Delivery.account == account, col(Delivery.state).in_(states))
    in_order = wanted.order_by(is_correction(), since.desc(), col(Delivery.id))
    for row, at in session.exec(in_order, execution_options=STREAMED):
        yield DeliveryStanding(
            row.lead,
            row.conversion,
            row.destination,
            DeliveryState(row.state),
            current_reason(row, now),
            at,
            is_correction=row.is_correction,
            held_for=Reason(row.held_for) if row.held_for else None,
        )


def current_reason(row: Delivery, now: datetime) -> Cause:
    """Return why a delivery is in its state; `due` if it goes out next."""
    if row.state == DeliveryState.PENDING and row.reason not in HELD_FOR_A_HUMAN:
        due_at = due_time(row)
        if due_at is None or due_at <= now:
            return Reason.DUE
    return delivery_cause(row)


def due_time(delivery: Delivery) -> datetime | None:
    """Return when a pending row may go out: the later of its planned time and the platform's delay; None if neither."""
    times = [at for at in (delivery.not_before, delivery.deferred_until) if at is not None]
    return max(times, default=None)


def awaited_outcomes(session: Session, account: str) -> AwaitedOutcomes:
    """Return the totals of requests and deliveries awaiting an outcome."""
    waiting = (Request.account == account, Request.state == RequestState.RECEIVED)
    counts = select(func.count(), func.coalesce(func.sum(Request.rows), 0), func.min(Request.resolve_after))
    return AwaitedOutcomes(*session.exec(counts.where(*waiting)).one())


def last_run(session: Session, account: str) -> Run | None:
    """Return the latest run, ended or not."""
    return session.exec(select(Run).where(Run.account == account).order_by(col(Run.id).desc()).limit(1)).first()


def unreadable_leads(session: Session, account: str) -> list[UnreadableLeadRow]:
    """Return the leads that could not be read when last seen."""
    wanted = select(UnreadableLeadRow).where(UnreadableLeadRow.account == account)
    return list(session.exec(wanted.order_by(col(UnreadableLeadRow.id))))


@dataclass(frozen=True, slots=True)
class LeadStanding:
    """A lead's status on record, and since when."""

    label: str
    since: datetime
    date_only: bool


def recorded_lead_statuses(session: Session, account: str, leads: Collection[LeadId]) -> dict[LeadId, LeadStanding]:
    """Return the status of each of these leads that is on record; since it was seen, where it has no time."""
    labels = session.exec(select(StatusLabel.label, StatusLabel.written).where(StatusLabel.account == account))
    written = {label: spelled for label, spelled in labels if spelled}
    found: dict[LeadId, LeadStanding] = {}
    of_leads = select(LeadRow).where(bulk.has_lead_among(col(LeadRow.account), col(LeadRow.id)))
    theirs = bulk.has_lead_among(col(StatusChange.account), col(StatusChange.lead))
    changes = select(StatusChange).where(theirs).order_by(col(StatusChange.at))
    for part in bulk.lead_batch_parameters(session, account, leads):
        rows = session.exec(of_leads, params=part).all()
        on_record = {row.id: row.label for row in rows if row.label is not None}
        found |= {
            LeadId(row.id): LeadStanding(written.get(row.label, row.label), row.seen_at, date_only=False)
            for row in rows
            if row.label is not None
        }
        for change in session.exec(changes, params=part):
            if on_record.get(change.lead) == change.label:
                lead = LeadId(change.lead)
                found[lead] = LeadStanding(found[lead].label, change.at, change.date_only)
    return found


def similar_lead_ids(session: Session, account: str, text: str) -> list[LeadId]:
    """Return up to `NEAR_IDS` lead ids that contain this text, to suggest for a mistyped one."""
    rows = session.exec(
        select(LeadRow.id)
        .where(LeadRow.account == account, col(LeadRow.id).icontains(text, autoescape=True))
        .order_by(col(LeadRow.id))
        .limit(NEAR_IDS)
    )
    return [LeadId(found) for found in rows]


def state_history(session: Session, sent: Delivery) -> list[Transition]:
    """Return every transition of a delivery, oldest first."""
    wanted = select(Transition).where(Transition.delivery == sent.id)
    return list(session.exec(wanted.order_by(col(Transition.id))))


def requests_containing(session: Session, sent: Delivery) -> list[RequestOfDelivery]:
    """Return every request that contained a delivery, oldest first."""
    return [
        RequestOfDelivery(request.sent_at, request.state, request.ticket, attempt.code)
        for attempt, request in attempts_of_delivery(session, sent)
    ]


def settled_conversions(session: Session, account: str) -> list[Delivery]:
    """Return every accepted, rejected or unconfirmed conversion."""
    settled = (DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.UNCONFIRMED)
    wanted = (Delivery.account == account, matches_delivery_kind(corrections=False), col(Delivery.state).in_(settled))
    return list(session.exec(select(Delivery).where(*wanted).order_by(col(Delivery.id))))


def corrections(session: Session, account: str) -> Iterator[Delivery]:
    """Yield every correction, in order of creation."""
    wanted = select(Delivery).where(Delivery.account == account, is_correction()).order_by(col(Delivery.id))
    yield from session.exec(wanted, execution_options=STREAMED)


LATEST = 50
"""Sample size: small enough to show a break soon, large enough to rule out chance."""
_MOST_LABELS = 20
"""Labels read of one lead's history: one that has been through more says no more."""
STOPPED = (DeliveryState.WITHHELD, DeliveryState.EXPIRED)
_LONGEST_RUN = timedelta(days=2)


def conversions_qualified_since(session: Session, *runs: int, since: datetime) -> Iterator[QualifiedConversion]:
    """Yield the conversions that qualified in these runs since a time, in order, with why they couldn't be sent."""
    rows = session.exec(
        select(Transition.to_state, Transition.reason, Delivery.conversion, Delivery.destination)
        .join(Delivery, col(Delivery.id) == col(Transition.delivery))
        .where(
            col(Transition.run).in_(runs),
            col(Transition.from_state).is_(None),
            is_conversion(),
            Transition.to_state != DeliveryState.SKIPPED,
            # A delivery found to belong to another platform, or sent by other means, never qualified here.
            Delivery.state != DeliveryState.SKIPPED,
            # Nor was what a person has released stopped: it only waited for that.
            or_(
                col(Transition.reason).is_distinct_from(Reason.POSSIBLE_TWIN),
                col(Delivery.reason) == Reason.POSSIBLE_TWIN,
            ),
            Transition.at >= since,
        )
        .order_by(col(Transition.id)),
        execution_options=STREAMED,
    )
    for state, reason, conversion, destination in rows:
        yield QualifiedConversion(conversion, destination, Reason(reason) if reason and state in STOPPED else None)


def conversions_qualified_before_run(
    session: Session, account: str, *, run: int, since: datetime, but: Collection[int] = ()
) -> Iterator[QualifiedConversion]:
    """Yield the conversions that qualified in the runs before this one since a time, except some runs', in order."""
    # On a working machine, no run moves anything this long after it began.
    runs = select(Run.id).where(Run.account == account, Run.started_at >= since - _LONGEST_RUN, col(Run.id) < run)
    for earlier in session.exec(runs.order_by(col(Run.id))).all():
        if earlier is not None and earlier not in but:
            yield from conversions_qualified_since(session, earlier, since=since)


def pairs_with_deliveries(session: Session, account: str, places: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which of these (conversion, destination) pairs ever had a delivery."""
    return {place for place in places if outbox.has_deliveries(session, account, *place)}


@dataclass(frozen=True, slots=True)
class SampledLead:
    """What a lead holds where the settings expect something."""

    id: str
    ad_user_data: ConsentAnswer
    ad_personalization: ConsentAnswer
    where: Mapping[str, str]
    amounts: Collection[str]
    """The paths at which it has an amount, readable or not."""


def newest_leads(session: Session, account: str) -> list[SampledLead]:
    """Return the most recently created leads."""
    return _samples(session, account, col(LeadRow.created_at).desc())


def dated_labels(session: Session, account: str, leads: Sequence[str]) -> list[list[str]]:
    """Return, of each of these leads, labels that Oplead itself dates; of a long history, some."""
    if not leads:
        return []
    labels: dict[str, list[str]] = {}
    for row in session.connection().execute(union_all(*(_some_dated_labels(account, lead) for lead in leads))):
        labels.setdefault(row.lead, []).append(row.label)
    return list(labels.values())


def _some_dated_labels(account: str, lead: str) -> Select[tuple[str, str]]:
    is_dated = (StatusChange.account == account, StatusChange.origin == StatusTimeOrigin.REPORTED)
    some = select(StatusChange.lead, StatusChange.label).where(*is_dated, StatusChange.lead == lead).limit(_MOST_LABELS)
    return sqlalchemy.select(*some.subquery().c)


def leads_with_delivery_of(session: Session, account: str, conversions: Collection[str]) -> list[SampledLead]:
    """Return the most recently updated leads with a delivery of one of these conversions that is not pending."""
    if not conversions:
        return []
    is_one = (col(Delivery.conversion).in_(conversions), col(Delivery.state) != DeliveryState.PENDING)
    latest = (col(LeadRow.updated_at).desc().nulls_last(), col(LeadRow.created_at).desc())
    return _samples(session, account, *latest, where=has_related_row(Delivery, account, *is_one))


def _samples(
    session: Session, account: str, *order: ColumnElement[Any], where: ColumnElement[bool] | None = None
) -> list[SampledLead]:
    """Return the first leads whose details are up to date; not their histories, which may be of any length."""
    whole = select(LeadRow.id, LeadRow.ad_user_data, LeadRow.ad_personalization, LeadRow.facts).where(
        LeadRow.account == account, LeadRow.digest != "", sqlalchemy.true() if where is None else where
    )
    return [_sample(*row) for row in session.exec(whole.order_by(*order).limit(LATEST))]


def _sample(lead: str, ad_user_data: str, ad_personalization: str, facts: str) -> SampledLead:
    kept = json.loads(facts)
    consents = ConsentAnswer(ad_user_data), ConsentAnswer(ad_personalization)
    return SampledLead(lead, *consents, kept["where"], frozenset(kept["amounts"]))


def amount_paths(session: Session, account: str) -> set[str]:
    """Return the paths at which any lead has an amount, readable or not."""
    of_leads = distinct_column_values(session, LeadRow.amount_paths, LeadRow.account == account, UP_TO_DATE)
    return {path for paths in of_leads for path in json.loads(paths)}


def count_leads_with_labels(session: Session, account: str, labels: Collection[str] | None, *, enough: int) -> int:
    """Count leads that have or had one of these labels (None: all leads), stopping at `enough`; test leads excluded."""
    leads = select(LeadRow.id).where(LeadRow.account == account, LeadRow.digest != "", ~col(LeadRow.excluded))
    if labels is not None:
        leads = leads.where(has_related_row(StatusChange, account, col(StatusChange.label).in_(labels)))
    return len(session.exec(leads.limit(enough)).all())


def click_id_share(session: Session, account: str, span: tuple[datetime, datetime]) -> ClickIdShare:
    """Count the leads created in a period (end excluded) and those of them with a click id."""
    created = (LeadRow.account == account, LeadRow.created_at >= span[0], LeadRow.created_at < span[1])
    counts = select(func.count(), func.count().filter(has_related_row(ClickIdRow, account))).where(*created)
    return ClickIdShare(*session.exec(counts).one())


def click_id_shares_by_source(
    session: Session, account: str, span: tuple[datetime, datetime], *, only: Collection[str] | None = None
) -> Mapping[str, ClickIdShare]:
    """Count the same by UTM source, whatever its capitals; leads without one are left out.

    With `only`, other sources may be left out.
    """
    source = col(LeadRow.utm_source)
    created = (LeadRow.account == account, LeadRow.created_at >= span[0], LeadRow.created_at < span[1], source > "")
    wanted: ColumnElement[bool] = sqlalchemy.true()
    if only is not None:
        spelled = session.exec(select(source).where(*created).distinct())
        wanted = source.in_([each for each in spelled if each and each.casefold() in only])
    counts = (func.count(), func.count().filter(has_related_row(ClickIdRow, account)))
    found: dict[str, ClickIdShare] = {}
    for written, leads, with_click in session.exec(select(source, *counts).where(*created, wanted).group_by(source)):
        other = found.get(name := (written or "").casefold()) or ClickIdShare(0, 0)
        found[name] = ClickIdShare(other.leads + leads, other.with_click + with_click)
    return found


def newest_have_click_ids(session: Session, account: str, *, since: datetime) -> Iterator[bool]:
    """Yield whether each lead created since a time has a click id, newest first."""
    created = (LeadRow.account == account, LeadRow.created_at >= since)
    wanted = select(has_related_row(ClickIdRow, account)).select_from(LeadRow).where(*created)
    yield from session.exec(wanted.order_by(col(LeadRow.created_at).desc()), execution_options={"yield_per": LATEST})


def latest_click_ids(session: Session, account: str) -> list[tuple[ClickIdKind, str]]:
    """Return the latest click ids of each kind that have not been erased, newest first."""
    rows = session.connection().execute(_LATEST_OF_EACH_KIND, {"account": account}).all()
    return [(ClickIdKind(kind), value) for kind, value, _ in sorted(rows, key=lambda row: row[2], reverse=True)]


def _latest_of(kind: ClickIdKind) -> Select[Any]:
    latest = (
        select(ClickIdRow.kind, ClickIdRow.value, ClickIdRow.clicked_at)
        .where(ClickIdRow.account == bindparam("account"), ClickIdRow.kind == kind, WHOLE)
        .order_by(col(ClickIdRow.clicked_at).desc())
        .limit(LATEST)
        .subquery()
    )
    return sqlalchemy.select(latest)


_LATEST_OF_EACH_KIND = union_all(*map(_latest_of, ClickIdKind))
