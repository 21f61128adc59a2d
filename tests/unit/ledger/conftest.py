"""A ledger held for writing in its own folder."""

from functools import partial

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


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """Where the state lies."""
    return request.param


@pytest.fixture
def hold_again(database, path, clock, request):
    """How to hold the state for a run of its own, of a command if one is given."""
    if database == "sqlite":
        return partial(hold, path, clock)
    return partial(request.getfixturevalue("empty_state").hold, clock)


@pytest.fixture
def ledger(hold_again):
    """The state, held for writing."""
    with hold_again() as held:
        yield held
