"""A ledger held for writing in its own folder."""

import pytest

from tests.builders import hold
from tests.fakes import FakeClock


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
