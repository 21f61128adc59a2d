"""A receiver on a loopback port, in this process."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from connectors.crm import CrmEventKind
from connectors.oplead.options import OpleadOptions, WebhookFieldPaths
from connectors.oplead.parsing.webhook_parser import WebhookParser
from jobs.ledger.storage.postgresql import SharedDatabase
from jobs.webhooks.file_inbox import WebhookInboxFile
from jobs.webhooks.group_commit import GroupCommit
from jobs.webhooks.postgresql_inbox import WebhookInboxTable
from jobs.webhooks.receiver import HashedSecret, IncomingRateLimit, Receiver, WebhookEndpoint
from jobs.webhooks.server import ServerLimits, serve
from tests import postgresql
from tests.builders import ACCOUNT

SECRET = "correct-horse-battery-staple"
NAMES = {kind: kind.value for kind in CrmEventKind}
PATIENCE = 10


class Running:
    """A receiver that can be asked, and what has become of its events."""

    def __init__(self, folder, limits, **hook):
        self.path = folder / "test.inbox.db"
        self.inbox = WebhookInboxFile(self.path).open_inbox_for_writing()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=600)
        self.port = self.listener.getsockname()[1]
        self.limits = limits
        self._stop = threading.Event()
        self._started = threading.Event()
        self._threads = ThreadPoolExecutor(1)
        parser = WebhookParser(OpleadOptions(token="t", zone=ZoneInfo("Europe/Paris")), WebhookFieldPaths(NAMES))
        usual = {
            "account": "maison-test",
            "secret": HashedSecret(SECRET),
            "header": None,
            "signature": None,
            "largest": 256 * 1024,
            "rate": IncomingRateLimit(100_000),
            "parse": lambda body: parser.parse(body, datetime.now(UTC)),
            "inbox": GroupCommit(self.inbox.append_events, self._threads),
        }
        self.receiver = Receiver([WebhookEndpoint(**{**usual, **hook})])
        self._server = threading.Thread(target=self._serve)

    def _serve(self):
        serve(self.receiver.app, self.listener, self.limits, started=self._started.set, tick=self._stop.is_set)

    def __enter__(self):
        self._server.start()
        assert self._started.wait(PATIENCE)
        return self

    def __exit__(self, *_):
        self.stop()
        self._threads.shutdown()
        self.inbox.close()
        self.listener.close()

    def stop(self):
        """Ask it to stop, and wait until it has."""
        self._stop.set()
        self._server.join(PATIENCE)
        assert not self._server.is_alive()

    def connect(self):
        """A connection of one's own."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def send(self, *parts):
        """The status of the answer to these bytes."""
        with self.connect() as line:
            for part in parts:
                line.sendall(part)
            return status(line)

    def post(self, content, path=f"/hooks/{SECRET}", **headers):
        """The status of the answer to a body, as JSON unless it is bytes."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.send(request(path, length=len(body), **headers), body)

    def stored(self):
        """The lead and the label of each stored event."""
        with closing(WebhookInboxFile(self.path).open_inbox_for_reading()) as inbox:
            leads = inbox.leads_with_events(after=0, to=inbox.latest_event_id())
            return [(lead, one.event.label) for lead, found in inbox.webhook_events_of(leads).items() for one in found]


def request(path, length=None, method="POST", **headers):
    """The head of a request."""
    size = {} if length is None else {"Content-Length": length}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in {"Host": "hooks", **size, **named}.items()), "", ""]
    return "\r\n".join(lines).encode()


def status(line):
    """The status of the next answer; None if the connection ends without one."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = line.recv(4096)
        if not part:
            return None
        answer += part
    return int(answer.split(b" ", 2)[1])


@pytest.fixture
def database():
    """The address of a new database that has the tables."""
    with postgresql.server().database(like="deployed") as url:
        yield url


@pytest.fixture(params=["file", "database"])
def location_of(request, tmp_path):
    """Where an account's inbox will be, by the account's name."""
    if request.param == "file":
        return lambda account: WebhookInboxFile(tmp_path / f"{account}.inbox.db")
    url = request.getfixturevalue("database")
    return lambda account: WebhookInboxTable(SharedDatabase(url), account)


@pytest.fixture
def location(location_of):
    """Where the inbox of an account will be."""
    return location_of(ACCOUNT)


@pytest.fixture
def running(tmp_path):
    """Starts a receiver, whose limits and account may differ from the usual ones."""

    @contextmanager
    def run(*, connections=200, seconds=5.0, **hook):
        with Running(tmp_path, ServerLimits(connections, seconds), **hook) as receiver:
            yield receiver

    return run
