"""A file that a state was moved from is written to only if it is recognised; then it keeps nothing of the forgotten."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from jobs.ledger.schema import FormerFile
from jobs.ledger.storage.state_file import mark_moved, seal
from jobs.privacy import former_files
from jobs.privacy.compaction import compact
from jobs.privacy.former_files import (
    FormerFileContents,
    FormerFileError,
    count_in_former_file,
    erase_in_former_file,
    events_in_former_file,
    held_in_former_file,
    is_there,
)
from tests import quick
from tests.builders import ACCOUNT, hold
from tests.fakes import NIGHT, FakeClock
from tests.unit.ledger.retention.test_erasure import GONE, KEPT, fill
from tests.unit.privacy.test_compaction import filled, on_disk

FORGOTTEN = {GONE: NIGHT.date()}


@pytest.fixture
def old(tmp_path):
    """A state that was moved, with rows on two leads in every table."""
    (folder := tmp_path / "old").mkdir()
    path = quick.with_state(folder / "state.db")
    with hold(path, FakeClock()) as ledger, ledger.write_transaction() as session:
        fill(session)
    seal(path, "postgresql:///fleet")
    mark_moved(path)
    file = FormerFile(account=ACCOUNT, path=str(path), is_state=True)
    change(file, "UPDATE delivery SET state = 'accepted'")
    return file


@pytest.fixture
def events(tmp_path):
    """Events that were moved and set aside."""
    (folder := tmp_path / "events").mkdir()
    path = folder / "inbox.db.moved"
    with closing(filled(path, GONE, KEPT)) as inbox:
        return FormerFile(account=ACCOUNT, path=str(path), is_state=False, identity=inbox.identity())


@pytest.fixture(params=["old", "events"])
def file(request):
    """Either."""
    return request.getfixturevalue(request.param)


def folder_of(file):
    """Return the names and bytes of what is in a file's folder."""
    folder = Path(file.path).parent
    return {each.name: (each.read_bytes(), each.stat().st_mode) for each in folder.iterdir()}


def change(file, *statements):
    """Change a database past the program."""
    with closing(sqlite3.connect(file.path, isolation_level=None)) as connection:
        for each in statements:
            connection.execute(each)


def test_a_former_file_is_erased_and_nobody_else(file):
    """What a rehearsal counts is what goes; what is read of it leaves no trace beside it."""
    before = folder_of(file)
    counted = count_in_former_file(file, FORGOTTEN)
    held_in_former_file(file, lambda _session: [], [GONE])
    events_in_former_file(file, GONE)
    is_untouched = before == folder_of(file)
    erased = erase_in_former_file(file, FORGOTTEN)

    assert (1, True) == (counted.leads + counted.events, is_untouched)
    assert counted == erased
    assert [0, 1] == [(left := count_in_former_file(file, [lead])).leads + left.events for lead in (GONE, KEPT)]


def test_another_accounts_state_is_left_alone(old):
    """Its move may have been interrupted, and then it is all that account has."""
    change(old, "UPDATE lease SET account = 'other'", "UPDATE moved SET is_moved = 0")
    before = folder_of(old)

    assert FormerFileContents(old.path, is_there=False) == erase_in_former_file(old, FORGOTTEN)
    assert before == folder_of(old)


def test_a_state_whose_move_has_not_ended_is_left_alone(old):
    """Whoever repeats the move can forget then."""
    change(old, "UPDATE moved SET is_moved = 0")
    before = folder_of(old)
    for do in (count_in_former_file, erase_in_former_file):
        with pytest.raises(FormerFileError, match="repeat `oplead-sync state move`, then forget once more"):
            do(old, FORGOTTEN)

    assert before == folder_of(old)


def test_a_strangers_database_is_left_alone(file):
    """Nothing is created in it, nor is it said without doubt that it can be deleted."""
    path = Path(file.path)
    path.unlink()
    change(file, "CREATE TABLE kept (it)", "INSERT INTO kept VALUES ('L-1')")
    path.chmod(0o644)
    before = folder_of(file)
    for do in (count_in_former_file, erase_in_former_file):
        if file.is_state:
            with pytest.raises(FormerFileError, match=r"left alone\. If it is what was left when the state was moved"):
                do(file, FORGOTTEN)
        else:
            assert do(file, FORGOTTEN) is None

    assert before == folder_of(file)


def test_another_inbox_is_left_alone(events):
    """A receiver may have made one under that name since."""
    events.identity = "of an earlier one"
    before = folder_of(events)

    assert (None, []) == (erase_in_former_file(events, FORGOTTEN), events_in_former_file(events, GONE))
    assert before == folder_of(events)


def test_a_journal_without_its_file_is_named(file):
    """Whoever deleted the file alone has left its last pages."""
    path = Path(file.path)
    path.rename(path.with_name(f"{path.name}-wal"))
    for do in (count_in_former_file, erase_in_former_file):
        with pytest.raises(FormerFileError, match=f"{path.name}-wal: this journal"):
            do(file, FORGOTTEN)


def test_a_file_behind_a_link_is_erased(file):
    """An operator has put it elsewhere, and left a link."""
    path = Path(file.path)
    (folder := path.parent.with_name("elsewhere")).mkdir()
    elsewhere = path.rename(folder / path.name)
    path.symlink_to(elsewhere)
    erase_in_former_file(file, FORGOTTEN)
    path.unlink()
    elsewhere.rename(path)
    held = count_in_former_file(file, FORGOTTEN)

    assert (0, 0) == (held.leads, held.events)


def test_a_renamed_file_is_not_there(file):
    """Nobody knows where to look for it."""
    path = Path(file.path)
    path.rename(path.with_name("renamed"))

    assert not is_there(file)


def test_a_reader_at_work_keeps_the_journal(file, monkeypatch):
    """It is said that old pages are there, and once it has ended, they go."""
    monkeypatch.setattr(former_files, "compact", partial(compact, patience=0.1))
    with closing(sqlite3.connect(file.path, isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode = WAL")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM sqlite_master").fetchall()
        with pytest.raises(FormerFileError, match="another program is reading it"):
            erase_in_former_file(file, FORGOTTEN)
    erase_in_former_file(file, FORGOTTEN)

    assert b"L-1 0" not in on_disk(Path(file.path))


def test_no_duplicate_says_who_counted_in_its_place(old):
    """A forgotten lead's id stands in its tombstone alone."""
    why = "SET reason = 'counted_already', detail = 'L-1' WHERE id = 102"
    change(old, f"UPDATE delivery {why}", f"UPDATE transition {why}")
    erase_in_former_file(old, FORGOTTEN)
    with closing(sqlite3.connect(old.path)) as connection:
        named = [line for line in connection.iterdump() if "'L-1'" in line]

    assert 1 == len(named), named
    assert named[0].startswith('INSERT INTO "forgotten_lead"')
