"""An unusable state: the run says what to do and exits with 2, and no conversion is duplicated."""

import os
import resource
import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event

from jobs.ledger.schema import Run
from jobs.ledger.storage import database
from tests.e2e.support.traffic import INGEST
from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)
MANY = 40
"""Enough leads for their receipts to need more room than the state has left."""
WITHOUT_PRIVILEGES = """
import ctypes
# A superuser may write anywhere; without its capabilities it is bound by what files allow, as anybody is.
libc = ctypes.CDLL(None, use_errno=True)
assert 0 == libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
"""


def sold(company, number):
    """A lead sold yesterday: an appointment and a sale to send to both platforms."""
    return company.lead(number, ("Gagné", company.clock.now() - DAY), clicks=company.both(number))


def everything_counted_once(company, numbers):
    """Assert that the ledger accepted and the platform counted both conversions of each lead, once."""
    names = {(f"L-{number}", conversion) for number in numbers for conversion in ("appointment", "sale")}
    assert dict.fromkeys(names, "accepted") == company.states()
    assert sorted(names) == sorted(company.taken())
    assert [] == company.disagreements()


# ── a failure during a run ───────────────────────────────────────────────────────────────────────


class FullDisk:
    """No page can be added to the database."""

    advice = "the disk is full; make room and run again: what was committed is safe"

    def begin(self, _):
        """Start the failure."""
        event.listen(Engine, "begin", self._limit)

    def end(self):
        """End the failure."""
        if event.contains(Engine, "begin", self._limit):
            event.remove(Engine, "begin", self._limit)

    @staticmethod
    def _limit(connection):
        # SQLite uses its present size if that is larger.
        connection.exec_driver_sql("PRAGMA max_page_count=1")


class FullQuota:
    """No file may grow."""

    advice = "the disk does not take or give its data; check the disk, then run again"

    def __init__(self):
        self.allowed = resource.getrlimit(resource.RLIMIT_FSIZE)

    def begin(self, company):
        """Start the failure."""
        log = company.state.with_name("state.db-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, self.allowed[1]))

    def end(self):
        """End the failure."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self.allowed)


class Locked:
    """Another program holds a write transaction open."""

    advice = "another program is writing to it; try again when that has ended"
    other = None

    def begin(self, company):
        """Start the failure."""
        if self.other is None:
            self.other = sqlite3.connect(company.state, check_same_thread=False)
            self.other.execute("BEGIN IMMEDIATE")

    def end(self):
        """End the failure."""
        if self.other is not None:
            self.other.close()


@pytest.fixture(params=[FullDisk, FullQuota, Locked])
def trouble(request, monkeypatch):
    """A failure of the state, ended at teardown."""
    monkeypatch.setattr(database, "BUSY_MS", 100)
    trouble = request.param()
    yield trouble
    trouble.end()


def test_replays_an_upload_with_unsaved_receipt_with_the_same_bytes(company, trouble):
    """The platform accepted the upload, but the receipt could not be written: the next run sends the same events."""
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


def test_run_contacts_no_server_while_the_state_is_locked(company, monkeypatch):
    """The run exits with 2, `status` still works, and the next run proceeds normally."""
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


# ── unusable from the start ─────────────────────────────────────────────────────────────────────


@contextmanager
def forbidden(path, mode):
    """Give a file or folder another mode for a while."""
    allowed = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(allowed)


@pytest.mark.parametrize("what", ["the file", "the folder"])
def test_read_only_state_exits_with_advice_and_sends_nothing(company, what):
    """Once the file or folder is writable again, everything works."""
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


def test_a_state_that_another_user_made_exits_with_advice(company):
    """As where somebody typed a service's first night as root."""
    company.night()
    with forbidden(company.state, 0o000):
        process = company.start_command("run", config=company.config, prelude=WITHOUT_PRIVILEGES)
        _, output = process.communicate(timeout=60)

    assert 2 == process.returncode, output
    assert f"{company.state}" in output
    assert "give this user read and write access to the file and its folder" in output


def newer(path):
    """Mark the state as written by a later version, and return the advice expected."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    return "newer oplead-sync (revision 9999); nothing was changed. Run the version that wrote it"


def garbage(path):
    """Overwrite the state with something else, and return the advice expected."""
    path.write_bytes(b"a letter to grandmother " * 1_000)
    return "it is not a state of oplead-sync; check `state:` in the settings"


@pytest.mark.parametrize("spoil", [newer, garbage])
@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"], ["status"], ["explain", "L-1"]])
def test_commands_report_a_foreign_state_and_leave_it_untouched(company, spoil, command):
    """No command changes the file or sends anything."""
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


# ── a lost write-ahead log ───────────────────────────────────────────────────────────────────────


def torn(log):
    """Cut off the end of the last transaction, as if it had not reached the disk."""
    os.truncate(log, log.stat().st_size - 100)


def halved(log):
    """Remove half of the log."""
    os.truncate(log, log.stat().st_size // 2)


def deleted(log):
    """Delete the log, as if only the state's own file had been copied."""
    log.unlink()
    log.with_name(log.name.replace("-wal", "-shm")).unlink()


@pytest.fixture(params=[torn, halved, deleted])
def robbed(company, request):
    """A company whose state lost its log after a run was killed with an upload already accepted.

    The night before is in the state's own file; of what followed, only the beginning is left, or nothing.
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


def test_data_manager_counts_once_what_a_lost_log_resends(robbed):
    """Data Manager recognises the deduplication key, and earlier deliveries keep their state."""
    robbed.kill("accepted, answer unread")
    night = robbed.night()
    robbed.later()

    assert (0, 0) == (night.exit_code, night.recovered)
    assert {("L-1", "sale"): "accepted", ("L-2", "sale"): "accepted"} == robbed.states()
    assert [("L-1", "sale"), ("L-2", "sale")] == sorted(robbed.taken())
    assert [1, 2] == sorted(len(events) for events in robbed.sent().values())
    assert [] == robbed.disagreements()


def test_google_ads_api_duplicate_unknown_to_the_state_is_rejected(robbed):
    """It counts once; the ledger does not claim it, since another sender may have sent it, and the run exits with 1."""
    robbed.use_ads_api()
    robbed.kill("google_ads_api: accepted, answer unread")
    night = robbed.night()

    assert 1 == night.exit_code
    assert {("L-1", "sale"): "accepted", ("L-2", "sale"): "rejected"} == robbed.states()
    assert [1, 1] == [line.times for line in robbed.counted()]
    assert "If the state was restored from a backup" in type_in(robbed, "explain", "L-2").lines


def test_meta_without_deduplication_counts_twice_after_a_lost_log(robbed):
    """Only an intact state knows that an event was sent, which is why the log matters."""
    robbed.use_meta_alone()
    robbed.sandbox.meta.set_switch("meta_deduplication", value=False)
    robbed.kill("meta: accepted, answer unread")
    robbed.night()

    assert {("L-1", "sale"): "accepted", ("L-2", "sale"): "accepted"} == robbed.states("meta")
    assert [1, 2] == sorted(line.times for line in robbed.counted())


def test_state_without_its_log_passes_integrity_checks(robbed):
    """Each transaction is either complete or absent."""
    robbed.kill("accepted, answer unread")
    robbed.night()
    with closing(sqlite3.connect(robbed.state)) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        assert [] == connection.execute("PRAGMA foreign_key_check").fetchall()
    assert [0, 0] == [row.exit_code for row in robbed.rows(Run)][:2]
