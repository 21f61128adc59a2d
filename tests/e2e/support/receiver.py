"""A local receiver of notices and pings, which records what it gets."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Receiver:
    """Accepts messages at /hook and pings at /ping, or accepts no message while it is down."""

    def __init__(self, port):
        self.address = f"127.0.0.1:{port}"
        self.is_up = True
        self.bodies = []
        """Every message as received, accepted or not."""
        self.taken = []
        """Title and text of each accepted message."""
        self.pings = []
        """The path of each ping."""

    @property
    def titles(self):
        """The title of each message, without the account."""
        return [title.partition(": ")[2] for title, _ in self.taken]

    def handle(self, method, path, body):
        """Handle one request; return its status."""
        if method == "GET":
            self.pings.append(path)
            return 200
        self.bodies.append(body)
        if self.is_up:
            said = json.loads(body)
            self.taken.append((said["title"], said["message"]))
        return 200 if self.is_up else 503


@contextmanager
def receiving():
    """Run a receiver for the duration of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer(b"")

        def do_POST(self):
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body):
            self.send_response(receiver.handle(self.command, self.path, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(server.server_port)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
