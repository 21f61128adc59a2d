"""A held ledger in a folder of its own."""

import pytest

from tests import quick
from tests.builders import hold
from tests.fakes import FakeClock


@pytest.fixture(scope="session", autouse=True)
def _shared_statements():
    """States compile nothing twice."""
    with quick.shared_statements():
        yield


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
