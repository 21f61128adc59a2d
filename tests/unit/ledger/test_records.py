"""Rows read and changed as records, without a session that keeps track of them."""

import re

import pytest
from sqlalchemy import event
from sqlmodel import col, select

from jobs.ledger import bulk
from jobs.ledger.outbox import outbox
from jobs.ledger.schema import Delivery, DeliveryRecord
from jobs.plan.planner import new_delivery
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Reason
from tests.builders import lead, read, route
from tests.fakes import NIGHT


@pytest.fixture
def numbers(account):
    """The ids of three deliveries on record."""
    account.put(*(lead(f"L-{number}") for number in range(3)))
    with account.hold() as ledger:
        read(account.run(ledger))
        with ledger.write_transaction() as session:
            rows = [new_delivery(route(), f"L-{number}") for number in range(3)]
            moves = [outbox.DeliveryMove(row, DeliveryState.PENDING, Reason.DUE) for row in rows]
            outbox.change_delivery_states(session, ledger, moves, now=NIGHT)
            return [*session.exec(select(Delivery.id).order_by(col(Delivery.id)))]


def change(account, ids, by):
    """Change records of these deliveries; return what they were, and the updates that this took."""
    updates = []

    def note(_connection, _cursor, statement, parameters, *_):
        if statement.startswith("UPDATE delivery"):
            updates.append((statement, parameters))

    with account.hold() as ledger, ledger.write_transaction() as session:
        event.listen(session.connection(), "before_cursor_execute", note)
        with bulk.editable_records(session, Delivery, DeliveryRecord, ids) as rows:
            found = [(row.id, row.lead, row.state) for row in rows]
            for row in rows:
                by(row)
    return found, updates


def stored(account, *columns):
    """These columns of every delivery."""
    with account.hold() as ledger, ledger.read_transaction() as session:
        rows = session.exec(select(Delivery).order_by(col(Delivery.id)))
        return [tuple(getattr(row, column) for column in columns) for row in rows]


def test_records_come_in_the_order_asked_for(account, numbers):
    """Those that do not exist are left out."""
    found, _ = change(account, [numbers[2], 999, numbers[0]], lambda _row: None)

    assert [(numbers[2], "L-2", "pending"), (numbers[0], "L-0", "pending")] == found


def test_only_what_was_changed_is_written(account, numbers):
    """Rows changed alike take one statement, which names no other column; others take none."""

    def by(row):
        row.reason = row.reason + ""
        if row.lead != "L-1":
            row.event, row.not_before = row.lead.encode(), NIGHT

    _, updates = change(account, numbers, by)

    assert [(b"L-0", NIGHT), (None, None), (b"L-2", NIGHT)] == stored(account, "event", "not_before")
    assert [{"not_before", "event"}] == [set(re.findall(r"(\w+)=", statement)) for statement, _ in updates]
    ((_, parameters),) = updates
    assert 2 == len(parameters if isinstance(parameters, list) else parameters["of_id_listed"])


def test_rows_changed_in_different_ways_keep_what_the_others_change(account, numbers):
    """Each kind of change is a statement of its own."""

    def by(row):
        if row.lead == "L-0":
            row.value = "60.00"
        elif row.lead == "L-1":
            row.tax = "included"

    _, updates = change(account, numbers, by)

    assert [("60.00", None), (None, "included"), (None, None)] == stored(account, "value", "tax")
    assert 2 == len(updates)
