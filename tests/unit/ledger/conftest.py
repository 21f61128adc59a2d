"""A ledger held for writing in its own folder."""

import pytest

from tests import quick
from tests.builders import hold
from tests.fakes import FakeClock


@pytest.fixture(scope="session", autouse=True)
def _shared_statements():
    """Share compiled statements between states."""
    with quick.shared_statements():
        yield


@pytest.fixture
def clock():
    """A clock set to the first night."""
    return FakeClock()


@pytest.fixture
def path(tmp_path):
    """The path of the state, where no file exists yet."""
    return tmp_path / "state.db"


@pytest.fixture
def ledger(path, clock):
    """The state, held for writing."""
    with hold(path, clock) as held:
        yield held
