"""What a first run sees of the other accounts of its database: where they send, and nothing else."""

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
from tests.postgresql import server
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


def neighbours(url, account="maison-new"):
    """The other accounts that a first run of this one finds."""
    return [*PostgresqlState(SecretStr(url), account).neighbouring_ledgers()]


def test_a_first_run_sees_where_every_other_account_sends(url):
    """Once for each account, whatever the conversions and ids that a route is restricted to."""
    assert [
        NeighbouringLedger(None, "maison-alba", frozenset({"123", "456"})),
        NeighbouringLedger(None, "maison-bora", frozenset({"789"})),
    ] == neighbours(url)


def test_it_sees_nothing_else_of_them_and_changes_nothing(url):
    """Even where it asks for all rows of all tables."""
    own = open_postgresql(url, "maison-cima", for_writing=True)
    fill(own, "maison-cima", 7)
    with own.begin() as connection:
        connection.exec_driver_sql("DELETE FROM start")
    own.dispose()
    engine = open_postgresql(url, "maison-new", for_writing=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT set_config('oplead.first_run', 'on', true)")
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


@pytest.mark.parametrize("change", ["DROP POLICY first_run ON start", "ALTER POLICY first_run ON start USING (false)"])
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
