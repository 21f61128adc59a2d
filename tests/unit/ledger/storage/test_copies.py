"""Copies of a state leave nothing behind, however their process ends."""

import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from contextlib import contextmanager

import pytest

from jobs.ledger.storage.database import remove_stale_copies, temporary_copy
from jobs.ledger.storage.state_file import has_state
from tests import quick

HOLDER = """
    import os, sys, tempfile, time
    from pathlib import Path
    from jobs.ledger.storage.database import temporary_copy

    tempfile.tempdir = sys.argv[2]
    with temporary_copy(Path(sys.argv[1])) as copy:
        print(copy, flush=True)
        time.sleep(60)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder for temporary files."""
    made = tmp_path / "tmp"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


@contextmanager
def rehearsal(path, folder):
    """Another process that holds a copy and is killed at the end."""
    code = [sys.executable, "-c", textwrap.dedent(HOLDER), str(quick.with_state(path)), str(folder)]
    process = subprocess.Popen(code, stdout=subprocess.PIPE, text=True)
    try:
        assert "state.db" in process.stdout.readline()
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        process.stdout.close()


def copies(folder):
    """The names of the copies that exist."""
    return [copy.name for copy in folder.rglob("*.db")]


def test_copy_is_removed_after_use(path, folder):
    """Files that SQLite puts beside it are removed as well."""
    with temporary_copy(quick.with_state(path)) as copy:
        assert has_state(copy)

    assert [] == list(folder.iterdir())


def test_copy_is_readable_only_by_its_owner(path):
    """It contains click ids and hashes."""
    with temporary_copy(quick.with_state(path)) as copy:
        modes = (stat.S_IMODE(copy.parent.stat().st_mode), stat.S_IMODE(copy.stat().st_mode))

    assert (0o700, 0o600) == modes


def test_next_rehearsal_sweeps_the_copy_of_a_killed_one(path, folder):
    """Every night sweeps too, so that no ledger lies there for years after a user leaves the project."""
    with rehearsal(path, folder):
        pass
    left = copies(folder)
    with temporary_copy(path):
        after = copies(folder)

    assert (["state.db"], ["state.db"]) == (left, after)
    assert [] == list(folder.iterdir())


def test_a_copy_in_use_is_not_swept(path, folder):
    """Two rehearsals may run at a time."""
    with rehearsal(path, folder):
        remove_stale_copies()
        assert ["state.db"] == copies(folder)
    remove_stale_copies()

    assert [] == list(folder.iterdir())


def test_sweep_leaves_foreign_files_alone(folder):
    """They are a file with the prefix, a link and other folders."""
    (folder / "oplead-sync-copy-notes").write_text("mine")
    (folder / "other").mkdir()
    (folder / "oplead-sync-copy-link").symlink_to(folder / "other")
    (folder / "oplead-sync-demo-1").mkdir()
    remove_stale_copies()

    assert {"oplead-sync-copy-notes", "other", "oplead-sync-copy-link", "oplead-sync-demo-1"} == {
        each.name for each in folder.iterdir()
    }
