"""Rows are handed to the driver as SQLAlchemy would hand them on."""

from datetime import timedelta, timezone

import pytest
from sqlalchemy import bindparam, event
from sqlmodel import select

from jobs.ledger import bulk
from jobs.ledger.schema import StatusLabel
from jobs.ledger.storage.state_file import LedgerError
from tests.builders import ACCOUNT
from tests.fakes import NIGHT

ROWS = [
    {"account": ACCOUNT, "label": label, "written": written, "seen_at": seen_at}
    for label, written, seen_at in (
        ("gagne", "Gagné", NIGHT),
        ("devis", None, NIGHT.replace(microsecond=5).astimezone(timezone(timedelta(hours=2)))),
    )
]


def insert(session, model, rows):
    """Add rows by a statement that is handed to the driver as it is."""
    bulk.write_rows(session, bulk.insert_into(model), rows)


each_way = pytest.mark.parametrize("add", [insert, bulk.add_rows])


@each_way
def test_columns_that_are_not_named_get_their_defaults(ledger, add):
    """And times are in UTC, whatever zone they came in."""
    with ledger.write_transaction() as session:
        add(session, StatusLabel, ROWS)
    with ledger.read_transaction() as session:
        found = session.exec(select(StatusLabel).order_by(StatusLabel.label)).all()

    assert ["devis", "gagne"] == [row.label for row in found]
    assert [None, "Gagné"] == [row.written for row in found]
    assert [NIGHT.replace(microsecond=5), NIGHT] == [row.seen_at for row in found]
    assert {(False, StatusLabel.model_fields["reported"].default)} == {(row.settled, row.reported) for row in found}


def test_rows_that_exist_are_set_where_asked(ledger):
    """The other columns stay as they are."""
    with ledger.write_transaction() as session:
        bulk.write_rows(session, bulk.insert_into(StatusLabel), ROWS)
        bulk.upsert_rows(session, StatusLabel, [row | {"written": "x"} for row in ROWS], "written")
        found = session.exec(select(StatusLabel).order_by(StatusLabel.label)).all()

    assert [("x", NIGHT.replace(microsecond=5)), ("x", NIGHT)] == [(row.written, row.seen_at) for row in found]


@each_way
@pytest.mark.parametrize("first", [0, 1])
def test_a_row_that_lacks_a_key_or_has_one_more_is_refused(ledger, first, add):
    """Nothing is written as NULL, and nothing is passed over, because a row was made in another way."""
    short = {key: value for key, value in ROWS[1].items() if key != "written"}
    rows = (ROWS[0], short) if first == 0 else (short, ROWS[0])
    with (
        pytest.raises(RuntimeError, match=r"other keys than the first: \['written'\]"),
        ledger.write_transaction() as session,
    ):
        add(session, StatusLabel, rows)

    with ledger.read_transaction() as session:
        assert [] == session.exec(select(StatusLabel)).all()


def test_what_a_statement_needs_is_never_left_null(ledger):
    """Here no row has it."""
    table = bulk.table_of(StatusLabel)
    statement = table.update().where(table.c.label == bindparam("of_label")).values(written=bindparam("words"))
    with ledger.write_transaction() as session:
        bulk.write_rows(session, bulk.insert_into(StatusLabel), ROWS)
        with pytest.raises(RuntimeError, match=r"needs: \['words'\]"):
            bulk.write_rows(session, statement, [{"of_label": "gagne"}])
        bulk.write_rows(session, statement, [{"of_label": "gagne", "words": "Signé"}])
        found = session.exec(select(StatusLabel.written).order_by(StatusLabel.label)).all()

    assert [None, "Signé"] == found


@each_way
def test_a_row_that_cannot_be_is_refused(ledger, add):
    """Here because there is one already."""
    with pytest.raises(LedgerError, match=r"SQLITE_CONSTRAINT_PRIMARYKEY|23505"), ledger.write_transaction() as session:
        add(session, StatusLabel, ROWS * 2)


@pytest.mark.parametrize("add", [bulk.add_rows, bulk.upsert_rows])
def test_added_rows_are_planned_once(ledger, database, add):
    """PostgreSQL takes them in one statement, and would plan one of each row's own anew."""
    sent = []
    with ledger.write_transaction() as session:
        event.listen(session.connection(), "before_cursor_execute", lambda *each: sent.append(each[-1]))
        add(session, StatusLabel, ROWS)
        add(session, StatusLabel, [])

    assert [database == "sqlite"] == sent
