"""Shared fixtures for the port contracts: one sandbox, and addresses where no server answers."""

import socket
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from connectors.sandbox.sandbox import Sandbox
from tests import quick

START = datetime.now(UTC).replace(microsecond=0)
"""Not a fixed day: inspectors probe transports with a conversion dated yesterday by the machine's own clock."""


@pytest.fixture(scope="session", autouse=True)
def _closing_channels():
    """Keep calls from waiting for their channel to close."""
    with quick.closing_channels():
        yield


@pytest.fixture(scope="session")
def whole_sandbox(tmp_path_factory):
    """One sandbox for all sinks; its `arrivals` count every request a server received, answered or not."""
    with Sandbox(quick.with_key(tmp_path_factory.mktemp("sandbox")), start=START) as sandbox:
        sandbox.arrivals = Counter()
        take = sandbox.faults.take_matching_fault

        def counted(server, path):
            sandbox.arrivals[server] += 1
            return take(server, path)

        sandbox.faults.take_matching_fault = counted
        yield sandbox


@pytest.fixture
def sandbox(whole_sandbox):
    """The sandbox in its initial state for each test: no faults, every switch at its default."""
    platforms = (whole_sandbox.oauth, whole_sandbox.data_manager, whole_sandbox.google_ads, whole_sandbox.meta)
    before = [dict(each.switches) for each in platforms]
    yield whole_sandbox
    whole_sandbox.faults.clear()
    for platform, switches in zip(platforms, before, strict=True):
        for name, position in switches.items():
            if platform.switches[name] != position:
                platform.set_switch(name, position)


@contextmanager
def _door(*, opens):
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        if opens:
            door.listen()
            door.setblocking(False)
        yield door


@pytest.fixture
def closed_door():
    """An address at which nothing listens for as long as the test lasts."""
    with _door(opens=False) as door:
        yield f"http://127.0.0.1:{door.getsockname()[1]}"


class Doorstep:
    """A listening socket that notices connections and never answers."""

    def __init__(self, door):
        self._door = door
        self.address = f"http://127.0.0.1:{door.getsockname()[1]}"

    @property
    def knocked(self):
        """Whether a client has connected since the last check."""
        try:
            self._door.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def doorstep():
    """A listening socket that notices connections, whatever they send."""
    with _door(opens=True) as door:
        yield Doorstep(door)
