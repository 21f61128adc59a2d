"""Hand-written requests: nothing between a test and the wire but the standard library."""

import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        """The body, which must be JSON."""
        return json.loads(self.body)


def _ask(url, line, body=None, headers=()):
    method, path = line.split(" ", 1)
    data = json.dumps(body).encode() if isinstance(body, dict | list) else body
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, path, data, dict(headers))
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read())
    finally:
        connection.close()


@pytest.fixture
def ask():
    """Send one request on its own connection: `ask(url, "GET /path", body, headers)`; dicts go as JSON."""
    return _ask
