"""Where the fleet's database is, and that its password is shown nowhere."""

import asyncio
import os
import socket

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException
from psycopg.conninfo import conninfo_to_dict

from connectors.language import Language, using_language
from jobs.exit_codes import UsageError
from jobs.fleet import database as fleet_database
from jobs.fleet.database import FleetAwayError, FleetDatabase, FleetDatabaseError, explained, find_fleet_database
from jobs.fleet.deploy import create_or_upgrade_fleet_tables
from jobs.fleet.watch import FleetWatch
from jobs.fleet.worker import FleetWorker
from jobs.ledger.storage.revisions import SchemaChange
from tests.postgresql import server

URL = "postgresql://fleet:s3cret-word@db.example/fleet"


@pytest.mark.parametrize(
    ("written", "environ"),
    [
        (None, {"OPLEAD_SYNC_DATABASE": URL}),
        (None, {"OPLEAD_SYNC_DATABASE_FILE": "database"}),
        ("file:database", {"OPLEAD_SYNC_DATABASE": "postgresql://other/"}),
        ("${FLEET}", {"FLEET": URL}),
    ],
)
def test_address_is_found_as_secrets_are(tmp_path, written, environ):
    """In the environment, or in a file; what is typed comes first."""
    (tmp_path / "database").write_text(f"{URL}\n")

    assert find_fleet_database(written, environ, tmp_path).url == URL


def test_address_may_stand_in_env_file(tmp_path):
    """As the secrets of settings may."""
    (tmp_path / ".env").write_text(f"OPLEAD_SYNC_DATABASE={URL}\n")

    assert find_fleet_database(None, {}, tmp_path).url == URL


def test_address_without_a_password_may_be_typed(tmp_path):
    """It holds no secret."""
    assert find_fleet_database("postgresql://db/fleet", {}, tmp_path).url == "postgresql://db/fleet"


@pytest.mark.parametrize(
    ("written", "environ", "why"),
    [
        (URL, {}, "everyone on this machine can read a password that is typed"),
        (None, {}, "OPLEAD_SYNC_DATABASE is not set"),
        (
            None,
            {"OPLEAD_SYNC_DATABASE": "postgresql//fleet:s3cret-word@db"},
            "OPLEAD_SYNC_DATABASE: this is no address of a database",
        ),
        ("${FLEET}", {"FLEET": "s3cret-word"}, "--database: this is no address of a database"),
        ("${FLEET}", {}, "by --database: the environment variable FLEET is not set"),
        (
            None,
            {"OPLEAD_SYNC_DATABASE_FILE": "gone"},
            "by OPLEAD_SYNC_DATABASE_FILE: the file named here does not exist",
        ),
        (
            None,
            {"OPLEAD_SYNC_DATABASE": "postgresql://db/fleet?password=s3cret-word"},
            "its password must stand before",
        ),
        ("s3cret-word", {}, "by --database: a secret must not stand in this file"),
    ],
)
def test_address_that_cannot_be_used_is_refused_without_showing_it(tmp_path, written, environ, why):
    """The message says what to write."""
    with pytest.raises(UsageError) as refused:
        find_fleet_database(written, environ, tmp_path)

    assert why in str(refused.value)
    assert "s3cret-word" not in str(refused.value)


def test_vault_that_is_away_is_asked_for_the_address_again(tmp_path):
    """A worker that starts meanwhile is started again."""
    environ = {"OPLEAD_SYNC_SECRETS_COMMAND": "false", "PATH": os.defpath}
    with pytest.raises(FleetAwayError, match="asked for OPLEAD_SYNC_DATABASE, the command ended with 1"):
        find_fleet_database(None, environ, tmp_path)
    with pytest.raises(UsageError, match="the command cannot be run"):
        find_fleet_database(None, environ | {"OPLEAD_SYNC_SECRETS_COMMAND": "/no/such/command"}, tmp_path)


def test_password_is_hidden_as_it_is_written_and_as_it_is_meant():
    """Logs might show either."""
    secrets = list(FleetDatabase("postgresql://fleet:s3cret%20word@db.example/fleet").secrets)

    assert {"s3cret%20word", "s3cret word"} < set(secrets)


def test_addresses_of_notices_are_not_in_representations():
    """Most hold a password."""
    assert "s3cret-word" not in repr(FleetWatch(FleetDatabase(URL), addresses=("jsons://a:s3cret-word@hooks.example",)))


def test_password_is_neither_in_errors_nor_in_representations(tmp_path):
    """Even where the server refuses."""
    with server().database() as url:
        database = find_fleet_database("${D}", {"D": url.replace("/test_", "/no_such_")}, tmp_path)
        with pytest.raises(FleetDatabaseError) as refused, database.connect():
            pass

    assert "does not exist" in str(refused.value)
    assert "s3cret-word" not in f"{refused.value} {database!r}"
    assert "s3cret-word" in list(database.secrets)


@pytest.mark.parametrize(
    ("error", "expected", "advice"),
    [
        (psycopg.OperationalError("connection refused"), FleetAwayError, "cannot be reached"),
        (psycopg.errors.AdminShutdown("bye"), FleetAwayError, "run again"),
        (psycopg.errors.TooManyConnections("full"), FleetAwayError, "no connection left"),
        (psycopg.errors.InsufficientPrivilege("permission denied"), FleetDatabaseError, "may not do that"),
        (psycopg.errors.UndefinedTable("no relation"), FleetDatabaseError, "run `oplead-sync fleet deploy`"),
    ],
)
def test_database_that_is_away_is_told_from_one_that_somebody_must_mend(error, expected, advice):
    """The first may be tried again; each says what to do, also where the queue's library has met it."""
    wrapped = ConnectorException()
    wrapped.__cause__ = error

    for each in (error, wrapped):
        found = explained(each)
        assert (expected, 75 if expected is FleetAwayError else 2) == (type(found), found.exit_code)
        assert advice in str(found)


def test_advice_is_in_the_reader_s_language():
    """What the server said stands behind it, as it said it."""
    with using_language(Language.FRENCH):
        said = str(explained(psycopg.errors.InsufficientPrivilege("permission denied")))

    assert said.startswith("la base de la flotte")
    assert said.endswith("(permission denied)")
    assert "this user" not in said


def test_fleet_is_not_deployed_by_a_user_who_sees_every_account():
    """Row-level security, by which states here are kept apart, does not hold for a superuser."""
    with server().database() as url:
        with pytest.raises(FleetDatabaseError) as refused:
            create_or_upgrade_fleet_tables(FleetDatabase(url.replace("oplead:", "postgres:")))
        create_or_upgrade_fleet_tables(FleetDatabase(url))

    assert "without SUPERUSER and BYPASSRLS" in str(refused.value)


def test_worker_that_is_paused_in_a_transaction_holds_up_no_other_for_long(monkeypatch):
    """The server ends its transaction, and with it the lock under which one worker at a time looks for what is due."""
    monkeypatch.setattr(fleet_database, "_IDLE_SECONDS", 1)
    lock, waited = "SELECT pg_advisory_xact_lock(1)", []

    def work_paused(database):
        with database.connect() as paused:
            paused.execute(lock)
            with database.connect() as other:
                other.execute("SET lock_timeout = '20s'")
                waited.append(other.execute(lock).rowcount)
            paused.execute("SELECT 1")

    with server().database() as url, pytest.raises(FleetDatabaseError):
        work_paused(FleetDatabase(url))

    assert [1] == waited


def test_server_that_is_gone_is_noticed_within_a_minute():
    """By whoever asks it something, for the fleet and for its queue; nobody ends the connection."""

    async def as_the_queue(database):
        queue = FleetWorker(database, None, None, 1)._queue()
        await queue.open_async()
        async with queue.pool.connection() as connection:
            found = patience(connection)
        await queue.close_async()
        return found

    name = server().create()
    database = FleetDatabase(server().url(name, over_network=True))
    with database.connect() as connection:
        patient = patience(connection), asyncio.run(as_the_queue(database))
    server().drop(name)

    assert all(silent <= 60 and unanswered == 60_000 for silent, unanswered in patient)


def test_a_machine_that_vanished_leaves_no_connection_on_the_server_for_long():
    """Else each outage would leave dozens for hours; the server asks after a minute, whoever uses them."""
    with server().database(like="template1") as local:
        url = server().url(conninfo_to_dict(local)["dbname"], over_network=True)
        create_or_upgrade_fleet_tables(FleetDatabase(url))
        with psycopg.connect(url) as connection:
            names = ("idle", "interval", "count")
            asked = [connection.execute(f"SHOW tcp_keepalives_{each}").fetchone()[0] for each in names]

    idle, interval, count = map(int, asked)
    assert idle + interval * count <= 60


def patience(connection):
    """After how many seconds of silence a connection is given up, and after how many milliseconds without answer."""
    with socket.socket(fileno=os.dup(connection.fileno())) as connected:
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        idle, interval, count, unanswered = (connected.getsockopt(socket.IPPROTO_TCP, name) for name in names)
        return idle + interval * count, unanswered


def test_place_is_shown_without_user_and_password():
    """A log says where a worker works."""
    assert "postgresql://db.example/fleet" == FleetDatabase(URL).shown_database_address
    assert (
        "postgresql://db:6432/fleet"
        == FleetDatabase("host=db port=6432 dbname=fleet password=x").shown_database_address
    )


def test_tables_of_an_earlier_version_are_brought_up_to_date():
    """What was deployed before is completed, and what it holds stays."""
    with server().database() as url:
        database = FleetDatabase(url)
        create_or_upgrade_fleet_tables(database)
        with database.connect() as connection:
            connection.execute("INSERT INTO fleet_account (name, first_run) VALUES ('one', true)")
            connection.execute(
                "INSERT INTO fleet_run (account, job, machine, settings_version, task, started_at) VALUES "
                "('one', 1, 'web:1:12', 1, NULL, now()), "
                "('one', 2, 'web:1:12', 1, 'unable', now() - interval '9 days'), "
                "('one', 3, 'web:1:12', 1, 'night', now() - interval '9 days')"
            )
            kept = connection.execute("SELECT ctid, job FROM fleet_run WHERE task = 'night'").fetchall()
            connection.execute("DROP INDEX fleet_run_started")
            connection.execute("DROP TABLE fleet_problem, fleet_notice, fleet_message, fleet_worker")
            connection.execute("ALTER TABLE fleet_account DROP sends_to, DROP told_apart, DROP not_renamed")
            connection.execute("ALTER TABLE fleet_run RENAME machine TO worker")
            connection.execute("ALTER TABLE fleet_run DROP asked")
            connection.execute("ALTER TABLE fleet_account DROP held, DROP lost")
            connection.execute("DELETE FROM fleet_revision WHERE name LIKE 'fleet-%' AND name <> 'fleet-1'")

        assert SchemaChange("fleet-1", "fleet-9", 8) == create_or_upgrade_fleet_tables(database)
        with database.connect() as connection:
            assert [{"name": "one"}] == connection.execute("SELECT name FROM fleet_account").fetchall()
            runs = connection.execute("SELECT machine FROM fleet_run ORDER BY job").fetchall()
            assert ["web:1", "web:1", "web:1:12"] == [each["machine"] for each in runs]
            assert kept == connection.execute("SELECT ctid, job FROM fleet_run WHERE task = 'night'").fetchall()
            assert [] == connection.execute("SELECT 1 FROM fleet_problem, fleet_notice").fetchall()
            assert connection.execute("SELECT 1 FROM pg_indexes WHERE indexname = 'fleet_run_started'").fetchone()
