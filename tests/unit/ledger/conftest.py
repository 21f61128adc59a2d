"""A held ledger in a folder of its own."""

import pytest

from tests.builders import hold
from tests.fakes import FakeClock


@pytest.fixture
def clock():
    """A clock that stands at the first night."""
    return FakeClock()


@pytest.fixture
def path(tmp_path):
    """Where the state is; nothing is there yet."""
    return tmp_path / "state.db"


@pytest.fixture
def ledger(path, clock):
    """The state, held for writing."""
    with hold(path, clock) as held:
        yield held
