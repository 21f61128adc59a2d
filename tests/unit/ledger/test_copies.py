"""Copies of a state leave nothing behind, whatever their process dies of."""

import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from contextlib import contextmanager

import pytest

from jobs.ledger.database import has_state, sweep, throwaway
from tests import quick

HOLDER = """
    import os, sys, tempfile, time
    from pathlib import Path
    from jobs.ledger.database import throwaway

    tempfile.tempdir = sys.argv[2]
    with throwaway(Path(sys.argv[1])) as copy:
        print(copy, flush=True)
        time.sleep(60)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where temporary files go."""
    made = tmp_path / "tmp"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


@contextmanager
def rehearsal(path, folder):
    """Another process that has a copy; killed at the end."""
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
    """What copies there are."""
    return [copy.name for copy in folder.rglob("*.db")]


def test_a_copy_is_gone_with_its_use(path, folder):
    """With whatever SQLite put beside it."""
    with throwaway(quick.with_state(path)) as copy:
        assert has_state(copy)

    assert [] == list(folder.iterdir())


def test_only_its_owner_reads_a_copy(path):
    """Click ids and hashes are in it."""
    with throwaway(quick.with_state(path)) as copy:
        modes = (stat.S_IMODE(copy.parent.stat().st_mode), stat.S_IMODE(copy.stat().st_mode))

    assert (0o700, 0o600) == modes


def test_what_a_killed_rehearsal_left_is_swept_by_the_next(path, folder):
    """And by every night: the ledger of somebody who left the project must not lie there for years."""
    with rehearsal(path, folder):
        pass
    left = copies(folder)
    with throwaway(path):
        after = copies(folder)

    assert (["state.db"], ["state.db"]) == (left, after)
    assert [] == list(folder.iterdir())


def test_a_copy_in_use_is_not_swept(path, folder):
    """Two rehearsals at a time."""
    with rehearsal(path, folder):
        sweep()
        assert ["state.db"] == copies(folder)
    sweep()

    assert [] == list(folder.iterdir())


def test_what_is_not_ours_is_not_swept(folder):
    """A file of that name, a link, and other folders."""
    (folder / "oplead-sync-copy-notes").write_text("mine")
    (folder / "other").mkdir()
    (folder / "oplead-sync-copy-link").symlink_to(folder / "other")
    (folder / "oplead-sync-demo-1").mkdir()
    sweep()

    assert {"oplead-sync-copy-notes", "other", "oplead-sync-copy-link", "oplead-sync-demo-1"} == {
        each.name for each in folder.iterdir()
    }
