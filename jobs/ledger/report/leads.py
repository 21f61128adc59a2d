"""Queries for the page: leads counted by campaign, stage and agency, and how they came to be sold.

What can be counted without a look at each lead is counted by the database; all times are seconds since 1970. With
`among`, only those of these leads are counted.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import ColumnElement, Executable, Integer, Label, Row, and_, exists, func, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import aliased
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Session, col, select

from jobs.ledger import bulk
from jobs.ledger.json_sql import json_text_at
from jobs.ledger.leads.leads import IS_COUNTED, has_related_row
from jobs.ledger.schema import STREAMED, ClickIdRow, LeadRow, Run, StatusChange, StatusLabel, UnreadableLeadRow
from jobs.rules.model import StatusTimeOrigin

Span = tuple[datetime, datetime]
"""From the first instant to the last, which is excluded."""

_DAY = 86_400
_TENTH = _DAY // 10
_DATED_WITHIN = 2 * _DAY
"""A status that a lead had at first sight, without a date, is dated well enough by a reading this soon after."""


class _Seconds(FunctionElement[int]):
    """A time as whole seconds since 1970: a million of them are read in a fraction of the time that aware ones take."""

    inherit_cache = True
    type = Integer()


@compiles(_Seconds)
def _extracted(element: _Seconds, compiler: SQLCompiler, **more: Any) -> str:
    return f"CAST(floor(EXTRACT(epoch FROM {compiler.process(element.clauses, **more)})) AS BIGINT)"


@compiles(_Seconds, "sqlite")
def _formatted(element: _Seconds, compiler: SQLCompiler, **more: Any) -> str:
    return f"CAST(strftime('%s', {compiler.process(element.clauses, **more)}) AS INTEGER)"


# ── leads created in a span ──────────────────────────────────────────────────────────────────────

_UTM = (col(LeadRow.utm_source), col(LeadRow.utm_medium), col(LeadRow.utm_campaign))
_OF_LEAD = (col(StatusChange.account) == col(LeadRow.account), col(StatusChange.lead) == col(LeadRow.id))
_ENTERED = col(StatusChange.origin) != StatusTimeOrigin.RELABEL
"""Matches entries; one shown under a status's new name is none."""
_LATEST = _Seconds(col(StatusChange.at)) + sqlalchemy.case((col(StatusChange.date_only), _DAY), else_=0)
"""The last second at which a change may have happened."""
_AGENCY = json_text_at(col(LeadRow.facts), "by")
"""A lead's value at `report.by`."""


def count_leads(
    session: Session, account: str, created: Span, *, not_from_ads: Collection[str], among: Collection[str] | None
) -> Iterator[Row[Any]]:
    """Yield the leads created in a span by campaign: utm_source, utm_medium, utm_campaign, leads and with_click.

    `with_click` is how many have a click id of another kind than these.
    """
    clicked = has_related_row(ClickIdRow, account, col(ClickIdRow.kind).not_in(not_from_ads))
    count = (func.count().label("leads"), func.count().filter(clicked).label("with_click"))
    yield from _read(session, sqlalchemy.select(*_UTM, *count).where(_made(account, created, among)).group_by(*_UTM))


def count_leads_by_stage(
    session: Session, account: str, created: Span, stage_of: Mapping[str, str], *, among: Collection[str] | None
) -> Iterator[Row[Any]]:
    """Yield how many leads created in a span ever reached each stage.

    The columns are utm_source, utm_medium, utm_campaign, stage and leads.
    """
    if not stage_of:
        return
    stage = sqlalchemy.case(stage_of, value=col(StatusChange.label)).label("stage")
    yield from _read(
        session,
        sqlalchemy.select(*_UTM, stage, func.count(col(LeadRow.id).distinct()).label("leads"))
        .join_from(LeadRow, StatusChange, and_(*_OF_LEAD))
        .where(_made(account, created, among), col(StatusChange.label).in_(stage_of))
        .group_by(*_UTM, stage.name),
    )


def count_sold_leads(
    session: Session,
    account: str,
    created: Span,
    *,
    sold: Collection[str] | None,
    deciding: Collection[str],
    among: Collection[str] | None,
) -> Iterator[Row[Any]]:
    """Yield the leads created in a span that ever had one of the labels `sold`, or all, by what decides of their sale.

    The columns are utm_source, utm_medium, utm_campaign, facts, decided_by and leads; `decided_by` is the one of the
    labels `deciding` that they have now or, in another status, entered last.
    """
    reached = sqlalchemy.true() if sold is None else has_related_row(StatusChange, account, _has_label(sold))
    alike = (*_UTM, col(LeadRow.facts))
    yield from _read(
        session,
        sqlalchemy.select(*alike, _decided_by(deciding), func.count().label("leads"))
        .where(_made(account, created, among), reached)
        .group_by(*alike, "decided_by"),
    )


def count_leads_by_agency(session: Session, account: str, created: Span) -> Iterator[Row[Any]]:
    """Yield the leads created in a span by their value at `report.by`: agency, leads and untouched.

    `untouched` are those that never had another status than their first.
    """
    statuses = sqlalchemy.select(func.count(col(StatusChange.label).distinct())).where(*_OF_LEAD, _ENTERED)
    count = (func.count().label("leads"), func.count().filter(statuses.scalar_subquery() <= 1).label("untouched"))
    yield from _read(
        session, sqlalchemy.select(_AGENCY.label("agency"), *count).where(_made(account, created)).group_by("agency")
    )


def count_changes_by_delay(session: Session, account: str, created: Span, since: datetime) -> Iterator[Row[Any]]:
    """Yield the changes of leads created in a span, and dated by Oplead since a time, by how late they were read.

    The columns are agency (the lead's value at `report.by`), tenths (of a day, rounded) and changes.
    """
    late = _Seconds(col(StatusChange.seen_at)) - _LATEST
    tenths = ((sqlalchemy.case((late > 0, late), else_=0) + _TENTH // 2) // _TENTH).label("tenths")
    yield from _read(
        session,
        sqlalchemy.select(_AGENCY.label("agency"), tenths, func.count().label("changes"))
        .join_from(LeadRow, StatusChange, and_(*_OF_LEAD))
        .where(
            _made(account, created),
            col(StatusChange.origin) == StatusTimeOrigin.REPORTED,
            _Seconds(col(StatusChange.at)) >= int(since.timestamp()),
        )
        .group_by("agency", "tenths"),
    )


def _made(account: str, created: Span, among: Collection[str] | None = None) -> ColumnElement[bool]:
    at = col(LeadRow.created_at)
    wanted = and_(col(LeadRow.account) == account, at >= created[0], at < created[1], IS_COUNTED)
    return wanted if among is None else wanted & bulk.column_in_ids(col(LeadRow.id), among)


def _has_label(labels: Collection[str]) -> ColumnElement[bool]:
    return col(StatusChange.label).in_(labels)


def _decided_by(labels: Collection[str]) -> Label[Any]:
    """Return which of these labels a lead has now or, in another status, entered last."""
    if not labels:
        return sqlalchemy.null().label("decided_by")
    change = aliased(StatusChange)
    last = (
        sqlalchemy.select(col(change.label))
        .where(
            col(change.account) == col(LeadRow.account),
            col(change.lead) == col(LeadRow.id),
            col(change.label).in_(labels),
            col(change.origin) != StatusTimeOrigin.RELABEL,
        )
        .order_by(col(change.at).desc(), col(change.seen_at).desc(), col(change.id).desc())
        .limit(1)
        .scalar_subquery()
    )
    now = col(LeadRow.label)
    return sqlalchemy.case((now.in_(labels), now), else_=last).label("decided_by")


def _read(session: Session, statement: Executable) -> Iterator[Row[Any]]:
    # Rows taken one by one from a streamed result cost twice as much.
    for part in session.connection().execute(statement, execution_options=STREAMED).partitions():
        yield from part


# ── sales and entries, with the clicks before them ───────────────────────────────────────────────

RecordedClick = tuple[str | None, int | None]
"""A click id's kind, and when it was clicked; for a lead without click ids, twice None."""


class LeadWithClicks(NamedTuple):
    """A lead that was created or entered a status, and its click ids.

    It is a tuple because reading a field of a database row takes ten times as long, and there are many.
    """

    lead: str
    decided_by: str | None
    """See `count_sold_leads`."""
    facts: str
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    at: int
    latest: int
    """The last second at which it may have happened."""
    clicks: list[RecordedClick]


class EntryWithClicks(NamedTuple):
    """A lead's first entry into a stage, and its click ids."""

    change: int
    stage: str
    at: int
    latest: int
    """The last second at which it may have happened."""
    seen_at: int
    clicks: list[RecordedClick]


_CLICKS_OF_LEAD = (col(ClickIdRow.account) == col(LeadRow.account), col(ClickIdRow.lead) == col(LeadRow.id))
_CLICK = (col(ClickIdRow.kind), _Seconds(col(ClickIdRow.clicked_at)).label("clicked_at"))
_CREATED = _Seconds(col(LeadRow.created_at)).label("created_at")
_AT = _Seconds(col(StatusChange.at))
_ENTRY = (_AT.label("at"), _LATEST.label("latest"))
_KNOWN_SINCE = _Seconds(
    sqlalchemy.case(
        (col(StatusChange.after) > col(LeadRow.created_at), col(StatusChange.after)), else_=LeadRow.created_at
    )
)
_IS_DATED = or_(col(StatusChange.origin) != StatusTimeOrigin.BASELINE, _AT - _KNOWN_SINCE <= _DATED_WITHIN)
"""Matches entries of which it is known well enough when they happened."""


def leads_created_in_span(
    session: Session, account: str, created: Span, deciding: Collection[str], *, among: Collection[str] | None
) -> Iterator[LeadWithClicks]:
    """Yield the leads created in a span."""
    lead = (col(LeadRow.id), _decided_by(deciding), col(LeadRow.facts), *_UTM)
    rows = _read(
        session,
        sqlalchemy.select(*lead, _CREATED, _CREATED.label("latest"), *_CLICK)
        .join_from(LeadRow, ClickIdRow, and_(*_CLICKS_OF_LEAD), isouter=True)
        .where(_made(account, created, among))
        .order_by(col(LeadRow.id)),
    )
    yield from map(LeadWithClicks._make, _with_clicks(rows))


def leads_entering_statuses(
    session: Session,
    account: str,
    entered: Span,
    labels: Collection[str],
    deciding: Collection[str],
    *,
    among: Collection[str] | None,
) -> Iterator[LeadWithClicks]:
    """Yield the leads that entered one of these statuses first in a span; entries that are not dated are left out."""
    lead = (col(LeadRow.id), _decided_by(deciding), col(LeadRow.facts), *_UTM)
    rows = _read(
        session,
        sqlalchemy.select(*lead, *_ENTRY, *_CLICK)
        .join_from(StatusChange, LeadRow, and_(*_OF_LEAD))
        .outerjoin(ClickIdRow, and_(*_CLICKS_OF_LEAD))
        .where(*_first_entries(account, entered, dict.fromkeys(labels, ""), among))
        .order_by(col(StatusChange.id)),
    )
    yield from map(LeadWithClicks._make, _with_clicks(rows))


def entries_after_clicks(
    session: Session, account: str, entered: Span, stage_of: Mapping[str, str]
) -> Iterator[EntryWithClicks]:
    """Yield the first entries into each stage in a span.

    Those that are not dated, and those of leads without a click id, are left out.
    """
    if not stage_of:
        return
    stage = sqlalchemy.case(stage_of, value=col(StatusChange.label)).label("stage")
    seen = _Seconds(col(StatusChange.seen_at)).label("seen_at")
    rows = _read(
        session,
        sqlalchemy.select(col(StatusChange.id), stage, *_ENTRY, seen, *_CLICK)
        .join_from(StatusChange, LeadRow, and_(*_OF_LEAD))
        .join(ClickIdRow, and_(*_CLICKS_OF_LEAD))
        .where(*_first_entries(account, entered, stage_of))
        .order_by(col(StatusChange.id)),
    )
    yield from map(EntryWithClicks._make, _with_clicks(rows))


def _first_entries(
    account: str, entered: Span, stage_of: Mapping[str, str], among: Collection[str] | None = None
) -> Iterator[ColumnElement[bool]]:
    if among is not None:
        yield (col(StatusChange.account) == account) & bulk.column_in_ids(col(StatusChange.lead), among)
    else:
        # Most rows are the account's: looking each one up by its account takes far longer than reading all in order.
        yield func.coalesce(col(StatusChange.account), "") == account
    yield from (col(StatusChange.at) >= entered[0], col(StatusChange.at) < entered[1], _has_label(stage_of))
    yield from (_ENTERED, IS_COUNTED, _IS_DATED)
    earlier, at = aliased(StatusChange), col(StatusChange.at)
    is_same_stage = (
        sqlalchemy.case(stage_of, value=col(earlier.label)) == sqlalchemy.case(stage_of, value=col(StatusChange.label))
        if len(set(stage_of.values())) > 1
        else sqlalchemy.true()
    )
    yield ~exists().where(
        col(earlier.account) == col(StatusChange.account),
        col(earlier.lead) == col(StatusChange.lead),
        or_(col(earlier.at) < at, and_(col(earlier.at) == at, col(earlier.id) < col(StatusChange.id))),
        col(earlier.label).in_(stage_of),
        col(earlier.origin) != StatusTimeOrigin.RELABEL,
        is_same_stage,
    )


def _with_clicks(rows: Iterable[Row[Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield rows that follow each other with the same first column as one: what is theirs, and the list of clicks."""
    for _, same in groupby(rows, key=itemgetter(0)):
        first, *others = same
        yield (*first[:-2], [first[-2:], *(row[-2:] for row in others)])


# ── what else is known of leads ──────────────────────────────────────────────────────────────────


@lru_cache(maxsize=4096)  # most leads have no amount, and then the same facts as many others
def amounts_and_agency(facts: str) -> tuple[Mapping[str, Decimal], str | None]:
    """Return a lead's amounts by path, without those that cannot be read, and its value at `report.by`."""
    kept = json.loads(facts)
    amounts = {path: Decimal(text) for path, text in kept["amounts"].items() if not text.startswith("<")}
    return amounts, kept.get("by")


_CREATIONS = sqlalchemy.select(col(LeadRow.id), col(LeadRow.created_at)).where(
    bulk.has_lead_among(col(LeadRow.account), col(LeadRow.id))
)


def lead_creation_times(session: Session, account: str, leads: Collection[str]) -> Iterator[Row[Any]]:
    """Yield when each of these leads was created: its id and the time."""
    yield from bulk.select_rows(session, _CREATIONS, account, leads)


def first_run_started(session: Session, account: str) -> datetime | None:
    """Return when the account's first run began."""
    return session.exec(select(func.min(Run.started_at)).where(Run.account == account)).one()


def label_first_seen(session: Session, account: str) -> dict[str, datetime]:
    """Return when each label was first seen, by the label as it is compared."""
    rows = session.exec(select(StatusLabel.label, StatusLabel.seen_at).where(StatusLabel.account == account))
    return dict(rows.all())


def leads_with_label(session: Session, account: str, label: str, *, limit: int) -> list[str]:
    """Return the latest leads with a click id that have this label now."""
    has_click = has_related_row(ClickIdRow, account)
    wanted = select(LeadRow.id).where(LeadRow.account == account, LeadRow.label == label, has_click, IS_COUNTED)
    return list(session.exec(wanted.order_by(col(LeadRow.created_at).desc(), col(LeadRow.id)).limit(limit)))


def unreadable_leads(session: Session, account: str) -> dict[str, list[str]]:
    """Return the ids of the leads that cannot be read, by the problem, the last seen first."""
    rows = session.exec(
        select(UnreadableLeadRow.reason, UnreadableLeadRow.id)
        .where(UnreadableLeadRow.account == account)
        .order_by(col(UnreadableLeadRow.seen_at).desc(), col(UnreadableLeadRow.id))
    )
    found: dict[str, list[str]] = {}
    for reason, lead in rows:
        found.setdefault(reason, []).append(lead)
    return found


def first_told_of_unreadable(session: Session, account: str) -> datetime | None:
    """Return when the run began that first told of a lead that cannot be read still; of runs erased, the next one."""
    first = select(func.min(UnreadableLeadRow.reported_in)).where(UnreadableLeadRow.account == account)
    return session.exec(
        select(func.min(Run.started_at)).where(Run.account == account, col(Run.id) >= first.scalar_subquery())
    ).one()
