"""What tests of a fleet start from."""

import pytest

from jobs.fleet.database import FleetDatabase
from jobs.fleet.deploy import create_or_upgrade_fleet_tables
from tests.postgresql import server


@pytest.fixture
def database():
    """A new database with all tables of a fleet, and no account."""
    with server().database(like="deployed") as url:
        made = FleetDatabase(url)
        create_or_upgrade_fleet_tables(made)
        yield made
