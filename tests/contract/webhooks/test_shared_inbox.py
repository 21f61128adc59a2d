"""An inbox that several receivers write to at once, each over connections of its own."""

import sqlite3
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from connectors.records import LeadId
from jobs.exit_codes import CommandError
from jobs.ledger.storage.postgresql import SharedDatabase
from jobs.webhooks import file_inbox
from jobs.webhooks.file_inbox import WebhookInboxFile, set_aside_name
from jobs.webhooks.group_commit import GroupCommit
from jobs.webhooks.move import move_inbox_to_database
from jobs.webhooks.postgresql_inbox import PostgresqlInbox, WebhookInboxTable
from tests import postgresql
from tests.builders import ACCOUNT
from tests.contract.webhooks.conftest import PATIENCE
from tests.contract.webhooks.test_inbox import NOW, stored, won
from tests.fakes import Crash

WON = {"event": "status_change", "eventId": "e-1", "lead": {"id": "L-1", "status": "Gagné"}}


@pytest.fixture
def receivers(database):
    """The account's inbox as two receivers have opened it."""
    one, other = (WebhookInboxTable(SharedDatabase(database), ACCOUNT).open_inbox_for_writing() for _ in range(2))
    with closing(one), closing(other):
        yield one, other


def test_a_reader_passes_over_no_event_that_is_committed_later(receivers):
    """While one receiver is about to commit, another gets no higher id, or a reader would go on from there."""
    slow, quick = receivers
    is_about_to, may_commit = threading.Event(), threading.Event()

    @event.listens_for(slow._engine, "commit")
    def _wait(_connection):
        is_about_to.set()
        assert may_commit.wait(PATIENCE)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(slow.append_events, [won(1, NOW)])
        assert is_about_to.wait(PATIENCE)
        second = threads.submit(quick.append_events, [won(2, NOW)])
        with pytest.raises(TimeoutError):
            second.result(0.5)
        read_to = quick.latest_event_id()
        may_commit.set()
        assert (1, 1) == (first.result(PATIENCE), second.result(PATIENCE))

    assert 0 == read_to
    assert ["L-1", "L-2"] == stored(quick)


def test_receivers_that_write_at_once_store_every_event_once(receivers):
    """Each is delivered to both, as a sender does that got no answer from the first."""
    events = [won(number, NOW) for number in range(200)]
    with ThreadPoolExecutor(2) as threads:
        new = sum(threads.map(lambda one: sum(one.append_events([each]) for each in events), receivers))

    assert len(events) == new == receivers[0].latest_event_id()
    assert [f"L-{number}" for number in range(200)] == sorted(stored(receivers[1]), key=lambda lead: int(lead[2:]))


def test_accounts_of_a_database_see_nothing_of_each_others_events(database):
    """Each has ids, a place and a salt of its own, over the same connections, and waits for no other."""
    shared = SharedDatabase(database)
    one, other = (WebhookInboxTable(shared, name).open_inbox_for_writing() for name in (ACCOUNT, "maison-autre"))
    with closing(one), closing(other), one._writing():
        assert 2 == other.append_events([won(1, NOW), won(2, NOW)])
    assert 1 == one.append_events([won(1, NOW)])

    assert ["L-1"] == stored(one)
    assert ["L-1", "L-2"] == stored(other)
    assert 1 == one.erase([LeadId("L-1"), LeadId("L-2")])
    assert ["L-1", "L-2"] == stored(other)
    assert one.identity() != other.identity()
    shared.close()


def test_no_statement_sees_events_without_an_account(database):
    """Not even one of the tables' owner."""
    with closing(WebhookInboxTable(SharedDatabase(database), ACCOUNT).open_inbox_for_writing()) as inbox:
        inbox.append_events([won(1, NOW)])
    name = database.partition("@/")[2].partition("?")[0]
    with closing(postgresql.server().connect(name, postgresql.OWNER)) as connection:
        found = [connection.execute(f"TABLE {table}").fetchall() for table in ("webhook_event", "webhook_inbox")]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO webhook_inbox VALUES ('maison-autre', '', '')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "UPDATE webhook_event SET account = 'x'; INSERT INTO webhook_event "
                "VALUES ('maison-autre', 1, '', '', '', '', '', '', '', '', true)"
            )

    assert [[], []] == found


def test_a_writer_that_is_paused_keeps_the_others_waiting_for_seconds_only(receivers):
    """Its transaction ends; it stores nothing, and is told so."""
    paused, other = receivers
    pauses = []

    def pause(connection, *_):
        if not pauses:
            pauses.append(connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar())
            connection.exec_driver_sql("SELECT set_config('idle_in_transaction_session_timeout', '100ms', true)")
            assert 1 == other.append_events([won(1, NOW)])

    event.listen(paused._engine, "commit", pause)
    with pytest.raises(CommandError, match="paused too long"):
        paused.append_events([won(2, NOW)])

    assert ["5s"] == pauses
    assert 1 == paused.append_events([won(2, NOW)])


def test_nothing_is_acknowledged_during_an_outage_and_all_goes_on_after_it(running, database):
    """The sender is told to try again; the next event goes over a new connection."""
    shared = SharedDatabase(database)
    inbox = WebhookInboxTable(shared, ACCOUNT).open_inbox_for_writing()
    name = database.partition("@/")[2].partition("?")[0]
    with (
        capture_logs() as logs,
        closing(inbox),
        ThreadPoolExecutor(1) as thread,
        running(inbox=GroupCommit(inbox.append_events, thread)) as receiver,
    ):
        answers = [receiver.post(WON)]
        postgresql.server().execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        _cut_connections(name)
        answers.append(receiver.post({**WON, "eventId": "e-2"}))
        postgresql.server().execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        answers += [receiver.post({**WON, "eventId": "e-2"}), receiver.post(WON)]
        _cut_connections(name)
        answers.append(receiver.post({**WON, "eventId": "e-3"}))

        assert [204, 503, 204, 204, 204] == answers
        assert 3 == inbox.latest_event_id()
    assert 1 == len(logs)
    assert "the state cannot be used" in logs[0]["why"]
    assert postgresql.OWNER not in logs[0]["why"].replace("oplead-sync", "")


def _cut_connections(name):
    ours = f"FROM pg_stat_activity WHERE datname = '{name}'"
    postgresql.server().execute(f"SELECT pg_terminate_backend(pid, {PATIENCE * 1000}) {ours}")


def test_an_inbox_moved_to_a_database_goes_on_there(database, tmp_path):
    """With its ids, identity and salt; the file's receiver refuses what comes, and a second move adds nothing."""
    file = WebhookInboxFile(tmp_path / "inbox.db")
    table = WebhookInboxTable(SharedDatabase(database), ACCOUNT)
    with closing(file.open_inbox_for_writing()) as old:
        old.append_events([won(1, NOW), won(2, NOW)])
        old.erase([LeadId("L-2")])
        moved = move_inbox_to_database(file, table)
        with pytest.raises(OSError, match=r"inbox\.db"):
            old.append_events([won(3, NOW)])
    with closing(table.open_inbox_for_writing()) as new:
        assert (2, 0) == (moved, move_inbox_to_database(file, table))
        assert (old_identity(tmp_path), 2) == (new.identity(), new.latest_event_id())
        assert 1 == new.append_events([won(1, NOW), won(3, NOW)])
        assert ["L-1", "L-3"] == stored(new)


def test_an_inbox_that_somebody_reads_is_moved_once_they_have_ended(database, tmp_path, monkeypatch):
    """Until then its journal holds events, and would stay under the old name, where nobody looks."""
    monkeypatch.setattr(file_inbox, "_BUSY_SECONDS", 0.02)
    file = WebhookInboxFile(tmp_path / "inbox.db")
    table = WebhookInboxTable(SharedDatabase(database), ACCOUNT)
    with (
        closing(file.open_inbox_for_writing()) as old,
        closing(sqlite3.connect(file.path, isolation_level=None)) as reader,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM event").fetchall()
        old.append_events([won(1, NOW)])
        with pytest.raises(CommandError, match=r"inbox\.db: another program is using it, so no event was moved"):
            move_inbox_to_database(file, table)
        old.append_events([won(2, NOW)])
        reader.execute("COMMIT")

        assert 2 == move_inbox_to_database(file, table)
        assert not file_inbox.has_journal(file.path)
    with closing(WebhookInboxFile(set_aside_name(file.path)).open_inbox_for_reading()) as aside:
        assert ["L-1", "L-2"] == stored(aside)


def test_a_move_that_was_killed_before_the_file_was_set_aside_is_repeated(database, tmp_path):
    """What the receiver added in between is moved too; other events of the account are no part of it."""
    file, shared = WebhookInboxFile(tmp_path / "inbox.db"), SharedDatabase(database)
    table, other = WebhookInboxTable(shared, ACCOUNT), WebhookInboxTable(shared, "maison-autre")
    with closing(file.open_inbox_for_writing()) as old:
        old.append_events([won(1, NOW)])
        move_inbox_to_database(file, table)
        set_aside_name(file.path).rename(file.path)
        old.append_events([won(2, NOW)])
    move_inbox_to_database(file, table)
    with closing(table.open_inbox_for_reading()) as new, closing(other.open_inbox_for_writing()) as others:
        assert ["L-1", "L-2"] == stored(new)
        others.append_events([won(1, NOW)])
    set_aside_name(file.path).rename(file.path)
    with pytest.raises(CommandError, match="have arrived here already"):
        move_inbox_to_database(file, other)
    assert file.exists()


@pytest.mark.parametrize("dies", ["before the commit", "before the file is set aside", "at the end"])
def test_a_move_that_is_killed_and_repeated_loses_and_doubles_nothing(database, tmp_path, monkeypatch, dies):
    """Receivers go on in between, at the file, and in the database once it has the inbox; a sender asks both."""
    file, table = WebhookInboxFile(tmp_path / "inbox.db"), WebhookInboxTable(SharedDatabase(database), ACCOUNT)
    is_there, told = dies != "before the commit", [won(1, NOW), won(2, NOW)]
    with closing(file.open_inbox_for_writing()) as old, closing(table.open_inbox_for_writing()) as new:
        old.append_events(told)
        for number in (3, 6):
            killed_at(dies, file, table, monkeypatch)
            if is_there:
                new.append_events([won(number, NOW), won(number + 1, NOW)])
                new.erase([LeadId("L-1")])
            read_to = new.latest_event_id()
            with suppress(OSError):  # refused: the sender repeats it elsewhere
                old.append_events([won(number + 1, NOW), won(number + 2, NOW)])
        move_inbox_to_database(file, table)
        with pytest.raises(OSError, match=r"inbox\.db"):
            old.append_events([won(9, NOW)])

        there = Counter(stored(new))
        later = list(new.leads_with_events(after=read_to, to=new.latest_event_id()))
    expected = {"before the commit": [1, 2, 4, 5, 7, 8], "at the end": [2, 3, 4, 6, 7]}
    assert Counter(f"L-{number}" for number in expected.get(dies, range(2, 9))) == there
    assert ([] if dies == "at the end" else ["L-8"]) == later[-1:]
    assert 0 == move_inbox_to_database(file, table)


def killed_at(moment, file, table, monkeypatch):
    """Move an inbox, and die there."""

    def die(*_):
        raise Crash

    with monkeypatch.context() as patch:
        if moment == "before the commit":
            patch.setattr(PostgresqlInbox, "_writing", dying_at_the_end(PostgresqlInbox._writing))
        elif moment == "before the file is set aside":
            patch.setattr(Path, "rename", die)
        with pytest.raises(Crash) if moment != "at the end" else nullcontext():
            move_inbox_to_database(file, table)


def dying_at_the_end(writing):
    """A transaction that is never committed, where it has work to commit."""

    @contextmanager
    def dying(inbox):
        with writing(inbox) as transaction:
            yield transaction
            if transaction.taken_to() is not None:
                raise Crash

    return dying


def old_identity(folder):
    """The identity of the inbox that was set aside."""
    with closing(WebhookInboxFile(set_aside_name(folder / "inbox.db")).open_inbox_for_reading()) as inbox:
        return inbox.identity()
