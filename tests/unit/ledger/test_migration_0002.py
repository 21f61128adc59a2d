"""Upgrading from 0001 keeps leads and gives them empty UTM fields."""

import sqlite3
from contextlib import closing

from jobs.ledger.database import open_engine
from tests.unit.ledger.test_migrations import FOUND_AGAIN, contents, make

UTM = {"utm_source": None, "utm_medium": None, "utm_campaign": None}


def test_leads_of_the_first_revision_get_empty_utm_fields(tmp_path):
    """Nothing else in any table changes; the UTM fields are filled as leads are read again."""
    path = tmp_path / "state.db"
    make(path, "0001")
    before = contents(path)
    open_engine(path, for_writing=True).dispose()

    after = contents(path)
    assert [row | UTM for row in before["lead"]] == after["lead"]
    assert {table: rows for table, rows in before.items() if table not in {"lead", "delivery", *FOUND_AGAIN}} == {
        table: after[table] for table in before if table not in {"lead", "delivery", *FOUND_AGAIN}
    }
    with closing(sqlite3.connect(path)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
