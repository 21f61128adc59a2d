"""A state that cannot be used: the run says what to do and ends with 2, and no second conversion comes of it."""

import os
import resource
import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event

from jobs.ledger import database
from jobs.ledger.schema import Run
from tests.e2e.support.traffic import INGEST
from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)
MANY = 40
"""So many leads that their receipts need more room than the state has left."""
WITHOUT_PRIVILEGES = """
import ctypes
# A superuser may write anywhere; without its capabilities it is bound by what files allow, as anybody is.
libc = ctypes.CDLL(None, use_errno=True)
assert 0 == libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
"""


def sold(company, number):
    """A lead that was sold yesterday: an appointment and a sale to send to both platforms."""
    return company.lead(number, ("Gagné", company.clock.now() - DAY), clicks=company.both(number))


def everything_counted_once(company, numbers):
    """Both conversions of each of these leads, accepted by the ledger and counted by the platform, once."""
    names = {(f"L-{number}", conversion) for number in numbers for conversion in ("appointment", "sale")}
    assert dict.fromkeys(names, "accepted") == company.states()
    assert sorted(names) == sorted(company.taken())
    assert [] == company.disagreements()


# ── it breaks while a night is under way ─────────────────────────────────────────────────────────


class FullDisk:
    """No page more than there are."""

    advice = "the disk is full; make room and run again: what was committed is safe"

    def begin(self, _):
        """From now on."""
        event.listen(Engine, "begin", self._limit)

    def end(self):
        """And no longer."""
        if event.contains(Engine, "begin", self._limit):
            event.remove(Engine, "begin", self._limit)

    @staticmethod
    def _limit(connection):
        # SQLite takes its present size where that is more.
        connection.exec_driver_sql("PRAGMA max_page_count=1")


class FullQuota:
    """No file may grow."""

    advice = "the disk does not take or give its data; check the disk, then run again"

    def __init__(self):
        self.allowed = resource.getrlimit(resource.RLIMIT_FSIZE)

    def begin(self, company):
        """From now on."""
        log = company.state.with_name("state.db-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, self.allowed[1]))

    def end(self):
        """And no longer."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self.allowed)


class Locked:
    """Another program writes, and does not end."""

    advice = "another program is writing to it; try again when that has ended"
    other = None

    def begin(self, company):
        """From now on."""
        if self.other is None:
            self.other = sqlite3.connect(company.state, check_same_thread=False)
            self.other.execute("BEGIN IMMEDIATE")

    def end(self):
        """And no longer."""
        if self.other is not None:
            self.other.close()


@pytest.fixture(params=[FullDisk, FullQuota, Locked])
def trouble(request, monkeypatch):
    """What befalls the state, until it is over."""
    monkeypatch.setattr(database, "BUSY_MS", 100)
    trouble = request.param()
    yield trouble
    trouble.end()


def test_a_receipt_that_cannot_be_kept_is_asked_for_again(company, trouble):
    """The platform has taken an upload, and nobody can write that down: the next run sends the same bytes."""
    company.max_per_run = 1_000
    company.serve(*(sold(company, number) for number in range(MANY)))
    company.after("data_manager", INGEST, lambda: trouble.begin(company) if len(company.ingests) == 1 else None)
    broken = type_in(company, "run")
    trouble.end()

    assert 2 == broken.code
    assert f"{company.state}: the state cannot be used" in broken.err
    assert trouble.advice in broken.err
    assert 1 == len(company.ingests)

    night = company.night()

    assert (MANY, 0) == (night.recovered, night.exit_code)

    company.later()

    everything_counted_once(company, range(MANY))
    first, again = company.ingests[0][0]["events"], company.ingests[1][0]["events"]
    assert first == again


def test_a_state_that_another_program_writes_to_is_left_alone(company, monkeypatch):
    """Nobody is asked anything, and afterwards all goes on."""
    monkeypatch.setattr(database, "BUSY_MS", 100)
    company.night()
    company.serve(sold(company, 1))
    before = len(company.arrivals)
    with closing(sqlite3.connect(company.state)) as other:
        other.execute("BEGIN IMMEDIATE")
        run = type_in(company, "run")
        status = type_in(company, "status")

    assert (2, 0) == (run.code, status.code)
    assert Locked.advice in run.err
    assert [] == [server for server, *_ in company.arrivals[before:] if server not in ("clock", "control")]
    assert 0 == company.night().exit_code
    company.later()
    everything_counted_once(company, [1])


# ── it cannot be used from the start ─────────────────────────────────────────────────────────────


@contextmanager
def forbidden(path, mode):
    """A file or folder that its user may not write."""
    allowed = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(allowed)


@pytest.mark.parametrize("what", ["the file", "the folder"])
def test_a_state_that_may_not_be_written(company, what):
    """The message says which, and what to do; nothing is sent, and afterwards everything works."""
    company.night()
    company.serve(sold(company, 1))
    path, mode = (company.state, 0o400) if what == "the file" else (company.state.parent, 0o500)
    config = company.config
    with forbidden(path, mode):
        process = company.start_command("run", config=config, prelude=WITHOUT_PRIVILEGES)
        _, output = process.communicate(timeout=60)
        code = process.returncode

    assert 2 == code, output
    assert f"{company.state}" in output
    assert "give this user write access to the file and its folder" in output
    assert [] == company.ingests
    assert 0 == company.night().exit_code
    company.later()
    everything_counted_once(company, [1])


def newer(path):
    """Another version, of later, wrote it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    return "newer oplead-sync (revision 9999); nothing was changed. Run the version that wrote it"


def garbage(path):
    """Something else lies there."""
    path.write_bytes(b"a letter to grandmother " * 1_000)
    return "it is not a state of oplead-sync; check `state:` in the settings"


@pytest.mark.parametrize("spoil", [newer, garbage])
@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"], ["status"], ["explain", "L-1"]])
def test_what_is_no_state_of_ours_is_told_and_not_touched(company, spoil, command):
    """By none of the commands; nobody is asked, and nothing sent."""
    company.serve(sold(company, 1))
    company.night()
    whole, sent = company.state.read_bytes(), len(company.ingests)
    advice = spoil(company.state)
    before = company.state.read_bytes()
    done = type_in(company, *command)

    assert 2 == done.code
    assert str(company.state.name) in done.err
    assert advice in done.err
    assert (before, sent) == (company.state.read_bytes(), len(company.ingests))

    company.state.write_bytes(whole)
    company.later()
    everything_counted_once(company, [1])


# ── the log that belongs to it is lost ───────────────────────────────────────────────────────────


def torn(log):
    """The end of the last transaction did not reach the disk."""
    os.truncate(log, log.stat().st_size - 100)


def halved(log):
    """Half of it is missing."""
    os.truncate(log, log.stat().st_size // 2)


def deleted(log):
    """Somebody took the state's file and left its log."""
    log.unlink()
    log.with_name(log.name.replace("-wal", "-shm")).unlink()


@pytest.fixture(params=[torn, halved, deleted])
def robbed(company, request):
    """A company whose run was killed when a platform had taken an upload, and whose state lost its log after that.

    The night before is in the state's own file; of what came then only the beginning is left, or nothing.
    """
    company.conversion("appointment").pop("implied_by")

    def kill(point):
        company.serve(sold(company, 1))
        company.night()
        company.later()
        company.serve(sold(company, 2))
        company.clock.advance(company.clock.now() + DAY)
        assert company.killed(point) < 0
        request.param(company.state.with_name("state.db-wal"))
        refused = type_in(company, "run")
        assert (2, True) == (refused.code, "did it lose its -wal file?" in refused.err)
        company.lock.unlink()

    company.kill = kill
    return company


def test_what_was_sent_since_goes_again_and_google_counts_it_once(robbed):
    """By the same key, which the Data Manager knows again; what was kept before stands as it was."""
    robbed.kill("accepted, answer unread")
    night = robbed.night()
    robbed.later()

    assert (0, 0) == (night.exit_code, night.recovered)
    assert {("L-1", "sale"): "accepted", ("L-2", "sale"): "accepted"} == robbed.states()
    assert [("L-1", "sale"), ("L-2", "sale")] == sorted(robbed.taken())
    assert [1, 2] == sorted(len(events) for events in robbed.sent().values())
    assert [] == robbed.disagreements()


def test_the_google_ads_api_has_what_the_state_knows_nothing_of(robbed):
    """It counts once; the ledger does not claim it, as others may have sent it, and a human is notified."""
    robbed.use_ads_api()
    robbed.kill("google_ads_api: accepted, answer unread")
    night = robbed.night()

    assert 1 == night.exit_code
    assert {("L-1", "sale"): "accepted", ("L-2", "sale"): "rejected"} == robbed.states()
    assert [1, 1] == [line.times for line in robbed.counted()]
    assert "If the state was restored from a backup" in type_in(robbed, "explain", "L-2").lines


def test_meta_may_count_twice_what_the_state_knows_nothing_of(robbed):
    """Only a state that is whole knows that something was sent: this is what its log is for."""
    robbed.use_meta_alone()
    robbed.sandbox.meta.switch("meta_deduplication", value=False)
    robbed.kill("meta: accepted, answer unread")
    robbed.night()

    assert {("L-1", "sale"): "accepted", ("L-2", "sale"): "accepted"} == robbed.states("meta")
    assert [1, 2] == sorted(line.times for line in robbed.counted())


def test_what_is_left_of_a_state_is_whole(robbed):
    """A transaction is there, or it is not."""
    robbed.kill("accepted, answer unread")
    robbed.night()
    with closing(sqlite3.connect(robbed.state)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        assert [] == connection.execute("PRAGMA foreign_key_check").fetchall()
    assert [0, 0] == [row.exit_code for row in robbed.rows(Run)][:2]
