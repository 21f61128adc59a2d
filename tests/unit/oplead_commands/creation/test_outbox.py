"""The outbox: what became of each lead that we create, on record before its request leaves."""

import sqlite3
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest

from jobs.exit_codes import UsageError
from jobs.ledger.runs import LeaseHeldError
from jobs.oplead_commands.creation.identity import Mark, Parts
from jobs.oplead_commands.creation.outbox import CreationState, NewCreation, hold_outbox, open_outbox, outbox_path

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
MARK = Mark("mark", Parts.EMAIL | Parts.NAME)
LEAD = NewCreation("key", "content", MARK, has_provider_url=True)


@pytest.fixture
def path(tmp_path):
    """Where the outbox is."""
    return outbox_path(tmp_path, "maison-durand")


def only(outbox):
    """The one lead on record."""
    return outbox.find(["key"])["key"]


def test_a_request_under_way_when_the_process_died_is_in_doubt(path):
    """It may have arrived."""
    with hold_outbox(path, now=NOW) as outbox:
        outbox.add([LEAD])
        outbox.begin("key", now=NOW)

    with hold_outbox(path, now=LATER) as outbox:
        assert (CreationState.IN_DOUBT, "died", LATER) == (
            only(outbox).state,
            only(outbox).reason,
            only(outbox).lost_at,
        )


def test_a_file_of_the_version_before_is_read_and_gets_what_it_lacks(path):
    """Its leads stay what they are."""
    with hold_outbox(path, now=NOW) as outbox:
        outbox.add([LEAD])
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE creation DROP COLUMN lost_at")
        connection.execute("ALTER TABLE creation DROP COLUMN parts")
        connection.execute("PRAGMA user_version = 1")
    connection.close()

    with open_outbox(path) as outbox:
        assert (None, Mark("mark", Parts(0))) == (only(outbox).lost_at, only(outbox).mark)
    with hold_outbox(path, now=NOW) as outbox:
        outbox.begin("key", now=NOW)
        outbox.settle("key", CreationState.IN_DOUBT, lost_at=LATER)
        assert LATER == only(outbox).lost_at


def test_what_is_on_record_is_durable_before_the_method_returns(path):
    """Another connection sees it at once: nothing waits for the end."""
    with hold_outbox(path, now=NOW) as outbox:
        outbox.add([LEAD])
        outbox.begin("key", now=NOW)
        with open_outbox(path) as other:
            assert CreationState.IN_FLIGHT is only(other).state


@pytest.mark.parametrize(
    "state", [CreationState.CREATED, CreationState.REFUSED, CreationState.IN_DOUBT, CreationState.IN_FLIGHT]
)
def test_only_what_is_pending_can_be_sent(path, state):
    """What may be in Oplead, or was refused, does not leave a second time by mistake."""
    with hold_outbox(path, now=NOW) as outbox:
        outbox.add([LEAD])
        outbox.begin("key", now=NOW)
        if state is not CreationState.IN_FLIGHT:
            outbox.settle("key", state)

        with pytest.raises(RuntimeError):
            outbox.begin("key", now=LATER)

        assert state is only(outbox).state


def test_a_created_lead_stays_created(path):
    """Whatever is asked for."""
    with hold_outbox(path, now=NOW) as outbox:
        outbox.add([LEAD])
        outbox.begin("key", now=NOW)
        outbox.settle("key", CreationState.CREATED, lead="L-1")
        outbox.add([NewCreation("key", "other", None, has_provider_url=False)])

        with pytest.raises(RuntimeError):
            outbox.renew(LEAD)

        assert ("content", "L-1") == (only(outbox).content, only(outbox).lead)


def test_a_request_that_did_not_leave_counts_for_nothing(path):
    """Neither as an attempt nor as the time of the first one, from which leads in Oplead are ours."""
    with hold_outbox(path, now=NOW) as outbox:
        outbox.add([LEAD])
        outbox.begin("key", now=NOW)
        outbox.unsend("key")
        outbox.begin("key", now=LATER)

        assert (1, LATER) == (only(outbox).sends, only(outbox).first_sent_at)


def test_marks_are_forgotten_once_nothing_is_in_doubt(path):
    """They are kept only to recognise leads by."""
    with hold_outbox(path, now=NOW) as outbox:
        outbox.add([LEAD, NewCreation("other", "content", MARK, has_provider_url=False)])
        for key in ("key", "other"):
            outbox.begin(key, now=NOW)
        outbox.settle("key", CreationState.CREATED, lead="L-1")
        outbox.settle("other", CreationState.IN_DOUBT)
        outbox.forget_marks()
        assert MARK == only(outbox).mark

        outbox.settle("other", CreationState.CREATED, lead="L-2")
        outbox.forget_marks()

        assert only(outbox).mark is None


def test_a_lead_in_doubt_that_nothing_marks_is_not_passed_over(path):
    """It stays in doubt until a human says what became of it."""
    with hold_outbox(path, now=NOW) as outbox:
        outbox.add([NewCreation("key", "content", None, has_provider_url=False)])
        outbox.begin("key", now=NOW)
        outbox.settle("key", CreationState.IN_DOUBT, lost_at=NOW)

        assert ["key"] == [one.key for one in outbox.marked()]


def test_only_one_process_holds_it_and_only_its_owner_reads_it(path):
    """Two imports at once could both send a lead."""
    with hold_outbox(path, now=NOW):
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        with pytest.raises(LeaseHeldError), hold_outbox(path, now=NOW):
            pass


def test_a_patient_command_waits_for_the_one_before(path):
    """Two forms that a website sends at the same moment are both created."""
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with hold_outbox(path, now=NOW):
            held.set()
            let_go.wait(10)

    first = threading.Thread(target=hold)
    first.start()
    assert held.wait(10)
    threading.Timer(0.2, let_go.set).start()

    with hold_outbox(path, now=NOW, patience=10) as outbox:
        outbox.add([LEAD])
        assert CreationState.PENDING is only(outbox).state
    first.join(10)


def test_a_file_that_is_no_outbox_is_left_as_it_is(path):
    """A damaged one, another program's, or a newer version's."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (id)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(UsageError, match="no outbox of this version"), hold_outbox(path, now=NOW):
        pass
    assert before == path.read_bytes()
    path.write_bytes(b"no database at all, but some text that is long enough")
    with pytest.raises(UsageError, match="cannot be used"), hold_outbox(path, now=NOW):
        pass


def test_the_settings_must_name_the_account(tmp_path):
    """The file is named by it."""
    with pytest.raises(UsageError, match="account is missing"):
        outbox_path(None, None)
    with open_outbox(outbox_path(tmp_path, "nobody")) as outbox:
        assert outbox is None
