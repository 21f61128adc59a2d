"""A damaged record of the leads that commands created: every screen says so, until it is mended."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from jobs.exit_codes import Exit
from jobs.oplead_commands.creation.outbox import lead_creation_outbox_path
from tests.e2e.support.typed import documented, type_in
from tests.e2e.test_late_creation import create_late

TOLD = "The record of created leads cannot be used"


def change(path, statement):
    """Change what the record holds."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def break_pages(path):
    """Overwrite every page but the first."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\x5a" * (len(content) - 4096))


DAMAGE = {
    "pages": break_pages,
    "whole": lambda path: path.write_bytes(b"garbage" * 1000),
    "time": lambda path: change(path, "UPDATE creation SET sent_at = 'garbage'"),
    "state": lambda path: change(path, "UPDATE creation SET state = 'in_dou\x08t'"),
    "another version": lambda path: change(path, "PRAGMA user_version = 99"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_record_of_created_leads_stands_on_every_screen_until_it_is_mended(company, tmp_path, damage):
    """Each night ends with 1, as where the webhooks' inbox is damaged; restored, nobody is told any more."""
    company.settings["report"] = {"folder": str(tmp_path / "page")}
    company.night()
    assert Exit.ATTENTION == create_late(company).code
    path = lead_creation_outbox_path(company.state.parent, company.settings["account"])
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    kept = shutil.copy(path, tmp_path / "backup.db")
    damage(path)
    told = []
    for _night in range(2):
        company.clock.advance(company.clock.now() + timedelta(days=1))
        run = type_in(company, "run")
        status = type_in(company, "status")
        told += [run.code, TOLD in run.lines, TOLD in status.lines, "oplead-sync state restored" in run.lines]
    page = next((tmp_path / "page").glob("*.html")).read_text(encoding="utf-8")
    last = documented(type_in(company, "run", "--json").out)
    standing = [documented(line) for line in type_in(company, "status", "--json").out.splitlines()]

    assert [Exit.ATTENTION, True, True, True] * 2 == told
    assert TOLD in page
    assert "oplead-sync state restored" in page
    assert Exit.ATTENTION == last["exit_code"]
    assert any(path.name in json.dumps(each) for each in last["attention"])
    assert any(TOLD in json.dumps(each) for each in standing)

    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    shutil.copy(kept, path)
    mended = type_in(company, "run")

    assert TOLD not in mended.lines
    assert TOLD not in type_in(company, "status").lines
