"""A check ends with one conclusion that agrees with its exit code."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from jobs.exit_codes import Exit
from jobs.reporting.check_report import CheckedFile, print_checked_files

FILE = Path("config/a.yaml")
OFFLINE = CheckedFile(FILE, Exit.DONE, ("the file",), ("Oplead", "meta"))
LIVE = CheckedFile(FILE, Exit.DONE, ("the file", "Oplead", "meta"), is_live=True)
BLIND = CheckedFile(FILE, Exit.DONE, ("the file", "Oplead"), ("meta",), is_live=True)
UNSEEN = CheckedFile(FILE, Exit.DONE, ("the file", "Oplead", "meta"), is_live=True, unconfirmed=("Meta dataset 123",))
FAILED = CheckedFile(FILE, Exit.ATTENTION, ("the file", "Oplead", "meta"), failed=2, is_live=True)
WRONG = CheckedFile(Path("config/b.yaml"), Exit.CONFIGURATION, failed=1)


def printed(*concluded):
    """The printed lines."""
    text = StringIO()
    print_checked_files(Console(file=text, width=40), concluded)
    return text.getvalue().strip().splitlines()


@pytest.mark.parametrize(
    ("one", "lines"),
    [
        (
            OFFLINE,
            [
                "looked at: the file; not looked at: Oplead, meta (--live asks them)",
                "may run (no mistakes in the file)",
            ],
        ),
        (LIVE, ["looked at: the file, Oplead, meta", "may run (nothing failed)"]),
        (
            BLIND,
            ["looked at: the file, Oplead; not looked at: meta (not readable)", "may run (nothing failed)"],
        ),
        (
            UNSEEN,
            [
                "looked at: the file, Oplead, meta",
                "may run (nothing failed; nobody could confirm Meta dataset 123)",
            ],
        ),
        (
            FAILED,
            [
                "looked at: the file, Oplead, meta",
                "needs a human first (2 failed: fix what is named above, then check again)",
            ],
        ),
        (WRONG, ["must not run (1 problem, named above)"]),
    ],
)
def test_last_line_is_the_conclusion(one, lines):
    """The line before it lists what was checked and what was not."""
    assert [f"{one.file}: {line}" for line in lines] == printed(one)


def test_several_files_share_a_summary():
    """The gravest result comes first."""
    assert "3 files: 1 must not run, 1 needs a human first, 1 may run" == printed(OFFLINE, FAILED, WRONG)[-1]
