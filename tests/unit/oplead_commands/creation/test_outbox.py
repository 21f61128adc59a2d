"""The outbox: what became of each lead that we create, on record before its request leaves."""

import signal
import sqlite3
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest

from jobs.cancellation import StoppedBySignal
from jobs.exit_codes import UsageError
from jobs.ledger.storage.lock import LeaseHeldError
from jobs.oplead_commands.creation.identity import LeadFingerprint
from jobs.oplead_commands.creation.outbox import (
    LeadCreationState,
    LeadToCreate,
    lead_creation_outbox_path,
    lock_lead_creation_outbox,
    open_outbox,
)

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
MARK = LeadFingerprint(frozenset({"EMAIL:mark", "NAME:mark"}))
LEAD = LeadToCreate("key", "content", MARK, has_provider_url=True)


@pytest.fixture
def path(tmp_path):
    """Where the outbox is."""
    return lead_creation_outbox_path(tmp_path, "maison-durand")


def only(outbox):
    """The one lead on record."""
    return outbox.find(["key"])["key"]


def test_a_request_under_way_when_the_process_died_is_in_doubt(path):
    """It may have arrived."""
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        outbox.record_request_in_flight(LEAD, now=NOW)

    with lock_lead_creation_outbox(path, now=lambda: LATER) as outbox:
        assert (LeadCreationState.IN_DOUBT, "died", LATER) == (
            only(outbox).state,
            only(outbox).reason,
            only(outbox).lost_at,
        )


def test_what_is_on_record_is_durable_before_the_method_returns(path):
    """Another connection sees it at once: nothing waits for the end."""
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        outbox.record_request_in_flight(LEAD, now=NOW)
        with open_outbox(path) as other:
            assert LeadCreationState.IN_FLIGHT is only(other).state


@pytest.mark.parametrize("state", LeadCreationState)
def test_what_is_on_record_cannot_be_sent(path, state):
    """What may be in Oplead does not leave a second time by mistake."""
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        outbox.record_request_in_flight(LEAD, now=NOW)
        if state is LeadCreationState.CREATED:
            outbox.record_lead_created("key", "L-1")
        if state is LeadCreationState.IN_DOUBT:
            outbox.record_lost_answer("key", "no_answer", now=NOW)

        with pytest.raises(RuntimeError):
            outbox.record_request_in_flight(LEAD, now=LATER)

        assert (state, NOW) == (only(outbox).state, only(outbox).sent_at)


def test_a_created_lead_stays_created(path):
    """Whatever is asked for."""
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        outbox.record_request_in_flight(LEAD, now=NOW)
        outbox.record_lead_created("key", "L-1")
        outbox.drop("key")

        with pytest.raises(RuntimeError):
            outbox.record_lost_answer("key", "no_answer", now=LATER)
        with pytest.raises(RuntimeError):
            outbox.record_lead_created("key", "L-2")

        assert ("content", "L-1") == (only(outbox).content, only(outbox).lead)


def test_a_lead_that_is_certain_not_to_be_in_oplead_leaves_nothing_behind(path):
    """Neither on record nor in the file's bytes."""
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        outbox.record_request_in_flight(
            LeadToCreate("k" * 64, "c" * 64, LeadFingerprint(frozenset({"EMAIL:" + "m" * 64})), has_provider_url=True),
            now=NOW,
        )
        outbox.drop("k" * 64)

        assert {} == outbox.find(["k" * 64])

    assert not [each for each in (b"k" * 64, b"c" * 64, b"m" * 64) if each in path.read_bytes()]


def begin(outbox, key, mark=MARK, *, now=NOW):
    """Put one lead's request on record."""
    outbox.record_request_in_flight(LeadToCreate(key, "content", mark, has_provider_url=False), now=now)


def test_marks_of_leads_with_an_id_are_forgotten(path):
    """They are kept only to find leads by, and those that could be taken for one that is looked for."""
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        for key, lead in {"key": "L-1", "nameless": None}.items():
            begin(outbox, key)
            outbox.record_lead_created(key, lead)
        begin(outbox, "doubt")
        outbox.record_lost_answer("doubt", "no_answer", now=NOW)

        outbox.erase_recognition_marks(now=NOW)

        assert only(outbox).mark is None
        assert {"doubt", "nameless"} == {one.key for one in outbox.leads_recognisable_in_oplead()}


def test_a_lead_in_doubt_is_looked_for_at_once_after_15_and_30_minutes_and_each_night(path):
    """From half an hour on, a human decides."""
    looks, humans = [], []
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        begin(outbox, "key")
        outbox.record_lost_answer("key", "no_answer", now=NOW)
        for _ in range(4):
            looks.append(only(outbox).next_look_at - NOW)
            outbox.record_look("key", "not_seen", now=only(outbox).next_look_at)
            humans.append(only(outbox).is_for_humans)

    half = timedelta(minutes=30)
    assert [timedelta(), timedelta(minutes=15), half, half + timedelta(days=1)] == looks
    assert [False, False, True, True] == humans


def test_an_outbox_of_before_is_brought_up_to_date(path):
    """What it knows stays known: without it, each lead would be created again."""
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        begin(outbox, "key")
        outbox.record_lead_created("key", "L-1")
    with sqlite3.connect(path) as older:
        older.executescript(
            "ALTER TABLE creation DROP COLUMN looked_at; ALTER TABLE creation ADD COLUMN parts INTEGER; "
            "PRAGMA user_version = 4;"
        )
    older.close()

    with open_outbox(path) as outbox:
        assert "L-1" == only(outbox).lead


@pytest.mark.parametrize(("hours", "is_kept"), [(4, True), (5, False)])
@pytest.mark.parametrize("is_any_in_doubt", [True, False])
def test_a_created_lead_without_an_id_keeps_its_mark_while_it_could_be_taken_for_another(
    path, hours, is_kept, is_any_in_doubt
):
    """Also where nothing is in doubt yet: the next lead of the same person may be."""
    now = NOW + timedelta(hours=hours)
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        begin(outbox, "key")
        outbox.record_lead_created("key", None)
        if is_any_in_doubt:
            begin(outbox, "doubt", now=now)
            outbox.record_lost_answer("doubt", "no_answer", now=now)

        outbox.erase_recognition_marks(now=now + timedelta(days=9) if is_any_in_doubt else now)

        assert is_kept == (only(outbox).mark is not None)


def test_a_lead_in_doubt_that_nothing_marks_is_not_passed_over(path):
    """It stays in doubt until a human says what became of it."""
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        begin(outbox, "key", None)
        outbox.record_lost_answer("key", "no_answer", now=NOW)

        assert ["key"] == [one.key for one in outbox.leads_recognisable_in_oplead()]


def test_each_outbox_has_a_salt_of_its_own_for_good(path, tmp_path):
    """Its hashes match those of no other file."""
    with (
        lock_lead_creation_outbox(path, now=lambda: NOW) as outbox,
        lock_lead_creation_outbox(tmp_path / "other.oplead.db", now=lambda: NOW) as other,
    ):
        salt = outbox.salt
        assert (32, 32) == (len(salt), len(other.salt))
        assert salt != other.salt
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        assert salt == outbox.salt


def test_only_one_process_holds_it_and_only_its_owner_reads_it(path):
    """Two imports at once could both send a lead."""
    with lock_lead_creation_outbox(path, now=lambda: NOW):
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        with pytest.raises(LeaseHeldError), lock_lead_creation_outbox(path, now=lambda: NOW):
            pass


def test_a_patient_command_waits_for_the_one_before(path):
    """Two forms that a website sends at the same moment are both created; what died meanwhile was lost just now."""
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
            begin(outbox, "died")
            held.set()
            let_go.wait(10)

    first = threading.Thread(target=hold)
    first.start()
    assert held.wait(10)
    threading.Timer(0.2, let_go.set).start()

    with lock_lead_creation_outbox(path, now=lambda: LATER if let_go.is_set() else NOW, patience=10) as outbox:
        assert LATER == outbox.find(["died"])["died"].lost_at
        outbox.record_request_in_flight(LEAD, now=NOW)
        assert LeadCreationState.IN_FLIGHT is only(outbox).state
    first.join(10)


def test_whoever_waits_may_be_stopped(path):
    """Without waiting for the minute to pass."""

    def stop():
        raise StoppedBySignal(signal.SIGTERM)

    with (
        lock_lead_creation_outbox(path, now=lambda: NOW),
        pytest.raises(StoppedBySignal),
        lock_lead_creation_outbox(path, now=lambda: NOW, patience=60, cancel_token=stop),
    ):
        pass


def test_a_file_that_is_no_outbox_is_left_as_it_is(path):
    """A damaged one, another program's, or a newer version's."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (id)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(UsageError, match="no outbox of this version"), lock_lead_creation_outbox(path, now=lambda: NOW):
        pass
    assert before == path.read_bytes()
    path.write_bytes(b"no database at all, but some text that is long enough")
    with pytest.raises(UsageError, match="cannot be used"), lock_lead_creation_outbox(path, now=lambda: NOW):
        pass


def test_the_settings_must_name_the_account(tmp_path):
    """The file is named by it."""
    with pytest.raises(UsageError, match="account is missing"):
        lead_creation_outbox_path(None, None)
    with open_outbox(lead_creation_outbox_path(tmp_path, "nobody")) as outbox:
        assert outbox is None
