"""Somebody is forgotten after the state was moved to a database: the files it was moved from hold nothing of them."""

import signal
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId, Moment
from jobs.account import forget as forgetting
from jobs.ledger.storage.state_file import LedgerFileKind, read_state_move, state_file_kind
from jobs.webhooks.file_inbox import WebhookInboxFile, set_aside_name
from tests import postgresql
from tests.e2e.support.planted import EMAIL, PEOPLE, PHONE, person
from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)
TO = "${OPLEAD_SYNC_DATABASE}"
LABEL = "étape-vuscandrolie"
KILLED = -signal.SIGKILL
BY = [("--lead", "L-1"), ("--email", EMAIL), ("--phone", PHONE)]


@pytest.fixture
def company(company, monkeypatch):
    """A company that knows a person by a sale sent, one held back and webhooks, whose state was moved since."""
    postgresql.needed()
    name = postgresql.server().create()
    # Where copies are made.
    (folder := company.state.with_name("copies")).mkdir(parents=True)
    company.environ["TMPDIR"] = str(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    company.environ["OPLEAD_SYNC_DATABASE"] = postgresql.server().url(name)
    company.conversion("appointment")["count_once_per"] = "person"
    yesterday = company.START - DAY
    company.serve(
        person(company, 1, ("RDV pris", yesterday), ("Gagné", yesterday), amount="à voir"),
        company.lead(2, ("Gagné", yesterday)),
    )
    company.night()
    inbox = WebhookInboxFile(company.state.with_name("maison-test.inbox.db")).open_inbox_for_writing()
    inbox.append_events([event(company, "L-1", LABEL), event(company, "L-2", "Gagné")])
    inbox.close()
    assert 0 == type_in(company, "state", "move", "--to", TO).code
    company.before = found(company)
    company.moved = company.config.with_name("moved.yaml")
    company.moved.write_text(company.config.read_text().replace(f"sqlite:///{company.state}", TO))
    yield company
    postgresql.server().drop(name)


def event(company, lead, label):
    """Return a webhook about a lead as it was received."""
    now = company.clock.now()
    told = WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId(lead), label, Moment(now), None, "")
    return ReceivedEvent(told, now, f"{lead} {label}", is_unique=True)


def found(company):
    """Return what of the person stands in which file that the program wrote, journals included."""
    files = [each for each in company.state.parent.rglob("*") if each.is_file()]
    texts = {"click id": company.gclid(1), "label of a webhook": LABEL}
    planted = {}
    for each in files:
        data = each.read_bytes()
        names = PEOPLE.found_in(data) | {name for name, text in texts.items() if text.encode() in data}
        if names:
            planted[each.name] = names
    return planted


def forget(company, *whom):
    """Type the command with the settings that name the database."""
    return type_in(company, "forget", *whom, file=company.moved)


def killed(company, point, *whom):
    """Forget until the kill; return the exit code."""
    prelude = f"import killed_forget, killed_run\nkilled_forget.POINTS[{point!r}](killed_run.countdown(1))"
    with company.ended(company.start_command("forget", *whom, prelude=prelude, config=company.moved)) as process:
        process.communicate(timeout=60)
        return process.returncode


def expect_sealed(company):
    """Check that no run uses the old state, which still says where it was moved."""
    assert LedgerFileKind.SEALED is state_file_kind(company.state)
    seal = read_state_move(company.state)
    assert (True, True) == (seal.is_moved, seal.place.startswith("postgresql:///"))
    refused = type_in(company, "run")
    assert (2, True) == (refused.code, "this state was moved to postgresql:///" in refused.err)


def rows_there(company, table):
    """Return the rows of a table in the old state."""
    with closing(sqlite3.connect(company.state)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - a name of ours


@pytest.mark.parametrize("whom", BY, ids=["id", "e-mail", "phone"])
def test_nothing_is_left_in_the_files_that_the_state_was_moved_from(company, whom):
    """They had hashes, click ids and events; others' stay, and the old state stays closed."""
    assert {"hash of e-mail", "hash of key of phone", "click id"} <= company.before["state.db"]
    assert {"label of a webhook"} == company.before["maison-test.inbox.db.moved"]
    done = forget(company, *whom)

    assert (0, {}) == (done.code, found(company)), done.out + done.err
    assert f"Erased: 1 lead in {company.state}" in done.lines
    assert f"Erased: 1 webhook event in {set_aside_name(company.state.with_name('maison-test.inbox.db'))}" in done.lines
    assert f"{company.state}, from which the state was moved, is no longer used: delete it" in done.lines
    assert [("maison-test", "L-1")] == [row[:2] for row in rows_there(company, "forgotten_lead")]
    assert ["L-2"] == [row[1] for row in rows_there(company, "lead")]
    expect_sealed(company)


LATER_COLUMNS = (
    *("lead.contact_mark", "lead.reused_in", "cursor.listed", "cursor.listed_whole"),
    *("lease.restored_at", "lease.forgotten_place", "delivery.happened_after", "unreadable_lead.there"),
)
"""What was added since the state of an older version."""


def test_only_forgetting_writes_to_the_old_files(company):
    """No rehearsal, export or refusal does, not even to bring the old state up to date, nor is anything left beside."""
    with closing(sqlite3.connect(company.state)) as connection, connection:
        for table in ("former_file", "lead_told_apart", "reported_lead"):
            connection.execute(f"DROP TABLE {table}")
        for index in ("contact_mark", "created_at_marked", "reused_in"):
            connection.execute(f"DROP INDEX ix_lead_account_{index}")
        for column in LATER_COLUMNS:
            table, name = column.split(".")
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        connection.execute("UPDATE alembic_version SET version_num = '0011'")
    files = [company.state, set_aside_name(company.state.with_name("maison-test.inbox.db"))]
    before, listed = [each.read_bytes() for each in files], sorted(company.state.parent.iterdir())
    (done,) = type_in(company, "forget", "--email", EMAIL, "--dry-run", "--json", file=company.moved).objects
    (person,) = type_in(company, "export-person", "--lead", "L-1", file=company.moved).objects
    refused = type_in(company, "forget", "--lead", "L-7", file=company.moved)

    assert [(str(files[0]), True, 1, 0), (str(files[1]), True, 0, 1)] == [
        (each["path"], each["is_there"], each["leads"], each["events"]) for each in done["former_files"]
    ]
    assert ["L-1", None] == [each["ledger"] and each["ledger"]["lead"]["id"] for each in person["former_files"]]
    assert 2 == refused.code
    assert (before, listed) == ([each.read_bytes() for each in files], sorted(company.state.parent.iterdir()))
    expect_sealed(company)
    assert (0, {}) == (forget(company, "--email", EMAIL).code, found(company))
    expect_sealed(company)


@pytest.mark.parametrize(
    "point",
    [
        "ledger committed",
        "in the commit to the old state",
        "old state to be rewritten",
        "old state rewritten",
        "old events erased",
    ],
)
@pytest.mark.parametrize("whom", BY[:2], ids=["id", "e-mail"])
def test_killed_anywhere_and_repeated_it_ends_the_same(company, point, whom):
    """The old state is closed at every moment, and the next command finishes what is left."""
    assert KILLED == killed(company, point, *whom)
    assert LedgerFileKind.SEALED is state_file_kind(company.state)
    done = forget(company, *whom)

    assert {} == found(company), done.out + done.err
    # Their hashes were in the old state alone, and by then they had gone.
    is_nobody_found = whom[0] == "--email" and point not in ("ledger committed", "in the commit to the old state")
    assert is_nobody_found == done.code
    assert [("maison-test", "L-1")] == [row[:2] for row in rows_there(company, "forgotten_lead")]
    expect_sealed(company)


def test_a_lead_that_only_the_old_state_knows_is_found_there(company):
    """It has left the database by its age; what was sent is listed from the file."""
    erase_in_database(company, "L-1")
    done = type_in(company, "forget", "--phone", PHONE, "--json", file=company.moved)
    (lead,) = done.objects[0]["leads"]

    assert (0, {}) == (done.code, found(company))
    assert ("L-1", True, ["appointment"], []) == (
        lead["lead"],
        lead["is_known"],
        [each["conversion"] for each in lead["sent"]],
        lead["cancelled"],
    )


def erase_in_database(company, lead):
    """Erase a lead in the database alone."""
    from jobs.ledger.retention.erasure import erase_leads  # noqa: PLC0415

    with in_database(company) as session:
        erase_leads(session, "maison-test", [LeadId(lead)])


@contextmanager
def in_database(company):
    """A transaction in the database."""
    from sqlmodel import Session  # noqa: PLC0415

    from jobs.ledger.storage.postgresql import open_postgresql  # noqa: PLC0415

    engine = open_postgresql(company.environ["OPLEAD_SYNC_DATABASE"], "maison-test", for_writing=True)
    with Session(engine) as session:
        yield session
        session.commit()
    engine.dispose()


def test_a_night_says_which_old_files_are_still_there(company):
    """Nothing in them is erased for its age; once they are deleted, nothing is said."""
    said = "the state was moved from this file, which still holds personal data: delete it"
    files, nights = [company.state, aside(company)], [night(company)]
    for each in files:
        each.unlink()
        nights.append(night(company))

    assert [[True, True], [False, True], [False, False]] == [
        [any(said in line and f'"{each}"' in line for line in told.splitlines()) for each in files] for told in nights
    ], nights


def night(company):
    """What a night in the database logs."""
    return type_in(company, "run", file=company.moved).err


def aside(company):
    """Where the webhooks' events were set aside."""
    return set_aside_name(company.state.with_name("maison-test.inbox.db"))


def test_a_night_says_which_old_file_it_cannot_read(company):
    """It may hold all that it held."""
    _overwrite(company.state)
    _leave_journal(aside(company))
    told = night(company)

    assert 2 == told.count("a file that the state was moved from may still hold personal data")
    assert f"{company.state}: what is there cannot be recognised" in told
    assert f"{aside(company)}-wal: this journal" in told


def test_a_night_erases_what_came_late_to_the_events_set_aside(company):
    """A receiver that was not stopped wrote on, and the move was repeated after somebody was forgotten."""
    forget(company, "--lead", "L-1")
    inbox = WebhookInboxFile(aside(company)).open_inbox_for_writing()
    inbox.append_events([event(company, "L-1", LABEL), event(company, "L-2", "RDV pris")])
    inbox.close()
    assert {"label of a webhook"} == found(company)[aside(company).name]
    night(company)

    assert {} == found(company)
    inbox = WebhookInboxFile(aside(company)).open_inbox_for_reading()
    assert ["L-2"] == list(inbox.webhook_events_of(["L-1", "L-2"]))
    inbox.close()


def test_events_that_were_not_moved_are_told_every_night(company):
    """They wait for the move to be repeated, and must not be deleted."""
    inbox = aside(company).rename(company.state.with_name("maison-test.inbox.db"))
    told = night(company)

    assert "webhooks' events are still in this file: repeat `oplead-sync state move`" in told
    assert str(inbox) in told


def _leave_journal(path):
    journal = path.with_name(f"{path.name}-wal")
    path.replace(journal)
    return journal


@pytest.mark.parametrize("name", ["state.db", "maison-test.inbox.db", "maison-test.inbox.db.moved"])
def test_a_journal_that_was_left_without_its_file_is_named(company, name):
    """A file that is gone is fine; what its journal holds is not gone."""
    path = company.state.with_name(name)
    if not path.exists():
        aside(company).rename(path)
    journal = _leave_journal(path)
    for each in (forget(company, "--lead", "L-1", "--dry-run"), forget(company, "--lead", "L-1")):
        assert (1, True) == (each.code, f"{journal}: this journal of a file" in each.lines), each.out + each.err
    journal.unlink()

    assert (0, {}) == (forget(company, "--lead", "L-1").code, found(company))


def test_a_state_moved_before_its_file_was_remembered_is_once_it_is_moved_again(company):
    """Nothing else changes in the database; the inbox is remembered with what tells it from another."""
    with in_database(company) as session:
        session.execute(text("DELETE FROM former_file"))
    assert 0 == type_in(company, "state", "move", "--to", TO).code
    inbox = WebhookInboxFile(aside(company)).open_inbox_for_reading()
    identity = inbox.identity()
    inbox.close()
    with in_database(company) as session:
        rows = session.execute(text("SELECT path, identity FROM former_file ORDER BY path")).all()

    assert [(str(aside(company))[: -len(".moved")], identity), (str(aside(company)), identity)] == rows[:2]
    assert [(str(company.state), None)] == rows[2:]
    assert (0, {}) == (forget(company, "--lead", "L-1").code, found(company))


def test_a_deleted_file_is_fine_and_said(company):
    """That is what the move asked for; on another machine it may still be."""
    company.state.unlink()
    done = forget(company, "--lead", "L-1")

    assert (0, {}) == (done.code, found(company)), done.out + done.err
    assert f"{company.state}, from which the state was moved, is not here" in done.lines


def test_another_state_in_its_place_is_left_alone(company):
    """A file that runs use is nobody's old state."""
    company.state.unlink()
    with closing(sqlite3.connect(company.state)) as other:
        other.execute("PRAGMA application_id = 0x4F504C53")
        other.execute("CREATE TABLE kept (it)")
    before = company.state.read_bytes()
    rehearsed = forget(company, "--lead", "L-1", "--dry-run")
    done = forget(company, "--lead", "L-1")

    for each in (rehearsed, done):
        assert (0, True) == (each.code, f"{company.state}, from which the state was moved, is not here" in each.lines)
    assert before == company.state.read_bytes()


def _damage(path):
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 8000 + path.read_bytes()[8100:])


def _overwrite(path):
    path.write_bytes(b"\xff" * 9000)


def _renew(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_damage, "SQLITE_CORRUPT"),
        (_overwrite, "not a state that this version knows"),
    ],
)
def test_a_file_that_cannot_be_recognised_is_named(company, harm, why):
    """All else is done, and who reads it knows which file may still hold the person, and may be another."""
    harm(company.state)
    rehearsed = forget(company, "--lead", "L-1", "--dry-run")
    done = forget(company, "--lead", "L-1")

    for each in (rehearsed, done):
        assert 1 == each.code
        assert f"{company.state}: what is there cannot be recognised ({why})" in each.lines
        assert "If it is what was left when the state was moved, no run needs it any more: delete it" in each.lines
    assert "maison-test.inbox.db.moved" not in found(company)
    for command in ("forget", "export-person"):
        unknown = type_in(company, command, "--lead", "L-7", file=company.moved)
        said = f"{company.state}: what is there cannot be recognised"
        assert (2, True) == (unknown.code, said in " ".join(unknown.err.split()))
    company.state.unlink()
    assert (0, {}) == (forget(company, "--lead", "L-1").code, found(company))


def test_a_file_of_a_newer_version_is_named(company):
    """It is recognised, so it is said to be of no use."""
    _renew(company.state)
    rehearsed = forget(company, "--lead", "L-1", "--dry-run")
    done = forget(company, "--lead", "L-1")

    assert (1, 1) == (rehearsed.code, done.code)
    assert f"{company.state}: this file was left when the state was moved, and could not be read" in rehearsed.lines
    assert "could not be erased in it (not a state that this version knows)" in done.lines
    assert "could not be read" not in done.lines


def test_a_file_that_could_be_erased_but_not_searched_is_named(company, monkeypatch):
    """A lead that only it knows was not looked for, whatever came of it later."""
    held, kept = forgetting.held_in_former_file, company.state.read_bytes()

    def harmed(*arguments):
        _overwrite(company.state)
        try:
            return held(*arguments)
        finally:
            company.state.write_bytes(kept)

    monkeypatch.setattr(forgetting, "held_in_former_file", harmed)
    done = forget(company, "--email", EMAIL)
    said = f"{company.state}: what is there cannot be recognised (not a state that this version knows)"

    assert (1, True, {}) == (done.code, said in done.lines, found(company)), done.out + done.err


def test_whoever_is_found_nowhere_may_be_in_a_file_elsewhere(company):
    """An operator is told which file to look for, before the id is taken for a mistake."""
    company.state.unlink()
    said = f"{company.state}, from which the state was moved, is not here"
    nobody = forget(company, "--email", "nobody@example.org")
    refused = forget(company, "--lead", "L-7")

    assert (1, True) == (nobody.code, said in nobody.lines)
    assert (2, True) == (refused.code, said in " ".join(refused.err.split()))


def test_a_rehearsal_counts_what_forgetting_does(company):
    """Somebody forgotten before counts in both, as long as the old file knows them."""
    kept = company.state.read_bytes()
    forget(company, "--lead", "L-2")
    company.state.write_bytes(kept)
    counts = [
        [each["leads"] for each in type_in(company, *words, file=company.moved).objects[0]["former_files"]]
        for words in (("forget", "--lead", "L-1", "--json", "--dry-run"), ("forget", "--lead", "L-1", "--json"))
    ]

    assert [[2, 0], [2, 0]] == counts


def test_events_that_cannot_be_read_are_named(company):
    """They keep nothing else from being done."""
    moved = set_aside_name(company.state.with_name("maison-test.inbox.db"))
    _overwrite(moved)
    rehearsed = forget(company, "--lead", "L-1", "--dry-run")
    done = forget(company, "--lead", "L-1")

    for each in (rehearsed, done):
        said = f"{moved}: what is there cannot be recognised (SQLITE_NOTADB)"
        assert (1, True) == (each.code, said in each.lines), each.out + each.err
    assert {} == found(company)


def test_a_file_that_another_program_writes_to_is_named(company):
    """Repeated once that has ended, it is erased."""
    with closing(sqlite3.connect(company.state, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = forget(company, "--lead", "L-1")
        assert (1, True) == (done.code, "could not be erased in it (SQLITE_BUSY)" in done.lines), done.out

    assert (0, {}) == (forget(company, "--lead", "L-1").code, found(company))


def test_an_export_has_what_the_old_files_hold_too(company):
    """Until they are deleted, or the lead is forgotten; of those that cannot be read, it says so."""
    erase_in_database(company, "L-1")
    moved = set_aside_name(company.state.with_name("maison-test.inbox.db"))
    (person,) = type_in(company, "export-person", "--lead", "L-1", file=company.moved).objects
    state, events = person["former_files"]
    assert ([str(company.state), str(moved)], []) == ([state["path"], events["path"]], person["unread_files"])
    assert ["appointment"] == [each["conversion"] for each in state["ledger"]["deliveries"] if each["fields_sent"]]
    assert (None, [LABEL]) == (events["ledger"], [each["label"] for each in events["webhook_events"]])
    forget(company, "--lead", "L-1")
    _overwrite(moved)
    (person,) = type_in(company, "export-person", "--lead", "L-1", file=company.moved).objects

    assert ([], 1) == (person["former_files"], len(person["unread_files"]))
