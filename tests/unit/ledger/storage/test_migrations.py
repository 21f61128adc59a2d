"""Upgrading the state of an older version keeps everything in it."""

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from jobs.ledger.storage import database
from jobs.ledger.storage.database import open_engine
from jobs.ledger.storage.revisions import MIGRATIONS, REVISIONS, revisions_in
from jobs.ledger.storage.state_file import LedgerError
from tests import quick

PARENTS_FIRST = ("run", "request", "lead", "delivery")
CONVERSION = {"kind": "conversion", "number": 0}
REWORDED = {"incident": {"title", "text"}}
"""Columns whose content a later revision keeps in another way."""
IDS = {"account": "maison-test", "lead": "L-1", "delivery": 1, "request": 1, "run": 1}


LATER = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{revision}", "{before}"
branch_labels = depends_on = None

def upgrade():
    with op.batch_alter_table("run") as batch:
        batch.add_column(sa.Column("later_{revision}", sa.String(), nullable=True))
"""
"""A revision that a later version might have."""


def config(migrations=MIGRATIONS):
    """The alembic configuration."""
    made = Config()
    made.set_main_option("script_location", str(migrations))
    return made


def revisions(migrations=MIGRATIONS):
    """All revisions, the newest first."""
    return [each.revision for each in ScriptDirectory.from_config(config(migrations)).walk_revisions()]


@pytest.fixture
def replaced(tmp_path, monkeypatch):
    """The migrations of a later version, with three more revisions, in the place of this one's."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    newest = int(revisions()[0])
    for number in range(newest + 1, newest + 4):
        text = LATER.format(revision=f"{number:04}", before=f"{number - 1:04}")
        (folder / "versions" / f"{number:04}_later.py").write_text(text)
    monkeypatch.setattr("jobs.ledger.storage.revisions.MIGRATIONS", folder)
    return folder


@pytest.fixture
def later(replaced, monkeypatch):
    """The migrations of a later version, which runs."""
    monkeypatch.setattr(database, "REVISIONS", revisions_in(replaced))
    return replaced


@contextlib.contextmanager
def raw(path):
    """The file opened by plain SQLite, with foreign keys enforced."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys=on")
        yield connection


def test_migration_file_names_start_with_their_revision(later):
    """The file name alone gives the newest revision, without loading the code that upgrades."""
    for folder in (MIGRATIONS, later):
        files = sorted(file.name for file in (folder / "versions").glob("*.py"))

        assert revisions(folder)[::-1] == [name.partition("_")[0] for name in files]
    assert revisions(later)[0] == database.REVISIONS[-1]


def test_revisions_create_the_tables_of_this_version(tmp_path):
    """No column is only in the code, or only in the migrations."""
    path = tmp_path / "state.db"
    open_new(path)
    engine = open_engine(path, for_writing=True)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    engine.dispose()

    assert [] == found


def open_new(path):
    """Create a state of this version with a row in every table."""
    make(path, revisions()[0])


def test_up_to_date_state_does_not_import_alembic(tmp_path):
    """Only its revision is read, whether it is opened for reading or writing."""
    path = tmp_path / "state.db"
    quick.with_state(path)
    code = (
        "import sys; from pathlib import Path; from jobs.ledger.storage.database import open_engine\n"
        f"for writing in (False, True): open_engine(Path({str(path)!r}), for_writing=writing).dispose()\n"
        "print('alembic' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout

    assert "False" == output.strip()


@pytest.mark.usefixtures("later")
def test_older_state_is_not_upgraded_by_reading(tmp_path):
    """Opening it for reading says that the next run upgrades it."""
    path = tmp_path / "state.db"
    open_new(path)
    before = contents(path)
    told = rf"is from an older version \(revision {revisions()[0]}\); the next `oplead-sync run` brings it up to date"
    with pytest.raises(LedgerError, match=told):
        open_engine(path, for_writing=False)

    assert before == contents(path)


def make(path, revision):
    """Create a state at a revision, with a row in every table."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection, connection.begin():
        made = config()
        made.attributes["connection"] = connection
        command.upgrade(made, revision)
    engine.dispose()
    with raw(path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        later = sorted(set(tables) - {"alembic_version", *PARENTS_FIRST})
        for table in (*PARENTS_FIRST, *later):
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            row = {name: value(table, name, kind) for _, name, kind, needed, _, _ in columns if needed}
            marks = ", ".join("?" * len(row))
            names = ", ".join(f'"{name}"' for name in row)
            connection.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', list(row.values()))  # noqa: S608


def value(table, column, kind):
    """A value that fits a column and the rows it points at."""
    if column == "id":
        return "L-1" if table in ("lead", "unreadable_lead") else 1
    if column in IDS:
        return IDS[column]
    if table == "delivery" and column in CONVERSION:
        return CONVERSION[column]
    if "DATETIME" in kind:
        return "2026-09-10 03:30:00.000000"
    return 1 if kind in ("INTEGER", "BOOLEAN") else "{}"


def contents(path):
    """Every row of every table, as columns and values."""
    with raw(path) as connection:
        connection.row_factory = sqlite3.Row
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')]  # noqa: S608
            for table in tables
            if table != "alembic_version"
        }


def assert_kept(before, after):
    """Every table still has its row."""
    for table, (row,) in before.items():
        kept = {name: value for name, value in row.items() if name not in REWORDED.get(table, ())}
        assert kept.items() <= after[table][0].items(), table


@pytest.mark.usefixtures("later")
def test_upgrade_keeps_every_row(tmp_path):
    """It passes through every revision from the first to the head."""
    path = tmp_path / "state.db"
    make(path, "0001")
    before = contents(path)
    open_engine(path, for_writing=True).dispose()
    after = contents(path)

    assert_kept(before, after)
    with raw(path) as connection:
        assert [] == connection.execute("PRAGMA foreign_key_check").fetchall()
        assert [(database.REVISIONS[-1],)] == connection.execute("SELECT version_num FROM alembic_version").fetchall()


@pytest.mark.usefixtures("replaced")
def test_process_whose_installation_is_replaced_upgrades_to_its_own_version(tmp_path):
    """Its code is the old one, whatever lies in its folder by now."""
    path = tmp_path / "state.db"
    make(path, "0001")
    open_engine(path, for_writing=True).dispose()

    with raw(path) as connection:
        assert [(REVISIONS[-1],)] == connection.execute("SELECT version_num FROM alembic_version").fetchall()


def test_process_whose_installation_is_replaced_refuses_the_new_version_s_state(tmp_path, replaced):
    """As any other of the old version does."""
    path = tmp_path / "state.db"
    open_new(path)
    with raw(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revisions(replaced)[0]])
    before = contents(path)

    for for_writing in (False, True):
        with pytest.raises(LedgerError, match="was written by a newer oplead-sync"):
            open_engine(path, for_writing=for_writing)
    assert before == contents(path)


DYING = """
import os, signal, sys
from itertools import count
from pathlib import Path
from sqlalchemy import Engine, event
from jobs.ledger.storage import database, revisions
from jobs.ledger.storage.database import open_engine

revisions.MIGRATIONS = Path(sys.argv[3])
database.REVISIONS = revisions.revisions_in(revisions.MIGRATIONS)
steps = count(1)

def die(nth):
    if next(steps) == nth:
        os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "commit":
    event.listen(Engine, "commit", lambda _: die(1))
else:
    @event.listens_for(Engine, "after_cursor_execute")
    def _(connection, cursor, statement, *_):
        if statement.startswith("UPDATE alembic_version"):
            die(int(sys.argv[2]))
open_engine(Path(sys.argv[1]), for_writing=True)
"""
"""Upgrades a state and is killed after so many revisions, or right before the commit."""


@pytest.mark.parametrize("when", ["1", "3", "commit"])
def test_killed_upgrade_leaves_the_state_unchanged(tmp_path, later, when):
    """All revisions are one transaction, and the next opening runs them all."""
    path = tmp_path / "state.db"
    make(path, "0001")
    before = contents(path)
    died = subprocess.run([sys.executable, "-c", DYING, str(path), when, str(later)], check=False, timeout=60)

    assert -signal.SIGKILL == died.returncode
    assert before == contents(path)
    with raw(path) as connection:
        assert [("0001",)] == connection.execute("SELECT version_num FROM alembic_version").fetchall()

    open_engine(path, for_writing=True).dispose()
    after = contents(path)
    with raw(path) as connection:
        assert [(database.REVISIONS[-1],)] == connection.execute("SELECT version_num FROM alembic_version").fetchall()
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
    assert_kept(before, after)
