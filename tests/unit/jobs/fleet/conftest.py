"""What tests of a fleet start from."""

import pytest

from jobs.fleet.database import FleetDatabase
from jobs.fleet.deploy import deploy
from tests.postgresql import server


@pytest.fixture
def database():
    """A new database with a fleet's tables, and no account."""
    with server().database() as url:
        made = FleetDatabase(url)
        deploy(made)
        yield made
