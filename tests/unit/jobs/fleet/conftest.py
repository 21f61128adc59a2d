"""What tests of a fleet start from."""

import pytest

from jobs.fleet.database import FleetDatabase
from jobs.fleet.deploy import deploy
from tests.postgresql import server


@pytest.fixture
def database():
    """A new database with all tables of a fleet, and no account."""
    with server().database(like="deployed") as url:
        made = FleetDatabase(url)
        deploy(made)
        yield made
