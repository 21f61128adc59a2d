"""How many webhooks the receiver takes."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tests.bench.program import cpu_seconds

SECRET = "0123456789abcdef0123456789abcdef"
CONNECTIONS = 32
PATIENCE = 60
SETTINGS = """\
account: maison-test
oplead: {{ token: '${{TOKEN}}' }}
webhooks: {{ secret: '${{HOOK}}', listen: '127.0.0.1:{port}', inbox: '{inbox}' }}
"""


class Receiving:
    """A receiver to which this process sends over kept-alive connections."""

    keys = ("webhooks", "webhooks p99", "webhook CPU")

    def __init__(self, program, _platforms, folder, size):
        self.program, self.folder = program, folder
        self.requests = [status_change(number) for number in range(size.webhooks)]

    def measure(self):
        """Yield figures by their keys."""
        port, inbox, settings = free_port(), self.folder / "inbox.db", self.folder / "receiver.yaml"
        for path in self.folder.glob("inbox.db*"):
            path.unlink()
        settings.write_text(SETTINGS.format(port=port, inbox=inbox))
        arguments = ("oplead", "webhooks", "serve", "--config", settings)
        with self.program.started(*arguments, environ={"TOKEN": "token", "HOOK": SECRET}) as process:
            wait_for(port, process)
            used, began = cpu_seconds(process.pid), time.perf_counter()
            seconds = sorted(post(port, self.requests))
            took, used = time.perf_counter() - began, cpu_seconds(process.pid) - used
        count = len(self.requests)
        yield "webhooks", count / took
        yield "webhooks p99", seconds[int(count * 0.99)] * 1_000
        yield "webhook CPU", used / count * 1e6


def status_change(number):
    """A request that reports a change of its own lead."""
    lead = {"id": f"L-{number}", "status": "Gagné", "email": "jeanne@example.fr", "leadData": {"externalID": "gclid=x"}}
    body = json.dumps({"event": "lead.status_changed", "eventId": number, "lead": lead})
    return f"POST /hooks/{SECRET} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def post(port, requests):
    """Send these at little cost, and return how long each answer took, in seconds."""

    def send(part):
        seconds = []
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as line:
            for request in part:
                began = time.perf_counter()
                line.sendall(request)
                if not line.recv(4096).startswith(b"HTTP/1.1 204 "):
                    raise SystemExit("a webhook was refused")
                seconds.append(time.perf_counter() - began)
        return seconds

    parts = [requests[first::CONNECTIONS] for first in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return [seconds for part in threads.map(send, parts) for seconds in part]


def free_port():
    """A port on which nothing listens now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port, process):
    """Return once a process listens; raise SystemExit if it does not."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
            return
        time.sleep(0.02)
    raise SystemExit("the receiver did not start")
