"""Consent as evidence: which answer was read from where and when, and what was sent on it."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy
from sqlalchemy import and_, bindparam, func
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger import bulk
from jobs.ledger.json_sql import json_list_table, json_text_at
from jobs.ledger.outbox.requests import RequestState
from jobs.ledger.schema import (
    AssumedConsent,
    Attempt,
    ConsentAnswerRow,
    Delivery,
    DeliveryRecord,
    Request,
    stored_row_id,
)
from jobs.rules.extraction import ConsentReading, StorableLead
from jobs.rules.model import ConsentAnswer, LeadFacts

_ANSWER = bulk.table_of(ConsentAnswerRow)
_SAME = ("answer", "field", "value")
"""The columns of which one differs in a new answer."""
_READ = ("lead", "signal", *_SAME)
"""The columns of a new answer, in the order of their JSON list."""
_listed = json_list_table(bindparam("answers"))
# The offset has PostgreSQL take the items apart before it compares them. It trusts no function of JSON with what
# row-level security hides, so would look up no index by them, and read all answers of the account for each new one.
_NEW = (
    sqlalchemy.select(*(json_text_at(_listed.c.value, place).label(name) for place, name in enumerate(_READ)))
    .offset(0)
    .subquery()
)
_IS_AS_BEFORE = (
    sqlalchemy.select(and_(*(_ANSWER.c[name].is_not_distinct_from(_NEW.c[name]) for name in _SAME)))
    .where(_ANSWER.c.account == bindparam("of_account"))
    .where(*(_ANSWER.c[name] == _NEW.c[name] for name in ("lead", "signal")))
    .order_by(_ANSWER.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_RECORD = bulk.insert_into(ConsentAnswerRow).from_select(
    ["account", "read_at", *_READ],
    sqlalchemy.select(
        bindparam("of_account", type_=_ANSWER.c.account.type), bindparam("at", type_=_ANSWER.c.read_at.type), *_NEW.c
    ).where(_IS_AS_BEFORE.is_not(sqlalchemy.true())),
)
_LATEST = (
    sqlalchemy.select(_ANSWER.c.lead, _ANSWER.c.signal, func.max(_ANSWER.c.id).label("number"))
    .where(bulk.has_lead_among(col(ConsentAnswerRow.account), col(ConsentAnswerRow.lead)))
    .group_by(_ANSWER.c.lead, _ANSWER.c.signal)
)


_SENT = (
    select(Attempt.delivery)
    .join(Request, col(Request.id) == col(Attempt.request))
    .join(Delivery, col(Delivery.id) == col(Attempt.delivery))
    .where(Request.state != RequestState.NOT_SENT)
)
"""The deliveries that a platform has, or may have: a connection that failed has sent nothing."""


# ── recording ────────────────────────────────────────────────────────────────────────────────────


def record_consent_answers(
    session: Session,
    account: str,
    readings: Sequence[StorableLead],
    known: Mapping[LeadId, LeadFacts],
    *,
    read_at: datetime,
) -> None:
    """Record the answers that differ from the last of the same lead and signal, by one statement.

    `known` are the facts stored before. A signal that the settings name no field for is only recorded where they used
    to name one.
    """
    answers = [
        (reading.lead.id, *answer) for reading in readings for answer in _evidence(reading, known.get(reading.lead.id))
    ]
    if answers:
        session.connection().execute(_RECORD, {"of_account": account, "at": read_at, "answers": json.dumps(answers)})


def _evidence(reading: StorableLead, before: LeadFacts | None) -> Iterator[ConsentReading]:
    for answer, last in (
        (reading.ad_user_data, before and before.ad_user_data),
        (reading.ad_personalization, before and before.ad_personalization),
    ):
        if answer.answer is not ConsentAnswer.NOT_ASKED or last not in (None, ConsentAnswer.NOT_ASKED):
            yield answer


def latest_consent_answer_ids(session: Session, account: str, leads: Collection[str]) -> dict[tuple[str, str], int]:
    """Return the id of the answer in force, by lead and signal."""
    return {(row.lead, row.signal): row.number for row in bulk.select_rows(session, _LATEST, account, leads)}


def record_consent_assumption(session: Session, account: str, because: str | None, *, now: datetime) -> int:
    """Return the id of the assumption with this reason, which is recorded unless it is the last one."""
    wanted = select(AssumedConsent).where(AssumedConsent.account == account).order_by(col(AssumedConsent.id).desc())
    last = session.exec(wanted.limit(1)).first()
    if last is None or last.because != because:
        last = AssumedConsent(account=account, because=because, since=now)
        session.add(last)
        session.flush()
    return stored_row_id(last)


# ── the evidence ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RecordedConsentAnswer:
    """A lead's answer to one consent question, and when it was first read."""

    signal: str
    answer: str
    field: str
    value: str | None
    read_at: datetime


@dataclass(frozen=True, slots=True)
class ConsentAssumption:
    """Why a missing answer was taken as yes, and since when."""

    because: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class DeliveryConsent:
    """The consent that a delivery was last sent on."""

    answers: tuple[RecordedConsentAnswer, ...] = ()
    assumed: ConsentAssumption | None = None


@dataclass(frozen=True, slots=True)
class ConsentEvidence:
    """What is kept of a lead's consent."""

    answers: tuple[RecordedConsentAnswer, ...]
    """Every answer, in the order they were read; each holds until the next of its signal."""
    sent_on: Mapping[int, DeliveryConsent]
    """What each delivery that was sent rested on, by its id."""


def consent_evidence(session: Session, account: str, lead: LeadId) -> ConsentEvidence:
    """Return every consent answer of a lead, and those that each of its deliveries was sent on."""
    rows = session.exec(
        select(ConsentAnswerRow)
        .where(ConsentAnswerRow.account == account, ConsentAnswerRow.lead == lead)
        .order_by(col(ConsentAnswerRow.id))
    ).all()
    answers = {row.id: RecordedConsentAnswer(row.signal, row.answer, row.field, row.value, row.read_at) for row in rows}
    deliveries = session.exec(select(Delivery).where(Delivery.account == account, Delivery.lead == lead)).all()
    sent = set(session.exec(_SENT.where(Delivery.account == account, Delivery.lead == lead)))
    basis = {each.id: _basis(session, each, answers) for each in deliveries if each.id in sent}
    return ConsentEvidence(
        tuple(answers.values()), {number: each for number, each in basis.items() if each.answers or each.assumed}
    )


def _basis(
    session: Session, row: DeliveryRecord, answers: Mapping[int | None, RecordedConsentAnswer]
) -> DeliveryConsent:
    found = tuple(answers[each] for each in (row.user_data_answer, row.personalization_answer) if each in answers)
    why = None if row.assumed_consent is None else session.get(AssumedConsent, row.assumed_consent)
    return DeliveryConsent(found, None if why is None else ConsentAssumption(why.because, why.since))
