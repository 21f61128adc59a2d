"""A human's address and a dead man's switch on this machine, which keep what they are told."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Receiver:
    """Takes messages at /hook and is asked for at /ping, or takes nothing while it is down."""

    def __init__(self, port):
        self.address = f"127.0.0.1:{port}"
        self.is_up = True
        self.bodies = []
        """Every message as it came in, taken or not."""
        self.taken = []
        """Title and text of each that was taken."""
        self.pings = []
        """The path of each ping."""

    @property
    def titles(self):
        """What each message is about, without the account."""
        return [title.partition(": ")[2] for title, _ in self.taken]

    def handle(self, method, path, body):
        """Take one request; its status."""
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
    """A receiver, for as long as the block lasts."""

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
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(server.server_port)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
