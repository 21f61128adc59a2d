"""A state in which a bit has flipped: whoever notices it says so, and no command ends as if it were a bug."""

import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from jobs.exit_codes import Exit
from tests.e2e.support.typed import type_in
from tests.suite import examples

FLIPS = examples(40, 500)
SEED = 14


@pytest.fixture
def played(company, tmp_path):
    """A company whose state has rows of most kinds, and a copy of what lies in the state's folder."""
    gone = (company.lead(number, ("Gagné", company.START), clicks=company.both(number)) for number in range(3))
    company.serve(*gone, company.lead(3, ("RDV pris", company.START)), company.lead(4, ("Perdu", company.START)))
    company.night()
    company.later()
    with closing(sqlite3.connect(company.state)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = tmp_path / "kept"
    kept.mkdir()
    for file in company.state.parent.glob(f"{company.state.name}*"):
        shutil.copy(file, kept)
    return company, kept


def restore(company, kept):
    """Put every file of the state back as it was."""
    for file in company.state.parent.glob(f"{company.state.name}*"):
        file.unlink()
    for file in kept.iterdir():
        shutil.copy(file, company.state.parent)


def flips(path):
    """Draw where which bit flips, among the bytes in which something is written."""
    draw = random.Random(SEED)
    written = [place for place, byte in enumerate(path.read_bytes()) if byte]
    return [(draw.choice(written), 1 << draw.randrange(8)) for _ in range(FLIPS)]


def flip(path, place, bit):
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ bit]))


@pytest.mark.timeout(900)
def test_no_flipped_bit_ends_a_command_as_a_bug(played):
    """Whatever bit it is: the command goes on, or ends with 2 and advice."""
    company, kept = played
    wrong = []
    for place, bit in flips(kept / company.state.name):
        for command in ("status", "run"):
            restore(company, kept)
            flip(company.state, place, bit)
            done = type_in(company, command)
            if done.code == Exit.BUG or (done.code == Exit.CONFIGURATION and str(company.state) not in done.err):
                wrong.append((command, place, bit, done.code, done.err[-1500:]))

    assert [] == wrong
