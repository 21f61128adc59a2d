"""Everything the ledger holds about one lead, table by table, for a person who asks what is held on them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Table
from sqlmodel import Session, col, select

from connectors.records import LeadId
from jobs.ledger import bulk
from jobs.ledger.outbox import consents
from jobs.ledger.outbox.consents import ConsentEvidence
from jobs.ledger.outbox.requests import attempts_of_delivery
from jobs.ledger.report import queries
from jobs.ledger.retention import erasure
from jobs.ledger.schema import (
    Attempt,
    ClickIdRow,
    ContactHash,
    DedupKey,
    Delivery,
    ExcludedTestLead,
    LabelMove,
    LeadRow,
    LedgerRow,
    ReportedLeadRow,
    Request,
    StatusChange,
    UnreadableLeadRow,
    stored_row_id,
)

_OF_THE_MACHINERY = frozenset(
    {"account", "lead", "event", "inbox", "in_doubt_request", "estimate", "run", "delivery", "original"}
    | {"user_data_answer", "personalization_answer", "assumed_consent"}
)
"""Columns that say nothing of the person: they join rows, or are said in another way."""


def ledger_data_of_lead(session: Session, account: str, lead: LeadId) -> dict[str, Any]:
    """Return what the ledger holds on a lead; times are aware, and what is sent is told by the names of its fields."""
    row = session.get(LeadRow, (account, lead))
    evidence = consents.consent_evidence(session, account, lead)
    return {
        "lead": None if row is None else _columns(row) | _readable(row),
        "status_changes": _rows(session, StatusChange, account, lead),
        "label_moves": _rows(session, LabelMove, account, lead),
        "consent_answers": [asdict(answer) for answer in evidence.answers],
        "click_ids": _rows(session, ClickIdRow, account, lead),
        "contact_hashes": _rows(session, ContactHash, account, lead),
        "deduplication_keys": _rows(session, DedupKey, account, lead),
        "deliveries": list(_deliveries(session, account, lead, evidence)),
        "excluded": _named(session, ExcludedTestLead, account, lead),
        "unreadable": _named(session, UnreadableLeadRow, account, lead),
        "reported": _rows(session, ReportedLeadRow, account, lead),
        "forgotten_on": erasure.forgotten_among(session, account, [lead]).get(lead),
    }


def _readable(row: LeadRow) -> dict[str, Any]:
    return {"facts": json.loads(row.facts), "contact_mark": row.contact_mark and row.contact_mark.hex()}


def _rows(session: Session, model: type[LedgerRow], account: str, lead: LeadId) -> list[dict[str, Any]]:
    table = bulk.table_of(model)
    return _records(session, table, (table.c.account == account) & (table.c.lead == lead))


def _named(session: Session, model: type[LedgerRow], account: str, lead: LeadId) -> dict[str, Any] | None:
    row = session.get(model, (account, lead))
    return None if row is None else _columns(row)


def _records(session: Session, table: Table, which: ColumnElement[bool]) -> list[dict[str, Any]]:
    wanted = sqlalchemy.select(table).where(which).order_by(*table.primary_key.columns)
    return [_without_machinery(row.items()) for row in session.connection().execute(wanted).mappings()]


def _columns(row: LedgerRow) -> dict[str, Any]:
    return _without_machinery((name, getattr(row, name)) for name in type(row).model_fields)


def _without_machinery(columns: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    return {str(name): value for name, value in columns if name not in _OF_THE_MACHINERY}


def _deliveries(session: Session, account: str, lead: LeadId, evidence: ConsentEvidence) -> Iterator[dict[str, Any]]:
    """Yield each delivery with the consent it was sent on, its history and the requests that it was part of."""
    wanted = select(Delivery).where(Delivery.account == account, Delivery.lead == lead)
    for each in session.exec(wanted.order_by(col(Delivery.id))):
        basis = evidence.sent_on.get(stored_row_id(each))
        yield _columns(each) | {
            "sent_on": None if basis is None else asdict(basis),
            "corrects": each.original,
            "fields_sent": sorted(_field_names(each.event)),
            "transitions": [_columns(move) for move in queries.state_history(session, each)],
            "attempts": [_attempt(attempt, request) for attempt, request in attempts_of_delivery(session, each)],
        }


def _attempt(attempt: Attempt, request: Request) -> dict[str, Any]:
    return {
        "request": stored_row_id(request),
        "sent_at": request.sent_at,
        "destination": request.destination,
        "transport": request.transport,
        "owner": request.owner,
        "action": request.action,
        "state": request.state,
        "outcome": attempt.outcome,
        "code": attempt.code,
    }


def _field_names(event: bytes | None) -> Iterator[str]:
    """Yield the names of an encoded event's fields; its bytes are kept only while their outcome is open."""
    if event is None:
        return
    try:
        yield from _names(json.loads(event))
    except ValueError:  # not every platform takes JSON
        yield "(binary)"


def _names(value: object, path: str = "") -> Iterator[str]:
    match value:
        case Mapping():
            for name, inner in value.items():
                yield from _names(inner, f"{path}.{name}" if path else str(name))
        case list():
            for inner in value:
                yield from _names(inner, path)
        case _:
            yield path
