"""Store, load, select and erase leads in the ledger."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import sqlalchemy
from sqlalchemy import (
    ColumnElement,
    ColumnExpressionArgument,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    union,
    update,
)
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from connectors.records import ClickIdKind, ContactIdentifierKind, DestinationId, Identifier, LeadId, ListedLead
from jobs.ledger import bulk
from jobs.ledger.leads import status_labels as labels_seen
from jobs.ledger.schema import (
    MARKED,
    WHOLE,
    BackfillPlace,
    ClickIdRow,
    ContactHash,
    Cursor,
    Delivery,
    ExcludedTestLead,
    LeadRow,
    StatusChange,
    Transition,
    UnreadableLeadRow,
    matches_delivery_kind,
    was_retracted,
)
from jobs.rules.delivery_state import COUNTING, FROZEN, OPEN, DeliveryState
from jobs.rules.extraction import erased_click_id_hash
from jobs.rules.model import (
    Amount,
    ConsentAnswer,
    KnownClickId,
    LeadFacts,
    StatusEntered,
    StatusTimeOrigin,
    UnreadableAmount,
)
from jobs.rules.reasons import NAMING_ANOTHER_LEAD, Reason

_ERASED_AT_ONCE = 1_000
"""Click ids per statement."""
_READ_AT = case(
    (col(LeadRow.asked_at) > col(LeadRow.seen_at), col(LeadRow.asked_at)),
    else_=col(LeadRow.seen_at),
)
"""When a lead was last seen, or last requested if that is later."""


_OF_LEADS = bulk.has_lead_among(col(LeadRow.account), col(LeadRow.id))
_DIGESTS = sqlalchemy.select(col(LeadRow.id), col(LeadRow.digest)).where(_OF_LEADS, col(LeadRow.deleted_at).is_(None))
_ASKED = sqlalchemy.select(col(LeadRow.id), col(LeadRow.asked_at)).where(_OF_LEADS)
_CREATED = sqlalchemy.select(col(LeadRow.id), col(LeadRow.created_at)).where(_OF_LEADS)

_PLANNED = (
    update(bulk.table_of(LeadRow))
    .where(_OF_LEADS)
    .values(
        to_plan=False,
        fresh=False,
        to_correct=or_(
            col(LeadRow.to_correct),
            # Found once for all of them: for each, PostgreSQL may search every delivery of the account.
            col(LeadRow.id).in_(
                sqlalchemy.select(col(Delivery.lead)).where(
                    bulk.has_lead_among(col(Delivery.account), col(Delivery.lead)),
                    # No bare column, or SQLite searches everything accepted instead of the leads' few deliveries.
                    col(Delivery.state).concat("") == DeliveryState.ACCEPTED,
                )
            ),
        ),
    )
)
_MERGED_INTO = (
    update(bulk.table_of(LeadRow))
    .where(col(LeadRow.account) == bindparam("of_account"), col(LeadRow.id) == bindparam("of_lead"))
    .values(merged_into=bindparam("other"))
)


# ── storing ──────────────────────────────────────────────────────────────────────────────────────


def take_unreported_unreadable(
    session: Session, account: str, *, run: int, all_shown_since: datetime | None = None
) -> tuple[int, int]:
    """Return how many unreadable leads no earlier run reported, and how many others; mark the former as reported.

    Where every lead was shown since `all_shown_since`, those that were not are gone.
    """
    mine, reported_in = col(UnreadableLeadRow.account) == account, col(UnreadableLeadRow.reported_in)
    unreported = (mine, or_(reported_in.is_(None), reported_in == run))
    everything = session.exec(select(func.count()).select_from(UnreadableLeadRow).where(mine)).one()
    if not everything:
        return 0, 0
    if all_shown_since is not None:
        gone = delete(UnreadableLeadRow).where(mine, col(UnreadableLeadRow.seen_at) < all_shown_since)
        everything -= session.exec(gone).rowcount
    new = session.exec(update(UnreadableLeadRow).where(*unreported).values(reported_in=run)).rowcount
    return new, everything - new


def record_detail_fetch(session: Session, account: str, ids: Collection[LeadId], *, at: datetime) -> None:
    """Record a detail fetch of leads, successful or not, so that failing ones don't block the rest."""
    _update(session, account, ids, asked_at=at)


def mark_reused(session: Session, account: str, ids: Collection[LeadId], *, run: int, seen_at: datetime) -> None:
    """Mark leads under whose ids another one is shown, and flag them for planning."""
    _update(session, account, ids, seen_at=seen_at, missing_since=None, merged_into=None)
    _update(session, account, ids, col(LeadRow.reused_in).is_(None), reused_in=run, to_plan=True)


def mark_replaced(session: Session, account: str, ids: Collection[LeadId], *, now: datetime) -> None:
    """Mark leads as deleted that a person says are others under new ids, and flag them for planning."""
    _update(session, account, ids, deleted_at=now, missing_since=now, to_plan=True)


def count_reused(session: Session, account: str) -> dict[int, int]:
    """Count the leads that are others now and that no person knows of yet, by the run that found them."""
    counts = select(LeadRow.reused_in, func.count()).where(*_is_reused(account)).group_by(col(LeadRow.reused_in))
    return {run or 0: count for run, count in session.exec(counts)}


def first_reused(session: Session, account: str, *, limit: int | None = None) -> list[str]:
    """Return the first of those leads."""
    return list(session.exec(select(LeadRow.id).where(*_is_reused(account)).order_by(col(LeadRow.id)).limit(limit)))


def _is_reused(account: str) -> tuple[ColumnElement[bool], ...]:
    return col(LeadRow.account) == account, col(LeadRow.reused_in) > 0


def accept_reused(session: Session, account: str) -> None:
    """Record that a person knows of the leads that are others now."""
    reused = (col(LeadRow.account) == account, col(LeadRow.reused_in).is_not(None))
    session.exec(update(LeadRow).where(*reused).values(reused_in=0).execution_options(synchronize_session=False))


def mark_missing_from_list(session: Session, account: str, ids: Collection[LeadId], *, now: datetime) -> None:
    """Mark leads as missing, keeping the time of those already missing."""
    _update(session, account, ids, col(LeadRow.missing_since).is_(None), missing_since=now)


def record_merged_into(
    session: Session, account: str, deleted: Collection[LeadId], merged: Mapping[LeadId, LeadId]
) -> None:
    """Record which lead, if any, each deleted lead's detail page shows instead."""
    rows = [{"of_account": account, "of_lead": lead, "other": merged.get(lead)} for lead in deleted]
    bulk.write_rows(session, _MERGED_INTO, rows)


def mark_missing_as_deleted(
    session: Session, account: str, ids: Collection[LeadId], *, missing_before: datetime, now: datetime
) -> int:
    """Mark leads missing since `missing_before` or earlier as deleted, flag them for planning, return their number."""
    missing = (col(LeadRow.missing_since) <= missing_before, col(LeadRow.deleted_at).is_(None))
    return _update(session, account, ids, *missing, deleted_at=now, to_plan=True)


def _update(
    session: Session,
    account: str,
    ids: Collection[LeadId],
    *conditions: ColumnExpressionArgument[bool],
    **values: object,
) -> int:
    """Update those of the leads that meet the conditions and return their number."""
    statement = update(bulk.table_of(LeadRow)).where(_OF_LEADS, *conditions)
    return bulk.change_rows(session, statement, account, ids, **values)


# ── selection for reading and planning ───────────────────────────────────────────────────────────


def force_full_read(session: Session, account: str) -> None:
    """Make the next pull read every lead in full from the beginning."""
    session.exec(update(LeadRow).where(col(LeadRow.account) == account).values(digest=""))
    # How many leads there are stays known: a key may see fewer just when settings change.
    begins_again = {"since": None, "full_read_at": None, "pull_started_at": None, "resume": None}
    session.exec(update(Cursor).where(col(Cursor.account) == account).values(begins_again))
    for table in (ExcludedTestLead, BackfillPlace):
        session.exec(delete(table).where(col(table.account) == account))


def flag_all_for_planning(session: Session, account: str) -> None:
    """Flag every lead for planning."""
    session.exec(update(LeadRow).where(col(LeadRow.account) == account).values(to_plan=True))


def flag_for_planning(session: Session, account: str, ids: Collection[str]) -> None:
    """Flag these leads for planning."""
    _update(session, account, [LeadId(lead) for lead in ids], to_plan=True)


def flag_expired_for_planning(session: Session, account: str, *, now: datetime) -> None:
    """Flag for planning the leads whose open conversions have expired, and for a check those whose corrections have."""
    expired = (col(Delivery.state).in_(OPEN), col(Delivery.expires_at) < now)
    _flag(session, account, matches_delivery_kind(corrections=False), *expired, to_plan=True)
    _flag(session, account, matches_delivery_kind(corrections=True), *expired, to_correct=True)


def is_in_state_for_named_lead(account: str, states: Collection[DeliveryState]) -> ColumnElement[bool]:
    """Match deliveries whose detail names another lead, whose same conversion is in one of these states.

    One that was retracted is in none of them: it no longer counts.
    """
    its = aliased(Delivery)
    return exists().where(
        col(its.account) == account,
        col(its.lead) == col(Delivery.detail),
        col(its.conversion) == col(Delivery.conversion),
        col(its.destination) == col(Delivery.destination),
        col(its.original).is_(None),
        col(its.state).in_(states),
        ~was_retracted(its),
    )


_WITHOUT_VALUE = (Reason.VALUE_NEVER_SEEN, Reason.VALUE_NOT_ESTIMATED)
_RELEASABLE = (*NAMING_ANOTHER_LEAD, Reason.TIME, *_WITHOUT_VALUE)


def flag_released_for_planning(
    session: Session,
    account: str,
    routes: Collection[tuple[str, str]],
    *,
    with_value: Collection[str],
    now: datetime,
    shown_since: datetime,
) -> None:
    """Flag for planning the leads with deliveries whose reason to be withheld may be gone, though they didn't change.

    Of the conversions and destinations in `routes`, these are duplicates of a lead that no longer counts or is itself
    to be planned, twins of one that no longer counts or was shown again since `shown_since`, and deliveries of
    conversions that now have a value: no lead had one, or there was no estimate; and what was dated ahead, once that
    time has come.
    """
    # Each column of an index is named, so that of all that is withheld, no other rows are read.
    conversions, destinations = {conversion for conversion, _ in routes}, {destination for _, destination in routes}
    withheld = (
        matches_delivery_kind(corrections=False),
        col(Delivery.state) == DeliveryState.WITHHELD,
        col(Delivery.conversion).in_(conversions),
        col(Delivery.destination).in_(destinations),
        col(Delivery.reason).in_(_RELEASABLE),
    )
    rival_lead, counts = aliased(LeadRow), is_in_state_for_named_lead(account, COUNTING)
    is_rival = and_(col(rival_lead.account) == account, col(rival_lead.id) == col(Delivery.detail))
    is_to_plan = exists().where(is_rival, col(rival_lead.to_plan))
    is_there = and_(col(rival_lead.deleted_at).is_(None), col(rival_lead.reused_in).is_(None))
    is_shown = exists().where(is_rival, is_there, col(rival_lead.seen_at) >= shown_since)
    precedes_lead = exists().where(
        col(rival_lead.account) == account,
        col(rival_lead.id) == col(Delivery.lead),
        col(rival_lead.created_at) > col(Delivery.at),
    )
    released = or_(
        and_(col(Delivery.reason) == Reason.COUNTED_ALREADY, or_(~counts, is_to_plan)),
        and_(col(Delivery.reason) == Reason.POSSIBLE_TWIN, or_(~counts, is_shown)),
        and_(col(Delivery.reason).in_(_WITHOUT_VALUE), col(Delivery.conversion).in_(with_value)),
        and_(col(Delivery.reason) == Reason.TIME, col(Delivery.at) <= now, ~precedes_lead),
    )
    _flag(session, account, *withheld, released, to_plan=True)


def _flag(session: Session, account: str, *conditions: ColumnElement[bool], **values: bool) -> None:
    """Flag leads by their deliveries, which lets SQLite scan deliveries by state instead of every lead."""
    ids = select(Delivery.lead).where(Delivery.account == account, *conditions)
    session.exec(
        update(LeadRow)
        .where(col(LeadRow.account) == account, col(LeadRow.id).in_(ids))
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def leads_to_plan(session: Session, account: str, *, limit: int, after: LeadId | None = None) -> list[LeadId]:
    """Return the next leads to plan, by id, except those waiting for a possible status rename to be settled."""
    next_ones = (col(LeadRow.to_plan), col(LeadRow.id) > (after or ""))
    return _ids(session, account, *next_ones, ~labels_seen.waits_for_rename(col(LeadRow.id), account), limit=limit)


def mark_leads_planned(session: Session, account: str, ids: Collection[LeadId]) -> None:
    """Mark leads as planned and, if they have accepted conversions, due for a correction check."""
    bulk.change_rows(session, _PLANNED, account, ids)


def leads_to_correct(session: Session, account: str, *, limit: int) -> list[LeadId]:
    """Return up to `limit` leads whose accepted conversions are due for a correction check."""
    return _ids(session, account, col(LeadRow.to_correct), limit=limit)


def mark_corrections_checked(session: Session, account: str, ids: Collection[LeadId]) -> None:
    """Mark leads as checked for corrections."""
    _update(session, account, ids, to_correct=False)


def unchanged_leads(session: Session, account: str, listed: Collection[ListedLead]) -> set[ListedLead]:
    """Return which of these leads are stored with the same digest; none marked deleted, to be read in full again."""
    digests = dict(map(tuple, bulk.select_rows(session, _DIGESTS, account, [one.id for one in listed])))
    return {one for one in listed if digests.get(one.id) == one.digest}


def created_between(
    session: Session, account: str, ids: Collection[LeadId], *, since: datetime, before: datetime
) -> set[LeadId]:
    """Return which of these leads are stored and were created in `[since, before)`."""
    rows = bulk.select_rows(session, _CREATED, account, ids)
    return {LeadId(row.id) for row in rows if since <= row.created_at < before}


def stored_lead_ids(session: Session, account: str, ids: Collection[LeadId]) -> set[LeadId]:
    """Return which of these leads are stored."""
    return set(_ids(session, account, col(LeadRow.id).in_(ids)))


def leads_not_stored(session: Session, account: str, ids: Sequence[LeadId]) -> list[LeadId]:
    """Return which of these leads are not stored or are marked deleted, in the given order, without repeats."""
    known = {*_ids(session, account, col(LeadRow.id).in_(ids), col(LeadRow.deleted_at).is_(None))}
    return [lead for lead in dict.fromkeys(ids) if lead not in known]


def leads_worth_reading(session: Session, account: str, *, since: datetime, before: datetime) -> list[LeadId]:
    """Return leads that may still have something to send, unread since `before`, longest unread first.

    These are leads created or clicked since `since`, or with anything open, and not marked deleted. A click id that was
    erased can no longer be sent, so it makes no lead worth reading.
    """
    return _ids(session, account, _is_worth_reading(account, since), before > _READ_AT, order=_READ_AT)


def newest_unread_leads(
    session: Session, account: str, *, since: datetime | None, before: datetime, limit: int
) -> list[LeadId]:
    """Return the newest leads unread since `before`, but seen `since`, and not marked deleted.

    How many there are costs nothing more.
    """
    unread = select(LeadRow.id).where(LeadRow.account == account, col(LeadRow.deleted_at).is_(None), before > _READ_AT)
    if since is not None:
        unread = unread.where(col(LeadRow.seen_at) >= since)
    # By nothing else: an index has them in this order.
    return [LeadId(lead) for lead in session.exec(unread.order_by(col(LeadRow.created_at).desc()).limit(limit))]


def oldest_reading_time(session: Session, account: str, *, since: datetime) -> datetime | None:
    """Return when the longest-unread lead with possibly something to send was last seen or requested."""
    wanted = select(func.min(_READ_AT)).where(LeadRow.account == account, _is_worth_reading(account, since))
    found: datetime | None = session.exec(wanted).one()
    return found


def unlisted_open_leads(session: Session, account: str, *, since: datetime | None) -> list[LeadId]:
    """Return leads with open deliveries that are missing from the list, longest unread first.

    `since` is when a complete list was begun; with None, only leads already marked missing are returned.
    """
    unlisted = col(LeadRow.missing_since).is_not(None) if since is None else _not_listed_since(account, since)
    # Go from open deliveries to their leads: there may be many more leads than open deliveries.
    return _ids(session, account, unlisted, col(LeadRow.id).in_(_with_open(account)), order=_READ_AT)


def most_recently_seen_leads(
    session: Session, account: str, *, but: Collection[LeadId], limit: int = 1
) -> list[LeadId]:
    """Return the most recently seen leads that are not missing, excluding these."""
    excluded, present = set(but), col(LeadRow.missing_since).is_(None)
    rows = _ids(session, account, present, order=col(LeadRow.seen_at).desc(), limit=len(excluded) + limit)
    return [lead for lead in rows if lead not in excluded][:limit]


def leads_with_open_deliveries(session: Session, account: str) -> set[str]:
    """Return the leads with open deliveries."""
    return set(session.exec(_with_open(account)))


def _with_open(account: str) -> SelectOfScalar[str]:
    return select(Delivery.lead).where(Delivery.account == account, col(Delivery.state).in_(OPEN))


def _is_worth_reading(account: str, since: datetime) -> ColumnElement[bool]:
    # Go from what is new or open to its leads: most leads are neither.
    created = select(LeadRow.id).where(LeadRow.account == account, LeadRow.created_at >= since)
    clicked = select(ClickIdRow.lead).where(
        ClickIdRow.account == account, col(ClickIdRow.kind).in_(ClickIdKind), ClickIdRow.clicked_at >= since, WHOLE
    )
    return and_(col(LeadRow.deleted_at).is_(None), col(LeadRow.id).in_(union(created, clicked, _with_open(account))))


def has_vanished(account: str, shown_since: datetime) -> ColumnElement[bool]:
    """Match leads that are not known to exist still: none was shown, even as unreadable, since the reading began.

    Absence alone proves nothing where a reading may have missed leads: whoever concludes from it asks for them first.
    One whose id another lead has now is gone.
    """
    is_gone = or_(col(LeadRow.deleted_at).is_not(None), col(LeadRow.reused_in).is_not(None))
    return or_(is_gone, _not_listed_since(account, shown_since))


def not_asked_since(session: Session, account: str, ids: Iterable[LeadId], since: datetime) -> list[LeadId]:
    """Return which of these leads no reading has asked for by their own pages since then."""
    rows = bulk.select_rows(session, _ASKED, account, list(ids))
    return [LeadId(row.id) for row in rows if row.asked_at is None or row.asked_at < since]


def _not_listed_since(account: str, since: datetime) -> ColumnElement[bool]:
    """Match leads not listed since then, even as unreadable."""
    unreadable = exists().where(
        col(UnreadableLeadRow.account) == account,
        col(UnreadableLeadRow.id) == col(LeadRow.id),
        col(UnreadableLeadRow.seen_at) >= since,
        col(UnreadableLeadRow.there),  # some Opleads refuse what is gone
    )
    return and_(col(LeadRow.seen_at) < since, ~unreadable)


def _ids(
    session: Session,
    account: str,
    *conditions: ColumnExpressionArgument[bool],
    order: ColumnElement[datetime] | None = None,
    limit: int | None = None,
) -> list[LeadId]:
    """Return the leads that meet the conditions, ordered by `order`, then id."""
    wanted = select(LeadRow.id).where(LeadRow.account == account, *conditions)
    in_order = wanted.order_by(col(LeadRow.id)) if order is None else wanted.order_by(order, col(LeadRow.id))
    return [LeadId(lead) for lead in session.exec(in_order.limit(limit))]


# ── loading ──────────────────────────────────────────────────────────────────────────────────────


_FACTS = sqlalchemy.select(
    *(
        bulk.table_of(LeadRow).c[name]
        for name in (
            *("id", "created_at", "seen_at", "fresh", "digest", "click_id_problem", "ad_user_data"),
            *("ad_personalization", "facts", "excluded", "deleted_at", "reused_in", "contact_mark"),
        )
    )
).where(_OF_LEADS)
_CHANGES, _CLICKS, _HASHES = (
    sqlalchemy.select(*(bulk.table_of(table).c[name] for name in ("lead", *columns)))
    .where(bulk.has_lead_among(col(table.account), col(table.lead)))
    .order_by(*bulk.table_of(table).primary_key)
    for table, columns in (
        (StatusChange, ("label", "at", "date_only", "origin", "seen_at", "after")),
        (ClickIdRow, ("kind", "value", "clicked_at", "estimated")),
        (ContactHash, ("destination", "kind", "sha256")),
    )
)
# Looked up as text: calling an enumeration takes ten times as long.
_ORIGINS = {origin: origin for origin in StatusTimeOrigin}
_CLICK_KINDS = {kind: kind for kind in ClickIdKind}
_HASH_KINDS = {kind: kind for kind in ContactIdentifierKind}
_ANSWERS = {answer: answer for answer in ConsentAnswer}


def load_lead_facts(session: Session, account: str, ids: Collection[LeadId]) -> dict[LeadId, LeadFacts]:
    """Return the stored facts of each lead, in the rules' model."""
    rows = list(bulk.select_rows(session, _FACTS, account, ids))
    stored = [row.id for row in rows]
    if not set(ids).issuperset(stored):
        raise ValueError("a row names another lead than its index does")
    changes: defaultdict[str, list[StatusEntered]] = defaultdict(list)
    for lead, label, at, date_only, origin, seen_at, after in bulk.select_rows(session, _CHANGES, account, stored):
        changes[lead].append(StatusEntered(label, at, date_only, _ORIGINS[origin], seen_at, after))
    clicks: defaultdict[str, list[KnownClickId]] = defaultdict(list)
    for lead, kind, value, clicked_at, estimated in bulk.select_rows(session, _CLICKS, account, stored):
        clicks[lead].append(KnownClickId(_CLICK_KINDS[kind], value, clicked_at, estimated))
    hashes: defaultdict[str, defaultdict[DestinationId, list[Identifier]]] = defaultdict(lambda: defaultdict(list))
    for lead, destination, kind, sha256 in bulk.select_rows(session, _HASHES, account, stored):
        hashes[lead][destination].append(Identifier(_HASH_KINDS[kind], sha256))
    found = {}
    for row in rows:
        lead, created_at, seen_at, fresh, digest, problem, user_data, personalization, *others = row
        facts, excluded, deleted_at, reused_in, contact_mark = others
        kept = json.loads(facts)
        found[lead] = LeadFacts(
            id=lead,
            created_at=created_at,
            seen_at=seen_at,
            fresh=fresh,
            stale=not digest,
            changes=tuple(changes[lead]),
            click_ids=tuple(clicks[lead]),
            click_id_problem=problem,
            ad_user_data=_ANSWERS[user_data],
            ad_personalization=_ANSWERS[personalization],
            where=kept["where"],
            amounts={path: stored_amount(text) for path, text in kept["amounts"].items()},
            identifiers={destination: tuple(each) for destination, each in hashes[lead].items()},
            excluded=excluded,
            deleted=deleted_at is not None,
            reused=reused_in is not None,
            contact_mark=contact_mark,
        )
    return found


def count_labels(session: Session, account: str, *, but: Collection[str]) -> list[tuple[str, int, int]]:
    """Return each current status label except these, with its number of leads and how many of them have a click id.

    Test leads and deleted ones are not counted; a label that only they have is left out.
    """
    counts = select(func.count(), func.count().filter(has_related_row(ClickIdRow, account))).where(
        LeadRow.account == account, IS_COUNTED
    )
    return [
        (label, leads, with_click)
        for label in labels_seen.labels_on_leads(session, account)
        if label not in but
        for leads, with_click in session.exec(counts.where(LeadRow.label == label))
        if leads
    ]


IS_COUNTED = and_(~col(LeadRow.excluded), col(LeadRow.deleted_at).is_(None))
"""Matches leads that count: neither test leads nor deleted ones."""


def has_related_row(
    table: type[ClickIdRow | StatusChange | Delivery], account: str, *conditions: ColumnElement[bool]
) -> ColumnElement[bool]:
    """Match leads that have a row in a table that meets the conditions."""
    return exists().where(col(table.account) == account, col(table.lead) == col(LeadRow.id), *conditions)


# ── erasing ──────────────────────────────────────────────────────────────────────────────────────


def erase_unusable_hashes_and_clicks(
    session: Session, account: str, *, clicks_before: datetime, but: Mapping[ClickIdKind, datetime]
) -> None:
    """Erase contact hashes that no unsent row can use, and click ids older than `clicks_before`.

    `but` overrides that cutoff for specific kinds of click ids.
    """
    erase_unusable_hashes(session, account)
    kinds: defaultdict[datetime, list[ClickIdKind]] = defaultdict(list)
    for kind in ClickIdKind:
        kinds[but.get(kind, clicks_before)].append(kind)
    for before, some in kinds.items():
        _erase_clicks(session, account, some, before=before)


def erase_contact_marks(session: Session, account: str, *, created_before: datetime) -> None:
    """Erase by what leads that were created before then would be known again."""
    closed = (col(LeadRow.account) == account, col(LeadRow.created_at) < created_before, MARKED)
    session.exec(update(LeadRow).where(*closed).values(contact_mark=None).execution_options(synchronize_session=False))


def erase_unusable_hashes(session: Session, account: str, *, moved_in: int | None = None) -> None:
    """Erase contact hashes that no unsent row can use: all, or only those of leads with a delivery moved in a run."""
    concerned = [col(ContactHash.account) == account]
    if moved_in is not None:
        moved = select(Delivery.lead).join(Transition, col(Transition.delivery) == col(Delivery.id))
        concerned.append(col(ContactHash.lead).in_(moved.where(Transition.run == moved_in)))
    for destination in session.exec(select(ContactHash.destination).where(*concerned).distinct()).all():
        _erase_hashes(session, account, destination, *concerned)


def _erase_hashes(session: Session, account: str, destination: str, *concerned: ColumnElement[bool]) -> None:
    """Erase those of the concerned contact hashes that no open or frozen delivery to a destination can use."""
    # The leads in use are listed once instead of looked up for each hash, and by lead rather than by (lead,
    # destination): for a pair not in a list, SQLite scans the whole list for nulls.
    used = select(Delivery.lead).where(
        Delivery.account == account, Delivery.destination == destination, col(Delivery.state).in_(OPEN | FROZEN)
    )
    session.exec(
        delete(ContactHash)
        .where(
            *concerned,
            col(ContactHash.destination) == destination,
            col(ContactHash.lead).not_in(used),
            ~labels_seen.waits_for_rename(col(ContactHash.lead), account),
        )
        .execution_options(synchronize_session=False)
    )


def _erase_clicks(session: Session, account: str, kinds: Sequence[ClickIdKind], *, before: datetime) -> None:
    """Replace click ids of these kinds with their digests, in batches that bound memory."""
    closed = select(ClickIdRow.lead, ClickIdRow.kind, ClickIdRow.value).where(
        ClickIdRow.account == account, col(ClickIdRow.kind).in_(kinds), ClickIdRow.clicked_at < before, WHOLE
    )
    while some := session.exec(closed.limit(_ERASED_AT_ONCE)).all():
        replace = (
            update(ClickIdRow)
            .where(
                col(ClickIdRow.account) == account,
                col(ClickIdRow.lead) == bindparam("of_lead"),
                col(ClickIdRow.kind) == bindparam("of_kind"),
                col(ClickIdRow.value) == bindparam("whole"),
            )
            .values(value=bindparam("erased"))
            .execution_options(synchronize_session=False)
        )
        values = [
            {"of_lead": lead, "of_kind": kind, "whole": value, "erased": erased_click_id_hash(value)}
            for lead, kind, value in some
        ]
        session.connection().execute(replace, values)


def stored_amount(text: str) -> Amount:
    """Return an amount that a lead's facts hold."""
    return UnreadableAmount(text.strip("<>")) if text.startswith("<") else Decimal(text)
