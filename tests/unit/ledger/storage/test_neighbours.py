"""What a first run sees of the other accounts of its database: where they send, and nothing else."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy
from pydantic import SecretStr
from sqlmodel import SQLModel

from jobs.ledger.bulk import table_of
from jobs.ledger.schema import Start
from jobs.ledger.storage.plain_reads import NeighbouringLedger
from jobs.ledger.storage.postgresql import create_or_upgrade_ledger_tables, open_postgresql
from jobs.ledger.storage.postgresql_state import PostgresqlState
from jobs.ledger.storage.state_file import OtherSchemaError
from tests.fakes import NIGHT
from tests.postgresql import server, wait_until
from tests.unit.ledger.storage.test_postgresql import fill

pytestmark = pytest.mark.xdist_group("postgresql")
STARTS = {
    "maison-alba": ["123/won", "123/visit for gclid", "456/signed"],
    "maison-bora": ["789/won"],
    "maison-new": ["123/won"],
}


@pytest.fixture
def url():
    """The address of a database with three accounts' starts."""
    with server().database(like="deployed") as made:
        for account, targets in STARTS.items():
            rows = [
                {"account": account, "conversion": f"c{number}", "destination": "d", "label": "", "since": NIGHT}
                | {"target": target}
                for number, target in enumerate(targets)
            ]
            engine = open_postgresql(made, account, for_writing=True)
            with engine.begin() as connection:
                connection.execute(sqlalchemy.insert(table_of(Start)), rows)
            engine.dispose()
        yield made


def neighbours(url, *owners, account="maison-new"):
    """The other accounts that a first run of this one finds, which sends there."""
    return [*PostgresqlState(SecretStr(url), account).neighbouring_ledgers(frozenset(owners or ("123", "789")))]


def test_a_first_run_sees_every_other_account_that_sends_where_it_does(url):
    """Once for each account, whatever the conversions and ids that a route is restricted to."""
    alba, bora = (
        NeighbouringLedger(None, f"maison-{name}", frozenset({owner}))
        for name, owner in (("alba", "123"), ("bora", "789"))
    )

    assert [alba, bora] == neighbours(url, "123", "789")
    assert [bora] == neighbours(url, "789", "12")
    assert [] == neighbours(url, "000")
    assert [] == [*PostgresqlState(SecretStr(url), "maison-new").neighbouring_ledgers(frozenset())]


def test_a_first_run_reads_no_start_of_accounts_that_send_elsewhere(url):
    """However many there are, and whatever PostgreSQL has counted of them."""
    with server().connect(psycopg.conninfo.conninfo_to_dict(url)["dbname"]) as connection:
        connection.execute(
            "INSERT INTO start (account, conversion, destination, label, target, since) "
            "SELECT 'other-' || n, 'c', 'd', '', n || '/won', now() FROM generate_series(100000, 104999) AS n"
        )
        plans = [plan_of_reading_starts(url)]
        connection.execute("ANALYZE start")
        plans.append(plan_of_reading_starts(url))

    for plan in plans:
        assert "start_owner" in plan
        assert "Seq Scan" not in plan


def plan_of_reading_starts(url):
    """How PostgreSQL reads what a first run asks for."""
    engine = open_postgresql(url, "maison-new", for_writing=False)
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT set_config('oplead.first_run', '123/789', true)")
        plan = "\n".join(connection.exec_driver_sql("EXPLAIN SELECT DISTINCT account, target FROM start").scalars())
    engine.dispose()
    return plan


def test_it_sees_nothing_else_of_them_and_changes_nothing(url):
    """Even where it asks for all rows of all tables."""
    own = open_postgresql(url, "maison-cima", for_writing=True)
    fill(own, "maison-cima", 7)
    with own.begin() as connection:
        connection.exec_driver_sql("DELETE FROM start")
    own.dispose()
    engine = open_postgresql(url, "maison-new", for_writing=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT set_config('oplead.first_run', '123/789', true)")
        seen = {
            table.name
            for table in SQLModel.metadata.sorted_tables
            if connection.exec_driver_sql(f'SELECT FROM "{table.name}"').first() is not None
        }
        changed = connection.exec_driver_sql("UPDATE start SET target = '0/none'").rowcount
        deleted = connection.exec_driver_sql("DELETE FROM start").rowcount
    with engine.begin() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM start").scalar()
    engine.dispose()

    assert ({"start"}, 1, 1, 0) == (seen, changed, deleted, left)
    assert ["maison-alba", "maison-bora"] == [each.account for each in neighbours(url)]


@pytest.mark.parametrize(
    "change",
    [
        "DROP POLICY first_run ON start",
        "ALTER POLICY first_run ON start USING (current_setting('oplead.first_run', true) = 'on')",
    ],
)
def test_a_database_that_shows_first_runs_nothing_is_refused_until_it_is_deployed(url, change):
    """One that an earlier version deployed: otherwise every account would pass for the first."""
    engine = open_postgresql(url, "maison-new", for_writing=True)
    with engine.begin() as connection:
        connection.exec_driver_sql(change)
    engine.dispose()

    with pytest.raises(OtherSchemaError, match="run `oplead-sync fleet deploy` first"):
        neighbours(url)
    create_or_upgrade_ledger_tables(url)
    assert 2 == len(neighbours(url))


def test_a_database_is_deployed_while_a_first_night_has_read_and_is_about_to_write(url):
    """It waits for the night, and the night not for it."""
    engine = open_postgresql(url, "maison-new", for_writing=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP POLICY first_run ON start")
        connection.exec_driver_sql("DROP INDEX start_owner")
    looking = server().connect(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    with ThreadPoolExecutor(1) as threads, looking, engine.begin() as night:
        night.exec_driver_sql("SELECT FROM start")
        deploying = threads.submit(create_or_upgrade_ledger_tables, url)
        waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'start'::regclass"
        wait_until(lambda: looking.execute(waits).rowcount == 1)
        night.exec_driver_sql("UPDATE start SET target = target")
        night.commit()
        deploying.result(30)
    engine.dispose()

    assert 2 == len(neighbours(url))
