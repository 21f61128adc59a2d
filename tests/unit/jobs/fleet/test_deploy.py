"""What `fleet deploy` says that it did, whatever it found."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectors.language import Language, using_language
from jobs.cli.fleet.accounts import deploy_fleet_database
from jobs.fleet.database import FleetDatabase
from jobs.fleet.deploy import create_or_upgrade_fleet_tables
from jobs.ledger.storage.revisions import REVISIONS
from tests.postgresql import server

pytestmark = pytest.mark.xdist_group("postgresql")
NEWEST = REVISIONS[-1]
STEPS = len(REVISIONS) - 10
FLEET_4 = """
DROP TABLE fleet_worker, fleet_message;
ALTER TABLE fleet_run RENAME machine TO worker;
ALTER TABLE fleet_notice DROP over_at, DROP over_failures;
ALTER TABLE fleet_account DROP held, DROP lost, DROP sends_to, DROP told_apart, DROP not_renamed;
DROP INDEX fleet_run_open;
CREATE INDEX fleet_run_open ON fleet_run (job) WHERE ended_at IS NULL;
DELETE FROM fleet_revision WHERE name >= 'fleet-5' AND name LIKE 'fleet-%';
INSERT INTO fleet_account (name, first_run) VALUES ('one', false);
INSERT INTO fleet_run (account, job, worker, settings_version) SELECT 'one', 7, 'web:12', 1 FROM generate_series(1, 2);
"""
"""Makes the fleet's tables those of an earlier version, in which a run may have been begun twice."""
ACCOUNTS_10 = """
SET search_path = public;
DROP TABLE reported_lead;
ALTER TABLE delivery DROP COLUMN happened_after;
ALTER TABLE lease DROP COLUMN forgotten_place, DROP COLUMN restored_at;
ALTER TABLE cursor DROP COLUMN listed_whole, DROP COLUMN listed;
DROP TABLE lead_told_apart;
ALTER TABLE lead DROP COLUMN contact_mark, DROP COLUMN reused_in;
ALTER TABLE unreadable_lead DROP COLUMN there;
DROP TABLE former_file;
ALTER TABLE retention_mark DROP COLUMN conversions;
CREATE TABLE monthly_conversions (account text, count integer);
UPDATE alembic_version SET version_num = '0010';
"""
"""Makes the accounts' tables those of an earlier version."""
QUEUE_3_4 = "DELETE FROM fleet_revision WHERE name LIKE '03.04.00_50%'"


@pytest.fixture
def empty():
    """A database without tables."""
    with server().database(like="template1") as url:
        yield FleetDatabase(url)


def test_upgrade_that_a_deadlock_ends_is_done_again(database):
    """A worker has locked its run, and is about to lock its account; the upgrade has that, and waits for the run."""
    with database.connect() as connection:
        connection.execute(FLEET_4)
        name = connection.info.dbname
    with ThreadPoolExecutor(1) as thread, server().connect(name) as worker, server().connect(name) as looking:
        worker.autocommit = False
        worker.execute("SET search_path = oplead_fleet")
        worker.execute("SET deadlock_timeout = '1min'")  # so that the server ends the upgrade
        worker.execute("UPDATE fleet_run SET exit_code = 0")
        upgrade = thread.submit(create_or_upgrade_fleet_tables, database)
        until = time.monotonic() + 30
        while not looking.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount:
            assert time.monotonic() < until
        worker.execute("UPDATE fleet_account SET due_at = now()")
        worker.commit()

        assert 5 == upgrade.result(30).steps


ENGLISH = [
    f"The fleet's tables: created (revision fleet-9)\nThe accounts' tables: created (revision {NEWEST})",
    "The fleet's tables are up to date.",
    "The fleet's tables: upgraded from revision fleet-4 to fleet-9 (5 steps)",
    f"The accounts' tables: upgraded from revision 0010 to {NEWEST} ({STEPS} steps)",
    "The fleet's tables: upgraded (1 step)",
]
CREATED = f"""\
Les tables de la flotte\N{NBSP}: créées (révision fleet-9)
Les tables des comptes\N{NBSP}: créées (révision {NEWEST})"""
FRENCH = [
    CREATED,
    "Les tables de la flotte sont à jour.",
    "Les tables de la flotte\N{NBSP}: mises à niveau de la révision fleet-4 à fleet-9 (5 étapes)",
    f"Les tables des comptes\N{NBSP}: mises à niveau de la révision 0010 à {NEWEST} ({STEPS} étapes)",
    "Les tables de la flotte\N{NBSP}: mises à niveau (1 étape)",
]


@pytest.mark.parametrize(("language", "expected"), [(Language.ENGLISH, ENGLISH), (Language.FRENCH, FRENCH)])
def test_deployment_says_in_a_line_or_two_what_it_did(empty, capsys, language, expected):
    """Created, upgraded from where to where, or nothing to do; never revision by revision."""
    with using_language(language):
        deploy_fleet_database(empty)
        said = [capsys.readouterr().out]
        for found in ("", FLEET_4, ACCOUNTS_10, QUEUE_3_4):
            with empty.connect() as connection:
                connection.execute(found)
            deploy_fleet_database(empty)
            said.append(capsys.readouterr().out)

    assert [f"{each}\n" for each in expected] == said
