"""Upgrading from 0001 keeps leads and gives them empty UTM fields."""

import sqlite3
from contextlib import closing

from jobs.ledger.storage.database import open_engine
from tests.unit.ledger.storage.test_migrations import REWORDED, contents, make

UTM = {"utm_source": None, "utm_medium": None, "utm_campaign": None}
LATER = {"reused_in": None, "contact_mark": None}


def test_leads_of_the_first_revision_get_empty_utm_fields(tmp_path):
    """What a later revision adds to a table aside, nothing else changes; UTM fields are filled as leads are read."""
    path = tmp_path / "state.db"
    make(path, "0001")
    before = contents(path)
    open_engine(path, for_writing=True).dispose()

    after = contents(path)
    assert [row | UTM | LATER for row in before["lead"]] == after["lead"]
    changed = {"lead", "lease", "cursor", "delivery", "excluded_lead", "unreadable_lead", *REWORDED}
    assert {table: rows for table, rows in before.items() if table not in changed} == {
        table: after[table] for table in before if table not in changed
    }
    with closing(sqlite3.connect(path)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
