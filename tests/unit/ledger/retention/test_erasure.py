"""Erasing a lead leaves no row about it in any table, and every row about others."""

from datetime import date

import pytest
import sqlalchemy
from sqlmodel import SQLModel, select

from connectors.records import LeadId
from jobs.ledger import incidents
from jobs.ledger.retention import erasure
from jobs.ledger.schema import IncidentRow
from jobs.ledger.stored_values import values_from_json, values_to_json
from tests.builders import ACCOUNT
from tests.fakes import NIGHT

GONE, KEPT = LeadId("L-1"), LeadId("L-2")
NUMBERS = {GONE: 101, KEPT: 102}
OF_A_LEAD = ("lead", "delivery", "original")
"""Columns by which a row is about a lead."""
NAMED_BY_ID = ("lead", "unreadable_lead", "excluded_lead")
"""Tables whose rows are named by the lead's id."""
REMEMBERED = ("forgotten_lead",)
"""Tables that keep a lead's id once it is erased."""


def about_leads():
    """The tables whose rows are each about one lead, those first that others refer to."""
    return [
        table
        for table in SQLModel.metadata.sorted_tables
        if table.name not in REMEMBERED and (set(OF_A_LEAD) & set(table.columns.keys()) or "lead" in table.name)
    ]


def value(table, column, lead):
    """Return a value that fits a column, in a row about this lead."""
    if column.name == "account":
        return ACCOUNT
    if column.name == "lead" or (column.name == "id" and table.name in NAMED_BY_ID):
        return lead
    if column.name == "number":
        return 0
    if column.name in ("id", "run", "request", "delivery"):
        return NUMBERS[lead]
    kind = str(column.type)
    if kind == "VARCHAR":
        return "conversion" if column.name == "kind" and table.name == "delivery" else f"{column.name} of {lead}"
    return {"DATETIME": NIGHT, "DATE": NIGHT.date(), "BOOLEAN": False}.get(kind, 7)


def row(table, lead):
    """Return a row about a lead with everything that it needs."""
    return {
        column.name: value(table, column, lead)
        for column in table.columns
        if column.primary_key or not (column.nullable or column.server_default)
    }


def fill(session):
    """Add a row about each lead to every table, and a correction of its delivery."""
    parents = [SQLModel.metadata.tables[name] for name in ("run", "request")]
    for table in [*parents, *about_leads()]:
        for lead in NUMBERS:
            session.connection().execute(sqlalchemy.insert(table).values(row(table, lead)))
    delivery = SQLModel.metadata.tables["delivery"]
    for lead, number in NUMBERS.items():
        correction = row(delivery, lead) | {"id": number + 100, "original": number, "kind": "retraction", "number": 1}
        session.connection().execute(sqlalchemy.insert(delivery).values(correction))


def contents(session):
    """Every row of every table about leads, as text."""
    return {
        table.name: [
            str(tuple(each))
            for each in session.connection().execute(sqlalchemy.select(table).order_by(*table.primary_key))
        ]
        for table in about_leads()
    }


def test_every_table_about_leads_is_erased(ledger):
    """A table that has a lead's or a delivery's rows is covered from the day it is added."""
    with ledger.write_transaction() as session:
        fill(session)
        before = contents(session)
        erasure.erase_leads(session, ACCOUNT, [GONE])
        after = contents(session)

    assert {name: rows[1::2] for name, rows in before.items()} == after
    assert {"attempt", "transition", "delivery", "lead", "label_move"} < after.keys()


def test_leads_are_erased_by_the_same_statements_however_many(ledger):
    """A request's count of rows stays: the platform still counts them."""
    with ledger.write_transaction() as session:
        fill(session)
        erasure.erase_leads(session, ACCOUNT, [GONE, KEPT])

        assert {()} == {tuple(rows) for rows in contents(session).values()}
        assert [7, 7] == list(session.connection().scalars(sqlalchemy.text("SELECT rows FROM request")))


@pytest.mark.parametrize("database", ["sqlite"])
def test_erasing_searches_by_index(ledger):
    """No statement scans a table, nor does SQLite as it looks for what refers to an erased row."""
    scans = []
    with ledger.read_transaction() as session:
        for statement in erasure.STATEMENTS:
            compiled = str(statement.compile(ledger.engine))
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", ("[]",) * compiled.count("?"))
            scans += [line for *_, line in plan if line.startswith("SCAN") and "VIRTUAL TABLE" not in line]
        found = session.connection().exec_driver_sql("EXPLAIN QUERY PLAN SELECT 1 FROM delivery WHERE original = 1")
        scans += [line for *_, line in found if line.startswith("SCAN")]

    assert [] == scans


def test_no_incident_names_an_erased_lead(ledger):
    """All else that it says stays, as do those that cannot be read."""
    told = {"rejected": 2, "codes": ("INVALID",), "leads": (GONE, KEPT)}
    rows = [
        IncidentRow(account=ACCOUNT, cause=cause, details=details, first_seen_at=NIGHT)
        for cause, details in (("named", values_to_json(told)), ("damaged", '{"leads": {"other": "L-1"}}'))
    ]
    with ledger.write_transaction() as session:
        session.add_all(rows)
        session.flush()
        erasure.erase_leads(session, ACCOUNT, [GONE])
        after = {row.cause: row.details for row in session.exec(select(IncidentRow))}

    assert told | {"leads": (KEPT,)} == values_from_json(after["named"])
    assert '{"leads": {"other": "L-1"}}' == after["damaged"]


def test_only_incidents_that_may_name_leads_are_read(ledger, monkeypatch):
    """Erasing goes in batches, and a ledger keeps every incident there ever was."""
    read = []
    monkeypatch.setattr(incidents, "values_from_json", lambda details: read.append(details) or {})
    with ledger.write_transaction() as session:
        for cause, told in (("named", {"leads": (KEPT,)}), ("plain", {"rejected": 2})):
            details = values_to_json(told)
            session.add(IncidentRow(account=ACCOUNT, cause=cause, details=details, first_seen_at=NIGHT))
        session.flush()
        erasure.erase_leads(session, ACCOUNT, [GONE])

    assert [values_to_json({"leads": (KEPT,)})] == read


def test_forgotten_lead_keeps_its_first_date(ledger):
    """Only its id and the day are known; of others, nothing is."""
    first, later = date(2026, 9, 1), date(2026, 9, 30)
    with ledger.write_transaction() as session:
        erasure.remember_forgotten(session, ACCOUNT, [GONE], on=first)
        erasure.remember_forgotten(session, ACCOUNT, [GONE], on=later)

        assert {GONE: first} == erasure.forgotten_among(session, ACCOUNT, [GONE, KEPT])
