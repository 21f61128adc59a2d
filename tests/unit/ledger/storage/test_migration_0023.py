"""Upgrading from 0022 takes what the reasons told of unreadable leads into a column."""

import sqlite3
from contextlib import closing

import pytest

from jobs.ledger.storage.database import open_engine
from tests.unit.ledger.storage.test_migrations import contents, make

REFUSED = "its own page was asked for, and the key may not read it"


@pytest.mark.parametrize(("reason", "there"), [("no creation time", 1), (REFUSED, 0)])
def test_lead_that_was_refused_is_not_taken_for_there(tmp_path, reason, there):
    """Any other was shown."""
    path = tmp_path / "state.db"
    make(path, "0022")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE unreadable_lead SET reason = ?", [reason])
    before = contents(path)["unreadable_lead"]
    open_engine(path, for_writing=True).dispose()

    assert [row | {"there": there} for row in before] == contents(path)["unreadable_lead"] != []
