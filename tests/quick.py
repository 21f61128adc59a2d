"""What spares tests work that proves nothing.

A key that loads fast, a state made once a process, channels that close without a wait, a clock that is
not asked over the wire.
"""

import functools
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from grpc import _channel as grpc_channel

from connectors.sandbox.google import oauth
from connectors.sandbox.sandbox import KEY_FILE
from jobs.ledger.storage.database import create_state


@functools.cache
def read_yaml(path):
    """What a YAML file says: read once a process, and by the library that is ten times as fast as ours."""
    with path.open(encoding="utf-8") as file:
        return yaml.load(file, yaml.CSafeLoader)


@functools.cache
def key_file():
    """The text of a service account's key file: one for all sandboxes, and short, since it guards nothing."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - long ones take long to load
    return oauth.OAuthServer(key).key_file_json("http://127.0.0.1/token")


def with_key(folder):
    """A sandbox's folder, made where missing, in which the key lies already."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / KEY_FILE).write_text(key_file())
    return folder


@functools.cache
def _empty_state():
    """The bytes of a state on which nothing ran yet."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.db"
        create_state(path)
        return path.read_bytes()


def with_state(path):
    """Where a state lies, made where there is none, as `run --first-run` makes it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_empty_state())
        path.chmod(0o600)
    return path


class _BrieflyWatched:
    """A gRPC channel that is looked at every few milliseconds while it connects."""

    def __init__(self, channel):
        self.check_connectivity_state = channel.check_connectivity_state
        self._watch = channel.watch_connectivity_state

    def watch_connectivity_state(self, known, _deadline):
        """Wait for another state than this, until nearly now."""
        return self._watch(known, time.time() + 0.005)


@contextmanager
def closing_channels():
    """Have gRPC channels close at once: gRPC waits for its own look at the connection, which takes 0.2 seconds."""
    look = grpc_channel._poll_connectivity

    def briefly(state, channel, try_to_connect):
        look(state, _BrieflyWatched(channel), try_to_connect)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpc_channel, "_poll_connectivity", briefly)
        yield


@contextmanager
def clock_at_hand(clock, own):
    """Have a clock of a sandbox in this process be asked once over the wire, and from then on directly.

    A night asks it some twenty times, which takes a fifth of the night.
    """
    clock.now()
    clock.now = own.now
    yield
