"""Rows are handed to the driver as SQLAlchemy would hand them on."""

from datetime import timedelta, timezone

import pytest
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


def test_columns_that_are_not_named_get_their_defaults(ledger):
    """And times are in UTC, whatever zone they came in."""
    with ledger.write_transaction() as session:
        bulk.write_rows(session, bulk.insert_into(StatusLabel), ROWS)
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
        bulk.write_rows(session, bulk.upsert_into(StatusLabel, "written"), [row | {"written": "x"} for row in ROWS])
        found = session.exec(select(StatusLabel).order_by(StatusLabel.label)).all()

    assert [("x", NIGHT.replace(microsecond=5)), ("x", NIGHT)] == [(row.written, row.seen_at) for row in found]


def test_a_row_that_cannot_be_is_refused(ledger):
    """Here because there is one already."""
    with pytest.raises(LedgerError, match=r"SQLITE_CONSTRAINT_PRIMARYKEY|23505"), ledger.write_transaction() as session:
        bulk.write_rows(session, bulk.insert_into(StatusLabel), ROWS * 2)
