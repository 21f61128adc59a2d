"""Damaged bytes in the state file: the error quotes none of them and is never reported as a bug."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from jobs.account.failures import failure_from_error
from jobs.exit_codes import Exit
from jobs.ledger.runs import open_locked_ledger
from jobs.ledger.storage.lock import lock_path
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.nightly import run_night
from tests import fakes
from tests.builders import TARGET, changed, from_field, lead, route, rulebook

DAY = timedelta(days=1)
SECRET = "Cj0KCQ-Invented_Click_0123456789"
SPOILT = (
    SECRET.encode() + b"\xff",
    SECRET.encode(),
    b"[" * 100_000,
    b"99999-01-01 00:00:00.000000" + SECRET.encode(),
)
"""Invalid UTF-8, unexpected text, deeply nested JSON, and a year out of range."""


@pytest.fixture
def spent(account, tmp_path):
    """Return a copy of a state file that holds rows of every kind."""
    account.put(lead("L-1", click_ids=()), lead("L-2"))
    account.night()
    account.clock.time += DAY
    account.put(lead("L-3"))
    account.sink.script.extend([fakes.lost_after] * 5)
    account.night()
    account.clock.time += DAY
    shutil.copy(account.path, tmp_path / "spent.db")
    return tmp_path / "spent.db"


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("click_id", "value"),
        ("click_id", "clicked_at"),
        ("contact_hash", "sha256"),
        ("cursor", "since"),
        ("delivery", "at"),
        ("delivery", "state"),
        ("delivery", "reason"),
        ("lead", "facts"),
        ("lead", "seen_at"),
        ("request", "state"),
        ("start", "since"),
        ("status_change", "at"),
        ("transition", "at"),
    ],
)
def test_damaged_column_is_reported_without_its_content(account, spent, table, column):
    """Whatever the column holds, the night never ends as a bug."""
    wrong, damaged = [], spent.with_name("damaged.db")
    for spoilt in SPOILT:
        shutil.copy(spent, damaged)
        with closing(sqlite3.connect(damaged)) as connection:
            # Store the bytes as text: SQLite keeps them unchanged, and the driver has to decode them.
            connection.execute(f"UPDATE OR IGNORE {table} SET {column} = CAST(? AS TEXT)", (spoilt,))  # noqa: S608 - ours
            connection.commit()
        failure = ended(account, damaged)
        if failure and (failure.exit_code == Exit.BUG or SECRET in failure.message or "[[" in failure.message):
            wrong.append((spoilt[:20], failure))

    assert [] == wrong


@pytest.mark.parametrize("spoilt", [SECRET, SECRET.encode(), None], ids=["text", "bytes", "nothing"])
def test_damaged_frozen_event_gives_up_only_its_delivery(account, spoilt):
    """The original bytes are lost, so no replay is possible; the rest of the night goes on."""
    account.put(lead("L-1"), lead("L-2"))
    account.sink.script.extend([fakes.lost_before] * 9)
    account.night()
    assert {"L-1": "in_doubt", "L-2": "in_doubt"} == account.states

    account.clock.time += DAY
    spoil(account, spoilt)
    account.sink.script.clear()
    account.put(lead("L-3"))
    account.night()

    assert {"L-1": "unconfirmed", "L-2": "submitted", "L-3": "submitted"} == account.states
    assert ("unconfirmed", "damaged") == account.causes("L-1")[-1]
    (row, *_) = account.rows()
    assert ("damaged", None) == (row.reason, row.event)


def test_damaged_frozen_correction_gives_up_only_that_correction(account):
    """It is handled like a conversion."""
    account.book = rulebook(route(field_value=from_field(), target=replace(TARGET, transport="google_ads_api")))
    account.sink.asynchronous = False
    fields = {"consent": "oui", "amount": Decimal(1200)}
    account.put(*(lead(name, fields=fields) for name in ("L-1", "L-2")))
    account.night()
    account.put(*(changed(lead(name), fields=fields | {"amount": Decimal(3000)}) for name in ("L-1", "L-2")))
    account.clock.time += DAY
    account.sink.adjust_script.extend([fakes.lost_before] * 9)
    account.night()
    assert ["in_doubt"] * 2 == [row.state for row in account.corrections()]

    account.clock.time += DAY
    spoil(account, SECRET, row=account.corrections()[0].id)
    account.sink.adjust_script.clear()
    account.night()

    found = [(row.state, row.reason) for row in account.corrections()]
    assert [("unconfirmed", "damaged"), "accepted"] == [found[0], found[1][0]]


def spoil(account, event, *, row=1):
    """Overwrite the frozen event of a delivery."""
    with closing(sqlite3.connect(account.path)) as connection, connection:
        connection.execute("UPDATE delivery SET event = ? WHERE id = ?", (event, row))


def ended(account, path):
    """Return how a night on this state fails, if it does; nothing is remembered of an earlier one."""
    lock_path(path).unlink(missing_ok=True)
    try:
        with open_locked_ledger(SqliteState(path), account.book.account, "run", now=account.clock.now()) as ledger:
            run_night(account.run(ledger))
    except Exception as error:  # noqa: BLE001 - as the command takes it
        return failure_from_error(error)
    return None


def test_bug_inside_a_transaction_is_not_reported_as_damage(account, monkeypatch):
    """The original exception is raised."""
    monkeypatch.setattr("jobs.plan.planner.decide", lambda *_args, **_more: {}["missing"])
    account.put(lead("L-1"))

    with pytest.raises(KeyError):
        account.night()
