"""Upgrading from 0010 keeps how many conversions left."""

import sqlite3
from contextlib import closing

from jobs.ledger.storage.database import open_engine
from tests.unit.ledger.storage.test_migrations import contents, make


def test_sums_by_month_become_one_number(tmp_path):
    """Of several months and reasons; another account's stay apart."""
    path = tmp_path / "state.db"
    make(path, "0010")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO monthly_conversions VALUES (?, ?, 'sale', 'google_ads', 'accepted', '', ?, '9')",
            [("maison-test", "2026-01-01", 40), ("maison-test", "2026-02-01", 2), ("another", "2026-02-01", 7)],
        )
    (before,) = contents(path)["retention_mark"]
    open_engine(path, for_writing=True).dispose()

    assert [before | {"conversions": 43}] == contents(path)["retention_mark"]
    assert "monthly_conversions" not in contents(path)
